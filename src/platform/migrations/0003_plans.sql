-- The service that administers plans signs in with a role of its own, which its migrations make where we have not.
do $$
begin
  if not exists (select from pg_roles where rolname = 'identity') then
    create role identity nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

set local role financialapi_owner;

create table platform.plans (
  tenant_id uuid not null,
  environment platform.environment not null,
  name text not null check (name ~ '^[a-z][a-z0-9_-]{0,63}$'),
  id uuid not null,
  description text not null default '' check (length(description) <= 1000),
  status text not null default 'active' check (status in ('active', 'disabled')),
  windows jsonb not null check (jsonb_typeof(windows) = 'array' and jsonb_array_length(windows) <= 10),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, name),
  unique (tenant_id, environment, id)
);
comment on table platform.plans is 'How much callers may ask; the plan standard is there without a row';
comment on column platform.plans.id is 'What idempotency keys lead to; a plan is known by its name';

create table platform.tenant_quotas (
  tenant_id uuid not null,
  environment platform.environment not null,
  windows jsonb not null check (jsonb_typeof(windows) = 'array' and jsonb_array_length(windows) <= 10),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment)
);
comment on table platform.tenant_quotas is 'How much all callers of a tenant may ask together; set by whoever operates the installation';

create table platform.request_counts (
  tenant_id uuid not null,
  environment platform.environment not null,
  subject text not null check (length(subject) between 1 and 300),
  limit_name text not null check (length(limit_name) between 1 and 100),
  starts_at timestamptz not null,
  -- In the key, too: a window that was a month and is a day now begins another count.
  ends_at timestamptz not null check (ends_at > starts_at),
  requests bigint not null check (requests >= 0),
  primary key (tenant_id, environment, subject, limit_name, starts_at, ends_at)
);
comment on table platform.request_counts is 'Requests of long windows, added to in bulk by every process';

create table platform.limits_told (
  tenant_id uuid not null,
  environment platform.environment not null,
  subject text not null check (length(subject) between 1 and 300),
  limit_name text not null check (length(limit_name) between 1 and 100),
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  threshold_percent smallint not null check (threshold_percent in (80, 100)),
  primary key (tenant_id, environment, subject, limit_name, starts_at, ends_at, threshold_percent)
);
comment on table platform.limits_told is 'Which crossings have their event: one a window, however many processes saw it';

create table platform.outbox_heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null default 0,
  primary key (tenant_id, environment)
);

-- As ledger.outbox is.
create table platform.outbox (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null,
  id uuid not null,
  time timestamptz not null,
  position bigint,
  type text not null,
  source text not null,
  aggregatetype text not null,
  aggregateid text not null,
  payload text not null,
  traceparent text,
  specversion text not null default '1.0',
  datacontenttype text not null default 'application/json',
  primary key (tenant_id, environment, sequence)
);
comment on table platform.outbox is 'CloudEvents 1.0, committed with the change they tell of; carried in order of sequence';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['plans', 'tenant_quotas', 'request_counts', 'limits_told', 'outbox_heads', 'outbox'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('grant select on platform.%I to platform, identity', v_table);
  end loop;
end $$;
grant insert, update on platform.plans, platform.tenant_quotas to identity;
grant insert on platform.limits_told to platform;
grant insert, update on platform.outbox_heads to platform, identity;
grant insert on platform.outbox to platform, identity;

create trigger tell_access after insert or update or delete on platform.plans
  for each statement execute function platform.tell_access();
create trigger tell_access after insert or update or delete on platform.tenant_quotas
  for each statement execute function platform.tell_access();

grant create on schema platform to financialapi_doorkeeper;
grant select, insert, update, delete on platform.request_counts to financialapi_doorkeeper;
grant select, delete on platform.limits_told to financialapi_doorkeeper;
create policy counting on platform.request_counts to financialapi_doorkeeper using (true);
create policy counting on platform.limits_told to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;

-- Adds what a process counted since it last did, of every tenant in one statement, and says what each count is now.
-- In the order of the key, so that two processes do not wait for each other in a circle.
create function platform.add_request_counts(
    p_tenants uuid[], p_environments text[], p_subjects text[], p_limits text[], p_starts timestamptz[],
    p_ends timestamptz[], p_requests bigint[]
  ) returns table (place integer, requests bigint)
  language sql security definer set search_path = pg_catalog, pg_temp
  begin atomic
    with given as (
      select t.tenant_id, t.environment::platform.environment, t.subject, t.limit_name, t.starts_at, t.ends_at, t.n, t.place
      from unnest(p_tenants, p_environments, p_subjects, p_limits, p_starts, p_ends, p_requests) with ordinality
        t (tenant_id, environment, subject, limit_name, starts_at, ends_at, n, place)
    ), added as (
      insert into platform.request_counts as c (tenant_id, environment, subject, limit_name, starts_at, ends_at, requests)
      select g.tenant_id, g.environment, g.subject, g.limit_name, g.starts_at, g.ends_at, sum(g.n)::bigint
      from given g group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
      on conflict (tenant_id, environment, subject, limit_name, starts_at, ends_at)
        do update set requests = c.requests + excluded.requests
      returning c.tenant_id, c.environment, c.subject, c.limit_name, c.starts_at, c.ends_at, c.requests
    )
    select g.place::integer, a.requests
    from given g join added a using (tenant_id, environment, subject, limit_name, starts_at, ends_at);
  end;

-- Counts are kept for three months after their window, as the usage that can be read.
create function platform.forget_request_counts(p_before timestamptz) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
  begin atomic
    delete from platform.request_counts where ends_at < p_before;
    delete from platform.limits_told where ends_at < p_before;
  end;

revoke execute on function platform.add_request_counts, platform.forget_request_counts from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.add_request_counts, platform.forget_request_counts to platform;
reset role;
