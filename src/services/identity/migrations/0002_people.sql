set local role financialapi_owner;

-- People belong to the whole tenant; what they may do is granted in each of its environments.
create table identity.people (
  tenant_id uuid not null,
  id uuid not null,
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 255),
  status text not null default 'active' check (status in ('active', 'suspended', 'removed')),
  password_hash text check (length(password_hash) between 1 and 500),
  password_changed_at timestamptz,
  plan text not null default 'standard' check (length(plan) between 1 and 64),
  last_signed_in_at timestamptz,
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, id)
);
comment on column identity.people.password_hash is 'argon2id in PHC form; null for who signs in elsewhere';
-- The address of someone who was removed may be invited again.
create unique index people_email on identity.people (tenant_id, email) where status <> 'removed';
create index people_of_email on identity.people (email) where status <> 'removed';

create table identity.invitations (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  -- SHA-256 of a token with 256 bits of entropy, as of every token here.
  token_hash bytea not null unique check (length(token_hash) = 32),
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text check (length(name) between 1 and 255),
  roles text[] not null check (cardinality(roles) <= 50),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  accepted_by uuid,
  revoked_at timestamptz,
  primary key (tenant_id, environment, id),
  check (accepted_at is null or revoked_at is null)
);

create table identity.sessions (
  tenant_id uuid not null,
  id uuid not null,
  token_hash bytea not null unique check (length(token_hash) = 32),
  person_id uuid not null,
  environment platform.environment not null default 'sandbox',
  methods text[] not null,
  address text not null check (length(address) <= 64),
  user_agent text not null check (length(user_agent) <= 300),
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null,
  ended_at timestamptz,
  ended_by text check (length(ended_by) <= 300),
  primary key (tenant_id, id),
  foreign key (tenant_id, person_id) references identity.people
);
comment on column identity.sessions.last_seen_at is 'To within a minute';
create index sessions_of_person on identity.sessions (tenant_id, person_id, id desc);

-- A password was right and a second factor is awaited.
create table identity.pending_sign_ins (
  tenant_id uuid not null,
  token_hash bytea not null check (length(token_hash) = 32),
  person_id uuid not null,
  tries integer not null default 0,
  expires_at timestamptz not null,
  primary key (tenant_id, token_hash),
  foreign key (tenant_id, person_id) references identity.people
);

-- An administrator lets somebody choose a new password who forgot theirs.
create table identity.password_resets (
  tenant_id uuid not null,
  token_hash bytea not null check (length(token_hash) = 32),
  person_id uuid not null,
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  expires_at timestamptz not null,
  primary key (tenant_id, token_hash),
  foreign key (tenant_id, person_id) references identity.people
);

create table identity.totp (
  tenant_id uuid not null,
  person_id uuid not null,
  secret text not null,
  created_at timestamptz not null default now(),
  confirmed_at timestamptz,
  last_step bigint not null default 0,
  primary key (tenant_id, person_id),
  foreign key (tenant_id, person_id) references identity.people
);
comment on column identity.totp.secret is 'Encrypted by the application';
comment on column identity.totp.last_step is 'Time step of the last code that was taken; no code of it or before is taken again';

create table identity.recovery_codes (
  tenant_id uuid not null,
  person_id uuid not null,
  hash bytea not null check (length(hash) = 32),
  used_at timestamptz,
  primary key (tenant_id, person_id, hash),
  foreign key (tenant_id, person_id) references identity.people
);

create table identity.passkeys (
  tenant_id uuid not null,
  id uuid not null,
  person_id uuid not null,
  credential_id text not null check (length(credential_id) between 1 and 1400),
  public_key bytea not null check (length(public_key) <= 4000),
  counter bigint not null,
  transports text[] not null,
  label text not null check (length(label) between 1 and 255),
  is_backed_up boolean not null,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, credential_id),
  foreign key (tenant_id, person_id) references identity.people
);

create table identity.identity_providers (
  tenant_id uuid primary key,
  issuer text not null check (length(issuer) between 1 and 1000),
  client_id text not null check (length(client_id) between 1 and 255),
  client_secret text not null,
  email_domains text[] not null check (cardinality(email_domains) between 1 and 100),
  updated_at timestamptz not null default now(),
  version integer not null default 1
);
comment on column identity.identity_providers.client_secret is 'Encrypted by the application';

create table identity.external_identities (
  tenant_id uuid not null,
  issuer text not null,
  subject text not null check (length(subject) between 1 and 255),
  person_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, issuer, subject),
  foreign key (tenant_id, person_id) references identity.people
);

-- A browser was sent to the tenant's own provider and is awaited back.
create table identity.external_sign_ins (
  tenant_id uuid not null,
  state_hash bytea not null check (length(state_hash) = 32),
  browser_hash bytea not null check (length(browser_hash) = 32),
  nonce text not null,
  code_verifier text not null,
  next text not null check (length(next) <= 2000),
  provider_version integer not null,
  expires_at timestamptz not null,
  primary key (tenant_id, state_hash)
);
comment on column identity.external_sign_ins.code_verifier is 'Encrypted by the application';

-- The two tables that are of no tenant: they are asked before one is known, and hold hashes, counts and times only.
create table identity.passkey_challenges (
  hash bytea primary key check (length(hash) = 32),
  purpose text not null check (length(purpose) <= 100),
  expires_at timestamptz not null
);

create table identity.sign_in_throttles (
  key bytea primary key check (length(key) = 32),
  failures integer not null,
  blocked_until timestamptz not null,
  last_failure_at timestamptz not null
);
comment on table identity.sign_in_throttles is 'How often signing in failed, by SHA-256 of an e-mail address, a network or a person';

do $$
declare
  name text;
begin
  foreach name in array array['people', 'sessions', 'pending_sign_ins', 'password_resets', 'totp', 'recovery_codes', 'passkeys',
    'identity_providers', 'external_identities', 'external_sign_ins', 'invitations']
  loop
    execute format('alter table identity.%I enable row level security', name);
    execute format('alter table identity.%I force row level security', name);
    execute format('create policy own_tenant on identity.%I using (tenant_id = (select platform.tenant_id()) %s)', name,
      case when name = 'invitations' then 'and environment = (select platform.environment())' else '' end);
  end loop;
end $$;

grant select, insert, update on identity.people, identity.invitations to identity;
grant select, insert, update, delete on identity.sessions, identity.pending_sign_ins, identity.password_resets, identity.totp,
  identity.recovery_codes, identity.passkeys, identity.identity_providers, identity.external_identities,
  identity.external_sign_ins, identity.passkey_challenges, identity.sign_in_throttles to identity;

-- Every process forgets whom it knows when one of these says so, as for keys. Not for what only says when a session
-- was seen last.
create trigger tell_access after update of status, name, email, plan on identity.people
  for each statement execute function platform.tell_access();
create trigger tell_access after update of ended_at, environment on identity.sessions
  for each statement execute function platform.tell_access();

-- Signing in by e-mail address comes before the tenant is known. What is told of an address is where it is known,
-- nothing else; the rest is read within that tenant.
grant usage, create on schema identity to financialapi_doorkeeper;
grant select (tenant_id, email, status) on identity.people to financialapi_doorkeeper;
create policy sign_in on identity.people for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;
create function identity.tenants_of(p_email text) returns table (tenant_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select p.tenant_id from identity.people p where p.email = p_email and p.status <> 'removed' order by 1 limit 2;
  end;
revoke execute on function identity.tenants_of from public;
reset role;
set local role financialapi_owner;
revoke create on schema identity from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function identity.tenants_of to identity;
reset role;
