set local role financialapi_owner;

-- Whether a tenant has an endpoint of webhooks in an environment. Where it has none, its events need not be looked at.
create function webhooks.wants_events(p_tenant_id uuid, p_environment platform.environment) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select exists (select from webhooks.endpoints e
      where e.tenant_id = p_tenant_id and e.environment = p_environment and e.deleted_at is null);
  end;
revoke execute on function webhooks.wants_events from public;
reset role;
