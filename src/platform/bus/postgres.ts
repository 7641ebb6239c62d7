/**
 * The bus on PostgreSQL. A consumer's process takes a partition of the log for the time of one delivery, by the lock on
 * its offset's row: any number of processes share the partitions, and one that is killed holds none.
 */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import type { Bus, Subscriber } from './bus.ts';
import { EventRow, eventOf } from './event.ts';
import { openWaker, type Waker } from './wake.ts';

/** Events of one delivery. */
const BATCH = 200;
const IDLE_MS = 1_000;
const FAILED_MS = 1_000;

const LagRow = Type.Object({ consumer: Type.String(), lag: Type.BigInt() });

/** @param db of the role `platform`, with a connection for each subscription */
export function openPostgresBus(options: { db: Database; log: FastifyBaseLogger }): Bus {
  const { db, log } = options;
  const wakers = new Set<Waker>();

  /** Whether there was something to deliver. */
  async function deliverOnce({ consumer, deliver }: Subscriber): Promise<boolean> {
    return db.across(async (tx) => {
      const rows = await tx.rows(EventRow, 'select * from platform.claim_events($1, $2)', [consumer, BATCH]);
      const last = rows.at(-1);
      if (last === undefined) return false;
      await deliver(rows.map(eventOf));
      await tx.run('select platform.advance_consumer($1, $2, $3)', [
        consumer,
        last.partition,
        last.log_offset,
      ]);
      return true;
    });
  }

  return {
    name: 'postgresql',
    async subscribe(subscriber) {
      const { consumer, from } = subscriber;
      await db.run('select platform.register_consumer($1, $2)', [consumer, from === 'start']);
      const waker = openWaker();
      wakers.add(waker);
      const stopping = new AbortController();
      const { signal } = stopping;
      async function run(): Promise<void> {
        while (!signal.aborted) {
          try {
            if (!(await deliverOnce(subscriber))) await waker.wait(IDLE_MS);
          } catch (error) {
            if (signal.aborted) return;
            log.warn({ err: error, consumer }, 'events could not be delivered for now');
            await waker.wait(FAILED_MS);
          }
        }
      }
      const running = run();
      return {
        stop: () => {
          stopping.abort();
          wakers.delete(waker);
          waker.wake();
          return running;
        },
      };
    },
    wake: () => {
      for (const waker of wakers) waker.wake();
    },
    lag: async () => {
      const rows = await db.rows(LagRow, 'select consumer, lag from platform.consumer_lag()');
      return new Map(rows.map(({ consumer, lag }) => [consumer, Number(lag)]));
    },
    stop: () => Promise.resolve(),
  };
}
