/**
 * Several processes on one port of one machine, for all of its processors. The primary owns PostgreSQL, where it is the
 * embedded one, and hands connections to workers, each of which serves as a single process would. It answers no request.
 */
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_CONNECTIONS } from './cluster.ts';
import type { Config } from './config.ts';
import { startEmbeddedPostgres } from './postgres.ts';
import { answerScrapes, isMessage } from './worker-metrics.ts';

/** Whether this process is to hand out connections, not to answer requests. */
export function isPrimaryOf(config: Config): boolean {
  return config.workers > 1 && cluster.isPrimary;
}

/** Tells a line to the primary, if there is one; whether there is. */
export function sayAsWorker(line: string): boolean {
  if (!cluster.isWorker) return false;
  process.send?.({ said: line });
  return true;
}

/** Tells the primary, if there is one, that requests are answered. */
export function tellReady(): void {
  if (cluster.isWorker) process.send?.({ ready: true });
}

/** The pause before a worker that died has a successor; it doubles each time, unless that one lived. */
const backoff_ms = { first: 100, longest: 10_000 };
/** A worker that answered requests for so long had a good start. */
const lived_ms = 30_000;
/** How much longer than its requests may take a worker has for what else it ends. */
const grace_ms = 20_000;
/** Connections of a process beside its pools of POOL_SIZE: events, jobs, news. */
const other_connections = 30;

/**
 * Runs the workers until a signal ends them. The first one starts alone: it migrates the database and makes what a first
 * start makes, and where it cannot, nothing else can.
 *
 * @param roles pools of POOL_SIZE that each worker may fill
 * @returns the exit code
 * @throws StartupError where PostgreSQL cannot be started
 */
export async function runWorkers(options: {
  config: Config;
  roles: number;
  say: (line: string) => void;
}): Promise<number> {
  const { config, roles, say } = options;
  const { workers: count } = config;
  const connections = count * (roles * config.pool_size + other_connections);
  if (config.database_url === undefined) say(`  starting PostgreSQL in ${config.data_dir}`);
  const server =
    config.database_url === undefined
      ? await startEmbeddedPostgres({
          data_dir: config.data_dir,
          settings: { max_connections: String(Math.max(MAX_CONNECTIONS, connections)) },
          onLog: (line) => say(`  ${line}`),
        })
      : { url: config.database_url, stop: () => Promise.resolve() };
  if (config.redis_url === undefined) {
    say(`  each of the ${count} workers counts requests for itself: limits of less than an hour allow up to`);
    say(`  ${count} times as many as they say; set REDIS_URL for the workers to count together`);
  }
  cluster.setupPrimary({ serialization: 'advanced' });
  // What a process alone would make for itself must be one for all.
  const shared: Record<string, string> = {
    DATABASE_URL: server.url,
    DATABASE_URL_FILE: '',
    ...(config.service_token_keys.length > 0
      ? {}
      : { SERVICE_TOKEN_KEY: randomBytes(32).toString('base64'), SERVICE_TOKEN_KEY_FILE: '' }),
  };

  const stopping = new AbortController();
  const ended = Promise.withResolvers<void>();
  const alive = new Set<Worker>();
  const isReady = new Set<Worker>();
  let started = false;
  let failed = false;
  let pause_ms = backoff_ms.first;

  function start(): void {
    const worker = cluster.fork(shared);
    alive.add(worker);
    const { id, process: child } = worker;
    const began = performance.now();
    worker.on('message', (message: unknown) => {
      if (isMessage('said', message) && !started) say(message.said);
      if (!isMessage('ready', message)) return;
      isReady.add(worker);
      say(`worker ${id} (pid ${child.pid}) answers requests`);
      if (started) return;
      started = true;
      for (let others = 1; others < count && !stopping.signal.aborted; others += 1) start();
    });
    worker.on('error', (error) => say(`worker ${id}: ${error.message}`));
    worker.on('exit', (code, signal) => {
      alive.delete(worker);
      isReady.delete(worker);
      if (stopping.signal.aborted) {
        // One that was only starting has no more to do than to end by the signal.
        failed ||= started && code !== 0 && signal !== 'SIGTERM';
        if (alive.size === 0) ended.resolve();
        return;
      }
      if (!started) {
        // It said why.
        failed = true;
        stopping.abort();
        ended.resolve();
        return;
      }
      if (performance.now() - began > lived_ms) pause_ms = backoff_ms.first;
      say(
        `worker ${id} (pid ${child.pid}) ended (${signal ?? `exit code ${code}`}); another starts in ${pause_ms} ms`,
      );
      void sleep(pause_ms, undefined, { signal: stopping.signal }).then(start, () => {});
      pause_ms = Math.min(2 * pause_ms, backoff_ms.longest);
    });
  }

  answerScrapes(isReady);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) return;
      stopping.abort();
      const left = [...alive];
      say(`${signal}: ${left.length} workers answer what is under way, then stop`);
      if (left.length === 0) ended.resolve();
      for (const worker of left) worker.process.kill('SIGTERM');
      setTimeout(() => {
        for (const worker of left) {
          if (worker.isDead()) continue;
          say(`worker ${worker.id} (pid ${worker.process.pid}) does not stop and is killed`);
          worker.process.kill('SIGKILL');
        }
      }, config.drain_timeout_ms + grace_ms).unref();
    });
  }
  start();
  await ended.promise;
  await server.stop();
  return failed ? 1 : 0;
}
