/** Reading the last requests of callers in a sandbox. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type CursorContent, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Scope, Transaction } from '../db.ts';
import { formatId, Id } from '../ids.ts';
import { type CallFilters, callerFilters, callFilters, conditionsOf, documentedRoute } from './read.ts';

export const RecentRequest = Type.Object({
  id: Id('req'),
  occurred_at: Type.String({ description: 'When it was answered' }),
  principal: Type.Object({ kind: Type.String(), id: Type.String() }),
  application_id: Type.Optional(Type.String()),
  method: Type.String(),
  route: Type.String({ description: 'Pattern of the path; none: no route takes it' }),
  path: Type.String({ description: 'Without its query, and with ids of ours only' }),
  status: Type.Integer(),
  code: Type.Optional(Type.String({ description: 'Code of the refusal' })),
  duration_ms: Type.Number(),
  request_id: Type.String(),
  body: Type.Optional(
    Type.Unknown({
      description:
        'What was sent, without what is secret, personal or not known to the route. Absent where there was none, or it was too long',
    }),
  ),
  answer: Type.Optional(
    Type.Unknown({ description: 'The refusal, without quotations of what was left out of the body' }),
  ),
});
type RecentRequest = Static<typeof RecentRequest>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  occurred_at: Type.String(),
  principal_id: Type.String(),
  principal_kind: Type.String(),
  application_id: Nullable,
  method: Type.String(),
  route: Type.String(),
  path: Type.String(),
  status: Type.Integer(),
  code: Nullable,
  duration_ms: Type.Number(),
  request_id: Type.String(),
  body: Type.Unknown(),
  answer: Type.Unknown(),
});

function requestOf(row: Static<typeof Row>): RecentRequest {
  const { id, principal_id, principal_kind, application_id, route, code, body, answer, ...same } = row;
  return {
    ...same,
    id: formatId('req', id),
    principal: { kind: principal_kind, id: principal_id },
    route: documentedRoute(route),
    ...(application_id === null ? {} : { application_id }),
    ...(code === null ? {} : { code }),
    ...(body === null ? {} : { body }),
    ...(answer === null ? {} : { answer }),
  };
}

const Filters = Type.Object({ ...callerFilters, ...callFilters }, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<CallFilters, string> =>
  Check(Content, content);

export const RequestsQuery = Type.Object(
  { ...callerFilters, ...callFilters, ...pageQuery },
  { additionalProperties: false },
);
export const OwnRequestsQuery = Type.Object(
  { ...callFilters, ...pageQuery },
  { additionalProperties: false },
);

/** The last requests, newest first. */
export async function listRequests(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof RequestsQuery>,
): Promise<{ data: RecentRequest[]; next_cursor: string | null }> {
  const { limit, cursor, ...given } = query;
  const page = readPage<CallFilters, string>(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const parameters: unknown[] = [scope.tenant_id, scope.environment];
  const conditions = ['tenant_id = $1', 'environment = $2', ...conditionsOf(page.filters, parameters)];
  if (page.after !== undefined) {
    parameters.push(page.after);
    conditions.push(`id < $${parameters.length}::uuid`);
  }
  parameters.push(page.limit + 1);
  const rows = await tx.rows(
    Row,
    `select id, occurred_at, principal_id, principal_kind, application_id, method, route, path, status, code, duration_ms,
       request_id, body, answer
     from platform.usage_requests where ${conditions.join(' and ')} order by id desc limit $${parameters.length}`,
    parameters,
  );
  return pageOf(rows, page, requestOf, ({ id }) => id);
}
