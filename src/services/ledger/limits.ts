/**
 * Monetary limits of an API key: how much it may move, at once and in a day, and from which accounts. They are held
 * against each posting in its own commit, by `ledger.post`; the keys that a key was rotated from and to share them.
 */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import { findExponent } from '../../platform/currencies.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { etagOf } from '../../platform/etag.ts';
import { formatId, Id, uuidOf } from '../../platform/ids.ts';
import { Currency, formatMoney, Money } from '../../platform/money.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import { Metadata } from './contract.ts';
import { refuse } from './errors.ts';
import { nonNegativeAmount } from './terms.ts';

const MAX_CURRENCIES = 50;
const MAX_ACCOUNTS = 1_000;

const reachOfKey = {
  accounts: Type.Optional(
    Type.Array(Id('acc'), {
      minItems: 1,
      maxItems: MAX_ACCOUNTS,
      uniqueItems: true,
      description: 'Accounts whose balance the key may lower; any, where neither these nor labels are given',
    }),
  ),
  labels: Type.Optional({
    ...Metadata,
    description: 'The key may lower the balance of accounts that carry all of these, too',
  }),
};

export const LimitsRequest = Type.Object(
  {
    amounts: Type.Array(
      Type.Object(
        {
          currency: Currency,
          per_transfer: Type.Optional(Money),
          per_day: Type.Optional(Money),
        },
        { additionalProperties: false },
      ),
      {
        minItems: 1,
        maxItems: MAX_CURRENCIES,
        description: 'By currency. None of a currency that is not named may be moved; without an amount, any',
      },
    ),
    ...reachOfKey,
  },
  { additionalProperties: false },
);
export type LimitsRequest = Static<typeof LimitsRequest>;

export const Limits = Type.Object({
  key_id: Id('key'),
  amounts: Type.Array(
    Type.Object({
      currency: Currency,
      per_transfer: Type.Optional(Money),
      per_day: Type.Optional(Money),
      used_today: Money,
      left_today: Type.Optional(Money),
    }),
  ),
  ...reachOfKey,
  day: Type.String({ description: 'The day that `used_today` is of, in the time zone of the tenant' }),
  updated_at: Type.String(),
  updated_by: Type.String({ description: 'Who set them' }),
});
export type Limits = Static<typeof Limits>;

const LimitsRow = Type.Object({
  accounts: Type.Union([Type.Array(Type.String()), Type.Null()]),
  labels: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  version: Type.Integer(),
  updated_at: Type.String(),
  updated_by: Type.String(),
  day: Type.String(),
});
const Minor = Type.Union([Type.BigInt(), Type.Null()]);
const AmountRow = Type.Object({
  currency: Type.String(),
  per_transfer: Minor,
  per_day: Minor,
  used: Type.BigInt(),
});
const KeyRow = Type.Object({ limits_id: Type.Union([Type.String(), Type.Null()]) });

/** The UUID of the limits that a key is under; its own if it is under none. Throws `limits_not_found`. */
async function limitsOf(tx: Transaction, scope: Scope, key_uuid: string): Promise<string> {
  const [row] = await tx.rows(
    KeyRow,
    `select limits_id from platform.api_keys
     where tenant_id = $1 and environment = $2 and id = $3 and revoked_at is null`,
    [scope.tenant_id, scope.environment, key_uuid],
  );
  if (row === undefined) {
    throw refuse('limits_not_found', `There is no API key ${formatId('key', key_uuid)} that is not revoked.`);
  }
  return row.limits_id ?? key_uuid;
}

async function read(
  tx: Transaction,
  scope: Scope,
  key_uuid: string,
  limits_id: string,
): Promise<{ limits: Limits; etag: string }> {
  const [row] = await tx.rows(
    LimitsRow,
    `select accounts, labels, version, updated_at, updated_by, ledger.day_of(tenant_id, now()) as day
     from ledger.limits where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, limits_id],
  );
  if (row === undefined) {
    throw refuse('limits_not_found', `No monetary limits are kept for ${formatId('key', key_uuid)}.`);
  }
  const amounts = await tx.rows(
    AmountRow,
    `select a.currency, a.per_transfer, a.per_day, coalesce(u.used, 0) as used
     from ledger.limit_amounts a
     left join ledger.limit_usage u on u.tenant_id = a.tenant_id and u.environment = a.environment
       and u.limits_id = a.limits_id and u.currency = a.currency and u.day = $4
     where a.tenant_id = $1 and a.environment = $2 and a.limits_id = $3 order by a.currency`,
    [scope.tenant_id, scope.environment, limits_id, row.day],
  );
  return {
    etag: etagOf(row.version),
    limits: {
      key_id: formatId('key', key_uuid),
      amounts: amounts.map(({ currency, per_transfer, per_day, used }) => ({
        currency,
        ...(per_transfer === null ? {} : { per_transfer: formatMoney(per_transfer, currency) }),
        ...(per_day === null ? {} : { per_day: formatMoney(per_day, currency) }),
        used_today: formatMoney(used, currency),
        ...(per_day === null
          ? {}
          : { left_today: formatMoney(per_day > used ? per_day - used : 0n, currency) }),
      })),
      ...(row.accounts === null ? {} : { accounts: row.accounts.map((uuid) => formatId('acc', uuid)) }),
      ...(row.labels === null ? {} : { labels: row.labels }),
      day: row.day,
      updated_at: row.updated_at,
      updated_by: row.updated_by,
    },
  };
}

/** The limits of a key with their use today. Throws `limits_not_found`. */
export function getLimits(
  db: Database,
  scope: Scope,
  key_uuid: string,
): Promise<{ limits: Limits; etag: string }> {
  return db.read(scope, async (tx) => read(tx, scope, key_uuid, await limitsOf(tx, scope, key_uuid)));
}

/** The limits before they are changed; undefined where none are set. */
async function findLimits(
  tx: Transaction,
  scope: Scope,
  key_uuid: string,
  limits_id: string,
): Promise<Limits | undefined> {
  const known = await tx.run(
    'select from ledger.limits where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, limits_id],
  );
  return known === 0 ? undefined : (await read(tx, scope, key_uuid, limits_id)).limits;
}

/** Refuses amounts that are doubled, of no currency, or of another than they stand under. */
function assertAmounts(amounts: LimitsRequest['amounts']): void {
  const seen = new Set<string>();
  for (const [index, { currency, per_transfer, per_day }] of amounts.entries()) {
    if (findExponent(currency) === undefined) {
      throw refuse('unknown_currency', `${currency} is not an active ISO 4217 currency.`);
    }
    const wrong = [per_transfer, per_day].some((money) => money !== undefined && money.currency !== currency);
    if (seen.has(currency) || wrong) {
      throw refuseRequest('malformed_request', 'Each currency stands once, with amounts of its own.', {
        errors: [
          {
            pointer: `/amounts/${index}`,
            detail: seen.has(currency) ? 'is there already' : `must be in ${currency}`,
          },
        ],
      });
    }
    seen.add(currency);
  }
}

/** A caller who is under limits could free itself of them. */
function assertMaySet({ limits_id, principal }: Caller): void {
  if (limits_id !== undefined) throw refuse('limits_not_own', `${principal.name} is under limits itself.`);
}

/** Sets the limits of a key and of those that share them, in place of what was set before. They hold at once. */
export function setLimits(
  db: Database,
  caller: Caller,
  key_uuid: string,
  body: LimitsRequest,
): Promise<{ before: Limits | undefined; limits: Limits; etag: string }> {
  assertMaySet(caller);
  assertAmounts(body.amounts);
  return db.write(caller, async (tx) => {
    const limits_id = await limitsOf(tx, caller, key_uuid);
    const of = [caller.tenant_id, caller.environment, limits_id];
    const before = await findLimits(tx, caller, key_uuid, limits_id);
    await tx.run(
      `insert into ledger.limits (tenant_id, environment, id, accounts, labels, updated_by)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (tenant_id, environment, id) do update set accounts = excluded.accounts, labels = excluded.labels,
         updated_by = excluded.updated_by, version = limits.version + 1, updated_at = now()`,
      [
        ...of,
        body.accounts?.map((id) => uuidOf('acc', id)) ?? null,
        body.labels === undefined ? null : JSON.stringify(body.labels),
        caller.principal.id,
      ],
    );
    await tx.run(
      'delete from ledger.limit_amounts where tenant_id = $1 and environment = $2 and limits_id = $3',
      of,
    );
    const minor = (money: Money | undefined) => (money === undefined ? null : nonNegativeAmount(money));
    await tx.run(
      `insert into ledger.limit_amounts (tenant_id, environment, limits_id, currency, per_transfer, per_day)
       select $1, $2, $3, * from unnest($4::text[], $5::bigint[], $6::bigint[])`,
      [
        ...of,
        body.amounts.map(({ currency }) => currency),
        body.amounts.map(({ per_transfer }) => minor(per_transfer)),
        body.amounts.map(({ per_day }) => minor(per_day)),
      ],
    );
    await tx.run(
      `update platform.api_keys set limits_id = $3
       where tenant_id = $1 and environment = $2 and id = $4 and limits_id is null`,
      [...of, key_uuid],
    );
    return { before, ...(await read(tx, caller, key_uuid, limits_id)) };
  });
}

/** Frees a key, and those that share its limits, of them. */
export function removeLimits(db: Database, caller: Caller, key_uuid: string): Promise<Limits | undefined> {
  assertMaySet(caller);
  return db.write(caller, async (tx) => {
    const limits_id = await limitsOf(tx, caller, key_uuid);
    const of = [caller.tenant_id, caller.environment, limits_id];
    const before = await findLimits(tx, caller, key_uuid, limits_id);
    await tx.run(
      'update platform.api_keys set limits_id = null where tenant_id = $1 and environment = $2 and limits_id = $3',
      of,
    );
    await tx.run('delete from ledger.limits where tenant_id = $1 and environment = $2 and id = $3', of);
    await tx.run(
      'delete from ledger.limit_amounts where tenant_id = $1 and environment = $2 and limits_id = $3',
      of,
    );
    return before;
  });
}
