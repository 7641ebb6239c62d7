set local role financialapi_owner;

-- The outboxes there are: each service that writes events in a table of its own names its schema here.
create table platform.outboxes (
  name text primary key
);
comment on table platform.outboxes is 'Schemas whose table outbox the relay carries';
insert into platform.outboxes (name) values ('platform');
grant select on platform.outboxes to platform;

-- What the relay carried: every event of a tenant's environment in one order, whichever service told it. This is what
-- the event feed reads and what consumers receive; Kafka, where there is one, is filled from it.
create sequence platform.log_offsets;
create table platform.events (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null,
  log_offset bigint not null,
  partition smallint not null,
  id uuid not null,
  time timestamptz not null,
  type text not null,
  source text not null,
  aggregatetype text not null,
  aggregateid text not null,
  position bigint,
  payload text not null,
  traceparent text,
  carried_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, environment, sequence)
);
comment on column platform.events.sequence is 'Place among the events of the tenant''s environment, without gaps';
comment on column platform.events.log_offset is 'Place among the events of all, in the order of their commits; may have gaps';
comment on column platform.events.partition is 'Follows from tenant, environment and aggregate: events of one aggregate are in one';
comment on column platform.events.position is 'Place in the tenant''s ledger, of events that tell of one';
create index events_by_partition on platform.events (partition, log_offset);
create index events_by_aggregate on platform.events (tenant_id, environment, aggregateid, sequence);
create index events_by_type on platform.events (tenant_id, environment, type, sequence);
create index events_by_time on platform.events (tenant_id, environment, carried_at);

-- Last sequence given, and the last that retention has taken away.
create table platform.event_heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null default 0,
  forgotten bigint not null default 0,
  primary key (tenant_id, environment)
);

-- How far each outbox was carried.
create table platform.relay_marks (
  tenant_id uuid not null,
  environment platform.environment not null,
  outbox text not null,
  sequence bigint not null,
  primary key (tenant_id, environment, outbox)
);

-- How far each consumer has come, partition by partition.
create table platform.consumer_offsets (
  consumer text not null,
  partition smallint not null,
  log_offset bigint not null,
  primary key (consumer, partition)
);

-- Which events a consumer has received, written in the commit of what they did there.
create table platform.inbox (
  tenant_id uuid not null,
  environment platform.environment not null,
  consumer text not null,
  event_id uuid not null,
  received_at timestamptz not null default now(),
  primary key (tenant_id, environment, consumer, event_id)
);

-- Events that a consumer could not take yet. An event that failed is tried again; the later ones of its aggregate wait
-- behind it. What failed too often is parked until somebody redrives it.
create table platform.held_events (
  tenant_id uuid not null,
  environment platform.environment not null,
  consumer text not null,
  event_id uuid not null,
  sequence bigint not null,
  aggregateid text not null,
  event jsonb not null,
  state text not null check (state in ('retrying', 'waiting', 'parked')),
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  reason text check (length(reason) <= 2000),
  held_at timestamptz not null default clock_timestamp(),
  replayed boolean not null default false,
  primary key (tenant_id, environment, consumer, event_id)
);
comment on column platform.held_events.replayed is 'Whether it is to take effect although it once did';
create index held_events_in_order on platform.held_events (tenant_id, environment, consumer, aggregateid, sequence);
create index held_events_by_consumer on platform.held_events (consumer, next_attempt_at);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['events', 'event_heads', 'relay_marks', 'inbox', 'held_events'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    -- The owner has no login and acts only through the functions below.
    execute format('create policy carrying on platform.%I to financialapi_owner using (true)', v_table);
    execute format('grant select on platform.%I to platform', v_table);
  end loop;
  create policy carrying on platform.outbox to financialapi_owner using (true);
  create policy carrying on platform.tenants for select to financialapi_owner using (true);
  perform platform.make_erasable('platform.events');
  perform platform.make_erasable('platform.relay_marks');
  perform platform.make_erasable('platform.inbox');
  perform platform.make_erasable('platform.held_events');
end $$;

-- Held while events of a tenant's environment are carried, and by whoever empties its sandbox.
create function platform.relay_lock(p_tenant_id uuid, p_environment platform.environment) returns bigint
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return hashtextextended(p_tenant_id::text || ' ' || p_environment::text, 7261002);

create function platform.partition_of(p_tenant_id uuid, p_environment platform.environment, p_aggregateid text)
  returns smallint language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return (hashtextextended(p_tenant_id::text || ' ' || p_environment::text || ' ' || p_aggregateid, 0) & 15)::smallint;

-- Carries what is in the outboxes to the log, at most so many events of each, and says how many that were; -1 where another
-- process is at it. Sequences of an outbox are given under a lock that is held until the commit (the row of the head), so
-- that none is ever seen before a lower one: to go on from the last is to miss nothing.
create function platform.carry_events(p_limit integer) returns bigint
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
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
  for v_outbox in select o.name from platform.outboxes o order by 1 loop
    for v_scope in execute format(
      'select t.tenant_id, e.environment, coalesce(m.sequence, 0) as mark
       from platform.tenants t
       cross join (values (''sandbox''::platform.environment), (''live'')) e (environment)
       left join platform.relay_marks m on (m.tenant_id, m.environment, m.outbox) = (t.tenant_id, e.environment, %1$L)
       where exists (select from %1$I.outbox o
         where o.tenant_id = t.tenant_id and o.environment = e.environment and o.sequence > coalesce(m.sequence, 0))', v_outbox)
    loop
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

-- Events that are in the outboxes still, and how long the oldest has waited.
create function platform.relay_lag(out events bigint, out oldest_s double precision)
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_outbox text;
  v_events bigint;
  v_time timestamptz;
  v_oldest timestamptz;
begin
  events := 0;
  for v_outbox in select o.name from platform.outboxes o loop
    execute format(
      'select coalesce(sum(o.events), 0), min(o.time) from platform.tenants t
       cross join (values (''sandbox''::platform.environment), (''live'')) e (environment)
       left join platform.relay_marks m on (m.tenant_id, m.environment, m.outbox) = (t.tenant_id, e.environment, %1$L)
       cross join lateral (select count(*) as events, min(w.time) as time from (select o.time from %1$I.outbox o
         where o.tenant_id = t.tenant_id and o.environment = e.environment and o.sequence > coalesce(m.sequence, 0)
         order by o.sequence limit 10000) w) o', v_outbox)
      into v_events, v_time;
    events := events + v_events;
    v_oldest := least(v_oldest, v_time);
  end loop;
  oldest_s := coalesce(greatest(extract(epoch from clock_timestamp() - v_oldest), 0), 0);
end $$;

-- Registers a consumer, which begins with the oldest event there is or with those that are carried from now on.
create function platform.register_consumer(p_consumer text, p_from_start boolean) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    insert into platform.consumer_offsets (consumer, partition, log_offset)
      select p_consumer, p.n, case when p_from_start then 0 else coalesce((select max(e.log_offset) from platform.events e where e.partition = p.n), 0) end
      from generate_series(0, 15) p (n)
      on conflict do nothing;
  end;

-- Takes a partition that has events which the consumer has not seen, and that no other process holds, until the
-- transaction ends; answers the events. What no longer runs holds nothing: there is no lease to wait for.
create function platform.claim_events(p_consumer text, p_limit integer) returns setof platform.events
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_partition smallint;
  v_offset bigint;
begin
  select c.partition, c.log_offset into v_partition, v_offset from platform.consumer_offsets c
    where c.consumer = p_consumer
      and exists (select from platform.events e where e.partition = c.partition and e.log_offset > c.log_offset)
    -- Whoever lags most first, so that none starves.
    order by c.log_offset
    limit 1 for no key update skip locked;
  if found then
    return query select e.* from platform.events e
      where e.partition = v_partition and e.log_offset > v_offset order by e.log_offset limit p_limit;
  end if;
end $$;

create function platform.advance_consumer(p_consumer text, p_partition smallint, p_log_offset bigint) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    update platform.consumer_offsets c set log_offset = p_log_offset
      where c.consumer = p_consumer and c.partition = p_partition and c.log_offset < p_log_offset;
  end;

-- Notes that the consumer receives these events, in the transaction of what they do there, and answers which of them it
-- had not received before. Of an aggregate that has events held back none is: they are held too, behind those.
create function platform.receive_events(p_consumer text, p_events jsonb) returns table (event_id uuid)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into platform.held_events as h (tenant_id, environment, consumer, event_id, sequence, aggregateid, event, state)
    select platform.tenant_id(), platform.environment(), p_consumer, (e ->> 'id')::uuid, (e ->> 'sequence')::bigint,
      e ->> 'aggregateid', e, 'waiting'
    from jsonb_array_elements(p_events) e
    where exists (select from platform.held_events b
      where b.tenant_id = platform.tenant_id() and b.environment = platform.environment()
        and b.consumer = p_consumer and b.aggregateid = e ->> 'aggregateid')
      and not exists (select from platform.inbox i
        where i.tenant_id = platform.tenant_id() and i.environment = platform.environment()
          and i.consumer = p_consumer and i.event_id = (e ->> 'id')::uuid)
    on conflict do nothing;
  return query
    insert into platform.inbox as i (tenant_id, environment, consumer, event_id)
      select platform.tenant_id(), platform.environment(), p_consumer, (e ->> 'id')::uuid
      from jsonb_array_elements(p_events) e
      where not exists (select from platform.held_events b
        where b.tenant_id = platform.tenant_id() and b.environment = platform.environment()
          and b.consumer = p_consumer and b.aggregateid = e ->> 'aggregateid')
      order by 4
      on conflict do nothing
      returning i.event_id;
end $$;

-- Holds an event that failed, to be tried again at a time or, parked, when somebody redrives it.
create function platform.hold_event(p_consumer text, p_event jsonb, p_state text, p_attempts integer, p_wait_ms bigint,
  p_reason text) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    insert into platform.held_events as h (tenant_id, environment, consumer, event_id, sequence, aggregateid, event,
        state, attempts, next_attempt_at, reason)
      select platform.tenant_id(), platform.environment(), p_consumer, (p_event ->> 'id')::uuid,
        (p_event ->> 'sequence')::bigint, p_event ->> 'aggregateid', p_event, p_state, p_attempts,
        clock_timestamp() + p_wait_ms * interval '1 millisecond', left(p_reason, 2000)
      where not exists (select from platform.inbox i
        where i.tenant_id = platform.tenant_id() and i.environment = platform.environment()
          and i.consumer = p_consumer and i.event_id = (p_event ->> 'id')::uuid)
      on conflict (tenant_id, environment, consumer, event_id) do update
        set state = excluded.state, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,
          reason = excluded.reason;
  end;

-- Held events whose turn it is: the first of their aggregate, and due.
create function platform.due_events(p_consumer text, p_limit integer)
  returns table (tenant_id uuid, environment platform.environment, event_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select h.tenant_id, h.environment, h.event_id from platform.held_events h
    where h.consumer = p_consumer and h.state <> 'parked' and h.next_attempt_at <= clock_timestamp()
      and not exists (select from platform.held_events b
        where b.tenant_id = h.tenant_id and b.environment = h.environment and b.consumer = h.consumer
          and b.aggregateid = h.aggregateid and b.sequence < h.sequence)
    order by h.next_attempt_at limit p_limit;
  end;

-- Takes a held event out, in the transaction of what it does; nothing where another process has it or its turn has not
-- come. A replayed one is received although it was once.
create function platform.take_held_event(p_consumer text, p_event_id uuid)
  returns table (event jsonb, attempts integer, fresh boolean)
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_held platform.held_events;
  v_fresh boolean;
begin
  select h.* into v_held from platform.held_events h
    where h.tenant_id = platform.tenant_id() and h.environment = platform.environment()
      and h.consumer = p_consumer and h.event_id = p_event_id and h.state <> 'parked'
      and not exists (select from platform.held_events b
        where b.tenant_id = h.tenant_id and b.environment = h.environment and b.consumer = h.consumer
          and b.aggregateid = h.aggregateid and b.sequence < h.sequence)
    for update skip locked;
  if not found then
    return;
  end if;
  insert into platform.inbox as i (tenant_id, environment, consumer, event_id)
    values (v_held.tenant_id, v_held.environment, p_consumer, p_event_id) on conflict do nothing;
  v_fresh := found or v_held.replayed;
  delete from platform.held_events h
    where h.tenant_id = v_held.tenant_id and h.environment = v_held.environment and h.consumer = p_consumer
      and h.event_id = p_event_id;
  return query select v_held.event, v_held.attempts, v_fresh;
end $$;

create function platform.consumer_lag() returns table (consumer text, lag bigint, retrying bigint, parked bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select c.consumer,
      sum((select count(*) from (select from platform.events e
        where e.partition = c.partition and e.log_offset > c.log_offset limit 10000) w))::bigint,
      (select count(*) from platform.held_events h where h.consumer = c.consumer and h.state <> 'parked'),
      (select count(*) from platform.held_events h where h.consumer = c.consumer and h.state = 'parked')
    from platform.consumer_offsets c group by c.consumer;
  end;

-- Services that consume are granted receive_events, hold_event and take_held_event by their own migrations.
revoke execute on function platform.receive_events, platform.hold_event, platform.take_held_event, platform.carry_events, platform.relay_lag, platform.register_consumer, platform.claim_events,
  platform.advance_consumer, platform.due_events, platform.consumer_lag from public;
grant execute on function platform.carry_events, platform.relay_lag, platform.register_consumer, platform.claim_events,
  platform.advance_consumer, platform.due_events, platform.consumer_lag to platform;

-- Redriving and replaying, by whoever may at the tenant.
grant insert, update, delete on platform.held_events to platform;
grant select on platform.consumer_offsets to platform;

-- Held by the emptying of a sandbox until its end.
create function platform.lock_relay() returns void
  language sql volatile set search_path = pg_catalog, pg_temp
  begin atomic
    select pg_advisory_xact_lock(platform.relay_lock(platform.tenant_id(), platform.environment()));
  end;
reset role;
