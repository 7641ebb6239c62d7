-- What becomes of applications is told to whoever has something of theirs.
set local role financialapi_owner;
grant usage on schema identity to financialapi_eraser;

create table identity.outbox_heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null default 0,
  primary key (tenant_id, environment)
);
-- As ledger.outbox is.
create table identity.outbox (
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
comment on table identity.outbox is 'CloudEvents 1.0, committed with the change they tell of; carried in order of sequence';
insert into platform.outboxes (name) values ('identity');

do $$
declare
  v_table text;
begin
  foreach v_table in array array['outbox_heads', 'outbox'] loop
    execute format('alter table identity.%I enable row level security', v_table);
    execute format('alter table identity.%I force row level security', v_table);
    execute format(
      'create policy own_data on identity.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('grant select, insert on identity.%I to identity', v_table);
  end loop;
  create policy carrying on identity.outbox to financialapi_owner using (true);
  -- As every outbox: how far it was carried is forgotten with the rest of a sandbox.
  perform platform.make_erasable('identity.outbox');
  perform platform.make_erasable('identity.outbox_heads');
end $$;
grant update on identity.outbox_heads to identity;
reset role;
