set local role financialapi_owner;

-- The digest of all that was recorded at each of some positions: a transfer, its entries in the order of their legs, a
-- hold step and, with the step that placed a hold, what of the hold never changes. It is null where neither a transfer
-- nor a step stands, and rows come in no order.
--
-- Sealing and verifying both call it, and nothing else computes a digest. The text it digests is JSON without settings
-- of the session in it: times are seconds since 1970 UTC (seal.test.ts compares with a digest written down). What was
-- sealed is verified for ever, so a column that comes later must leave the text as it is wherever the column is null.
create function ledger.digests(p_tenant_id uuid, p_environment platform.environment, p_first bigint, p_last bigint)
  returns table ("position" bigint, digest bytea)
  language sql stable
  set search_path = ledger, pg_catalog, pg_temp
  -- A few thousand positions of tables that may be large and were perhaps never analyzed.
  set enable_seqscan = off
  set jit = off
as $$
  select position,
         case when t.record is not null or s.record is not null then
           sha256(convert_to(json_build_array(position, t.record, e.legs, s.record)::text, 'UTF8'))
         end
  from (
    select t.position, json_build_array(t.id, t.kind, extract(epoch from t.created_at), t.effective_date, t.description,
                                        t.metadata, t.reverses_id, t.hold_id, t.link_id, t.exchange) as record
    from transfers t
    where t.tenant_id = p_tenant_id and t.environment = p_environment and t.position between p_first and p_last
  ) t
  full join (
    select e.position, json_agg(json_build_array(e.leg, e.account_id, e.side, e.amount, e.currency, e.balance,
                                                 e.effective_date, e.reverses_leg) order by e.leg) as legs
    from entries e
    where e.tenant_id = p_tenant_id and e.environment = p_environment and e.position between p_first and p_last
    group by e.position
  ) e using (position)
  full join (
    select s.position, json_build_array(s.id, s.hold_id, s.step, s.kind, s.pending_change, extract(epoch from s.created_at),
                                        s.amount_after, s.captured_after, s.released_after, extract(epoch from s.expires_at),
             case s.kind when 'place' then (
               select json_build_array(h.debit_account_id, h.credit_account_id, h.currency, h.description, h.metadata,
                                       extract(epoch from h.created_at))
               from holds h where h.tenant_id = p_tenant_id and h.environment = p_environment and h.id = s.hold_id
             ) end) as record
    from hold_steps s
    where s.tenant_id = p_tenant_id and s.environment = p_environment and s.position between p_first and p_last
  ) s using (position)
$$;

-- The hash of a block: of the one before it, of its bounds and of the digests of all its positions. The first block
-- follows the name of the ledger it belongs to, so that no chain can be passed off as another tenant's.
create function ledger.seal_hash(p_previous bytea, p_first bigint, p_last bigint, p_digests bytea) returns bytea
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return sha256(p_previous || int8send(p_first) || int8send(p_last) || p_digests);

create function ledger.seal_root(p_tenant_id uuid, p_environment platform.environment) returns bytea
  language sql immutable parallel safe set search_path = pg_catalog, pg_temp
  return sha256(convert_to(p_tenant_id::text || '/' || p_environment::text, 'UTF8'));

-- Seals the next positions, at most `p_limit` of them, and says how many: fewer than `p_limit` when it has caught up,
-- none also while somebody else seals this ledger. It locks nothing that who posts would wait for.
create function ledger.seal(p_tenant_id uuid, p_environment platform.environment, p_limit integer default 1000)
  returns bigint
  language plpgsql security definer
  set search_path = ledger, pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_previous bytea;
  v_first bigint;
  v_last bigint;
  v_found bigint;
  v_digests bytea;
  v_short_digests bytea;
begin
  if p_limit < 1 then
    raise exception 'a block of % positions cannot be sealed', p_limit using errcode = 'invalid_parameter_value';
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('ledger.seal/' || p_tenant_id || '/' || p_environment, 0)) then
    return 0;
  end if;

  -- `environment` stands in the order for the planner: under row-level security it does not take `=` of an enum, which
  -- is not marked leakproof, as proof that there is one value, and would sort all seals by position to find the last
  -- (seal.test.ts counts the pages).
  select s.last_position + 1, s.hash into v_first, v_previous
    from seals s where s.tenant_id = p_tenant_id and s.environment = p_environment
    order by s.environment desc, s.last_position desc limit 1;
  if not found then
    v_first := 1;
    v_previous := seal_root(p_tenant_id, p_environment);
  end if;
  select least(h.position, v_first + p_limit - 1) into v_last
    from heads h where h.tenant_id = p_tenant_id and h.environment = p_environment;
  if v_last is null or v_last < v_first then
    return 0;
  end if;

  -- The head names a position in the commit that records it, and this statement's snapshot is younger than the one
  -- that read the head: whatever is not there now never was, or was taken away.
  select count(d.digest), string_agg(d.digest, ''::bytea order by d.position),
         string_agg(substr(d.digest, 1, 8), ''::bytea order by d.position)
    into v_found, v_digests, v_short_digests
    from digests(p_tenant_id, p_environment, v_first, v_last) d;
  if v_found <> v_last - v_first + 1 then
    raise exception 'positions % to % of tenant %, % cannot be sealed: % of them are missing (the integrity check names them)',
      v_first, v_last, p_tenant_id, p_environment, v_last - v_first + 1 - v_found using errcode = 'data_corrupted';
  end if;
  insert into seals (tenant_id, environment, first_position, last_position, digests, hash)
    values (p_tenant_id, p_environment, v_first, v_last, v_short_digests,
            seal_hash(v_previous, v_first, v_last, v_digests));
  return v_found;
end $$;

-- Whose ledgers have positions that are not sealed. It tells which tenants, and nothing of theirs.
create function ledger.scopes_to_seal()
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  set jit = off
  begin atomic
    select h.tenant_id, h.environment
    from ledger.heads h
    left join lateral (
      select s.last_position from ledger.seals s
      where s.tenant_id = h.tenant_id and s.environment = h.environment
      order by s.environment desc, s.last_position desc limit 1
    ) sealed on true
    where h.position > coalesce(sealed.last_position, 0);
  end;

-- The last position that was recorded at or before a time; 0 if there was none. Found by halving, since times never
-- decrease from one position to the next (`ledger.post` gives them so, and the integrity check verifies it). A commit
-- under way may still record a time that is only just past.
create function ledger.position_at(p_tenant_id uuid, p_environment platform.environment, p_time timestamptz)
  returns bigint
  language plpgsql stable
  set search_path = ledger, pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_low bigint := 0;
  v_high bigint;
  v_middle bigint;
  v_recorded_at timestamptz;
begin
  select h.position into v_high from heads h where h.tenant_id = p_tenant_id and h.environment = p_environment;
  -- All up to v_low was recorded in time, all after v_high too late.
  while v_low < v_high loop
    v_middle := v_low + (v_high - v_low + 1) / 2;
    v_recorded_at := coalesce(
      (select t.created_at from transfers t
        where t.tenant_id = p_tenant_id and t.environment = p_environment and t.position = v_middle),
      (select s.created_at from hold_steps s
        where s.tenant_id = p_tenant_id and s.environment = p_environment and s.position = v_middle));
    if v_recorded_at is null then
      raise exception 'position % of tenant %, % is missing (the integrity check tells more)',
        v_middle, p_tenant_id, p_environment using errcode = 'data_corrupted';
    end if;
    if v_recorded_at <= p_time then
      v_low := v_middle;
    else
      v_high := v_middle - 1;
    end if;
  end loop;
  return v_low;
end $$;

revoke execute on function ledger.digests, ledger.seal_hash, ledger.seal_root, ledger.seal, ledger.scopes_to_seal,
  ledger.position_at from public;
grant execute on function ledger.digests, ledger.seal_hash, ledger.seal_root, ledger.seal, ledger.scopes_to_seal,
  ledger.position_at to ledger;

reset role;
