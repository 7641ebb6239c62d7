/**
 * Records of what a crash cut off: of a request that changes something an intent is written before, and taken away with
 * its record. One that is left behind is recorded as of unknown outcome.
 */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import { ScopeRow, type Sealing, sealBlocks, startSealing } from '../sealing.ts';

/** Longer than any request takes: the longest statement, that which empties a sandbox, is ended after five minutes. */
const ABANDONED_AFTER = '15 minutes';

const ClosedRow = Type.Object({ closed: Type.BigInt() });

/** Records what was abandoned, by whichever process, from now on. */
export function startClosingAbandoned(options: {
  db: Database;
  log: FastifyBaseLogger;
  interval_ms: number;
}): Sealing {
  const { db, log, interval_ms } = options;
  return startSealing({
    log,
    interval_ms,
    what: 'abandoned requests',
    findScopes: () =>
      db.rows(ScopeRow, 'select * from platform.audits_abandoned($1::interval)', [ABANDONED_AFTER]),
    seal: ({ tenant_id, environment }, how) =>
      sealBlocks(async (limit) => {
        const [row] = await db.rows(
          ClosedRow,
          'select platform.close_abandoned_audits($1, $2, $3::interval, $4) as closed',
          [tenant_id, environment, ABANDONED_AFTER, limit],
        );
        return Number(row?.closed ?? 0n);
      }, how),
  });
}
