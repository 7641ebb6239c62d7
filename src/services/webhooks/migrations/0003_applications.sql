-- Nothing is sent to the endpoints of an application that is disabled.
set local role financialapi_owner;

alter table webhooks.endpoints drop constraint endpoints_disabled_reason_check;
alter table webhooks.endpoints add constraint endpoints_disabled_reason_check
  check (disabled_reason in ('by_hand', 'gone', 'failing', 'application_disabled'));
create index endpoints_by_application on webhooks.endpoints (tenant_id, environment, application_id)
  where application_id is not null;

create table webhooks.disabled_applications (
  tenant_id uuid not null,
  environment platform.environment not null,
  application_id text not null check (length(application_id) <= 100),
  primary key (tenant_id, environment, application_id)
);
comment on table webhooks.disabled_applications is
  'Applications that are disabled, as their events tell: an endpoint that is made for one meanwhile is disabled from the beginning';
alter table webhooks.disabled_applications enable row level security;
alter table webhooks.disabled_applications force row level security;
create policy own_data on webhooks.disabled_applications
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert, delete on webhooks.disabled_applications to webhooks;
reset role;
