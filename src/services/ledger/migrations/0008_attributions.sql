set local role financialapi_owner;

-- The record of each posting for the audit trail, written in the commit of what it tells of: a row a request. It is moved
-- into the trail about a second later, so that who posts does not wait for the trail's indexes.
create table ledger.attributions (
  tenant_id uuid not null,
  environment platform.environment not null,
  recorded_at timestamptz not null,
  position bigint not null,
  record text not null,
  primary key (tenant_id, environment, recorded_at, position)
);
comment on column ledger.attributions.position is 'Of the first of what the request posted';
comment on column ledger.attributions.record is 'As platform.append_audit takes it, JSON';

alter table ledger.attributions enable row level security;
alter table ledger.attributions force row level security;
create policy own_data on ledger.attributions
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
create policy posting on ledger.attributions to financialapi_owner using (true);
create policy reach on ledger.attributions as restrictive for select to ledger using ((select platform.reach()) is null);
grant select on ledger.attributions to ledger;

-- Moves the records that wait longest into the audit trail, at most `p_limit`, and says how many: none also while
-- somebody else moves those of this ledger.
create function ledger.move_attributions(p_tenant_id uuid, p_environment platform.environment, p_limit integer)
  returns bigint
  language plpgsql security definer
  set search_path = ledger, pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  -- The oldest are the first of the index, however many wait behind them in a table that was never analyzed.
  set enable_seqscan = off
  set enable_bitmapscan = off
  set jit = off
as $$
declare
  v_records jsonb;
  v_moved bigint;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('ledger.attributions/' || p_tenant_id || '/' || p_environment, 0)) then
    return 0;
  end if;
  with taken as (
    delete from attributions a
      where a.ctid = any (array(
        select ctid from attributions
          where tenant_id = p_tenant_id and environment = p_environment
          order by tenant_id, environment, recorded_at, position limit p_limit))
      returning a.record
  )
  select jsonb_agg(record::jsonb), count(*) into v_records, v_moved from taken;
  if v_moved > 0 then
    perform platform.append_audit(v_records);
  end if;
  return v_moved;
end $$;

-- The ledgers with records that wait, found by going from one to the next along the index.
create function ledger.scopes_with_attributions()
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    with recursive found as (
      (select a.tenant_id, a.environment from ledger.attributions a order by 1, 2 limit 1)
      union all
      select n.tenant_id, n.environment from found f
      cross join lateral (
        select a.tenant_id, a.environment from ledger.attributions a
        where (a.tenant_id, a.environment) > (f.tenant_id, f.environment) order by 1, 2 limit 1
      ) n
    )
    select f.tenant_id, f.environment from found f;
  end;

revoke execute on function ledger.move_attributions, ledger.scopes_with_attributions from public;
grant execute on function ledger.move_attributions, ledger.scopes_with_attributions to ledger;
reset role;
