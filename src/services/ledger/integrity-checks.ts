/**
 * What must hold in a ledger, as SQL that finds what does not. Each runs over the whole ledger of the tenant `$1` and
 * environment `$2`, set-wise, and returns a row for each thing that is wrong:
 *
 * - `subject`: what it is about, or null for whatever stands at `position`
 * - `position`: where in the ledger, or null
 * - `detail`: what is wrong, amounts in minor units
 *
 * Ids are written `acc:<uuid>` and shown in their public form.
 */

/** What a check looks at, to say how much that was. */
export type Looked =
  | 'accounts'
  | 'transfers'
  | 'entries'
  | 'holds'
  | 'positions'
  | 'attempts'
  | 'events'
  | 'attributions';

export interface IntegrityQuery {
  name: string;
  meaning: string;
  looks_at: Looked;
  sql: string;
}

const own = (alias: string) => `${alias}.tenant_id = $1 and ${alias}.environment = $2`;

const utc = (time: string) =>
  `coalesce(to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'never')`;

/** `<column> is <value>, <whence> <expected>` where they differ, else null: for `concat_ws`. */
const differs = (column: string, value: string, whence: string, expected: string) =>
  `case when ${value} is distinct from ${expected} then format('${column} is %s, ${whence} %s', ${value}, ${expected}) end`;

/** The same for times. */
const timeDiffers = (column: string, value: string, whence: string, expected: string) =>
  `case when ${value} is distinct from ${expected} then format('${column} is %s, ${whence} %s', ${utc(value)}, ${utc(expected)}) end`;

/** Everything that has a position, once: a capture is told by its hold step. */
const recorded = `
  select s.position, s.id, s.created_at, 'ledger.hold.' || case s.kind when 'place' then 'placed'
      when 'increment' then 'incremented' when 'extend' then 'extended' when 'capture' then 'captured'
      when 'release' then 'released' when 'expire' then 'expired' end as type
  from ledger.hold_steps s where ${own('s')}
  union all
  select t.position, t.id, t.created_at,
      case t.kind when 'reversal' then 'ledger.transfer.reversed' else 'ledger.transfer.posted' end
  from ledger.transfers t
  where ${own('t')} and not exists (
    select from ledger.hold_steps s where ${own('s')} and s.position = t.position
  )`;

/** Names what stands at a position. */
export const recordAt = (position: string) => `coalesce(
  (select 'trf:' || t.id from ledger.transfers t where ${own('t')} and t.position = ${position}),
  (select 'hst:' || s.id from ledger.hold_steps s where ${own('s')} and s.position = ${position}),
  'position ' || ${position})`;

export const integrityQueries: readonly IntegrityQuery[] = [
  {
    name: 'account_counters',
    meaning: 'Each account has been debited and credited what its entries come to',
    looks_at: 'accounts',
    sql: `
      select 'acc:' || coalesce(a.id, e.account_id) as subject, null::bigint as position,
        case when a.id is null then format('is no account, and yet has %s entries', e.entries)
        else concat_ws('; ',
          ${differs('debits_posted', 'a.debits_posted', 'its entries come to', 'coalesce(e.debits, 0)')},
          ${differs('credits_posted', 'a.credits_posted', 'its entries come to', 'coalesce(e.credits, 0)')})
        end as detail
      from (select * from ledger.accounts a where ${own('a')}) a
      full join (
        select e.account_id, count(*) as entries,
          coalesce(sum(e.amount) filter (where e.side = 'debit'), 0) as debits,
          coalesce(sum(e.amount) filter (where e.side = 'credit'), 0) as credits
        from ledger.entries e where ${own('e')} group by e.account_id
      ) e on e.account_id = a.id
      where a.id is null
        or a.debits_posted <> coalesce(e.debits, 0) or a.credits_posted <> coalesce(e.credits, 0)`,
  },
  {
    name: 'running_balances',
    meaning: 'The balance on each entry is the one before it and its amount',
    looks_at: 'entries',
    sql: `
      select null::text as subject, r.position,
        format('leg %s leaves account acc:%s at %s; the balance before it and its amount come to %s',
          r.leg, r.account_id, r.balance, r.expected) as detail
      from (
        select e.position, e.leg, e.account_id, e.balance,
          lag(e.balance, 1, 0::bigint) over (partition by e.account_id order by e.position, e.leg)::numeric
            + case when e.side = a.normal_side then e.amount else -e.amount end as expected
        from ledger.entries e join ledger.accounts a on a.id = e.account_id
        where ${own('e')} and ${own('a')}
      ) r
      where r.balance <> r.expected`,
  },
  {
    name: 'balanced_transfers',
    meaning: 'Each transfer has two entries or more, balanced in each currency, and each entry its transfer',
    looks_at: 'transfers',
    sql: `
      select null::text as subject, f.position, f.detail
      from (
        select coalesce(t.position, e.position) as position,
          case when t.position is null then format('has %s entries, but no transfer', e.entries)
          else concat_ws('; ',
            case when e.position is null then 'has no entries' when e.entries = 1 then 'has a single entry' end,
            case when e.first_leg <> 1 or e.last_leg <> e.entries
              then format('its %s legs are numbered from %s to %s', e.entries, e.first_leg, e.last_leg) end,
            'debits less credits are ' || e.differences,
            case when e.first_date <> t.effective_date or e.last_date <> t.effective_date
              then format('is effective on %s, its entries on %s to %s', t.effective_date, e.first_date, e.last_date) end,
            case when e.backdated <> case when t.effective_date <> t.recorded_on then e.entries else 0 end
              then format('is effective on %s and recorded on %s, yet %s of its %s entries are marked as backdated',
                          t.effective_date, t.recorded_on, e.backdated, e.entries) end
          ) end as detail
        from (select t.position, t.effective_date, (t.created_at at time zone 'UTC')::date as recorded_on from ledger.transfers t where ${own('t')}) t
        full join (
          select c.position, sum(c.entries) as entries, min(c.first_leg) as first_leg, max(c.last_leg) as last_leg,
            min(c.first_date) as first_date, max(c.last_date) as last_date, sum(c.backdated) as backdated,
            string_agg(format('%s of %s', c.difference, c.currency), ', ' order by c.currency)
              filter (where c.difference <> 0) as differences
          from (
            select e.position, e.currency, count(*) as entries, min(e.leg) as first_leg, max(e.leg) as last_leg,
              min(e.effective_date) as first_date, max(e.effective_date) as last_date,
              count(*) filter (where e.backdated) as backdated,
              sum(case e.side when 'debit' then e.amount else -e.amount end) as difference
            from ledger.entries e where ${own('e')} group by e.position, e.currency
          ) c
          group by c.position
        ) e on e.position = t.position
      ) f
      where f.detail <> ''`,
  },
  {
    name: 'trial_balance',
    meaning: 'Over all accounts, debits less credits are zero in each currency',
    looks_at: 'accounts',
    sql: `
      select a.currency as subject, null::bigint as position,
        format('debits less credits of all accounts are %s', sum(a.debits_posted) - sum(a.credits_posted)) as detail
      from ledger.accounts a where ${own('a')} group by a.currency
      having sum(a.debits_posted) <> sum(a.credits_posted)`,
  },
  {
    name: 'balance_rules',
    meaning: 'No account is overdrawn beyond its limit, and closed accounts are empty',
    looks_at: 'accounts',
    sql: `
      select 'acc:' || a.id as subject, null::bigint as position,
        concat_ws('; ',
          case when a.available < -a.credit_limit
            then format('its balance less what is held is %s, its credit limit %s', a.available, a.credit_limit) end,
          case when a.status = 'closed' and (a.debits_posted <> a.credits_posted or a.debits_pending <> 0 or a.credits_pending <> 0)
            then 'is closed, but not empty' end) as detail
      from (
        select a.*, case a.normal_side
          when 'credit' then a.credits_posted::numeric - a.debits_posted - a.debits_pending
          else a.debits_posted::numeric - a.credits_posted - a.credits_pending end as available
        from ledger.accounts a where ${own('a')}
      ) a
      where a.available < -a.credit_limit
        or a.status = 'closed' and (a.debits_posted <> a.credits_posted or a.debits_pending <> 0 or a.credits_pending <> 0)`,
  },
  {
    name: 'entry_accounts',
    meaning: 'Each entry and each hold is in the currency of its accounts',
    looks_at: 'entries',
    sql: `
      select null::text as subject, e.position,
        case when a.id is null then format('leg %s is on account acc:%s, which does not exist', e.leg, e.account_id)
          else format('leg %s is in %s, its account acc:%s in %s', e.leg, e.currency, e.account_id, a.currency) end as detail
      from (select * from ledger.entries e where ${own('e')}) e
      left join (select * from ledger.accounts a where ${own('a')}) a on a.id = e.account_id
      where a.currency is distinct from e.currency
      union all
      select 'hld:' || h.id, null,
        case when a.id is null then format('is on account acc:%s, which does not exist', h.account_id)
          else format('is in %s, its account acc:%s in %s', h.currency, h.account_id, a.currency) end
      from (
        select h.id, h.currency, side.account_id from ledger.holds h
        cross join lateral (values (h.debit_account_id), (h.credit_account_id)) side (account_id)
        where ${own('h')}
      ) h
      left join (select * from ledger.accounts a where ${own('a')}) a on a.id = h.account_id
      where a.currency is distinct from h.currency`,
  },
  {
    name: 'reversals',
    meaning: 'Each leg of a reversal takes back a leg of its original, together never more than that',
    looks_at: 'transfers',
    sql: `
      with reversal as (
        select t.position, t.kind, t.reverses_id, x.leg, x.reverses_leg, x.account_id, x.side, x.amount,
          o.position as original_position, o.kind as original_kind, original.account_id as original_account_id,
          original.side as original_side, original.amount as original_amount
        from ledger.entries x
        join ledger.transfers t on t.position = x.position and ${own('t')}
        left join ledger.transfers o on o.id = t.reverses_id and ${own('o')}
        left join ledger.entries original
          on original.position = o.position and original.leg = x.reverses_leg and ${own('original')}
        where ${own('x')} and (t.kind = 'reversal' or x.reverses_leg is not null)
      )
      select null::text as subject, r.position, r.detail
      from (
        select position, case
          when kind <> 'reversal' then format('leg %s is to take back a leg, but this is no reversal', leg)
          when reverses_leg is null then format('leg %s takes back no leg', leg)
          when original_position is null then format('reverses trf:%s, which does not exist', reverses_id)
          when original_kind = 'reversal' then format('reverses trf:%s, a reversal itself', reverses_id)
          when original_position >= position then format('reverses trf:%s, which comes after it', reverses_id)
          when original_amount is null
            then format('leg %s takes back leg %s, which trf:%s does not have', leg, reverses_leg, reverses_id)
          when original_account_id <> account_id
            then format('leg %s takes back leg %s of trf:%s on another account', leg, reverses_leg, reverses_id)
          when original_side = side
            then format('leg %s is on the same side as leg %s of trf:%s', leg, reverses_leg, reverses_id)
          end as detail
        from reversal
      ) r
      where r.detail is not null
      union all
      select null, original_position,
        format('its reversals take back %s of leg %s, which is %s', sum(amount), reverses_leg, min(original_amount))
      from reversal where original_amount is not null
      group by original_position, reverses_leg
      having sum(amount) > min(original_amount)`,
  },
  {
    name: 'pending_amounts',
    meaning: 'What is pending on each account is what its holds have left',
    looks_at: 'accounts',
    sql: `
      select 'acc:' || a.id as subject, null::bigint as position,
        concat_ws('; ',
          ${differs('debits_pending', 'a.debits_pending', 'its holds have left', 'coalesce(h.debits, 0)')},
          ${differs('credits_pending', 'a.credits_pending', 'its holds have left', 'coalesce(h.credits, 0)')}) as detail
      from (select * from ledger.accounts a where ${own('a')}) a
      left join (
        select side.account_id, sum(side.debit) as debits, sum(side.credit) as credits
        from (
          select h.debit_account_id, h.credit_account_id, h.amount - h.captured - h.released as remaining
          from ledger.holds h where ${own('h')} and h.captured + h.released < h.amount
        ) h
        cross join lateral (values (h.debit_account_id, h.remaining, 0), (h.credit_account_id, 0, h.remaining))
          side (account_id, debit, credit)
        group by side.account_id
      ) h on h.account_id = a.id
      where a.debits_pending <> coalesce(h.debits, 0) or a.credits_pending <> coalesce(h.credits, 0)`,
  },
  {
    name: 'holds',
    meaning: 'Each hold is what its steps made it, and each capture a transfer of its amount',
    looks_at: 'holds',
    sql: `
      with step as (
        select s.*,
          lag(s.step, 1, 0) over by_step as step_before,
          lag(s.position, 1, 0::bigint) over by_step as position_before,
          lag(s.amount_after, 1, 0::bigint) over by_step as amount_before,
          lag(s.captured_after, 1, 0::bigint) over by_step as captured_before,
          lag(s.released_after, 1, 0::bigint) over by_step as released_before,
          lead(s.step) over by_step is null as is_last
        from ledger.hold_steps s where ${own('s')}
        window by_step as (partition by s.hold_id order by s.step)
      ), capture as (
        select t.position, t.hold_id, e.debit_account_id, e.credit_account_id, e.amount
        from (select * from ledger.transfers t where ${own('t')} and t.kind = 'capture') t
        left join (
          select e.position, sum(e.amount) filter (where e.side = 'debit') as amount,
            (array_agg(e.account_id) filter (where e.side = 'debit'))[1] as debit_account_id,
            (array_agg(e.account_id) filter (where e.side = 'credit'))[1] as credit_account_id
          from ledger.entries e where ${own('e')} group by e.position
        ) e on e.position = t.position
      ), hold as (
        select * from ledger.holds h where ${own('h')}
      )
      select 'hld:' || f.hold_id as subject, f.position, f.detail
      from (
        select s.hold_id, s.position, concat_ws('; ',
          case when s.step <> s.step_before + 1 then format('step %s follows step %s', s.step, s.step_before) end,
          case when s.position <= s.position_before
            then format('step %s stands at position %s, the one before it at %s', s.step, s.position, s.position_before) end,
          case when s.step_before = s.step - 1 and (
              s.pending_change::numeric <> (s.amount_after::numeric - s.captured_after - s.released_after)
                - (s.amount_before::numeric - s.captured_before - s.released_before)
              or (s.kind in ('place', 'increment')) <> (s.amount_after > s.amount_before)
              or (s.kind = 'capture') <> (s.captured_after > s.captured_before)
              or (s.kind in ('release', 'expire')) and s.released_after <= s.released_before
              or (s.kind in ('place', 'increment', 'extend')) and s.released_after <> s.released_before)
            then format('step %s (%s, changing %s) goes from %s held, %s captured, %s released to %s, %s, %s', s.step, s.kind,
              s.pending_change, s.amount_before, s.captured_before, s.released_before, s.amount_after, s.captured_after, s.released_after) end,
          case when (s.step = 1) <> (s.kind = 'place') then format('step %s is of kind %s', s.step, s.kind) end) as detail
        from step s
        union all
        select coalesce(h.id, s.hold_id), s.position, case
          when h.id is null then 'does not exist, and yet has steps'
          when s.hold_id is null then 'has no steps'
          else concat_ws('; ',
            ${differs('amount', 'h.amount', 'its last step says', 's.amount_after')},
            ${differs('captured', 'h.captured', 'its last step says', 's.captured_after')},
            ${differs('released', 'h.released', 'its last step says', 's.released_after')},
            ${differs('steps', 'h.steps', 'its last step is', 's.step')},
            ${timeDiffers('expires_at', 'h.expires_at', 'its last step says', 's.expires_at')},
            ${timeDiffers('updated_at', 'h.updated_at', 'its last step was at', 's.created_at')},
            case when h.expired <> (s.kind = 'expire') then format('expired is %s, its last step is %s', h.expired, s.kind) end)
          end
        from hold h full join (select * from step where is_last) s on s.hold_id = h.id
        union all
        select coalesce(s.hold_id, c.hold_id), coalesce(s.position, c.position), case
          when c.position is null then format('step %s captures, but no transfer stands with it', s.step)
          when s.position is null then 'is captured by a transfer without a step'
          else concat_ws('; ',
            case when c.hold_id <> s.hold_id then format('is captured by a transfer that names hld:%s', c.hold_id) end,
            case when c.amount is distinct from s.captured_after - s.captured_before
              then format('step %s captures %s, its transfer %s', s.step, s.captured_after - s.captured_before, c.amount) end,
            case when c.debit_account_id <> h.debit_account_id or c.credit_account_id <> h.credit_account_id
              then format('step %s captures between other accounts than those of the hold', s.step) end)
          end
        from (select * from step where kind = 'capture') s
        full join capture c on c.position = s.position
        left join hold h on h.id = s.hold_id
      ) f
      where f.detail <> ''`,
  },
  {
    name: 'positions',
    meaning: 'Positions run from 1 to the head without a gap, and no time is earlier than the one before it',
    looks_at: 'positions',
    sql: `
      with place as (
        select p.position, p.first_at, p.last_at, lag(p.position, 1, 0::bigint) over by_position as before,
          lag(p.last_at) over by_position as before_at, lead(p.position) over by_position is null as is_last
        from (
          select r.position, min(r.created_at) as first_at, max(r.created_at) as last_at
          from (
            select t.position, t.created_at from ledger.transfers t where ${own('t')}
            union all
            select s.position, s.created_at from ledger.hold_steps s where ${own('s')}
          ) r
          group by r.position
        ) p
        window by_position as (order by p.position)
      )
      select 'position ' || before + 1 as subject, before + 1 as position,
        case when position = before + 2 then 'is missing' else format('is missing, and all up to %s', position - 1) end as detail
      from place where position > before + 1
      union all
      select null, position, format('is recorded at %s, earlier than the position before it, at %s', ${utc('first_at')}, ${utc('before_at')})
      from place where first_at < before_at
      union all
      select null, position, format('is a transfer and a hold step, recorded at %s and at %s', ${utc('first_at')}, ${utc('last_at')})
      from place where first_at <> last_at
      union all
      select 'head', null, concat_ws('; ',
        ${differs('position', 'coalesce(h.position, 0)', 'the last one recorded is', 'coalesce(p.position, 0)')},
        case when h.position = p.position then ${timeDiffers('recorded_at', 'h.recorded_at', 'the last position was recorded at', 'p.last_at')} end)
      from (values (1)) one
      left join (select * from ledger.heads h where ${own('h')}) h on true
      left join (select * from place where is_last) p on true
      where coalesce(h.position, 0) <> coalesce(p.position, 0) or h.position = p.position and h.recorded_at <> p.last_at`,
  },
  {
    name: 'outbox',
    meaning: 'Each position has one event, and the events are numbered without a gap',
    looks_at: 'events',
    sql: `
      with place as (${recorded}), event as (
        select o.sequence, lag(o.sequence, 1, 0::bigint) over (order by o.sequence) as before,
          lead(o.sequence) over (order by o.sequence) is null as is_last
        from ledger.outbox o where ${own('o')}
      )
      select case when r.position is null then 'position ' || o.position end as subject,
        coalesce(r.position, o.position) as position, f.detail
      from place r
      full join (
        select o.position, count(*) as events, (array_agg(o.id))[1] as id, min(o.type) as type, min(o.time) as time
        from ledger.outbox o where ${own('o')} and o.position is not null group by o.position
      ) o on o.position = r.position
      cross join lateral (select case
        when r.position is null then 'has an event, but nothing is recorded there'
        when o.position is null then 'has no event'
        when o.events > 1 then format('has %s events', o.events)
        else concat_ws('; ',
          case when o.id <> r.id then format('its event has the id %s', o.id) end,
          ${differs('the type of its event', 'o.type', 'it should be', 'r.type')},
          ${timeDiffers('the time of its event', 'o.time', 'it was recorded at', 'r.created_at')})
        end as detail offset 0) f
      where f.detail <> ''
      union all
      select 'event ' || before + 1, null,
        case when sequence = before + 2 then 'is missing' else format('is missing, and all up to %s', sequence - 1) end
      from event where sequence > before + 1
      union all
      select 'head', null, format('outbox_sequence is %s, the last event is %s', coalesce(h.outbox_sequence, 0), coalesce(e.sequence, 0))
      from (values (1)) one
      left join (select * from ledger.heads h where ${own('h')}) h on true
      left join (select * from event where is_last) e on true
      where coalesce(h.outbox_sequence, 0) <> coalesce(e.sequence, 0)`,
  },
  {
    name: 'attempts',
    meaning: 'Each position is the result of one attempt, and each attempt that posted has its position',
    looks_at: 'attempts',
    sql: `
      with place as (${recorded})
      select case when r.position is null then 'position ' || a.position end as subject,
        coalesce(r.position, a.position) as position, f.detail
      from place r
      full join (
        select a.position, count(*) as attempts, (array_agg(a.result_id))[1] as result_id, min(a.key) as key,
          min(a.created_at) as created_at
        from ledger.attempt_outcomes a where ${own('a')} and a.position is not null group by a.position
      ) a on a.position = r.position
      cross join lateral (select case
        when r.position is null then format('is the result of the attempt with key %s, but nothing is recorded there', a.key)
        when a.position is null then 'is the result of no attempt'
        when a.attempts > 1 then format('is the result of %s attempts', a.attempts)
        else concat_ws('; ',
          case when a.result_id is distinct from r.id then format('the attempt with key %s has another result, %s', a.key, a.result_id) end,
          ${timeDiffers('the time of its attempt', 'a.created_at', 'it was recorded at', 'r.created_at')})
        end as detail offset 0) f
      where f.detail <> ''
      union all
      select 'attempt ' || a.key, a.position, format('item %s has %s', a.item,
        case when a.refusal is null then 'neither a result nor a refusal' else 'a result and a refusal' end)
      from ledger.attempt_outcomes a where ${own('a')} and (a.result_id is null) = (a.refusal is null)`,
  },
  {
    name: 'attributions',
    meaning: 'Each record of a posting waits for the audit trail until it was moved there',
    looks_at: 'attributions',
    sql: `
      with head as (
        select coalesce((select h.attributions from ledger.heads h where ${own('h')}), 0) as written,
          coalesce((select m.moved from ledger.attribution_marks m where ${own('m')}), 0) as moved
      ), waiting as (
        select a.number, a.position from ledger.attributions a where ${own('a')} and a.number is not null
      ), gaps as (
        select lag(w.number, 1, h.moved) over (order by w.number) + 1 as first_number, w.number - 1 as last_number,
          lag(w.position) over (order by w.number) as after_position, w.position as before_position
        from waiting w cross join head h
        union all
        select greatest(h.moved, coalesce(max(w.number), 0)) + 1, h.written, max(w.position), null
        from head h left join waiting w on true group by h.moved, h.written
        union all
        select l.first_number, l.last_number, l.after_position, l.before_position
        from ledger.attributions_lost l where ${own('l')}
      )
      select case when g.first_number = g.last_number then 'attribution ' || g.first_number
          else format('attributions %s to %s', g.first_number, g.last_number) end as subject, null::bigint as position,
        concat_ws(' ', 'taken away before the audit trail had what they tell of: what was posted',
          'after position ' || g.after_position, case when num_nonnulls(g.after_position, g.before_position) = 2 then 'and' end,
          'before position ' || g.before_position) as detail
      from gaps g where g.last_number >= g.first_number
      union all
      select 'attribution ' || w.number, w.position, 'waits for the audit trail, although it was moved there or never written'
      from waiting w cross join head h where w.number <= h.moved or w.number > h.written`,
  },
];
