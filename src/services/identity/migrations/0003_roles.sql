set local role financialapi_owner;

-- Of an environment and not of the whole tenant: who may do everything in the sandbox could otherwise put into a role
-- what somebody then may do with real money.
create table identity.roles (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  name text not null check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  description text not null check (length(description) between 1 and 500),
  permissions text[] not null check (cardinality(permissions) between 1 and 200),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  unique (tenant_id, environment, name)
);
comment on table identity.roles is 'Roles that a tenant made itself; those of every tenant are in the code';
comment on column identity.roles.permissions is 'Patterns of permissions';

create table identity.grants (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  person_id uuid not null,
  role text not null check (length(role) between 1 and 63),
  role_id uuid,
  labels jsonb check (jsonb_typeof(labels) = 'object' and labels <> '{}'),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  primary key (tenant_id, environment, id),
  -- A role that somebody has cannot be deleted.
  constraint grants_of_role foreign key (tenant_id, environment, role_id) references identity.roles,
  constraint grants_once unique nulls not distinct (tenant_id, environment, person_id, role, labels)
);
comment on column identity.grants.role_id is 'Where the tenant made the role itself';
comment on column identity.grants.labels is 'What an account or customer must carry for the grant to reach it; null: it reaches everything';
create index grants_of_role on identity.grants (tenant_id, environment, role, id desc);

alter table identity.roles enable row level security;
alter table identity.roles force row level security;
create policy own_data on identity.roles
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
alter table identity.grants enable row level security;
alter table identity.grants force row level security;
create policy own_data on identity.grants
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));

grant select, insert, delete, update (description, permissions, updated_at, version) on identity.roles to identity;
-- To lock rows takes the right to update one column.
grant select, insert, delete, update (created_at) on identity.grants to identity;

create trigger tell_access after update or delete on identity.roles
  for each statement execute function platform.tell_access();
create trigger tell_access after insert or delete on identity.grants
  for each statement execute function platform.tell_access();
reset role;
