/** The event feed as a stream of server-sent events: the same events, as they come. Source: HTML, section 9.2. */
import type { FastifyBaseLogger } from 'fastify';
import type { Caller } from '../access/caller.ts';
import type { Database } from '../db.ts';
import { Problem } from '../problem.ts';
import type { EventCatalogue } from './catalogue.ts';
import type { Event } from './event.ts';
import { eventsAfter } from './feed.ts';
import type { Waker } from './wake.ts';

const BATCH = 100;
/** How often the caller's access is asked for anew, and a comment sent where there are no events: proxies end what is silent. */
const CHECK_MS = 2_000;
const HEARTBEAT_MS = 15_000;

function textOf(event: Event, catalogue: EventCatalogue, caller: Caller): string {
  return `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(catalogue.show(event, caller))}\n\n`;
}

/**
 * The events after a place as texts to send. Asks for the next when those before were taken: who reads slowly holds up
 * nobody and has nothing kept for them.
 *
 * @param options.recheck the caller as they are now; throws when they may no longer read
 * @param options.signal ends the stream after what is under way
 */
export async function* streamEvents(options: {
  db: Database;
  log: FastifyBaseLogger;
  catalogue: EventCatalogue;
  caller: Caller;
  filters: { type?: string | undefined; subject?: string | undefined };
  after: number;
  waker: Waker;
  recheck: () => Promise<Caller>;
  signal: AbortSignal;
}): AsyncGenerator<string> {
  const { db, log, catalogue, filters, waker, recheck, signal } = options;
  let { caller, after } = options;
  let checkedAt = performance.now();
  let sentAt = checkedAt;
  yield ': events follow\n\n';
  while (!signal.aborted) {
    try {
      if (performance.now() - checkedAt >= CHECK_MS) {
        caller = await recheck();
        checkedAt = performance.now();
      }
      const place = after;
      const events = await db.read(caller, (tx) => eventsAfter(tx, caller, filters, place, BATCH));
      const last = events.at(-1);
      if (last !== undefined) {
        after = last.sequence;
        // All at once: who took long over the last is asked for access before there are more.
        yield events.map((event) => textOf(event, catalogue, caller)).join('');
        sentAt = performance.now();
      }
      if (events.length === BATCH) continue;
    } catch (error) {
      // Away for a moment: the client comes again with the last id it saw. Not let in any more: it will be told why.
      if (!(error instanceof Problem)) log.warn({ err: error }, 'a stream of events ended');
      return;
    }
    if (performance.now() - sentAt >= HEARTBEAT_MS) {
      yield ': nothing new\n\n';
      sentAt = performance.now();
    }
    await waker.wait(CHECK_MS);
  }
}
