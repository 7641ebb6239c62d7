set local role financialapi_owner;

-- As before, but for whoever empties sandboxes, whom policies confine to those.
create or replace function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_user = 'financialapi_eraser' then
    return null;
  end if;
  raise exception '% of % is refused: the table is append-only', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end $$;

grant usage on schema ledger to financialapi_eraser, platform;
do $$
declare
  v_table text;
begin
  foreach v_table in array array['heads', 'chart_of_accounts', 'accounts', 'transfers', 'entries', 'holds',
                                 'hold_steps', 'attempts', 'outbox', 'seals'] loop
    perform platform.make_erasable(('ledger.' || v_table)::regclass);
  end loop;
end $$;

-- Holds up who would post to, open accounts in or seal the sandbox of the transaction's tenant, until its end.
create function ledger.lock_sandbox() returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- The lock of ledger.seal, which tries it and otherwise leaves the ledger to others.
  perform pg_advisory_xact_lock(hashtextextended('ledger.seal/' || platform.tenant_id() || '/sandbox', 0));
  perform from ledger.heads h where h.tenant_id = platform.tenant_id() and h.environment = 'sandbox' for update;
end $$;
revoke execute on function ledger.lock_sandbox from public;
grant execute on function ledger.lock_sandbox to platform;

-- The base currency says what the v1 API's numbers are in, so that it cannot change under accounts.
create function ledger.keep_base_currency() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from ledger.accounts a where a.tenant_id = old.tenant_id and a.environment in ('sandbox', 'live')) then
    raise exception 'the base currency of tenant % is that of its accounts', old.tenant_id
      using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
revoke execute on function ledger.keep_base_currency from public;
create trigger base_currency_is_kept before update of base_currency on platform.tenants
  for each row when (old.base_currency is distinct from new.base_currency)
  execute function ledger.keep_base_currency();

reset role;
