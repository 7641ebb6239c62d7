/** Entries of an account: listed, and summed over a range. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Personal } from '../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId, Id } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { Entry, IsoDate, Position, Side, Timestamp } from './contract.ts';
import { dayAfter, dayOf } from './day.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';
import { minPositionQuery, positionAt, positionBefore } from './position.ts';

/** Which entries of an account; every bound that is given holds. */
export interface EntryRange {
  side?: Side | undefined;
  /** First and last position. */
  from_position?: number | undefined;
  to_position?: number | undefined;
  /** First effective date, and the one before which they end. */
  effective_from?: string | undefined;
  effective_before?: string | undefined;
}
type Side = Static<typeof Side>;

/** Condition on an entry `e`: `$1` and `$2` are tenant and environment, `$3` the account, `$4` to `$8` a range. */
const inRange = `
  e.tenant_id = $1 and e.environment = $2 and e.account_id = $3
  and ($4::ledger.side is null or e.side = $4)
  and ($5::bigint is null or e.position >= $5)
  and ($6::bigint is null or e.position <= $6)
  and ($7::date is null or e.effective_date >= $7)
  and ($8::date is null or e.effective_date < $8)`;

function rangeParameters(scope: Scope, account: string, range: EntryRange): unknown[] {
  return [
    scope.tenant_id,
    scope.environment,
    account,
    range.side ?? null,
    range.from_position ?? null,
    range.to_position ?? null,
    range.effective_from ?? null,
    range.effective_before ?? null,
  ];
}

const BackdatedRow = Type.Object({ backdated: Type.Boolean() });

/**
 * A range and an order that name the same entries by position, where that can be: an account none of whose entries has
 * an effective date apart from its recorded day has one order for both, which the index of its entries has as well.
 */
async function alongPositions(
  tx: Transaction,
  scope: Scope,
  account: string,
  range: EntryRange,
  order: EntryOrder,
): Promise<{ range: EntryRange; order: EntryOrder }> {
  const { effective_from, effective_before, ...rest } = range;
  if (effective_from === undefined && effective_before === undefined && order !== 'effective') {
    return { range, order };
  }
  const [row] = await tx.rows(
    BackdatedRow,
    `select exists (select from ledger.entries e
       where e.tenant_id = $1 and e.environment = $2 and e.account_id = $3 and e.backdated) as backdated`,
    [scope.tenant_id, scope.environment, account],
  );
  if (row?.backdated !== false) return { range, order };
  const startOf = (day: string) => positionBefore(tx, scope, `${day}T00:00:00Z`);
  const from = effective_from === undefined ? 0 : (await startOf(effective_from)) + 1;
  const to = effective_before === undefined ? Number.MAX_SAFE_INTEGER : await startOf(effective_before);
  return {
    range: {
      ...rest,
      from_position: Math.max(from, range.from_position ?? 0),
      to_position: Math.min(to, range.to_position ?? Number.MAX_SAFE_INTEGER),
    },
    order: order === 'effective' ? 'recorded' : order,
  };
}

/** Where an entry stands: by position and leg, or by effective date first. */
export interface Place {
  effective_date: string;
  position: number;
  leg: number;
}

/** The orders of entries; `$9` to `$11` are a place, or null. */
const orders = {
  newest: {
    by: 'e.position desc, e.leg desc',
    after: '($9::date is null or (e.position, e.leg) < ($10::bigint, $11::smallint))',
    through: '($9::date is not null and (e.position, e.leg) >= ($10::bigint, $11::smallint))',
  },
  recorded: {
    by: 'e.position, e.leg',
    after: '($9::date is null or (e.position, e.leg) > ($10::bigint, $11::smallint))',
    through: '($9::date is not null and (e.position, e.leg) <= ($10::bigint, $11::smallint))',
  },
  effective: {
    by: 'e.effective_date, e.position, e.leg',
    after:
      '($9::date is null or (e.effective_date, e.position, e.leg) > ($9::date, $10::bigint, $11::smallint))',
    through:
      '($9::date is not null and (e.effective_date, e.position, e.leg) <= ($9::date, $10::bigint, $11::smallint))',
  },
};

export type EntryOrder = keyof typeof orders;

function placeParameters(place: Place | undefined): unknown[] {
  return [place?.effective_date ?? null, place?.position ?? null, place?.leg ?? null];
}

const EntryRow = Type.Object({
  transfer_id: Type.String(),
  position: Type.BigInt(),
  leg: Type.Integer(),
  side: Side,
  amount: Type.BigInt(),
  currency: Type.String(),
  balance: Type.BigInt(),
  effective_date: Type.String(),
  created_at: Type.String(),
  description: Type.Union([Type.String(), Type.Null()]),
  counterparties: Type.Array(Type.String()),
  reverses_leg: Type.Union([Type.Integer(), Type.Null()]),
});
export type EntryRow = Static<typeof EntryRow>;

/**
 * The planner takes few entries to come after a place, and would read and sort all of them for each page: of 62,000
 * entries a page took 110 ms, and takes 40 along the index.
 */
const alongAnIndex = `select set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true),
  set_config('enable_seqscan', 'off', true)`;

/**
 * Entries of an account in a range, in an order, after a place in it; `limit` of them. What the transaction reads
 * after that is planned for few rows.
 */
export async function fetchEntries(
  tx: Transaction,
  scope: Scope,
  account: string,
  range: EntryRange,
  { order, after, limit }: { order: EntryOrder; after: Place | undefined; limit: number },
): Promise<EntryRow[]> {
  const along = await alongPositions(tx, scope, account, range, order);
  const { by, after: isAfter } = orders[along.order];
  await tx.run(alongAnIndex);
  return tx.rows(
    EntryRow,
    // The entries are found first; what belongs to them is then looked up by position, one by one.
    `select t.id as transfer_id, e.position, e.leg, e.side, e.amount, e.currency, e.balance, e.effective_date,
       t.created_at, t.description, e.reverses_leg,
       array(select x.account_id::text from ledger.entries x
             where x.tenant_id = $1 and x.environment = $2 and x.position = e.position and x.account_id <> $3
             group by x.account_id order by min(x.leg)) as counterparties
     from (select e.* from ledger.entries e
           where ${inRange} and ${isAfter}
           order by ${by} limit $12) e
     cross join lateral (
       select t.id, t.created_at, t.description from ledger.transfers t
       where t.tenant_id = $1 and t.environment = $2 and t.position = e.position limit 1) t
     order by ${by}`,
    [...rangeParameters(scope, account, along.range), ...placeParameters(after), limit],
  );
}

const SumRow = Type.Object({
  debits: Type.BigInt(),
  credits: Type.BigInt(),
  debits_through: Type.BigInt(),
  credits_through: Type.BigInt(),
});

/** Debits and credits of a range in minor units; and of its part that ends, in an order, with the entry at a place. */
export async function sumEntries(
  tx: Transaction,
  scope: Scope,
  account: string,
  range: EntryRange,
  part: { order: EntryOrder; through: Place | undefined } = { order: 'recorded', through: undefined },
): Promise<Static<typeof SumRow>> {
  const along = await alongPositions(tx, scope, account, range, part.order);
  const { through } = orders[along.order];
  const [row] = await tx.rows(
    SumRow,
    // One account's sums are counters of it, or less: they fit.
    `select coalesce(sum(e.amount) filter (where e.side = 'debit'), 0)::bigint as debits,
       coalesce(sum(e.amount) filter (where e.side = 'credit'), 0)::bigint as credits,
       coalesce(sum(e.amount) filter (where e.side = 'debit' and ${through}), 0)::bigint as debits_through,
       coalesce(sum(e.amount) filter (where e.side = 'credit' and ${through}), 0)::bigint as credits_through
     from ledger.entries e where ${inRange}`,
    [...rangeParameters(scope, account, along.range), ...placeParameters(part.through)],
  );
  if (row === undefined) throw new Error('a sum without a row');
  return row;
}

const CountRow = Type.Object({ entries: Type.Integer() });

/** How many entries a range has; of more than `most`, one more than that. */
export async function countEntries(
  tx: Transaction,
  scope: Scope,
  account: string,
  range: EntryRange,
  most: number,
): Promise<number> {
  const along = await alongPositions(tx, scope, account, range, 'recorded');
  const [row] = await tx.rows(
    CountRow,
    `select count(*)::integer as entries from (select from ledger.entries e where ${inRange} limit $9) counted`,
    [...rangeParameters(scope, account, along.range), most + 1],
  );
  return row?.entries ?? 0;
}

/** What debits and credits come to on a normal side. */
export function netOf(side: Side, sums: { debits: bigint; credits: bigint }): bigint {
  return side === 'credit' ? sums.credits - sums.debits : sums.debits - sums.credits;
}

/**
 * Debits and credits of one half of an account's entries up to a position: of those effective before a day, or of
 * those from it on, whichever is to be fewer if the account moves as the ledger does.
 */
export async function sumHalf(
  tx: Transaction,
  scope: Scope,
  account: string,
  day: string,
  to_position: number,
): Promise<{ half: 'before' | 'from'; debits: bigint; credits: bigint }> {
  const before = await positionBefore(tx, scope, `${day}T00:00:00Z`);
  const half = before < to_position / 2 ? 'before' : 'from';
  const range = half === 'before' ? { effective_before: day } : { effective_from: day };
  return { half, ...(await sumEntries(tx, scope, account, { ...range, to_position })) };
}

const BalanceRow = Type.Object({ balance: Type.BigInt() });

/** An account's balance on its normal side, in minor units, when the ledger had come to a position. */
export async function balanceAt(
  tx: Transaction,
  scope: Scope,
  account: string,
  position: number,
): Promise<bigint> {
  const [row] = await tx.rows(
    BalanceRow,
    `select e.balance from ledger.entries e
     where e.tenant_id = $1 and e.environment = $2 and e.account_id = $3 and e.position <= $4
     order by e.position desc, e.leg desc limit 1`,
    [scope.tenant_id, scope.environment, account, position],
  );
  return row?.balance ?? 0n;
}

/** An entry of an account, with what its transfer says. */
export const AccountEntry = Type.Object({
  transfer_id: Id('trf'),
  position: Position,
  leg: Entry.properties.leg,
  side: Side,
  amount: Entry.properties.amount,
  balance: Entry.properties.balance,
  effective_date: IsoDate,
  created_at: Timestamp,
  description: Type.Optional(Personal(Type.String())),
  counterparties: Type.Array(Id('acc'), { description: 'The other accounts of the transfer' }),
  reverses_leg: Entry.properties.reverses_leg,
});
export type AccountEntry = Static<typeof AccountEntry>;

/** @param balance what to show as running balance, in minor units: another one than the recorded in another order */
export function accountEntryOf(row: EntryRow, balance = row.balance): AccountEntry {
  return {
    transfer_id: formatId('trf', row.transfer_id),
    position: Number(row.position),
    leg: row.leg,
    side: row.side,
    amount: formatMoney(row.amount, row.currency),
    balance: formatMoney(balance, row.currency),
    effective_date: row.effective_date,
    created_at: row.created_at,
    ...(row.description === null ? {} : { description: row.description }),
    counterparties: row.counterparties.map((id) => formatId('acc', id)),
    ...(row.reverses_leg === null ? {} : { reverses_leg: row.reverses_leg }),
  };
}

/** The place of an entry, for a cursor. */
export function placeOf(row: EntryRow): Place {
  return { effective_date: row.effective_date, position: Number(row.position), leg: row.leg };
}

/** Schema of a place in a cursor. Whether its date exists is for `checkPlace`. */
export const PlaceContent = Type.Object(
  {
    effective_date: IsoDate,
    position: Position,
    leg: Type.Integer({ minimum: 0, maximum: 32_767 }),
  },
  { additionalProperties: false },
);

/** Throws `malformed_request` for a place whose date does not exist. */
export function checkPlace(place: Place | undefined): void {
  if (place !== undefined) dayOf(place.effective_date, '?cursor');
}

const AccountRow = Type.Object({
  currency: Type.String(),
  normal_side: Side,
  credit_limit: Type.Union([Type.BigInt(), Type.Null()]),
  debits_posted: Type.BigInt(),
  credits_posted: Type.BigInt(),
  debits_pending: Type.BigInt(),
  credits_pending: Type.BigInt(),
});
export type AccountRow = Static<typeof AccountRow>;

/** What reports need of an account. Throws `account_not_found`. */
export async function getAccountRow(tx: Transaction, scope: Scope, account: string): Promise<AccountRow> {
  const [row] = await tx.rows(
    AccountRow,
    `select currency, normal_side, credit_limit, debits_posted, credits_posted, debits_pending, credits_pending
     from ledger.accounts where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, account],
  );
  if (row === undefined)
    throw refuse('account_not_found', `There is no account ${formatId('acc', account)}.`);
  return row;
}

const Filters = Type.Object(
  {
    side: Type.Optional(Side),
    effective_from: Type.Optional(IsoDate),
    effective_to: Type.Optional(IsoDate),
    created_from: Type.Optional(Timestamp),
    created_to: Type.Optional(Timestamp),
    from_position: Type.Optional(Position),
    to_position: Type.Optional(Position),
  },
  { additionalProperties: false },
);
/** A cursor belongs to one account's list. */
const KeptFilters = Type.Object(
  { ...Filters.properties, account_id: Id('acc') },
  { additionalProperties: false },
);
const Content = Type.Object({ filters: KeptFilters, after: PlaceContent }, { additionalProperties: false });
const isContent = (content: unknown): content is CursorContent<Static<typeof KeptFilters>, Place> =>
  Check(Content, content);

export const ListEntriesQuery = Type.Object(
  { ...Filters.properties, ...minPositionQuery, ...pageQuery },
  { additionalProperties: false },
);

/** Entries of an account, newest first. Throws `account_not_found`. */
export async function listEntries(
  tx: Transaction,
  scope: Scope,
  account: string,
  query: Omit<Static<typeof ListEntriesQuery>, 'min_position'>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(
    isContent,
    { ...given, account_id: formatId('acc', account) },
    { ...(limit === undefined ? {} : { limit }), ...(cursor === undefined ? {} : { cursor }) },
  );
  checkPlace(page.after);
  await getAccountRow(tx, scope, account);
  const { side, effective_from, effective_to, created_from, created_to, from_position, to_position } =
    page.filters;
  // Times and positions have one order, so that a bound of time is one of position.
  const positions_from = [from_position ?? 0];
  if (created_from !== undefined) {
    positions_from.push(1 + (await positionBefore(tx, scope, instantOf(created_from, '?created_from'))));
  }
  const positions_to = [to_position ?? Number.MAX_SAFE_INTEGER];
  if (created_to !== undefined) {
    positions_to.push(await positionAt(tx, scope, instantOf(created_to, '?created_to')));
  }
  const range: EntryRange = {
    side,
    from_position: Math.max(...positions_from),
    to_position: Math.min(...positions_to),
    effective_from: effective_from === undefined ? undefined : dayOf(effective_from, '?effective_from'),
    effective_before: effective_to === undefined ? undefined : dayAfter(dayOf(effective_to, '?effective_to')),
  };
  const rows = await fetchEntries(tx, scope, account, range, {
    order: 'newest',
    after: page.after,
    limit: page.limit + 1,
  });
  return pageOf(rows, page, (row) => accountEntryOf(row), placeOf);
}
