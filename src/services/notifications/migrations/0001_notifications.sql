do $$
begin
  if not exists (select from pg_roles where rolname = 'notifications') then
    create role notifications nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant notifications to %I', current_user);
  end if;
end $$;

create schema notifications authorization financialapi_owner;
set local role financialapi_owner;
grant usage on schema notifications to notifications, financialapi_eraser;

create table notifications.recipients (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  kind text not null check (kind in ('staff', 'customer', 'organisation')),
  name text not null check (length(name) between 1 and 255),
  reference text check (length(reference) between 1 and 255),
  language text not null check (length(language) between 2 and 35),
  time_zone text not null check (length(time_zone) between 1 and 64),
  email text check (length(email) between 3 and 254),
  phone text check (phone ~ '^\+[1-9][0-9]{6,14}$'),
  push_token text check (length(push_token) between 1 and 4096),
  webhook_url text check (length(webhook_url) between 1 and 2000),
  quiet_from time,
  quiet_to time,
  digest_at time not null,
  preferences jsonb not null check (jsonb_typeof(preferences) = 'object'),
  subscriptions text[] not null check (cardinality(subscriptions) <= 50),
  status text not null default 'active' check (status in ('active', 'disabled')),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  check ((quiet_from is null) = (quiet_to is null)),
  check (quiet_from <> quiet_to)
);
comment on column notifications.recipients.reference is 'By what the institution knows whom it tells: an id of a person or customer';
comment on column notifications.recipients.quiet_from is 'Local time of the recipient, as quiet_to, which may be of the next day';
comment on column notifications.recipients.digest_at is 'Local time at which what is gathered is sent';
comment on column notifications.recipients.preferences is 'Topic, channel, and on, off or digest; what is not named is as the topic says';
create unique index recipients_by_reference on notifications.recipients (reference, tenant_id, environment);
create index recipients_subscribed on notifications.recipients using gin (subscriptions);

-- Beside the recipient, so that nothing that shows one can show it.
create table notifications.webhook_secrets (
  tenant_id uuid not null,
  environment platform.environment not null,
  recipient_id uuid not null,
  secret text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, environment, recipient_id)
);
comment on column notifications.webhook_secrets.secret is 'Encrypted; what signs the requests to the recipient (Standard Webhooks)';

create table notifications.templates (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  topic text not null check (length(topic) between 1 and 64),
  channel text not null check (channel in ('email', 'sms', 'push', 'webhook', 'in_app')),
  language text not null check (length(language) between 2 and 35),
  subject text check (length(subject) between 1 and 500),
  text text not null check (length(text) between 1 and 50000),
  html text check (length(html) between 1 and 200000),
  number integer check (number >= 1),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  published_at timestamptz,
  published_by text check (length(published_by) <= 300),
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  check ((number is null) = (published_at is null)),
  constraint templates_numbered unique (tenant_id, environment, topic, channel, language, number)
);
comment on column notifications.templates.number is 'Counts what was published for a topic, channel and language; null: a draft';
comment on column notifications.templates.version is 'Counts edits of the draft, for its ETag';

-- A message names the version that made it, so that a version stays what it was.
create function notifications.keep_published() returns trigger language plpgsql as $$
begin
  raise exception 'the template % is published and stays as it is', old.id using errcode = 'restrict_violation';
end $$;
create trigger published_is_kept before update on notifications.templates
  for each row when (old.number is not null) execute function notifications.keep_published();

create table notifications.messages (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  recipient_id uuid not null,
  topic text not null check (length(topic) between 1 and 64),
  channel text not null check (channel in ('email', 'sms', 'push', 'webhook', 'in_app')),
  cause text not null check (length(cause) between 1 and 300),
  state text not null check (state in ('waiting', 'sending', 'sent', 'failed', 'suppressed')),
  urgent boolean not null,
  data jsonb,
  template_id uuid,
  template_number integer not null check (template_number >= 1),
  language text not null check (length(language) between 2 and 35),
  subject text,
  text text,
  html text,
  due_at timestamptz not null,
  digest boolean not null default false,
  digest_id uuid,
  attempts integer not null default 0,
  claim uuid,
  lease_until timestamptz,
  delivered_by text check (length(delivered_by) <= 64),
  address text check (length(address) <= 4096),
  provider_id text check (length(provider_id) <= 255),
  sent_at timestamptz,
  read_at timestamptz,
  created_at timestamptz not null,
  created_by text not null check (length(created_by) <= 300),
  settled_at timestamptz,
  forgotten_at timestamptz,
  primary key (tenant_id, environment, id),
  -- What is told twice, as an event that comes again, makes no second message.
  constraint messages_once unique (tenant_id, environment, recipient_id, channel, topic, cause),
  check ((state = 'sending') = (claim is not null)),
  check ((claim is null) = (lease_until is null))
);
comment on column notifications.messages.due_at is 'By the clock of the tenant; lease_until is by that of the server';
comment on column notifications.messages.template_id is 'Null: made by the template of the platform';
comment on column notifications.messages.digest is 'Whether it is told within a digest, which digest_id then is';
create index messages_due on notifications.messages (due_at) where state = 'waiting' and digest_id is null;
create index messages_leased on notifications.messages (lease_until) where state = 'sending';
create index messages_gathered on notifications.messages (digest_id) where digest_id is not null;
create index messages_by_recipient on notifications.messages (recipient_id, channel, id desc);
create index messages_by_cause on notifications.messages (cause);
create index messages_settled on notifications.messages (settled_at) where forgotten_at is null;

-- The end of the quiet hours that a time falls within; null where it falls within none. In the hour that a clock shows
-- twice, an end that has passed is none. A time that a clock leaves out is as much later.
create function notifications.quiet_until(p_at timestamptz, p_zone text, p_from time, p_to time) returns timestamptz
  language sql stable parallel safe set search_path = pg_catalog, pg_temp
  begin atomic
    select case when q.until > p_at then q.until end
    from (select p_at at time zone p_zone as local) l
    cross join lateral (select (case
      when p_from < p_to and l.local::time >= p_from and l.local::time < p_to then l.local::date + p_to
      when p_from > p_to and l.local::time >= p_from then l.local::date + 1 + p_to
      when p_from > p_to and l.local::time < p_to then l.local::date + p_to
    end) at time zone p_zone as until) q;
  end;

-- The next time at which the clocks of a zone show this.
create function notifications.next_time(p_at timestamptz, p_zone text, p_time time) returns timestamptz
  language sql stable parallel safe set search_path = pg_catalog, pg_temp
  begin atomic
    select min(n.at) from generate_series(0, 2) d (days)
    cross join lateral (select ((p_at at time zone p_zone)::date + d.days + p_time) at time zone p_zone as at) n
    where n.at > p_at;
  end;

-- Why a message was or was not sent: each step with its reason, none ever changed.
create table notifications.message_steps (
  tenant_id uuid not null,
  environment platform.environment not null,
  message_id uuid not null,
  number bigint generated always as identity,
  at timestamptz not null,
  state text not null,
  reason text not null check (reason ~ '^[a-z][a-z_]{0,63}$'),
  detail text not null check (length(detail) between 1 and 1000),
  primary key (tenant_id, environment, message_id, number)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['recipients', 'webhook_secrets', 'templates', 'messages', 'message_steps'] loop
    execute format('alter table notifications.%I enable row level security', v_table);
    execute format('alter table notifications.%I force row level security', v_table);
    execute format(
      'create policy own_data on notifications.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    perform platform.make_erasable(('notifications.' || v_table)::regclass);
    execute format('grant select, insert on notifications.%I to notifications', v_table);
  end loop;
end $$;
grant update on notifications.recipients, notifications.webhook_secrets, notifications.templates,
  notifications.messages to notifications;

-- Functions of the owner name the tenant themselves.
create policy looking on notifications.messages for select to financialapi_owner using (true);

-- Tenants and environments that have something to send or to gather: due by their clock, or left by a process that ended.
create function notifications.scopes_with_due(p_limit integer)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select distinct due.tenant_id, due.environment
    from (
      select m.tenant_id, m.environment from notifications.messages m
      where m.state = 'waiting' and m.digest_id is null and m.due_at <= statement_timestamp()
      order by m.due_at limit p_limit
    ) due
    union
    select distinct l.tenant_id, l.environment
    from (
      select m.tenant_id, m.environment from notifications.messages m
      where m.state = 'sending' and m.lease_until <= statement_timestamp()
      order by m.lease_until limit p_limit
    ) l
    union
    select c.tenant_id, c.environment from platform.clocks c
    where c.offset_s > 0 and exists (
      select from notifications.messages m
      where m.tenant_id = c.tenant_id and m.environment = 'sandbox' and m.state = 'waiting' and m.digest_id is null
        and m.due_at <= statement_timestamp() + make_interval(secs => c.offset_s)
    );
  end;

-- How many messages are due and how long the oldest has been, of all tenants, by the clock of the server.
create function notifications.due_standing(out messages bigint, out oldest_s double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select count(*), coalesce(greatest(extract(epoch from statement_timestamp() - min(d.due_at)), 0), 0)::double precision
    from (
      select m.due_at from notifications.messages m
      where m.state = 'waiting' and m.digest_id is null and m.due_at <= statement_timestamp()
      order by m.due_at limit 10000
    ) d;
  end;
revoke execute on function notifications.scopes_with_due, notifications.due_standing from public;
grant execute on function notifications.scopes_with_due, notifications.due_standing to notifications;

grant execute on function platform.receive_events(text, uuid[], text[]), platform.hold_event, platform.take_held_event
  to notifications;
reset role;
