-- Settings of a tenant, its suspension, and what a sandbox has that live has not: a clock, and an end.

-- Whoever empties sandboxes. It has no login, and row-level security binds it as it binds everybody: to the tenant of
-- the transaction, and by restrictive policies to the sandbox, whatever a statement says.
do $$
begin
  if not exists (select from pg_roles where rolname = 'financialapi_eraser') then
    create role financialapi_eraser nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant financialapi_eraser to %I', current_user);
  end if;
end $$;

set local role financialapi_owner;

alter table platform.tenants
  add column holidays date[] not null default '{}' check (cardinality(holidays) <= 1000),
  add column suspended_at timestamptz,
  add column suspended_reason text check (length(suspended_reason) between 1 and 1000),
  add check (business_calendar in ('weekdays', 'every_day')),
  add check ((status = 'suspended') = (suspended_at is not null));
comment on column platform.tenants.holidays is 'Days that are no business days, beside those of the calendar';

-- How far the clock of a sandbox is ahead. Without a row it shows the time.
create table platform.clocks (
  tenant_id uuid not null references platform.tenants,
  environment platform.environment not null default 'sandbox' check (environment = 'sandbox'),
  offset_s bigint not null check (offset_s between 0 and 3155760000),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, environment)
);
comment on column platform.clocks.offset_s is 'Seconds, at most a hundred years of them';

create table platform.sandbox_resets (
  tenant_id uuid not null references platform.tenants,
  environment platform.environment not null default 'sandbox' check (environment = 'sandbox'),
  id uuid not null,
  reset_at timestamptz not null default clock_timestamp(),
  reset_by text not null check (length(reset_by) <= 300),
  seed text check (length(seed) between 1 and 64),
  rows_erased bigint not null,
  seeded_at timestamptz,
  primary key (tenant_id, environment, id)
);
comment on table platform.sandbox_resets is 'Each time that a sandbox was emptied';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['clocks', 'sandbox_resets'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
  end loop;
end $$;
-- Functions of the owner name the tenant themselves.
create policy reading on platform.clocks for select to financialapi_owner using (true);
grant select on platform.clocks to public;
grant insert, update on platform.clocks to platform;
grant select, insert, update (seeded_at) on platform.sandbox_resets to platform;

-- What time it is for a tenant: in live the time, in its sandbox what the sandbox's clock shows. As clock_timestamp(),
-- it goes on within a statement. It sees the clocks that its caller may see.
create function platform.now_of(p_tenant uuid, p_environment platform.environment) returns timestamptz
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  v_offset_s bigint;
begin
  if p_environment = 'sandbox' then
    select c.offset_s into v_offset_s from platform.clocks c
      where c.tenant_id = p_tenant and c.environment = 'sandbox';
  end if;
  return clock_timestamp() + make_interval(secs => coalesce(v_offset_s, 0));
end $$;

-- For migrations: lets a table's rows go with their sandbox. Its columns tenant_id and environment say whose they are.
create function platform.make_erasable(p_table regclass) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('grant select, delete on %s to financialapi_eraser', p_table);
  execute format(
    'create policy only_sandbox on %s as restrictive to financialapi_eraser using (environment = ''sandbox'')', p_table);
end $$;
revoke execute on function platform.make_erasable from public;

do $$
begin
  perform platform.make_erasable('platform.clocks');
  perform platform.make_erasable('platform.attempts');
end $$;
-- A reset that is asked for again after its answer was lost must not be another one.
create policy resets_stay_known on platform.attempts as restrictive to financialapi_eraser
  using (operation <> 'POST /api/v2/sandbox/reset');

grant create on schema platform to financialapi_eraser;
reset role;
set local role financialapi_eraser;

-- Empties the sandbox of the transaction's tenant, in every table that was made erasable, and says how many rows went.
-- Tables made later may refer to earlier ones, hence go first.
create function platform.reset_sandbox() returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_table regclass;
  v_erased bigint;
  v_total bigint := 0;
begin
  if platform.tenant_id() is null or platform.environment() is distinct from 'sandbox' then
    raise exception 'only the sandbox of a tenant can be emptied' using errcode = 'insufficient_privilege';
  end if;
  for v_table in
    select c.oid from pg_class c
      where c.relkind in ('r', 'p') and not c.relispartition and has_table_privilege('financialapi_eraser', c.oid, 'delete')
      order by c.oid desc
  loop
    execute format('delete from %s where tenant_id = $1 and environment = ''sandbox''', v_table)
      using platform.tenant_id();
    get diagnostics v_erased = row_count;
    v_total := v_total + v_erased;
  end loop;
  return v_total;
end $$;
revoke execute on function platform.reset_sandbox from public;
grant execute on function platform.reset_sandbox to platform;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_eraser;
reset role;
