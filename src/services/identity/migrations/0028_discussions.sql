-- What is said in communities of developers: announcements of the institution, questions and answers.
set local role financialapi_owner;

create table identity.announcements (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  community_id uuid not null,
  title text not null check (length(title) between 1 and 200),
  text text not null check (length(text) between 1 and 10000),
  created_at timestamptz not null default now(),
  created_by text not null check (length(created_by) <= 300),
  withdrawn_at timestamptz,
  withdrawn_by text check (length(withdrawn_by) <= 300),
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, community_id) references identity.communities
);

create table identity.questions (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  community_id uuid not null,
  organisation_id uuid not null,
  title text not null check (length(title) between 1 and 200),
  text text not null check (length(text) between 1 and 10000),
  asked_by text not null check (length(asked_by) <= 300),
  asked_by_name text not null check (length(asked_by_name) <= 255),
  created_at timestamptz not null default now(),
  accepted_answer_id uuid,
  hidden_at timestamptz,
  hidden_by text check (length(hidden_by) <= 300),
  hidden_reason text check (length(hidden_reason) <= 1000),
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, community_id) references identity.communities,
  foreign key (tenant_id, environment, organisation_id) references identity.organisations
);
create index questions_of_community on identity.questions (community_id, id desc);

create table identity.answers (
  tenant_id uuid not null,
  environment platform.environment not null,
  id uuid not null,
  question_id uuid not null,
  organisation_id uuid,
  text text not null check (length(text) between 1 and 10000),
  answered_by text not null check (length(answered_by) <= 300),
  answered_by_name text not null check (length(answered_by_name) <= 255),
  created_at timestamptz not null default now(),
  hidden_at timestamptz,
  hidden_by text check (length(hidden_by) <= 300),
  hidden_reason text check (length(hidden_reason) <= 1000),
  primary key (tenant_id, environment, id),
  foreign key (tenant_id, environment, question_id) references identity.questions,
  foreign key (tenant_id, environment, organisation_id) references identity.organisations
);
comment on column identity.answers.organisation_id is 'Null: the institution answered';
create index answers_of_question on identity.answers (question_id, id);
alter table identity.questions add foreign key (tenant_id, environment, accepted_answer_id) references identity.answers;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['announcements', 'questions', 'answers'] loop
    execute format('alter table identity.%I enable row level security', v_table);
    execute format('alter table identity.%I force row level security', v_table);
    execute format(
      'create policy own_data on identity.%I using (tenant_id = (select platform.tenant_id()) '
      'and environment = (select platform.environment()))', v_table);
    execute format('grant select, insert, update on identity.%I to identity', v_table);
  end loop;
end $$;
reset role;
