/**
 * The hash chain over what was posted. Postings are sealed after their commit, about a second later, so that no
 * writer waits for it; `ledger.seal` in the migrations says how, integrity.ts verifies it.
 */
import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database, Scope } from '../../platform/db.ts';

/** Positions of one block. Sealing one takes some 15 ms, verifying it as long. */
const BLOCK = 1_000;

/**
 * Under load sealing may fall behind rather than take more than a tenth of a processor from who posts; it catches up
 * when the load is over.
 */
const REST = 9;

const SealedRow = Type.Object({ sealed: Type.BigInt() });

const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

/**
 * Seals what a ledger has recorded and says how many positions that were. Where another process is sealing the same
 * ledger, it is left to that one.
 *
 * @param options.rest how many times as long as a block took to pause before the next
 * @throws where a position is missing, with SQLSTATE `XX001`; nothing after it can be sealed
 */
export async function sealAll(
  db: Database,
  scope: Scope,
  options: { signal?: AbortSignal; rest?: number } = {},
): Promise<number> {
  const { signal, rest = 0 } = options;
  let total = 0;
  for (;;) {
    const began = performance.now();
    const [row] = await db.rows(SealedRow, 'select ledger.seal($1, $2, $3) as sealed', [
      scope.tenant_id,
      scope.environment,
      BLOCK,
    ]);
    const sealed = Number(row?.sealed ?? 0n);
    total += sealed;
    if (sealed < BLOCK || signal?.aborted === true) return total;
    if (rest > 0) await setTimeout((performance.now() - began) * rest);
  }
}

export interface Sealing {
  /** Resolves when the pass under way, if any, is over; there is none after it. */
  stop: () => Promise<void>;
}

/**
 * Seals every tenant's new postings from now on, with a pause of `interval_ms` between two passes. What fails is
 * logged, once while it lasts, and tried again; one ledger that cannot be sealed holds up no other.
 */
export function startSealing(options: {
  db: Database;
  log: FastifyBaseLogger;
  interval_ms: number;
}): Sealing {
  const { db, log, interval_ms } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** What was logged last of each thing that fails. */
  const complaints = new Map<string, string>();

  async function attempt<T>(what: string, context: object, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      if (complaints.delete(what)) log.info(context, `${what}: works again`);
      return result;
    } catch (error) {
      const reason = String(error);
      if (complaints.get(what) !== reason) log.error({ err: error, ...context }, `${what}: failed`);
      complaints.set(what, reason);
      return undefined;
    }
  }

  async function pass(): Promise<void> {
    const scopes = await attempt('looking for postings to seal', {}, () =>
      db.rows(ScopeRow, 'select * from ledger.scopes_to_seal()'),
    );
    for (const scope of scopes ?? []) {
      if (signal.aborted) return;
      const name = `sealing of tenant ${scope.tenant_id}, ${scope.environment}`;
      await attempt(name, scope, () => sealAll(db, scope, { signal, rest: REST }));
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await pass();
      await setTimeout(interval_ms, undefined, { signal }).catch((error: unknown) => {
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
