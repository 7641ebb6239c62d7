/**
 * The HTTP server that every service's routes are mounted on. A request passes: request id → who is calling →
 * validation → the route → answer; whatever is refused on the way leaves as problem details (RFC 9457).
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import fastifyAccepts from '@fastify/accepts';
import fastifyCookie from '@fastify/cookie';
import fastifySwagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchemaValidationError,
  LogController,
} from 'fastify';
import { type Static, Type } from 'typebox';
import type { Access, Caller } from './access.ts';
import { newUuid } from './ids.ts';
import { type FieldError, Problem, refuse } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling. Set on every route under `/api/`, before validation. */
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** A GET that changes something, as the v1 API has one: from a browser it is guarded like a POST. */
    changes_state?: boolean;
  }
}

export type Api = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface HttpOptions {
  access: Access;
  log: FastifyBaseLogger;
  /** Where clients reach this server, without a slash at the end. */
  publicUrl: () => string;
}

/** 1,000 multi-leg transfers with metadata fit. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** Cookie that a browser's log-in leaves: the key, for this host only, out of reach of scripts. */
export const KEY_COOKIE = 'financialapi_key';

/** Printable text that PostgreSQL can keep: no NUL, no unpaired surrogate. */
export function Text(options: { min?: number; max: number; description?: string; examples?: string[] }) {
  const { min = 0, max, ...rest } = options;
  return Type.String({ minLength: min, maxLength: max, pattern: '^[^\\u0000\\p{Surrogate}]*$', ...rest });
}

/** Schema of the body of every refusal. */
export const ProblemBody = Type.Object(
  {
    type: Type.String({ description: 'Page that explains the code' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What happened, to which thing' }),
    code: Type.String({ description: 'Stable code of the error catalogue' }),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({
            description: 'JSON Pointer into the body, ?name of the query, or header name',
          }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { additionalProperties: true, description: 'Problem details (RFC 9457)' },
);

/** What a problem says on the wire, without the request it belongs to. Outcomes within a batch are of this form too. */
export function problemBody(
  problem: Problem,
  publicUrl: string,
): Omit<Static<typeof ProblemBody>, 'request_id'> {
  const { retry_after_s: _, ...extra } = problem.extra;
  return {
    type: `${publicUrl}/errors/${problem.code}`,
    title: problem.type.title,
    status: problem.type.status,
    detail: problem.message,
    code: problem.code,
    ...extra,
  };
}

const ajvOptions = {
  allErrors: true,
  strict: true,
  strictTypes: false,
  allowUnionTypes: true,
  useDefaults: true,
} as const;

function ajv(coerceTypes: boolean): Ajv {
  const compiler = new Ajv({ ...ajvOptions, coerceTypes, removeAdditional: false });
  addFormats.default(compiler);
  compiler.addKeyword('example');
  return compiler;
}

/** Where in the request a validation error is, in the form that `FieldError` describes. */
function pointerOf(error: FastifySchemaValidationError, part: string): string {
  const missing = error.params['missingProperty'] ?? error.params['additionalProperty'];
  const path =
    typeof missing === 'string'
      ? `${error.instancePath}/${missing.replaceAll('~', '~0').replaceAll('/', '~1')}`
      : error.instancePath;
  if (part === 'querystring') return `?${path.slice(1)}`;
  if (part === 'headers') return `header ${path.slice(1)}`;
  return part === 'params' ? `path ${path.slice(1)}` : path;
}

function describe(error: FastifySchemaValidationError): string {
  switch (error.keyword) {
    case 'additionalProperties':
      return 'is not a known field';
    case 'required':
      return 'is required';
    case 'enum':
      return `must be one of ${JSON.stringify(error.params['allowedValues'])}`;
    case 'const':
      return `must be ${JSON.stringify(error.params['allowedValue'])}`;
    case 'pattern':
      return error.params['pattern'] === '^[^\\u0000\\p{Surrogate}]*$'
        ? 'must not contain NUL or an unpaired surrogate'
        : `must match ${String(error.params['pattern'])}`;
    default:
      return error.message ?? 'is not valid';
  }
}

const MAX_FIELD_ERRORS = 20;

function fromValidation(errors: FastifySchemaValidationError[], part: string): Problem {
  const fields: FieldError[] = errors
    // A union that failed says so once, beside what each branch found.
    .filter(({ keyword }) => keyword !== 'if')
    .slice(0, MAX_FIELD_ERRORS)
    .map((error) => ({ pointer: pointerOf(error, part), detail: describe(error) }));
  const [first] = fields;
  return refuse('malformed_request', `${first?.pointer || 'The body'} ${first?.detail ?? 'is not valid'}.`, {
    errors: fields,
  });
}

/** What Fastify itself refuses, by its own codes. */
function fromFastify(code: string, message: string): Problem | undefined {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refuse('body_too_large', `The body has more than ${BODY_LIMIT_BYTES} bytes.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refuse('unsupported_media_type', 'The body is not declared as application/json.');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return refuse('malformed_request', message);
    default:
      return undefined;
  }
}

const problems = new WeakSet<FastifyRequest>();

/** Whether the answer to a request is a problem, for pages and metrics. */
export function isProblemAnswer(request: FastifyRequest): boolean {
  return problems.has(request);
}

export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  publicUrl: string,
): FastifyReply {
  problems.add(request);
  if (problem.type.status === 401) reply.header('www-authenticate', 'Bearer realm="financialapi"');
  if (problem.replayed) reply.header('idempotent-replayed', 'true');
  if (problem.extra.retry_after_s !== undefined)
    reply.header('retry-after', String(problem.extra.retry_after_s));
  return reply
    .code(problem.type.status)
    .type('application/problem+json; charset=utf-8')
    .serializer((body: unknown) => JSON.stringify(body))
    .send({ ...problemBody(problem, publicUrl), request_id: request.id });
}

const bearer = /^Bearer +(\S+) *$/i;
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * The caller, by `Authorization` or by the cookie of a browser's log-in. With the cookie, what changes something must
 * come from a page of this site (Fetch Metadata), since a browser sends cookies with requests that others made.
 */
function identify(request: FastifyRequest, access: Access): Promise<Caller> | Caller {
  const { authorization } = request.headers;
  if (authorization !== undefined) {
    const [, key] = bearer.exec(authorization) ?? [];
    if (key === undefined) throw refuse('unauthenticated', 'Authorization is not of the form: Bearer <key>.');
    return access.identify(key);
  }
  const cookie = request.cookies[KEY_COOKIE];
  if (cookie === undefined) throw refuse('unauthenticated', 'No API key came with the request.');
  const changes = !safeMethods.has(request.method) || request.routeOptions.config.changes_state === true;
  if (changes && request.headers['sec-fetch-site'] !== 'same-origin') {
    throw refuse('forbidden', 'With a browser log-in this may only be asked by a page of this site.');
  }
  return access.identify(cookie);
}

const saneRequestId = /^[A-Za-z0-9._:-]{8,128}$/;
const API_PREFIX = '/api/';

/** An empty server with the platform's rules. Routes are registered by the caller. */
export async function buildServer(options: HttpOptions): Promise<Api> {
  // Unique without asking the system for randomness at each request.
  const processName = newUuid();
  let requests = 0;
  const app: Api = Fastify({
    loggerInstance: options.log,
    // A line for each request cost 40 % of the throughput; metrics count them and failures are logged.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: (request) => {
      const given = request.headers['request-id'];
      if (typeof given === 'string' && saneRequestId.test(given)) return given;
      requests += 1;
      return `${processName}-${requests.toString(36)}`;
    },
    routerOptions: { maxParamLength: 300, ignoreTrailingSlash: false },
    return503OnClosing: true,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    frameworkErrors: (error, request, reply) => {
      // A URL that cannot be decoded has no route yet, hence none of the hooks below.
      reply.header('request-id', request.id);
      void sendProblem(request, reply, refuse('malformed_request', error.message), options.publicUrl());
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  await app.register(fastifyCookie);
  await app.register(fastifyAccepts);
  // Collects the schemas of the routes that are registered after it.
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'financialapi',
        version: '2',
        description:
          'The back office of a financial institution: a double-entry ledger with accounts, transfers and holds.\n\n' +
          'Every request carries a key, as `Authorization: Bearer …`. What creates or moves carries an ' +
          '`Idempotency-Key`: the same for each retry, fresh for each new intention. Money is a decimal string ' +
          'with its currency. Refusals are problem details (RFC 9457); `/errors` lists their codes.',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    },
  });

  const strict = ajv(false);
  // Everything in a URL or header is text: numbers and booleans there are read from it.
  const coercing = ajv(true);
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema),
  );

  app.decorateRequest('caller');
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    if (!request.url.startsWith(API_PREFIX)) {
      done();
      return;
    }
    try {
      const caller = identify(request, options.access);
      if (caller instanceof Promise) {
        caller.then((found) => {
          request.caller = found;
          done();
        }, done);
      } else {
        request.caller = caller;
        done();
      }
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });

  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Problem) return sendProblem(request, reply, error, options.publicUrl());
    if (error instanceof Error && 'validation' in error && Array.isArray(error.validation)) {
      const part = 'validationContext' in error ? String(error.validationContext) : 'body';
      return sendProblem(request, reply, fromValidation(error.validation, part), options.publicUrl());
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const statusCode = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
    const known =
      fromFastify(code, error instanceof Error ? error.message : '') ??
      // JSON that does not parse comes as a plain error with status 400.
      (statusCode === 400 && error instanceof Error
        ? refuse('malformed_request', `The body is not JSON: ${error.message}`)
        : undefined);
    if (known !== undefined) return sendProblem(request, reply, known, options.publicUrl());
    request.log.error(
      { err: error, request_id: request.id, method: request.method, route: request.routeOptions.url },
      'a request failed',
    );
    return sendProblem(
      request,
      reply,
      refuse('internal_error', 'The request failed for a reason of ours; it was logged.'),
      options.publicUrl(),
    );
  });

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const allowed = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter(
      (method) => app.findRoute({ method, url: path }) !== null,
    );
    if (allowed.length === 0) {
      return sendProblem(request, reply, refuse('not_found', `Nothing is at ${path}.`), options.publicUrl());
    }
    reply.header('allow', allowed.join(', '));
    return sendProblem(
      request,
      reply,
      refuse('method_not_allowed', `${path} does not take ${request.method}.`),
      options.publicUrl(),
    );
  });
  return app;
}
