/**
 * Locks that a process holds while it runs a job, and loses with its connection: a run of a process that was killed is
 * free at once, one of a process that merely went silent for a while is not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from 'typebox';
import type { Database, Transaction } from '../db.ts';

interface JobLock {
  /** Aborted when the connection was lost: another process may hold the lock then. */
  lost: AbortSignal;
  release(): Promise<void>;
}

export interface JobLocks {
  /** Waits until nobody else holds the lock. Undefined if the signal was aborted before. */
  take(name: string, signal: AbortSignal): Promise<JobLock | undefined>;
  close(): Promise<void>;
}

const Taken = Type.Object({ taken: Type.Boolean() });

const LOOKS_EVERY_MS = 1_000;
/** How soon the loss of the connection is noticed. Nobody takes a run over sooner than 10 s after its process went silent. */
const BEATS_EVERY_MS = 2_000;

/** @param db one connection of it is kept, and closed with the locks */
export function openJobLocks(db: Database): JobLocks {
  const session = db.session();
  const held = new Map<string, AbortController>();
  let turn: Promise<void> = Promise.resolve();

  /** After an error the session has another connection, which holds none of the locks. */
  function loseAll(): void {
    for (const lost of held.values()) lost.abort(new Error('the connection that held the lock was lost'));
    held.clear();
  }

  /** One statement at a time: two at once would each take a connection. */
  function say<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const said = turn.then(() => work(session));
    turn = said.then(
      () => {},
      () => loseAll(),
    );
    return said;
  }

  const beat = setInterval(() => {
    // Its failure is what `say` notices.
    if (held.size > 0) say((tx) => tx.run('select 1')).catch(() => {});
  }, BEATS_EVERY_MS);
  beat.unref();

  return {
    async take(name, signal) {
      while (!signal.aborted) {
        // The session takes a lock of its own again: of two runs in one process, the second waits here.
        if (!held.has(name)) {
          const lost = new AbortController();
          held.set(name, lost);
          let taken = false;
          try {
            const [row] = await say((tx) =>
              tx.rows(Taken, "select pg_try_advisory_lock(hashtextextended('job ' || $1, 0)) as taken", [
                name,
              ]),
            );
            taken = row?.taken === true;
          } finally {
            if (!taken && held.get(name) === lost) held.delete(name);
          }
          if (taken) {
            return {
              lost: lost.signal,
              async release() {
                if (held.get(name) !== lost) return;
                await say((tx) =>
                  tx.run("select pg_advisory_unlock(hashtextextended('job ' || $1, 0))", [name]),
                ).catch(() => {});
                if (held.get(name) === lost) held.delete(name);
              },
            };
          }
        }
        await sleep(LOOKS_EVERY_MS, undefined, { signal }).catch(() => {});
      }
      return undefined;
    },
    async close() {
      clearInterval(beat);
      await turn;
      session.release();
      await db.close();
    },
  };
}
