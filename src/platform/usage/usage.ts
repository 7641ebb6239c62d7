/**
 * Usage: what each caller asked of the API, counted in memory beside the answer and added to the database each second. A
 * process that is killed forgets what it counted in the last second, and no more.
 */
import { type Database, unavailableFor } from '../db.ts';
import type { Api } from '../http.ts';
import { newUuid } from '../ids.ts';
import type { Metrics } from '../metrics.ts';
import { type Counted, openUsageCounts, type UsageCountsOptions } from './counts.ts';

const FLUSH_EVERY_MS = 1_000;
/** Series in one statement. */
const ADDED_AT_ONCE = 5_000;
/** How long the end of the process waits for a database that is away. */
const STOPPING_MS = 3_000;

export interface Usage {
  /** Adds what was counted to the database. Never rejects: what could not be added is kept, and tried again. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface UsageOptions extends UsageCountsOptions {
  metrics?: Metrics;
  /** Told of what fails beside the requests. */
  onError?: (error: unknown, what: string) => void;
  flush_every_ms?: number;
}

/** What goes to the database in one statement. It goes again, just as it is, until it is known to have come. */
interface Batch {
  sequence: number;
  counted: Counted[];
}

/** Counts what is asked through a server. */
export function mountUsage(app: Api, db: Database, options: UsageOptions = {}): Usage {
  const { metrics, onError = () => {}, flush_every_ms = FLUSH_EVERY_MS } = options;
  const lost = metrics?.counter('usage_requests_lost_total', 'Requests that no usage tells of', ['reason']);
  const counts = openUsageCounts({ ...options, onLost: () => lost?.labels('no_room').inc() });
  const process_id = newUuid();
  let sequence = 0;
  let sending: Batch | undefined;
  let flushing: Promise<void> = Promise.resolve();

  app.addHook('onResponse', (request, reply, done) => {
    counts.count(request, reply);
    done();
  });

  /** Sends what waits. Throws what the database said; what is under way is kept then. */
  async function send(): Promise<void> {
    for (;;) {
      if (sending === undefined) {
        const counted = counts.take(ADDED_AT_ONCE);
        if (counted.length === 0) return;
        sequence += 1;
        sending = { sequence, counted };
      }
      await addUsage(db, process_id, sending);
      sending = undefined;
    }
  }

  async function flushNow(): Promise<void> {
    try {
      await send();
    } catch (error) {
      if (unavailableFor(error) !== undefined) {
        onError(error, 'usage that was counted could not be kept yet');
        return;
      }
      // No retry would help, and what comes later is not to wait for it.
      const calls = sending?.counted.reduce((sum, { calls: some }) => sum + some, 0) ?? 0;
      sending = undefined;
      lost?.labels('refused').inc(calls);
      onError(error, `usage of ${calls} requests is lost: the database does not take it`);
    }
  }

  function flush(): Promise<void> {
    flushing = flushing.then(flushNow);
    return flushing;
  }

  let busy = false;
  const timer = setInterval(() => {
    // A database that is slow gets no queue of flushes.
    if (busy) return;
    busy = true;
    void flush().then(() => {
      busy = false;
    });
  }, flush_every_ms);
  timer.unref();

  return {
    flush,
    async stop() {
      clearInterval(timer);
      await Promise.race([flush(), new Promise((resolve) => setTimeout(resolve, STOPPING_MS).unref())]);
    },
  };
}

async function addUsage(db: Database, process_id: string, { sequence, counted }: Batch): Promise<void> {
  const column = (of: (one: Counted) => unknown) => counted.map(of);
  await db.run(
    'select platform.add_usage($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)',
    [
      process_id,
      sequence,
      column(({ scope }) => scope.tenant_id),
      column(({ scope }) => scope.environment),
      column(({ minute_ms }) => new Date(minute_ms).toISOString()),
      column(({ principal }) => principal.id),
      column(({ method }) => method),
      column(({ route }) => route),
      column(({ status }) => status),
      column(({ principal }) => principal.kind),
      column(({ principal }) => principal.name?.slice(0, 300) ?? null),
      column(({ application_id }) => application_id ?? null),
      column(({ calls }) => calls),
      column(({ latency }) => latency),
      '[]',
      0,
    ],
  );
}
