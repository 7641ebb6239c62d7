set local role financialapi_owner;
-- The newest success of a job is found without going through all that it ever did.
create index job_runs_succeeded on platform.job_runs (job, ended_at) where outcome = 'succeeded';
grant create on schema platform to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;

-- How long ago each job last succeeded, in seconds, for whichever tenant that was. Those that never did are left out.
create function platform.job_successes(p_jobs text[]) returns table (job text, ago_s double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select j.job, extract(epoch from clock_timestamp() - newest.ended_at)::double precision
    from unnest(p_jobs) j (job)
    cross join lateral (
      select r.ended_at from platform.job_runs r where r.job = j.job and r.outcome = 'succeeded'
      order by r.ended_at desc limit 1
    ) newest;
  end;
revoke execute on function platform.job_successes from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.job_successes to platform;
reset role;
