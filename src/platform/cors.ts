/**
 * Cross-origin requests of browsers (Fetch Standard, CORS protocol): closed, but for the origins that an API key allows.
 * A preflight has no credential and is answered for what any key allows; the request itself by what its own key does.
 * What is refused before it is known whose it is may be read where a preflight would have been: it tells nothing.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Caller } from './access/caller.ts';
import type { Database } from './db.ts';
import { formatId } from './ids.ts';
import { refuse } from './problem.ts';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const ALLOWED_HEADERS =
  'Authorization, Content-Type, Accept, Environment, Idempotency-Key, If-Match, If-None-Match, Request-Id';
const EXPOSED_HEADERS =
  'Location, ETag, Request-Id, Ledger-Position, RateLimit, RateLimit-Policy, Idempotent-Replayed, Retry-After, ' +
  'WWW-Authenticate';
const PREFLIGHT_GOOD_FOR_S = 600;
/** As long as an origin is believed if the database's word does not come. */
const BELIEVED_FOR_MS = 5_000;
const safeMethods = new Set(['GET', 'HEAD']);

const Row = Type.Object({ key_id: Type.String(), allowed_origins: Type.Array(Type.String()) });

interface Origins {
  all: ReadonlySet<string>;
  /** By the public id of a key. */
  ofKeys: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface Cors {
  /** Answers a preflight. */
  answerPreflight(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Lets the page that asks read the answer where the caller allows its origin; refuses what changes otherwise. */
  admit(request: FastifyRequest, reply: FastifyReply, caller: Caller): Promise<void>;
  /** Lets the page that asks read that its credential is no good. `caller`: whose it is, where that is known. */
  refuse(request: FastifyRequest, reply: FastifyReply, caller: Caller | undefined): Promise<void>;
  forget(): void;
}

/** Allowed are origins as browsers write them; of `http://localhost:*` every port. */
function matches(allowed: ReadonlySet<string> | undefined, origin: string): boolean {
  if (allowed === undefined) return false;
  if (allowed.has(origin)) return true;
  return allowed.has('http://localhost:*') && /^http:\/\/localhost(:\d{1,5})?$/.test(origin);
}

export function openCors(db: Database): Cors {
  let reading: { origins: Promise<Origins>; until_ms: number } | undefined;

  async function read(): Promise<Origins> {
    const rows = await db.rows(Row, 'select * from platform.list_allowed_origins()', []);
    return {
      all: new Set(rows.flatMap(({ allowed_origins }) => allowed_origins)),
      ofKeys: new Map(
        rows.map(({ key_id, allowed_origins }) => [formatId('key', key_id), new Set(allowed_origins)]),
      ),
    };
  }

  function origins(): Promise<Origins> {
    if (reading !== undefined && reading.until_ms > Date.now()) return reading.origins;
    const begun = { origins: read(), until_ms: Date.now() + BELIEVED_FOR_MS };
    reading = begun;
    begun.origins.catch(() => {
      if (reading === begun) reading = undefined;
    });
    return begun.origins;
  }

  function letRead(reply: FastifyReply, origin: string): void {
    reply.header('access-control-allow-origin', origin);
    reply.header('access-control-expose-headers', EXPOSED_HEADERS);
    // Else the policy of our own pages would keep the answer from the one that may read it.
    reply.header('cross-origin-resource-policy', 'cross-origin');
  }

  return {
    async answerPreflight(request, reply) {
      const { origin } = request.headers;
      reply.header('vary', 'Origin');
      if (matches((await origins()).all, origin ?? '')) {
        reply.header('access-control-allow-origin', origin);
        reply.header('access-control-allow-methods', METHODS);
        reply.header('access-control-allow-headers', ALLOWED_HEADERS);
        reply.header('access-control-max-age', String(PREFLIGHT_GOOD_FOR_S));
      }
      reply.code(204).send();
    },
    async admit(request, reply, caller) {
      const { origin } = request.headers;
      if (origin === undefined) return;
      reply.header('vary', 'Origin');
      if (matches((await origins()).ofKeys.get(caller.principal.id), origin)) {
        letRead(reply, origin);
        return;
      }
      if (safeMethods.has(request.method) && request.routeOptions.config.changes_state !== true) return;
      throw refuse('origin_not_allowed', `${caller.principal.name} may not be used by pages of ${origin}.`);
    },
    async refuse(request, reply, caller) {
      const { origin } = request.headers;
      if (origin === undefined) return;
      reply.header('vary', 'Origin');
      const { all, ofKeys } = await origins();
      if (matches(caller === undefined ? all : ofKeys.get(caller.principal.id), origin)) {
        letRead(reply, origin);
      }
    },
    forget() {
      reading = undefined;
    },
  };
}
