/** Counts that several processes share, in Redis or Valkey. */
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Counter } from './counter.ts';

/** Where the count of one window is kept. */
export interface Place {
  key: string;
  end_ms: number;
}

/** The place of the window that goes on: made before what is awaited, after which another may go on. */
export function placeOf({ subject: { scope, id }, name, start_ms, end_ms }: Counter): Place {
  // What stands in braces chooses the node of a Redis Cluster: a script works on one node's keys.
  const node = scope === undefined ? id : `${scope.tenant_id}:${scope.environment}`;
  return { key: `{${node}}:${id}:${name}:${start_ms}:${end_ms}`, end_ms };
}

export interface SharedCounts {
  /**
   * Counts a request in every place, or in none if one has come to its limit, and returns what each stands at then.
   * Throws when Redis does not answer, as the others do.
   */
  take(
    places: readonly Place[],
    limits: readonly number[],
    now_ms: number,
  ): Promise<{ passed: boolean; counts: number[] }>;
  /** Adds what Redis has forgotten. */
  restore(place: Place, requests: number, now_ms: number): Promise<void>;
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

const PREFIX = 'financialapi:limits';

/**
 * All windows or none, in one step. The library counts key by key: what one window refuses has to be taken back from
 * the others, and until it is, they refuse what they should not (docs/decisions/0014-rate-limits.md).
 */
const TAKE = `
local counts, passed = {}, 1
for i, key in ipairs(KEYS) do
  counts[i] = tonumber(redis.call('get', key) or '0')
  if counts[i] >= tonumber(ARGV[2 * i - 1]) then passed = 0 end
end
if passed == 1 then
  for i, key in ipairs(KEYS) do
    counts[i] = redis.call('incr', key)
    if counts[i] == 1 then redis.call('expire', key, ARGV[2 * i]) end
  end
end
return { passed, unpack(counts) }
`;
const Taken = Type.Array(Type.Integer(), { minItems: 1 });

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
    keyPrefix: PREFIX,
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

  const secondsKept = (end_ms: number, now_ms: number) =>
    Math.max(1, Math.ceil((end_ms - now_ms) / 1_000)) + GRACE_S;

  return {
    take: (places, limits, now_ms) =>
      asking(async () => {
        const taken: unknown = await redis.eval(
          TAKE,
          places.length,
          ...places.map(({ key }) => `${PREFIX}:${key}`),
          ...places.flatMap(({ end_ms }, index) => [limits[index] ?? 0, secondsKept(end_ms, now_ms)]),
        );
        if (!Check(Taken, taken)) throw new Error('Redis did not answer with counts');
        const [passed, ...counts] = taken;
        return { passed: passed === 1, counts };
      }),
    restore: (place, requests, now_ms) =>
      asking(async () => {
        await limiter.penalty(place.key, requests, { customDuration: secondsKept(place.end_ms, now_ms) });
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
