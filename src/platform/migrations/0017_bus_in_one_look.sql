set local role financialapi_owner;

-- As before, with a bound: where many tenants have much to carry, one call does not take longer than a statement may.
create or replace function platform.carry_events(p_limit integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_most constant bigint := 20 * p_limit;
  v_outbox text;
  v_scope record;
  v_carried bigint := 0;
  v_count bigint;
  v_last bigint;
  v_first bigint;
begin
  -- The one relay: until the commit, so that offsets are seen in their order.
  if not pg_try_advisory_xact_lock(7261003) then
    return -1;
  end if;
  for v_outbox in select o.name from platform.outboxes o order by random() loop
    for v_scope in execute format(
      'select t.tenant_id, e.environment, coalesce(m.sequence, 0) as mark
       from platform.tenants t
       cross join (values (''sandbox''::platform.environment), (''live'')) e (environment)
       left join platform.relay_marks m on (m.tenant_id, m.environment, m.outbox) = (t.tenant_id, e.environment, %1$L)
       where exists (select from %1$I.outbox o
         where o.tenant_id = t.tenant_id and o.environment = e.environment and o.sequence > coalesce(m.sequence, 0))
       -- Where not all get their turn, not always the same do.
       order by random()', v_outbox)
    loop
      exit when v_carried >= v_most;
      -- While a sandbox is emptied it is left alone; what was read of it above may be gone.
      continue when not pg_try_advisory_xact_lock(platform.relay_lock(v_scope.tenant_id, v_scope.environment));
      select coalesce((select m.sequence from platform.relay_marks m
        where (m.tenant_id, m.environment, m.outbox) = (v_scope.tenant_id, v_scope.environment, v_outbox)), 0)
        into v_scope.mark;
      insert into platform.event_heads as h (tenant_id, environment) values (v_scope.tenant_id, v_scope.environment)
        on conflict do nothing;
      select h.sequence into v_first from platform.event_heads h
        where h.tenant_id = v_scope.tenant_id and h.environment = v_scope.environment;
      execute format(
        'with taken as (
           select o.* from %1$I.outbox o
           where o.tenant_id = $1 and o.environment = $2 and o.sequence > $3
           order by o.sequence limit $4
         ), carried as (
           insert into platform.events (tenant_id, environment, sequence, log_offset, partition, id, time, type, source,
             aggregatetype, aggregateid, position, payload, traceparent)
           select $1, $2, $5 + row_number() over (order by o.sequence), nextval(''platform.log_offsets''),
             platform.partition_of($1, $2, o.aggregateid), o.id, o.time, o.type, o.source, o.aggregatetype,
             o.aggregateid, o.position, o.payload, o.traceparent
           from taken o order by o.sequence
         )
         select count(*), max(sequence) from taken', v_outbox)
        into v_count, v_last using v_scope.tenant_id, v_scope.environment, v_scope.mark, p_limit, v_first;
      continue when v_count = 0;
      update platform.event_heads h set sequence = v_first + v_count
        where h.tenant_id = v_scope.tenant_id and h.environment = v_scope.environment;
      insert into platform.relay_marks as m (tenant_id, environment, outbox, sequence)
        values (v_scope.tenant_id, v_scope.environment, v_outbox, v_last)
        on conflict (tenant_id, environment, outbox) do update set sequence = excluded.sequence;
      v_carried := v_carried + v_count;
    end loop;
  end loop;
  if v_carried > 0 then
    perform pg_notify('platform_events', '');
  end if;
  return v_carried;
end $$;

-- As before, but which aggregates are held back is looked at once: what was held between two looks would have been
-- neither held nor received.
create or replace function platform.receive_events(p_consumer text, p_events jsonb) returns table (event_id uuid)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_held constant text[] := array(
    select distinct h.aggregateid from platform.held_events h
    where h.tenant_id = platform.tenant_id() and h.environment = platform.environment() and h.consumer = p_consumer
      and h.aggregateid in (select e ->> 'aggregateid' from jsonb_array_elements(p_events) e));
begin
  if cardinality(v_held) > 0 then
    insert into platform.held_events as h (tenant_id, environment, consumer, event_id, sequence, aggregateid, event, state)
      select platform.tenant_id(), platform.environment(), p_consumer, (e ->> 'id')::uuid, (e ->> 'sequence')::bigint,
        e ->> 'aggregateid', e, 'waiting'
      from jsonb_array_elements(p_events) e
      where e ->> 'aggregateid' = any (v_held)
        and not exists (select from platform.inbox i
          where i.tenant_id = platform.tenant_id() and i.environment = platform.environment()
            and i.consumer = p_consumer and i.event_id = (e ->> 'id')::uuid)
      on conflict do nothing;
  end if;
  return query
    insert into platform.inbox as i (tenant_id, environment, consumer, event_id)
      select platform.tenant_id(), platform.environment(), p_consumer, (e ->> 'id')::uuid
      from jsonb_array_elements(p_events) e
      where not (e ->> 'aggregateid' = any (v_held))
      order by 4
      on conflict do nothing
      returning i.event_id;
end $$;

-- As before, but a replayed event that fails is held like any other, although it was received once.
create or replace function platform.hold_event(p_consumer text, p_event jsonb, p_state text, p_attempts integer,
  p_wait_ms bigint, p_reason text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update platform.held_events h
    set state = p_state, attempts = p_attempts, reason = left(p_reason, 2000),
      next_attempt_at = clock_timestamp() + p_wait_ms * interval '1 millisecond'
    where h.tenant_id = platform.tenant_id() and h.environment = platform.environment()
      and h.consumer = p_consumer and h.event_id = (p_event ->> 'id')::uuid;
  if found then
    return;
  end if;
  insert into platform.held_events as h (tenant_id, environment, consumer, event_id, sequence, aggregateid, event,
      state, attempts, next_attempt_at, reason)
    select platform.tenant_id(), platform.environment(), p_consumer, (p_event ->> 'id')::uuid,
      (p_event ->> 'sequence')::bigint, p_event ->> 'aggregateid', p_event, p_state, p_attempts,
      clock_timestamp() + p_wait_ms * interval '1 millisecond', left(p_reason, 2000)
    where not exists (select from platform.inbox i
      where i.tenant_id = platform.tenant_id() and i.environment = platform.environment()
        and i.consumer = p_consumer and i.event_id = (p_event ->> 'id')::uuid)
    on conflict do nothing;
end $$;

-- As before, but from one aggregate to the next: what waits behind a parked event, however much it is, is not looked at.
drop index platform.held_events_in_order, platform.held_events_by_consumer;
create index held_events_in_order on platform.held_events (consumer, tenant_id, environment, aggregateid, sequence);
create or replace function platform.due_events(p_consumer text, p_limit integer)
  returns table (tenant_id uuid, environment platform.environment, event_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    with recursive first_of as (
      (select h.tenant_id, h.environment, h.aggregateid, h.event_id, h.state, h.next_attempt_at
       from platform.held_events h where h.consumer = p_consumer
       order by h.tenant_id, h.environment, h.aggregateid, h.sequence limit 1)
      union all
      select n.tenant_id, n.environment, n.aggregateid, n.event_id, n.state, n.next_attempt_at
      from first_of f cross join lateral (
        select h.tenant_id, h.environment, h.aggregateid, h.event_id, h.state, h.next_attempt_at
        from platform.held_events h
        where h.consumer = p_consumer
          and (h.tenant_id, h.environment, h.aggregateid) > (f.tenant_id, f.environment, f.aggregateid)
        order by h.tenant_id, h.environment, h.aggregateid, h.sequence limit 1) n
    )
    select f.tenant_id, f.environment, f.event_id from first_of f
    where f.state <> 'parked' and f.next_attempt_at <= clock_timestamp()
    order by f.next_attempt_at limit p_limit;
  end;

-- By time is asked seldom, and rows come in its order: a few pages tell where to look, and nothing is paid for each event.
drop index platform.events_by_time, platform.events_by_age;
create index events_by_time on platform.events using brin (carried_at);
reset role;
