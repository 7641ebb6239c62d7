-- Who operates the installation sees which tenants there are.
set local role financialapi_doorkeeper;
grant execute on function platform.list_tenants to identity;
reset role;
