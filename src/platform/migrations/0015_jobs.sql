-- When jobs run next, and what became of their runs. Rows of the nil tenant are those of the system as a whole: no tenant
-- has that id, so that row-level security shows them to nobody who signs in as one.
set local role financialapi_owner;

create table platform.job_schedules (
  tenant_id uuid not null,
  environment platform.environment not null,
  job text not null check (length(job) between 3 and 100),
  basis text not null,
  next_at timestamptz not null,
  primary key (tenant_id, environment, job)
);
comment on column platform.job_schedules.basis is 'What next_at was worked out from: the schedule, time zone and business days';
comment on column platform.job_schedules.next_at is 'By the clock of the tenant';
create index job_schedules_by_time on platform.job_schedules (next_at);

-- Apart from the schedules, which go with a sandbox and its clock: a pause is a setting, and stays.
create table platform.job_pauses (
  tenant_id uuid not null,
  environment platform.environment not null,
  job text not null check (length(job) between 3 and 100),
  paused_at timestamptz not null default clock_timestamp(),
  paused_by text not null check (length(paused_by) between 1 and 300),
  primary key (tenant_id, environment, job)
);

create table platform.job_runs (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  job text not null check (length(job) between 3 and 100),
  reason text not null check (reason in ('schedule', 'due', 'request')),
  requested_by text check (length(requested_by) between 1 and 300),
  due_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  outcome text not null default 'waiting'
    check (outcome in ('waiting', 'running', 'retrying', 'succeeded', 'failed')),
  attempt integer not null default 0,
  started_at timestamptz,
  ended_at timestamptz,
  error jsonb check (jsonb_typeof(error) = 'object'),
  did jsonb check (jsonb_typeof(did) = 'object'),
  primary key (tenant_id, environment, id),
  check ((outcome in ('succeeded', 'failed')) = (ended_at is not null)),
  check ((reason = 'request') = (requested_by is not null))
);
comment on column platform.job_runs.due_at is 'By the clock of the tenant; the other times are those of the system';
comment on column platform.job_runs.started_at is 'Of the last attempt';
comment on column platform.job_runs.did is 'What it came to, in numbers';

-- One run of a job is waiting or running at a time.
create unique index job_runs_open on platform.job_runs (tenant_id, environment, job)
  where outcome in ('waiting', 'running', 'retrying');
create index job_runs_of_job on platform.job_runs (tenant_id, environment, job, id);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['job_schedules', 'job_pauses', 'job_runs'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
  end loop;
  perform platform.make_erasable('platform.job_schedules');
  perform platform.make_erasable('platform.job_runs');
end $$;

grant select, insert, update (basis, next_at) on platform.job_schedules to platform;
grant select, insert, delete on platform.job_pauses to platform;
grant select, insert, delete, update (outcome, attempt, started_at, ended_at, error, did) on platform.job_runs to platform;

-- What a schedule is worked out from, as one text.
create function platform.job_basis(p_schedule text, p_time_zone text, p_week text, p_holidays date[]) returns text
  language sql immutable parallel safe
  return p_schedule || ' ' || p_time_zone || ' ' || p_week || ' ' || md5(p_holidays::text);

grant create on schema platform to financialapi_doorkeeper;
grant select on platform.job_schedules, platform.job_pauses, platform.job_runs, platform.clocks to financialapi_doorkeeper;
grant update (outcome, ended_at, error) on platform.job_runs to financialapi_doorkeeper;
grant usage on schema pgboss to financialapi_doorkeeper;
grant select on pgboss.job to financialapi_doorkeeper;
create policy all_schedules on platform.job_schedules for select to financialapi_doorkeeper using (true);
create policy all_pauses on platform.job_pauses for select to financialapi_doorkeeper using (true);
create policy all_runs on platform.job_runs for select to financialapi_doorkeeper using (true);
create policy lost_runs on platform.job_runs for update to financialapi_doorkeeper using (true);
create policy all_clocks on platform.clocks for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;

-- The tenants of whom a job has no next time, or one that was worked out from what is no longer so.
create function platform.unscheduled_scopes(p_jobs text[], p_schedules text[], p_limit integer)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select distinct t.tenant_id, e
    from platform.tenants t
    cross join unnest(enum_range(null::platform.environment)) e
    cross join unnest(p_jobs, p_schedules) j (job, schedule)
    left join platform.job_schedules s on s.tenant_id = t.tenant_id and s.environment = e and s.job = j.job
    where s.basis is distinct from platform.job_basis(j.schedule, t.time_zone, t.business_calendar, t.holidays)
    limit p_limit;
  end;

-- What is to run now. The clock of a sandbox is never behind the time: what is due by the time is due by every clock, and
-- the few sandboxes whose clocks were moved are gone round beside that.
create function platform.due_jobs(p_jobs text[], p_limit integer)
  returns table (tenant_id uuid, environment platform.environment, job text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select d.tenant_id, d.environment, d.job
    from (
      select s.tenant_id, s.environment, s.job, s.next_at from platform.job_schedules s
      where s.next_at <= statement_timestamp()
      union
      select s.tenant_id, s.environment, s.job, s.next_at
      from platform.clocks c
      join platform.job_schedules s on s.tenant_id = c.tenant_id and s.environment = c.environment
      where c.offset_s > 0 and s.next_at <= statement_timestamp() + make_interval(secs => c.offset_s)
    ) d
    where d.job = any (p_jobs)
      and not exists (
        select from platform.job_pauses p
        where p.tenant_id = d.tenant_id and p.environment = d.environment and p.job = d.job)
      and not exists (
        select from platform.job_runs r
        where r.tenant_id = d.tenant_id and r.environment = d.environment and r.job = d.job
          and r.outcome in ('waiting', 'running', 'retrying'))
    order by d.next_at limit p_limit;
  end;

-- Runs that no process will ever end: their last attempt died with its process. Says of which jobs they were.
create function platform.close_lost_job_runs()
  returns table (job text)
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    update platform.job_runs r
      set outcome = 'failed', ended_at = clock_timestamp(),
        error = '{"code": "process_lost", "message": "The process that ran it ended, at every attempt."}'
      where r.outcome in ('waiting', 'running', 'retrying')
        and not exists (
          select from pgboss.job q
          where q.name = r.job and q.id = r.id and q.state in ('created', 'retry', 'active'))
      returning r.job;
  end;

-- How long the oldest run of each job has waited, in seconds. Of no tenant in particular.
create function platform.job_waits()
  returns table (job text, waits_s double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select r.job, extract(epoch from clock_timestamp() - min(r.created_at))::double precision
    from platform.job_runs r where r.outcome in ('waiting', 'running', 'retrying') group by r.job;
  end;

revoke execute on function platform.unscheduled_scopes, platform.due_jobs, platform.close_lost_job_runs,
  platform.job_waits from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.unscheduled_scopes, platform.due_jobs, platform.close_lost_job_runs,
  platform.job_waits to platform;
reset role;
