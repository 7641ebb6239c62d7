/**
 * Closing the books up to a day: nothing effective on or before it is posted any more. `ledger.post` reads the day with the
 * head that it locks; whoever closes holds the head, too, so that a posting comes before a closing or after it.
 */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import { Check, Parse } from 'typebox/value';
import type { Caller } from '../../platform/access/caller.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { IsoDate, PeriodClose, PeriodCloseHash, Position } from './contract.ts';
import { dayOf } from './day.ts';
import { refuse } from './errors.ts';
import { addEvent, createOnce, lockHead } from './once.ts';
import { readTrialBalance, TrialBalance } from './trial-balance.ts';

export const CloseRequest = Type.Object(
  { through: Type.String({ ...IsoDate, description: 'The last day that is closed; before today (UTC)' }) },
  { additionalProperties: false },
);
export const ReopenRequest = Type.Object(
  { reason: Text({ min: 1, max: 500, description: 'Why, for the auditor' }) },
  { additionalProperties: false },
);

const { lines, totals } = TrialBalance.properties;

export const PeriodCloseInFull = Type.Object({
  ...PeriodClose.properties,
  hash: PeriodCloseHash,
  trial_balance: Type.Object({ lines, totals }, { description: 'As it was when the period was closed' }),
  now: Type.Object(
    {
      hash: PeriodCloseHash,
      position: Position,
      unchanged: Type.Boolean({ description: 'Whether the trial balance of that day is still the same' }),
    },
    { description: 'The trial balance of that day, computed anew from all entries' },
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  through: Type.String(),
  previous_through: Nullable,
  position: Type.BigInt(),
  closed_at: Type.String(),
  closed_by: Type.String(),
  hash: Nullable,
  reopened_at: Nullable,
  reopened_by: Nullable,
  reopen_reason: Nullable,
});

const columns = `p.id, p.through, p.previous_through, p.position, p.closed_at, p.closed_by, encode(p.hash, 'hex') as hash,
  p.reopened_at, p.reopened_by, p.reopen_reason`;

function closeOf({ id, position, ...row }: Static<typeof Row>): PeriodClose {
  const { through, closed_at, closed_by, previous_through, hash, reopened_at, reopened_by, reopen_reason } =
    row;
  return {
    id: formatId('pcl', id),
    through,
    ...(previous_through === null ? {} : { previous_through }),
    position: Number(position),
    closed_at,
    closed_by,
    ...(hash === null ? {} : { hash }),
    ...(reopened_at === null ? {} : { reopened_at }),
    ...(reopened_by === null ? {} : { reopened_by }),
    ...(reopen_reason === null ? {} : { reopen_reason }),
  };
}

async function getRow(tx: Transaction, scope: Scope, uuid: string): Promise<Static<typeof Row>> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from ledger.period_closes p where p.tenant_id = $1 and p.environment = $2 and p.id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse('period_close_not_found', `There is no closing ${formatId('pcl', uuid)}.`);
  }
  return row;
}

/** The trial balance of a day as it is kept and compared. */
async function balanceOf(tx: Transaction, scope: Scope, through: string) {
  const { head, trialBalance } = await readTrialBalance(tx, scope, { effective_on: through });
  const kept = { lines: trialBalance.lines, totals: trialBalance.totals };
  const compared = { lines: kept.lines.map((line) => ({ ...line, name: undefined })), totals: kept.totals };
  return { head, kept, hash: createHash('sha256').update(canonicalRequest(compared)).digest('hex') };
}

/** Keeps the trial balance with a closing, unless it is there: of a closed day it is the same whenever it is read. */
async function completeClose(books: Books, scope: Scope, uuid: string): Promise<PeriodClose> {
  const before = await books.db.read(scope, (tx) => getRow(tx, scope, uuid));
  // What was reopened may have changed since.
  if (before.hash !== null || before.reopened_at !== null) return closeOf(before);
  const { kept, hash } = await books.db.read(scope, (tx) => balanceOf(tx, scope, before.through));
  return books.db.write(scope, async (tx) => {
    await tx.run(
      `update ledger.period_closes set lines = $4, totals = $5, hash = decode($6, 'hex')
       where tenant_id = $1 and environment = $2 and id = $3 and hash is null and reopened_at is null`,
      [
        scope.tenant_id,
        scope.environment,
        uuid,
        JSON.stringify(kept.lines),
        JSON.stringify(kept.totals),
        hash,
      ],
    );
    return closeOf(await getRow(tx, scope, uuid));
  });
}

/** Adds the event of a step, without what only the auditor reads. */
async function tell(
  tx: Transaction,
  scope: Scope,
  type: 'ledger.period.closed' | 'ledger.period.reopened',
  uuid: string,
): Promise<void> {
  const { hash: _, reopen_reason: __, ...data } = closeOf(await getRow(tx, scope, uuid));
  await addEvent(tx, scope, { id: newUuid(), type, subject: uuid, data });
}

const HeadRow = Type.Object({ closed_through: Nullable, today: Type.String(), position: Type.BigInt() });

/** Closes the books up to a day, once for each idempotency key. */
export async function closePeriod(
  books: Books,
  caller: Caller,
  { through: asked }: Static<typeof CloseRequest>,
  attempt: Attempt,
): Promise<{ close: PeriodClose; replayed: boolean }> {
  const through = dayOf(asked, '/through');
  const request = canonicalRequest({ through });
  const { id, replayed } = await createOnce(books.db, caller, { ...attempt, request }, async (tx) => {
    const [head] = await tx.rows(
      HeadRow,
      `select h.closed_through, h.position,
         (greatest(platform.now_of(h.tenant_id, h.environment), h.recorded_at) at time zone 'UTC')::date as today
       from ledger.heads h where h.tenant_id = $1 and h.environment = $2`,
      [caller.tenant_id, caller.environment],
    );
    if (head === undefined) throw new Error('the head that was locked is not there');
    const { closed_through, today, position } = head;
    if (through >= today) {
      throw refuse('period_close_invalid', `${through} is not over: it is ${today}.`, { today });
    }
    if (closed_through !== null && through <= closed_through) {
      throw refuse('period_close_invalid', `The books are closed through ${closed_through} already.`, {
        closed_through,
      });
    }
    const uuid = newUuid();
    await tx.run(
      `with head as (
         update ledger.heads set closed_through = $4 where tenant_id = $1 and environment = $2)
       insert into ledger.period_closes (tenant_id, environment, id, through, previous_through, position, closed_by)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        through,
        closed_through,
        position,
        (caller.on_behalf_of ?? caller.principal).id,
      ],
    );
    await tell(tx, caller, 'ledger.period.closed', uuid);
    return uuid;
  });
  return { close: await completeClose(books, caller, id), replayed };
}

/** Reopens the last period that was closed. What is reopened already stays so. */
export async function reopenPeriod(
  books: Books,
  caller: Caller,
  uuid: string,
  { reason }: Static<typeof ReopenRequest>,
): Promise<{ before: PeriodClose; after: PeriodClose }> {
  // The auditor sees what it was, whatever becomes of it.
  await completeClose(books, caller, uuid);
  return books.db.write(caller, async (tx) => {
    await lockHead(tx, caller);
    const before = await getRow(tx, caller, uuid);
    if (before.reopened_at !== null) return { before: closeOf(before), after: closeOf(before) };
    const [later] = await tx.rows(
      Row,
      `select ${columns} from ledger.period_closes p
       where p.tenant_id = $1 and p.environment = $2 and p.reopened_at is null and p.through > $3
       order by p.through desc limit 1`,
      [caller.tenant_id, caller.environment, before.through],
    );
    if (later !== undefined) {
      throw refuse('period_not_last', `The books are closed through ${later.through}: reopen that first.`, {
        closed_through: later.through,
      });
    }
    await tx.run('update ledger.heads set closed_through = $3 where tenant_id = $1 and environment = $2', [
      caller.tenant_id,
      caller.environment,
      before.previous_through,
    ]);
    await tx.run(
      `update ledger.period_closes set reopened_at = now(), reopened_by = $4, reopen_reason = $5
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, (caller.on_behalf_of ?? caller.principal).id, reason],
    );
    await tell(tx, caller, 'ledger.period.reopened', uuid);
    return { before: closeOf(before), after: closeOf(await getRow(tx, caller, uuid)) };
  });
}

const KeptRow = Type.Object({ lines: Type.Unknown(), totals: Type.Unknown() });

/** A closing with the trial balance of then, and whether that of the same day is still the same. */
export async function getPeriodClose(
  books: Books,
  scope: Scope,
  uuid: string,
): Promise<Static<typeof PeriodCloseInFull>> {
  const close = await completeClose(books, scope, uuid);
  return books.db.read(scope, async (tx) => {
    const [row] = await tx.rows(
      KeptRow,
      'select lines, totals from ledger.period_closes where tenant_id = $1 and environment = $2 and id = $3',
      [scope.tenant_id, scope.environment, uuid],
    );
    const now = await balanceOf(tx, scope, close.through);
    const isKept = close.hash !== undefined;
    const hash = close.hash ?? now.hash;
    return {
      ...close,
      hash,
      trial_balance: isKept
        ? {
            lines: Parse(lines, row?.lines),
            totals: Parse(totals, row?.totals),
          }
        : now.kept,
      now: { hash: now.hash, position: now.head, unchanged: isKept && now.hash === hash },
    };
  });
}

const NoFilters = Type.Object({}, { additionalProperties: false });
const Content = Type.Object(
  { filters: NoFilters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof NoFilters>, string> =>
  Check(Content, content);

export const ListPeriodClosesQuery = Type.Object(pageQuery, { additionalProperties: false });

/** Closings, newest first. */
export async function listPeriodCloses(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof ListPeriodClosesQuery>,
) {
  const page = readPage(isContent, {}, query);
  const rows = await tx.rows(
    Row,
    `select ${columns} from ledger.period_closes p
     where p.tenant_id = $1 and p.environment = $2 and ($3::uuid is null or p.id < $3)
     order by p.id desc limit $4`,
    [scope.tenant_id, scope.environment, page.after ?? null, page.limit + 1],
  );
  return pageOf(rows, page, closeOf, ({ id }) => id);
}
