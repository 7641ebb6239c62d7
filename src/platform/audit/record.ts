/**
 * The record of each request that changes something or reads what is confidential: collected beside the route, written
 * before the answer leaves. What only wants to look at what is not confidential is not recorded.
 */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { type Api, isOfApi, problemAnswer, problemCodeOf } from '../http.ts';
import type { Metrics } from '../metrics.ts';
import { refuse } from '../problem.ts';
import type { AuditedChange, AuditRecord, AuditTrail } from './write.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Says what the request changes, for its record: the public id of the thing, and its public form before and after.
     * Called again, it adds to what was said. Members named like secrets are taken out when it is written.
     */
    audit(change: AuditedChange): void;
    /**
     * Whether the route has written the record of the request itself, in the commit of what it did: true only once that
     * commit is known to have taken place. Left false, the record is written before the answer.
     */
    audit_written: boolean;
  }
  interface FastifyContextConfig {
    /** The route writes the record in the commit of what it does, so that no intent need be written before. */
    records_in_commit?: boolean;
  }
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

const changes = new WeakMap<FastifyRequest, AuditedChange>();

function isSensitiveRead(request: FastifyRequest): boolean {
  const { config } = request.routeOptions;
  return request.method === 'GET' && config.sensitive === true && config.changes_state !== true;
}

/** Whether a request has a record: somebody known asks to change something, or to read what is confidential. */
function isAudited(request: FastifyRequest): boolean {
  const caller: Caller | undefined = request.caller;
  if (caller === undefined) return false;
  const { config } = request.routeOptions;
  return !safeMethods.has(request.method) || config.changes_state === true || isSensitiveRead(request);
}

/** What was written down of requests before their routes ran. */
const intents = new WeakMap<FastifyRequest, string>();

/** Whether a request will change something that its record is written after. */
function isIntended(request: FastifyRequest): boolean {
  const { permission, records_in_commit } = request.routeOptions.config;
  if (permission === undefined || records_in_commit === true) return false;
  return isAudited(request) && !isSensitiveRead(request) && !isDryRun(request.query);
}

function isDryRun(query: unknown): boolean {
  const asked = typeof query === 'object' && query !== null && 'dry_run' in query ? query.dry_run : false;
  // Of a request that was refused before validation it is a text still.
  return asked === true || asked === 'true';
}

const publicId = /\b[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}\b/;

/** The thing that the answer or the path names, where the route says nothing else: what was made, or what was asked for. */
function subjectOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const { params } = request;
  const named = typeof params === 'object' && params !== null ? Object.values(params).toReversed() : [];
  for (const place of [reply.getHeader('location'), reply.getHeader('link'), ...named]) {
    const [id] = publicId.exec(String(place)) ?? [];
    if (id !== undefined) return id;
  }
  return undefined;
}

/**
 * What is known of a request's record before there is an outcome: who, on whose behalf, from where, what. For routes that
 * write the record in the commit of what they do, and then set `request.audit_written`.
 */
export function attributionOf(
  request: FastifyRequest,
): Omit<AuditRecord, 'outcome' | 'status' | 'code' | 'subject' | 'before' | 'after' | 'replayed'> {
  const { caller, routeOptions } = request;
  return {
    tenant_id: caller.tenant_id,
    environment: caller.environment,
    principal: caller.principal,
    ...(caller.on_behalf_of === undefined ? {} : { on_behalf_of: caller.on_behalf_of }),
    address: request.ip,
    method: request.method,
    ...(routeOptions.url === undefined ? {} : { route: routeOptions.url }),
    path: request.url.split('?')[0] ?? '',
    ...(routeOptions.config.permission === undefined ? {} : { permission: routeOptions.config.permission }),
    request_id: request.id,
    dry_run: isDryRun(request.query),
  };
}

function outcomeOf(status: number): AuditRecord['outcome'] {
  if (status < 400) return 'done';
  return status < 500 ? 'refused' : 'failed';
}

function recordOf(request: FastifyRequest, reply: FastifyReply): AuditRecord {
  const code = problemCodeOf(request);
  const subject = subjectOf(request, reply);
  const intent = intents.get(request);
  return {
    ...attributionOf(request),
    ...(intent === undefined ? {} : { intent }),
    outcome: outcomeOf(reply.statusCode),
    status: reply.statusCode,
    ...(code === undefined ? {} : { code }),
    replayed: reply.getHeader('idempotent-replayed') === 'true',
    ...(subject === undefined ? {} : { subject }),
    ...changes.get(request),
  };
}

/** An answer that must not leave without its record, replaced by a refusal. */
function withhold(request: FastifyRequest, reply: FastifyReply, payload: unknown, publicUrl: string): string {
  if (payload instanceof Readable) payload.destroy();
  for (const name of ['content-length', 'content-disposition', 'etag', 'ledger-position'])
    reply.removeHeader(name);
  const problem = refuse(
    'unavailable',
    'The audit trail cannot be written, and this is not told without a record.',
    {
      retry_after_s: 1,
    },
  );
  return JSON.stringify(problemAnswer(request, reply, problem, publicUrl));
}

/** Lets routes say what they change where nothing is recorded. */
export function decorateUnaudited(app: Api): void {
  app.decorateRequest('audit_written', true);
  app.decorateRequest('audit', () => {});
}

/** Records what is asked through the routes of a server. */
export function mountAudit(
  app: Api,
  { trail, metrics, publicUrl }: { trail: AuditTrail; metrics: Metrics; publicUrl: () => string },
): void {
  const unauthenticated = metrics.counter(
    'http_unauthenticated_total',
    'Requests refused for want of a good credential, which are no tenant’s and stand in no audit trail',
    [],
  );
  app.decorateRequest('audit_written', false);
  app.decorateRequest('audit', function audit(this: FastifyRequest, change: AuditedChange) {
    changes.set(this, { ...changes.get(this), ...change });
  });

  app.addHook('onRequest', (request, _reply, done) => {
    if (trail.isFull() && isAudited(request)) {
      done(
        refuse('unavailable', 'The audit trail cannot be written; nothing was done.', { retry_after_s: 1 }),
      );
      return;
    }
    done();
  });

  // Before whatever else a route does beside checking what it was sent.
  app.addHook('preHandler', (request, reply, done) => {
    if (!isIntended(request)) {
      done();
      return;
    }
    const subject = subjectOf(request, reply);
    trail.intend({ ...attributionOf(request), ...(subject === undefined ? {} : { subject }) }).then(
      (intent) => {
        intents.set(request, intent);
        done();
      },
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    if (!isOfApi(request)) {
      done(null, payload);
      return;
    }
    if (reply.statusCode === 401 && !intents.has(request)) {
      unauthenticated.inc();
      done(null, payload);
      return;
    }
    if (request.audit_written || !isAudited(request)) {
      done(null, payload);
      return;
    }
    void trail.record(recordOf(request, reply)).then((isDurable) => {
      // What was done cannot be undone, and is answered as it is. What would be told now can be kept back.
      const isKeptBack = !isDurable && isSensitiveRead(request) && reply.statusCode < 400;
      done(null, isKeptBack ? withhold(request, reply, payload, publicUrl()) : payload);
    });
  });
}
