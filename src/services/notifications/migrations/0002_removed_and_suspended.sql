-- Recipients can be removed; and nothing is sent for a tenant that is suspended, until it is resumed.
set local role financialapi_owner;
grant delete on notifications.recipients, notifications.webhook_secrets to notifications;

create or replace function notifications.scopes_with_due(p_limit integer)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select distinct due.tenant_id, due.environment
    from (
      select m.tenant_id, m.environment from notifications.messages m
      where m.state = 'waiting' and m.digest_id is null and m.due_at <= statement_timestamp()
        and exists (select from platform.tenants t where t.tenant_id = m.tenant_id and t.status = 'active')
      order by m.due_at limit p_limit
    ) due
    union
    select distinct l.tenant_id, l.environment
    from (
      select m.tenant_id, m.environment from notifications.messages m
      where m.state = 'sending' and m.lease_until <= statement_timestamp()
        and exists (select from platform.tenants t where t.tenant_id = m.tenant_id and t.status = 'active')
      order by m.lease_until limit p_limit
    ) l
    union
    select c.tenant_id, c.environment from platform.clocks c
    join platform.tenants t on t.tenant_id = c.tenant_id and t.status = 'active'
    where c.offset_s > 0 and exists (
      select from notifications.messages m
      where m.tenant_id = c.tenant_id and m.environment = 'sandbox' and m.state = 'waiting' and m.digest_id is null
        and m.due_at <= statement_timestamp() + make_interval(secs => c.offset_s)
    );
  end;

-- Of whom nothing is sent nothing is late.
create or replace function notifications.due_standing(out messages bigint, out oldest_s double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select count(*), coalesce(greatest(extract(epoch from statement_timestamp() - min(d.due_at)), 0), 0)::double precision
    from (
      select m.due_at from notifications.messages m
      where m.state = 'waiting' and m.digest_id is null and m.due_at <= statement_timestamp()
        and exists (select from platform.tenants t where t.tenant_id = m.tenant_id and t.status = 'active')
      order by m.due_at limit 10000
    ) d;
  end;
reset role;
