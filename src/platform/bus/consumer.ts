/**
 * Consuming events with the effect of once. An event is noted in the inbox in the commit of what it does, so that one that
 * comes again does nothing. One that fails is held and tried again later, and after too many attempts parked for somebody
 * to look at; it holds back its own aggregate only.
 */
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Database, Scope, Transaction } from '../db.ts';
import { formatId } from '../ids.ts';
import { Problem } from '../problem.ts';
import { readTraceparent } from '../trace/context.ts';
import type { Traces } from '../trace/span.ts';
import type { Bus } from './bus.ts';
import type { Event } from './event.ts';
import { openWaker } from './wake.ts';

/** What a service does about events of other services. */
export interface Consumer {
  /** Names it for good: what it has received is known by it. */
  name: string;
  /** Types it is told of, each in full or up to a dot and a star: `ledger.transfer.posted`, `ledger.*`, `*`. */
  types: readonly string[];
  /** Whether it begins with the oldest event there is, or with those that come after it was first started. */
  from: 'start' | 'now';
  /**
   * What an event does, by statements of this transaction alone: they and the note that it was received are one commit.
   * It is of the event's tenant and environment, and of the service's role. What it throws holds the event for later.
   */
  handle: (tx: Transaction, event: Event) => Promise<void>;
  /**
   * What `handle` does to each of these events, in their order, by fewer statements: for whoever has much to receive. They
   * are of one tenant and environment. When it throws nothing of it is kept, and each goes to `handle` by itself.
   */
  handleMany?: (tx: Transaction, events: readonly Event[]) => Promise<void>;
  /**
   * SQL function of (tenant_id uuid, environment platform.environment), owned as the tables are, that says whether anything
   * of theirs is wanted now, so that nothing is done about the events of the others. It may say yes too often, never no.
   */
  wants?: string;
  /** Attempts before an event is parked, and the wait after the first; it doubles each time, to ten minutes at most. */
  retry?: { attempts: number; first_wait_ms: number };
}

const DEFAULT_RETRY = { attempts: 10, first_wait_ms: 500 };
const LONGEST_WAIT_MS = 600_000;
/** How often held events are looked for that are due. */
const RETRY_EVERY_MS = 500;
const HELD_A_PASS = 200;

export interface Consuming {
  stop: () => Promise<void>;
  /** Held events may be due: some were redriven. */
  wake: () => void;
}

/** Whether events of a type are for who asked for these. */
export function isOfTypes(types: readonly string[], type: string): boolean {
  return types.some(
    (pattern) =>
      pattern === '*' ||
      pattern === type ||
      (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1))),
  );
}

const ReceivedRow = Type.Object({ event_id: Type.String(), held: Type.Boolean() });
const DueRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  event_id: Type.String(),
});
const HeldEvent = Type.Object({
  id: Type.String(),
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  sequence: Type.Integer(),
  time: Type.String(),
  type: Type.String(),
  source: Type.String(),
  aggregatetype: Type.String(),
  aggregateid: Type.String(),
  position: Type.Union([Type.Integer(), Type.Null()]),
  payload: Type.String(),
  traceparent: Type.Union([Type.String(), Type.Null()]),
});
const TakenRow = Type.Object({ event: HeldEvent, attempts: Type.Integer(), fresh: Type.Boolean() });

/** What a failure says. Of an error of the database its code only: its text may hold values of somebody's. */
function reasonOf(error: unknown): string {
  if (error instanceof Problem) return `${error.code}: ${error.message}`;
  if (error instanceof Error && 'code' in error && /^[0-9A-Z]{5}$/.test(String(error.code))) {
    return `The database refused it (SQLSTATE ${String(error.code)}). The server's log says why, under the id of the event.`;
  }
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Of each tenant and environment those that are its own, in their order: each is one transaction. */
function byScope(events: readonly Event[]): Event[][] {
  return [...Map.groupBy(events, ({ tenant_id, environment }) => `${tenant_id} ${environment}`).values()];
}

const receiving = {
  name: 'receive-events',
  text: 'select event_id, held from platform.receive_events($1, $2, $3)',
};

/**
 * Consumes from now on.
 *
 * @param db the service's own database, in which its effects are
 * @param platform the platform's, for what is due of any tenant
 */
export async function startConsumer(options: {
  consumer: Consumer;
  bus: Bus;
  db: Database;
  platform: Database;
  log: FastifyBaseLogger;
  traces: Traces;
}): Promise<Consuming> {
  const { consumer, bus, db, platform, log, traces } = options;
  const { name, types, handleMany } = consumer;
  const retry = consumer.retry ?? DEFAULT_RETRY;
  const waker = openWaker();
  const stopping = new AbortController();
  const { signal } = stopping;

  /** Does what an event does, at the place in a trace of what caused it. */
  function handle(tx: Transaction, event: Event): Promise<void> {
    const parent = readTraceparent(event.traceparent);
    // What was not traced when it happened is not traced from here on.
    if (parent === undefined) return consumer.handle(tx, event);
    const { tenant_id, environment } = event;
    return traces.record(
      `consume ${name}`,
      {
        parent,
        kind: 'consumer',
        attributes: {
          'messaging.consumer.group.name': name,
          'messaging.message.id': formatId('evt', event.id),
          'financialapi.event_type': event.type,
          'financialapi.tenant_id': formatId('ten', tenant_id),
          'financialapi.environment': environment,
        },
      },
      () => consumer.handle(tx, event),
    );
  }

  /** Does what events do, by one call where the consumer can. */
  async function handleAll(tx: Transaction, events: readonly Event[]): Promise<void> {
    if (handleMany === undefined || events.length < 2) {
      for (const event of events) await handle(tx, event);
      return;
    }
    const links = events
      .map(({ traceparent }) => readTraceparent(traceparent))
      .filter((place) => place !== undefined);
    const [parent] = links;
    if (parent === undefined) return handleMany(tx, events);
    const attributes = { 'messaging.consumer.group.name': name, 'financialapi.events': events.length };
    // As a batch of postings: part of the first one's trace, and linked with all of them.
    await traces.record(`consume ${name}`, { parent, links, kind: 'consumer', attributes }, () =>
      handleMany(tx, events),
    );
  }

  /** Notes the events as received, does what those do that are new, and holds those whose aggregate is held back. */
  async function take(tx: Transaction, events: readonly Event[]): Promise<void> {
    const received = await tx.rows(ReceivedRow, receiving, [
      name,
      events.map(({ id }) => id),
      events.map(({ aggregateid }) => aggregateid),
    ]);
    const isHeld = new Map(received.map(({ event_id, held }) => [event_id, held]));
    const fresh: Event[] = [];
    const behind: Event[] = [];
    for (const event of events) {
      const held = isHeld.get(event.id);
      if (held === undefined) continue;
      (held ? behind : fresh).push(event);
      // Kafka may hold an event twice, and both may come at once.
      isHeld.delete(event.id);
    }
    if (behind.length > 0) {
      await tx.run(
        `select platform.hold_event($1, e, 'waiting', 0, 0, null) from jsonb_array_elements($2::jsonb) e`,
        [name, JSON.stringify(behind)],
      );
    }
    await handleAll(tx, fresh);
  }

  /**
   * Holds an event after an attempt, for a while or for good. Throws where the database is away, which is nobody's fault:
   * what was delivered is delivered again.
   */
  async function hold(event: Event, attempts: number, error: unknown): Promise<void> {
    const parked = attempts >= retry.attempts;
    const wait_ms = Math.min(retry.first_wait_ms * 2 ** (attempts - 1), LONGEST_WAIT_MS);
    log[parked ? 'error' : 'warn'](
      { err: error, consumer: name, event_id: event.id, attempts, parked },
      parked ? 'an event is parked' : 'an event could not be consumed and will be tried again',
    );
    await db.write(event, (tx) =>
      tx.run('select platform.hold_event($1, $2, $3, $4, $5, $6)', [
        name,
        JSON.stringify(event),
        parked ? 'parked' : 'retrying',
        attempts,
        wait_ms,
        reasonOf(error),
      ]),
    );
  }

  async function deliver(all: readonly Event[]): Promise<void> {
    const events = all.filter(({ type }) => isOfTypes(types, type));
    for (const run of byScope(events)) {
      const [first] = run;
      if (first === undefined) continue;
      try {
        await db.write(first, (tx) => take(tx, run));
      } catch (error) {
        // One of them fails; each for itself then.
        log.debug({ err: error, consumer: name }, 'events are consumed one by one');
        for (const event of run) await deliverOne(event);
      }
    }
  }

  async function deliverOne(event: Event): Promise<void> {
    try {
      await db.write(event, (tx) => take(tx, [event]));
    } catch (error) {
      await hold(event, 1, error);
    }
  }

  async function retryOne(scope: Scope, event_id: string): Promise<boolean> {
    let held: Static<typeof TakenRow> | undefined;
    try {
      await db.write(scope, async (tx) => {
        [held] = await tx.rows(
          TakenRow,
          'select event, attempts, fresh from platform.take_held_event($1, $2)',
          [name, event_id],
        );
        if (held?.fresh === true && isOfTypes(types, held.event.type)) await handle(tx, held.event);
      });
      return held !== undefined;
    } catch (error) {
      if (held === undefined) throw error;
      await hold(held.event, held.attempts + 1, error);
      return false;
    }
  }

  /** Whether a held event took effect, so that the next of its aggregate may be due. */
  async function retryDue(): Promise<boolean> {
    const due = await platform.rows(DueRow, 'select * from platform.due_events($1, $2)', [name, HELD_A_PASS]);
    let taken = false;
    for (const { event_id, ...scope } of due) {
      if (signal.aborted) return false;
      taken = (await retryOne(scope, event_id)) || taken;
    }
    return taken;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const again = await retryDue().catch((error: unknown) => {
        if (!signal.aborted)
          log.warn({ err: error, consumer: name }, 'held events could not be tried again for now');
        return false;
      });
      if (!again && !signal.aborted) await waker.wait(RETRY_EVERY_MS);
    }
  }

  const { from, wants } = consumer;
  const subscription = await bus.subscribe({
    consumer: name,
    from,
    types,
    ...(wants === undefined ? {} : { wants }),
    deliver,
  });
  const retrying = run();
  return {
    wake: waker.wake,
    stop: async () => {
      stopping.abort();
      waker.wake();
      await Promise.all([subscription.stop(), retrying]);
    },
  };
}
