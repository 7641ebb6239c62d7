/** What changes something by the API: done at once, or proposed where it needs a second person. */
import { ApiProblem, addressOf, type BodyOf, send } from './client.ts';
import type { paths } from './openapi.d.ts';
import { noteAsked } from './recent.ts';

type Proposal = BodyOf<'/api/v2/proposals/{proposal_id}'>;

type Method = 'post' | 'patch' | 'put' | 'delete';

type OperationOf<Path extends keyof paths, Does extends Method> =
  paths[Path] extends Record<Does, infer Operation> ? Operation : never;

/** Addresses at which something can be done by a method. */
export type ActPath<Does extends Method> = {
  [Path in keyof paths]: OperationOf<Path, Does> extends { responses: unknown } ? Path : never;
}[keyof paths];

/** What is sent to do it. */
export type ActBody<Path extends keyof paths, Does extends Method> =
  OperationOf<Path, Does> extends { requestBody?: { content: { 'application/json': infer Body } } }
    ? Body
    : undefined;

/** What is answered when it was done. */
export type Done<Path extends keyof paths, Does extends Method> =
  OperationOf<Path, Does> extends { responses: infer Answers }
    ? Answers extends { 201: { content: { 'application/json': infer Body } } }
      ? Body
      : Answers extends { 200: { content: { 'application/json': infer Body } } }
        ? Body
        : undefined
    : never;

interface ActOptions<Path extends keyof paths, Does extends Method> {
  ids?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  body?: ActBody<Path, Does>;
  /** Names the intention: whoever repeats it gets the outcome of the first time. */
  key?: string;
  /** The version that was looked at; another one is not overwritten. */
  if_match?: string;
}

export type Outcome<Answer> =
  | { kind: 'done'; answer: Answer; replayed: boolean }
  | { kind: 'proposed'; proposal: Proposal };

/** @throws ApiProblem where the server refuses */
export async function act<Does extends Method, Path extends ActPath<Does>>(
  method: Does,
  path: Path,
  options: ActOptions<Path, Does> = {},
): Promise<Outcome<Done<Path, Does>>> {
  const { key, if_match, ...asked } = options;
  const note = (status: number) => {
    // A rehearsal keeps nothing.
    if (key === undefined || asked.query?.['dry_run'] === 'true') return;
    const what = `${method.toUpperCase()} ${addressOf({ path, ...(asked.ids === undefined ? {} : { ids: asked.ids }) })}`;
    noteAsked(path, { key, what, at: new Date().toISOString(), status });
  };
  const { status, text, replayed } = await send({
    method: method.toUpperCase(),
    path,
    ...asked,
    headers: {
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(if_match === undefined ? {} : { 'if-match': if_match }),
    },
  }).catch((error: unknown) => {
    note(error instanceof ApiProblem ? error.problem.status : 0);
    throw error;
  });
  note(status);
  const answer: Done<Path, Does> & Proposal = text === '' ? undefined : JSON.parse(text);
  return status === 202 ? { kind: 'proposed', proposal: answer } : { kind: 'done', answer, replayed };
}
