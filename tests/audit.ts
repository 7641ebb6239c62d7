/**
 * The books of one tenant, recomputed by SQL of its own from the rows as a superuser sees them. Tests end with it:
 * it shares no code with the ledger, its integrity check included.
 */
import type { Client } from 'pg';
import type { Scope } from '../src/platform/db.ts';

/** Each returns a row, with `what` it is about, for everything that is wrong. $1 is the tenant, $2 the environment. */
const questions: Record<string, string> = {
  'positions have a gap or a stranger': `
    select 'positions ' || count(distinct position) || ' of ' || max(h.head) as what
    from (select position from ledger.transfers where tenant_id = $1 and environment = $2
          union all select position from ledger.hold_steps where tenant_id = $1 and environment = $2) p
    cross join (select coalesce(max(position), 0) as head from ledger.heads
                where tenant_id = $1 and environment = $2) h
    having count(distinct position) <> max(h.head) or coalesce(min(position), 1) <> 1
        or coalesce(max(position), 0) <> max(h.head)`,
  'a position has two records that are not a capture and its transfer': `
    select 'position ' || t.position as what
    from ledger.transfers t join ledger.hold_steps s using (tenant_id, environment, position)
    where t.tenant_id = $1 and t.environment = $2
      and (t.kind <> 'capture' or s.kind <> 'capture' or t.hold_id <> s.hold_id)`,
  'times do not rise with positions': `
    select 'position ' || position as what from (
      select position, created_at, lag(created_at) over (order by position) as before from (
        select position, created_at from ledger.transfers where tenant_id = $1 and environment = $2
        union select position, created_at from ledger.hold_steps where tenant_id = $1 and environment = $2) p) q
    where created_at < before`,
  'a transfer has no entries, or entries have no transfer': `
    select 'position ' || coalesce(t.position, e.position) as what
    from (select position from ledger.transfers where tenant_id = $1 and environment = $2) t
    full join (select position, min(leg) as low, max(leg) as high, count(*) as legs from ledger.entries
               where tenant_id = $1 and environment = $2 group by position) e using (position)
    where t.position is null or e.position is null or e.legs < 2`,
  'debits and credits of a transfer differ': `
    select 'position ' || position || ' by ' || sum(case side when 'debit' then amount else -amount end) || ' '
           || currency as what
    from ledger.entries where tenant_id = $1 and environment = $2 group by position, currency
    having sum(case side when 'debit' then amount else -amount end) <> 0`,
  'a running balance is wrong': `
    select 'account ' || account_id || ' position ' || position || ' leg ' || leg || ': ' || balance || ', not '
           || running as what
    from (select e.*, sum(case when e.side = a.normal_side then e.amount else -e.amount end)
                        over (partition by e.account_id order by e.position, e.leg) as running
          from ledger.entries e join ledger.accounts a on a.tenant_id = e.tenant_id and a.environment = e.environment
            and a.id = e.account_id
          where e.tenant_id = $1 and e.environment = $2) r
    where running <> balance`,
  'the counters of an account are not the sums of its entries': `
    select 'account ' || a.id as what
    from ledger.accounts a
    left join (select account_id, sum(amount) filter (where side = 'debit') as debits,
                      sum(amount) filter (where side = 'credit') as credits
               from ledger.entries where tenant_id = $1 and environment = $2 group by account_id) e
      on e.account_id = a.id
    where a.tenant_id = $1 and a.environment = $2
      and (a.debits_posted <> coalesce(e.debits, 0) or a.credits_posted <> coalesce(e.credits, 0))`,
  'an entry is in another currency than its account': `
    select 'position ' || e.position as what from ledger.entries e
    join ledger.accounts a on a.tenant_id = e.tenant_id and a.environment = e.environment and a.id = e.account_id
    where e.tenant_id = $1 and e.environment = $2 and e.currency <> a.currency`,
  'an account is beyond its credit limit': `
    select 'account ' || id as what from ledger.accounts
    where tenant_id = $1 and environment = $2 and credit_limit is not null
      and case normal_side when 'credit' then credits_posted::numeric - debits_posted - debits_pending
                           else debits_posted::numeric - credits_posted - credits_pending end < -credit_limit`,
  'what an account has pending is not what its holds hold': `
    select 'account ' || a.id as what from ledger.accounts a
    where a.tenant_id = $1 and a.environment = $2 and (
      a.debits_pending <> (select coalesce(sum(amount - captured - released), 0) from ledger.holds h
        where h.tenant_id = $1 and h.environment = $2 and h.debit_account_id = a.id)
      or a.credits_pending <> (select coalesce(sum(amount - captured - released), 0) from ledger.holds h
        where h.tenant_id = $1 and h.environment = $2 and h.credit_account_id = a.id))`,
  'a hold is not what its steps make it': `
    select 'hold ' || h.id as what from ledger.holds h
    left join (select hold_id, sum(pending_change) as held, count(*) as steps, max(step) as last, min(step) as first
               from ledger.hold_steps where tenant_id = $1 and environment = $2 group by hold_id) s on s.hold_id = h.id
    left join (select t.hold_id, sum(e.amount) filter (where e.side = 'debit') as captured
               from ledger.transfers t join ledger.entries e using (tenant_id, environment, position)
               where t.tenant_id = $1 and t.environment = $2 and t.kind = 'capture' group by t.hold_id) c
      on c.hold_id = h.id
    where h.tenant_id = $1 and h.environment = $2
      and (s.held is distinct from h.amount - h.captured - h.released or s.steps <> h.steps or s.last <> h.steps
           or s.first <> 1 or coalesce(c.captured, 0) <> h.captured)`,
  'more was reversed of a leg than it moved': `
    select 'transfer ' || t.id || ' leg ' || o.leg as what
    from ledger.transfers r
    join ledger.entries x using (tenant_id, environment, position)
    join ledger.transfers t on t.tenant_id = $1 and t.environment = $2 and t.id = r.reverses_id
    join ledger.entries o on o.tenant_id = $1 and o.environment = $2 and o.position = t.position
      and o.leg = x.reverses_leg
    where r.tenant_id = $1 and r.environment = $2 and r.kind = 'reversal'
    group by t.id, o.leg, o.amount having sum(x.amount) > o.amount`,
  'a record has not exactly one attempt': `
    select 'position ' || p.position as what
    from (select position, id from ledger.transfers where tenant_id = $1 and environment = $2 and kind <> 'capture'
          union all select position, id from ledger.hold_steps where tenant_id = $1 and environment = $2) p
    left join ledger.attempt_outcomes a on a.tenant_id = $1 and a.environment = $2 and a.result_id = p.id
    group by p.position, p.id having count(a.key) <> 1 or bool_or(a.position is distinct from p.position)`,
  'an attempt succeeded without a record': `
    select 'key ' || a.key as what from ledger.attempt_outcomes a
    where a.tenant_id = $1 and a.environment = $2 and a.position is not null and a.refusal is null
      and not exists (select from ledger.transfers t where t.tenant_id = $1 and t.environment = $2
                        and t.position = a.position and t.id = a.result_id)
      and not exists (select from ledger.hold_steps s where s.tenant_id = $1 and s.environment = $2
                        and s.position = a.position and s.id = a.result_id)`,
  'a refused attempt left something behind': `
    select 'key ' || a.key as what from ledger.attempt_outcomes a
    where a.tenant_id = $1 and a.environment = $2 and a.refusal is not null
      and (a.position is not null or a.result_id is not null)`,
  'the outbox has a gap': `
    select 'sequence ' || coalesce(max(sequence), 0) || ', ' || count(*) || ' events' as what from ledger.outbox
    where tenant_id = $1 and environment = $2
    having count(*) <> coalesce(max(sequence), 0) or coalesce(max(sequence), 0) is distinct from
      (select coalesce(max(outbox_sequence), 0) from ledger.heads where tenant_id = $1 and environment = $2)`,
  'a position has not exactly one event': `
    select 'position ' || p.position as what
    from (select position from ledger.transfers where tenant_id = $1 and environment = $2
          union select position from ledger.hold_steps where tenant_id = $1 and environment = $2) p
    left join ledger.outbox o on o.tenant_id = $1 and o.environment = $2 and o.position = p.position
    group by p.position having count(o.sequence) <> 1`,
};

/** Everything that is wrong with the books of a tenant, a line each; empty when they are sound. */
export async function audit(client: Client, scope: Scope): Promise<string[]> {
  const found: string[] = [];
  for (const [wrong, sql] of Object.entries(questions)) {
    const { rows } = await client.query<{ what: string }>(`${sql} limit 5`, [
      scope.tenant_id,
      scope.environment,
    ]);
    found.push(...rows.map(({ what }) => `${wrong}: ${what}`));
  }
  return found;
}
