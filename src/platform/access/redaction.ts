/**
 * Fields that not everybody who may see a thing may see of it. A schema marks them, and who lacks the permission gets a
 * mask in their place, wherever the schema is answered with: lists, exports, events, pages.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { filtersOf } from '../cursor.ts';
import { type FieldError, refuse } from '../problem.ts';
import type { Caller } from './caller.ts';

/** What a field holds: what tells of a person, or what would let its reader act as another. */
export type Sensitivity = 'personal' | 'secret';

/** The permission that each kind of data is seen with. */
const permissionFor = { personal: 'personal_data:read', secret: 'secrets:reveal' } as const;
const kinds = ['personal', 'secret'] as const;
/** Extension keyword that marks a field, in OpenAPI too. */
const KEYWORD = 'x-data';

/** What stands for what is not shown. */
export const MASK = '•••';

/** Marks a schema that was made for one field as holding personal data: of a text its first letter is shown. */
export function Personal<S extends TSchema>(schema: S): S {
  return Object.assign(schema, { [KEYWORD]: 'personal' });
}

/** Marks a schema that was made for one field as holding a secret, of which nothing is shown. */
export function Secret<S extends TSchema>(schema: S): S {
  return Object.assign(schema, { [KEYWORD]: 'secret' });
}

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Nothing but texts can be told to be masks, so that anything else becomes null. */
function hidden(value: unknown): unknown {
  if (typeof value === 'string') return value === '' ? '' : MASK;
  if (Array.isArray(value)) return value.map(hidden);
  if (isMembers(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hidden(member)]));
  }
  return null;
}

/** What is shown of a value. Of an object the names of its members stay, and of those nothing else. */
function mask(value: unknown, kind: Sensitivity): unknown {
  if (kind === 'secret' || typeof value !== 'string') return hidden(value);
  const first = value.codePointAt(0);
  return first === undefined ? '' : `${String.fromCodePoint(first)}${MASK}`;
}

/** Calls `visit` with whatever stands at a marked place of a value, and puts what it returns in its place in a copy. */
type Walk = (value: unknown, visit: (marked: unknown) => unknown) => unknown;

function walkObject(schema: Members, kind: Sensitivity): Walk | undefined {
  const { properties, patternProperties, additionalProperties } = schema;
  const known = new Map(
    Object.entries(isMembers(properties) ? properties : {}).map(([name, member]) => [
      name,
      walkOf(member, kind),
    ]),
  );
  const others = [
    ...Object.values(isMembers(patternProperties) ? patternProperties : {}),
    additionalProperties,
  ]
    .map((member) => walkOf(member, kind))
    .filter((walk) => walk !== undefined);
  const named = [...known].flatMap(([name, walk]) => (walk === undefined ? [] : [[name, walk] as const]));
  if (named.length === 0 && others.length === 0) return undefined;
  return (value, visit) => {
    if (!isMembers(value)) return value;
    let copy: Record<string, unknown> | undefined;
    const put = (name: string, walk: Walk) => {
      const before = (copy ?? value)[name];
      if (before === undefined || before === null) return;
      const after = walk(before, visit);
      if (after === before) return;
      copy ??= { ...value };
      copy[name] = after;
    };
    for (const [name, walk] of named) put(name, walk);
    if (others.length > 0) {
      for (const name of Object.keys(value)) {
        if (!known.has(name)) for (const walk of others) put(name, walk);
      }
    }
    return copy ?? value;
  };
}

/** Where a schema has marks of a kind; undefined where it has none. */
function walkOf(schema: unknown, kind: Sensitivity): Walk | undefined {
  if (!isMembers(schema)) return undefined;
  if (schema[KEYWORD] === kind) {
    return (value, visit) => (value === null || value === undefined ? value : visit(value));
  }
  if ('$ref' in schema) {
    // What cannot be looked into could hold anything.
    throw new Error(
      `a schema refers to ${String(schema['$ref'])}: write it out, so that marks in it are found`,
    );
  }
  const { items, anyOf, allOf, oneOf } = schema;
  const alternatives = [anyOf, allOf, oneOf].flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
  const item = Array.isArray(items) ? undefined : walkOf(items, kind);
  const walks = [
    ...alternatives.map((alternative) => walkOf(alternative, kind)),
    walkObject(schema, kind),
    item === undefined
      ? undefined
      : (value: unknown, visit: (marked: unknown) => unknown) =>
          Array.isArray(value) ? value.map((member) => item(member, visit)) : value,
  ].filter((walk) => walk !== undefined);
  if (walks.length === 0) return undefined;
  const [only] = walks;
  if (walks.length === 1 && only !== undefined) return only;
  // To mask what is masked already changes nothing.
  return (value, visit) => walks.reduce((seen, walk) => walk(seen, visit), value);
}

type Marks = readonly { kind: Sensitivity; walk: Walk }[];

function marksOf(schema: unknown): Marks {
  return kinds.flatMap((kind) => {
    const walk = walkOf(schema, kind);
    return walk === undefined ? [] : [{ kind, walk }];
  });
}

/** Of a caller, what says how much they are shown. */
export type Viewer = Pick<Caller, 'permissions' | 'narrowed'>;

/**
 * Whether a caller is shown data of a kind. Who is not known is not.
 *
 * @param reachedBy the permission by which it sees the thing at all: who has that one for certain labels only, sees what
 *   the same grants show of it
 */
export function sees(caller: Viewer | undefined, kind: Sensitivity, reachedBy?: string): boolean {
  if (caller === undefined) return false;
  const needed = permissionFor[kind];
  if (caller.permissions.has(needed)) return true;
  if (reachedBy === undefined || caller.permissions.has(reachedBy)) return false;
  const grants = caller.narrowed.filter(({ permissions }) => permissions.has(reachedBy));
  return grants.length > 0 && grants.every(({ permissions }) => permissions.has(needed));
}

/**
 * The value as a caller may see it: itself, or a copy with masks.
 *
 * @param reachedBy as in `sees`
 */
export type Redactor = (value: unknown, caller: Viewer, reachedBy?: string) => unknown;

function redactorOfMarks(marks: Marks): Redactor {
  return (value, caller, reachedBy) => {
    let seen = value;
    for (const { kind, walk } of marks) {
      if (!sees(caller, kind, reachedBy)) seen = walk(seen, (marked) => mask(marked, kind));
    }
    return seen;
  };
}

/** What masks in values of this schema, for exports and events. Compiled here, so to be made once. */
export function redactorOf(schema: TSchema): Redactor {
  return redactorOfMarks(marksOf(schema));
}

/** Shorter texts stand in words of every kind. */
const MIN_TEXT_REPLACED = 3;

function withoutTexts(value: unknown, texts: readonly string[]): unknown {
  if (typeof value === 'string') return texts.reduce((left, text) => left.replaceAll(text, MASK), value);
  if (Array.isArray(value)) return value.map((item) => withoutTexts(item, texts));
  if (!isMembers(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, withoutTexts(member, texts)]),
  );
}

/** A refusal without what its request had in marked places. */
function redactedProblem(problem: unknown, request: FastifyRequest, marks: Marks, kept: Marks): unknown {
  const texts: string[] = [];
  const collect = (value: unknown): unknown => {
    if (typeof value === 'string' && value.length >= MIN_TEXT_REPLACED) texts.push(value);
    else if (isMembers(value)) Object.values(value).forEach(collect);
    return value;
  };
  for (const { walk } of marks) if (!kept.some((each) => each.walk === walk)) walk(request.body, collect);
  if (texts.length === 0 || !isMembers(problem)) return problem;
  const { type, title, code, status, request_id, ...said } = problem;
  const shown = withoutTexts(
    said,
    texts.toSorted((a, b) => b.length - a.length),
  );
  return { type, title, status, ...(isMembers(shown) ? shown : {}), code, request_id };
}

/** Places of a body at which a mask stands, as JSON Pointers. */
function masksIn(value: unknown, pointer = ''): string[] {
  if (typeof value === 'string') return value.endsWith(MASK) ? [pointer] : [];
  if (Array.isArray(value)) return value.flatMap((item, index) => masksIn(item, `${pointer}/${index}`));
  if (!isMembers(value)) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    masksIn(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
  );
}

const MAX_FIELD_ERRORS = 20;

/** Refuses a body that would write masks over what they stand for: its sender read them, and sends them back. */
function assertNoMasks(body: unknown): void {
  const errors = masksIn(body)
    .slice(0, MAX_FIELD_ERRORS)
    .map((pointer): FieldError => ({ pointer, detail: 'is a mask of what you may not see; leave it out' }));
  const [first] = errors;
  if (first !== undefined) throw refuse('malformed_request', `${first.pointer} ${first.detail}.`, { errors });
}

/** Refuses to look for what is not shown: by asking for one letter after the other it could be found out. */
function assertNoFilter(request: FastifyRequest, caller: Caller, names: readonly string[]): void {
  const query = isMembers(request.query) ? request.query : {};
  const { cursor } = query;
  const given = { ...(typeof cursor === 'string' ? filtersOf(cursor) : {}), ...query };
  const name = names.find((each) => given[each] !== undefined);
  if (name === undefined) return;
  const permission = permissionFor.personal;
  throw refuse(
    'permission_missing',
    `To look for ${name} needs the permission ${permission}, which ${caller.principal.name} lacks.`,
    { permission },
  );
}

/** The redactor for a status: its own, that of its hundred, or the default. */
function byStatus<Found>(found: ReadonlyMap<string, Found>, status: number): Found | undefined {
  const hundred = `${Math.floor(status / 100)}xx`;
  return found.get(String(status)) ?? found.get(hundred) ?? found.get('default');
}

/** JSON schemas of a response, which may be declared by media type. */
function schemasOf(response: unknown): unknown[] {
  if (!isMembers(response) || !isMembers(response['content'])) return [response];
  return Object.values(response['content']).map((media) => (isMembers(media) ? media['schema'] : undefined));
}

/** One hook or several that a route has already, as a list. */
function listOf<Hook>(hooks: Hook | Hook[] | undefined): Hook[] {
  if (hooks === undefined) return [];
  return Array.isArray(hooks) ? hooks : [hooks];
}

/**
 * Gives a route the hooks that mask what its schemas mark. A route without marks gets none, and pays nothing.
 *
 * @param isProblem whether a request is being answered with a refusal
 */
export function redactAnswers(route: RouteOptions, isProblem: (request: FastifyRequest) => boolean): void {
  const { schema, config } = route;
  const answers = new Map<string, { marks: Marks; redact: Redactor }>();
  for (const [status, response] of Object.entries(isMembers(schema?.response) ? schema.response : {})) {
    const marks = schemasOf(response).flatMap(marksOf);
    answers.set(status.toLowerCase(), { marks, redact: redactorOfMarks(marks) });
  }
  const sent = marksOf(schema?.body);
  const query = isMembers(schema?.querystring) ? schema.querystring['properties'] : undefined;
  const filters = Object.entries(isMembers(query) ? query : {})
    .filter(([, parameter]) => marksOf(parameter).length > 0)
    .map(([name]) => name);
  const reachedBy = config?.permission;

  if (sent.length > 0 || filters.length > 0) {
    route.preHandler = [
      (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void) => {
        const { caller } = request;
        try {
          if (!sees(caller, 'personal', reachedBy)) {
            assertNoFilter(request, caller, filters);
            if (sent.length > 0) assertNoMasks(request.body);
          }
          done();
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)));
        }
      },
      ...listOf(route.preHandler),
    ];
  }

  const isMarked = [...answers.values()].some(({ marks }) => marks.length > 0);
  if (!isMarked && sent.length === 0) return;
  route.preSerialization = [
    ...listOf(route.preSerialization),
    (
      request: FastifyRequest,
      reply: FastifyReply,
      payload: unknown,
      done: (error: Error | null, payload?: unknown) => void,
    ) => {
      // Who is not known is told nothing but that.
      const caller: Caller | undefined = request.caller;
      if (caller === undefined) {
        done(null, payload);
        return;
      }
      if (isProblem(request)) {
        const kept = sent.filter(({ kind }) => sees(caller, kind, reachedBy));
        done(null, redactedProblem(payload, request, sent, kept));
        return;
      }
      const answer = byStatus(answers, reply.statusCode);
      done(null, answer === undefined ? payload : answer.redact(payload, caller, reachedBy));
    },
  ];
}
