-- Logos of communities of developers: stored here, since pages load pictures of their own origin only.
set local role financialapi_owner;

create table identity.community_logos (
  tenant_id uuid not null,
  environment platform.environment not null,
  community_id uuid not null,
  content_type text not null check (content_type in ('image/png', 'image/webp')),
  width integer not null check (width between 16 and 1024),
  height integer not null check (height between 16 and 1024),
  sha256 bytea not null check (sha256 = sha256(picture)),
  picture bytea not null check (octet_length(picture) between 1 and 65536),
  primary key (tenant_id, environment, community_id),
  foreign key (tenant_id, environment, community_id) references identity.communities
);
comment on table identity.community_logos is 'Apart from identity.communities, so that a list of those reads no pictures';
comment on column identity.community_logos.width is 'Of the picture, in pixels; so is the height';
comment on column identity.community_logos.picture is 'The file as it was uploaded, served to everybody';
-- Pictures are compressed already.
alter table identity.community_logos alter column picture set storage external;

alter table identity.community_logos enable row level security;
alter table identity.community_logos force row level security;
create policy own_data on identity.community_logos
  using (tenant_id = (select platform.tenant_id()) and environment = (select platform.environment()));
grant select, insert, update, delete on identity.community_logos to identity;
reset role;
