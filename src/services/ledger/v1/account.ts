/** An account as the v1 API shows it: a liability in the tenant's base currency, under its number. */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import type { Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { formatMoney } from '../../../platform/money.ts';
import { refuse as refuseRequest } from '../../../platform/problem.ts';
import type { Books } from '../books.ts';
import { AccountStatus, Timestamp } from '../contract.ts';
import { refuse } from '../errors.ts';
import { literalOf, minorOfBalance } from './amount.ts';
import type { NumberLiteral } from './json.ts';

export const V1Account = Type.Object({
  id: Type.Integer({ description: 'Number of the account', examples: [1] }),
  name: Personal(Type.String()),
  balance: Type.Unsafe<NumberLiteral>({
    type: 'number',
    description: "In major units of the tenant's base currency, exact to the digit",
    examples: [10.5],
  }),
  created_at: Timestamp,
  updated_at: Type.String({ format: 'date-time', description: 'When name or balance last changed' }),
});
export type V1Account = Static<typeof V1Account>;

/** What is wanted of a new or an existing account. Unknown fields are ignored, as they always were. */
export const V1AccountRequest = Type.Object({
  name: Personal(Text({ min: 1, max: 255, description: 'Need not be unique', examples: ['Ana Souza'] })),
  // `parseBody` has made a number its source text by the time that this is checked.
  balance: Type.Unsafe<string>({
    type: ['number', 'string'],
    description:
      'Zero or more major units of the base currency, with at most as many decimals as it has; a number, or one as a string',
    examples: [10.5],
  }),
});

/** Name, and balance in minor units. `request` is what a repetition under the same idempotency key must equal. */
export function wantedOf(body: Static<typeof V1AccountRequest>, currency: string) {
  const name = body.name.trim();
  if (name === '') {
    const errors = [{ pointer: '/name', detail: 'must not be blank' }];
    throw refuseRequest('malformed_request', '/name must not be blank.', { errors });
  }
  const balance = minorOfBalance(body.balance, currency);
  return { name, balance, request: { name, balance: formatMoney(balance, currency).amount } };
}

const Row = Type.Object({
  uuid: Type.String(),
  number: Type.BigInt(),
  name: Type.String(),
  status: AccountStatus,
  balance: Type.BigInt(),
  debits_pending: Type.BigInt(),
  credits_pending: Type.BigInt(),
  created_at: Type.String(),
  updated_at: Type.String(),
});
export type V1AccountRow = Static<typeof Row>;

// The account's own time is that of its last edit; that of its balance is its last entry's. Not a join: without
// statistics that one read all transfers of the tenant for each account.
const columns = `a.id as uuid, a.number, a.name, a.status, a.credits_posted - a.debits_posted as balance,
  a.debits_pending, a.credits_pending, a.created_at,
  greatest(a.updated_at, (
    select t.created_at from ledger.transfers t
    where t.tenant_id = $1 and t.environment = $2 and t.position = (
      select e.position from ledger.entries e
      where e.tenant_id = $1 and e.environment = $2 and e.account_id = a.id
      order by e.position desc limit 1)
  )) as updated_at`;

export function v1AccountOf(
  row: Pick<V1AccountRow, 'number' | 'name' | 'balance' | 'created_at' | 'updated_at'>,
  currency: string,
): V1Account {
  return {
    id: Number(row.number),
    name: row.name,
    balance: literalOf(row.balance, currency),
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

/** Every account that is not closed, in the order of their numbers. */
export async function listAccounts(tx: Transaction, caller: Caller): Promise<V1Account[]> {
  const rows = await tx.rows(
    Row,
    `select ${columns} from ledger.accounts a
     where a.tenant_id = $1 and a.environment = $2 and a.type = 'liability' and a.currency = $3
       and a.status <> 'closed'
     order by a.number`,
    [caller.tenant_id, caller.environment, caller.base_currency],
  );
  return rows.map((row) => v1AccountOf(row, caller.base_currency));
}

export function noAccount(number: bigint | string) {
  return refuse('account_not_found', `There is no account ${number}.`);
}

/** The number in a path. What cannot be one is the number of no account: 404, as the prototype's URLs had it. */
export function numberOf(text: string): bigint {
  if (!/^[0-9]{1,18}$/.test(text)) throw noAccount(text);
  return BigInt(text);
}

/** The account with a number, a closed one too. Throws `account_not_found`. */
export async function getAccountOrClosed(
  tx: Transaction,
  caller: Caller,
  number: bigint,
): Promise<V1AccountRow> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from ledger.accounts a
     where a.number = $4 and a.tenant_id = $1 and a.environment = $2 and a.type = 'liability' and a.currency = $3`,
    [caller.tenant_id, caller.environment, caller.base_currency, number],
  );
  if (row === undefined) throw noAccount(number);
  return row;
}

/**
 * Throws `account_not_found` where a caller who reaches certain labels only does not reach the account, whatever was
 * done under the key that they send.
 */
export async function assertReached({ db }: Books, caller: Caller, number: bigint): Promise<void> {
  if (caller.reach !== undefined) await db.read(caller, (tx) => getAccountOrClosed(tx, caller, number));
}

/** The account with a number. Throws `account_not_found`, for a closed one too. */
export async function getAccount(tx: Transaction, caller: Caller, number: bigint): Promise<V1AccountRow> {
  const row = await getAccountOrClosed(tx, caller, number);
  if (row.status === 'closed') throw noAccount(number);
  return row;
}
