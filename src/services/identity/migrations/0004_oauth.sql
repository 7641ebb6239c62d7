set local role financialapi_owner;

create table identity.applications (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  name text not null check (length(name) between 1 and 255),
  auth_method text not null check (
    auth_method in ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'self_signed_tls_client_auth', 'none')
  ),
  -- SHA-256 of a secret with 256 bits of entropy: a slow hash would protect nothing more.
  secret_hash bytea check (length(secret_hash) = 32),
  previous_secret_hash bytea check (length(previous_secret_hash) = 32),
  previous_secret_expires_at timestamptz,
  redirect_uris text[] not null check (cardinality(redirect_uris) <= 20),
  grant_types text[] not null check (cardinality(grant_types) between 1 and 3),
  scopes text[] not null check (cardinality(scopes) between 1 and 200),
  jwks jsonb,
  jwks_uri text check (length(jwks_uri) <= 2000),
  token_binding text not null check (token_binding in ('none', 'dpop', 'mtls')),
  fapi boolean not null,
  plan text not null default 'standard' check (length(plan) between 1 and 64),
  status text not null default 'active' check (status in ('active', 'disabled')),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  updated_at timestamptz not null default now(),
  version integer not null default 1,
  primary key (tenant_id, environment, id),
  check ((secret_hash is not null) = (auth_method in ('client_secret_basic', 'client_secret_post')))
);
comment on column identity.applications.scopes is 'Patterns of the permissions that it may ask for';

-- What oidc-provider keeps: codes, refresh tokens, sessions, interactions, grants. Ids are credentials, hence hashed.
create table identity.oauth_artifacts (
  tenant_id uuid not null,
  environment platform.environment not null,
  model text not null check (length(model) between 1 and 64),
  id_hash bytea not null check (length(id_hash) = 32),
  payload jsonb not null,
  grant_id text,
  uid text,
  user_code text,
  account_id text,
  client_id text,
  created_at timestamptz not null default now(),
  consumed_at timestamptz,
  expires_at timestamptz,
  primary key (tenant_id, environment, model, id_hash)
);
create index oauth_artifacts_of_grant on identity.oauth_artifacts (tenant_id, environment, grant_id)
  where grant_id is not null;
create index oauth_artifacts_of_uid on identity.oauth_artifacts (tenant_id, environment, model, uid)
  where uid is not null;
create index oauth_artifacts_of_account on identity.oauth_artifacts (tenant_id, environment, account_id)
  where model = 'Grant';
create index oauth_artifacts_expiring on identity.oauth_artifacts (tenant_id, environment, expires_at);

create table identity.oauth_signing_keys (
  tenant_id uuid not null,
  environment platform.environment not null,
  kid text not null check (length(kid) between 1 and 64),
  status text not null check (status in ('next', 'active', 'retiring')),
  public_jwk jsonb not null,
  private_jwk text not null,
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  retires_at timestamptz,
  primary key (tenant_id, environment, kid)
);
comment on column identity.oauth_signing_keys.private_jwk is 'Encrypted under a key that is not in the database';
create unique index oauth_signing_keys_one on identity.oauth_signing_keys (tenant_id, environment, status)
  where status in ('next', 'active');

-- Grants and tokens that were taken back while access tokens of theirs may still be about.
create table identity.oauth_revocations (
  tenant_id uuid not null,
  environment platform.environment not null,
  id text not null check (length(id) between 1 and 200),
  expires_at timestamptz not null,
  primary key (tenant_id, environment, id)
);

alter table identity.applications enable row level security;
alter table identity.applications force row level security;
create policy own_data on identity.applications
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
alter table identity.oauth_artifacts enable row level security;
alter table identity.oauth_artifacts force row level security;
create policy own_data on identity.oauth_artifacts
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
alter table identity.oauth_signing_keys enable row level security;
alter table identity.oauth_signing_keys force row level security;
create policy own_data on identity.oauth_signing_keys
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
alter table identity.oauth_revocations enable row level security;
alter table identity.oauth_revocations force row level security;
create policy own_data on identity.oauth_revocations
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));

grant select, insert, update on identity.applications to identity;
grant select, insert, update, delete on identity.oauth_artifacts, identity.oauth_signing_keys to identity;
grant select, insert, delete on identity.oauth_revocations to identity;

create trigger tell_access after insert or update or delete on identity.applications
  for each statement execute function platform.tell_access();
create trigger tell_access after insert or update or delete on identity.oauth_signing_keys
  for each statement execute function platform.tell_access();
create trigger tell_access after insert on identity.oauth_revocations
  for each statement execute function platform.tell_access();
reset role;
