set local role financialapi_owner;

-- What callers did in a sandbox goes with it. What they are and may do, and what was recorded of them, stays.
do $$
begin
  perform platform.make_erasable('platform.outbox');
  perform platform.make_erasable('platform.outbox_heads');
  perform platform.make_erasable('platform.request_counts');
  perform platform.make_erasable('platform.limits_told');
  perform platform.make_erasable('platform.proposals');
end $$;
reset role;
