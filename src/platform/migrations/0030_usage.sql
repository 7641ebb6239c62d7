-- What callers asked of the API: how often, what came of it, how long it took. Counted by every process in memory, and added
-- to in bulk each second.
set local role financialapi_owner;

-- Histograms are arrays of counts, the shorter one as if it went on with zeros. What the buckets are is said in
-- src/platform/usage/histogram.ts.
create function platform.add_histograms(a bigint[], b bigint[]) returns bigint[]
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return array(select coalesce(t.x, 0) + coalesce(t.y, 0) from unnest(a, b) with ordinality t (x, y, place) order by t.place);
create aggregate platform.sum_histograms (bigint[]) (
  sfunc = platform.add_histograms, stype = bigint[], initcond = '{}', parallel = safe
);

create table platform.usage_minutes (
  tenant_id uuid not null,
  environment platform.environment not null,
  starts_at timestamptz not null,
  principal_id text not null check (length(principal_id) between 1 and 300),
  method text not null check (length(method) between 1 and 20),
  route text not null check (length(route) between 1 and 500),
  status smallint not null check (status between 100 and 999),
  principal_kind text not null check (length(principal_kind) between 1 and 20),
  principal_name text check (length(principal_name) <= 300),
  application_id text check (length(application_id) between 1 and 300),
  calls bigint not null check (calls > 0),
  latency bigint[] not null check (cardinality(latency) <= 64),
  primary key (tenant_id, environment, starts_at, principal_id, method, route, status)
  -- A row is updated each second for as long as its minute or hour lasts: room for that in its page.
) with (fillfactor = 70);
create table platform.usage_hours (like platform.usage_minutes including all) with (fillfactor = 70);
comment on table platform.usage_minutes is 'Calls of a minute by caller, route and status, with a histogram of how long they took';
comment on table platform.usage_hours is 'The same of an hour; kept longer';
comment on column platform.usage_minutes.principal_name is 'Of keys, applications and devices as it was then; of a person none';
comment on column platform.usage_minutes.latency is 'Counts by bucket. Fewer than calls where an answer was a stream, which lasts as long as its reader likes';

-- The last requests of each caller in a sandbox, for whoever builds on the API.
create table platform.usage_requests (
  tenant_id uuid not null,
  environment platform.environment not null check (environment = 'sandbox'),
  id uuid not null,
  occurred_at timestamptz not null,
  principal_id text not null check (length(principal_id) between 1 and 300),
  principal_kind text not null,
  application_id text,
  method text not null,
  route text not null,
  path text not null check (length(path) <= 500),
  status smallint not null,
  code text,
  duration_ms double precision not null,
  request_id text not null check (length(request_id) <= 128),
  body jsonb,
  answer jsonb,
  primary key (tenant_id, environment, id)
);
comment on table platform.usage_requests is 'A sample, bodies without what is secret or personal; the oldest of a caller make room';
create index usage_requests_by_principal on platform.usage_requests (tenant_id, environment, principal_id, id);

-- Of no tenant: how far each process came, so that what is sent again because its answer was lost counts once.
create table platform.usage_writers (
  process_id uuid primary key,
  sequence bigint not null,
  written_at timestamptz not null default now()
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['usage_minutes', 'usage_hours', 'usage_requests'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('create policy counting on platform.%I to financialapi_doorkeeper using (true)', v_table);
    execute format('grant select, insert, update, delete on platform.%I to financialapi_doorkeeper', v_table);
    -- What counted is added by the function below only; what is old is removed by a job.
    execute format('grant select, delete on platform.%I to platform', v_table);
  end loop;
end $$;
grant select, insert, update, delete on platform.usage_writers to financialapi_doorkeeper;
grant create on schema platform to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;

-- Adds what a process counted since it last did, of every tenant in one statement. Says false, and does nothing, where it has
-- been added already. In the order of the keys, minutes before hours, so that two processes do not wait for each other in a
-- circle.
create function platform.add_usage(
    p_process uuid, p_sequence bigint, p_tenants uuid[], p_environments text[], p_minutes timestamptz[], p_principals text[],
    p_methods text[], p_routes text[], p_statuses integer[], p_kinds text[], p_names text[], p_applications text[],
    p_calls bigint[], p_latencies text[], p_requests jsonb, p_requests_kept integer
  ) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into platform.usage_writers as w (process_id, sequence) values (p_process, p_sequence)
    on conflict (process_id) do update set sequence = excluded.sequence, written_at = now()
      where w.sequence < excluded.sequence;
  if not found then
    return false;
  end if;
  if p_sequence = 1 then
    -- Of processes that have written nothing for so long that they are gone, and send nothing again.
    delete from platform.usage_writers where written_at < now() - interval '7 days';
  end if;
  insert into platform.usage_minutes as u (tenant_id, environment, starts_at, principal_id, method, route, status,
      principal_kind, principal_name, application_id, calls, latency)
    select t.tenant_id, t.environment::platform.environment, t.minute, t.principal, t.method, t.route, t.status, min(t.kind),
      min(t.name), min(t.application), sum(t.calls)::bigint, platform.sum_histograms(t.latency::bigint[])
    from unnest(p_tenants, p_environments, p_minutes, p_principals, p_methods, p_routes, p_statuses, p_kinds, p_names,
      p_applications, p_calls, p_latencies)
      t (tenant_id, environment, minute, principal, method, route, status, kind, name, application, calls, latency)
    group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
    on conflict (tenant_id, environment, starts_at, principal_id, method, route, status)
      do update set calls = u.calls + excluded.calls, latency = platform.add_histograms(u.latency, excluded.latency);
  insert into platform.usage_hours as u (tenant_id, environment, starts_at, principal_id, method, route, status,
      principal_kind, principal_name, application_id, calls, latency)
    select t.tenant_id, t.environment::platform.environment, date_trunc('hour', t.minute, 'UTC'), t.principal, t.method, t.route,
      t.status, min(t.kind), min(t.name), min(t.application), sum(t.calls)::bigint,
      platform.sum_histograms(t.latency::bigint[])
    from unnest(p_tenants, p_environments, p_minutes, p_principals, p_methods, p_routes, p_statuses, p_kinds, p_names,
      p_applications, p_calls, p_latencies)
      t (tenant_id, environment, minute, principal, method, route, status, kind, name, application, calls, latency)
    group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
    on conflict (tenant_id, environment, starts_at, principal_id, method, route, status)
      do update set calls = u.calls + excluded.calls, latency = platform.add_histograms(u.latency, excluded.latency);
  if jsonb_array_length(p_requests) > 0 then
    insert into platform.usage_requests
      select r.* from jsonb_populate_recordset(null::platform.usage_requests, p_requests) r
      on conflict do nothing;
    delete from platform.usage_requests r
      using (select distinct g.tenant_id, g.environment, g.principal_id
        from jsonb_populate_recordset(null::platform.usage_requests, p_requests) g) p
      where (r.tenant_id, r.environment, r.principal_id) = (p.tenant_id, p.environment, p.principal_id)
        and r.id <= (select o.id from platform.usage_requests o
          where (o.tenant_id, o.environment, o.principal_id) = (p.tenant_id, p.environment, p.principal_id)
          order by o.id desc offset p_requests_kept limit 1);
  end if;
  return true;
end $$;

revoke execute on function platform.add_usage from public;
grant execute on function platform.add_usage to platform;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;

-- What callers did in a sandbox goes with it.
do $$
begin
  perform platform.make_erasable('platform.usage_minutes');
  perform platform.make_erasable('platform.usage_hours');
  perform platform.make_erasable('platform.usage_requests');
end $$;
reset role;
