set local role financialapi_owner;

-- The processes of the installation, so that they find each other: each announces itself, says that it is there every few
-- seconds, and that it is about to stop. Of no tenant. Unlogged: after a crash of the server each announces itself again.
create unlogged table platform.instances (
  id uuid primary key,
  url text not null check (url ~ '^https?://' and length(url) <= 500),
  services text[] not null,
  version text not null,
  started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  draining boolean not null default false
);
comment on column platform.instances.url is 'Where the other processes reach it';
comment on column platform.instances.services is 'The services that it runs';
comment on column platform.instances.draining is 'It is about to stop: nothing new is asked of it';
grant select, insert, update, delete on platform.instances to platform;
reset role;
