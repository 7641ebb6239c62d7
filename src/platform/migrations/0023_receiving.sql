set local role financialapi_owner;

-- Notes events as received, and answers those that were not received before. Those of an aggregate that is held back are
-- answered as held and not noted: who asked holds them behind it, in the same transaction. Ids and aggregates come as
-- arrays: what an event says is not needed here, and reading it as JSON cost more than the notes did.
-- The one of the same name that takes JSON is left to processes that were started before.
create function platform.receive_events(p_consumer text, p_ids uuid[], p_aggregateids text[])
  returns table (event_id uuid, held boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant_id constant uuid := platform.tenant_id();
  v_environment constant platform.environment := platform.environment();
  -- Looked at once: what was held between two looks would have been neither held nor received.
  v_held constant text[] := array(
    select distinct h.aggregateid from platform.held_events h
    where h.consumer = p_consumer and h.tenant_id = v_tenant_id and h.environment = v_environment
      and h.aggregateid = any (p_aggregateids));
begin
  if cardinality(v_held) > 0 then
    return query
      select u.id, true from unnest(p_ids, p_aggregateids) u (id, aggregateid)
      where u.aggregateid = any (v_held)
        and not exists (select from platform.inbox i
          where i.tenant_id = v_tenant_id and i.environment = v_environment
            and i.consumer = p_consumer and i.event_id = u.id);
  end if;
  return query
    insert into platform.inbox as i (tenant_id, environment, consumer, event_id)
      select v_tenant_id, v_environment, p_consumer, u.id
      from unnest(p_ids, p_aggregateids) u (id, aggregateid)
      where not u.aggregateid = any (v_held)
      order by u.id
      on conflict do nothing
      returning i.event_id, false;
end $$;
revoke execute on function platform.receive_events(text, uuid[], text[]) from public;
do $$
declare
  v_role text;
begin
  for v_role in
    select a.grantee::regrole from pg_proc p cross join lateral aclexplode(p.proacl) a
    where p.oid = 'platform.receive_events(text, jsonb)'::regprocedure and a.grantee not in (0, p.proowner)
  loop
    execute format('grant execute on function platform.receive_events(text, uuid[], text[]) to %s', v_role);
  end loop;
end $$;

-- As before, but what is to wait behind another of its aggregate does not change what is held already: an event that is
-- parked and delivered again stays parked.
create or replace function platform.hold_event(p_consumer text, p_event jsonb, p_state text, p_attempts integer,
  p_wait_ms bigint, p_reason text) returns void
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p_state <> 'waiting' then
    update platform.held_events h
      set state = p_state, attempts = p_attempts, reason = left(p_reason, 2000),
        next_attempt_at = clock_timestamp() + p_wait_ms * interval '1 millisecond'
      where h.tenant_id = platform.tenant_id() and h.environment = platform.environment()
        and h.consumer = p_consumer and h.event_id = (p_event ->> 'id')::uuid;
    if found then
      return;
    end if;
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

-- As before, but notes are found by the consumers there are, along the key: an index of its own for this cost each event
-- that anybody received.
create or replace function platform.forget_events(p_before timestamptz, p_limit integer) returns bigint
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
    delete from platform.inbox i using gone g, (select distinct c.consumer from platform.consumer_offsets c) known
    where (i.tenant_id, i.environment, i.consumer, i.event_id) = (g.tenant_id, g.environment, known.consumer, g.id)
  ), told as (
    -- Where one of the middle is left because somebody lags, what is before the newest that went is no longer whole.
    update platform.event_heads h set forgotten = greatest(h.forgotten, g.sequence)
    from (select tenant_id, environment, max(sequence) as sequence from gone group by 1, 2) g
    where (h.tenant_id, h.environment) = (g.tenant_id, g.environment)
  )
  select count(*) into v_gone from gone;
  return v_gone;
end $$;
drop index platform.inbox_by_event;

-- As before, but what is new is found along the key: on a table that had grown since it was analyzed, each pass read the
-- whole outbox, and the relay rests four times as long as it works.
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
       -- The first one that is new, along the key, for each; as a condition the planner may make of it a look at all there are.
       cross join lateral (select from %1$I.outbox o
         where o.tenant_id = t.tenant_id and o.environment = e.environment and o.sequence > coalesce(m.sequence, 0)
         order by o.sequence limit 1) next
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
        'select count(*), max(w.sequence) from (select o.sequence from %1$I.outbox o
           where o.tenant_id = $1 and o.environment = $2 and o.sequence > $3 order by o.sequence limit $4) w', v_outbox)
        into v_count, v_last using v_scope.tenant_id, v_scope.environment, v_scope.mark, p_limit;
      continue when v_count = 0;
      execute format(
        'insert into platform.events (tenant_id, environment, sequence, log_offset, partition, id, time, type, source,
           aggregatetype, aggregateid, position, payload, traceparent)
         select $1, $2, $5 + row_number() over (order by o.sequence), nextval(''platform.log_offsets''),
           (hashtextextended($6 || o.aggregateid, 0) & 15)::smallint, o.id, o.time, o.type, o.source, o.aggregatetype,
           o.aggregateid, o.position, o.payload, o.traceparent
         from %1$I.outbox o
         where o.tenant_id = $1 and o.environment = $2 and o.sequence > $3 and o.sequence <= $4
         order by o.sequence', v_outbox)
        using v_scope.tenant_id, v_scope.environment, v_scope.mark, v_last, v_first,
          -- As platform.partition_of has it; calling a function for each event costs more than the rest of it.
          v_scope.tenant_id::text || ' ' || v_scope.environment::text || ' ';
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
reset role;
