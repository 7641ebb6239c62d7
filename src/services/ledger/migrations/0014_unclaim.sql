set local role financialapi_owner;

-- The service's role takes nothing away from the ledger by itself. A claim is taken back for what it stands for, and for
-- nothing else.
revoke delete on ledger.hold_claims from ledger;
create policy unclaiming on ledger.hold_claims to financialapi_owner using (true);
create function ledger.unclaim_holds(p_reserved_for text, p_holds uuid[]) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    delete from ledger.hold_claims c
      where c.tenant_id = platform.tenant_id() and c.environment = platform.environment()
        and c.hold_id = any (p_holds) and c.reserved_for = p_reserved_for;
  end;
revoke execute on function ledger.unclaim_holds from public;
grant execute on function ledger.unclaim_holds to ledger;
reset role;
