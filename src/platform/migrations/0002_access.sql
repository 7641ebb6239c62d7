set local role financialapi_owner;

create type platform.tenant_kind as enum ('institution', 'installation');
create type platform.tenant_status as enum ('active', 'suspended');

alter table platform.tenants
  add column kind platform.tenant_kind not null default 'institution',
  add column status platform.tenant_status not null default 'active',
  add column time_zone text not null default 'UTC' check (length(time_zone) between 1 and 64),
  add column business_calendar text not null default 'weekdays' check (length(business_calendar) between 1 and 64),
  add column brand jsonb not null default '{}' check (jsonb_typeof(brand) = 'object'),
  add column updated_at timestamptz not null default now(),
  add column version integer not null default 1;
comment on column platform.tenants.kind is 'installation: the tenant whose people operate the installation';
create unique index tenants_one_installation on platform.tenants (kind) where kind = 'installation';

alter table platform.api_keys
  add column scopes text[] not null default '{*:*}' check (cardinality(scopes) between 1 and 200),
  add column hint text not null default '' check (length(hint) <= 32),
  add column plan text not null default 'standard' check (length(plan) between 1 and 64),
  add column limits_id uuid,
  add column allowed_addresses cidr[] check (cardinality(allowed_addresses) between 1 and 100),
  add column application_id uuid,
  add column created_by text check (length(created_by) <= 300),
  add column expires_at timestamptz,
  add column last_used_at timestamptz,
  add column replaced_by uuid,
  add column revoked_by text check (length(revoked_by) <= 300);
comment on column platform.api_keys.scopes is 'Patterns of permissions';
comment on column platform.api_keys.hint is 'The first letters of the key, shown in lists';
comment on column platform.api_keys.limits_id is 'Monetary limits that the ledger holds it to, shared with the keys it was rotated from or to';
comment on column platform.api_keys.last_used_at is 'To within a minute';
comment on column platform.api_keys.created_by is 'Public id of the principal who created it; null for the operator';

grant insert, update on platform.tenants to platform;
grant update on platform.api_keys to platform;

-- Every process forgets whom it knows when something is said here: a revocation acts at once.
create function platform.tell_access() returns trigger language plpgsql as $$
begin
  perform pg_notify('platform_access', '');
  return null;
end $$;
create trigger tell_access after update or delete on platform.tenants
  for each statement execute function platform.tell_access();

-- Not for what only says when a key was used last.
create trigger tell_access after update of revoked_at, expires_at, scopes, allowed_addresses, limits_id, plan, label
  on platform.api_keys for each statement execute function platform.tell_access();

grant create on schema platform to financialapi_doorkeeper;
grant update (last_used_at) on platform.api_keys to financialapi_doorkeeper;
create policy use on platform.api_keys for update to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;

drop function platform.find_api_key;
create function platform.find_api_key(p_hash bytea)
  returns table (
    tenant_id uuid, environment platform.environment, key_id uuid, label text, scopes text[], plan text,
    limits_id uuid, allowed_addresses text[], expires_at timestamptz, tenant_name text, base_currency text,
    tenant_kind platform.tenant_kind, tenant_status platform.tenant_status
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select k.tenant_id, k.environment, k.id, k.label, k.scopes, k.plan, k.limits_id, k.allowed_addresses::text[],
           k.expires_at, t.name, t.base_currency, t.kind, t.status
    from platform.api_keys k join platform.tenants t on t.tenant_id = k.tenant_id
    where k.hash = p_hash and k.revoked_at is null;
  end;

-- Says when keys were used last. Told in bulk and late, so that using a key costs no write.
create function platform.note_use(p_keys uuid[], p_at timestamptz[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
  begin atomic
    update platform.api_keys k set last_used_at = u.at
    from unnest(p_keys, p_at) u (id, at)
    where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at);
  end;

-- The tenants that work without a caller goes round: those that are suspended have their books looked after, too.
create function platform.list_tenants()
  returns table (
    tenant_id uuid, name text, base_currency text, kind platform.tenant_kind, status platform.tenant_status,
    created_at timestamptz
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select t.tenant_id, t.name, t.base_currency, t.kind, t.status, t.created_at from platform.tenants t order by 1;
  end;

revoke execute on function platform.find_api_key, platform.note_use, platform.list_tenants from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.find_api_key, platform.note_use, platform.list_tenants to platform;
reset role;

-- What came of each request that creates something other than a posting, under its idempotency key.
set local role financialapi_owner;
create table platform.attempts (
  tenant_id uuid not null,
  environment platform.environment not null,
  key text not null check (length(key) between 1 and 255),
  created_at timestamptz not null default now(),
  operation text not null,
  request text not null,
  result_id uuid,
  refusal jsonb,
  primary key (tenant_id, environment, key),
  check (num_nonnulls(result_id, refusal) = 1)
);
alter table platform.attempts enable row level security;
alter table platform.attempts force row level security;
create policy own_data on platform.attempts
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert on platform.attempts to public;
reset role;

-- Labels of which something must carry one set for the transaction to see it; null where it may see all of the tenant's.
set local role financialapi_owner;
create function platform.reach() returns jsonb[]
  language sql stable parallel safe
  return case when coalesce(current_setting('app.reach', true), '') <> ''
    then array(select jsonb_array_elements(current_setting('app.reach', true)::jsonb)) end;
reset role;
