-- Staff invite an organisation's first developer into a community: in each rule of it but the closed one, and in the new rule
-- `invitation` nobody else comes in.
set local role financialapi_owner;

alter table identity.communities drop constraint communities_sign_up_check;
alter table identity.communities add constraint communities_sign_up_check
  check (sign_up in ('open', 'approval', 'invitation', 'closed'));

create table identity.community_invitations (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  community_id uuid not null,
  token_hash bytea not null unique check (length(token_hash) = 32),
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text check (length(name) between 1 and 255),
  organisation_name text check (length(organisation_name) between 1 and 255),
  language text not null check (length(language) between 2 and 35),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  mailed_at timestamptz,
  expires_at timestamptz not null,
  accepted_at timestamptz,
  organisation_id uuid,
  withdrawn_at timestamptz,
  withdrawn_by text check (length(withdrawn_by) <= 300),
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, community_id) references identity.communities,
  foreign key (tenant_id, environment, organisation_id) references identity.organisations
    deferrable initially deferred,
  check (accepted_at is null or withdrawn_at is null),
  check ((accepted_at is null) = (organisation_id is null)),
  check ((withdrawn_at is null) = (withdrawn_by is null))
);
comment on column identity.community_invitations.mailed_at is 'When its newest link was handed over to be mailed; null: that has yet to be done';
comment on column identity.community_invitations.organisation_id is
  'That it came to: of the same id, unless whoever was invited signed up by themselves';
create index community_invitations_of on identity.community_invitations (community_id, email);

alter table identity.community_invitations enable row level security;
alter table identity.community_invitations force row level security;
create policy own_data on identity.community_invitations using (tenant_id = (select platform.tenant_id())
  and environment = (select platform.environment()));
-- Nothing here is erasable: as its communities and organisations, it outlives the contents of a sandbox.
grant select, insert, update, delete on identity.community_invitations to identity;
reset role;
