-- A device is on a plan, as keys and applications are: that of whoever registers it, unless who may says otherwise.
set local role financialapi_owner;
alter table identity.devices add column plan text not null default 'standard' check (length(plan) between 1 and 64);
grant usage, create on schema identity to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;

drop function identity.find_device;
create function identity.find_device(p_id uuid)
  returns table (
    tenant_id uuid, environment platform.environment, id uuid, label text, alg text, public_jwk jsonb,
    permissions text[], status text, expires_at timestamptz, tenant_name text, base_currency text,
    tenant_kind platform.tenant_kind, tenant_status platform.tenant_status, plan text
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select d.tenant_id, d.environment, d.id, d.label, d.alg, d.public_jwk, d.permissions, d.status, d.expires_at,
           t.name, t.base_currency, t.kind, t.status, d.plan
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
