/** The statement of an account: what it stood at, what was posted in a period, what it came to. */
import { stringify } from 'csv-stringify/sync';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { redactorOf } from '../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { formatId, Id } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import { Account, IsoDate, Position } from './contract.ts';
import { dayAfter, dayOf } from './day.ts';
import { refuse } from './errors.ts';
import { AsOf, headPosition, minPositionQuery, positionBefore } from './position.ts';
import {
  AccountEntry,
  type AccountRow,
  accountEntryOf,
  balanceAt,
  checkPlace,
  type EntryRange,
  type EntryRow,
  fetchEntries,
  getAccountRow,
  netOf,
  type Place,
  PlaceContent,
  placeOf,
  sumEntries,
  sumHalf,
} from './read-entries.ts';

const By = Type.Union([Type.Literal('effective'), Type.Literal('recorded')], {
  default: 'effective',
  description:
    'Which date of an entry counts and orders: its effective date, or the day it was recorded, which begins at midnight UTC',
});

const Period = Type.Object(
  {
    from: Type.String({ ...IsoDate, description: 'First day' }),
    to: Type.String({ ...IsoDate, description: 'Last day' }),
    by: Type.Optional(By),
  },
  { additionalProperties: false },
);
type Period = Static<typeof Period>;

export const StatementQuery = Type.Object(
  {
    ...Period.properties,
    ...minPositionQuery,
    ...pageQuery,
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        default: 100,
        description: 'Entries on a page of JSON; CSV and PDF always have all',
      }),
    ),
    format: Type.Optional(
      Type.Union([Type.Literal('json'), Type.Literal('csv'), Type.Literal('pdf')], {
        description: 'Instead of the `Accept` header: csv is the same as text/csv, pdf as application/pdf',
      }),
    ),
  },
  { additionalProperties: false },
);
export type StatementQuery = Static<typeof StatementQuery>;

const { properties } = Account;

export const Statement = Type.Object({
  account_id: properties.id,
  currency: properties.currency,
  normal_side: properties.normal_side,
  from: IsoDate,
  to: IsoDate,
  by: By,
  as_of: AsOf,
  opening_balance: Type.Object(properties.balance.properties, {
    description: 'Balance on the normal side before the first entry of the period',
  }),
  debits: Type.Object(properties.balance.properties, { description: 'All debits of the period' }),
  credits: Type.Object(properties.balance.properties, { description: 'All credits of the period' }),
  closing_balance: Type.Object(properties.balance.properties, {
    description: 'Balance after the last entry of the period, on this page or not',
  }),
  data: Type.Array(AccountEntry, {
    description: 'Entries, oldest first; `balance` runs in the order of the statement',
  }),
  next_cursor: Type.Union([Type.String(), Type.Null()], { description: 'Null on the last page' }),
});
export type Statement = Static<typeof Statement>;

/** A cursor belongs to the statement of one account, as it was when its first page was read. */
const KeptFilters = Type.Object(
  {
    account_id: Id('acc'),
    from: IsoDate,
    to: IsoDate,
    by: By,
    position: Type.Optional(Position),
  },
  { additionalProperties: false },
);
const Content = Type.Object({ filters: KeptFilters, after: PlaceContent }, { additionalProperties: false });
const isContent = (content: unknown): content is CursorContent<Static<typeof KeptFilters>, Place> =>
  Check(Content, content);

/** An account's period, with all that was recorded up to a position. */
interface Book {
  uuid: string;
  account: AccountRow;
  by: 'effective' | 'recorded';
  range: EntryRange;
  /** Minor units on the normal side. */
  opening: bigint;
}

function checkedPeriod({ from, to, by = 'effective' }: Period) {
  const period = { from: dayOf(from, '?from'), to: dayOf(to, '?to'), by };
  if (from > to) throw refuse('period_invalid', `The period begins on ${from} and ends on ${to}.`);
  return period;
}

async function openBook(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  { from, to, by }: Required<Period>,
  position: number,
): Promise<Book> {
  const account = await getAccountRow(tx, scope, uuid);
  if (by === 'recorded') {
    const before = await positionBefore(tx, scope, `${from}T00:00:00Z`);
    const last = await positionBefore(tx, scope, `${dayAfter(to)}T00:00:00Z`);
    return {
      uuid,
      account,
      by,
      range: { from_position: before + 1, to_position: Math.min(last, position) },
      opening: await balanceAt(tx, scope, uuid, before),
    };
  }
  const { half, ...sums } = await sumHalf(tx, scope, uuid, from, position);
  const net = netOf(account.normal_side, sums);
  return {
    uuid,
    account,
    by,
    range: { effective_from: from, effective_before: dayAfter(to), to_position: position },
    opening: half === 'before' ? net : (await balanceAt(tx, scope, uuid, position)) - net,
  };
}

/** The rows, each with the balance that it leaves when those before it, in their order, left `balance`. */
function withBalances(side: 'debit' | 'credit', rows: readonly EntryRow[], balance: bigint) {
  let running = balance;
  return rows.map((row) => {
    running += row.side === side ? row.amount : -row.amount;
    return { row, balance: running };
  });
}

/** A page of a statement, and the last position of the snapshot. Throws `account_not_found`, `period_invalid`. */
export async function readStatement(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  query: StatementQuery,
): Promise<{ head: number; statement: Statement }> {
  const period = checkedPeriod(query);
  const { limit = 100, cursor } = query;
  const page = readPage(
    isContent,
    { account_id: formatId('acc', uuid), ...period },
    { limit, ...(cursor === undefined ? {} : { cursor }) },
  );
  const head = await headPosition(tx, scope, query.min_position);
  const position = page.filters.position ?? head;
  if (position > head) {
    throw refuseRequest('malformed_cursor', 'The cursor is not one that this list gave out.');
  }
  checkPlace(page.after);
  const { account, range, opening } = await openBook(tx, scope, uuid, period, position);
  const { currency, normal_side } = account;
  const sums = await sumEntries(tx, scope, uuid, range, { order: period.by, through: page.after });
  const rows = await fetchEntries(tx, scope, uuid, range, {
    order: period.by,
    after: page.after,
    limit: page.limit + 1,
  });
  const carried =
    opening + netOf(normal_side, { debits: sums.debits_through, credits: sums.credits_through });
  const { data, next_cursor } = pageOf(
    withBalances(normal_side, rows, carried),
    { limit: page.limit, filters: { ...page.filters, position } },
    ({ row, balance }) => accountEntryOf(row, balance),
    ({ row }) => placeOf(row),
  );
  const money = (minor: bigint) => formatMoney(minor, currency);
  return {
    head,
    statement: {
      account_id: formatId('acc', uuid),
      currency,
      normal_side,
      ...period,
      as_of: { position },
      opening_balance: money(opening),
      debits: money(sums.debits),
      credits: money(sums.credits),
      closing_balance: money(opening + netOf(normal_side, sums)),
      data,
      next_cursor,
    },
  };
}

const columns = [
  'line',
  'effective_date',
  'created_at',
  'position',
  'leg',
  'transfer_id',
  'description',
  'counterparties',
  'debit',
  'credit',
  'balance',
  'currency',
] as const;
type Line = Partial<Record<(typeof columns)[number], string | number>>;

/** RFC 4180. What a caller wrote cannot become a formula of the spreadsheet that the file is opened with. */
function csvOf(lines: readonly unknown[], header: boolean): string {
  return stringify([...lines], {
    header,
    columns: [...columns],
    record_delimiter: '\r\n',
    quote_record_delimiter: true,
    cast: {
      string: (value, { column, header: isHeader }) =>
        column === 'description' && !isHeader ? { value, escape_formulas: true } : value,
    },
  });
}

/** The columns of a line that are fields of an entry are masked as those are. */
const redact = redactorOf(AccountEntry);

/** Entries read by one statement and kept in memory at a time. */
const BATCH = 1_000;

/** All entries of a statement, a batch at a time, and what they begin with and come to. */
export interface WholeStatement {
  /** The last position of the snapshot. */
  head: number;
  account_id: string;
  period: Required<Period>;
  account: AccountRow;
  range: EntryRange;
  /** Minor units; balances on the normal side. */
  opening: bigint;
  debits: bigint;
  credits: bigint;
  closing: bigint;
  /** The entries in the order of the statement, each with the balance that it leaves. */
  batches: () => AsyncGenerator<{ row: EntryRow; balance: bigint }[]>;
}

/**
 * A statement without pages. The snapshot is the position it was begun at, since what was recorded up to it never
 * changes: nothing is held open while a slow client reads.
 *
 * @param name of the form that it is asked in, for a refusal
 */
export async function wholeStatement(
  db: Database,
  caller: Caller,
  uuid: string,
  query: StatementQuery,
  name: 'CSV' | 'PDF',
): Promise<WholeStatement> {
  const period = checkedPeriod(query);
  if (query.cursor !== undefined) {
    throw refuseRequest('malformed_request', `A statement as ${name} has no cursors.`, {
      errors: [{ pointer: '?cursor', detail: `cannot stand beside ${name.toLowerCase()}` }],
    });
  }
  const { head, book, sums } = await db.read(caller, async (tx) => {
    const position = await headPosition(tx, caller, query.min_position);
    const opened = await openBook(tx, caller, uuid, period, position);
    return { head: position, book: opened, sums: await sumEntries(tx, caller, uuid, opened.range) };
  });
  const { account, range, opening } = book;
  const closing = opening + netOf(account.normal_side, sums);

  async function* batches(): AsyncGenerator<{ row: EntryRow; balance: bigint }[]> {
    let balance = opening;
    let after: Place | undefined;
    for (;;) {
      const place = after;
      const rows = await db.read(caller, (tx) =>
        fetchEntries(tx, caller, uuid, range, { order: period.by, after: place, limit: BATCH }),
      );
      const entries = withBalances(account.normal_side, rows, balance);
      yield entries;
      const last = entries.at(-1);
      if (last !== undefined) {
        balance = last.balance;
        after = placeOf(last.row);
      }
      if (rows.length < BATCH) break;
    }
    if (balance !== closing) {
      throw new Error(`the entries of account ${uuid} come to ${balance}, and their sums to ${closing}`);
    }
  }
  const { debits, credits } = sums;
  return {
    head,
    account_id: formatId('acc', uuid),
    period,
    account,
    range,
    opening,
    debits,
    credits,
    closing,
    batches,
  };
}

/** What a statement is called as a file. */
export function statementName({ account_id, period }: WholeStatement, ending: 'csv' | 'pdf'): string {
  return `statement_${account_id}_${period.from}_${period.to}.${ending}`;
}

/** A statement as CSV, a piece at a time: the opening balance, the entries, the closing balance. */
export async function csvStatement(
  db: Database,
  caller: Caller,
  uuid: string,
  query: StatementQuery,
): Promise<{ head: number; filename: string; pieces: AsyncGenerator<string> }> {
  const whole = await wholeStatement(db, caller, uuid, query, 'CSV');
  const { currency } = whole.account;
  const amount = (minor: bigint) => formatMoney(minor, currency).amount;

  async function* pieces(): AsyncGenerator<string> {
    yield csvOf([{ line: 'opening', balance: amount(whole.opening), currency }], true);
    for await (const entries of whole.batches()) {
      const lines = entries.map(
        ({ row, balance }): Line => ({
          line: 'entry',
          effective_date: row.effective_date,
          created_at: row.created_at,
          position: Number(row.position),
          leg: row.leg,
          transfer_id: formatId('trf', row.transfer_id),
          ...(row.description === null ? {} : { description: row.description }),
          counterparties: row.counterparties.map((id) => formatId('acc', id)).join(' '),
          [row.side]: amount(row.amount),
          balance: amount(balance),
          currency,
        }),
      );
      yield csvOf(
        lines.map((line) => redact(line, caller, 'accounts:read')),
        false,
      );
    }
    yield csvOf([{ line: 'closing', balance: amount(whole.closing), currency }], false);
  }
  return { head: whole.head, filename: statementName(whole, 'csv'), pieces: pieces() };
}
