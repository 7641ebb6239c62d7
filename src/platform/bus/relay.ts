/**
 * The relay: carries what services wrote into their outboxes to the log, in order, once (`platform.carry_events`). Each
 * process has one, and one works at a time; where it is killed, another goes on at its next turn.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import type { Traces } from '../trace/span.ts';
import { openWaker } from './wake.ts';

/** Events of one outbox and tenant that one commit carries. */
const BATCH = 1_000;
/** How long nothing is looked for when nobody told of anything: who tells may have been killed before. */
const IDLE_MS = 1_000;
/** How long after the first news of an event others are waited for, which share its commit. */
const GATHERS_MS = 2;
/** Longest pause while another process is carrying; the first is as long as others are waited for, each later one twice. */
const ELSEWHERE_MS = 50;
/**
 * How many times as long as it took to carry is paused then. A commit costs the same for one event as for fifty: under load
 * the relay takes a tenth of a processor from who writes, events share commits, and each comes some 40 ms later.
 */
const REST = 9;
const LONGEST_REST_MS = 250;
/** Pause after a failure. */
const FAILED_MS = 1_000;

export interface Relay {
  /** Something was written into an outbox. */
  wake: () => void;
  stop: () => Promise<void>;
}

/** What `carry_events` says where another process is carrying. */
const ELSEWHERE = -1;

const Carried = Type.Object({ carried: Type.BigInt() });

/** Carries what there is, and says how much that was. */
async function carryAll(db: Database, signal: AbortSignal): Promise<number> {
  let total = 0;
  let elsewhere_ms = GATHERS_MS;
  while (!signal.aborted) {
    const [row] = await db.rows(Carried, 'select platform.carry_events($1) as carried', [BATCH]);
    const carried = Number(row?.carried ?? 0n);
    // Another process is at it, and may have looked before what we were woken for was committed.
    if (carried === ELSEWHERE) {
      await sleep(elsewhere_ms);
      elsewhere_ms = Math.min(2 * elsewhere_ms, ELSEWHERE_MS);
      continue;
    }
    elsewhere_ms = GATHERS_MS;
    total += carried;
    // What came meanwhile can wait for its turn, with what comes until then.
    if (carried < BATCH) break;
  }
  return total;
}

/** @param onCarried told after each pass that carried something */
export function startRelay(options: {
  db: Database;
  log: FastifyBaseLogger;
  traces: Traces;
  onCarried: (events: number) => void;
}): Relay {
  const { db, log, traces, onCarried } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const waker = openWaker();

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        const began = performance.now();
        const carried = await carryAll(db, signal);
        if (carried > 0) {
          onCarried(carried);
          // A trace of its own: whose events they are is known to the database alone.
          traces
            .begin('relay', { began, kind: 'client', attributes: { 'financialapi.events': carried } })
            ?.end();
        }
        if (carried > 0 && !signal.aborted) {
          await sleep(Math.min(REST * (performance.now() - began), LONGEST_REST_MS), undefined, {
            signal,
          }).catch(() => {});
        }
        await waker.wait(IDLE_MS);
        if (!signal.aborted) await sleep(GATHERS_MS);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'events could not be carried for now');
        await waker.wait(FAILED_MS);
      }
    }
  }

  const running = run();
  return {
    wake: waker.wake,
    stop: () => {
      stopping.abort();
      waker.wake();
      return running;
    },
  };
}
