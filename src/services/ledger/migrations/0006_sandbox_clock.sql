set local role financialapi_owner;

-- For sandboxes whose clocks are ahead: theirs are looked up by tenant.
create index holds_expiring_in_sandbox on ledger.holds (tenant_id, expires_at)
  where environment = 'sandbox' and expires_at is not null and captured + released < amount;

-- As before, by the clock of each tenant. That of a sandbox is never behind the time, so that what is due by the time is
-- due by every clock; the few sandboxes whose clocks were moved are gone round beside that.
create or replace function ledger.scopes_with_due_holds(p_limit integer)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select distinct due.tenant_id, due.environment
    from (
      select h.tenant_id, h.environment from ledger.holds h
      where h.expires_at <= statement_timestamp() and h.captured + h.released < h.amount
      order by h.expires_at limit p_limit
    ) due
    union
    select c.tenant_id, c.environment from platform.clocks c
    where c.offset_s > 0 and exists (
      select from ledger.holds h
      where h.tenant_id = c.tenant_id and h.environment = 'sandbox'
        and h.expires_at <= statement_timestamp() + make_interval(secs => c.offset_s)
        and h.captured + h.released < h.amount
    );
  end;

reset role;
