set local role financialapi_owner;

-- The name under which an institution appears stands over its statements. The policy of the table shows each its own.
grant select (tenant_id, name, brand) on platform.tenants to ledger;

reset role;
