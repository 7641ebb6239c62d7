-- While an application is disabled its keys are good for nothing, in any process.
set local role financialapi_owner;
alter table platform.api_keys add column disabled_at timestamptz;
comment on column platform.api_keys.disabled_at is 'Since when the application it is of is disabled';
create trigger tell_access_of_disabled after update of disabled_at on platform.api_keys
  for each statement execute function platform.tell_access();
grant create on schema platform to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;

create or replace function platform.find_api_key(p_hash bytea)
  returns table (
    tenant_id uuid, environment platform.environment, key_id uuid, label text, scopes text[], plan text,
    limits_id uuid, allowed_addresses text[], expires_at timestamptz, tenant_name text, base_currency text,
    tenant_kind platform.tenant_kind, tenant_status platform.tenant_status, application_id uuid
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select k.tenant_id, k.environment, k.id, k.label, k.scopes, k.plan, k.limits_id, k.allowed_addresses::text[],
           k.expires_at, t.name, t.base_currency, t.kind, t.status, k.application_id
    from platform.api_keys k join platform.tenants t on t.tenant_id = k.tenant_id
    where k.hash = p_hash and k.revoked_at is null and k.disabled_at is null;
  end;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
