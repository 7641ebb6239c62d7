/** The last requests of each caller in a sandbox: a sample, collected beside the answer. In live nothing is. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { type Api, problemCodeOf } from '../http.ts';
import { newUuid } from '../ids.ts';
import { applicationOf, NO_ROUTE } from './counts.ts';
import { keptAnswer, keptBody, keptJson, keptPath } from './kept.ts';

/** Requests of one caller between two flushes, of those that succeed and of those that do not each. */
const SAMPLED_OF_ONE = 10;
/** Requests of everybody that wait for the database. */
const MOST_WAITING = 200;
/** A body that is longer is not looked at: to read it again would be felt. */
const MAX_BODY_BYTES = 8_192;
const MAX_KEPT_CHARACTERS = 4_096;

export interface RecentRequests {
  /** Notes a request that was answered, if it is of the sample. */
  note(request: FastifyRequest, reply: FastifyReply): void;
  /** Takes what was noted, each a row of `platform.usage_requests` as JSON. */
  take(): string[];
}

interface Sampled {
  done: number;
  refused: number;
}

function isSampled(request: FastifyRequest): boolean {
  const caller: Caller | undefined = request.caller;
  return caller?.environment === 'sandbox';
}

/** Collects requests of a server. */
export function openRecentRequests(app: Api): RecentRequests {
  let ofCallers = new WeakMap<Caller, Sampled>();
  let byName = new Map<string, Sampled>();
  let waiting: string[] = [];
  const refusals = new WeakMap<FastifyRequest, string>();

  app.addHook('onSend', (request, reply, payload, done) => {
    if (reply.statusCode >= 400 && typeof payload === 'string' && isSampled(request)) {
      refusals.set(request, payload);
    }
    done(null, payload);
  });

  /** Whoever comes with an object for each request has one count all the same. */
  function sampledOf(caller: Caller): Sampled {
    let sampled = ofCallers.get(caller);
    if (sampled !== undefined) return sampled;
    const name = `${caller.tenant_id} ${caller.principal.id}`;
    sampled = byName.get(name) ?? { done: 0, refused: 0 };
    byName.set(name, sampled);
    ofCallers.set(caller, sampled);
    return sampled;
  }

  function rowOf(request: FastifyRequest, reply: FastifyReply): string {
    const { caller, headers } = request;
    const { config, schema } = request.routeOptions;
    const route = config.url ?? NO_ROUTE;
    const length = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
    const body = length <= MAX_BODY_BYTES ? keptBody(schema?.body, request.body) : undefined;
    const refusal = refusals.get(request);
    const answer = refusal === undefined ? undefined : keptAnswer(request, refusal, body);
    const row = JSON.stringify({
      tenant_id: caller.tenant_id,
      environment: caller.environment,
      id: newUuid(),
      occurred_at: new Date().toISOString(),
      principal_id: caller.principal.id,
      principal_kind: caller.principal.kind,
      application_id: applicationOf(caller),
      method: request.method,
      route,
      path: keptPath(request, route).slice(0, 500),
      status: reply.statusCode,
      code: problemCodeOf(request),
      duration_ms: reply.elapsedTime,
      request_id: request.id,
    });
    const kept = keptJson(body, MAX_KEPT_CHARACTERS);
    const answered = keptJson(answer, MAX_KEPT_CHARACTERS);
    return [
      row.slice(0, -1),
      ...(kept === undefined ? [] : [`"body":${kept}`]),
      ...(answered === undefined ? [] : [`"answer":${answered}`]),
    ]
      .join(',')
      .concat('}');
  }

  return {
    note(request, reply) {
      if (!isSampled(request) || waiting.length >= MOST_WAITING) return;
      const sampled = sampledOf(request.caller);
      const kind = reply.statusCode < 400 ? 'done' : 'refused';
      if (sampled[kind] >= SAMPLED_OF_ONE) return;
      if (request.routeOptions.config.internal === true || request.approved !== undefined) return;
      sampled[kind] += 1;
      waiting.push(rowOf(request, reply));
    },
    take() {
      const taken = waiting;
      waiting = [];
      ofCallers = new WeakMap();
      byName = new Map();
      return taken;
    },
  };
}
