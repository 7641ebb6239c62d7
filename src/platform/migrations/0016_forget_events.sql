set local role financialapi_owner;

-- Takes away events that were carried before a time, and the notes that consumers received them; of what some consumer has
-- not received yet nothing. At most so many at once; says how many went.
create function platform.forget_events(p_before timestamptz, p_limit integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_gone bigint;
begin
  with gone as (
    delete from platform.events e using (
      select o.tenant_id, o.environment, o.sequence from platform.events o
      where o.carried_at < p_before and not exists (select from platform.consumer_offsets c
        where c.partition = o.partition and c.log_offset < o.log_offset
          -- Where Kafka is filled from here, the others are told by it.
          and (c.consumer = 'kafka' or not exists (select from platform.consumer_offsets k where k.consumer = 'kafka')))
      order by o.log_offset limit p_limit
    ) old
    where (e.tenant_id, e.environment, e.sequence) = (old.tenant_id, old.environment, old.sequence)
    returning e.tenant_id, e.environment, e.sequence, e.id
  ), notes as (
    delete from platform.inbox i using gone g
    where (i.tenant_id, i.environment, i.event_id) = (g.tenant_id, g.environment, g.id)
  ), told as (
    -- Where one of the middle is left because somebody lags, what is before the newest that went is no longer whole.
    update platform.event_heads h set forgotten = greatest(h.forgotten, g.sequence)
    from (select tenant_id, environment, max(sequence) as sequence from gone group by 1, 2) g
    where (h.tenant_id, h.environment) = (g.tenant_id, g.environment)
  )
  select count(*) into v_gone from gone;
  return v_gone;
end $$;
revoke execute on function platform.forget_events from public;
grant execute on function platform.forget_events to platform;
create index events_by_age on platform.events (carried_at);
create index inbox_by_event on platform.inbox (tenant_id, environment, event_id);
reset role;
