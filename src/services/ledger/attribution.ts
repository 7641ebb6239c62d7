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

/** What the records of a caller's last request and the next one have in common, if it asks for the same again. */
const commonParts = new WeakMap<Caller, { of: string; text: string }>();

/** The record of a request but for what no two have in common: JSON without its end. */
function commonPart(request: FastifyRequest, status: number): string {
  const { caller, method, url, ip } = request;
  const of = `${status} ${method} ${url} ${ip}`;
  const known = commonParts.get(caller);
  if (known?.of === of) return known.text;
  const record = { ...attributionOf(request), request_id: '', outcome: 'done', status } as const;
  const text = rowOf('', record, false).slice(0, -1);
  commonParts.set(caller, { of, text });
  return text;
}

/**
 * Whoever asks for a posting, with the record of it. Most requests of a caller are to the same address, so that little
 * of the record has to be written anew: of members that stand twice in it the last one counts (`jsonb`).
 */
export function posterOf(request: FastifyRequest, status: number): Caller & Poster {
  return {
    ...request.caller,
    attribution: (subject) => {
      const about = subject === undefined ? '' : `,"subject":"${subject}"`;
      // What the id of a request consists of needs no quoting.
      return `${commonPart(request, status)},"id":"${newUuid()}","request_id":"${request.id}"${about}}`;
    },
  };
}

/** Says that the record of a request was written in the commit of its posting, unless nothing was posted by it. */
export function noteWritten(request: FastifyRequest, replayed: boolean, dry_run: boolean): void {
  if (!replayed && !dry_run) request.audit_written = true;
}

/** A record costs several times what sealing a posting does: under load the trail may come minutes later. */
const REST = 29;

const MovedRow = Type.Object({ moved: Type.BigInt() });

/** Moves the records of a ledger that wait into the audit trail and says how many those were. */
function moveAttributions(
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
    rest: REST,
    findScopes: () => db.rows(ScopeRow, 'select * from ledger.scopes_with_attributions()'),
    seal: (scope, how) => moveAttributions(db, scope, how),
  });
}
