/** The event feed: what was carried, to be read from any place on, without gaps. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Caller } from '../access/caller.ts';
import { type CursorContent, cursorOf, pageQuery, readPage } from '../cursor.ts';
import type { Database, Transaction } from '../db.ts';
import { formatId, type IdPrefix, parseId } from '../ids.ts';
import { refuse } from './errors.ts';
import { type Event, EventRow, eventOf, prefixOfAggregate } from './event.ts';

const Sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const filters = {
  type: Type.Optional(
    Type.String({
      pattern: '^[a-z_]+(\\.[a-z_]+){0,4}(\\.\\*)?$',
      maxLength: 100,
      description: 'A type, or all that begin alike',
      examples: ['ledger.transfer.posted', 'ledger.*'],
    }),
  ),
  subject: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'Id or name of what they are about' }),
  ),
};
export const After = Type.Optional(
  Type.Integer({
    ...Sequence,
    description: 'Sequence after which to begin, oldest first; 0 for all that are kept',
  }),
);

export const ListEventsQuery = Type.Object(
  { ...filters, after: After, ...pageQuery },
  { additionalProperties: false },
);

interface Filters {
  type?: string | undefined;
  subject?: string | undefined;
  after?: number | undefined;
}

const content = Compile(
  Type.Object({
    filters: Type.Object({ type: filters.type, subject: filters.subject, after: Type.Optional(Sequence) }),
    after: Sequence,
  }),
);
const isContent = (value: unknown): value is CursorContent<Filters, number> => content.Check(value);

const columns = `tenant_id, environment, sequence, log_offset, partition, id, time, type, source, aggregatetype, aggregateid,
  position, payload, traceparent`;

/** How the thing that a public id names is known inside. */
function aggregateIdOf(subject: string): string {
  const prefixes: readonly IdPrefix[] = Object.values(prefixOfAggregate);
  return prefixes.map((prefix) => parseId(prefix, subject)).find((uuid) => uuid !== undefined) ?? subject;
}

/** Conditions of the filters, from parameter $3 to $5 on. */
const wanted = `tenant_id = $1 and environment = $2 and ($3::text is null or type = $3)
  and ($4::text is null or starts_with(type, $4)) and ($5::text is null or aggregateid = $5)`;

function parametersOf(caller: Caller, { type, subject }: Filters): unknown[] {
  const isPrefix = type?.endsWith('.*') === true;
  return [
    caller.tenant_id,
    caller.environment,
    type === undefined || isPrefix ? null : type,
    type !== undefined && isPrefix ? type.slice(0, -1) : null,
    subject === undefined ? null : aggregateIdOf(subject),
  ];
}

const HeadRow = Type.Object({ sequence: Type.BigInt(), forgotten: Type.BigInt(), oldest: Type.BigInt() });

/** The sequence of the newest event. Refuses a place of which events are kept no more. */
async function headFrom(tx: Transaction, caller: Caller, after: number | undefined): Promise<number> {
  const [head] = await tx.rows(
    HeadRow,
    // The emptying of a sandbox takes events away, too, and the sequence goes on after it.
    `select h.sequence, h.forgotten, coalesce((select min(e.sequence) from platform.events e
       where e.tenant_id = $1 and e.environment = $2), h.sequence + 1) as oldest
     from platform.event_heads h where h.tenant_id = $1 and h.environment = $2`,
    [caller.tenant_id, caller.environment],
  );
  const forgotten = Math.max(Number(head?.forgotten ?? 0n), Number(head?.oldest ?? 1n) - 1);
  if (after !== undefined && after > 0 && after < forgotten) {
    throw refuse(
      'events_forgotten',
      `Events up to ${forgotten} are kept no more: what came after ${after} cannot be told without a gap.`,
      { oldest_sequence: forgotten + 1 },
    );
  }
  return Number(head?.sequence ?? 0n);
}

/** Events after a place, oldest first. */
export async function eventsAfter(
  tx: Transaction,
  caller: Caller,
  chosen: Filters,
  after: number,
  limit: number,
): Promise<Event[]> {
  await headFrom(tx, caller, after);
  const rows = await tx.rows(
    EventRow,
    `select ${columns} from platform.events where ${wanted} and sequence > $6 order by sequence limit $7`,
    [...parametersOf(caller, chosen), after, limit],
  );
  return rows.map(eventOf);
}

/** Where a stream begins that names no place: with what comes from now on. */
export function newestSequence(db: Database, caller: Caller): Promise<number> {
  return db.read(caller, (tx) => headFrom(tx, caller, undefined));
}

export async function listEvents(
  tx: Transaction,
  caller: Caller,
  query: Static<typeof ListEventsQuery>,
): Promise<{ data: Event[]; next_cursor: string | null }> {
  const { type, subject, after } = query;
  const page = readPage(isContent, { type, subject, after }, query);
  if (page.filters.after !== undefined) {
    const place = page.after ?? page.filters.after;
    const data = await eventsAfter(tx, caller, page.filters, place, page.limit);
    // There is always another page: of what comes later.
    return { data, next_cursor: cursorOf(page.filters, data.at(-1)?.sequence ?? place) };
  }
  const rows = await tx.rows(
    EventRow,
    `select ${columns} from platform.events where ${wanted} and ($6::bigint is null or sequence < $6)
     order by sequence desc limit $7`,
    [...parametersOf(caller, page.filters), page.after ?? null, page.limit + 1],
  );
  const data = rows.slice(0, page.limit).map(eventOf);
  const last = data.at(-1);
  return {
    data,
    next_cursor:
      rows.length > page.limit && last !== undefined ? cursorOf(page.filters, last.sequence) : null,
  };
}

export async function getEvent(tx: Transaction, caller: Caller, id: string): Promise<Event> {
  const [row] = await tx.rows(
    EventRow,
    `select ${columns} from platform.events where tenant_id = $1 and environment = $2 and id = $3`,
    [caller.tenant_id, caller.environment, id],
  );
  if (row === undefined) {
    throw refuse('event_not_found', `There is no event ${formatId('evt', id)} in ${caller.environment}.`);
  }
  return eventOf(row);
}
