/**
 * The hash chain over what was posted. Postings are sealed after their commit, about a second later, so that no
 * writer waits for it; `ledger.seal` in the migrations says how, integrity.ts verifies it.
 */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database, Scope } from '../../platform/db.ts';
import {
  ScopeRow,
  type Sealing,
  sealBlocks,
  startSealing as startSealingOf,
} from '../../platform/sealing.ts';

const SealedRow = Type.Object({ sealed: Type.BigInt() });

/**
 * Seals what a ledger has recorded and says how many positions that were. Where another process is sealing the same
 * ledger, it is left to that one.
 *
 * @param options.rest how many times as long as a block took to pause before the next
 * @throws where a position is missing, with SQLSTATE `XX001`; nothing after it can be sealed
 */
export function sealAll(
  db: Database,
  scope: Scope,
  options: { signal?: AbortSignal; rest?: number } = {},
): Promise<number> {
  return sealBlocks(async (limit) => {
    const [row] = await db.rows(SealedRow, 'select ledger.seal($1, $2, $3) as sealed', [
      scope.tenant_id,
      scope.environment,
      limit,
    ]);
    return Number(row?.sealed ?? 0n);
  }, options);
}

/** Seals every tenant's new postings from now on, with a pause of `interval_ms` between two passes. */
export function startSealing(options: {
  db: Database;
  log: FastifyBaseLogger;
  interval_ms: number;
}): Sealing {
  const { db, log, interval_ms } = options;
  return startSealingOf({
    log,
    interval_ms,
    what: 'postings',
    findScopes: () => db.rows(ScopeRow, 'select * from ledger.scopes_to_seal()'),
    seal: (scope, how) => sealAll(db, scope, how),
  });
}
