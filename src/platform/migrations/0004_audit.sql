set local role financialapi_owner;

-- Who attempted what, and what came of it: a row for each attempt, never changed and never removed.
create table platform.audit_records (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  recorded_at timestamptz not null default clock_timestamp(),
  principal_kind text not null,
  principal_id text not null,
  principal_name text not null,
  on_behalf_of jsonb check (jsonb_typeof(on_behalf_of) = 'object'),
  address text not null,
  method text not null,
  route text,
  path text not null,
  permission text,
  outcome text not null check (outcome in ('done', 'refused', 'failed')),
  status smallint not null,
  code text,
  subject text,
  before jsonb,
  after jsonb,
  request_id text not null,
  dry_run boolean not null default false,
  replayed boolean not null default false,
  primary key (tenant_id, environment, id)
);
comment on column platform.audit_records.id is 'UUIDv7 of the process that answered: tells when it did';
comment on column platform.audit_records.recorded_at is 'When it was written, by the clock of the database; later than the answer only where the database was away';
comment on column platform.audit_records.route is 'Pattern of the path; null where no route takes it';
comment on column platform.audit_records.code is 'Code of the refusal';
comment on column platform.audit_records.subject is 'Public id of what it was done to';
comment on column platform.audit_records.replayed is 'Whether it was the repetition of a request, which did nothing';
-- The tenant does not come first in these: without statistics they would pass for as good a way to a record as its key.
create index audit_records_by_subject on platform.audit_records (subject, tenant_id, environment, id) where subject is not null;
create index audit_records_by_request on platform.audit_records (request_id, tenant_id, environment);

-- What is not sealed yet. A row is put here with its record and taken away with its seal.
create table platform.audit_waiting (
  tenant_id uuid not null,
  environment platform.environment not null,
  recorded_at timestamptz not null,
  id uuid not null,
  primary key (tenant_id, environment, recorded_at, id)
);

create table platform.audit_seals (
  tenant_id uuid not null,
  environment platform.environment not null,
  number bigint not null check (number > 0),
  ids uuid[] not null check (cardinality(ids) > 0),
  digests bytea not null,
  hash bytea not null check (length(hash) = 32),
  sealed_at timestamptz not null,
  primary key (tenant_id, environment, number)
);
comment on table platform.audit_seals is 'The hash chain over the records, a block a row, written after the commits it covers';
comment on column platform.audit_seals.digests is 'The first eight bytes of the digest of each record, which tell which one was altered';

-- How far each chain goes, so that the last seals cannot be taken away unseen.
create table platform.audit_heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  number bigint not null,
  records bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (tenant_id, environment)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['audit_records', 'audit_waiting', 'audit_seals', 'audit_heads'] loop
    execute format('alter table platform.%I enable row level security', v_table);
    execute format('alter table platform.%I force row level security', v_table);
    execute format(
      'create policy own_data on platform.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    -- The owner has no login and acts only through the functions below: one commit holds the records of many tenants.
    execute format('create policy keeping on platform.%I to financialapi_owner using (true)', v_table);
    execute format('grant select on platform.%I to platform', v_table);
  end loop;
end $$;

create function platform.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of % is refused: the table is append-only', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete or truncate on platform.audit_records
  for each statement execute function platform.refuse_change();
create trigger append_only before update or delete or truncate on platform.audit_seals
  for each statement execute function platform.refuse_change();
create trigger is_kept before delete or truncate on platform.audit_heads
  for each statement execute function platform.refuse_change();

-- Whoever writes a record, it waits for its seal from the same commit on.
create function platform.await_seal() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into platform.audit_waiting (tenant_id, environment, recorded_at, id)
    select tenant_id, environment, recorded_at, id from added;
  return null;
end $$;
create trigger await_seal after insert on platform.audit_records
  referencing new table as added for each statement execute function platform.await_seal();

-- What writes a record in the commit of what it tells of inserts it into audit_records as the owner, and the trigger does
-- the rest. It gives all columns but recorded_at, whose default is the clock sealing goes by; id is a UUIDv7, by whose time
-- records are listed.

-- Writes records, of many tenants in one commit. One that is there already was written by an attempt whose outcome was
-- lost. No role that can log in has the right to insert beside this function.
create function platform.append_audit(p_records jsonb) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    insert into platform.audit_records (tenant_id, environment, id, principal_kind, principal_id, principal_name,
      on_behalf_of, address, method, route, path, permission, outcome, status, code, subject, before, after, request_id,
      dry_run, replayed)
    select r.tenant_id, r.environment, r.id, r.principal_kind, r.principal_id, r.principal_name,
      r.on_behalf_of, r.address, r.method, r.route, r.path, r.permission, r.outcome, r.status, r.code, r.subject, r.before,
      r.after, r.request_id, r.dry_run, r.replayed
    from jsonb_to_recordset(p_records) as r (tenant_id uuid, environment platform.environment, id uuid,
      principal_kind text, principal_id text, principal_name text, on_behalf_of jsonb, address text, method text,
      route text, path text, permission text, outcome text, status smallint, code text, subject text, before jsonb,
      after jsonb, request_id text, dry_run boolean, replayed boolean)
    on conflict do nothing;
  end;

-- The digest of a record. Sealing and verifying both call it, and nothing else computes one. The text it digests is JSON
-- without settings of the session in it: times are seconds since 1970 UTC (audit.test.ts compares with a digest written
-- down). What was sealed is verified for ever, so a column that comes later must leave the text as it is wherever it is
-- null. Its names are resolved when it is created; a search_path of its own would only keep it from being inlined, which
-- makes it several times as fast.
create function platform.audit_digest(r platform.audit_records) returns bytea
  language sql stable
  return sha256(convert_to(json_build_array(r.tenant_id, r.environment, r.id, extract(epoch from r.recorded_at),
    r.principal_kind, r.principal_id, r.principal_name, r.on_behalf_of::text, r.address, r.method, r.route, r.path,
    r.permission, r.outcome, r.status, r.code, r.subject, r.before::text, r.after::text, r.request_id, r.dry_run,
    r.replayed)::text, 'UTF8'));

-- The hash of a block: of the one before it, of its number and time, and of the ids and digests of all its records, in
-- their order. The first block follows the name of the trail it belongs to, so that no chain passes for another's.
create function platform.audit_hash(p_previous bytea, p_number bigint, p_sealed_at timestamptz, p_ids uuid[], p_digests bytea)
  returns bytea
  language sql stable set search_path = pg_catalog, pg_temp
  return sha256(p_previous || int8send(p_number) || convert_to(extract(epoch from p_sealed_at)::text, 'UTF8')
    || (select string_agg(uuid_send(i.id), ''::bytea order by i.place) from unnest(p_ids) with ordinality i (id, place))
    || p_digests);

create function platform.audit_root(p_tenant_id uuid, p_environment platform.environment) returns bytea
  language sql stable set search_path = pg_catalog, pg_temp
  return sha256(convert_to('audit/' || p_tenant_id::text || '/' || p_environment::text, 'UTF8'));

-- Seals the records that wait longest, at most `p_limit`, and says how many: fewer than `p_limit` when it has caught up,
-- none also while somebody else seals this trail. It locks nothing that who writes would wait for.
create function platform.seal_audit(p_tenant_id uuid, p_environment platform.environment, p_limit integer default 1000)
  returns bigint
  language plpgsql security definer
  set search_path = platform, pg_catalog, pg_temp
  -- A thousand rows of tables that may be large and were perhaps never analyzed: read in the order of the index, each
  -- record looked up by its key, whatever the statistics say.
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_material = off
  set jit = off
as $$
declare
  v_number bigint;
  v_previous bytea;
  v_last bigint;
  v_ids uuid[];
  v_places tid[];
  v_digests bytea;
  v_short_digests bytea;
  v_sealed_at timestamptz := clock_timestamp();
  v_hash bytea;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('platform.seal_audit/' || p_tenant_id || '/' || p_environment, 0)) then
    return 0;
  end if;
  select h.number, h.hash into v_number, v_previous
    from audit_heads h where h.tenant_id = p_tenant_id and h.environment = p_environment;
  if not found then
    v_number := 0;
    v_previous := audit_root(p_tenant_id, p_environment);
  end if;
  select max(s.number) into v_last
    from audit_seals s where s.tenant_id = p_tenant_id and s.environment = p_environment and s.number > v_number;
  if v_last is not null then
    raise exception 'the audit trail of tenant %, % cannot be sealed: its head stands at seal %, and there is seal %',
      p_tenant_id, p_environment, v_number, v_last using errcode = 'data_corrupted';
  end if;

  -- What waits without its record stays, for the verification to name.
  select array_agg(d.id order by d.recorded_at, d.id), array_agg(d.place),
         string_agg(d.digest, ''::bytea order by d.recorded_at, d.id),
         string_agg(substr(d.digest, 1, 8), ''::bytea order by d.recorded_at, d.id)
    into v_ids, v_places, v_digests, v_short_digests
    from (
      select w.place, w.recorded_at, w.id, r.digest
      from (
        select ctid as place, recorded_at, id from audit_waiting
        where tenant_id = p_tenant_id and environment = p_environment
        order by tenant_id, environment, recorded_at, id
        offset 0
      ) w
      cross join lateral (
        select audit_digest(r) as digest from audit_records r
        where r.tenant_id = p_tenant_id and r.environment = p_environment and r.id = w.id offset 0
      ) r
      limit p_limit
    ) d;
  if v_ids is null then
    return 0;
  end if;
  v_hash := audit_hash(v_previous, v_number + 1, v_sealed_at, v_ids, v_digests);
  insert into audit_seals (tenant_id, environment, number, ids, digests, hash, sealed_at)
    values (p_tenant_id, p_environment, v_number + 1, v_ids, v_short_digests, v_hash, v_sealed_at);
  insert into audit_heads as h (tenant_id, environment, number, records, hash)
    values (p_tenant_id, p_environment, v_number + 1, cardinality(v_ids), v_hash)
    on conflict (tenant_id, environment) do update
      set number = excluded.number, records = h.records + excluded.records, hash = excluded.hash;
  -- By their places: nothing updates these rows, only who holds the lock taken above deletes those of this trail, and what
  -- moves rows of a table would wait for the lock on it that reading them took. The trail is not named again, lest the
  -- planner go through all that waits in it.
  delete from audit_waiting w where w.ctid = any (v_places);
  return cardinality(v_ids);
end $$;

-- Whose trails have records that are not sealed. It tells which tenants, and nothing of theirs.
create function platform.audits_to_seal()
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  set jit = off
  begin atomic
    -- From one trail to the next, however many records of each wait.
    with recursive trail as (
      (select w.tenant_id, w.environment from platform.audit_waiting w order by w.tenant_id, w.environment limit 1)
      union all
      select n.tenant_id, n.environment from trail t cross join lateral (
        select w.tenant_id, w.environment from platform.audit_waiting w
        where (w.tenant_id, w.environment) > (t.tenant_id, t.environment)
        order by w.tenant_id, w.environment limit 1
      ) n
    )
    select t.tenant_id, t.environment from trail t;
  end;

revoke execute on function platform.append_audit, platform.audit_digest, platform.audit_hash, platform.audit_root,
  platform.seal_audit, platform.audits_to_seal, platform.await_seal, platform.refuse_change from public;
grant execute on function platform.append_audit, platform.audit_digest, platform.audit_hash, platform.audit_root,
  platform.seal_audit, platform.audits_to_seal to platform;

reset role;
