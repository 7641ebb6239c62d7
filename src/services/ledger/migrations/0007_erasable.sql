set local role financialapi_owner;

-- Limits stay, as the keys do that they are of; what was moved under them goes with the sandbox.
do $$
begin
  perform platform.make_erasable('ledger.limit_usage');
end $$;
reset role;
