set local role financialapi_owner;

-- Whose holds have run out. One look-up by index for all tenants: going round each of them would cost the same every
-- second whether or not anything is due. It tells which tenants, and nothing of theirs.
create function ledger.scopes_with_due_holds(p_limit integer)
  returns table (tenant_id uuid, environment platform.environment)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  begin atomic
    select distinct due.tenant_id, due.environment
    from (
      select h.tenant_id, h.environment from ledger.holds h
      where h.expires_at <= statement_timestamp() and h.captured + h.released < h.amount
      order by h.expires_at limit p_limit
    ) due;
  end;

revoke execute on function ledger.scopes_with_due_holds from public;
grant execute on function ledger.scopes_with_due_holds to ledger;

reset role;
