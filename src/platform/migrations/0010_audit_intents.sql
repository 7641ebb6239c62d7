set local role financialapi_owner;

-- What was begun and has no outcome yet: a row from before a change until its record is written. One that a crash left
-- becomes a record of which the outcome is not known.
create table platform.audit_intents (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  recorded_at timestamptz not null default clock_timestamp(),
  record jsonb not null,
  primary key (tenant_id, environment, id)
);
comment on column platform.audit_intents.record is 'As platform.append_audit takes it, without an outcome';
alter table platform.audit_intents enable row level security;
alter table platform.audit_intents force row level security;
create policy own_data on platform.audit_intents
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select on platform.audit_intents to platform;
create policy keeping on platform.audit_intents to financialapi_owner using (true);

alter table platform.audit_records drop constraint audit_records_outcome_check,
  add constraint audit_records_outcome_check check (outcome in ('done', 'refused', 'failed', 'unknown'));
comment on column platform.audit_records.status is 'Of HTTP; 0 where no answer is known';

create function platform.intend_audit(p_record jsonb) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    insert into platform.audit_intents (tenant_id, environment, id, record)
      select r.tenant_id, r.environment, r.id, p_record
      from jsonb_to_record(p_record) as r (tenant_id uuid, environment platform.environment, id uuid);
  end;

-- In the statement that writes their records.
create function platform.forget_audit_intents(p_intents jsonb) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    delete from platform.audit_intents i
      using jsonb_to_recordset(p_intents) as r (tenant_id uuid, environment platform.environment, id uuid)
      where i.tenant_id = r.tenant_id and i.environment = r.environment and i.id = r.id;
  end;

-- Whose trails have intents that nobody works on any more.
create function platform.audits_abandoned(p_older_than interval)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select distinct i.tenant_id, i.environment from platform.audit_intents i
      where i.recorded_at < clock_timestamp() - p_older_than;
  end;

-- Makes records of intents that nobody works on any more, at most `p_limit`, and says how many. The id of a record is
-- that of its intent, whose time is that of the request.
create function platform.close_abandoned_audits(p_tenant_id uuid, p_environment platform.environment,
    p_older_than interval, p_limit integer)
  returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  v_records jsonb;
  v_closed bigint;
begin
  with taken as (
    delete from platform.audit_intents i
      where i.tenant_id = p_tenant_id and i.environment = p_environment and i.id in (
        select o.id from platform.audit_intents o
          where o.tenant_id = p_tenant_id and o.environment = p_environment
            and o.recorded_at < clock_timestamp() - p_older_than
          order by o.id limit p_limit for update skip locked)
      returning i.record
  )
  select jsonb_agg(record || '{"outcome": "unknown", "status": 0}'), count(*) into v_records, v_closed from taken;
  if v_closed > 0 then
    perform platform.append_audit(v_records);
  end if;
  return v_closed;
end $$;

revoke execute on function platform.intend_audit, platform.forget_audit_intents, platform.audits_abandoned,
  platform.close_abandoned_audits from public;
grant execute on function platform.intend_audit, platform.forget_audit_intents, platform.audits_abandoned,
  platform.close_abandoned_audits to platform;
reset role;
