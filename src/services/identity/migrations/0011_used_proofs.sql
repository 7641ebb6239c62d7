set local role financialapi_owner;

-- What was shown to sign one request, and is good for no other, whichever process is asked. Hashes and times only, of no
-- tenant: whose each is stands in what is hashed. Unlogged, since a row means something for a minute or two; a crash of
-- the server forgets them.
create unlogged table identity.used_proofs (
  hash bytea primary key check (length(hash) = 32),
  expires_at timestamptz not null
);
create index used_proofs_expiring on identity.used_proofs (expires_at);
grant select, insert, delete on identity.used_proofs to identity;
reset role;
