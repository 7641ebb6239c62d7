do $$
begin
  if not exists (select from pg_roles where rolname = 'probe') then
    create role probe nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant probe to %I', current_user);
  end if;
end $$;
create schema probe authorization financialapi_owner;
set local role financialapi_owner;
grant usage on schema probe to probe;
create table probe.effects (
  tenant_id uuid not null,
  environment platform.environment not null,
  number bigint generated always as identity,
  event_id uuid not null,
  sequence bigint not null,
  type text not null,
  aggregateid text not null,
  noted_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, environment, number)
);
alter table probe.effects enable row level security;
alter table probe.effects force row level security;
create policy own_data on probe.effects using (tenant_id = (select platform.tenant_id())
  and environment = (select platform.environment()));
grant select, insert on probe.effects to probe;
grant execute on function platform.receive_events(text, uuid[], text[]), platform.hold_event, platform.take_held_event
  to probe;
reset role;
