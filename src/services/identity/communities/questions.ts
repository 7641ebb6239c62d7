/** Questions of developers and what is answered, by others of their community or the institution. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';

const PlainText = Text({ min: 1, max: 10_000, description: 'Plain text' });
export const QuestionRequest = Type.Object(
  { title: Text({ min: 1, max: 200 }), text: PlainText },
  { additionalProperties: false },
);
export const AnswerRequest = Type.Object({ text: PlainText }, { additionalProperties: false });
export const AcceptRequest = Type.Object({ answer_id: Id('ans') }, { additionalProperties: false });
export const HideRequest = Type.Object(
  {
    reason: Text({ min: 1, max: 1_000, description: 'Shown in its place' }),
    answer_id: Type.Optional(Id('ans', 'The answer to hide; absent: the question with all of its answers')),
  },
  { additionalProperties: false },
);

const Answer = Type.Object({
  id: Id('ans'),
  text: Type.Optional(Type.String({ description: 'Absent where it is hidden' })),
  by: Type.String({ description: 'Name of who answered' }),
  organisation: Type.Optional(Type.String({ description: 'Absent: the institution answered' })),
  accepted: Type.Boolean(),
  created_at: Type.String(),
  hidden_reason: Type.Optional(Type.String()),
});
const Summary = {
  id: Id('que'),
  title: Type.String(),
  by: Type.String({ description: 'Name of who asked' }),
  organisation: Type.String(),
  answers: Type.Integer(),
  answered: Type.Boolean({ description: 'Whether who asked accepted an answer' }),
  own: Type.Boolean({ description: 'Whether the organisation that reads it asked' }),
  created_at: Type.String(),
  hidden_reason: Type.Optional(Type.String()),
};
export const QuestionSummary = Type.Object(Summary);
export const Question = Type.Object({
  ...Summary,
  text: Type.Optional(Type.String({ description: 'Absent where it is hidden' })),
  data: Type.Array(Answer, { description: 'Its answers, oldest first' }),
});
export type Question = Static<typeof Question>;

/** Most answers of one question. */
const MAX_ANSWERS = 200;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  title: Type.String(),
  text: Type.String(),
  asked_by_name: Type.String(),
  organisation_id: Type.String(),
  organisation: Type.String(),
  answers: Type.Integer(),
  accepted_answer_id: Nullable,
  hidden_reason: Nullable,
  created_at: Type.String(),
});
const columns = `q.id, q.title, q.text, q.asked_by_name, q.organisation_id, o.name as organisation, q.accepted_answer_id,
  q.hidden_reason, q.created_at,
  (select count(*)::int from identity.answers a where a.tenant_id = q.tenant_id and a.environment = q.environment
     and a.question_id = q.id and a.hidden_at is null) as answers`;
const from = `from identity.questions q
  join identity.organisations o on (o.tenant_id, o.environment, o.id) = (q.tenant_id, q.environment, q.organisation_id)`;

/** Where it is asked, and for whom: the organisation that reads or writes; undefined for the institution. */
export interface Place {
  scope: Scope;
  community_id: string;
  organisation_id?: string;
}

function summaryOf(row: Static<typeof Row>, { organisation_id }: Place): Static<typeof QuestionSummary> {
  const { id, title, asked_by_name: by, organisation, answers, created_at, hidden_reason } = row;
  return {
    id: formatId('que', id),
    title: hidden_reason === null || organisation_id === undefined ? title : '…',
    by,
    organisation,
    answers,
    answered: row.accepted_answer_id !== null,
    own: row.organisation_id === organisation_id,
    created_at,
    ...(hidden_reason === null ? {} : { hidden_reason }),
  };
}

const Filters = Type.Object(
  {
    q: Type.Optional(Text({ min: 1, max: 200, description: 'Part of the title or text' })),
    own: Type.Optional(Type.Boolean({ description: 'Those of the own organisation' })),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListQuestionsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Questions of a community, newest first. Those that are hidden the institution alone sees. */
export async function listQuestions(
  tx: Transaction,
  place: Place,
  { limit, cursor, ...given }: Static<typeof ListQuestionsQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { scope, community_id, organisation_id } = place;
  const { q, own } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} ${from}
     where q.tenant_id = $1 and q.environment = $2 and q.community_id = $3 and ($4::uuid is null or q.id < $4)
       and ($5::text is null or strpos(lower(q.title || ' ' || q.text), lower($5)) > 0)
       and (not $6 or q.organisation_id = $7) and ($7::uuid is null or q.hidden_at is null)
     order by q.id desc limit $8`,
    [
      scope.tenant_id,
      scope.environment,
      community_id,
      page.after ?? null,
      q ?? null,
      own ?? false,
      organisation_id ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(
    rows,
    page,
    (row) => summaryOf(row, place),
    ({ id }) => id,
  );
}

const AnswerRow = Type.Object({
  id: Type.String(),
  text: Type.String(),
  answered_by_name: Type.String(),
  organisation: Nullable,
  created_at: Type.String(),
  hidden_reason: Nullable,
});

export async function getQuestion(tx: Transaction, place: Place, uuid: string): Promise<Question> {
  const { scope, community_id, organisation_id } = place;
  const [row] = await tx.rows(
    Row,
    `select ${columns} ${from}
     where q.tenant_id = $1 and q.environment = $2 and q.community_id = $3 and q.id = $4
       and ($5::uuid is null or q.hidden_at is null or q.organisation_id = $5)`,
    [scope.tenant_id, scope.environment, community_id, uuid, organisation_id ?? null],
  );
  if (row === undefined) {
    throw refuse('question_not_found', `There is no question ${formatId('que', uuid)} in the community.`);
  }
  const answers = await tx.rows(
    AnswerRow,
    `select a.id, a.text, a.answered_by_name, o.name as organisation, a.created_at, a.hidden_reason
     from identity.answers a left join identity.organisations o
       on (o.tenant_id, o.environment, o.id) = (a.tenant_id, a.environment, a.organisation_id)
     where a.tenant_id = $1 and a.environment = $2 and a.question_id = $3 order by a.id limit $4`,
    [scope.tenant_id, scope.environment, uuid, MAX_ANSWERS],
  );
  const seesHidden = organisation_id === undefined;
  return {
    ...summaryOf(row, place),
    ...(row.hidden_reason === null || seesHidden ? { text: row.text } : {}),
    data: answers.map(({ id, text, answered_by_name: by, organisation, created_at, hidden_reason }) => ({
      id: formatId('ans', id),
      ...(hidden_reason === null || seesHidden ? { text } : {}),
      by,
      ...(organisation === null ? {} : { organisation }),
      accepted: id === row.accepted_answer_id,
      created_at,
      ...(hidden_reason === null ? {} : { hidden_reason }),
    })),
  };
}

/** Who says something. */
export interface Speaker {
  id: string;
  name: string;
}

export async function ask(
  db: Database,
  place: Place & { organisation_id: string },
  by: Speaker,
  body: Static<typeof QuestionRequest>,
  attempt: Attempt,
): Promise<{ question: Question; replayed: boolean }> {
  const { scope, community_id, organisation_id } = place;
  const { id, replayed } = await once(
    db,
    scope,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const uuid = newUuid();
      await tx.run(
        `insert into identity.questions (tenant_id, environment, id, community_id, organisation_id, title, text, asked_by,
           asked_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          scope.tenant_id,
          scope.environment,
          uuid,
          community_id,
          organisation_id,
          body.title,
          body.text,
          by.id,
          by.name,
        ],
      );
      return uuid;
    },
  );
  return { question: await db.read(scope, (tx) => getQuestion(tx, place, id)), replayed };
}

async function lock(tx: Transaction, { scope }: Place, uuid: string): Promise<void> {
  await tx.run(
    'select from identity.questions where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, uuid],
  );
}

export async function answerQuestion(
  db: Database,
  place: Place,
  by: Speaker,
  uuid: string,
  body: Static<typeof AnswerRequest>,
  attempt: Attempt,
): Promise<{ before: Question | undefined; question: Question; replayed: boolean }> {
  const { scope, organisation_id } = place;
  let before: Question | undefined;
  const { replayed } = await once(
    db,
    scope,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await lock(tx, place, uuid);
      const question = await getQuestion(tx, place, uuid);
      if (question.hidden_reason !== undefined) {
        throw refuse('question_hidden', `${question.id} is hidden, and is not answered.`);
      }
      if (question.data.length >= MAX_ANSWERS) {
        throw refuse('question_full', `${question.id} has ${MAX_ANSWERS} answers.`);
      }
      before = question;
      const id = newUuid();
      await tx.run(
        `insert into identity.answers (tenant_id, environment, id, question_id, organisation_id, text, answered_by,
           answered_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [scope.tenant_id, scope.environment, id, uuid, organisation_id ?? null, body.text, by.id, by.name],
      );
      return id;
    },
  );
  return { before, question: await db.read(scope, (tx) => getQuestion(tx, place, uuid)), replayed };
}

function assertHas({ id, data }: Question, answer_id: string): void {
  if (!data.some((answer) => answer.id === answer_id)) {
    throw refuse('answer_not_found', `${id} has no answer ${answer_id}.`);
  }
}

/** The organisation that asked says which answer helped. */
export function acceptAnswer(
  db: Database,
  place: Place & { organisation_id: string },
  uuid: string,
  { answer_id }: Static<typeof AcceptRequest>,
): Promise<{ before: Question; after: Question }> {
  const { scope } = place;
  return db.write(scope, async (tx) => {
    await lock(tx, place, uuid);
    const before = await getQuestion(tx, place, uuid);
    if (!before.own) throw refuse('question_not_own', `${before.id} was asked by ${before.organisation}.`);
    assertHas(before, answer_id);
    await tx.run(
      `update identity.questions set accepted_answer_id = $4 where tenant_id = $1 and environment = $2 and id = $3`,
      [scope.tenant_id, scope.environment, uuid, uuidOf('ans', answer_id)],
    );
    return { before, after: await getQuestion(tx, place, uuid) };
  });
}

/** Hides a question or an answer from the community. What is hidden stays so, for its first reason. */
export function hide(
  db: Database,
  place: Place,
  by: string,
  uuid: string,
  { reason, answer_id }: Static<typeof HideRequest>,
): Promise<{ before: Question; after: Question }> {
  const { scope } = place;
  return db.write(scope, async (tx) => {
    await lock(tx, place, uuid);
    const before = await getQuestion(tx, place, uuid);
    if (answer_id !== undefined) assertHas(before, answer_id);
    const [table, id] = answer_id === undefined ? ['questions', uuid] : ['answers', uuidOf('ans', answer_id)];
    await tx.run(
      `update identity.${table} set hidden_at = now(), hidden_by = $4, hidden_reason = $5
       where tenant_id = $1 and environment = $2 and id = $3 and hidden_at is null`,
      [scope.tenant_id, scope.environment, id, by, reason],
    );
    return { before, after: await getQuestion(tx, place, uuid) };
  });
}
