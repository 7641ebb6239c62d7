set local role financialapi_owner;

-- What each process says beside being there, so that whoever operates the installation sees from one place what each of
-- them cannot reach. One of an older version says nothing of it.
alter table platform.instances
  add column out_of_reach text[] not null default '{}',
  add column left_alone text[] not null default '{}';
comment on column platform.instances.out_of_reach is 'Services that it asks, and of which it finds no instance that is ready';
comment on column platform.instances.left_alone is 'Addresses of instances that it does not ask for now, because they kept failing';
reset role;
