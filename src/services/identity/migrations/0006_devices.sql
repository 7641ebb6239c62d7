set local role financialapi_owner;

create table identity.devices (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  label text not null check (length(label) between 1 and 255),
  alg text not null check (alg in ('ES256', 'EdDSA')),
  public_jwk jsonb not null check (jsonb_typeof(public_jwk) = 'object' and not public_jwk ? 'd'),
  thumbprint text not null check (length(thumbprint) = 43),
  permissions text[] not null check (cardinality(permissions) between 1 and 200),
  status text not null default 'active' check (status in ('active', 'disabled')),
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id)
);
comment on column identity.devices.permissions is 'Patterns of permissions';
comment on column identity.devices.thumbprint is 'Of the public key (RFC 7638)';
create unique index devices_id on identity.devices (id);

alter table identity.devices enable row level security;
alter table identity.devices force row level security;
create policy own_data on identity.devices
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert, update on identity.devices to identity;

create trigger tell_access after update or delete on identity.devices
  for each statement execute function platform.tell_access();

-- A device says its id before its tenant is known. What is told is what its signature is checked with.
grant usage, create on schema identity to financialapi_doorkeeper;
grant select on identity.devices to financialapi_doorkeeper;
create policy find on identity.devices for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;
create function identity.find_device(p_id uuid)
  returns table (
    tenant_id uuid, environment platform.environment, id uuid, label text, alg text, public_jwk jsonb,
    permissions text[], status text, expires_at timestamptz, tenant_name text, base_currency text,
    tenant_kind platform.tenant_kind, tenant_status platform.tenant_status
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select d.tenant_id, d.environment, d.id, d.label, d.alg, d.public_jwk, d.permissions, d.status, d.expires_at,
           t.name, t.base_currency, t.kind, t.status
    from identity.devices d join platform.tenants t on t.tenant_id = d.tenant_id
    where d.id = p_id;
  end;
revoke execute on function identity.find_device from public;
reset role;
set local role financialapi_owner;
revoke create on schema identity from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function identity.find_device to identity;
reset role;
