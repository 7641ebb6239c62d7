-- Roles are of the whole cluster: another database of it, or a parallel migration, may have made them already.
do $$
begin
  if not exists (select from pg_roles where rolname = 'financialapi_owner') then
    create role financialapi_owner nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'platform') then
    create role platform nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

do $$
begin
  -- Membership lets the migrating user own on behalf of the roles and take them, where it is no superuser.
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant financialapi_owner, platform to %I', current_user);
  end if;
end $$;

create schema platform authorization financialapi_owner;
set local role financialapi_owner;

create type platform.environment as enum ('sandbox', 'live');

-- Whose data the transaction may see. Unset means nobody's: policies then match no row.
create function platform.tenant_id() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('app.tenant_id', true), '')::uuid;

create function platform.environment() returns platform.environment
  language sql stable parallel safe
  return nullif(current_setting('app.environment', true), '')::platform.environment;

create table platform.tenants (
  tenant_id uuid primary key,
  name text not null check (length(name) between 1 and 255),
  base_currency text not null check (base_currency ~ '^[A-Z]{3}$'),
  created_at timestamptz not null default now()
);
comment on column platform.tenants.base_currency is 'Currency of what names none, as the v1 API does';

create table platform.api_keys (
  tenant_id uuid not null references platform.tenants,
  environment platform.environment not null,
  id uuid not null,
  -- SHA-256 of a key with 178 bits of entropy: a slow hash would protect nothing more.
  hash bytea not null unique check (length(hash) = 32),
  label text not null check (length(label) between 1 and 255),
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  primary key (tenant_id, environment, id)
);

alter table platform.tenants enable row level security;
alter table platform.tenants force row level security;
create policy own_tenant on platform.tenants
  using (tenant_id = (select platform.tenant_id()));

alter table platform.api_keys enable row level security;
alter table platform.api_keys force row level security;
create policy own_tenant on platform.api_keys
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));

grant usage on schema platform to public;
grant select, insert on platform.tenants, platform.api_keys to platform;
grant update (revoked_at) on platform.api_keys to platform;

reset role;

-- Signing in comes before the tenant is known, so these two look past row-level security. Their owner is the
-- one role that may: it has no login, owns nothing else, and they answer only to who holds the key's hash.
do $$
begin
  if not exists (select from pg_roles where rolname = 'financialapi_doorkeeper') then
    create role financialapi_doorkeeper nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant financialapi_doorkeeper to %I', current_user);
  end if;
end $$;
set local role financialapi_owner;
grant usage, create on schema platform to financialapi_doorkeeper;
grant select on platform.api_keys, platform.tenants to financialapi_doorkeeper;
create policy sign_in on platform.api_keys for select to financialapi_doorkeeper using (true);
create policy sign_in on platform.tenants for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;

create function platform.find_api_key(p_hash bytea)
  returns table (tenant_id uuid, environment platform.environment, key_id uuid, label text, tenant_name text, base_currency text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select k.tenant_id, k.environment, k.id, k.label, t.name, t.base_currency
    from platform.api_keys k join platform.tenants t on t.tenant_id = k.tenant_id
    where k.hash = p_hash and k.revoked_at is null;
  end;

-- What work without a caller (sealing, expiry of holds) goes round.
create function platform.list_scopes()
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select t.tenant_id, e from platform.tenants t
    cross join unnest(enum_range(null::platform.environment)) e
    order by 1, 2;
  end;

revoke execute on function platform.find_api_key, platform.list_scopes from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.find_api_key, platform.list_scopes to platform;
reset role;
