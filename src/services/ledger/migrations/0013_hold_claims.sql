set local role financialapi_owner;

-- Holds whose money is kept for something that is decided elsewhere, as a capture that waits for a second person. Whoever
-- else asks for a step of such a hold is refused meanwhile.
create table ledger.hold_claims (
  tenant_id uuid not null,
  environment platform.environment not null,
  hold_id uuid not null,
  reserved_for text not null check (length(reserved_for) between 1 and 100),
  claimed_at timestamptz not null default now(),
  primary key (tenant_id, environment, hold_id)
);
comment on column ledger.hold_claims.reserved_for is 'Public id of what it waits for';

alter table ledger.hold_claims enable row level security;
alter table ledger.hold_claims force row level security;
create policy own_data on ledger.hold_claims
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert, delete on ledger.hold_claims to ledger;

do $$
begin
  perform platform.make_erasable('ledger.hold_claims');
end $$;
reset role;
