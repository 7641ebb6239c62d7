/**
 * Verifies the hash chain that seal.ts lays over a ledger: every sealed block is computed again from the data, by the
 * function that sealed it.
 */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { recordAt } from './integrity-checks.ts';

/** Positions verified by one statement, unless one block alone has more. */
const CHUNK = 10_000;

export const FindingRow = Type.Object({
  subject: Type.String(),
  position: Type.Union([Type.BigInt(), Type.Null()]),
  detail: Type.String(),
});
export type FindingRow = Static<typeof FindingRow>;

const StartRow = Type.Object({ last_position: Type.BigInt(), hash: Type.String() });

const BoundRow = Type.Object({ last_position: Type.Union([Type.BigInt(), Type.Null()]) });

const BlockRow = Type.Object({
  first_position: Type.BigInt(),
  last_position: Type.BigInt(),
  /** Whether it begins where the one before it ends. */
  follows: Type.Boolean(),
  /** Hashes in hexadecimal: the one kept, and what it should be by that of the block before and the data. */
  hash: Type.String(),
  computed: Type.String(),
});
type BlockRow = Static<typeof BlockRow>;

const LinkRow = Type.Object({ hash: Type.String() });

/** Blocks that are out of place or say less than they should, and seals of what is not there. */
const structure = `
  select case when s.first_position is null then 'seals' else format('seal of positions %s to %s', s.first_position, s.last_position) end as subject,
    s.first_position as position, f.detail
  from (
    select s.first_position, s.last_position, length(s.digests) as digests,
      lag(s.last_position, 1, 0::bigint) over (order by s.last_position) as before
    from ledger.seals s where s.tenant_id = $1 and s.environment = $2
  ) s
  cross join (
    select coalesce(max(h.position), 0) as position from ledger.heads h where h.tenant_id = $1 and h.environment = $2
  ) head
  cross join lateral (select concat_ws('; ',
    case when s.first_position <> s.before + 1 then format('does not follow the seal before it, which ends at position %s', s.before) end,
    case when s.digests <> 8 * (s.last_position - s.first_position + 1) then 'has not one digest for each position' end,
    case when s.last_position > head.position then format('goes beyond the head, which stands at position %s', head.position) end
  ) as detail offset 0) f
  where f.detail <> ''
  order by s.last_position limit $3`;

/** Among the blocks that end after $3 and up to $4, those that are not what the data say. $5: hash before the first. */
const brokenBlocks = `
  with kept as materialized (
    select s.first_position, s.last_position, s.digests, s.hash,
      lag(s.hash, 1, decode($5, 'hex')) over (order by s.last_position) as previous,
      lag(s.last_position, 1, $3) over (order by s.last_position) as before
    from ledger.seals s
    where s.tenant_id = $1 and s.environment = $2 and s.last_position > $3 and s.last_position <= $4
  ), block as materialized (
    select * from kept where first_position > before and length(digests) = 8 * (last_position - first_position + 1)
  ), place as materialized (
    select b.last_position, p.position from block b
    cross join lateral generate_series(b.first_position, b.last_position) p (position)
  ), computed as materialized (
    select p.last_position, string_agg(d.digest, ''::bytea order by d.position) as digests,
      string_agg(substr(d.digest, 1, 8), ''::bytea order by d.position) as short_digests
    from place p join ledger.digests($1, $2, $3::bigint + 1, $4) d on d.position = p.position
    group by p.last_position
  )
  select b.first_position, b.last_position, b.first_position = b.before + 1 as follows,
    encode(b.hash, 'hex') as hash, encode(c.hash, 'hex') as computed
  from block b
  left join computed on computed.last_position = b.last_position
  cross join lateral (
    select ledger.seal_hash(b.previous, b.first_position, b.last_position, coalesce(computed.digests, ''::bytea)) as hash
  ) c
  where c.hash <> b.hash or computed.short_digests is distinct from b.digests
  order by b.last_position`;

/** The positions of one block, $3 to $4, whose digest is not the one that was kept. */
const alteredPositions = `
  select p.position, ${recordAt('p.position')} as subject,
    case when d.digest is null then 'is missing, though it was sealed' else 'is not as it was sealed' end as detail
  from ledger.seals s
  cross join lateral generate_series(s.first_position, s.last_position) p (position)
  left join ledger.digests($1, $2, $3, $4) d on d.position = p.position
  where s.tenant_id = $1 and s.environment = $2 and s.last_position = $4
    and substr(s.digests, (8 * (p.position - s.first_position))::integer + 1, 8) is distinct from substr(d.digest, 1, 8)
  order by p.position limit $5`;

/** What the hash of the block $3 to $4 would be after $5. */
const linkTo = `
  select encode(ledger.seal_hash(decode($5, 'hex'), $3, $4, coalesce(string_agg(d.digest, ''::bytea order by d.position), ''::bytea)), 'hex') as hash
  from ledger.digests($1, $2, $3, $4) d`;

/**
 * What is wrong with the seals of a ledger and with what they cover, at most `limit` findings. A position is named by
 * its digest, so that of a whole block only what was altered is reported; a seal that was altered itself is told from
 * the one after it, which is only linked to it.
 *
 * @param options.recompute how many of the last positions are computed again; all others' seals are only checked
 * to follow one another
 */
export async function verifySeals(
  tx: Transaction,
  scope: Scope,
  options: { limit: number; recompute: number },
): Promise<FindingRow[]> {
  const ids = [scope.tenant_id, scope.environment];
  const findings = await tx.rows(FindingRow, structure, [...ids, options.limit]);

  async function explain(block: BlockRow, broken: BlockRow | undefined): Promise<FindingRow[]> {
    const bounds = [...ids, block.first_position, block.last_position];
    const altered = await tx.rows(FindingRow, alteredPositions, [...bounds, options.limit]);
    const seal = `seal of positions ${block.first_position} to ${block.last_position}`;
    const found = (detail: string) => [{ subject: seal, position: block.first_position, detail }];
    if (block.hash === block.computed) {
      return found('its digests were altered; what it seals is as its hash says');
    }
    if (altered.length > 0) return altered;
    // A seal is missing before it: that was found already.
    if (!block.follows) return [];
    if (broken !== undefined && broken.last_position === block.first_position - 1n) {
      const [link] = await tx.rows(LinkRow, linkTo, [...bounds, broken.computed]);
      if (link?.hash === block.hash) return [];
    }
    return found('its hash was altered: it is not that of the seal before it and of what it seals');
  }

  const [start] = await tx.rows(
    StartRow,
    `select last_position, encode(hash, 'hex') as hash from (
       select s.last_position, s.hash from ledger.seals s
       where s.tenant_id = $1 and s.environment = $2 and s.last_position <= (
         select max(l.last_position) - $3 from ledger.seals l where l.tenant_id = $1 and l.environment = $2)
       union all
       select 0, ledger.seal_root($1, $2)
     ) s order by last_position desc limit 1`,
    [...ids, options.recompute],
  );
  let after = start?.last_position ?? 0n;
  let previous = start?.hash ?? '';
  let broken: BlockRow | undefined;
  while (findings.length < options.limit) {
    const [bound] = await tx.rows(
      BoundRow,
      `select max(s.last_position) as last_position from ledger.seals s
       where s.tenant_id = $1 and s.environment = $2 and s.last_position > $3 and s.last_position <= greatest($3 + $4, (
         select min(n.last_position) from ledger.seals n
         where n.tenant_id = $1 and n.environment = $2 and n.last_position > $3))`,
      [...ids, after, CHUNK],
    );
    const upto = bound?.last_position ?? null;
    if (upto === null) break;
    for (const block of await tx.rows(BlockRow, brokenBlocks, [...ids, after, upto, previous])) {
      if (findings.length >= options.limit) break;
      findings.push(...(await explain(block, broken)));
      broken = block;
    }
    const [last] = await tx.rows(
      LinkRow,
      `select encode(hash, 'hex') as hash from ledger.seals
       where tenant_id = $1 and environment = $2 and last_position = $3`,
      [...ids, upto],
    );
    after = upto;
    previous = last?.hash ?? '';
  }
  return findings.slice(0, options.limit);
}
