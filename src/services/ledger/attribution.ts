/**
 * Who posted what, for the audit trail. The record is written in the commit of the posting, in a queue of the ledger's
 * own, and moved into the trail from there.
 */
import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import { attributionOf } from '../../platform/audit/record.ts';
import { rowOf } from '../../platform/audit/write.ts';
import type { Database, Scope } from '../../platform/db.ts';
import { newUuid } from '../../platform/ids.ts';
import { ScopeRow, type Sealing, sealBlocks, startSealing } from '../../platform/sealing.ts';
import type { Poster } from './posting.ts';

/** Whoever asks for a posting, with the record of it. */
export function posterOf(request: FastifyRequest, status: number): Caller & Poster {
  return {
    ...request.caller,
    attribution: (subject) =>
      rowOf(
        newUuid(),
        {
          ...attributionOf(request),
          outcome: 'done',
          status,
          ...(subject === undefined ? {} : { subject }),
        },
        false,
      ),
  };
}

/** Says that the record of a request was written in the commit of its posting, unless nothing was posted by it. */
export function noteWritten(request: FastifyRequest, replayed: boolean, dry_run: boolean): void {
  if (!replayed && !dry_run) request.audit_written = true;
}

const MovedRow = Type.Object({ moved: Type.BigInt() });

/** Moves the records of a ledger that wait into the audit trail and says how many those were. */
export function moveAttributions(
  db: Database,
  scope: Scope,
  options: { signal?: AbortSignal; rest?: number } = {},
): Promise<number> {
  return sealBlocks(async (limit) => {
    const [row] = await db.rows(MovedRow, 'select ledger.move_attributions($1, $2, $3) as moved', [
      scope.tenant_id,
      scope.environment,
      limit,
    ]);
    return Number(row?.moved ?? 0n);
  }, options);
}

/** Moves every ledger's records into the audit trail from now on. */
export function startAttribution(options: {
  db: Database;
  log: FastifyBaseLogger;
  interval_ms: number;
}): Sealing {
  const { db, log, interval_ms } = options;
  return startSealing({
    log,
    interval_ms,
    what: 'records of postings',
    findScopes: () => db.rows(ScopeRow, 'select * from ledger.scopes_with_attributions()'),
    seal: (scope, how) => moveAttributions(db, scope, how),
  });
}
