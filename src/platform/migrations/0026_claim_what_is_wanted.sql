set local role financialapi_owner;

-- As before, but what the consumer has no use for is passed over here and handed to nobody: most consumers want few types,
-- and most tenants have nobody who wants to hear. `p_types` are patterns of LIKE. `p_wants` names a function of
-- (tenant_id uuid, environment platform.environment) that says whether anything of theirs is wanted now; null: all is.
--
-- What is wanted, and up to where was looked, is of one look: what is committed after it has a higher offset
-- (`platform.carry_events`), so that nothing is passed over unseen.
create function platform.claim_events(p_consumer text, p_limit integer, p_types text[], p_wants text)
  returns setof platform.events
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
  -- What is new is found along the index; a table that was never analyzed is read as a whole otherwise.
  set enable_seqscan = off
  set enable_bitmapscan = off
as $$
declare
  -- Events of one partition that are looked at.
  v_looked constant integer := 5000;
  v_wanted constant text := case when p_wants is null then 'true' else format('%s(s.tenant_id, s.environment)', p_wants::regproc) end;
  v_offset record;
  v_first bigint;
  v_last bigint;
begin
  -- How far it has come need not be on the disk: after a crash of the database it looks again.
  perform set_config('synchronous_commit', 'off', true);
  for v_offset in
    select c.partition, c.log_offset from platform.consumer_offsets c
      where c.consumer = p_consumer
        and exists (select from platform.events e where e.partition = c.partition and e.log_offset > c.log_offset)
      -- Whoever lags most first, so that none starves.
      order by c.log_offset
      for no key update skip locked
  loop
    execute format(
      'with news as materialized (
         select e.log_offset, e.tenant_id, e.environment, e.type from platform.events e
         where e.partition = $1 and e.log_offset > $2 order by e.log_offset limit $3
       ), whose as (
         select s.tenant_id, s.environment from (select distinct n.tenant_id, n.environment from news n) s where %s
       )
       select min(n.log_offset) filter (where n.type like any ($4)
           and (n.tenant_id, n.environment) in (select w.tenant_id, w.environment from whose w)),
         max(n.log_offset)
       from news n', v_wanted)
      into v_first, v_last using v_offset.partition, v_offset.log_offset, v_looked, p_types;
    if v_first is null then
      update platform.consumer_offsets c set log_offset = v_last
        where c.consumer = p_consumer and c.partition = v_offset.partition;
      continue;
    end if;
    -- Those of tenants from whom nothing is wanted are few among them, if any: the consumer makes nothing of these.
    return query select e.* from platform.events e
      where e.partition = v_offset.partition and e.log_offset between v_first and v_last and e.type like any (p_types)
      order by e.log_offset limit p_limit;
    return;
  end loop;
end $$;
revoke execute on function platform.claim_events(text, integer, text[], text) from public;
grant execute on function platform.claim_events(text, integer, text[], text) to platform;
reset role;
