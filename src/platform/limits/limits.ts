/**
 * Rate limits and quotas: how much a caller, all callers of its plan, its tenant and an address may ask. Counted in
 * memory, or in Redis where several processes share it; counts of an hour and longer are kept in the database, too.
 */
import type { FastifyReply } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Caller } from '../access/caller.ts';
import type { Database, Scope } from '../db.ts';
import type { RequestLimits } from '../http.ts';
import { parseId } from '../ids.ts';
import type { Metrics } from '../metrics.ts';
import { Problem, refuse } from '../problem.ts';
import { addressLimitOf, countedAddress } from './address.ts';
import {
  type Counter,
  type Keeper,
  type Limit,
  type Limits,
  limitOn,
  newCounter,
  type Subject,
  take,
  tell,
  turn,
} from './counter.ts';
import { policyOf, rateLimitOf, secondsUntil } from './headers.ts';
import {
  type AddressLimit,
  addressWindows,
  administrationWindows,
  loadPlans,
  type PlansOfTenant,
} from './plan.ts';
import { openSharedCounts, placeOf } from './shared.ts';
import { type Crossing, forgetCounts, loadCounts, saveCounts, tellCrossings, type Unsaved } from './usage.ts';
import { inWords, type Window } from './window.ts';

/** What a request, or somebody's requests, count against. */
interface Allowance {
  limits: Limits;
  /** Whose requests they are, for messages. */
  whose: string;
  /** Told in place of counting: the plan allows nothing. */
  refusal: { detail: string; plan: string } | undefined;
  /** `RateLimit-Policy`, until when a month of another length begins. */
  policy: string;
  policy_until_ms: number;
  /** Which state of the plans it was made of. */
  generation: number;
}

/** A limit and how it stands. */
export interface Standing {
  limit: Limit;
  requests: number;
}

/** Whose limits are meant. */
interface Asking extends Scope {
  /** Public id. */
  id: string;
  plan: string;
  /** Public id of the application that a key is of. */
  application_id?: string | undefined;
}

/** What services may ask of limits. */
export interface ReadLimits {
  /** How the limits of a caller, or of whoever else is on a plan, stand. */
  read(of: Asking): Promise<Standing[]>;
}

export interface OpenLimits extends RequestLimits, ReadLimits {
  /** Plans or quotas changed: they are read again. Counts go on. */
  forget(): void;
  /** Writes down what was counted and tells what was crossed. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface LimitsOptions {
  /** Redis or Valkey; absent: this process counts for itself. */
  redis_url?: string | undefined;
  /** `open`: without Redis each process counts for itself. `closed`: nothing is answered then. */
  when_redis_is_away?: 'open' | 'closed';
  /** By how much more one address may ask, where many people share one. */
  address_factor?: number;
  metrics?: Metrics;
  /** Told of what fails beside the requests. */
  onError?: (error: unknown, what: string) => void;
  /** Unix time in milliseconds. */
  now?: () => number;
  flush_every_ms?: number;
}

const FLUSH_EVERY_MS = 2_000;
const REMEMBERED_COUNTERS = 200_000;
const REMEMBERED_TENANTS = 10_000;
const REMEMBERED_ADDRESSES = 100_000;
/** Windows in one statement. */
const SAVED_AT_ONCE = 5_000;
const KEPT_FOR_MS = 92 * 86_400_000;

/** Removes counts that are older than anybody can ask for. */
export async function forgetOldCounts(db: Database): Promise<void> {
  await forgetCounts(db, Date.now() - KEPT_FOR_MS);
}
const AWAY_RETRY_AFTER_S = 1;

export function openLimits(db: Database, options: LimitsOptions = {}): OpenLimits {
  const { now = Date.now, onError = () => {}, address_factor = 1 } = options;
  const refusals = options.metrics?.counter('limits_refused_total', 'Requests that a limit refused', [
    'limit',
    'per',
  ]);
  const withoutRedis = options.metrics?.counter(
    'limits_without_redis_total',
    'Requests that Redis should have counted and did not answer for',
    ['outcome'],
  );
  const shared =
    options.redis_url === undefined
      ? undefined
      : openSharedCounts({
          url: options.redis_url,
          onAway: (error) => onError(error, 'Redis is away, which counts requests'),
        });

  let generation = 0;
  const plans = new LRUCache<string, Promise<PlansOfTenant>>({ max: REMEMBERED_TENANTS });
  const counters = new LRUCache<string, Counter>({ max: REMEMBERED_COUNTERS });
  const ofCallers = new WeakMap<Caller, Allowance>();
  const ofAdministrators = new WeakMap<Caller, Allowance>();
  const ofAddresses = new LRUCache<string, Allowance>({ max: REMEMBERED_ADDRESSES });

  let changed: Counter[] = [];
  let unsaved: Unsaved[] = [];
  let crossings: Crossing[] = [];
  const keeper: Keeper = {
    ended: (counter, span, requests) => unsaved.push({ counter, ...span, requests }),
    changed: (counter) => changed.push(counter),
    crossed(limit) {
      const { counter } = limit;
      const { scope } = counter.subject;
      if (scope === undefined) return;
      const crossing = { scope, limit, start_ms: counter.start_ms, end_ms: counter.end_ms };
      const { requests } = counter;
      if (counter.told < 80) crossings.push({ ...crossing, threshold_percent: 80, requests });
      if (requests >= limit.requests) crossings.push({ ...crossing, threshold_percent: 100, requests });
      counter.told = requests >= limit.requests ? 100 : 80;
    },
  };

  function counterOf(subject: Subject, name: string, window: Window): Counter {
    const { scope, id } = subject;
    const tenant = scope === undefined ? '' : `${scope.tenant_id} ${scope.environment}`;
    const key = `${tenant} ${id} ${name} ${window.period ?? window.window_s}`;
    let counter = counters.get(key);
    if (counter === undefined) {
      counter = newCounter(subject, name, window, now());
      counters.set(key, counter);
    }
    return counter;
  }

  function allowance(whose: string, limits: Limits, refusal?: Allowance['refusal']): Allowance {
    return { limits, whose, refusal, policy: '', policy_until_ms: 0, generation };
  }

  function plansOf(scope: Scope): Promise<PlansOfTenant> {
    const key = `${scope.tenant_id} ${scope.environment}`;
    const known = plans.get(key);
    if (known !== undefined) return known;
    const loading = loadPlans(db, scope);
    plans.set(key, loading);
    loading.catch(() => {
      if (plans.peek(key) === loading) plans.delete(key);
    });
    return loading;
  }

  /** Resolves when every counter knows what the database knows. Counters of one tenant. */
  async function load(scope: Scope, wanted: readonly Counter[]): Promise<void> {
    const fresh = wanted.filter(({ kept, loading }) => kept && loading === undefined);
    if (fresh.length > 0) {
      for (const counter of fresh) turn(counter, now(), keeper);
      const began = fresh.map(({ start_ms }) => start_ms);
      const loading = loadCounts(db, scope, fresh).then((counts) => {
        for (const [index, counter] of fresh.entries()) {
          if (counter.start_ms === began[index]) counter.requests += counts[index] ?? 0;
        }
      });
      for (const counter of fresh) counter.loading = loading;
      loading.catch(() => {
        for (const counter of fresh) counter.loading = undefined;
      });
    }
    for (const { loading } of wanted) await loading;
  }

  async function resolve(of: Asking, whose: string): Promise<Allowance> {
    const scope = { tenant_id: of.tenant_id, environment: of.environment };
    const began = generation;
    const { quota, find } = await plansOf(scope);
    const plan = find(of.plan);
    const subjects = { caller: of.id, application: of.application_id ?? of.id, plan: `plan:${of.plan}` };
    const limits: Limit[] = (plan?.windows ?? []).map((window) => {
      const per = window.per ?? 'caller';
      const counter = counterOf({ scope, id: subjects[per] }, window.name, window);
      return limitOn(counter, { window, per, plan: of.plan });
    });
    for (const window of quota) {
      const counter = counterOf({ scope, id: 'tenant' }, `tenant:${window.name}`, window);
      limits.push(limitOn(counter, { window, per: 'tenant', plan: undefined }));
    }
    await load(
      scope,
      limits.map(({ counter }) => counter),
    );
    return { ...allowance(whose, limits, refusalOf(of.plan, plan?.status, limits)), generation: began };
  }

  function allowanceOf(caller: Caller): Promise<Allowance> | Allowance {
    const known = ofCallers.get(caller);
    if (known !== undefined && known.generation === generation) return known;
    const { tenant_id, environment, principal, plan, application_id } = caller;
    const asking = { tenant_id, environment, id: principal.id, plan, application_id };
    return resolve(asking, principal.name).then((made) => {
      ofCallers.set(caller, made);
      return made;
    });
  }

  function administrationOf(caller: Caller): Allowance {
    let known = ofAdministrators.get(caller);
    if (known === undefined) {
      const { tenant_id, environment, principal } = caller;
      const subject = { scope: { tenant_id, environment }, id: principal.id };
      const limits = administrationWindows.map((window) =>
        limitOn(counterOf(subject, `platform:${window.name}`, window), {
          window,
          per: 'caller',
          plan: undefined,
        }),
      );
      known = allowance(principal.name, limits);
      ofAdministrators.set(caller, known);
    }
    return known;
  }

  function allowanceOfAddress(kind: AddressLimit, address: string): Allowance {
    const counted = countedAddress(address);
    const key = `${kind} ${counted}`;
    let known = ofAddresses.get(key);
    if (known === undefined) {
      const limits = addressWindows[kind].map((window) => {
        const wider = { ...window, requests: window.requests * address_factor };
        const counter = newCounter({ scope: undefined, id: `address:${counted}` }, window.name, wider, now());
        return limitOn(counter, { window: wider, per: 'address', plan: undefined });
      });
      known = allowance(counted, limits);
      ofAddresses.set(key, known);
    }
    return known;
  }

  function tellClient(reply: FastifyReply, of: Allowance, now_ms: number): void {
    if (of.limits.length === 0) return;
    if (now_ms >= of.policy_until_ms) {
      of.policy = policyOf(of.limits);
      of.policy_until_ms = Math.min(
        ...of.limits.map(({ counter }) =>
          counter.window.period === undefined ? Number.POSITIVE_INFINITY : counter.end_ms,
        ),
      );
    }
    reply.header('ratelimit-policy', of.policy);
    reply.header('ratelimit', rateLimitOf(of.limits, now_ms));
  }

  function refusedBy(limit: Limit, whose: string, now_ms: number): Problem {
    const { counter, requests, per, plan } = limit;
    const { window } = counter;
    refusals?.labels(counter.name, per).inc();
    const wait_s = secondsUntil(counter.end_ms, now_ms);
    const of = per === 'tenant' ? ' of the tenant' : plan === undefined ? '' : ` of the plan ${plan}`;
    const who =
      per === 'tenant'
        ? 'The tenant'
        : per === 'plan'
          ? `Everyone on the plan ${plan ?? ''} together`
          : per === 'application' && parseId('app', counter.subject.id) !== undefined
            ? `The application ${counter.subject.id}, with all of its keys and tokens,`
            : whose;
    return refuse(
      'rate_limited',
      `${who} has used the ${requests} requests that the limit ${counter.name}${of} allows ${inWords(window)}. Ask again in ${wait_s} s.`,
      {
        limit: counter.name,
        per,
        ...(plan === undefined ? {} : { plan }),
        requests,
        ...(window.period === undefined ? { window_s: window.window_s } : { period: window.period }),
        resets_at: new Date(counter.end_ms).toISOString(),
        retry_after_s: wait_s,
      },
    );
  }

  /** Counts one request, tells its client, and throws where it is refused. */
  function count(reply: FastifyReply, of: Allowance): Promise<void> | void {
    if (of.refusal !== undefined) throw refuse('plan_disabled', of.refusal.detail, { plan: of.refusal.plan });
    const now_ms = now();
    if (shared !== undefined) return countShared(reply, of, now_ms);
    const refusing = take(of.limits, now_ms, keeper);
    tellClient(reply, of, now_ms);
    if (refusing !== undefined) throw refusedBy(refusing, of.whose, now_ms);
  }

  async function countShared(reply: FastifyReply, of: Allowance, now_ms: number): Promise<void> {
    let refusing: Limit | undefined;
    try {
      refusing = await takeShared(of.limits, now_ms);
    } catch {
      if (options.when_redis_is_away === 'closed') {
        withoutRedis?.labels('refused').inc();
        throw refuse('limits_unavailable', 'Requests cannot be counted now; nothing was done.', {
          retry_after_s: AWAY_RETRY_AFTER_S,
        });
      }
      withoutRedis?.labels('counted_here').inc();
      refusing = take(of.limits, now_ms, keeper);
    }
    tellClient(reply, of, now_ms);
    if (refusing !== undefined) throw refusedBy(refusing, of.whose, now_ms);
  }

  /** As `take`, in Redis. What this process knows follows, so that it can go on from there when Redis is away. */
  async function takeShared(limits: Limits, now_ms: number): Promise<Limit | undefined> {
    if (shared === undefined) throw new Error('there is no Redis to count in');
    for (const { counter } of limits) turn(counter, now_ms, keeper);
    const places = limits.map(({ counter }) => placeOf(counter));
    const began = limits.map(({ counter }) => ({ start_ms: counter.start_ms, requests: counter.requests }));
    const { passed, counts } = await shared.take(
      places,
      limits.map(({ requests }) => requests),
      now_ms,
    );
    let refusing: Limit | undefined;
    for (const [index, limit] of limits.entries()) {
      const { counter } = limit;
      const [place, before] = [places[index], began[index]];
      let counted = counts[index] ?? 0;
      // It has lost its data: what the database knew when this process began, and what was counted here, is put back.
      if (passed && counted === 1 && counter.kept && (before?.requests ?? 0) > 0 && place !== undefined) {
        counted += before?.requests ?? 0;
        await shared.restore(place, counted - 1, now_ms);
      }
      if (passed ? counted > limit.requests : counted >= limit.requests) {
        if (refusing === undefined || counter.end_ms > refusing.counter.end_ms) refusing = limit;
      }
      if (counter.start_ms !== before?.start_ms) continue;
      counter.requests = Math.max(counter.requests, counted);
      if (passed && counter.kept) {
        counter.unsaved += 1;
        if (counter.unsaved === 1) keeper.changed(counter);
      }
      tell(limit, keeper);
    }
    return refusing;
  }

  let flushing: Promise<void> = Promise.resolve();

  async function save(): Promise<void> {
    const saving = unsaved;
    unsaved = [];
    for (const counter of changed) {
      const { start_ms, end_ms, unsaved: requests } = counter;
      if (requests > 0) saving.push({ counter, start_ms, end_ms, requests });
      counter.unsaved = 0;
    }
    changed = [];
    while (saving.length > 0) {
      const some = saving.slice(0, SAVED_AT_ONCE);
      let totals: Map<Unsaved, number>;
      try {
        totals = await saveCounts(db, some);
      } catch (error) {
        unsaved.push(...saving);
        throw error;
      }
      saving.splice(0, some.length);
      if (shared !== undefined) continue;
      for (const [{ counter, start_ms }, total] of totals) {
        // What other processes counted, too.
        if (counter.start_ms === start_ms) counter.requests = total + counter.unsaved;
      }
    }
  }

  async function tellAll(): Promise<void> {
    const telling = crossings;
    crossings = [];
    const byTenant = Map.groupBy(telling, ({ scope }) => `${scope.tenant_id} ${scope.environment}`);
    for (const some of byTenant.values()) {
      const [first] = some;
      if (first === undefined) continue;
      try {
        await tellCrossings(db, first.scope, some);
      } catch (error) {
        crossings.push(...some);
        onError(error, 'that a limit was crossed could not be told yet');
      }
    }
  }

  async function flushNow(): Promise<void> {
    await save().catch((error: unknown) =>
      onError(error, 'requests that were counted could not be kept yet'),
    );
    await tellAll();
  }

  function flush(): Promise<void> {
    flushing = flushing.then(flushNow);
    return flushing;
  }
  const timer = setInterval(() => void flush(), options.flush_every_ms ?? FLUSH_EVERY_MS);
  timer.unref();

  return {
    arrive(request, reply) {
      const kind = addressLimitOf(request.method, request.url);
      if (kind === undefined) return;
      return count(reply, allowanceOfAddress(kind, request.ip));
    },
    failed(request, reply, reason) {
      if (!(reason instanceof Problem) || ![401, 403].includes(reason.type.status)) return;
      return count(reply, allowanceOfAddress('unidentified', request.ip));
    },
    admit({ caller }, reply, administersLimits) {
      if (administersLimits) return count(reply, administrationOf(caller));
      const of = allowanceOf(caller);
      if (of instanceof Promise) return of.then((found) => count(reply, found));
      return count(reply, of);
    },
    async read(of) {
      const { limits } = await resolve(of, of.id);
      for (const { counter } of limits) turn(counter, now(), keeper);
      const counted = limits.map(({ counter }) => counter);
      const here = counted.map(({ requests }) => requests);
      if (shared !== undefined) {
        const counts = await shared.read(counted.map(placeOf)).catch(() => here);
        return limits.map((limit, index) => ({ limit, requests: counts[index] ?? 0 }));
      }
      await flush();
      // What other processes counted of a caller who has not come here since.
      const kept = await loadCounts(db, of, counted);
      return limits.map((limit, index) => ({
        limit,
        requests: Math.max(here[index] ?? 0, kept[index] ?? 0),
      }));
    },
    forget() {
      generation += 1;
      plans.clear();
    },
    flush,
    async stop() {
      clearInterval(timer);
      await flush();
      await shared?.close();
    },
  };
}

/** Why a plan allows nothing at all; undefined where it allows something. */
function refusalOf(
  name: string,
  status: 'active' | 'disabled' | undefined,
  limits: Limits,
): Allowance['refusal'] {
  if (status === undefined)
    return { plan: name, detail: `There is no plan ${name}, which this caller is on.` };
  if (status === 'disabled') return { plan: name, detail: `The plan ${name} is disabled.` };
  const none = limits.find(({ requests }) => requests === 0);
  if (none === undefined) return undefined;
  const of = none.per === 'tenant' ? 'of the tenant' : `of the plan ${name}`;
  return { plan: name, detail: `The limit ${none.counter.name} ${of} allows no requests.` };
}
