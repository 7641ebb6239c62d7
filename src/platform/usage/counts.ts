/**
 * Requests counted in memory: a series for each caller, route and status of a minute. What is counted waits for whoever takes
 * it. The path of a request makes no text and waits for nothing: it looks a series up by things that there are anyway.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller, Principal } from '../access/caller.ts';
import type { Scope } from '../db.ts';
import { arrayText, BUCKETS, bucketOf } from './histogram.ts';

/** Where what no route takes is counted. */
const NO_ROUTE = 'none';
/** Where is counted what there is no room for by itself, as caller, method and route. */
const OTHER = 'other';

const MINUTE_MS = 60_000;

type RouteConfig = FastifyRequest['routeOptions']['config'];

/** Whose requests are counted together. */
interface Owner {
  scope: Scope;
  principal: Pick<Principal, 'id'> & { kind: string; name?: string };
  application_id: string | undefined;
  /** By what Fastify keeps of a route, by method, by status. */
  series: Map<object, Map<string, Map<number, Series>>>;
}

interface Series {
  owner: Owner;
  minute_ms: number;
  method: string;
  route: string;
  status: number;
  /** Since it was last taken. */
  calls: number;
  latency: Uint32Array;
}

/** What is to be added to a minute. */
export interface Counted {
  scope: Scope;
  minute_ms: number;
  principal: Owner['principal'];
  application_id: string | undefined;
  method: string;
  route: string;
  status: number;
  calls: number;
  /** A histogram as PostgreSQL writes an array. */
  latency: string;
}

export interface UsageCounts {
  /** Counts a request that was answered; of a caller whom nobody knows none. */
  count(request: FastifyRequest, reply: FastifyReply): void;
  /** Takes what was counted since it was last taken, at most so many series. */
  take(limit: number): Counted[];
}

export interface UsageCountsOptions {
  /** Series of one tenant's environment in memory; what would be a further one is counted as `other`. */
  most_of_one?: number;
  /** Series in memory of everybody. */
  most?: number;
  /** Told of a request that there was no room to count. */
  onLost?: () => void;
  /** Unix time in milliseconds. */
  now?: () => number;
}

/** About 500 bytes each. */
const MOST = 20_000;
const MOST_OF_ONE = 5_000;

/** The application whose requests they are: a key may be of one, a token always is. */
export function applicationOf({ principal, application_id }: Caller): string | undefined {
  return application_id ?? (principal.kind === 'application' ? principal.id : undefined);
}

export function openUsageCounts(options: UsageCountsOptions = {}): UsageCounts {
  const { most = MOST, most_of_one = MOST_OF_ONE, onLost = () => {}, now = Date.now } = options;
  let minute_ms = 0;
  let ofCallers = new WeakMap<Caller, Owner>();
  let owners = new Map<string, Owner>();
  /** How many series each tenant's environment has, with those of minutes before that nobody has taken yet. */
  let ofTenants = new Map<string, number>();
  let total = 0;
  let changed: Series[] = [];

  const tenantOf = ({ tenant_id, environment }: Scope) => `${tenant_id} ${environment}`;
  /** Callers are bounded as series are, so that who makes keys without end fills no memory. */
  const isFull = (scope: Scope) => total >= most || (ofTenants.get(tenantOf(scope)) ?? 0) >= most_of_one;

  function grow(scope: Scope): void {
    const tenant = tenantOf(scope);
    ofTenants.set(tenant, (ofTenants.get(tenant) ?? 0) + 1);
    total += 1;
  }

  /** A minute has begun: what is remembered is let go of, so that nothing is kept of who does not come any more. */
  function turn(now_ms: number): void {
    minute_ms = Math.floor(now_ms / MINUTE_MS) * MINUTE_MS;
    ofCallers = new WeakMap();
    owners = new Map();
    ofTenants = new Map();
    total = 0;
    for (const { owner } of changed) grow(owner.scope);
  }

  /** Whose requests are counted of which there are too many by caller, route and status. */
  function otherOwner(scope: Scope): Owner {
    const name = `${tenantOf(scope)} ${OTHER}`;
    const owner: Owner = owners.get(name) ?? {
      scope,
      principal: { kind: OTHER, id: OTHER },
      application_id: undefined,
      series: new Map(),
    };
    owners.set(name, owner);
    return owner;
  }

  function ownerOf(caller: Caller): Owner {
    const { tenant_id, environment, principal } = caller;
    const scope: Scope = { tenant_id, environment };
    const application_id = applicationOf(caller);
    const name = `${tenantOf(scope)} ${principal.id} ${application_id ?? ''}`;
    const known = owners.get(name);
    if (known !== undefined) return known;
    if (isFull(scope)) return otherOwner(scope);
    const owner: Owner = {
      scope,
      principal: {
        kind: principal.kind,
        id: principal.id,
        ...(principal.kind === 'person' ? {} : { name: principal.name }),
      },
      application_id,
      series: new Map(),
    };
    owners.set(name, owner);
    return owner;
  }

  function newSeries(owner: Owner, method: string, route: string, status: number): Series {
    grow(owner.scope);
    return { owner, minute_ms, method, route, status, calls: 0, latency: new Uint32Array(BUCKETS) };
  }

  /** The one series of a tenant and status for what there is no room for; undefined where there is none for that either. */
  function otherSeries(scope: Scope, status: number): Series | undefined {
    const owner = otherOwner(scope);
    const byStatus = under(under(owner.series, placeOfOther), OTHER);
    const known = byStatus.get(status);
    if (known !== undefined || total >= 2 * most) return known;
    const series = newSeries(owner, OTHER, OTHER, status);
    byStatus.set(status, series);
    return series;
  }

  function find(owner: Owner, config: RouteConfig, method: string, status: number): Series | undefined {
    const byStatus = under(under(owner.series, config), method);
    const known = byStatus.get(status);
    if (known !== undefined) return known;
    const series =
      owner.principal.kind === OTHER || isFull(owner.scope)
        ? otherSeries(owner.scope, status)
        : newSeries(owner, method, config.url ?? NO_ROUTE, status);
    if (series !== undefined) byStatus.set(status, series);
    return series;
  }

  return {
    count(request, reply) {
      const caller: Caller | undefined = request.caller;
      if (caller === undefined) return;
      const { config } = request.routeOptions;
      // What a port is asked was counted where the client's request came in; so was what somebody else has approved.
      if (config.internal === true || request.approved !== undefined) return;
      const now_ms = now();
      if (now_ms >= minute_ms + MINUTE_MS) turn(now_ms);
      let owner = ofCallers.get(caller);
      if (owner === undefined) {
        owner = ownerOf(caller);
        ofCallers.set(caller, owner);
      }
      const series = find(owner, config, request.method, reply.statusCode);
      if (series === undefined) {
        onLost();
        return;
      }
      if (series.calls === 0) changed.push(series);
      series.calls += 1;
      // It lasts as long as its reader likes, which says nothing of how fast it was.
      if (config.endless === true) return;
      const bucket = bucketOf(reply.elapsedTime);
      series.latency[bucket] = (series.latency[bucket] ?? 0) + 1;
    },
    take(limit) {
      const taken = changed.slice(0, limit);
      changed = changed.slice(limit);
      return taken.map((series) => {
        const { owner, calls, latency, minute_ms: of_ms, method, route, status } = series;
        const { scope, principal, application_id } = owner;
        const text = arrayText(latency);
        series.calls = 0;
        latency.fill(0);
        return {
          scope,
          minute_ms: of_ms,
          principal,
          application_id,
          method,
          route,
          status,
          calls,
          latency: text,
        };
      });
    },
  };
}

const placeOfOther = {};

/** What a map has under a key, made where there is nothing yet. */
function under<Key, SubKey, Value>(map: Map<Key, Map<SubKey, Value>>, key: Key): Map<SubKey, Value> {
  let found = map.get(key);
  if (found === undefined) {
    found = new Map();
    map.set(key, found);
  }
  return found;
}
