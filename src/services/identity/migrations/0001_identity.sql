-- Roles are of the whole cluster: another database of it, or a parallel migration, may have made them already.
do $$
begin
  if not exists (select from pg_roles where rolname = 'identity') then
    create role identity nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant identity to %I', current_user);
  end if;
end $$;

create schema identity authorization financialapi_owner;
set local role financialapi_owner;
grant usage on schema identity to identity;

-- Tenants and keys stand in the platform's schema, since every process needs them to know its callers. This service is
-- where they are administered.
grant select, insert, update on platform.tenants, platform.api_keys to identity;
reset role;
