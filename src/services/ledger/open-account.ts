import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { findExponent } from '../../platform/currencies.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { Currency, formatMoney, Money } from '../../platform/money.ts';
import type { Books } from './books.ts';
import { type Account, AccountType, ChartCode, Metadata } from './contract.ts';
import { refuse } from './errors.ts';
import { addEvent, createOnce } from './once.ts';
import { assertWithinReach } from './reach.ts';
import { getAccount } from './read-accounts.ts';
import { nonNegativeAmount } from './terms.ts';

export const OpenAccountRequest = Type.Object(
  {
    name: Personal(
      Text({ min: 1, max: 255, description: 'Any name; it need not be unique', examples: ['Ana Souza'] }),
    ),
    currency: Currency,
    chart_code: ChartCode,
    credit_limit: Type.Optional(
      Type.Union([Money, Type.Null()], {
        description: 'How far below zero the balance may go. Absent: not at all. Null: without limit',
      }),
    ),
    may_send: Type.Optional(Type.Boolean({ default: true })),
    may_receive: Type.Optional(Type.Boolean({ default: true })),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type OpenAccountRequest = Static<typeof OpenAccountRequest>;

const ChartRow = Type.Object({ type: AccountType });

/** A credit limit in minor units of the account's currency; null without limit. */
export function creditLimitOf(limit: Money | null | undefined, currency: string): bigint | null {
  if (limit === undefined) return 0n;
  if (limit === null) return null;
  if (limit.currency !== currency) {
    throw refuse(
      'currency_mismatch',
      `The credit limit is in ${limit.currency}, the account in ${currency}.`,
    );
  }
  return nonNegativeAmount(limit);
}

/**
 * Opens an account in a transaction that has locked the head of its books.
 *
 * @param options.number the number that the v1 API shows, instead of the next one
 * @returns its UUID
 */
export async function openWithin(
  tx: Transaction,
  scope: Scope,
  body: OpenAccountRequest,
  options: { number?: bigint } = {},
): Promise<string> {
  if (findExponent(body.currency) === undefined) {
    throw refuse('unknown_currency', `${body.currency} is not an active ISO 4217 currency.`);
  }
  assertWithinReach(scope, body.metadata);
  const limit = creditLimitOf(body.credit_limit, body.currency);
  const [chart] = await tx.rows(
    ChartRow,
    'select type from ledger.chart_of_accounts where tenant_id = $1 and environment = $2 and code = $3',
    [scope.tenant_id, scope.environment, body.chart_code],
  );
  if (chart === undefined) {
    throw refuse('chart_code_not_found', `The chart of accounts has no code ${body.chart_code}.`);
  }
  const uuid = newUuid();
  await tx.run(
    `with head as (
       update ledger.heads set account_number = account_number + case when $12::bigint is null then 1 else 0 end
       where tenant_id = $1 and environment = $2 returning account_number)
     insert into ledger.accounts (tenant_id, environment, id, number, name, currency, chart_code, type, credit_limit,
                                  may_send, may_receive, metadata)
     select $1, $2, $3, coalesce($12, account_number), $4, $5, $6, $7, $8, $9, $10, $11 from head`,
    [
      scope.tenant_id,
      scope.environment,
      uuid,
      body.name,
      body.currency,
      body.chart_code,
      chart.type,
      limit,
      body.may_send ?? true,
      body.may_receive ?? true,
      JSON.stringify(body.metadata ?? {}),
      options.number ?? null,
    ],
  );
  await addEvent(tx, scope, {
    id: newUuid(),
    type: 'ledger.account.opened',
    subject: uuid,
    data: { ...body, id: formatId('acc', uuid), type: chart.type },
  });
  return uuid;
}

/** The first answer again: the account before anything was edited or posted. */
function asOpened(account: Account, body: OpenAccountRequest): { account: Account; version: bigint } {
  const { currency } = account;
  const zero = formatMoney(0n, currency);
  const limit = creditLimitOf(body.credit_limit, currency);
  return {
    account: {
      ...account,
      name: body.name,
      status: 'open',
      may_send: body.may_send ?? true,
      may_receive: body.may_receive ?? true,
      credit_limit: limit === null ? null : formatMoney(limit, currency),
      balance: zero,
      available: limit === null ? null : formatMoney(limit, currency),
      debits_posted: zero,
      credits_posted: zero,
      debits_pending: zero,
      credits_pending: zero,
      metadata: body.metadata ?? {},
      updated_at: account.created_at,
    },
    version: 1n,
  };
}

/** Opens an account, once for each idempotency key. */
export async function openAccount(
  books: Books,
  scope: Scope,
  body: OpenAccountRequest,
  attempt: Attempt,
): Promise<{ account: Account; version: bigint; replayed: boolean }> {
  const { id, replayed } = await createOnce(
    books.db,
    scope,
    { ...attempt, request: canonicalRequest(body) },
    (tx) => openWithin(tx, scope, body),
  );
  const found = await books.db.read(scope, (tx) => getAccount(tx, scope, id));
  return replayed ? { ...asOpened(found.account, body), replayed } : { ...found, replayed };
}
