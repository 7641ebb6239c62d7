do $$
begin
  if not exists (select from pg_roles where rolname = 'webhooks') then
    create role webhooks nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant webhooks to %I', current_user);
  end if;
end $$;

create schema webhooks authorization financialapi_owner;
set local role financialapi_owner;
grant usage on schema webhooks to webhooks, financialapi_eraser;

create table webhooks.endpoints (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  application_id text check (length(application_id) <= 100),
  url text not null check (length(url) <= 2000),
  description text not null check (length(description) <= 1000),
  event_types text[] not null check (cardinality(event_types) between 1 and 100),
  ordered boolean not null,
  personal_data boolean not null,
  status text not null default 'enabled' check (status in ('enabled', 'disabled')),
  disabled_reason text check (disabled_reason in ('by_hand', 'gone', 'failing')),
  disabled_at timestamptz,
  failing_since timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  check ((status = 'disabled') = (disabled_reason is not null and disabled_at is not null))
);
comment on column webhooks.endpoints.application_id is 'Public id of the application whose endpoint it is; null: the institution''s own';
comment on column webhooks.endpoints.personal_data is 'Whether what is sent has personal data; otherwise masks stand in its place';
comment on column webhooks.endpoints.failing_since is 'Time of the first failed attempt since the last that succeeded';
comment on column webhooks.endpoints.deleted_at is 'It stays until its deliveries are gone, and is shown to nobody';
create unique index endpoints_id on webhooks.endpoints (id);

create table webhooks.signing_keys (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  endpoint_id uuid not null,
  scheme text not null check (scheme in ('hmac', 'ed25519')),
  secret text not null,
  public_key text,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz,
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, endpoint_id) references webhooks.endpoints on delete cascade,
  check ((scheme = 'ed25519') = (public_key is not null))
);
comment on column webhooks.signing_keys.secret is 'Encrypted by platform/secret.ts';
comment on column webhooks.signing_keys.expires_at is 'Until when it signs beside the one that replaced it; null: the current one';
create index signing_keys_by_endpoint on webhooks.signing_keys (endpoint_id);
create unique index signing_keys_current on webhooks.signing_keys (endpoint_id) where expires_at is null;

-- What is to be sent and what was. `waiting`: an earlier one about the same thing comes first. `missed`: the endpoint was
-- disabled. A claim is a lease: until next_attempt_at the process that made it is at it, and then it is anybody's again.
create table webhooks.deliveries (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_time timestamptz not null,
  event_type text not null,
  subject text not null,
  sequence bigint not null,
  body text not null,
  personal_data boolean not null,
  traceparent text,
  is_test boolean not null default false,
  status text not null check (status in ('waiting', 'pending', 'delivered', 'failed', 'missed')),
  attempts integer not null default 0,
  failures integer not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  claim uuid,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, endpoint_id) references webhooks.endpoints,
  check ((finished_at is null) = (status in ('waiting', 'pending')))
);
comment on column webhooks.deliveries.body is 'As it is sent: the event in CloudEvents'' JSON format';
comment on column webhooks.deliveries.personal_data is 'Whether the body has personal data and not masks';
comment on column webhooks.deliveries.sequence is 'Of the event, by which those of one subject are in order; 0 for a test';
comment on column webhooks.deliveries.attempts is 'All there were, which number the rows of webhooks.attempts';
comment on column webhooks.deliveries.failures is 'Those that failed since it was last asked for, which say how long the next wait is';
create unique index deliveries_by_event on webhooks.deliveries (tenant_id, environment, event_id, endpoint_id);
create index deliveries_by_endpoint on webhooks.deliveries (tenant_id, environment, endpoint_id, id);
create index deliveries_to_send on webhooks.deliveries (endpoint_id, next_attempt_at) where status = 'pending';
create index deliveries_in_order on webhooks.deliveries (endpoint_id, subject, sequence)
  where status in ('waiting', 'pending');
create index deliveries_not_delivered on webhooks.deliveries (tenant_id, environment, status, id)
  where status <> 'delivered';
create index deliveries_finished on webhooks.deliveries (tenant_id, environment, finished_at)
  where finished_at is not null;

create table webhooks.attempts (
  tenant_id uuid not null,
  environment platform.environment not null,
  delivery_id uuid not null,
  number integer not null,
  started_at timestamptz not null,
  took_ms integer not null,
  url text not null,
  request_headers jsonb not null,
  status integer,
  answer_headers jsonb,
  answer_body text check (length(answer_body) <= 1024),
  failure text check (length(failure) <= 500),
  primary key (tenant_id, environment, delivery_id, number),
  foreign key (tenant_id, environment, delivery_id) references webhooks.deliveries on delete cascade
);
comment on column webhooks.attempts.url is 'Without its query, which may hold a credential of the receiver''s';
comment on column webhooks.attempts.failure is 'Why it counts as failed; null: it succeeded';

create table webhooks.resends (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  endpoint_id uuid not null,
  from_time timestamptz not null,
  statuses text[] not null,
  resent integer not null,
  continue_from timestamptz,
  created_at timestamptz not null default now(),
  primary key (tenant_id, environment, id)
);
comment on table webhooks.resends is 'What was asked to be sent again from a time on, kept for whoever repeats the request';

create table webhooks.outbox_heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null default 0,
  primary key (tenant_id, environment)
);
-- As ledger.outbox is.
create table webhooks.outbox (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null,
  id uuid not null,
  time timestamptz not null,
  position bigint,
  type text not null,
  source text not null,
  aggregatetype text not null,
  aggregateid text not null,
  payload text not null,
  traceparent text,
  specversion text not null default '1.0',
  datacontenttype text not null default 'application/json',
  primary key (tenant_id, environment, sequence)
);
comment on table webhooks.outbox is 'CloudEvents 1.0, committed with the change they tell of; carried in order of sequence';
insert into platform.outboxes (name) values ('webhooks');

do $$
declare
  v_table text;
begin
  foreach v_table in array array['endpoints', 'signing_keys', 'deliveries', 'attempts', 'resends', 'outbox_heads',
                                 'outbox'] loop
    execute format('alter table webhooks.%I enable row level security', v_table);
    execute format('alter table webhooks.%I force row level security', v_table);
    execute format(
      'create policy own_data on webhooks.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('grant select, insert on webhooks.%I to webhooks', v_table);
  end loop;
  -- The owner has no login and acts only through the functions below, and as the relay.
  foreach v_table in array array['endpoints', 'signing_keys', 'deliveries', 'outbox'] loop
    execute format('create policy sending on webhooks.%I to financialapi_owner using (true)', v_table);
  end loop;
  -- Endpoints and their keys stay when a sandbox is emptied; what was sent goes.
  foreach v_table in array array['deliveries', 'attempts', 'resends', 'outbox_heads', 'outbox'] loop
    perform platform.make_erasable(format('webhooks.%I', v_table)::regclass);
  end loop;
end $$;
grant update, delete on webhooks.endpoints, webhooks.signing_keys, webhooks.deliveries to webhooks;
grant delete on webhooks.resends to webhooks;
grant update on webhooks.outbox_heads to webhooks;
grant execute on function platform.receive_events(text, uuid[], text[]), platform.hold_event, platform.take_held_event
  to webhooks;

-- Claims deliveries that are due, of any tenant, for so long a lease, and answers all that is needed to send them. Of
-- each endpoint it takes as many as are said to be free, of those that are not named p_free_others. It goes from one
-- endpoint to the next by the index, so that however much one has waiting keeps nobody else from their turn.
create function webhooks.claim_deliveries(p_endpoints uuid[], p_free integer[], p_free_others integer, p_limit integer,
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
create function webhooks.standing(out due bigint, out oldest_due_s double precision, out endpoints_disabled bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select count(*), coalesce(extract(epoch from clock_timestamp() - min(d.next_attempt_at)), 0)::double precision,
      (select count(*) from webhooks.endpoints e where e.status = 'disabled' and e.deleted_at is null)
    from (select d.next_attempt_at from webhooks.deliveries d
      join webhooks.endpoints e on e.id = d.endpoint_id and e.status = 'enabled'
      where d.status = 'pending' and d.next_attempt_at <= clock_timestamp() limit 100000) d;
  end;
revoke execute on function webhooks.claim_deliveries, webhooks.standing from public;
grant execute on function webhooks.claim_deliveries, webhooks.standing to webhooks;
reset role;
