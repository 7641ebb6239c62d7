set local role financialapi_owner;

-- What prunes the registry of processes locks its rows, which needs this right; without it each process warned, soon
-- after its start, that jobs could not be looked after.
grant update on pgboss.instance to platform;
reset role;
