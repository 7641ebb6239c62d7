/**
 * The bus on PostgreSQL. A consumer's process takes a partition of the log for the time of one delivery, by the lock on
 * its offset's row: any number of processes share the partitions, and one that is killed holds none.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import type { Bus, Subscriber } from './bus.ts';
import { EventRow, eventOf } from './event.ts';
import { openWaker, type Waker } from './wake.ts';

/** Events of one delivery, if it is not said otherwise. */
const BATCH = 200;
/**
 * Partitions that all consumers of a process take at a time beside the one that each may always have: while one waits for
 * the database, another is at work. More were no faster on two processors, and each needs two connections.
 */
const HELPERS = 3;
const IDLE_MS = 1_000;
/**
 * How many times as long as a consumer was at work it rests then. A delivery costs the same for one event as for fifty:
 * under load a consumer takes a tenth of a processor from who writes, and events share deliveries.
 */
const REST = 9;
const LONGEST_REST_MS = 250;
const FAILED_MS = 1_000;

const claiming = {
  name: 'claim-events',
  text: 'select * from platform.claim_events($1, $2, $3, $4)',
};
// How far a consumer has come need not be on the disk: after a crash of the database it receives again what its inbox knows.
const advancing = {
  name: 'advance-consumer',
  text: `select platform.advance_consumer($1, $2, $3), set_config('synchronous_commit', 'off', true)`,
};

const LagRow = Type.Object({ consumer: Type.String(), lag: Type.BigInt() });

/** A pattern of types as one of LIKE. */
function likeOf(pattern: string): string {
  const plain = pattern.replaceAll(/[\\%_]/g, '\\$&');
  return pattern === '*' || pattern.endsWith('.*') ? `${plain.slice(0, -1)}%` : plain;
}

/** @param db of the role `platform`, with a connection for each subscription and for each of those who help */
export function openPostgresBus(options: { db: Database; log: FastifyBaseLogger }): Bus {
  const { db, log } = options;
  const wakers = new Set<Waker>();
  let helpers = 0;

  /** Whether there was something to deliver. */
  async function deliverOnce({
    consumer,
    types,
    wants,
    most = BATCH,
    deliver,
  }: Subscriber): Promise<boolean> {
    return db.across(async (tx) => {
      const rows = await tx.rows(EventRow, claiming, [consumer, most, types.map(likeOf), wants ?? null]);
      const last = rows.at(-1);
      if (last === undefined) return false;
      await deliver(rows.map(eventOf));
      await tx.run(advancing, [consumer, last.partition, last.log_offset]);
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
      const helping = new Set<Promise<unknown>>();

      function help(): void {
        helpers += 1;
        const one = drain()
          .catch((error: unknown) => {
            if (!signal.aborted) log.warn({ err: error, consumer }, 'events could not be delivered for now');
          })
          .finally(() => {
            helpers -= 1;
            helping.delete(one);
          });
        helping.add(one);
      }

      /** Delivers until there is nothing that nobody delivers, and says how often it delivered. */
      async function drain(): Promise<number> {
        let deliveries = 0;
        while (!signal.aborted && (await deliverOnce(subscriber))) {
          deliveries += 1;
          // One delivery may be all there is; after the second there is probably more.
          if (deliveries > 1 && helpers < HELPERS) help();
        }
        return deliveries;
      }

      async function run(): Promise<void> {
        while (!signal.aborted) {
          try {
            const began = performance.now();
            const delivered = await drain();
            if (delivered > 0 && !signal.aborted) {
              const { rest = REST } = subscriber;
              await sleep(Math.min(rest * (performance.now() - began), LONGEST_REST_MS), undefined, {
                signal,
              }).catch(() => {});
            }
            if (!signal.aborted) await waker.wait(IDLE_MS);
          } catch (error) {
            if (signal.aborted) return;
            log.warn({ err: error, consumer }, 'events could not be delivered for now');
            await waker.wait(FAILED_MS);
          }
        }
      }
      const running = run();
      return {
        stop: async () => {
          stopping.abort();
          wakers.delete(waker);
          waker.wake();
          await running;
          await Promise.all(helping);
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
