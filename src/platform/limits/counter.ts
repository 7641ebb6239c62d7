/** Counting in memory: without a promise and without a timer for each key, for it is done at every request. */
import type { Scope } from '../db.ts';
import { isLong, isTold, type Span, spanAt, type Window } from './window.ts';

/** Whom a count is of. */
export interface Subject {
  /** Undefined for an address, which is of no tenant. */
  scope: Scope | undefined;
  /** As it is kept: `key_…`, `app_…`, `plan:gold`, `tenant`, `address:203.0.113.7`. */
  id: string;
}

/** Requests of a subject in the window that goes on. */
export interface Counter extends Span {
  readonly subject: Subject;
  /** Name under which it is kept and told: `month`, `tenant:month`. */
  readonly name: string;
  readonly window: Window;
  /** Whether it is kept in the database. */
  readonly kept: boolean;
  requests: number;
  /** Those of `requests` that the database does not know yet. */
  unsaved: number;
  /** Highest threshold that this process has told of in this window, in percent. */
  told: number;
  /** Set once what the database knows of it is being read, or was. */
  loading: Promise<void> | undefined;
}

/** So many requests in a window, of one counter. */
export interface Limit {
  readonly counter: Counter;
  readonly requests: number;
  /** Count from which on it is near: 80 %. */
  readonly near: number;
  readonly per: 'caller' | 'application' | 'plan' | 'tenant' | 'address';
  /** Name of the plan it is of; undefined for a quota of the tenant and for addresses. */
  readonly plan: string | undefined;
  readonly tells: boolean;
}

/** Everything that one request counts against. */
export type Limits = readonly Limit[];

export function newCounter(subject: Subject, name: string, window: Window, now_ms: number): Counter {
  return {
    subject,
    name,
    window,
    kept: subject.scope !== undefined && isLong(window),
    ...spanAt(window, now_ms),
    requests: 0,
    unsaved: 0,
    told: 0,
    loading: undefined,
  };
}

const NEAR_SHARE = 0.8;

export function limitOn(
  counter: Counter,
  { window, per, plan }: { window: Window; per: Limit['per']; plan: string | undefined },
): Limit {
  const { requests } = window;
  return { counter, requests, near: Math.ceil(requests * NEAR_SHARE), per, plan, tells: isTold(window) };
}

/** What a counter tells to whoever keeps counts. */
export interface Keeper {
  /** A window is over whose last requests are not kept yet. */
  ended: (counter: Counter, span: Span, unsaved: number) => void;
  /** A counter has requests that are not kept, which it had not. */
  changed: (counter: Counter) => void;
  /** A count stands at or above 80 % of its limit, or at all of it, and this was not told in this window. */
  crossed: (limit: Limit) => void;
}

/** Begins the window that goes on now. A clock that was set back ends none: requests are not allowed twice. */
export function turn(counter: Counter, now_ms: number, keeper: Keeper): void {
  if (now_ms < counter.end_ms) return;
  const { start_ms, end_ms, unsaved } = counter;
  if (unsaved > 0) keeper.ended(counter, { start_ms, end_ms }, unsaved);
  const next = spanAt(counter.window, now_ms);
  counter.start_ms = next.start_ms;
  counter.end_ms = next.end_ms;
  counter.requests = 0;
  counter.unsaved = 0;
  counter.told = 0;
}

/** Counts one request that passed. */
function add(limit: Limit, keeper: Keeper): void {
  const { counter } = limit;
  counter.requests += 1;
  if (counter.kept) {
    counter.unsaved += 1;
    if (counter.unsaved === 1) keeper.changed(counter);
  }
  if (counter.requests >= limit.near) tell(limit, keeper);
}

/** Tells a crossing that was not told in this window. */
export function tell(limit: Limit, keeper: Keeper): void {
  const { counter, requests, near } = limit;
  if (!limit.tells || counter.told === 100) return;
  if ((counter.requests >= near && counter.told < 80) || counter.requests >= requests) keeper.crossed(limit);
}

/** Of the limits that are used up, the one that stays so longest: when it is over, all are. */
function usedUp(limits: Limits): Limit | undefined {
  let found: Limit | undefined;
  for (const limit of limits) {
    const { counter } = limit;
    if (counter.requests < limit.requests) continue;
    if (found === undefined || counter.end_ms > found.counter.end_ms) found = limit;
  }
  return found;
}

/**
 * Counts a request against all of its limits, or against none if one of them is used up, which is then returned: what
 * is refused for its haste costs nothing of the month.
 */
export function take(limits: Limits, now_ms: number, keeper: Keeper): Limit | undefined {
  for (const { counter } of limits) if (now_ms >= counter.end_ms) turn(counter, now_ms, keeper);
  const refusing = usedUp(limits);
  if (refusing !== undefined) {
    // Another process may have used it up.
    tell(refusing, keeper);
    return refusing;
  }
  for (const limit of limits) add(limit, keeper);
  return undefined;
}
