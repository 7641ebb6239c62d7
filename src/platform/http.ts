/**
 * The HTTP server that every service's routes are mounted on. A request passes: request id → who is calling →
 * permission → limits → validation → the route → answer; whatever is refused on the way leaves as problem details
 * (RFC 9457).
 */

import { type IncomingMessage, type Server, ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import fastifyAccepts from '@fastify/accepts';
import fastifyCookie from '@fastify/cookie';
import fastifySwagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { type Static, Type } from 'typebox';
import type { Access } from './access/access.ts';
import { assertMay, type Caller, labelsFor } from './access/caller.ts';
import type { PermissionCatalogue } from './access/permission.ts';
import { redactAnswers, sees } from './access/redaction.ts';
import { takeExecution } from './approvals/execution.ts';
import type { Cors } from './cors.ts';
import { unavailableFor } from './db.ts';
import { newUuid } from './ids.ts';
import { parseJson } from './json.ts';
import { Problem, refuse } from './problem.ts';
import { doAt } from './trace/context.ts';
import { beginRequest, endRequest } from './trace/request.ts';
import { type Traces, untraced } from './trace/span.ts';
import { KEPT_TEXT, refusedBySchema, serializerCompiler, validatorCompiler } from './validation.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling. Set on every route under `/api/`, before validation. */
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** A GET that changes something, as the v1 API has one: from a browser it is guarded like a POST. */
    changes_state?: boolean;
    /** The permission that the route needs. Every route under `/api/` names one, or the server does not start. */
    permission?: string;
    /** A GET that tells what is confidential: who read it stands in the audit trail. */
    sensitive?: boolean;
    /** Whether the route confines a caller whose grant is narrowed to labels; such a grant does not count elsewhere. */
    heeds_labels?: boolean;
    /** A route for other processes of the installation alone: by a service's token, and counted as nobody's request. */
    internal?: true;
    /** A route by which limits are read and mended: it has a limit of its own, so that nobody locks themselves out. */
    administers_limits?: boolean;
  }
}

export type Api = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** Counts requests. Each returns at once where nothing has to be waited for, and throws a problem where it refuses. */
export interface RequestLimits {
  /** A request whose sender nobody knows yet. */
  arrive(request: FastifyRequest, reply: FastifyReply): Promise<void> | void;
  /** A request whose caller could not be identified. */
  failed(request: FastifyRequest, reply: FastifyReply, reason: unknown): Promise<void> | void;
  /** A request of a caller, to a route that administers limits or to any other. */
  admit(request: FastifyRequest, reply: FastifyReply, administersLimits: boolean): Promise<void> | void;
}

export interface HttpOptions {
  access: Pick<Access, 'identify'>;
  permissions: PermissionCatalogue;
  /** Whether fields that a schema marks are masked for who lacks the permission. */
  masks?: true;
  log: FastifyBaseLogger;
  /** Where clients reach this server, without a slash at the end. */
  publicUrl: () => string;
  /** Absent: no page of another site reads anything. */
  cors?: Pick<Cors, 'answerPreflight' | 'admit' | 'refuse'>;
  /** Absent: nothing is limited. */
  limits?: RequestLimits;
  /** Where else an address may be that is none here. */
  elsewhere?: string | undefined;
  /** Proxies whose `X-Forwarded-For` is believed: how many there are in a row, or their networks. */
  trustProxy?: number | readonly string[] | undefined;
  /** Absent: no spans are recorded. */
  traces?: Traces;
}

/** 1,000 multi-leg transfers with metadata fit. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
/** A client that is slower than these is cut off, so that silent connections cannot use up the server's. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const CONNECTIONS_CHECKED_EVERY_MS = 5_000;
/** Request line and headers together. */
const MAX_HEADER_BYTES = 16_384;
/** An idempotency key, URL-encoded where it must be, and no more. */
const MAX_PATH_PART_CHARACTERS = 300;
/** Cookie that a browser's log-in leaves: the key, for this host only, out of reach of scripts. */
export const KEY_COOKIE = 'financialapi_key';

/** Printable text that PostgreSQL can keep: no NUL, no unpaired surrogate. */
export function Text(options: { min?: number; max: number; description?: string; examples?: string[] }) {
  const { min = 0, max, ...rest } = options;
  return Type.String({ minLength: min, maxLength: max, pattern: KEPT_TEXT, ...rest });
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
    trace_id: Type.Optional(
      Type.String({ description: 'Of the trace that the request belongs to, if it belongs to one' }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({
            description: 'JSON Pointer into the body, ?name of the query, header name, or path name',
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
): Omit<Static<typeof ProblemBody>, 'request_id' | 'trace_id'> {
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

/** What Fastify itself refuses, by its own codes. */
function fromFastify(code: string, message: string): Problem | undefined {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refuse('body_too_large', `The body has more than ${BODY_LIMIT_BYTES} bytes.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refuse('unsupported_media_type', 'The body is not declared as Content-Type: application/json.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return refuse('malformed_request', message);
    default:
      return undefined;
  }
}

/** The code of the problem that answers a request. */
const problems = new WeakMap<FastifyRequest, string>();

/** Whether the answer to a request is a problem, for pages and metrics. */
export function isProblemAnswer(request: FastifyRequest): boolean {
  return problems.has(request);
}

/** How to authenticate: in the way that was tried, where it was one (RFC 9449, section 7.1). */
function challengeTo({ headers: { authorization = '' } }: FastifyRequest): string {
  if (/^device /i.test(authorization)) return 'Device realm="financialapi", error="invalid_token"';
  return /^dpop /i.test(authorization)
    ? 'DPoP realm="financialapi", error="invalid_token", algs="ES256 EdDSA PS256"'
    : 'Bearer realm="financialapi"';
}

/** The code of the problem that answers a request, if one does. */
export function problemCodeOf(request: FastifyRequest): string | undefined {
  return problems.get(request);
}

/** Makes an answer one of a problem, in all but its body, which is returned. */
export function problemAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  publicUrl: string,
): Static<typeof ProblemBody> {
  problems.set(request, problem.code);
  if (problem.type.status === 401) reply.header('www-authenticate', challengeTo(request));
  if (problem.replayed) reply.header('idempotent-replayed', 'true');
  if (problem.extra.retry_after_s !== undefined)
    reply.header('retry-after', String(problem.extra.retry_after_s));
  reply.code(problem.type.status).type('application/problem+json; charset=utf-8');
  return {
    ...problemBody(problem, publicUrl),
    request_id: request.id,
    ...(request.place === undefined ? {} : { trace_id: request.place.traceId }),
  };
}

function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  publicUrl: string,
): FastifyReply {
  const body = problemAnswer(request, reply, problem, publicUrl);
  return reply.serializer((value: unknown) => JSON.stringify(value)).send(body);
}

/** What Fastify refuses before it has found a route. */
function ofAddress(code: string): Problem {
  return refuse(
    'malformed_request',
    code === 'FST_ERR_MAX_PARAM_LENGTH'
      ? `A part of the path has more than ${MAX_PATH_PART_CHARACTERS} characters.`
      : 'The path of the address is not percent-encoded UTF-8.',
  );
}

/** What a client is told whose request could not be read far enough to have a route. */
function unreadable(code: string): Problem {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refuse('request_timeout', 'The request did not arrive in time; nothing was done.');
    case 'HPE_HEADER_OVERFLOW':
      return refuse(
        'headers_too_large',
        `The address and headers have more than ${MAX_HEADER_BYTES} bytes together.`,
      );
    default:
      return refuse('malformed_request', 'This is not an HTTP/1.1 request.');
  }
}

/** The answer that is still owed to a request which came whole over this socket. Node keeps it there for itself. */
function owedAnswer(socket: Socket): ServerResponse | undefined {
  const owed: unknown = '_httpMessage' in socket ? socket._httpMessage : undefined;
  return owed instanceof ServerResponse && owed.req.complete ? owed : undefined;
}

/** Answers a request that the HTTP parser gave up on, and ends its connection. */
function answerUnreadable(
  error: Error & { code?: string },
  socket: Socket,
  context: { publicUrl: string; request_id: string },
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const owed = owedAnswer(socket);
  if (owed !== undefined) {
    // A refusal sent now would be taken for the answer to the request before, which may have moved money.
    owed.once('close', () => socket.destroy());
    return;
  }
  const problem = unreadable(error.code ?? '');
  const { status } = problem.type;
  const body = JSON.stringify({
    ...problemBody(problem, context.publicUrl),
    request_id: context.request_id,
  });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/problem+json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nRequest-Id: ${context.request_id}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const bearer = /^Bearer +(\S+) *$/i;
const KEY_PREFIX = 'fa_';
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a browser says that a page of this site sent the request. Over plain HTTP some say it by `Origin` only. */
export function comesFromOwnPage({ headers }: FastifyRequest): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  return origin !== undefined && URL.parse(origin)?.host === host;
}

/**
 * The caller, by `Authorization` or by the cookie of a browser's log-in. With a cookie, what changes something must
 * come from a page of this site (Fetch Metadata), since a browser sends cookies with requests that others made.
 */
export function identify(request: FastifyRequest, access: HttpOptions['access']): Promise<Caller> | Caller {
  const { authorization, cookie } = request.headers;
  if (authorization !== undefined) {
    const [, key] = bearer.exec(authorization) ?? [];
    // What is no key may be a token, of this scheme or another.
    return access.identify(request, key?.startsWith(KEY_PREFIX) === true ? key : undefined);
  }
  if (cookie === undefined) throw refuse('unauthenticated', 'No credential came with the request.');
  const changes = !safeMethods.has(request.method) || request.routeOptions.config.changes_state === true;
  if (changes && !comesFromOwnPage(request)) {
    throw refuse('forbidden', 'With a browser log-in this may only be asked by a page of this site.');
  }
  return access.identify(request, request.cookies[KEY_COOKIE]);
}

/**
 * Refuses a caller who says that it means the other environment, who lacks what the route needs, or who has asked too
 * much.
 */
function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller,
  limits: RequestLimits | undefined,
): Promise<void> | void {
  request.caller = caller;
  const meant = request.headers.environment;
  if (meant !== undefined && meant !== caller.environment) {
    throw refuse(
      'environment_mismatch',
      `${caller.principal.name} is of the environment ${caller.environment}.`,
    );
  }
  const { permission, heeds_labels = false, administers_limits = false } = request.routeOptions.config;
  // Without one there is no route: what answers is that nothing is there.
  if (permission !== undefined) {
    assertMay(caller, permission, heeds_labels);
    const reach = labelsFor(caller, permission);
    if (reach !== undefined) request.caller = { ...caller, reach };
  }
  return limits?.admit(request, reply, administers_limits);
}

/** What a browser asks before a page of another site may send a request. It carries no credential. */
function isPreflight({ method, headers }: FastifyRequest): boolean {
  return (
    method === 'OPTIONS' &&
    headers.origin !== undefined &&
    headers['access-control-request-method'] !== undefined
  );
}

async function answerPreflight(
  request: FastifyRequest,
  reply: FastifyReply,
  { limits, cors }: { limits: RequestLimits | undefined; cors: Pick<Cors, 'answerPreflight'> },
): Promise<void> {
  await limits?.arrive(request, reply);
  await cors.answerPreflight(request, reply);
}

/** Whether a request is one of the API. The router decodes what it matches: `/%61pi/v2/accounts` is a route of it, too. */
export function isOfApi({ url, routeOptions }: FastifyRequest): boolean {
  return url.startsWith(API_PREFIX) || routeOptions.url?.startsWith(API_PREFIX) === true;
}

/** What becomes of a request before its body is read; `undefined` where that is clear at once. */
function enter(
  request: FastifyRequest,
  reply: FastifyReply,
  { access, limits, cors }: Pick<HttpOptions, 'access' | 'limits' | 'cors'>,
): Promise<void> | void {
  const isInternal = request.routeOptions.config.internal === true;
  if (!isOfApi(request) && !isInternal) return limits?.arrive(request, reply);
  if (cors !== undefined && isPreflight(request)) return answerPreflight(request, reply, { limits, cors });
  const crosses = cors !== undefined && request.headers.origin !== undefined && !comesFromOwnPage(request);
  const admitted = (found: Caller): Promise<void> | void => {
    if (isInternal) {
      // What the client asked was counted where it came in. Who is no service is told so by the route.
      request.caller = found;
      return;
    }
    if (!crosses) return admit(request, reply, found, limits);
    request.caller = found;
    return cors.admit(request, reply, found).then(() => admit(request, reply, found, limits));
  };
  const unknown = async (reason: unknown): Promise<never> => {
    // Where origins cannot be looked up, neither could the caller: that is told, and no page reads it.
    if (crosses) {
      const isKnown = reason instanceof Problem && reason.type.status === 403;
      await cors.refuse(request, reply, isKnown ? request.caller : undefined).catch(() => {});
    }
    await limits?.failed(request, reply, reason);
    throw reason;
  };
  let caller: Promise<Caller> | Caller;
  try {
    caller = identify(request, access);
  } catch (error) {
    return unknown(error);
  }
  if (!(caller instanceof Promise)) return admitted(caller);
  return caller.catch(unknown).then(admitted);
}

/** Fastify's form of proxies that are trusted: a hop is counted from the connection on, beginning with 0. */
function trusted(proxies: HttpOptions['trustProxy']) {
  if (typeof proxies === 'number') return (_address: string, hop: number) => hop < proxies;
  return proxies === undefined ? false : [...proxies];
}

/** Whether the query of a URL can be decoded; undecodable bytes would silently be read as other ones. */
function isDecodable(url: string): boolean {
  const query = url.indexOf('?');
  if (query === -1 || !url.includes('%', query)) return true;
  try {
    decodeURIComponent(url.slice(query));
    return true;
  } catch {
    return false;
  }
}

const saneRequestId = /^[A-Za-z0-9._:-]{8,128}$/;
const API_PREFIX = '/api/';

/** A year, as browsers want it for their lists. */
const HSTS = 'max-age=31536000; includeSubDomains';

/** What tells a browser to do as little as it can with an answer. Pages say themselves what they need. */
function setSecurityHeaders(request: FastifyRequest, reply: FastifyReply, publicUrl: string): void {
  reply.header('referrer-policy', 'no-referrer');
  reply.header('cross-origin-resource-policy', 'same-origin');
  reply.header('permissions-policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()');
  if (publicUrl.startsWith('https:')) reply.header('strict-transport-security', HSTS);
  if (isOfApi(request)) {
    reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  }
}

/** An empty server with the platform's rules. Routes are registered by the caller. */
export async function buildServer(options: HttpOptions): Promise<Api> {
  // Unique without asking the system for randomness at each request.
  const processName = newUuid();
  let requests = 0;
  const newRequestId = () => {
    requests += 1;
    return `${processName}-${requests.toString(36)}`;
  };
  const app: Api = Fastify({
    loggerInstance: options.log,
    trustProxy: trusted(options.trustProxy),
    // A line for each request cost 40 % of the throughput; metrics count them and failures are logged.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECKED_EVERY_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    clientErrorHandler: (error, socket) =>
      answerUnreadable(error, socket, { publicUrl: options.publicUrl(), request_id: newRequestId() }),
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    requestIdHeader: false,
    genReqId: (request) => {
      const given = request.headers['request-id'];
      if (typeof given === 'string' && saneRequestId.test(given)) return given;
      return newRequestId();
    },
    routerOptions: { maxParamLength: MAX_PATH_PART_CHARACTERS, ignoreTrailingSlash: false },
    // While it drains, what still comes over an open connection is answered, with `Connection: close`.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      // A URL that cannot be decoded has no route yet, hence none of the hooks below.
      reply.header('request-id', request.id);
      void sendProblem(request, reply, ofAddress(error.code), options.publicUrl());
    },
  }).withTypeProvider<TypeBoxTypeProvider>();

  await app.register(fastifyCookie);
  await app.register(fastifyAccepts);
  // Collects the schemas of the routes that are registered after it.
  await app.register(fastifySwagger, {
    transform: ({ schema, url, route }) => {
      const { permission, heeds_labels } = route.config ?? {};
      const needs = {
        ...(permission === undefined ? {} : { 'x-permission': permission }),
        ...(heeds_labels === true ? { 'x-heeds-labels': true } : {}),
      };
      return { schema: { ...schema, ...needs }, url };
    },
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

  app.setValidatorCompiler(validatorCompiler());
  app.setSerializerCompiler(serializerCompiler());

  // As a pattern, so that a service may have a parser of its own under the plain name.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>(
    /^application\/json(;|$)/,
    { parseAs: 'buffer' },
    (request, body, done) => {
      try {
        const encoding = request.headers['content-encoding'] ?? 'identity';
        if (encoding !== 'identity') {
          throw refuse('unsupported_media_type', `The body is encoded as ${encoding}; send it as it is.`);
        }
        done(null, parseJson(body, { mayQuote: sees(request.caller, 'personal') }));
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  );

  app.addHook('onRoute', ({ url, method, config }) => {
    if (!url.startsWith(API_PREFIX)) return;
    const permission = config?.permission;
    if (permission === undefined || !(permission in options.permissions.types)) {
      throw new Error(
        `${String(method)} ${url} needs ${permission ?? 'no permission'}, which no service declares`,
      );
    }
  });

  if (options.masks === true) app.addHook('onRoute', (route) => redactAnswers(route, isProblemAnswer));

  const traces = options.traces ?? untraced;
  app.decorateRequest('place');
  app.decorateRequest('span');
  app.addHook('onRequest', (request, _reply, done) => beginRequest(request, traces, done));
  // A body comes by events of its connection, which is at no place.
  app.addHook('preValidation', (request, _reply, done) => doAt(request.place, done));
  if (traces !== untraced) {
    app.addHook('onResponse', (request, reply, done) => {
      endRequest(request, reply, problemCodeOf(request));
      done();
    });
  }

  app.decorateRequest('caller');
  app.decorateRequest('approved');
  app.decorateRequest('measured');
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('cache-control', 'no-store');
    setSecurityHeaders(request, reply, options.publicUrl());
    if (!isDecodable(request.url)) {
      done(refuse('malformed_request', 'The query of the address is not percent-encoded UTF-8.'));
      return;
    }
    try {
      const execution = takeExecution();
      if (execution !== undefined) {
        // Approved by a second person: it runs for whoever proposed it, who must still be allowed to.
        request.approved = execution.approved;
        void admit(request, reply, execution.caller, undefined);
        done();
        return;
      }
      const entering = enter(request, reply, options);
      if (entering === undefined) done();
      else {
        entering.then(() => {
          // A preflight has its answer.
          if (!reply.sent) done();
        }, done);
      }
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });

  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Problem) return sendProblem(request, reply, error, options.publicUrl());
    if (error instanceof Error && 'validation' in error && Array.isArray(error.validation)) {
      const part = 'validationContext' in error ? String(error.validationContext) : 'body';
      const problem = refusedBySchema(error.validation, part, request.body);
      return sendProblem(request, reply, problem, options.publicUrl());
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const known =
      fromFastify(code, error instanceof Error ? error.message : '') ??
      // A client that leaves in the middle of its body fails like a lost connection to the database.
      (request.raw.destroyed && !request.raw.complete
        ? refuse('malformed_request', 'The connection ended before the whole body had come.')
        : unavailableFor(error));
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
      const elsewhere = options.elsewhere === undefined ? '' : ` ${options.elsewhere}`;
      return sendProblem(
        request,
        reply,
        refuse('not_found', `Nothing is at ${path}.${elsewhere}`),
        options.publicUrl(),
      );
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
