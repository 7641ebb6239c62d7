import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Personal } from '../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import { formatId } from '../../platform/ids.ts';
import { Currency, formatMoney } from '../../platform/money.ts';
import { type Account, AccountStatus, AccountType, ChartCode, Side } from './contract.ts';
import { refuse } from './errors.ts';

const AccountRow = Type.Object({
  id: Type.String(),
  name: Type.String(),
  currency: Type.String(),
  chart_code: Type.String(),
  type: AccountType,
  normal_side: Side,
  status: AccountStatus,
  may_send: Type.Boolean(),
  may_receive: Type.Boolean(),
  credit_limit: Type.Union([Type.BigInt(), Type.Null()]),
  debits_posted: Type.BigInt(),
  credits_posted: Type.BigInt(),
  debits_pending: Type.BigInt(),
  credits_pending: Type.BigInt(),
  metadata: Type.Record(Type.String(), Type.String()),
  version: Type.BigInt(),
  created_at: Type.String(),
  updated_at: Type.String(),
});
type AccountRow = Static<typeof AccountRow>;

const columns = `id, name, currency, chart_code, type, normal_side, status, may_send, may_receive, credit_limit,
  debits_posted, credits_posted, debits_pending, credits_pending, metadata, version, created_at, updated_at`;

/** The four counters of an account, in minor units. */
export interface Counters {
  debits_posted: bigint;
  credits_posted: bigint;
  debits_pending: bigint;
  credits_pending: bigint;
}

/** Posted balance on the normal side, in minor units. */
export function balanceOf(side: 'debit' | 'credit', counters: Counters): bigint {
  return side === 'credit'
    ? counters.credits_posted - counters.debits_posted
    : counters.debits_posted - counters.credits_posted;
}

/** What can still leave the account, in minor units; null without limit. */
export function availableOf(
  side: 'debit' | 'credit',
  limit: bigint | null,
  counters: Counters,
): bigint | null {
  if (limit === null) return null;
  const held = side === 'credit' ? counters.debits_pending : counters.credits_pending;
  return balanceOf(side, counters) - held + limit;
}

function accountOf(row: AccountRow): Account {
  const money = (minor: bigint) => formatMoney(minor, row.currency);
  const available = availableOf(row.normal_side, row.credit_limit, row);
  return {
    id: formatId('acc', row.id),
    name: row.name,
    currency: row.currency,
    chart_code: row.chart_code,
    type: row.type,
    normal_side: row.normal_side,
    status: row.status,
    may_send: row.may_send,
    may_receive: row.may_receive,
    credit_limit: row.credit_limit === null ? null : money(row.credit_limit),
    balance: money(balanceOf(row.normal_side, row)),
    available: available === null ? null : money(available),
    debits_posted: money(row.debits_posted),
    credits_posted: money(row.credits_posted),
    debits_pending: money(row.debits_pending),
    credits_pending: money(row.credits_pending),
    metadata: row.metadata,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

/** An account and the version that its ETag carries. Throws `account_not_found`. */
export async function getAccount(
  tx: Transaction,
  scope: Scope,
  uuid: string,
): Promise<{ account: Account; version: bigint }> {
  const [row] = await tx.rows(
    AccountRow,
    `select ${columns} from ledger.accounts where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) throw refuse('account_not_found', `There is no account ${formatId('acc', uuid)}.`);
  return { account: accountOf(row), version: row.version };
}

const Filters = Type.Object(
  {
    q: Type.Optional(Personal(Text({ min: 1, max: 255, description: 'Part of the name, in any case' }))),
    currency: Type.Optional(Currency),
    type: Type.Optional(AccountType),
    chart_code: Type.Optional(ChartCode),
    status: Type.Optional(AccountStatus),
    metadata: Type.Optional(
      Personal(
        Type.String({
          maxLength: 600,
          pattern: '^[A-Za-z0-9_.:-]{1,64}:[^\\u0000\\p{Surrogate}]*$',
          description: 'One label, as name:value',
          examples: ['customer:42'],
        }),
      ),
    ),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListAccountsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Every label that a `name:value` can mean: a name may have colons of its own. */
function labelsOf(text: string): string[] {
  return [...text.matchAll(/:/g)].map(({ index }) =>
    JSON.stringify({ [text.slice(0, index)]: text.slice(index + 1) }),
  );
}

/** Accounts, newest first. */
export async function listAccounts(tx: Transaction, scope: Scope, query: Static<typeof ListAccountsQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { filters } = page;
  const rows = await tx.rows(
    AccountRow,
    `select ${columns} from ledger.accounts
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::text is null or strpos(lower(name), lower($4)) > 0)
       and ($5::text is null or currency = $5)
       and ($6::ledger.account_type is null or type = $6)
       and ($7::text is null or chart_code = $7)
       and ($8::ledger.account_status is null or status = $8)
       and ($9::jsonb[] is null or metadata @> any ($9))
     order by id desc limit $10`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      filters.q ?? null,
      filters.currency ?? null,
      filters.type ?? null,
      filters.chart_code ?? null,
      filters.status ?? null,
      filters.metadata === undefined ? null : labelsOf(filters.metadata),
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, accountOf, (row) => row.id);
}
