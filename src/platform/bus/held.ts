/** Events that consumers could not take: seeing them, letting them be tried again, and replaying what was taken. */
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type CursorContent, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Scope, Transaction } from '../db.ts';
import { Text } from '../http.ts';
import { formatId, Id } from '../ids.ts';
import { refuse } from './errors.ts';
import { subjectOf } from './event.ts';

export const ConsumerName = Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$', examples: ['webhooks'] });
const State = Type.Union([Type.Literal('retrying'), Type.Literal('waiting'), Type.Literal('parked')], {
  description:
    'retrying: it failed and is tried again; waiting: behind one of its aggregate; parked: until redriven',
});

export const HeldEvent = Type.Object({
  consumer: ConsumerName,
  event_id: Id('evt'),
  type: Type.String(),
  subject: Type.String(),
  sequence: Type.Integer({ minimum: 1 }),
  state: State,
  attempts: Type.Integer({ minimum: 0 }),
  next_attempt_at: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  reason: Type.Union([Type.String(), Type.Null()], { description: 'Why the last attempt failed' }),
  held_at: Type.String({ format: 'date-time' }),
});
export type HeldEvent = Static<typeof HeldEvent>;

export const ListHeldQuery = Type.Object(
  { consumer: Type.Optional(ConsumerName), state: Type.Optional(State), ...pageQuery },
  { additionalProperties: false },
);

const Row = Type.Object({
  consumer: Type.String(),
  event_id: Type.String(),
  type: Type.String(),
  aggregatetype: Type.String(),
  aggregateid: Type.String(),
  sequence: Type.BigInt(),
  state: State,
  attempts: Type.Integer(),
  next_attempt_at: Type.String(),
  reason: Type.Union([Type.String(), Type.Null()]),
  held_at: Type.String(),
});

const columns = `consumer, event_id, event ->> 'type' as type, event ->> 'aggregatetype' as aggregatetype, aggregateid,
  sequence, state, attempts, next_attempt_at, reason, held_at`;

function heldOf(row: Static<typeof Row>): HeldEvent {
  const { consumer, state, type, attempts, reason, held_at } = row;
  return {
    consumer,
    event_id: formatId('evt', row.event_id),
    type,
    subject: subjectOf(row),
    sequence: Number(row.sequence),
    state,
    attempts,
    next_attempt_at: state === 'parked' ? null : row.next_attempt_at,
    reason,
    held_at,
  };
}

const Place = Type.Tuple([Type.Integer({ minimum: 0 }), ConsumerName]);
const content = Compile(
  Type.Object({
    filters: Type.Object({ consumer: Type.Optional(ConsumerName), state: Type.Optional(State) }),
    after: Place,
  }),
);
interface Filters {
  consumer?: string | undefined;
  state?: Static<typeof State> | undefined;
}
const isContent = (value: unknown): value is CursorContent<Filters, Static<typeof Place>> =>
  content.Check(value);

export async function listHeld(tx: Transaction, scope: Scope, query: Static<typeof ListHeldQuery>) {
  const { consumer, state } = query;
  const page = readPage(isContent, { consumer, state }, query);
  const rows = await tx.rows(
    Row,
    `select ${columns} from platform.held_events
     where tenant_id = $1 and environment = $2 and ($3::text is null or consumer = $3)
       and ($4::text is null or state = $4)
       and ($5::bigint is null or (sequence, consumer) < ($5, $6))
     order by sequence desc, consumer desc limit $7`,
    [
      scope.tenant_id,
      scope.environment,
      page.filters.consumer ?? null,
      page.filters.state ?? null,
      page.after?.[0] ?? null,
      page.after?.[1] ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, heldOf, (row) => [Number(row.sequence), row.consumer]);
}

export async function getHeld(
  tx: Transaction,
  scope: Scope,
  consumer: string,
  event_id: string,
): Promise<HeldEvent> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from platform.held_events
     where tenant_id = $1 and environment = $2 and consumer = $3 and event_id = $4`,
    [scope.tenant_id, scope.environment, consumer, event_id],
  );
  if (row === undefined) {
    throw refuse('held_event_not_found', `${consumer} holds no event ${formatId('evt', event_id)}.`);
  }
  return heldOf(row);
}

/** Lets a held event be tried again at once. Its attempts are counted anew. */
export async function redrive(
  tx: Transaction,
  scope: Scope,
  consumer: string,
  event_id: string,
): Promise<HeldEvent> {
  await tx.run(
    `update platform.held_events set state = 'retrying', attempts = 0, next_attempt_at = clock_timestamp()
     where tenant_id = $1 and environment = $2 and consumer = $3 and event_id = $4 and state <> 'waiting'`,
    [scope.tenant_id, scope.environment, consumer, event_id],
  );
  return getHeld(tx, scope, consumer, event_id);
}

export const DiscardRequest = Type.Object(
  {
    reason: Text({
      min: 1,
      max: 1_000,
      description: 'Why it is given up, for whoever reads the audit trail later',
    }),
  },
  { additionalProperties: false },
);

const DiscardedRow = Type.Object({ discarded: Type.Boolean() });

/**
 * Gives up an event that failed: it never takes effect, and those of its aggregate that wait behind it go on. Answers it as
 * it was held.
 */
export async function discard(
  tx: Transaction,
  scope: Scope,
  consumer: string,
  event_id: string,
): Promise<HeldEvent> {
  const held = await getHeld(tx, scope, consumer, event_id);
  const [row] = await tx.rows(DiscardedRow, 'select platform.discard_held_event($1, $2) as discarded', [
    consumer,
    event_id,
  ]);
  if (row?.discarded === true) return held;
  // It took effect meanwhile, or it waits.
  const now = await getHeld(tx, scope, consumer, event_id);
  throw refuse(
    'held_event_waiting',
    `${now.event_id} waits behind another of ${now.subject} and has not been tried: discard or redrive the one that failed.`,
  );
}

export const ReplayRequest = Type.Object(
  {
    from_sequence: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
    from_time: Type.Optional(Type.String({ format: 'date-time', description: 'When the first was carried' })),
    until_sequence: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'The last; absent: the newest',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
);

const MOST_REPLAYED = 100_000;
const CountRow = Type.Object({ events: Type.BigInt() });

/**
 * Lets a consumer receive events again, although they have taken effect: what it makes of them must bear that. They queue
 * aggregate by aggregate in their order, later ones behind them. Says how many they are.
 */
export async function replay(
  tx: Transaction,
  scope: Scope,
  consumer: string,
  request: Static<typeof ReplayRequest>,
): Promise<number> {
  const known = await tx.run('select from platform.consumer_offsets where consumer = $1', [consumer]);
  if (known === 0) throw refuse('consumer_not_found', `Nothing consumes events as ${consumer}.`);
  const chosen = `tenant_id = $1 and environment = $2 and sequence >= coalesce($3::bigint, 0)
    and ($4::timestamptz is null or carried_at >= $4) and ($5::bigint is null or sequence <= $5)`;
  const bounds = [
    scope.tenant_id,
    scope.environment,
    request.from_sequence ?? null,
    request.from_time ?? null,
    request.until_sequence ?? null,
  ];
  const [count] = await tx.rows(
    CountRow,
    `select count(*) as events from (select from platform.events where ${chosen} limit ${MOST_REPLAYED + 1}) e`,
    bounds,
  );
  if (Number(count?.events ?? 0n) > MOST_REPLAYED) {
    throw refuse('replay_too_large', `There are more than ${MOST_REPLAYED} events from there.`);
  }
  return tx.run(
    `insert into platform.held_events (tenant_id, environment, consumer, event_id, sequence, aggregateid, event, state, replayed)
     select tenant_id, environment, $6, id, sequence, aggregateid,
       jsonb_build_object('id', id, 'tenant_id', tenant_id, 'environment', environment, 'sequence', sequence,
         'time', time, 'type', type, 'source', source, 'aggregatetype', aggregatetype, 'aggregateid', aggregateid,
         'position', position, 'payload', payload, 'traceparent', traceparent),
       'waiting', true
     from platform.events where ${chosen}
     on conflict (tenant_id, environment, consumer, event_id) do nothing`,
    [...bounds, consumer],
  );
}
