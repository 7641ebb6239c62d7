set local role financialapi_owner;

-- Up to which day the books are closed. Whoever closes or reopens holds the head, as whoever posts does: a closing comes
-- before a posting or after it, and the posting reads the day with the row that it locks anyway.
alter table ledger.heads add column closed_through date;
comment on column ledger.heads.closed_through is 'The last day that is closed: nothing effective on or before it is posted any more. Null: none';
grant update (closed_through) on ledger.heads to ledger;

-- Closings, each with the trial balance at its day. That is read after the commit that closes, so that nobody waits for it
-- who posts: nothing of a day that is closed can change any more.
create table ledger.period_closes (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  through date not null,
  previous_through date,
  position bigint not null,
  closed_at timestamptz not null default now(),
  closed_by text not null check (length(closed_by) between 1 and 300),
  lines jsonb,
  totals jsonb,
  hash bytea check (length(hash) = 32),
  reopened_at timestamptz,
  reopened_by text check (length(reopened_by) between 1 and 300),
  reopen_reason text check (length(reopen_reason) between 1 and 500),
  primary key (tenant_id, environment, id),
  check (previous_through < through),
  check ((lines is null) = (hash is null) and (totals is null) = (hash is null)),
  check ((reopened_at is null) = (reopened_by is null) and (reopened_at is null) = (reopen_reason is null))
);
comment on column ledger.period_closes.previous_through is 'The last day that was closed before: the one that is left when this is reopened';
comment on column ledger.period_closes.position is 'The last position that was counted';
comment on column ledger.period_closes.hash is 'SHA-256 of lines and totals in canonical form, without names, which may change';
-- Of two closings that stand, none ends on the same day.
create unique index period_closes_standing on ledger.period_closes (tenant_id, environment, through) where reopened_at is null;

alter table ledger.period_closes enable row level security;
alter table ledger.period_closes force row level security;
create policy own_data on ledger.period_closes
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
create policy reach on ledger.period_closes as restrictive to ledger using ((select platform.reach()) is null);
grant select, insert on ledger.period_closes to ledger;
grant update (lines, totals, hash, reopened_at, reopened_by, reopen_reason) on ledger.period_closes to ledger;
create function ledger.keep_period_close() returns trigger language plpgsql as $$
begin
  if (old.hash is not null and (new.hash, new.lines, new.totals) is distinct from (old.hash, old.lines, old.totals))
      or (old.reopened_at is not null and (new.reopened_at, new.reopened_by, new.reopen_reason)
          is distinct from (old.reopened_at, old.reopened_by, old.reopen_reason)) then
    raise exception 'what was kept of the closing of % stays as it is', old.through using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create trigger period_close_is_kept before update on ledger.period_closes
  for each row execute function ledger.keep_period_close();
do $$
begin
  perform platform.make_erasable('ledger.period_closes');
end $$;

-- `ledger.post` as in 0025_post.sql, but that it refuses what would be effective on a day that is closed.

-- Posts a batch of commands in their order, each with an outcome of its own.
--
-- It is the only way to move money: it locks the head of the tenant's ledger, so that one batch follows the other;
-- finds what was attempted before; decides each command against the balances that the ones before it leave; and
-- writes all of it in a handful of set-wise statements. Nothing is looked up within the loop but holds and reversed
-- transfers. A request is described by a member of each of p_keys, p_first_items, p_operations, p_requests, p_bounds, p_attributions and
-- p_first_commands, which tells where its commands begin and, in one more member, where the last ones end. A command is
-- described by the i-th member of each of the other arrays, its legs by members of the p_leg_ arrays:
--
--   p_bounds     of a request: what it is bound to, as JSON with `limits_id` or `reach` (0004_bounds.sql); null if nothing
--   p_attributions the record of a request for the audit trail if anything of it is posted (0008_attributions.sql)
--   p_kinds      1 transfer, 2 reversal, 3 place a hold, 4 increment, 5 extend, 6 capture, 7 release, 8 expire
--   p_groups     commands that stand beside each other with the same number are posted all or none; null stands for itself
--   p_refs       the transfer to reverse; the hold to act on
--   p_amounts    for hold steps: the amount, null for all that remains
--   p_events     the data of each event; for hold steps what `hold_event` completes
--   p_finals     for a capture: whether it releases what remains
--   p_refusals   why the request cannot be carried out for what it says itself, as JSON with code and detail; null
--                where nothing is wrong. Such a command has no legs, and its refusal is kept like any other
--   p_first_legs the first of its legs, which stand in the order of the commands; one more member says where they end
--   p_accounts   each account of the batch once, ascending; p_leg_slots are subscripts into it
--   p_traceparents the place in a trace of what asked for each command, which goes into its event; null where nothing is
--                traced, and then it costs nothing
--
-- An array of which all members would be null may be null itself.
--
-- The first row, whose command is 0, tells when the batch was posted, the position of each command and the balance after
-- each leg, null where it was not posted now. A further row for each command of which that is not all: one that was
-- refused, or attempted before.
--
-- A hold or a reversed transfer may stand in one command of a batch only, an idempotency key in one request.
create or replace function ledger.post(
  p_tenant_id uuid,
  p_environment platform.environment,
  p_ids uuid[],
  p_kinds smallint[],
  p_keys text[],
  p_first_items smallint[],
  p_operations text[],
  p_requests text[],
  p_bounds text[],
  p_attributions text[],
  p_first_commands integer[],
  p_groups integer[],
  p_link_ids uuid[],
  p_effective_dates date[],
  p_descriptions text[],
  p_metadata text[],
  p_exchanges text[],
  p_refs uuid[],
  p_amounts bigint[],
  p_expiries timestamptz[],
  p_finals boolean[],
  p_events text[],
  p_refusals text[],
  p_first_legs integer[],
  p_accounts uuid[],
  p_leg_commands integer[],
  p_leg_numbers smallint[],
  p_leg_slots integer[],
  p_leg_credits boolean[],
  p_leg_amounts bigint[],
  p_leg_currencies text[],
  p_leg_reverses smallint[],
  p_traceparents text[] default null
) returns table (
  command integer,
  created_at timestamptz,
  positions bigint[],
  balances bigint[],
  code text,
  detail json,
  replayed boolean,
  "position" bigint,
  result_id uuid,
  first_request text
)
language plpgsql security definer
set search_path = ledger, pg_catalog, pg_temp
-- Every statement finds few rows by primary key in tables that may be large and were perhaps never analyzed. One
-- plan, kept, with index look-ups: a planner left free reads all accounts for a small batch, and plans each anew.
-- `lateral … offset 0` below is for the same: it makes the batch the outer side of each join. Arrays are read by
-- subscript from a series: `unnest` of ten arrays copies each into a store of its own, in every statement.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
#variable_conflict use_column
declare
  c_max constant bigint := 9223372036854775807;
  n constant integer := cardinality(p_ids);
  n_legs constant integer := coalesce(cardinality(p_leg_commands), 0);
  n_accounts constant integer := coalesce(cardinality(p_accounts), 0);
  v_position bigint;
  v_first_position bigint;
  v_now timestamptz;
  v_today date;
  v_closed date; -- the last day that is closed
  v_sequence bigint;
  v_attributions bigint;
  -- by command
  v_posted bigint[] := array_fill(null::bigint, array[n]); -- its position
  v_done boolean[]; -- true where nothing of it is to be kept any more
  v_code text[];
  v_detail json[];
  v_replayed boolean[];
  v_kept_position bigint[];
  v_kept_created timestamptz[];
  v_kept_result uuid[];
  v_first_request text[];
  -- by account
  a_id uuid[];
  a_gate smallint[];
  a_currency text[];
  a_credit_normal boolean[];
  a_limit bigint[];
  a_debits bigint[];
  a_credits bigint[];
  a_debits_pending bigint[];
  a_credits_pending bigint[];
  a_floor bigint[]; -- what the posted balance may not fall below: what is held, less the credit limit
  a_ctid tid[];
  a_touched boolean[] := array_fill(false, array[n_accounts]);
  -- by leg
  l_balance bigint[] := array_fill(null::bigint, array[n_legs]);
  -- hold steps, in their order
  s_position bigint[] := '{}';
  s_id uuid[] := '{}';
  s_hold uuid[] := '{}';
  s_step integer[] := '{}';
  s_kind text[] := '{}';
  s_change bigint[] := '{}';
  s_amount bigint[] := '{}';
  s_captured bigint[] := '{}';
  s_released bigint[] := '{}';
  s_expires timestamptz[] := '{}';
  -- by monetary limit of a currency; `u_used` as the commands decided so far leave it
  u_name text[];
  u_per_transfer bigint[];
  u_per_day bigint[];
  u_before bigint[];
  u_used bigint[];
  u_group bigint[]; -- before the first command of the group
  v_day date;
  v_bound jsonb;
  v_request integer := 1;
  v_hold holds%rowtype;
  v_original transfers%rowtype;
  v_known record;
  v_any_step boolean := false;
  n_updated integer;
  i integer;
  k integer;
  l_first integer;
  l_last integer;
  l_applied integer;
  i_group integer := 1;
  s integer;
  v_amount bigint;
  v_balance bigint;
  v_change bigint;
  v_short boolean;
  v_refusal text;
  v_context json;
begin
  select h.position, greatest(platform.now_of(p_tenant_id, p_environment), h.recorded_at), h.outbox_sequence, h.attributions, h.closed_through
    into v_position, v_now, v_sequence, v_attributions, v_closed
    from heads h where h.tenant_id = p_tenant_id and h.environment = p_environment
    for no key update;
  if not found then
    -- The first command of a tenant in this environment opens its books.
    insert into heads (tenant_id, environment) values (p_tenant_id, p_environment) on conflict do nothing;
    select h.position, greatest(platform.now_of(p_tenant_id, p_environment), h.recorded_at), h.outbox_sequence, h.attributions, h.closed_through
      into v_position, v_now, v_sequence, v_attributions, v_closed
      from heads h where h.tenant_id = p_tenant_id and h.environment = p_environment
      for no key update;
  end if;
  v_first_position := v_position;
  v_today := (v_now at time zone 'UTC')::date;

  if p_refs is not null then
    if (select count(ref) <> count(distinct ref) from unnest(p_refs) ref) then
      raise exception 'a hold or a reversed transfer stands in two commands of one batch' using errcode = 'invalid_parameter_value';
    end if;
  end if;

  -- What was attempted before is answered as it was then.
  for v_known in
    select r.r as place, kept.*
    from generate_series(1, cardinality(p_keys)) r
    cross join lateral (
      select * from attempts a
        where a.tenant_id = p_tenant_id and a.environment = p_environment and a.key = p_keys[r.r] offset 0
    ) kept
  loop
    k := v_known.place;
    l_first := p_first_commands[k];
    for i in l_first..p_first_commands[k + 1] - 1 loop
      v_done[i] := true;
      v_replayed[i] := true;
      if v_known.operation <> p_operations[k] or v_known.request <> p_requests[k] then
        v_code[i] := 'idempotency_key_reused';
        v_detail[i] := json_build_object('first_operation', v_known.operation);
        -- Once: that of a batch is large.
        v_first_request[l_first] := v_known.request;
      else
        v_code[i] := v_known.refusals[i - l_first + 1] ->> 'code';
        v_detail[i] := (v_known.refusals[i - l_first + 1] -> 'detail')::json;
        v_kept_position[i] := v_known.positions[i - l_first + 1];
        v_kept_created[i] := v_known.created_at;
        v_kept_result[i] := v_known.result_ids[i - l_first + 1];
      end if;
    end loop;
  end loop;

  -- One look along the index for all of them (docs/performance.md).
  select array_agg(found.id), array_agg(found.gate), array_agg(found.currency), array_agg(found.credit_normal),
         array_agg(found.credit_limit), array_agg(found.debits_posted), array_agg(found.credits_posted),
         array_agg(found.debits_pending), array_agg(found.credits_pending), array_agg(found.floor), array_agg(found.ctid)
    into a_id, a_gate, a_currency, a_credit_normal, a_limit, a_debits, a_credits, a_debits_pending, a_credits_pending,
         a_floor, a_ctid
    from (
      select a.id, ((case a.status when 'open' then 0 when 'frozen' then 2 else 4 end)
               + (case when a.may_send then 0 else 8 end) + (case when a.may_receive then 0 else 16 end))::smallint as gate,
             a.currency::text as currency, a.normal_side = 'credit' as credit_normal, a.credit_limit,
             a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending,
             case a.normal_side when 'credit' then a.debits_pending else a.credits_pending end - a.credit_limit as floor,
             a.ctid
      from accounts a
      where a.tenant_id = p_tenant_id and a.environment = p_environment and a.id = any (p_accounts)
      order by a.id
    ) found;
  if a_id is distinct from p_accounts then
    -- Some are not there. What was found moves to its slot, from the last one down.
    s := coalesce(cardinality(a_id), 0);
    for x in reverse n_accounts..1 loop
      if s > 0 and a_id[s] = p_accounts[x] then
        a_gate[x] := a_gate[s];
        a_currency[x] := a_currency[s];
        a_credit_normal[x] := a_credit_normal[s];
        a_limit[x] := a_limit[s];
        a_debits[x] := a_debits[s];
        a_credits[x] := a_credits[s];
        a_debits_pending[x] := a_debits_pending[s];
        a_credits_pending[x] := a_credits_pending[s];
        a_floor[x] := a_floor[s];
        a_ctid[x] := a_ctid[s];
        s := s - 1;
      else
        a_gate[x] := 1;
        a_currency[x] := '';
      end if;
    end loop;
    if s > 0 then
      raise exception 'the accounts of a batch do not ascend' using errcode = 'invalid_parameter_value';
    end if;
  end if;

  if p_bounds is not null then
    v_day := day_of(p_tenant_id, v_now);
    select array_agg(a.limits_id || ' ' || a.currency), array_agg(a.per_transfer), array_agg(a.per_day),
           array_agg(coalesce(u.used, 0))
      into u_name, u_per_transfer, u_per_day, u_before
      from (select distinct (b::jsonb ->> 'limits_id')::uuid as id from unnest(p_bounds) b) w
      cross join lateral (
        select * from limit_amounts m
          where m.tenant_id = p_tenant_id and m.environment = p_environment and m.limits_id = w.id offset 0
      ) a
      left join lateral (
        select used from limit_usage m
          where m.tenant_id = p_tenant_id and m.environment = p_environment and m.limits_id = a.limits_id
            and m.currency = a.currency and m.day = v_day offset 0
      ) u on true;
    u_used := u_before;
  end if;

  for i in 1..n loop
    l_first := p_first_legs[i];
    l_last := p_first_legs[i + 1] - 1;
    if p_groups[i] is null or i = 1 or p_groups[i] is distinct from p_groups[i - 1] then
      i_group := i;
    end if;
    if v_done[i] then
      continue;
    end if;
    k := p_kinds[i];
    v_refusal := null;
    v_context := null;
    l_applied := l_first - 1;
    if p_bounds is not null then
      while p_first_commands[v_request + 1] <= i loop
        v_request := v_request + 1;
      end loop;
      v_bound := p_bounds[v_request]::jsonb;
      if i = i_group then
        u_group := u_used;
      end if;
    end if;

    if p_refusals[i] is not null then
      v_refusal := p_refusals[i]::json ->> 'code';
      v_context := p_refusals[i]::json -> 'detail';
    elsif i > i_group and v_code[i_group] is not null then
      -- An earlier member of the group was refused, and with it all of the group.
      v_refusal := 'linked_transfer_refused';
      v_context := v_detail[i_group];
      if v_code[i_group] <> 'linked_transfer_refused' then
        v_context := json_build_object('refused_index', 0);
      end if;
    elsif v_closed is not null and k in (1, 2, 6) and coalesce(p_effective_dates[i], v_today) <= v_closed then
      v_refusal := 'period_closed';
      v_context := json_build_object('closed_through', v_closed, 'effective_date', coalesce(p_effective_dates[i], v_today));
    elsif k <= 2 then
      if k = 2 then
        select * into v_original from transfers t
          where t.tenant_id = p_tenant_id and t.environment = p_environment and t.id = p_refs[i];
        if not found then
          v_refusal := 'transfer_not_found';
        elsif v_original.kind = 'reversal' then
          v_refusal := 'reversal_of_reversal';
        else
          -- Each leg takes back a leg of the original: same account, other side, never more than is left of it.
          select json_build_object('leg', r.original_leg, 'left', coalesce(r.left_amount, 0)::text, 'currency', r.currency)
            into v_context
            from (
              select p_leg_reverses[x] as original_leg, p_leg_currencies[x] as currency,
                     o.amount - coalesce((
                       select sum(e.amount) from transfers t
                       join entries e on e.tenant_id = p_tenant_id and e.environment = p_environment
                         and e.position = t.position and e.reverses_leg = p_leg_reverses[x]
                       where t.tenant_id = p_tenant_id and t.environment = p_environment and t.reverses_id = v_original.id
                     ), 0) as left_amount,
                     o.account_id = p_accounts[p_leg_slots[x]] and (o.side = 'credit') <> p_leg_credits[x] as same_leg,
                     p_leg_amounts[x] as wanted
              from generate_series(l_first, l_last) x
              left join entries o on o.tenant_id = p_tenant_id and o.environment = p_environment
                and o.position = v_original.position and o.leg = p_leg_reverses[x]
            ) r
            where r.same_leg is not true or r.left_amount < r.wanted
            limit 1;
          if found then
            v_refusal := 'reversal_exceeds_transfer';
          end if;
        end if;
      end if;

      if v_refusal is null and v_bound is not null then
        select * into u_used, v_refusal, v_context from check_bounds(p_tenant_id, p_environment, v_bound,
          array(select p_accounts[p_leg_slots[x]] from generate_series(l_first, l_last) x
                where p_leg_credits[x] <> a_credit_normal[p_leg_slots[x]]),
          array(select p_leg_currencies[x] from generate_series(l_first, l_last) x where not p_leg_credits[x]
                group by 1 order by 1),
          array(select least(sum(p_leg_amounts[x]), c_max)::bigint from generate_series(l_first, l_last) x
                where not p_leg_credits[x] group by p_leg_currencies[x] order by p_leg_currencies[x]),
          true, u_name, u_per_transfer, u_per_day, u_used);
      end if;

      if v_refusal is null then
        v_short := false;
        l_applied := l_last;
        for j in l_first..l_last loop
          s := p_leg_slots[j];
          if a_gate[s] <> 0 or a_currency[s] <> p_leg_currencies[j]
              or p_leg_amounts[j] > c_max - (case when p_leg_credits[j] then a_credits[s] else a_debits[s] end) then
            v_refusal := case
              when a_gate[s] & 1 > 0 then 'account_not_found'
              when a_gate[s] & 2 > 0 then 'account_frozen'
              when a_gate[s] & 4 > 0 then 'account_closed'
              when a_gate[s] & 8 > 0 and p_leg_credits[j] <> a_credit_normal[s] then 'account_may_not_send'
              when a_gate[s] & 16 > 0 and p_leg_credits[j] = a_credit_normal[s] then 'account_may_not_receive'
              when a_currency[s] <> p_leg_currencies[j] then 'currency_mismatch'
              when p_leg_amounts[j] > c_max - case when p_leg_credits[j] then a_credits[s] else a_debits[s] end
                then 'balance_overflow'
            end;
            if v_refusal is not null then
              v_context := json_build_object('account_id', p_accounts[s], 'leg', p_leg_numbers[j], 'account_currency', a_currency[s]);
              l_applied := j - 1;
              exit;
            end if;
          end if;
          if p_leg_credits[j] then
            a_credits[s] := a_credits[s] + p_leg_amounts[j];
          else
            a_debits[s] := a_debits[s] + p_leg_amounts[j];
          end if;
          l_balance[j] := case when a_credit_normal[s] then a_credits[s] - a_debits[s] else a_debits[s] - a_credits[s] end;
          if l_balance[j] < a_floor[s] and p_leg_credits[j] <> a_credit_normal[s] then
            v_short := true;
          end if;
        end loop;

        if v_short and v_refusal is null then
          -- A later leg of the same transfer may have made up for it: what counts is how the transfer leaves the account.
          for x in l_first..l_last loop
            s := p_leg_slots[x];
            v_balance := case when a_credit_normal[s] then a_credits[s] - a_debits[s] else a_debits[s] - a_credits[s] end;
            if v_balance < a_floor[s] and p_leg_credits[x] <> a_credit_normal[s] then
              v_refusal := 'insufficient_funds';
              v_context := json_build_object('account_id', p_accounts[s], 'currency', a_currency[s],
                'short', (a_floor[s] - v_balance)::text);
              exit;
            end if;
          end loop;
        end if;

        if v_refusal is null then
          v_position := v_position + 1;
          v_posted[i] := v_position;
          for x in l_first..l_last loop
            a_touched[p_leg_slots[x]] := true;
          end loop;
        end if;
      end if;
    else
      -- Holds. The first leg is the debit account, the second the credit account; both are absent if Node found no
      -- such hold.
      if k > 3 then
        select * into v_hold from holds h
          where h.tenant_id = p_tenant_id and h.environment = p_environment and h.id = p_refs[i];
        if not found then
          v_refusal := 'hold_not_found';
        elsif p_accounts[p_leg_slots[l_first]] is distinct from v_hold.debit_account_id
            or p_accounts[p_leg_slots[l_first + 1]] is distinct from v_hold.credit_account_id then
          raise exception 'the legs of hold % are not its accounts', v_hold.id using errcode = 'invalid_parameter_value';
        elsif k <> 8 and v_hold.captured + v_hold.released = v_hold.amount then
          v_refusal := case when v_hold.expired then 'hold_expired' else 'hold_closed' end;
        elsif k not in (7, 8) and v_hold.expires_at <= v_now then
          v_refusal := 'hold_expired';
        elsif k = 8 and (v_hold.captured + v_hold.released = v_hold.amount
            or v_hold.expires_at is null or v_hold.expires_at > v_now) then
          -- Not kept: if the clock was set back since, the same command is due another time.
          v_refusal := 'hold_not_due';
          v_done[i] := true;
        elsif k in (4, 6, 7) and p_leg_currencies[l_first] <> v_hold.currency then
          v_refusal := 'currency_mismatch';
          v_context := json_build_object('account_id', v_hold.debit_account_id, 'leg', 1, 'account_currency', v_hold.currency);
        elsif k <> 8 then
          -- Whoever claims a hold holds the head, too: a claim is there before this step, or comes after it. What the hold
          -- is claimed for takes the claim back in its own commit, before the step.
          select 'hold_reserved', json_build_object('reserved_for', c.reserved_for) into v_refusal, v_context
            from hold_claims c
            where c.tenant_id = p_tenant_id and c.environment = p_environment and c.hold_id = v_hold.id;
        end if;
      end if;

      if v_refusal is null and k not in (7, 8) then
        for x in l_first..l_last loop
          s := p_leg_slots[x];
          v_refusal := case
            when a_gate[s] & 1 > 0 then 'account_not_found'
            when a_gate[s] & 2 > 0 then 'account_frozen'
            when a_gate[s] & 4 > 0 then 'account_closed'
            when k in (3, 4) and a_gate[s] & 8 > 0 and p_leg_credits[x] <> a_credit_normal[s] then 'account_may_not_send'
            when k in (3, 4) and a_gate[s] & 16 > 0 and p_leg_credits[x] = a_credit_normal[s] then 'account_may_not_receive'
            when a_currency[s] <> p_leg_currencies[x] then 'currency_mismatch'
          end;
          if v_refusal is not null then
            v_context := json_build_object('account_id', p_accounts[s], 'leg', p_leg_numbers[x], 'account_currency', a_currency[s]);
            exit;
          end if;
        end loop;
      end if;

      if v_refusal is null then
        v_amount := coalesce(p_amounts[i], v_hold.amount - v_hold.captured - v_hold.released);
        if k = 3 then
          v_hold := null;
          v_hold.id := p_ids[i];
          v_hold.amount := v_amount;
          v_hold.captured := 0;
          v_hold.released := 0;
          v_hold.steps := 0;
          v_hold.expires_at := p_expiries[i];
          if v_hold.expires_at <= v_now then
            v_refusal := 'expiry_in_the_past';
          end if;
          v_change := v_amount;
        elsif k = 4 then
          v_change := v_amount;
          if v_amount > c_max - v_hold.amount then
            v_refusal := 'balance_overflow';
          else
            v_hold.amount := v_hold.amount + v_amount;
          end if;
        elsif k = 5 then
          v_change := 0;
          if v_hold.expires_at is null or p_expiries[i] <= greatest(v_now, v_hold.expires_at) then
            v_refusal := 'expiry_not_later';
            v_context := json_build_object('expires_at', v_hold.expires_at);
          end if;
          v_hold.expires_at := p_expiries[i];
        elsif v_amount > v_hold.amount - v_hold.captured - v_hold.released then
          v_refusal := 'amount_exceeds_hold';
          v_context := json_build_object('currency', v_hold.currency,
            'remaining', (v_hold.amount - v_hold.captured - v_hold.released)::text);
        elsif k = 6 then
          v_hold.captured := v_hold.captured + v_amount;
          v_change := -v_amount;
          if p_finals[i] then
            v_change := v_change - (v_hold.amount - v_hold.captured - v_hold.released);
            v_hold.released := v_hold.amount - v_hold.captured;
          end if;
        else
          v_hold.released := v_hold.released + v_amount;
          v_hold.expired := k = 8;
          v_change := -v_amount;
        end if;
      end if;

      if v_refusal is null and v_bound is not null and k <> 8 then
        -- What is held counts when it is captured; releasing and extending move nothing.
        select * into u_used, v_refusal, v_context from check_bounds(p_tenant_id, p_environment, v_bound,
          array(select p_accounts[p_leg_slots[x]] from generate_series(l_first, l_last) x
                where p_leg_credits[x] <> a_credit_normal[p_leg_slots[x]]),
          case when k in (3, 4, 6) then array[p_leg_currencies[l_first]] else '{}' end,
          case when k in (3, 4, 6) then array[case k when 6 then v_amount else v_hold.amount end] else '{}' end,
          k = 6, u_name, u_per_transfer, u_per_day, u_used);
      end if;

      if v_refusal is null and v_change > 0 then
        for x in l_first..l_last loop
          s := p_leg_slots[x];
          if v_change > c_max - (case when p_leg_credits[x] then a_credits_pending[s] else a_debits_pending[s] end) then
            v_refusal := 'balance_overflow';
            v_context := json_build_object('account_id', p_accounts[s], 'leg', p_leg_numbers[x], 'account_currency', a_currency[s]);
            exit;
          elsif p_leg_credits[x] <> a_credit_normal[s] and a_limit[s] is not null then
            v_balance := case when a_credit_normal[s] then a_credits[s] - a_debits[s] - a_debits_pending[s]
                              else a_debits[s] - a_credits[s] - a_credits_pending[s] end - v_change;
            if v_balance < -a_limit[s] then
              v_refusal := 'insufficient_funds';
              v_context := json_build_object('account_id', p_accounts[s], 'currency', a_currency[s],
                'short', (-a_limit[s] - v_balance)::text);
              exit;
            end if;
          end if;
        end loop;
      end if;
      if v_refusal is null and k = 6 then
        for x in l_first..l_last loop
          s := p_leg_slots[x];
          if v_amount > c_max - (case when p_leg_credits[x] then a_credits[s] else a_debits[s] end) then
            v_refusal := 'balance_overflow';
            v_context := json_build_object('account_id', p_accounts[s], 'leg', p_leg_numbers[x], 'account_currency', a_currency[s]);
          end if;
        end loop;
      end if;

      if v_refusal is null then
        v_position := v_position + 1;
        v_posted[i] := v_position;
        v_any_step := true;
        for x in l_first..l_last loop
          s := p_leg_slots[x];
          a_touched[s] := true;
          if p_leg_credits[x] then
            a_credits_pending[s] := a_credits_pending[s] + v_change;
          else
            a_debits_pending[s] := a_debits_pending[s] + v_change;
          end if;
          a_floor[s] := case when a_credit_normal[s] then a_debits_pending[s] else a_credits_pending[s] end
            - a_limit[s];
          if k = 6 then
            p_leg_amounts[x] := v_amount;
            if p_leg_credits[x] then
              a_credits[s] := a_credits[s] + v_amount;
            else
              a_debits[s] := a_debits[s] + v_amount;
            end if;
            l_balance[x] := case when a_credit_normal[s] then a_credits[s] - a_debits[s] else a_debits[s] - a_credits[s] end;
          end if;
        end loop;
        v_hold.steps := v_hold.steps + 1;
        if k = 3 then
          insert into holds (tenant_id, environment, id, debit_account_id, credit_account_id, amount, created_at,
                             updated_at, expires_at, currency, description, metadata)
            values (p_tenant_id, p_environment, p_ids[i], p_accounts[p_leg_slots[l_first]],
                    p_accounts[p_leg_slots[l_first + 1]], v_amount, v_now, v_now, v_hold.expires_at,
                    p_leg_currencies[l_first], p_descriptions[i], p_metadata[i]::jsonb);
        else
          update holds h set amount = v_hold.amount, captured = v_hold.captured, released = v_hold.released,
              steps = v_hold.steps, expires_at = v_hold.expires_at, expired = v_hold.expired, updated_at = v_now
            where h.tenant_id = p_tenant_id and h.environment = p_environment and h.id = v_hold.id;
        end if;
        s := cardinality(s_position) + 1;
        s_position[s] := v_position;
        s_id[s] := p_ids[i];
        s_hold[s] := v_hold.id;
        s_step[s] := v_hold.steps;
        s_kind[s] := (array['place', 'increment', 'extend', 'capture', 'release', 'expire'])[k - 2];
        s_change[s] := v_change;
        s_amount[s] := v_hold.amount;
        s_captured[s] := v_hold.captured;
        s_released[s] := v_hold.released;
        s_expires[s] := v_hold.expires_at;
        p_events[i] := hold_event(p_events[i]::jsonb, k::smallint, v_hold, v_change, v_amount);
      end if;
    end if;

    if v_refusal is not null then
      u_used := u_group;
      -- Whatever legs were applied are taken back: those of the command, and of the group before it, if it was posted.
      if v_code[i_group] is null then
        l_first := p_first_legs[i_group];
      end if;
      for x in l_first..l_applied loop
        s := p_leg_slots[x];
        if p_leg_credits[x] then
          a_credits[s] := a_credits[s] - p_leg_amounts[x];
        else
          a_debits[s] := a_debits[s] - p_leg_amounts[x];
        end if;
      end loop;
      if i > i_group and v_code[i_group] is null then
        v_position := v_position - (i - i_group);
        for x in i_group..i - 1 loop
          v_posted[x] := null;
          v_code[x] := 'linked_transfer_refused';
          v_detail[x] := json_build_object('refused_index', i - i_group);
        end loop;
      end if;
      v_code[i] := v_refusal;
      v_detail[i] := v_context;
    end if;
  end loop;

  if v_position > v_first_position then
    update accounts a
      set debits_posted = a_debits[u.slot], credits_posted = a_credits[u.slot],
          debits_pending = a_debits_pending[u.slot], credits_pending = a_credits_pending[u.slot]
      from generate_series(1, n_accounts) u (slot)
      where a_touched[u.slot] and a.ctid = a_ctid[u.slot];
    get diagnostics n_updated = row_count;
    if n_updated <> cardinality(array_positions(a_touched, true)) then
      -- Somebody edited one of the accounts without holding the head: it has moved since it was read.
      raise exception 'an account was changed while a batch was posted to it' using errcode = 'serialization_failure';
    end if;
  end if;

  if p_bounds is not null then
    insert into limit_usage as m (tenant_id, environment, limits_id, currency, day, used)
      select p_tenant_id, p_environment, split_part(u_name[x], ' ', 1)::uuid, split_part(u_name[x], ' ', 2), v_day, u_used[x]
      from generate_subscripts(u_name, 1) x
      where u_used[x] > u_before[x]
      on conflict (tenant_id, environment, limits_id, currency, day) do update set used = excluded.used;
  end if;

  if v_any_step then
    insert into hold_steps (tenant_id, environment, position, id, hold_id, step, kind, pending_change, created_at,
                            amount_after, captured_after, released_after, expires_at)
      select p_tenant_id, p_environment, t.position, t.id, t.hold_id, t.step, t.kind, t.change, v_now,
             t.amount, t.captured, t.released, t.expires_at
      from unnest(s_position, s_id, s_hold, s_step, s_kind, s_change, s_amount, s_captured, s_released, s_expires)
        t (position, id, hold_id, step, kind, change, amount, captured, released, expires_at);
  end if;

  -- One statement: to start five would cost a small batch more than what they write.
  with attempted as (
    insert into attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions, result_ids,
                          refusals)
      select p_tenant_id, p_environment, p_keys[r], p_first_items[r], v_now, p_operations[r], p_requests[r],
             case p_first_commands[r + 1] - p_first_commands[r] when 1 then array[v_posted[p_first_commands[r]]]
               else v_posted[p_first_commands[r]:p_first_commands[r + 1] - 1] end,
             case when v_code is not null then (
               select array_agg(case when v_code[i] is null then p_ids[i] end order by i)
               from generate_series(p_first_commands[r], p_first_commands[r + 1] - 1) i
             ) when p_first_commands[r + 1] - p_first_commands[r] = 1 then array[p_ids[p_first_commands[r]]]
               else p_ids[p_first_commands[r]:p_first_commands[r + 1] - 1] end,
             case when v_code is not null then (
               select case when count(v_code[i]) > 0 then
                 array_agg(case when v_code[i] is not null then jsonb_build_object('code', v_code[i], 'detail', v_detail[i]) end
                           order by i) end
               from generate_series(p_first_commands[r], p_first_commands[r + 1] - 1) i
             ) end
      from generate_series(1, cardinality(p_keys)) r
      where v_done[p_first_commands[r]] is not true
  ), transferred as (
    insert into transfers (tenant_id, environment, position, id, created_at, effective_date, kind, description, metadata,
                           reverses_id, hold_id, link_id, exchange)
      select p_tenant_id, p_environment, v_posted[i], p_ids[i], v_now, coalesce(p_effective_dates[i], v_today),
             case p_kinds[i] when 1 then 'transfer' when 2 then 'reversal' else 'capture' end,
             p_descriptions[i], p_metadata[i]::jsonb, case p_kinds[i] when 2 then p_refs[i] end,
             case p_kinds[i] when 6 then p_refs[i] end, p_link_ids[i], p_exchanges[i]::jsonb
      from generate_series(1, n) i
      where v_posted[i] is not null and p_kinds[i] in (1, 2, 6)
  ), entered as (
    insert into entries (tenant_id, environment, position, leg, account_id, side, amount, currency, balance,
                         effective_date, backdated, reverses_leg)
      select p_tenant_id, p_environment, v_posted[e.i], p_leg_numbers[e.j], p_accounts[p_leg_slots[e.j]],
             case when p_leg_credits[e.j] then 'credit'::side else 'debit'::side end,
             p_leg_amounts[e.j], p_leg_currencies[e.j], l_balance[e.j],
             coalesce(p_effective_dates[e.i], v_today), nullif(p_effective_dates[e.i] <> v_today, false), p_leg_reverses[e.j]
      from (select j, p_leg_commands[j] as i from generate_series(1, n_legs) j offset 0) e
      where v_posted[e.i] is not null and p_kinds[e.i] in (1, 2, 6)
  ), attributed as (
    insert into attributions (tenant_id, environment, recorded_at, position, record, number)
      select p_tenant_id, p_environment, v_now, posted.position, p_attributions[posted.r],
             v_attributions + row_number() over (order by posted.position)
      from (
        select r, case p_first_commands[r + 1] - p_first_commands[r] when 1 then v_posted[p_first_commands[r]] else (
            select min(v_posted[i]) from generate_series(p_first_commands[r], p_first_commands[r + 1] - 1) i
          ) end as position
        from generate_series(1, coalesce(cardinality(p_attributions), 0)) r offset 0
      ) posted
      where posted.position is not null and p_attributions[posted.r] is not null
      returning 1
  ), told as (
    insert into outbox (tenant_id, environment, sequence, id, time, position, type, source, aggregatetype, aggregateid, payload,
                        traceparent)
      select p_tenant_id, p_environment, v_sequence + v_posted[i] - v_first_position, p_ids[i], v_now, v_posted[i],
             (array['ledger.transfer.posted', 'ledger.transfer.reversed', 'ledger.hold.placed', 'ledger.hold.incremented',
                    'ledger.hold.extended', 'ledger.hold.captured', 'ledger.hold.released', 'ledger.hold.expired'])[p_kinds[i]],
             '/ledger', case when p_kinds[i] in (1, 2) then 'transfer' else 'hold' end, coalesce(case when p_kinds[i] > 3 then p_refs[i] end, p_ids[i])::text, p_events[i],
             p_traceparents[i]
      from generate_series(1, n) i
      where v_posted[i] is not null
  )
  update heads h set position = v_position, recorded_at = v_now,
      outbox_sequence = v_sequence + v_position - v_first_position,
      attributions = v_attributions + (select count(*) from attributed)
    where h.tenant_id = p_tenant_id and h.environment = p_environment and v_position > v_first_position;

  command := 0;
  created_at := v_now;
  positions := v_posted;
  balances := l_balance;
  return next;
  if v_code is not null or v_replayed is not null then
    return query
      select i, coalesce(v_kept_created[i], v_now), null::bigint[], null::bigint[], v_code[i], v_detail[i],
             coalesce(v_replayed[i], false), v_kept_position[i], v_kept_result[i], v_first_request[i]
      from generate_series(1, n) i
      where v_code[i] is not null or v_replayed[i];
  end if;
end $$;

reset role;
