set local role financialapi_owner;

insert into platform.outboxes (name) values ('ledger');
reset role;
