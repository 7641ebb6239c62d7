/**
 * Verifies an audit trail against the hash chain that seal.ts lays over it: every seal is computed again from the records,
 * by the functions that sealed them, and what differs is named.
 */
import { type Static, Type } from 'typebox';
import type { Database, Scope, Transaction } from '../db.ts';
import { formatId } from '../ids.ts';

/** Findings that a report tells at most. */
const FINDINGS = 100;
/** Seals verified by one statement. */
const CHUNK = 200n;
/**
 * How much older than what was sealed before it a record may be: what is being written when others are sealed is younger
 * than the longest statement.
 */
const LATE_MS = 300_000;

const Finding = Type.Object({
  subject: Type.String({ description: 'What is wrong: the id of a record, or the number of a seal' }),
  detail: Type.String({ description: 'What is wrong with it' }),
});
type Finding = Static<typeof Finding>;

export const AuditReport = Type.Object({
  ok: Type.Boolean(),
  checked_at: Type.String({ format: 'date-time' }),
  records: Type.Integer({ description: 'Records that there are' }),
  sealed_records: Type.Integer({ description: 'Records that were ever sealed' }),
  unsealed_records: Type.Integer({
    description:
      'Records that wait for their seal, which comes within seconds: a change of them could not be told',
  }),
  seals: Type.Integer({ description: 'Number of the last seal' }),
  sealed_hash: Type.Union([Type.String(), Type.Null()], {
    description:
      'Hash of the last seal, in hexadecimal. Kept elsewhere with its number, it shows later whether all up to there was rewritten',
  }),
  findings: Type.Array(Finding, { maxItems: FINDINGS }),
  more: Type.Boolean({ description: 'Whether there are more findings than are listed' }),
});
export type AuditReport = Static<typeof AuditReport>;

const StateRow = Type.Object({
  checked_at: Type.String(),
  records: Type.BigInt(),
  waiting: Type.BigInt(),
  head_number: Type.BigInt(),
  head_records: Type.BigInt(),
  head_hash: Type.Union([Type.String(), Type.Null()]),
  last_number: Type.BigInt(),
  last_hash: Type.Union([Type.String(), Type.Null()]),
  sealed_ids: Type.BigInt(),
  root: Type.String(),
});

const state = `
  select now() as checked_at,
    (select count(*) from platform.audit_records r where r.tenant_id = $1 and r.environment = $2) as records,
    (select count(*) from platform.audit_waiting w where w.tenant_id = $1 and w.environment = $2) as waiting,
    coalesce(h.number, 0) as head_number, coalesce(h.records, 0) as head_records, encode(h.hash, 'hex') as head_hash,
    coalesce(s.number, 0) as last_number, encode(s.hash, 'hex') as last_hash,
    coalesce((select sum(cardinality(s.ids))::bigint from platform.audit_seals s
              where s.tenant_id = $1 and s.environment = $2), 0) as sealed_ids,
    encode(platform.audit_root($1, $2), 'hex') as root
  from (select) one
  left join platform.audit_heads h on h.tenant_id = $1 and h.environment = $2
  left join (
    select number, hash from platform.audit_seals where tenant_id = $1 and environment = $2 order by number desc limit 1
  ) s on true`;

const SealRow = Type.Object({
  number: Type.BigInt(),
  /** Hashes in hexadecimal: the one kept, and what it should be by that of the seal before and the records. */
  hash: Type.String(),
  computed: Type.String(),
  /** Whether the eight bytes that it keeps of each digest are those of the records. */
  digests_hold: Type.Boolean(),
  /** When the first and the last of its records that there are were written. */
  oldest: Type.Union([Type.String(), Type.Null()]),
  youngest: Type.Union([Type.String(), Type.Null()]),
});
type SealRow = Static<typeof SealRow>;

/** The seals after number $3 up to $4, each with what it should be after the one before. $5: hash of number $3. */
const sealsOf = `
  with kept as materialized (
    select s.number, s.ids, s.digests, s.hash, s.sealed_at,
      lag(s.hash, 1, decode($5, 'hex')) over (order by s.number) as previous
    from platform.audit_seals s
    where s.tenant_id = $1 and s.environment = $2 and s.number > $3 and s.number <= $4
  ), found as materialized (
    select k.number, string_agg(d.digest, ''::bytea order by i.place) as digests,
      string_agg(coalesce(substr(d.digest, 1, 8), '\\x0000000000000000'), ''::bytea order by i.place) as short_digests,
      min(d.recorded_at) as oldest, max(d.recorded_at) as youngest
    from kept k cross join unnest(k.ids) with ordinality i (id, place)
    left join lateral (
      select platform.audit_digest(r) as digest, r.recorded_at from platform.audit_records r
      where r.tenant_id = $1 and r.environment = $2 and r.id = i.id offset 0
    ) d on true
    group by k.number
  )
  select k.number, encode(k.hash, 'hex') as hash,
    encode(platform.audit_hash(k.previous, k.number, k.sealed_at, k.ids, coalesce(f.digests, ''::bytea)), 'hex') as computed,
    k.digests = f.short_digests as digests_hold, f.oldest, f.youngest
  from kept k join found f on f.number = k.number
  order by k.number`;

const RecordRow = Type.Object({ id: Type.String(), detail: Type.String() });

/** The records of seal $3 that are not as they were sealed, by the eight bytes that it keeps of each. */
const alteredRecords = `
  select i.id, case when d.digest is null then 'is missing, though it was sealed' else 'is not as it was sealed' end as detail
  from platform.audit_seals s cross join unnest(s.ids) with ordinality i (id, place)
  left join lateral (
    select platform.audit_digest(r) as digest from platform.audit_records r
    where r.tenant_id = $1 and r.environment = $2 and r.id = i.id offset 0
  ) d on true
  where s.tenant_id = $1 and s.environment = $2 and s.number = $3
    and substr(s.digests, (8 * (i.place - 1))::integer + 1, 8) is distinct from substr(d.digest, 1, 8)
  order by i.place limit $4`;

/** The records of seal $3 that say they are much older than the youngest of those sealed before, $4. */
const backdatedRecords = `
  select r.id, format('says that it was written at %s, and was sealed after records of %s', r.recorded_at, $4::timestamptz) as detail
  from platform.audit_seals s cross join unnest(s.ids) i (id)
  join platform.audit_records r on r.tenant_id = $1 and r.environment = $2 and r.id = i.id
  where s.tenant_id = $1 and s.environment = $2 and s.number = $3
    and r.recorded_at < $4::timestamptz - make_interval(secs => $5)
  order by r.id limit $6`;

/** Records that no seal has and that wait for none. */
const strays = `
  with chained as materialized (
    select i.id from platform.audit_seals s cross join unnest(s.ids) i (id) where s.tenant_id = $1 and s.environment = $2
    union all select w.id from platform.audit_waiting w where w.tenant_id = $1 and w.environment = $2
  )
  select r.id, 'is in no seal and waits for none: it was put in past the chain, or its seal was taken away' as detail
  from platform.audit_records r
  where r.tenant_id = $1 and r.environment = $2 and not exists (select from chained c where c.id = r.id)
  order by r.id limit $3`;

const missingWaiting = `
  select w.id, 'is missing, though it waits to be sealed' as detail
  from platform.audit_waiting w
  where w.tenant_id = $1 and w.environment = $2
    and not exists (select from platform.audit_records r where r.tenant_id = $1 and r.environment = $2 and r.id = w.id)
  order by w.id limit $3`;

const HashRow = Type.Object({ hash: Type.String() });

/** What the hash of seal $3 would be after $4, its records being as they are. */
const hashAfter = `
  select encode(platform.audit_hash(decode($4, 'hex'), s.number, s.sealed_at, s.ids, coalesce((
    select string_agg(platform.audit_digest(r), ''::bytea order by i.place)
    from unnest(s.ids) with ordinality i (id, place)
    join platform.audit_records r on r.tenant_id = $1 and r.environment = $2 and r.id = i.id
  ), ''::bytea)), 'hex') as hash
  from platform.audit_seals s where s.tenant_id = $1 and s.environment = $2 and s.number = $3`;

const ofRecord = ({ id, detail }: Static<typeof RecordRow>): Finding => ({
  subject: formatId('aud', id),
  detail,
});

/** What is wrong with the ends of the chain: whether it goes as far as its head says. */
function headFindings(now: Static<typeof StateRow>): Finding[] {
  const { head_number, last_number } = now;
  if (last_number > head_number) {
    return [
      {
        subject: `seal ${last_number}`,
        detail: `goes beyond the head of the chain, which stands at seal ${head_number}`,
      },
    ];
  }
  if (last_number < head_number) return [];
  if (now.head_hash !== now.last_hash) {
    return [{ subject: 'head', detail: `its hash is not that of seal ${last_number}, at which it stands` }];
  }
  return [];
}

function missingSeals(first: bigint, last: bigint): Finding {
  return first === last
    ? { subject: `seal ${first}`, detail: 'is missing' }
    : { subject: `seals ${first} to ${last}`, detail: 'are missing' };
}

/** What is wrong with one seal, seen that it does not hold, and with the records that it covers. */
async function explain(
  tx: Transaction,
  scope: Scope,
  seal: SealRow,
  context: { follows: boolean; before: SealRow | undefined },
): Promise<Finding[]> {
  const ids = [scope.tenant_id, scope.environment, seal.number];
  const found = (detail: string) => [{ subject: `seal ${seal.number}`, detail }];
  if (seal.hash === seal.computed)
    return found('its digests were altered; what it seals is as its hash says');
  const altered = await tx.rows(RecordRow, alteredRecords, [...ids, FINDINGS + 1]);
  if (altered.length > 0) return altered.map(ofRecord);
  // One is missing before it: that was found already.
  if (!context.follows) return [];
  if (context.before !== undefined && context.before.hash !== context.before.computed) {
    const [link] = await tx.rows(HashRow, hashAfter, [...ids, context.before.computed]);
    if (link?.hash === seal.hash) return [];
  }
  return found(
    'was altered: its hash is not that of the seal before it, of its own time and of what it seals',
  );
}

async function verifySeals(tx: Transaction, scope: Scope, now: Static<typeof StateRow>): Promise<Finding[]> {
  const findings: Finding[] = [];
  const last = now.last_number > now.head_number ? now.last_number : now.head_number;
  let previous = now.root;
  let expected = 1n;
  let before: SealRow | undefined;
  let youngest: string | undefined;
  for (let after = 0n; after < last && findings.length <= FINDINGS; after += CHUNK) {
    const seals = await tx.rows(SealRow, sealsOf, [
      scope.tenant_id,
      scope.environment,
      after,
      after + CHUNK,
      previous,
    ]);
    for (const seal of seals) {
      const follows = seal.number === expected;
      if (!follows) findings.push(missingSeals(expected, seal.number - 1n));
      if (seal.hash !== seal.computed || !seal.digests_hold) {
        findings.push(...(await explain(tx, scope, seal, { follows, before })));
      }
      const { oldest } = seal;
      if (youngest !== undefined && oldest !== null && Date.parse(oldest) < Date.parse(youngest) - LATE_MS) {
        const backdated = await tx.rows(RecordRow, backdatedRecords, [
          scope.tenant_id,
          scope.environment,
          seal.number,
          youngest,
          LATE_MS / 1_000,
          FINDINGS,
        ]);
        findings.push(...backdated.map(ofRecord));
      }
      if (seal.youngest !== null && (youngest === undefined || seal.youngest > youngest))
        youngest = seal.youngest;
      before = seal;
      previous = seal.hash;
      expected = seal.number + 1n;
    }
  }
  if (expected <= last && findings.length <= FINDINGS) findings.push(missingSeals(expected, last));
  return findings;
}

/**
 * Verifies the trail of one tenant and environment in one snapshot, while it goes on being written.
 *
 * It reads all of it, so it is nothing to ask for often.
 */
export function verifyAudit(db: Database, scope: Scope): Promise<AuditReport> {
  return db.read(scope, async (tx) => {
    // Seals look their records up; a planner without statistics would read all records for each.
    await tx.run(
      `select set_config('work_mem', '64MB', true), set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true)`,
    );
    const ids = [scope.tenant_id, scope.environment];
    const [now] = await tx.rows(StateRow, state, ids);
    if (now === undefined) throw new Error('counting the audit trail returned no row');
    const findings = [
      ...headFindings(now),
      ...(await verifySeals(tx, scope, now)),
      ...(await tx.rows(RecordRow, missingWaiting, [...ids, FINDINGS + 1])).map(ofRecord),
    ];
    // Where all that is sealed and waits is there and is as many as there are, there is nothing else.
    if (findings.length > 0 || now.records !== now.sealed_ids + now.waiting) {
      await tx.run(
        "select set_config('enable_seqscan', 'on', true), set_config('enable_nestloop', 'off', true)",
      );
      findings.push(...(await tx.rows(RecordRow, strays, [...ids, FINDINGS + 1])).map(ofRecord));
    }
    // A seal that is missing or was altered has been named, and explains it.
    if (findings.length === 0 && now.head_records !== now.sealed_ids) {
      findings.push({
        subject: 'head',
        detail: `it counts ${now.head_records} sealed records, and the seals ${now.sealed_ids}`,
      });
    }
    return {
      ok: findings.length === 0,
      checked_at: now.checked_at,
      records: Number(now.records),
      sealed_records: Number(now.head_records),
      unsealed_records: Number(now.waiting),
      seals: Number(now.last_number),
      sealed_hash: now.last_hash,
      findings: findings.slice(0, FINDINGS),
      more: findings.length > FINDINGS,
    };
  });
}
