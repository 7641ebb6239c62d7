-- A person belongs to the whole tenant, their roles to its environments: what they alone administer, and what is taken
-- from them when they are removed, is asked of both at once. Only of the tenant that the transaction is for.
set local role financialapi_owner;
grant usage, create on schema identity to financialapi_doorkeeper;
grant select (id) on identity.people to financialapi_doorkeeper;
grant select (tenant_id, environment, person_id, role, labels), delete on identity.grants to financialapi_doorkeeper;
create policy across_environments on identity.grants to financialapi_doorkeeper
  using (tenant_id = (select platform.tenant_id()));
reset role;
set local role financialapi_doorkeeper;
create function identity.administers_alone(p_person uuid, p_roles text[])
  returns table (environment text, role text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select g.environment::text, g.role from identity.grants g
    where g.tenant_id = platform.tenant_id() and g.person_id = p_person and g.labels is null and g.role = any (p_roles)
      and not exists (
        select from identity.grants o
        join identity.people p on p.tenant_id = o.tenant_id and p.id = o.person_id
        where o.tenant_id = g.tenant_id and o.environment = g.environment and o.role = g.role and o.labels is null
          and o.person_id <> g.person_id and p.status = 'active')
    order by 1, 2;
  end;
comment on function identity.administers_alone is 'Where nobody else who is active has one of these roles for everything';
create function identity.remove_grants(p_person uuid) returns void
  language sql volatile security definer set search_path = pg_catalog, pg_temp
  begin atomic
    delete from identity.grants g where g.tenant_id = platform.tenant_id() and g.person_id = p_person;
  end;
revoke execute on function identity.administers_alone, identity.remove_grants from public;
reset role;
set local role financialapi_owner;
revoke create on schema identity from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function identity.administers_alone, identity.remove_grants to identity;
reset role;
