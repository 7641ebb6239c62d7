/** What nobody asks for: proposals expire, and what a process left half done is done. */
import { setTimeout } from 'node:timers/promises';
import { Type } from 'typebox';
import { formatId } from '../ids.ts';
import { attend, type Deciding } from './decide.ts';

/** How long nothing is looked for after a pass that found nothing. */
const PAUSE_MS = 1_000;
const PROPOSALS_A_PASS = 100;

const DueRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  id: Type.String(),
});

export interface Worker {
  /** Resolves when the pass under way, if any, is over; there is none after it. */
  stop: () => Promise<void>;
}

/** Attends to proposals about routes of this process, within about a second of when they are due. */
export function startWorker(deciding: Deciding, routes: readonly string[]): Worker {
  const { db, log } = deciding;
  const stopping = new AbortController();
  const { signal } = stopping;

  async function pass(): Promise<boolean> {
    const due = await db.rows(DueRow, 'select * from platform.due_proposals($1, $2)', [
      routes,
      PROPOSALS_A_PASS,
    ]);
    let attended = false;
    for (const { id, ...scope } of due) {
      if (signal.aborted) return false;
      try {
        await attend(deciding, scope, id);
        attended = true;
      } catch (error) {
        log.error(
          { err: error, ...scope, proposal_id: formatId('prp', id) },
          'a proposal could not be attended to',
        );
      }
    }
    return attended;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const attended = await pass().catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error }, 'due proposals could not be looked for');
        return false;
      });
      if (attended) continue;
      await setTimeout(PAUSE_MS, undefined, { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}
