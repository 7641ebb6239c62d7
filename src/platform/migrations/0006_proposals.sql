set local role financialapi_owner;

-- Which permitted actions need a second person. Read into the memory of every process, so that a request asks no
-- database whether it is subject to one.
create table platform.approval_policies (
  tenant_id uuid not null references platform.tenants,
  environment platform.environment not null,
  action text not null check (length(action) between 3 and 128),
  above jsonb check (jsonb_typeof(above) = 'array'),
  expires_in_s integer not null check (expires_in_s between 60 and 7776000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  updated_by text not null check (length(updated_by) between 1 and 300),
  version integer not null default 1,
  primary key (tenant_id, environment, action)
);
comment on column platform.approval_policies.action is 'Name of a permission';
comment on column platform.approval_policies.above is 'An amount for each currency; null: whatever the amount';

alter table platform.approval_policies enable row level security;
alter table platform.approval_policies force row level security;
create policy own_data on platform.approval_policies
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert, update, delete on platform.approval_policies to platform;
create trigger tell_access after insert or update or delete on platform.approval_policies
  for each statement execute function platform.tell_access();

-- A request that waits for a second person, and what came of it. What was asked never changes: the service's role may
-- only say how it stands.
--
--   reserving → pending → approved → executed | failed
--   reserving → refused                        the ledger did not reserve: there never was a proposal
--               pending → rejected | cancelled | expired
create table platform.proposals (
  tenant_id uuid not null references platform.tenants,
  environment platform.environment not null,
  id uuid not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null check (expires_at > created_at),
  status text not null default 'reserving' check (status in (
    'reserving', 'refused', 'pending', 'approved', 'executed', 'failed', 'rejected', 'cancelled', 'expired')),
  action text not null,
  policy text not null,
  summary text not null,
  route text not null,
  method text not null,
  url text not null,
  body text,
  if_match text,
  key text not null check (length(key) between 1 and 255),
  keyed boolean not null,
  proposed_by jsonb not null check (jsonb_typeof(proposed_by) = 'object'),
  on_behalf_of jsonb check (jsonb_typeof(on_behalf_of) = 'object'),
  behind text[] not null check (cardinality(behind) >= 1),
  amounts jsonb not null check (jsonb_typeof(amounts) = 'array'),
  reserved uuid[] not null default '{}',
  decided_by jsonb check (jsonb_typeof(decided_by) = 'object'),
  decided_at timestamptz,
  reason text check (length(reason) <= 1000),
  result jsonb check (jsonb_typeof(result) = 'object'),
  due_at timestamptz,
  primary key (tenant_id, environment, id),
  check (status not in ('approved', 'executed', 'rejected') or decided_by is not null)
);
comment on column platform.proposals.action is 'Permission of the route that was asked';
comment on column platform.proposals.policy is 'Action of the policy that made a proposal of it';
comment on column platform.proposals.body is 'Canonical JSON (RFC 8785); what is carried out is this text';
comment on column platform.proposals.key is 'Idempotency-Key, or a digest of a request that needs none';
comment on column platform.proposals.behind is 'Public ids of the principals and people behind whoever proposed';
comment on column platform.proposals.reserved is 'Holds that stand while it waits';
comment on column platform.proposals.due_at is 'When the worker has something to do about it; null: never again';

create unique index proposals_of_key on platform.proposals (tenant_id, environment, key)
  where keyed and status <> 'refused';
create unique index proposals_alike on platform.proposals (tenant_id, environment, key)
  where not keyed and status in ('reserving', 'pending', 'approved');
create index proposals_due on platform.proposals (due_at) where due_at is not null;
create index proposals_by_status on platform.proposals (tenant_id, environment, status, id);

alter table platform.proposals enable row level security;
alter table platform.proposals force row level security;
create policy own_data on platform.proposals
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert on platform.proposals to platform;
grant update (status, reserved, decided_by, decided_at, reason, result, due_at) on platform.proposals to platform;

-- What every process keeps in memory, and what the worker goes round. Both look past row-level security and tell no
-- more than which tenant has what.
grant create on schema platform to financialapi_doorkeeper;
grant select on platform.approval_policies, platform.proposals to financialapi_doorkeeper;
create policy all_policies on platform.approval_policies for select to financialapi_doorkeeper using (true);
create policy all_due on platform.proposals for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;

create function platform.list_approval_policies()
  returns table (
    tenant_id uuid, environment platform.environment, action text, above jsonb, expires_in_s integer
  )
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select p.tenant_id, p.environment, p.action, p.above, p.expires_in_s from platform.approval_policies p;
  end;

create function platform.due_proposals(p_routes text[], p_limit integer)
  returns table (tenant_id uuid, environment platform.environment, id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select p.tenant_id, p.environment, p.id from platform.proposals p
    where p.due_at <= statement_timestamp() and p.route = any (p_routes)
    order by p.due_at limit p_limit;
  end;

revoke execute on function platform.list_approval_policies, platform.due_proposals from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.list_approval_policies, platform.due_proposals to platform;
reset role;
