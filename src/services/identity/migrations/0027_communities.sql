-- Communities of developers: who may sign up by themselves, the organisations that did, and what they ask to do live.
set local role financialapi_owner;

create table identity.communities (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  slug text not null check (slug ~ '^[a-z][a-z0-9-]{1,62}$'),
  name text not null check (length(name) between 1 and 255),
  description text not null check (length(description) <= 2000),
  brand jsonb not null check (jsonb_typeof(brand) = 'object'),
  sign_up text not null check (sign_up in ('open', 'approval', 'closed')),
  email_domains text[] not null check (cardinality(email_domains) <= 100),
  terms_version text not null check (length(terms_version) between 1 and 64),
  terms_text text not null check (length(terms_text) between 1 and 100000),
  apis text[] not null check (cardinality(apis) <= 200),
  live_scopes text[] not null check (cardinality(live_scopes) <= 200),
  live_plan text not null check (length(live_plan) between 1 and 64),
  listed boolean not null,
  authority jsonb not null check (jsonb_typeof(authority) = 'object'),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id)
);
comment on column identity.communities.apis is 'Tags of the API that its portal shows';
comment on column identity.communities.live_scopes is 'Patterns of permissions that its applications may ask for in this environment';
comment on column identity.communities.authority is 'Who last edited it: what nobody is signed in for, as the mail of a sign-up, is done for them';
create unique index communities_slug on identity.communities (slug);

-- Somebody who wants in, and whose address is not known to be theirs yet.
create table identity.sign_ups (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  community_id uuid not null,
  token_hash bytea not null unique check (length(token_hash) = 32),
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 255),
  organisation_name text not null check (length(organisation_name) between 1 and 255),
  language text not null check (length(language) between 2 and 35),
  terms_version text not null,
  address text not null check (length(address) <= 64),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  verified_at timestamptz,
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, community_id) references identity.communities
);
create index sign_ups_expiring on identity.sign_ups (expires_at) where verified_at is null;

create table identity.organisations (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  community_id uuid not null,
  name text not null check (length(name) between 1 and 255),
  status text not null check (status in ('pending', 'active', 'rejected', 'suspended')),
  contact_email text not null check (length(contact_email) between 3 and 254),
  contact_name text not null check (length(contact_name) between 1 and 255),
  language text not null check (length(language) between 2 and 35),
  terms_version text not null,
  terms_accepted_at timestamptz not null,
  terms_accepted_by text not null check (length(terms_accepted_by) <= 300),
  terms_accepted_from text not null check (length(terms_accepted_from) <= 64),
  decided_at timestamptz,
  decided_by text check (length(decided_by) <= 300),
  reason text check (length(reason) <= 1000),
  created_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, community_id) references identity.communities
);
comment on table identity.organisations is 'Of a community, in the tenant that hosts it; the id is that of the tenant that is the organisation''s own';

-- The same seen from the organisation: where its community is.
create table identity.memberships (
  tenant_id uuid not null,
  environment platform.environment not null check (environment = 'sandbox'),
  host_tenant_id uuid not null,
  host_environment platform.environment not null,
  primary key (tenant_id, environment)
);

create table identity.live_requests (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  organisation_id uuid not null,
  name text not null check (length(name) between 1 and 255),
  purpose text not null check (length(purpose) between 1 and 2000),
  scopes text[] not null check (cardinality(scopes) between 1 and 200),
  contact_email text not null check (length(contact_email) between 3 and 254),
  webhooks text not null check (webhooks in ('used', 'not_needed')),
  status text not null default 'pending' check (status in ('pending', 'approved', 'rejected')),
  requested_by text not null check (length(requested_by) <= 300),
  created_at timestamptz not null default now(),
  decided_at timestamptz,
  decided_by text check (length(decided_by) <= 300),
  reason text check (length(reason) <= 1000),
  application_id uuid,
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, organisation_id) references identity.organisations,
  check ((status = 'approved') = (application_id is not null)),
  check ((status = 'pending') = (decided_at is null))
);
create index live_requests_of on identity.live_requests (organisation_id, id desc);

do $$
declare
  v_table text;
begin
  foreach v_table in array array['communities', 'sign_ups', 'organisations', 'memberships', 'live_requests'] loop
    execute format('alter table identity.%I enable row level security', v_table);
    execute format('alter table identity.%I force row level security', v_table);
    execute format(
      'create policy own_data on identity.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('grant select, insert on identity.%I to identity', v_table);
  end loop;
end $$;
grant update on identity.communities, identity.sign_ups, identity.organisations, identity.live_requests to identity;
grant delete on identity.sign_ups to identity;

-- Who comes to a portal does not say whose it is.
grant usage, create on schema identity to financialapi_doorkeeper;
grant select on identity.communities to financialapi_doorkeeper;
create policy find on identity.communities for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;
create function identity.find_community(p_slug text)
  returns table (tenant_id uuid, environment platform.environment, id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select c.tenant_id, c.environment, c.id from identity.communities c
    join platform.tenants t on t.tenant_id = c.tenant_id and t.status = 'active'
    where c.slug = p_slug;
  end;
-- Those that are shown to everybody.
create function identity.listed_communities()
  returns table (tenant_id uuid, environment platform.environment, id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select c.tenant_id, c.environment, c.id from identity.communities c
    join platform.tenants t on t.tenant_id = c.tenant_id and t.status = 'active'
    where c.listed order by c.name, c.id limit 200;
  end;
revoke execute on function identity.find_community, identity.listed_communities from public;
reset role;
set local role financialapi_owner;
revoke create on schema identity from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function identity.find_community, identity.listed_communities to identity;
reset role;
