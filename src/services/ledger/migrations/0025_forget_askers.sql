set local role financialapi_owner;

-- Who asked is noted before what is asked is posted. Where nothing came of it that is kept, the note says nothing.
create policy forgetting on ledger.askers to financialapi_owner using (true);
grant update (asked_at) on ledger.askers to ledger;
comment on column ledger.askers.asked_at is 'When that was asked last';

-- Removes notes of the transaction's tenant that are older and belong to no attempt, at most `p_limit`, and says how many.
create function ledger.forget_askers(p_before timestamptz, p_limit integer) returns bigint
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    with gone as (
      delete from ledger.askers a
        where a.ctid = any (array(
          select o.ctid from ledger.askers o
            where o.tenant_id = platform.tenant_id() and o.environment = platform.environment() and o.asked_at < p_before
              and not exists (select from ledger.attempts t
                where t.tenant_id = o.tenant_id and t.environment = o.environment and t.key = o.key)
            limit p_limit))
        returning 1
    )
    select count(*) from gone;
  end;
revoke execute on function ledger.forget_askers from public;
grant execute on function ledger.forget_askers to ledger;
reset role;
