/** Counts that several processes share, in Redis or Valkey. */
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { Counter } from './counter.ts';

/** Where the count of one window is kept. */
export interface Place {
  key: string;
  end_ms: number;
}

/** The place of the window that goes on: made before what is awaited, after which another may go on. */
export function placeOf({ subject: { scope, id }, name, start_ms, end_ms }: Counter): Place {
  const tenant = scope === undefined ? '' : `${scope.tenant_id}:${scope.environment}:`;
  return { key: `${tenant}${id}:${name}:${start_ms}:${end_ms}`, end_ms };
}

export interface SharedCounts {
  /** Adds to each, and returns what each stands at then. Throws when Redis does not answer. */
  add(places: readonly Place[], requests: number, now_ms: number): Promise<number[]>;
  read(places: readonly Place[]): Promise<number[]>;
  close(): Promise<void>;
}

/** Slower than this it is as good as away: a request has better things to wait for. */
const ANSWER_WITHIN_MS = 500;
/** After silence it is not asked again for so long, or every request would wait in vain. */
const PAUSE_AFTER_SILENCE_MS = 1_000;
const MAX_RECONNECT_PAUSE_MS = 1_000;
/** What is kept longer than its window lasts, for processes whose clocks differ. */
const GRACE_S = 60;

export interface SharedCountsOptions {
  url: string;
  /** Told when the connection is lost or cannot be made, once for each time. */
  onAway: (error: unknown) => void;
}

export function openSharedCounts({ url, onAway }: SharedCountsOptions): SharedCounts {
  let away = false;
  const redis = new Redis(url, {
    // What waits for a server that is away would be answered late or never.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    commandTimeout: ANSWER_WITHIN_MS,
    retryStrategy: (attempt) => Math.min(50 * attempt, MAX_RECONNECT_PAUSE_MS),
  });
  const tellAway = (error: unknown) => {
    if (!away) onAway(error);
    away = true;
  };
  redis.on('error', tellAway);
  redis.on('ready', () => {
    away = false;
  });
  // Points and duration are the caller's: it has many limits and asks for the count only.
  const limiter = new RateLimiterRedis({
    storeClient: redis,
    keyPrefix: 'financialapi:limits',
    points: Number.MAX_SAFE_INTEGER,
    duration: 1,
    rejectIfRedisNotReady: true,
  });

  let silentUntil = 0;
  async function asking<T>(ask: () => Promise<T>): Promise<T> {
    if (performance.now() < silentUntil) throw new Error('Redis did not answer a moment ago');
    try {
      return await ask();
    } catch (error) {
      if (redis.status === 'ready') silentUntil = performance.now() + PAUSE_AFTER_SILENCE_MS;
      tellAway(error);
      throw error;
    }
  }

  const expiry = (end_ms: number, now_ms: number) => ({
    customDuration: Math.max(1, Math.ceil((end_ms - now_ms) / 1_000)) + GRACE_S,
  });

  return {
    // Commands of one turn of the event loop share a write to the socket: several windows wait as long as one.
    add: (places, requests, now_ms) =>
      asking(async () => {
        const counts = await Promise.all(
          places.map(({ key, end_ms }) => limiter.penalty(key, requests, expiry(end_ms, now_ms))),
        );
        return counts.map(({ consumedPoints }) => consumedPoints);
      }),
    read: (places) =>
      asking(async () => {
        const counts = await Promise.all(places.map(({ key }) => limiter.get(key)));
        return counts.map((count) => count?.consumedPoints ?? 0);
      }),
    close: () => {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}
