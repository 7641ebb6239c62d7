-- A community says when its developers need a second factor: before live access, or before anything else.
set local role financialapi_owner;

alter table identity.communities add column second_factor text not null default 'before_live'
  check (second_factor in ('before_live', 'at_sign_up'));

-- Whether the community of an organisation asks for it at sign-up stands in the tenant that hosts it, which the organisation
-- does not see.
grant usage, create on schema identity to financialapi_doorkeeper;
grant select on identity.memberships, identity.organisations to financialapi_doorkeeper;
create policy find on identity.memberships for select to financialapi_doorkeeper using (true);
create policy find on identity.organisations for select to financialapi_doorkeeper using (true);
reset role;
set local role financialapi_doorkeeper;
create function identity.asks_second_factor(p_tenant_id uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select exists (
      select from identity.memberships m
      join identity.organisations o
        on (o.tenant_id, o.environment, o.id) = (m.host_tenant_id, m.host_environment, m.tenant_id)
      join identity.communities c
        on (c.tenant_id, c.environment, c.id) = (o.tenant_id, o.environment, o.community_id)
      where m.tenant_id = p_tenant_id and c.second_factor = 'at_sign_up');
  end;
revoke execute on function identity.asks_second_factor from public;
reset role;
set local role financialapi_owner;
revoke create on schema identity from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function identity.asks_second_factor to identity;
reset role;
