/** The integrity check: everything that can be recomputed is, and whatever differs is named. */
import { type Static, Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { type IntegrityQuery, integrityQueries, type Looked, recordAt } from './integrity-checks.ts';
import { FindingRow, verifySeals } from './verify-seals.ts';

/** Findings that one check tells at most. */
const FINDINGS = 100;
/** Longest that one statement of the check may take. */
const STATEMENT_TIMEOUT_MS = 600_000;
/** Sealed positions that a check which is not deep computes again. */
const SHALLOW_POSITIONS = 10_000;

const Finding = Type.Object({
  subject: Type.String({ description: 'The thing that is wrong: its id where it has one' }),
  detail: Type.String({ description: 'What is wrong with it; amounts in minor units' }),
  position: Type.Optional(Type.Integer({ description: 'Where in the ledger it stands' })),
});

export const IntegrityCheck = Type.Object({
  name: Type.String(),
  meaning: Type.String({ description: 'What is to hold' }),
  ok: Type.Boolean(),
  checked: Type.Integer({ description: 'Number of things looked at' }),
  findings: Type.Array(Finding, { maxItems: FINDINGS }),
  more: Type.Boolean({ description: 'Whether there are more findings than are listed' }),
});
export type IntegrityCheck = Static<typeof IntegrityCheck>;

export const IntegrityReport = Type.Object({
  ok: Type.Boolean(),
  checked_at: Type.String({ format: 'date-time' }),
  position: Type.Integer({ description: 'Position of the ledger that was checked' }),
  sealed_position: Type.Integer({
    description: 'Position up to which the hash chain goes; what comes after it is sealed within seconds',
  }),
  sealed_hash: Type.Union([Type.String(), Type.Null()], {
    description:
      'Hash of the chain at that position, in hexadecimal. Kept elsewhere, it shows later whether all up to there was rewritten',
  }),
  checks: Type.Array(IntegrityCheck),
});
export type IntegrityReport = Static<typeof IntegrityReport>;

const StateRow = Type.Object({
  checked_at: Type.String(),
  position: Type.BigInt(),
  sealed_position: Type.BigInt(),
  sealed_hash: Type.Union([Type.String(), Type.Null()]),
  accounts: Type.BigInt(),
  transfers: Type.BigInt(),
  entries: Type.BigInt(),
  holds: Type.BigInt(),
  hold_steps: Type.BigInt(),
  captures: Type.BigInt(),
  attempts: Type.BigInt(),
  events: Type.BigInt(),
  attributions: Type.BigInt(),
});

const state = `
  select now() as checked_at,
    coalesce((select h.position from ledger.heads h where h.tenant_id = $1 and h.environment = $2), 0) as position,
    coalesce(s.last_position, 0) as sealed_position, encode(s.hash, 'hex') as sealed_hash,
    (select count(*) from ledger.accounts a where a.tenant_id = $1 and a.environment = $2) as accounts,
    t.transfers, t.captures,
    (select count(*) from ledger.entries e where e.tenant_id = $1 and e.environment = $2) as entries,
    (select count(*) from ledger.holds h where h.tenant_id = $1 and h.environment = $2) as holds,
    (select count(*) from ledger.hold_steps h where h.tenant_id = $1 and h.environment = $2) as hold_steps,
    (select count(*) from ledger.attempts a where a.tenant_id = $1 and a.environment = $2) as attempts,
    (select count(*) from ledger.outbox o where o.tenant_id = $1 and o.environment = $2) as events,
    coalesce((select h.attributions from ledger.heads h where h.tenant_id = $1 and h.environment = $2), 0) as attributions
  from (
    select count(*) as transfers, count(*) filter (where t.kind = 'capture') as captures
    from ledger.transfers t where t.tenant_id = $1 and t.environment = $2
  ) t
  left join (
    select s.last_position, s.hash from ledger.seals s
    where s.tenant_id = $1 and s.environment = $2 order by s.last_position desc limit 1
  ) s on true`;

const publicPrefixes = ['acc', 'trf', 'hld', 'hst'] as const;

/** A text of the checks with its ids in their public form. */
function withPublicIds(text: string): string {
  return publicPrefixes.reduce(
    (shown, prefix) =>
      shown.replaceAll(new RegExp(`\\b${prefix}:([0-9a-f-]{36})`, 'g'), (_, uuid: string) =>
        formatId(prefix, uuid),
      ),
    text,
  );
}

/** The report on one check, of at most one row more than it lists. */
function report(
  { name, meaning }: Pick<IntegrityQuery, 'name' | 'meaning'>,
  checked: bigint,
  rows: readonly FindingRow[],
): IntegrityCheck {
  return {
    name,
    meaning,
    ok: rows.length === 0,
    checked: Number(checked),
    findings: rows.slice(0, FINDINGS).map(({ subject, detail, position }) => ({
      subject: withPublicIds(subject),
      detail: withPublicIds(detail),
      ...(position === null ? {} : { position: Number(position) }),
    })),
    more: rows.length > FINDINGS,
  };
}

function find(tx: Transaction, scope: Scope, { sql }: IntegrityQuery): Promise<FindingRow[]> {
  return tx.rows(
    FindingRow,
    `select coalesce(f.subject, ${recordAt('f.position')}) as subject, f.position, f.detail
     from (${sql}) f order by f.position, 1, f.detail limit $3`,
    [scope.tenant_id, scope.environment, FINDINGS + 1],
  );
}

/**
 * Checks the books of one tenant and environment in one snapshot, while they go on being written.
 *
 * It reads all of them several times over, and its snapshot keeps PostgreSQL from cleaning up what changes
 * meanwhile: some 30 seconds for a million transfers, so it is nothing to ask for often.
 *
 * @param options.deep whether all of the hash chain is computed again from the data, and not only its end
 * @param options.onCheck told of each check when it is done
 * @throws when a statement takes longer than ten minutes
 */
export async function checkIntegrity(
  db: Database,
  scope: Scope,
  options: { deep: boolean; onCheck?: (check: IntegrityCheck) => void },
): Promise<IntegrityReport> {
  return db.read(scope, async (tx) => {
    // Everything is read as a whole: a planner without statistics would look rows up one by one.
    await tx.run(
      `select set_config('statement_timeout', $1, true), set_config('enable_nestloop', 'off', true),
         set_config('work_mem', '64MB', true), set_config('jit', 'off', true)`,
      [String(STATEMENT_TIMEOUT_MS)],
    );
    const [now] = await tx.rows(StateRow, state, [scope.tenant_id, scope.environment]);
    if (now === undefined) throw new Error('counting the ledger returned no row');
    const looked: Record<Looked, bigint> = {
      ...now,
      positions: now.transfers + now.hold_steps - now.captures,
    };

    const checks: IntegrityCheck[] = [];
    const add = (check: IntegrityCheck) => {
      checks.push(check);
      options.onCheck?.(check);
    };
    for (const query of integrityQueries) {
      add(report(query, looked[query.looks_at], await find(tx, scope, query)));
    }
    const recompute = options.deep ? Number(now.sealed_position) : SHALLOW_POSITIONS;
    const chain = {
      name: 'hash_chain',
      meaning: options.deep
        ? 'All that was sealed is as it was sealed'
        : `The last ${SHALLOW_POSITIONS} positions that were sealed are as they were sealed`,
    };
    const checked = BigInt(Math.min(recompute, Number(now.sealed_position)));
    add(report(chain, checked, await verifySeals(tx, scope, { limit: FINDINGS + 1, recompute })));

    return {
      ok: checks.every(({ ok }) => ok),
      checked_at: now.checked_at,
      position: Number(now.position),
      sealed_position: Number(now.sealed_position),
      sealed_hash: now.sealed_hash,
      checks,
    };
  });
}
