/** Balances of an account, now and in time. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { Account } from './contract.ts';
import { dayAfter } from './day.ts';
import { AsOf, asOf, headPosition, minPositionQuery, momentQuery } from './position.ts';
import { availableOf, balanceOf, type Counters } from './read-accounts.ts';
import { type AccountRow, getAccountRow, netOf, sumEntries, sumHalf } from './read-entries.ts';

const { properties } = Account;

export const BalanceQuery = Type.Object(
  { ...momentQuery, ...minPositionQuery },
  { additionalProperties: false },
);

const Pending = Type.Union([properties.debits_pending, Type.Null()], {
  description: 'Held; null where `effective_on` was asked for, since holds have no effective date',
});

export const Balance = Type.Object({
  account_id: properties.id,
  currency: properties.currency,
  normal_side: properties.normal_side,
  as_of: AsOf,
  balance: properties.balance,
  available: Type.Union([properties.balance, Type.Null()], {
    description:
      'Balance less what was held, plus the credit limit of today (earlier limits are not kept); null without limit and where `effective_on` was asked for',
  }),
  debits_posted: properties.debits_posted,
  credits_posted: properties.credits_posted,
  debits_pending: Pending,
  credits_pending: Pending,
});
export type Balance = Static<typeof Balance>;

interface Sums {
  debits: bigint;
  credits: bigint;
}

function less(account: AccountRow, { debits, credits }: Sums): Sums {
  return { debits: account.debits_posted - debits, credits: account.credits_posted - credits };
}

/** What was posted: the counters less what came after, or the sums until then, whichever is to read fewer entries. */
async function postedThrough(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  account: AccountRow,
  { position, head }: { position: number; head: number },
): Promise<Sums> {
  return position < head / 2
    ? sumEntries(tx, scope, uuid, { to_position: position })
    : less(account, await sumEntries(tx, scope, uuid, { from_position: position + 1 }));
}

const PendingRow = Type.Object({ debits_pending: Type.BigInt(), credits_pending: Type.BigInt() });

/** What was held on either side when the ledger had come to a position. */
async function pendingThrough(tx: Transaction, scope: Scope, uuid: string, position: number) {
  const held = (side: 'debit' | 'credit') => `coalesce((
    select sum(s.pending_change) from ledger.holds h
    join ledger.hold_steps s on s.tenant_id = $1 and s.environment = $2 and s.hold_id = h.id and s.position <= $4
    where h.tenant_id = $1 and h.environment = $2 and h.${side}_account_id = $3), 0)::bigint as ${side}s_pending`;
  const [row] = await tx.rows(PendingRow, `select ${held('debit')}, ${held('credit')}`, [
    scope.tenant_id,
    scope.environment,
    uuid,
    position,
  ]);
  if (row === undefined) throw new Error('a sum without a row');
  return row;
}

async function countersAt(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  account: AccountRow,
  { position, head }: { position: number; head: number },
): Promise<Counters> {
  if (position === head) return account;
  const { debits, credits } = await postedThrough(tx, scope, uuid, account, { position, head });
  const pending = await pendingThrough(tx, scope, uuid, position);
  return { debits_posted: debits, credits_posted: credits, ...pending };
}

/** Balances of an account at the moment asked for, and the last position of the snapshot. Throws `account_not_found`. */
export async function readBalance(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  query: Static<typeof BalanceQuery>,
): Promise<{ head: number; balance: Balance }> {
  const { min_position, ...moment } = query;
  const head = await headPosition(tx, scope, min_position);
  const as_of = await asOf(tx, scope, head, moment);
  const account = await getAccountRow(tx, scope, uuid);
  const { currency, normal_side } = account;
  const money = (minor: bigint) => formatMoney(minor, currency);
  const { position, effective_on } = as_of;
  const common = { account_id: formatId('acc', uuid), currency, normal_side, as_of };
  if (effective_on !== undefined) {
    const { half, ...sums } = await sumHalf(tx, scope, uuid, dayAfter(effective_on), position);
    const posted = half === 'before' ? sums : less(account, sums);
    const balance = {
      ...common,
      balance: money(netOf(normal_side, posted)),
      available: null,
      debits_posted: money(posted.debits),
      credits_posted: money(posted.credits),
      debits_pending: null,
      credits_pending: null,
    };
    return { head, balance };
  }
  const counters = await countersAt(tx, scope, uuid, account, { position, head });
  const available = availableOf(normal_side, account.credit_limit, counters);
  const balance = {
    ...common,
    balance: money(balanceOf(normal_side, counters)),
    available: available === null ? null : money(available),
    debits_posted: money(counters.debits_posted),
    credits_posted: money(counters.credits_posted),
    debits_pending: money(counters.debits_pending),
    credits_pending: money(counters.credits_pending),
  };
  return { head, balance };
}
