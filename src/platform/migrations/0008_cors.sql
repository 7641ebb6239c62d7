set local role financialapi_owner;
alter table platform.api_keys
  add column allowed_origins text[] check (cardinality(allowed_origins) between 1 and 50);
comment on column platform.api_keys.allowed_origins is 'Origins whose pages a browser lets read what the key is answered; null for none';
create trigger tell_access_of_origins after insert or update of allowed_origins on platform.api_keys
  for each statement execute function platform.tell_access();

grant create on schema platform to financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
-- Which origins each key allows, for the process to answer preflights by: those come without a credential and learn
-- only that some key allows an origin.
create function platform.list_allowed_origins() returns table (key_id uuid, allowed_origins text[])
  language sql stable security definer set search_path = pg_catalog, pg_temp
  begin atomic
    select k.id, k.allowed_origins from platform.api_keys k
    where k.allowed_origins is not null and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
  end;
revoke execute on function platform.list_allowed_origins from public;
reset role;
set local role financialapi_owner;
revoke create on schema platform from financialapi_doorkeeper;
reset role;
set local role financialapi_doorkeeper;
grant execute on function platform.list_allowed_origins to platform;
reset role;
