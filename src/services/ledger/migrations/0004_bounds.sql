set local role financialapi_owner;

-- Monetary limits: how much and on which accounts a key, with those that it was rotated to, may move.
create table ledger.limits (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  accounts uuid[] check (cardinality(accounts) between 1 and 1000),
  labels jsonb check (jsonb_typeof(labels) = 'object'),
  version integer not null default 1,
  updated_at timestamptz not null default now(),
  updated_by text not null check (length(updated_by) <= 300),
  primary key (tenant_id, environment, id)
);
comment on column ledger.limits.id is 'platform.api_keys.limits_id';
comment on column ledger.limits.accounts is 'Accounts whose balance may be lowered; with labels, those or any that carry them';

create table ledger.limit_amounts (
  tenant_id uuid not null,
  environment platform.environment not null,
  limits_id uuid not null,
  currency ledger.currency not null,
  per_transfer ledger.not_negative,
  per_day ledger.not_negative,
  primary key (tenant_id, environment, limits_id, currency)
);
comment on table ledger.limit_amounts is 'In a currency without a row nothing may be moved; without an amount, any';

create table ledger.limit_usage (
  tenant_id uuid not null,
  environment platform.environment not null,
  limits_id uuid not null,
  currency ledger.currency not null,
  day date not null,
  used ledger.not_negative not null,
  primary key (tenant_id, environment, limits_id, currency, day)
);
comment on column ledger.limit_usage.day is 'In the time zone of the tenant';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['limits', 'limit_amounts', 'limit_usage'] loop
    execute format('alter table ledger.%I enable row level security', v_table);
    execute format('alter table ledger.%I force row level security', v_table);
    execute format(
      'create policy own_data on ledger.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('create policy posting on ledger.%I to financialapi_owner using (true)', v_table);
    execute format('grant select on ledger.%I to ledger', v_table);
  end loop;
end $$;
grant insert, update, delete on ledger.limits, ledger.limit_amounts to ledger;
-- The service puts keys under limits; it sees nothing else of them.
grant select (tenant_id, environment, id, limits_id, revoked_at), update (limits_id) on platform.api_keys to ledger;
create policy posting on platform.tenants for select to financialapi_owner using (true);

-- Day of a tenant, by its own time zone.
create function ledger.day_of(p_tenant_id uuid, p_now timestamptz) returns date
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select (p_now at time zone coalesce(
      (select t.time_zone from platform.tenants t where t.tenant_id = p_tenant_id), 'UTC'))::date;
  end;

-- Holds a command against what its request is bound to: monetary limits, whose use it adds to; labels that the accounts
-- it takes from must carry. p_names and the arrays beside it are the limits of the batch, by `limits_id currency`.
create function ledger.check_bounds(
  p_tenant_id uuid,
  p_environment platform.environment,
  p_bound jsonb,
  p_lowered uuid[],
  p_currencies text[],
  p_amounts bigint[],
  p_counts boolean,
  p_names text[],
  p_per_transfer bigint[],
  p_per_day bigint[],
  inout p_used bigint[],
  out refusal text,
  out context json
) language plpgsql stable set search_path = ledger, pg_catalog, pg_temp as $$
declare
  v_limits uuid := (p_bound ->> 'limits_id')::uuid;
  v_account uuid;
  v_slot integer;
begin
  select a.id into v_account from unnest(p_lowered) l (id)
    join accounts a on a.tenant_id = p_tenant_id and a.environment = p_environment and a.id = l.id
    where p_bound ? 'reach'
      and not exists (select from jsonb_array_elements(p_bound -> 'reach') r (labels) where a.metadata @> r.labels)
    limit 1;
  if found then
    refusal := 'account_not_allowed';
    context := json_build_object('account_id', v_account);
    return;
  end if;
  if v_limits is null then
    return;
  end if;
  select a.id into v_account from unnest(p_lowered) l (id)
    join accounts a on a.tenant_id = p_tenant_id and a.environment = p_environment and a.id = l.id
    join limits m on m.tenant_id = p_tenant_id and m.environment = p_environment and m.id = v_limits
    where num_nonnulls(m.accounts, m.labels) > 0
      and not (coalesce(a.id = any (m.accounts), false) or coalesce(a.metadata @> m.labels, false))
    limit 1;
  if found then
    refusal := 'account_not_allowed';
    context := json_build_object('account_id', v_account);
    return;
  end if;
  for x in 1..cardinality(p_amounts) loop
    v_slot := array_position(p_names, v_limits || ' ' || p_currencies[x]);
    if v_slot is null then
      refusal := 'limit_exceeded';
      context := json_build_object('limit', 'currency', 'currency', p_currencies[x]);
    elsif p_amounts[x] > p_per_transfer[v_slot] then
      refusal := 'limit_exceeded';
      context := json_build_object('limit', 'per_transfer', 'currency', p_currencies[x],
        'allowed', p_per_transfer[v_slot]::text, 'left', p_per_transfer[v_slot]::text);
    elsif p_counts and p_amounts[x] > p_per_day[v_slot] - p_used[v_slot] then
      refusal := 'limit_exceeded';
      context := json_build_object('limit', 'per_day', 'currency', p_currencies[x],
        'allowed', p_per_day[v_slot]::text, 'left', greatest(p_per_day[v_slot] - p_used[v_slot], 0)::text);
    elsif p_counts then
      p_used[v_slot] := p_used[v_slot] + least(p_amounts[x], 9223372036854775807 - p_used[v_slot]);
    end if;
    if refusal is not null then
      return;
    end if;
  end loop;
end $$;

revoke execute on function ledger.day_of, ledger.check_bounds from public;
grant execute on function ledger.day_of to ledger;

-- Who may see only what carries certain labels sees those accounts, and of everything else what touches them. Policies of
-- the service's role alone: postings and integrity checks see all.
create policy reach on ledger.accounts as restrictive to ledger
  using ((select platform.reach()) is null or metadata @> any ((select platform.reach())::jsonb[]))
  with check ((select platform.reach()) is null or metadata @> any ((select platform.reach())::jsonb[]));
create policy reach on ledger.entries as restrictive for select to ledger
  using ((select platform.reach()) is null or exists (
    select from ledger.accounts a
    where a.tenant_id = entries.tenant_id and a.environment = entries.environment and a.id = entries.account_id));
create policy reach on ledger.transfers as restrictive for select to ledger
  using ((select platform.reach()) is null or exists (
    select from ledger.entries e
    where e.tenant_id = transfers.tenant_id and e.environment = transfers.environment and e.position = transfers.position));
create policy reach on ledger.holds as restrictive for select to ledger
  using ((select platform.reach()) is null or exists (
    select from ledger.accounts a
    where a.tenant_id = holds.tenant_id and a.environment = holds.environment
      and a.id in (holds.debit_account_id, holds.credit_account_id)));
create policy reach on ledger.hold_steps as restrictive for select to ledger
  using ((select platform.reach()) is null or exists (
    select from ledger.holds h
    where h.tenant_id = hold_steps.tenant_id and h.environment = hold_steps.environment and h.id = hold_steps.hold_id));
create policy reach on ledger.outbox as restrictive for select to ledger using ((select platform.reach()) is null);
create policy reach on ledger.seals as restrictive for select to ledger using ((select platform.reach()) is null);

reset role;
