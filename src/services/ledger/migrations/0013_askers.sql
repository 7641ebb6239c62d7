set local role financialapi_owner;

-- Who asked what under which idempotency key, of those alone who reach accounts with certain labels only: they may learn
-- what became of their own requests and of nobody else's.
create table ledger.askers (
  tenant_id uuid not null,
  environment platform.environment not null,
  key ledger.label collate "C" not null,
  asker text not null check (length(asker) between 1 and 200),
  request_hash bytea not null check (length(request_hash) = 32),
  asked_at timestamptz not null default now(),
  primary key (tenant_id, environment, key, asker, request_hash)
);
comment on column ledger.askers.asker is 'Public ids of the principal and of whom it acts for';
comment on column ledger.askers.request_hash is 'SHA-256 of operation and request: whoever asks something else under the key of another learns nothing';

alter table ledger.askers enable row level security;
alter table ledger.askers force row level security;
create policy own_data on ledger.askers
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert on ledger.askers to ledger;

do $$
begin
  perform platform.make_erasable('ledger.askers');
end $$;
reset role;
