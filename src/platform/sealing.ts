/**
 * Laying hash chains over what was written, after its commit: blocks of records, each hashed with the hash of the one
 * before. What a chain covers and how its blocks are made is said by the SQL of whom it belongs to.
 */
import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Scope } from './db.ts';

/** Records of one block. Sealing one takes some 15 ms, verifying it as long. */
const BLOCK = 1_000;

/**
 * Under load sealing may fall behind rather than take more than a tenth of a processor from who writes; it catches up
 * when the load is over.
 */
const REST = 9;

/** Row of what names the chains that have something to seal. */
export const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

/**
 * Seals block after block until there is nothing more, and says how many records that were.
 *
 * @param sealBlock seals at most so many records and says how many there were
 * @param options.rest how many times as long as a block took to pause before the next
 */
export async function sealBlocks(
  sealBlock: (limit: number) => Promise<number>,
  options: { signal?: AbortSignal; rest?: number } = {},
): Promise<number> {
  const { signal, rest = 0 } = options;
  let total = 0;
  for (;;) {
    const began = performance.now();
    const sealed = await sealBlock(BLOCK);
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
 * Seals every tenant's new records from now on, with a pause of `interval_ms` between two passes. What fails is
 * logged, once while it lasts, and tried again; one chain that cannot be sealed holds up no other.
 */
export function startSealing(options: {
  log: FastifyBaseLogger;
  interval_ms: number;
  /** What is sealed, for the log: `postings`. */
  what: string;
  /** The chains that have something to seal. */
  findScopes: () => Promise<Scope[]>;
  seal: (scope: Scope, options: { signal: AbortSignal; rest: number }) => Promise<number>;
  /** How many times as long as a block took to pause before the next. */
  rest?: number;
}): Sealing {
  const { log, interval_ms, what, findScopes, seal, rest = REST } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  /** What was logged last of each thing that fails. */
  const complaints = new Map<string, string>();

  async function attempt<T>(name: string, context: object, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      if (complaints.delete(name)) log.info(context, `${name}: works again`);
      return result;
    } catch (error) {
      const reason = String(error);
      if (complaints.get(name) !== reason) log.error({ err: error, ...context }, `${name}: failed`);
      complaints.set(name, reason);
      return undefined;
    }
  }

  async function pass(): Promise<void> {
    const scopes = await attempt(`looking for ${what} to seal`, {}, findScopes);
    for (const scope of scopes ?? []) {
      if (signal.aborted) return;
      const name = `sealing of ${what} of tenant ${scope.tenant_id}, ${scope.environment}`;
      await attempt(name, scope, () => seal(scope, { signal, rest }));
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
