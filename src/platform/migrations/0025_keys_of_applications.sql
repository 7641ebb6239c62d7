-- A key says which application it is of: the keys and tokens of one application are counted together.
set local role financialapi_owner;
comment on column platform.api_keys.application_id is 'Of the service identity; kept when the key is rotated';
grant create on schema platform to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;

drop function platform.find_api_key;
create function platform.find_api_key(p_hash bytea)
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
    where k.hash = p_hash and k.revoked_at is null;
  end;
revoke execute on function platform.find_api_key from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.find_api_key to platform;
reset role;
