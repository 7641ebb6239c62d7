/**
 * The hash chain over the audit trail. Records are sealed after their commit, about a second later, so that no answer
 * waits for it; `platform.seal_audit` in the migrations says how, verify.ts verifies it.
 */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database, Scope } from '../db.ts';
import { ScopeRow, type Sealing, sealBlocks, startSealing } from '../sealing.ts';

const SealedRow = Type.Object({ sealed: Type.BigInt() });

/**
 * Seals what waits in a tenant's trail and says how many records that were. Where another process is sealing the same
 * trail, it is left to that one.
 */
export function sealAudit(
  db: Database,
  scope: Scope,
  options: { signal?: AbortSignal; rest?: number } = {},
): Promise<number> {
  return sealBlocks(async (limit) => {
    const [row] = await db.rows(SealedRow, 'select platform.seal_audit($1, $2, $3) as sealed', [
      scope.tenant_id,
      scope.environment,
      limit,
    ]);
    return Number(row?.sealed ?? 0n);
  }, options);
}

/** Seals every trail's new records from now on, with a pause of `interval_ms` between two passes. */
export function startAuditSealing(options: {
  db: Database;
  log: FastifyBaseLogger;
  interval_ms: number;
}): Sealing {
  const { db, log, interval_ms } = options;
  return startSealing({
    log,
    interval_ms,
    what: 'audit records',
    // Beside the sealing of postings and whatever else goes on.
    rest: 19,
    findScopes: () => db.rows(ScopeRow, 'select * from platform.audits_to_seal()'),
    seal: (scope, how) => sealAudit(db, scope, how),
  });
}
