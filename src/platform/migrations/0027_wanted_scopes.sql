set local role financialapi_owner;

-- Of these tenants and environments those from whom something is wanted now: what `claim_events` asks of the log, for
-- events that come from Kafka. `p_wants` names a function of (tenant_id uuid, environment platform.environment).
create function platform.wanted_scopes(p_wants text, p_tenant_ids uuid[], p_environments platform.environment[])
  returns table (tenant_id uuid, environment platform.environment)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query execute format(
    'select s.tenant_id, s.environment from unnest($1, $2) s (tenant_id, environment) where %s(s.tenant_id, s.environment)',
    p_wants::regproc) using p_tenant_ids, p_environments;
end $$;
revoke execute on function platform.wanted_scopes(text, uuid[], platform.environment[]) from public;
grant execute on function platform.wanted_scopes(text, uuid[], platform.environment[]) to platform;
reset role;
