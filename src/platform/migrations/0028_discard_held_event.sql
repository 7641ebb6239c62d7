set local role financialapi_owner;

-- Gives up an event that failed, so that those behind it go on: it counts as received, and one that is delivered again does
-- nothing. Says whether it was held and had failed; one that waits behind another has not been tried. Where a process is at
-- it, what that comes to is waited for.
create function platform.discard_held_event(p_consumer text, p_event_id uuid) returns boolean
  language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_tenant_id constant uuid := platform.tenant_id();
  v_environment constant platform.environment := platform.environment();
begin
  delete from platform.held_events h
    where h.tenant_id = v_tenant_id and h.environment = v_environment
      and h.consumer = p_consumer and h.event_id = p_event_id and h.state <> 'waiting';
  if not found then
    return false;
  end if;
  -- A replayed one was received before.
  insert into platform.inbox (tenant_id, environment, consumer, event_id)
    values (v_tenant_id, v_environment, p_consumer, p_event_id) on conflict do nothing;
  return true;
end $$;
revoke execute on function platform.discard_held_event(text, uuid) from public;
grant execute on function platform.discard_held_event(text, uuid) to platform;
reset role;
