-- Nothing is sent for a tenant that is suspended. What is due waits until it is resumed.
set local role financialapi_owner;
create or replace function webhooks.claim_deliveries(p_endpoints uuid[], p_free integer[], p_free_others integer, p_limit integer,
  p_lease_ms integer, p_claim uuid)
  returns table (tenant_id uuid, environment platform.environment, id uuid, endpoint_id uuid, event_id uuid,
    event_type text, subject text, body text, personal_data boolean, traceparent text, attempts integer,
    failures integer, is_test boolean, url text, ordered boolean, sees_personal_data boolean, signing_keys jsonb)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_now constant timestamptz := clock_timestamp();
begin
  return query
    with recursive line as (
      (select d.endpoint_id, d.next_attempt_at from webhooks.deliveries d where d.status = 'pending'
       order by d.endpoint_id, d.next_attempt_at limit 1)
      union all
      select n.endpoint_id, n.next_attempt_at from line l cross join lateral (
        select d.endpoint_id, d.next_attempt_at from webhooks.deliveries d
        where d.status = 'pending' and d.endpoint_id > l.endpoint_id
        order by d.endpoint_id, d.next_attempt_at limit 1) n
    ), turn as (
      select l.endpoint_id, coalesce(k.free, p_free_others) as free
      from line l join webhooks.endpoints e on e.id = l.endpoint_id and e.status = 'enabled'
      join platform.tenants s on s.tenant_id = e.tenant_id and s.status = 'active'
      left join unnest(p_endpoints, p_free) k (endpoint_id, free) on k.endpoint_id = l.endpoint_id
      where l.next_attempt_at <= v_now and coalesce(k.free, p_free_others) > 0
      -- Where not all get their turn, not always the same do.
      order by random() limit p_limit
    ), picked as (
      select c.tenant_id, c.environment, c.id from turn t cross join lateral (
        select d.tenant_id, d.environment, d.id from webhooks.deliveries d
        where d.status = 'pending' and d.endpoint_id = t.endpoint_id and d.next_attempt_at <= v_now
        order by d.next_attempt_at limit t.free for no key update skip locked) c
      limit p_limit
    ), claimed as (
      update webhooks.deliveries d set claim = p_claim, next_attempt_at = v_now + p_lease_ms * interval '1 millisecond'
      from picked p where d.tenant_id = p.tenant_id and d.environment = p.environment and d.id = p.id
      returning d.*
    )
    select d.tenant_id, d.environment, d.id, d.endpoint_id, d.event_id, d.event_type, d.subject, d.body,
      d.personal_data, d.traceparent, d.attempts, d.failures, d.is_test, e.url, e.ordered, e.personal_data,
      (select jsonb_agg(jsonb_build_object('id', k.id, 'scheme', k.scheme, 'secret', k.secret) order by k.created_at desc)
       from webhooks.signing_keys k where k.endpoint_id = d.endpoint_id and (k.expires_at is null or k.expires_at > v_now))
    from claimed d join webhooks.endpoints e on e.id = d.endpoint_id;
end $$;

-- How sending stands, for the metrics: what is due and nobody is at, how long the oldest of it has waited, and how many
-- endpoints are disabled.
create or replace function webhooks.standing(out due bigint, out oldest_due_s double precision, out endpoints_disabled bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select count(*), coalesce(extract(epoch from clock_timestamp() - min(d.next_attempt_at)), 0)::double precision,
      (select count(*) from webhooks.endpoints e where e.status = 'disabled' and e.deleted_at is null)
    from (select d.next_attempt_at from webhooks.deliveries d
      join webhooks.endpoints e on e.id = d.endpoint_id and e.status = 'enabled'
      join platform.tenants s on s.tenant_id = e.tenant_id and s.status = 'active'
      where d.status = 'pending' and d.next_attempt_at <= clock_timestamp() limit 100000) d;
  end;
reset role;
