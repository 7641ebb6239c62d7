do $$
begin
  if not exists (select from pg_roles where rolname = 'ledger') then
    create role ledger nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant ledger to %I', current_user);
  end if;
end $$;

create schema ledger authorization financialapi_owner;
set local role financialapi_owner;
grant usage on schema ledger to ledger;

-- Primary keys begin with tenant and environment. Other indexes begin with what they are for: where all of them began
-- alike, a planner without statistics could choose any of them for any look-up (docs/performance.md).

create type ledger.side as enum ('debit', 'credit');
create type ledger.account_type as enum ('asset', 'liability', 'equity', 'income', 'expense');
create type ledger.account_status as enum ('open', 'frozen', 'closed');

-- What one column must be is said by its domain. A check constraint of the table would be parsed anew by every statement
-- and evaluated for every row that a posting updates, whichever column it is about (docs/performance.md).
create domain ledger.label as text check (length(value) between 1 and 255);
create domain ledger.currency as text check (value ~ '^[A-Z]{3}$');
create domain ledger.chart_code as text check (value ~ '^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$');
create domain ledger.labels as jsonb check (jsonb_typeof(value) = 'object');
create domain ledger.not_negative as bigint check (value >= 0);
create domain ledger.positive as bigint check (value > 0);
create domain ledger.number_from_1 as integer check (value >= 1);
create domain ledger.transfer_kind as text check (value in ('transfer', 'reversal', 'capture'));
create domain ledger.step_kind as text check (value in ('place', 'increment', 'extend', 'capture', 'release', 'expire'));

-- One row for each tenant and environment: what is counted without gaps. Whoever posts holds this row until its commit,
-- so that positions become visible in their order.
create table ledger.heads (
  tenant_id uuid not null,
  environment platform.environment not null,
  position ledger.not_negative not null default 0,
  recorded_at timestamptz not null default '-infinity',
  outbox_sequence bigint not null default 0,
  account_number bigint not null default 0,
  primary key (tenant_id, environment)
) with (fillfactor = 10);
comment on column ledger.heads.position is 'Position of the last transfer or hold step';
comment on column ledger.heads.recorded_at is 'Its time; the next is never earlier, so that time and position agree';
comment on column ledger.heads.account_number is 'Last number given to an account, shown by the v1 API only';

create table ledger.chart_of_accounts (
  tenant_id uuid not null,
  environment platform.environment not null,
  code ledger.chart_code not null,
  name ledger.label not null,
  type ledger.account_type not null,
  parent_code ledger.chart_code,
  created_at timestamptz not null default now(),
  primary key (tenant_id, environment, code),
  foreign key (tenant_id, environment, parent_code) references ledger.chart_of_accounts,
  unique (tenant_id, environment, code, type),
  -- A heading's type is that of all below it.
  foreign key (tenant_id, environment, parent_code, type)
    references ledger.chart_of_accounts (tenant_id, environment, code, type)
);

create table ledger.accounts (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  number bigint not null,
  debits_posted ledger.not_negative not null default 0,
  credits_posted ledger.not_negative not null default 0,
  debits_pending ledger.not_negative not null default 0,
  credits_pending ledger.not_negative not null default 0,
  credit_limit ledger.not_negative,
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  type ledger.account_type not null,
  normal_side ledger.side not null,
  status ledger.account_status not null default 'open',
  may_send boolean not null default true,
  may_receive boolean not null default true,
  currency ledger.currency not null,
  chart_code ledger.chart_code not null,
  name ledger.label not null,
  metadata ledger.labels not null default '{}',
  primary key (tenant_id, environment, id),
  unique (number, tenant_id, environment),
  constraint accounts_not_overdrawn check (
    credit_limit is null
    or case normal_side
      when 'credit' then credits_posted - debits_posted - debits_pending
      else debits_posted - credits_posted - credits_pending
    end >= -credit_limit
  ),
  constraint accounts_closed_is_empty check (
    status <> 'closed' or (debits_posted = credits_posted and debits_pending = 0 and credits_pending = 0)
  )
) with (fillfactor = 60);
comment on column ledger.accounts.credit_limit is
  'How far below zero the balance on the normal side may go, what is held included: 0 not at all, null without limit';
comment on column ledger.accounts.may_send is 'Whether the balance on the normal side may be decreased';
comment on column ledger.accounts.may_receive is 'Whether the balance on the normal side may be increased';
comment on column ledger.accounts.version is 'Counts edits, not postings; the ETag';

-- An account is of the type of its code in the chart, and neither can change any more. Not a foreign key, whose columns
-- are compared for every row that is updated, and not a generated column, whose expression is parsed for each: both
-- together took a tenth of a posting (docs/performance.md).
create function ledger.check_chart_code() returns trigger language plpgsql as $$
begin
  perform from ledger.chart_of_accounts c
    where c.tenant_id = new.tenant_id and c.environment = new.environment and c.code = new.chart_code and c.type = new.type;
  if not found then
    raise exception 'the chart of accounts has no code % of type %', new.chart_code, new.type
      using errcode = 'foreign_key_violation';
  end if;
  new.normal_side := case when new.type in ('asset', 'expense') then 'debit' else 'credit' end;
  return new;
end $$;
create trigger accounts_chart_code before insert on ledger.accounts
  for each row execute function ledger.check_chart_code();

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of % is refused: the table is append-only', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger accounts_chart_code_is_kept before update of tenant_id, environment, chart_code, type, normal_side
  on ledger.accounts for each statement execute function ledger.refuse_change();
create trigger chart_is_kept before delete or truncate or update of tenant_id, environment, code, type
  on ledger.chart_of_accounts for each statement execute function ledger.refuse_change();

create index accounts_by_chart on ledger.accounts (chart_code, tenant_id, environment, id);

create table ledger.transfers (
  tenant_id uuid not null,
  environment platform.environment not null,
  position ledger.positive not null,
  id uuid not null,
  created_at timestamptz not null,
  effective_date date not null,
  kind ledger.transfer_kind not null,
  description text,
  metadata jsonb,
  reverses_id uuid,
  hold_id uuid,
  link_id uuid,
  exchange jsonb,
  primary key (tenant_id, environment, position),
  unique (id, tenant_id, environment),
  check ((kind = 'reversal') = (reverses_id is not null) and (kind = 'capture') = (hold_id is not null))
);
comment on column ledger.transfers.link_id is 'Shared by transfers that were posted all or none';
create index transfers_reversing on ledger.transfers (reverses_id, tenant_id, environment)
  where reverses_id is not null;
create index transfers_linked on ledger.transfers (link_id, tenant_id, environment) where link_id is not null;
create index transfers_capturing on ledger.transfers (hold_id, tenant_id, environment) where hold_id is not null;

create table ledger.entries (
  tenant_id uuid not null,
  environment platform.environment not null,
  leg smallint not null,
  reverses_leg smallint,
  position bigint not null,
  account_id uuid not null,
  amount ledger.positive not null,
  balance bigint not null,
  effective_date date not null,
  side ledger.side not null,
  backdated boolean,
  currency text not null,
  primary key (tenant_id, environment, position, leg)
);
comment on column ledger.entries.balance is 'The account''s posted balance on its normal side, after this entry';
comment on column ledger.entries.reverses_leg is 'Leg of the reversed transfer that this entry takes back';
comment on column ledger.entries.backdated is
  'True where the effective date is another day than the recorded one (UTC), else null';
-- An account without such entries has one order for both, and its days are ranges of positions.
create index entries_backdated on ledger.entries (account_id, tenant_id, environment) where backdated;
create index entries_of_account on ledger.entries (account_id, tenant_id, environment, position, leg);

create table ledger.holds (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  debit_account_id uuid not null,
  credit_account_id uuid not null,
  amount ledger.positive not null,
  captured ledger.not_negative not null default 0,
  released ledger.not_negative not null default 0,
  steps integer not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  expired boolean not null default false,
  currency text not null,
  description text,
  metadata jsonb,
  primary key (tenant_id, environment, id),
  check (captured + released <= amount)
) with (fillfactor = 80);
comment on column ledger.holds.amount is 'Placed and incremented, in minor units; what remains held is amount - captured - released';
create index holds_expiring on ledger.holds (expires_at, tenant_id, environment)
  where expires_at is not null and captured + released < amount;
create index holds_of_debit_account on ledger.holds (debit_account_id, tenant_id, environment, id);
create index holds_of_credit_account on ledger.holds (credit_account_id, tenant_id, environment, id);

create table ledger.hold_steps (
  tenant_id uuid not null,
  environment platform.environment not null,
  position ledger.positive not null,
  id uuid not null,
  hold_id uuid not null,
  step ledger.number_from_1 not null,
  kind ledger.step_kind not null,
  pending_change bigint not null,
  created_at timestamptz not null,
  amount_after bigint not null,
  captured_after bigint not null,
  released_after bigint not null,
  expires_at timestamptz,
  primary key (tenant_id, environment, position),
  unique (hold_id, tenant_id, environment, step)
);
comment on column ledger.hold_steps.pending_change is 'What the step adds to the amount held, in minor units';

create table ledger.attempts (
  tenant_id uuid not null,
  environment platform.environment not null,
  key ledger.label collate "C" not null,
  first_item smallint not null,
  created_at timestamptz not null,
  operation text not null,
  request text not null,
  positions bigint[] not null,
  result_ids uuid[] not null,
  refusals jsonb[],
  primary key (tenant_id, environment, key),
  -- Each item has a result or a refusal; that it is not both of one and neither of another, the integrity check tells.
  constraint attempts_have_outcomes check (
    cardinality(result_ids) > 0 and cardinality(positions) = cardinality(result_ids)
    and case when refusals is null then array_position(result_ids, null) is null
      else cardinality(refusals) = cardinality(result_ids)
        and cardinality(array_remove(result_ids, null)) + cardinality(array_remove(refusals, null)) = cardinality(result_ids)
    end
  )
);
comment on table ledger.attempts is 'What became of every request that creates or moves, refusals too, under its idempotency key';
comment on column ledger.attempts.first_item is '0 for a single request; 1 for a batch, whose items are the members of the arrays';
comment on column ledger.attempts.refusals is 'Null where nothing was refused; else null for each item that was done';
-- Those of a batch are large. To compress them would cost more than it saves.
alter table ledger.attempts alter column request set storage external, alter column positions set storage external,
  alter column result_ids set storage external;

create view ledger.attempt_outcomes with (security_invoker = true) as
  select a.tenant_id, a.environment, a.key, (a.first_item + o.place - 1)::integer as item, a.created_at, a.operation,
         o.position, o.result_id, o.refusal
  from ledger.attempts a
  cross join lateral unnest(a.positions, a.result_ids, a.refusals) with ordinality o (position, result_id, refusal, place);
comment on view ledger.attempt_outcomes is 'The attempts, a row for each item';
grant select on ledger.attempt_outcomes to ledger;

create table ledger.outbox (
  tenant_id uuid not null,
  environment platform.environment not null,
  sequence bigint not null,
  id uuid not null,
  time timestamptz not null,
  position bigint,
  type text not null,
  source text not null,
  aggregatetype text not null,
  aggregateid text not null,
  payload text not null,
  traceparent text,
  specversion text not null default '1.0',
  datacontenttype text not null default 'application/json',
  primary key (tenant_id, environment, sequence)
);
comment on table ledger.outbox is 'CloudEvents 1.0, committed with the change they tell of; carried in order of sequence';
comment on column ledger.outbox.payload is 'JSON, as it is carried: not parsed again for every event that is written';
comment on column ledger.outbox.aggregateid is 'UUID of what it is about; with id, aggregatetype, type and payload the names that outbox routers know';

create table ledger.seals (
  tenant_id uuid not null,
  environment platform.environment not null,
  first_position bigint not null,
  last_position bigint not null,
  digests bytea not null,
  hash bytea not null check (length(hash) = 32),
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (tenant_id, environment, last_position),
  unique (tenant_id, environment, first_position),
  check (first_position <= last_position)
);
comment on table ledger.seals is 'The hash chain over what was posted, a block a row, written after the commits it covers';

do $$
declare
  v_table text;
begin
  foreach v_table in array array['heads', 'chart_of_accounts', 'accounts', 'transfers', 'entries', 'holds',
                                 'hold_steps', 'attempts', 'outbox', 'seals'] loop
    execute format('alter table ledger.%I enable row level security', v_table);
    execute format('alter table ledger.%I force row level security', v_table);
    execute format(
      'create policy own_data on ledger.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    -- The owner has no login and acts only through the functions below, which name tenant and environment in every
    -- statement themselves: the policy's conditions, added to those, would mislead the planner (docs/performance.md).
    execute format('create policy posting on ledger.%I to financialapi_owner using (true)', v_table);
    execute format('grant select on ledger.%I to ledger', v_table);
  end loop;
end $$;

-- What the service's own role may write: never a counter, a position or a posting. Those go through ledger.post.
grant insert (tenant_id, environment) on ledger.heads to ledger;
grant update (outbox_sequence, account_number) on ledger.heads to ledger;
grant insert on ledger.chart_of_accounts, ledger.attempts, ledger.outbox to ledger;
grant update (name) on ledger.chart_of_accounts to ledger;
grant insert (tenant_id, environment, id, number, credit_limit, type, may_send, may_receive, currency, chart_code,
  name, metadata) on ledger.accounts to ledger;
grant update (credit_limit, version, updated_at, status, may_send, may_receive, name, metadata)
  on ledger.accounts to ledger;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['transfers', 'entries', 'hold_steps', 'attempts', 'seals'] loop
    execute format('create trigger append_only before update or delete or truncate on ledger.%I '
                   'for each statement execute function ledger.refuse_change()', v_table);
  end loop;
end $$;

-- Holds for whoever inserts entries: each statement's entries are balanced, transfer by transfer and currency by
-- currency, and each account already stands at the balance that its last entry says.
create function ledger.check_entries() returns trigger language plpgsql as $$
declare
  v_bad record;
begin
  -- One statement for both: to start a second one would cost a small batch more than to run it.
  select * into v_bad from (
    select position, null::uuid as account_id, currency,
           sum(case side when 'debit' then amount else -amount end) as difference
      from inserted group by tenant_id, environment, position, currency
      having sum(case side when 'debit' then amount else -amount end) <> 0
    union all
    select e.position, e.account_id, e.currency, null
      from (select distinct on (account_id, tenant_id, environment) account_id, tenant_id, environment, position, balance, currency
            from inserted order by account_id, tenant_id, environment, position desc, leg desc) e
      left join lateral (
        select * from ledger.accounts a
          where a.tenant_id = e.tenant_id and a.environment = e.environment and a.id = e.account_id offset 0
      ) a on true
      where a.id is null or a.currency <> e.currency
        or e.balance <> case a.normal_side when 'credit' then a.credits_posted - a.debits_posted
                                           else a.debits_posted - a.credits_posted end
  ) bad limit 1;
  if found and v_bad.account_id is null then
    raise exception 'the entries at position % are not balanced: debits less credits are % minor units of %',
      v_bad.position, v_bad.difference, v_bad.currency using errcode = 'check_violation';
  elsif found then
    raise exception 'account % does not stand at the balance of its entry at position %', v_bad.account_id, v_bad.position
      using errcode = 'check_violation';
  end if;
  return null;
end $$;

create trigger entries_are_balanced after insert on ledger.entries
  referencing new table as inserted for each statement execute function ledger.check_entries();

reset role;
