/**
 * Work that no request asks for: on a schedule, when something is due, or because somebody wants it now. pg-boss keeps
 * what waits and gives each to one process; when something is to run, and what became of it, is ours, by tenant.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { type Job, PgBoss, type SendOptions } from 'pg-boss';
import { Type } from 'typebox';
import { type Database, openDatabase, type Scope, type Transaction } from '../db.ts';
import { formatId, newUuid } from '../ids.ts';
import type { Metrics } from '../metrics.ts';
import { Problem } from '../problem.ts';
import { currentTraceparent, readTraceparent } from '../trace/context.ts';
import type { Traces } from '../trace/span.ts';
import {
  type JobHandler,
  type JobHandlers,
  type JobOutcome,
  type JobTypes,
  SYSTEM,
  scheduleText,
} from './job.ts';
import { openJobLocks } from './lock.ts';
import { isSystem, planJobs, readCircumstances, takeTurn, timed } from './plan.ts';
import { assertSchedule } from './schedule.ts';

export interface JobsOptions {
  /** Connection string of the database. */
  url: string;
  /** The platform's own database. */
  db: Database;
  log: FastifyBaseLogger;
  metrics: Metrics;
  traces: Traces;
  /** Every job there is. */
  types: JobTypes;
  /** Those whose work is done in this process. */
  own: readonly string[];
}

export interface Jobs {
  types: JobTypes;
  /** Says what does the work of some jobs. Before `start`, each must have it. */
  handle(handlers: JobHandlers): void;
  /** Begins to run what is due. Resolves when jobs are taken. */
  start(): Promise<void>;
  /** Ends what runs: it is taken up by another process, or by this one when it is there again. */
  stop(): Promise<void>;
  /** Says when the jobs of a tenant run next, before its clock or anything else of it changes. */
  plan(tx: Transaction, scope: Scope): Promise<void>;
  /**
   * Asks for a run now, in the transaction of whoever asks, and returns its UUID; undefined if one is under way or
   * waiting.
   */
  ask(tx: Transaction, scope: Scope, job: string, requested_by: string): Promise<string | undefined>;
}

/** How soon after its time a run begins at the latest, while there is room. */
const LOOKS_EVERY_MS = 1_000;
/** How often tenants without a schedule and runs without a process are looked for. */
const TIDIES_EVERY_MS = 5_000;
const STARTS_A_PASS = 100;
const SCOPES_A_PASS = 500;

const CONCURRENCY = 4;
const RETRIES = 5;
const RETRY_AFTER_S = 2;
const TIMEOUT_S = 300;
/** How long a handler that was told to end may take for it, before it is given up. */
const ENDING_MS = 5_000;
/** How long pg-boss waits on top of that. */
const MARGIN_S = 30;
/** A process that says nothing for so long no longer holds its jobs. */
const HEARTBEAT_S = 10;

const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});
const DueRow = Type.Intersect([ScopeRow, Type.Object({ job: Type.String() })]);
const JobRow = Type.Object({ job: Type.String() });
const WaitRow = Type.Object({ job: Type.String(), waits_s: Type.Number() });
const SuccessRow = Type.Object({ job: Type.String(), ago_s: Type.Number() });
const RunRow = Type.Object({ due_at: Type.String() });

/** What pg-boss keeps of a run: whose it is, and what asked for it. The rest is in `platform.job_runs`, where row-level security guards it. */
interface Parcel {
  tenant_id: string;
  environment: Scope['environment'];
  /** The place in a trace of whoever asked for it. */
  traceparent?: string;
}

const queueKey = ({ tenant_id, environment }: Scope) => `${tenant_id}/${environment}`;

/** The statements of pg-boss in a transaction of ours. */
function within(tx: Transaction): NonNullable<SendOptions['db']> {
  return {
    executeSql: async (text, values) => ({ rows: await tx.rows(Type.Unknown(), text, values ?? []) }),
  };
}

/** What may be told of a failure: a refusal tells itself; anything else may hold what is nobody's business. */
function failureOf(error: unknown): { code: string; message: string } {
  if (error instanceof Problem) return { code: error.code, message: error.message };
  if (error instanceof Interrupted) return { code: error.code, message: error.message };
  const sqlstate = error instanceof Error && 'code' in error ? String(error.code) : '';
  const detail = /^[0-9A-Z]{5}$/.test(sqlstate) ? ` (SQLSTATE ${sqlstate})` : '';
  return {
    code: 'internal',
    message: `The job failed${detail}. The server's log says why, under the id of the run.`,
  };
}

class Interrupted extends Error {
  readonly code: 'interrupted' | 'timed_out';
  constructor(code: Interrupted['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export function openJobs(options: JobsOptions): Jobs {
  const { url, db, log, metrics, traces, types, own } = options;
  const handlers = new Map<string, JobHandler>();
  const stopping = new AbortController();
  for (const [name, { schedule }] of Object.entries(types)) assertSchedule(name, schedule);

  const boss = new PgBoss({
    connectionString: url,
    options: '-c role=platform -c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000',
    application_name: 'financialapi jobs',
    schema: 'pgboss',
    max: 4,
    // No request waits for it, and a start does not fail for a machine that is busy.
    connectionTimeoutMillis: 15_000,
    // The tables are those of a migration; times are ours.
    migrate: false,
    createSchema: false,
    schedule: false,
    useListenNotify: true,
    registerInstance: false,
    reindex: false,
    monitorVacuum: false,
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    maintenanceIntervalSeconds: 3_600,
    openTelemetry: { enabled: false },
  });
  let complained = '';
  function complain(error: unknown, what: string): void {
    // While the database is away each look fails in the same way.
    const reason = `${what}: ${String(error)}`;
    if (reason !== complained) log.warn({ err: error }, what);
    complained = reason;
  }
  boss.on('error', (error) => {
    if (!stopping.signal.aborted) complain(error, 'jobs cannot be looked after for now');
  });
  boss.on('warning', ({ message }) => log.warn(`jobs: ${message}`));

  const runs = metrics.counter('jobs_runs_total', 'Runs of jobs by what they came to', ['job', 'outcome']);
  const durations = metrics.histogram(
    'jobs_attempt_duration_seconds',
    'Time that an attempt at a run took',
    [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300],
  );
  let waits: Record<string, number> = {};
  metrics.gauges(
    'jobs_oldest_wait_seconds',
    'Age of the oldest run that has not ended, by job; looked at every few seconds',
    'job',
    () => waits,
    'installation',
  );
  let successes: Record<string, number> = {};
  metrics.gauges(
    'jobs_last_success_age_seconds',
    'Time since a run last succeeded, by job, for whichever tenant; looked at every few seconds',
    'job',
    () => successes,
  );

  let locks: ReturnType<typeof openJobLocks> | undefined;

  /** Starts a run in the transaction: it is there when that commits. Undefined if one has not ended. */
  async function begin(
    tx: Transaction,
    scope: Scope,
    job: string,
    why: { reason: 'schedule' | 'due' } | { reason: 'request'; requested_by: string },
    due_at: Date,
  ): Promise<string | undefined> {
    const id = newUuid();
    const key = queueKey(scope);
    const begun = await tx.run(
      `insert into platform.job_runs (tenant_id, environment, id, job, reason, requested_by, due_at)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [
        scope.tenant_id,
        scope.environment,
        id,
        job,
        why.reason,
        'requested_by' in why ? why.requested_by : null,
        due_at.toISOString(),
      ],
    );
    if (begun === 0) return undefined;
    const traceparent = currentTraceparent();
    const parcel: Parcel = {
      tenant_id: scope.tenant_id,
      environment: scope.environment,
      ...(traceparent === undefined ? {} : { traceparent }),
    };
    const sent = await boss.send(job, parcel, { id, singletonKey: key, group: { id: job }, db: within(tx) });
    // A run whose row went with its sandbox is still under way.
    return sent === null ? undefined : id;
  }

  /** The transaction is rolled back where nothing begins, and the next time stays what it was. */
  const nothingBegins = new Error('nothing begins');

  async function attemptTurn(scope: Scope, job: string, work: (tx: Transaction) => Promise<boolean>) {
    try {
      await db.write(scope, async (tx) => {
        if (!(await work(tx))) throw nothingBegins;
      });
    } catch (error) {
      if (error !== nothingBegins) complain(error, `a run of ${job} could not begin`);
    }
  }

  const names = Object.keys(types);

  async function look(): Promise<void> {
    const due = await db.rows(DueRow, 'select * from platform.due_jobs($1, $2)', [names, STARTS_A_PASS]);
    for (const { job, ...scope } of due) {
      if (stopping.signal.aborted) return;
      const schedule = types[job]?.schedule;
      if (schedule === undefined || schedule === 'when due') continue;
      await attemptTurn(scope, job, async (tx) => {
        const due_at = await takeTurn(tx, scope, job, schedule);
        if (due_at === undefined) return false;
        return (await begin(tx, scope, job, { reason: 'schedule' }, due_at)) !== undefined;
      });
    }
    for (const [job, { due: find }] of handlers) {
      if (find === undefined || stopping.signal.aborted) continue;
      const scopes = await find().catch((error: unknown) => {
        complain(error, `what is due for ${job} could not be looked for`);
        return [];
      });
      for (const scope of scopes) {
        if (stopping.signal.aborted) return;
        await attemptTurn(scope, job, async (tx) => {
          const { now } = await readCircumstances(tx, scope);
          return (await begin(tx, scope, job, { reason: 'due' }, now)) !== undefined;
        });
      }
    }
  }

  async function tidy(): Promise<void> {
    const ofTenants = timed(types, 'tenant');
    const scopes = await db.rows(ScopeRow, 'select * from platform.unscheduled_scopes($1, $2, $3)', [
      ofTenants.map(([name]) => name),
      ofTenants.map(([, schedule]) => scheduleText(schedule)),
      SCOPES_A_PASS,
    ]);
    for (const scope of [SYSTEM, ...scopes]) {
      if (stopping.signal.aborted) return;
      // One whose calendar leaves no time holds up no other.
      await db
        .write(scope, (tx) => planJobs(tx, types, scope))
        .catch((error: unknown) =>
          complain(error, `the jobs of tenant ${scope.tenant_id} could not be planned`),
        );
    }
    for (const { job } of await db.rows(JobRow, 'select * from platform.close_lost_job_runs()')) {
      runs.inc({ job, outcome: 'failed' });
      log.error({ job }, 'a run ended with its process, at every attempt');
    }
    const found = await db.rows(WaitRow, 'select * from platform.job_waits()');
    waits = {
      ...Object.fromEntries(names.map((name) => [name, 0])),
      ...Object.fromEntries(found.map(({ job, waits_s }) => [job, waits_s])),
    };
    const succeeded = await db.rows(SuccessRow, 'select * from platform.job_successes($1)', [names]);
    successes = Object.fromEntries(succeeded.map(({ job, ago_s }) => [job, ago_s]));
  }

  /** Does the work of one attempt, told to end when it is time. */
  async function perform(
    handler: JobHandler,
    scope: Scope,
    run: { id: string; job: string; due_at: Date; timeout_s: number; signals: AbortSignal[] },
  ): Promise<JobOutcome | undefined> {
    const timeout = AbortSignal.timeout(run.timeout_s * 1_000);
    const signal = AbortSignal.any([timeout, stopping.signal, ...run.signals]);
    const { now } = await db.read(scope, (tx) => readCircumstances(tx, scope));
    const work = handler.run({
      scope,
      signal,
      now,
      due_at: run.due_at,
      log: log.child({ job: run.job, run_id: run.id, ...(isSystem(scope) ? {} : scope) }),
    });
    let timer: NodeJS.Timeout | undefined;
    const given_up = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        timer = setTimeout(() => reject(interruption()), ENDING_MS);
      });
    });
    const interruption = () =>
      timeout.aborted
        ? new Interrupted('timed_out', `The attempt took longer than ${run.timeout_s} s.`)
        : new Interrupted('interrupted', 'The process that ran it stopped, or lost the database.');
    try {
      const did = await Promise.race([work, given_up]);
      // It may have ended early because it was told to.
      if (signal.aborted) throw interruption();
      return did;
    } catch (error) {
      throw signal.aborted ? interruption() : error;
    } finally {
      clearTimeout(timer);
      // Nobody else may begin before it has ended, however long that takes.
      await work.then(
        () => {},
        () => {},
      );
    }
  }

  /** Does an attempt at a run, and says how it failed, if it did. */
  async function attempt(name: string, job: Job<Parcel>): Promise<{ code: string } | undefined> {
    const handler = handlers.get(name);
    const type = types[name];
    if (handler === undefined || type === undefined) throw new Error(`nobody does the work of ${name}`);
    const { tenant_id, environment } = job.data;
    const scope: Scope = { tenant_id, environment };
    const key = [tenant_id, environment, job.id];
    if (locks === undefined) throw new Error('jobs have not been started');
    const lock = await locks.take(
      `${name} ${queueKey(scope)}`,
      AbortSignal.any([job.signal, stopping.signal]),
    );
    if (lock === undefined) throw new Interrupted('interrupted', 'The process stopped before it began.');
    const began = performance.now();
    try {
      const [run] = await db.write(scope, (tx) =>
        tx.rows(
          RunRow,
          `update platform.job_runs set outcome = 'running', attempt = $4, started_at = clock_timestamp(), error = null
           where tenant_id = $1 and environment = $2 and id = $3 and outcome in ('waiting', 'running', 'retrying')
           returning due_at`,
          [...key, job.retryCount + 1],
        ),
      );
      // It was done before the process that did it could say so, or went with its sandbox.
      if (run === undefined) return undefined;
      const did = await traces.record(
        `job ${name}`,
        {
          parent: readTraceparent(job.data.traceparent),
          attributes: {
            'financialapi.job': name,
            'financialapi.run_id': formatId('run', job.id),
            'financialapi.attempt': job.retryCount + 1,
            ...(isSystem(scope)
              ? {}
              : {
                  'financialapi.tenant_id': formatId('ten', tenant_id),
                  'financialapi.environment': environment,
                }),
          },
        },
        () =>
          perform(handler, scope, {
            id: job.id,
            job: name,
            due_at: new Date(run.due_at),
            timeout_s: type.timeout_s ?? TIMEOUT_S,
            signals: [job.signal, lock.lost],
          }),
      );
      await settle(scope, key, 'succeeded', null, did ?? null);
      runs.inc({ job: name, outcome: 'succeeded' });
      return undefined;
    } catch (error) {
      const outcome = job.retryCount < (type.retries ?? RETRIES) ? 'retrying' : 'failed';
      const failure = failureOf(error);
      if (failure.code !== 'interrupted') {
        log.error({ err: error, job: name, run_id: job.id, attempt: job.retryCount + 1 }, 'a job failed');
      }
      await settle(scope, key, outcome, failure, null).catch((lost: unknown) =>
        complain(lost, 'that a job failed could not be noted'),
      );
      runs.inc({ job: name, outcome });
      return failure;
    } finally {
      durations.observe((performance.now() - began) / 1_000);
      await lock.release();
    }
  }

  async function settle(
    scope: Scope,
    key: readonly string[],
    outcome: 'succeeded' | 'retrying' | 'failed',
    error: object | null,
    did: JobOutcome | null,
  ): Promise<void> {
    await db.write(scope, (tx) =>
      tx.run(
        `update platform.job_runs set outcome = $4, error = $5, did = $6,
           ended_at = case when $4 <> 'retrying' then clock_timestamp() end
         where tenant_id = $1 and environment = $2 and id = $3 and outcome in ('waiting', 'running', 'retrying')`,
        [
          ...key,
          outcome,
          error === null ? null : JSON.stringify(error),
          did === null ? null : JSON.stringify(did),
        ],
      ),
    );
  }

  let loop: Promise<void> = Promise.resolve();

  async function keepLooking(): Promise<void> {
    let tidiedAt = Number.NEGATIVE_INFINITY;
    while (!stopping.signal.aborted) {
      try {
        if (performance.now() - tidiedAt >= TIDIES_EVERY_MS) {
          await tidy();
          tidiedAt = performance.now();
        }
        await look();
        complained = '';
      } catch (error) {
        if (!stopping.signal.aborted) complain(error, 'what is due could not be looked for');
      }
      await sleep(LOOKS_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  return {
    types,
    handle(more) {
      for (const [name, handler] of Object.entries(more)) {
        const type = types[name];
        if (type === undefined) throw new Error(`the job ${name} is done and not declared`);
        if ((type.schedule === 'when due') !== (handler.due !== undefined)) {
          throw new Error(`the job ${name} has no way to tell whose run is due, or one beside its schedule`);
        }
        handlers.set(name, handler);
      }
    },
    async start() {
      for (const name of own) {
        if (!handlers.has(name)) throw new Error(`the job ${name} is declared and not done`);
      }
      locks = openJobLocks(
        openDatabase({
          url,
          role: 'platform',
          pool_size: 1,
          statement_timeout_ms: 10_000,
          lock_timeout_ms: 10_000,
          onError: (error) => complain(error, 'the connection that holds the locks of jobs was lost'),
        }),
      );
      await boss.start();
      for (const [name, type] of Object.entries(types)) {
        const queue = {
          retryLimit: type.retries ?? RETRIES,
          retryDelay: type.retry_after_s ?? RETRY_AFTER_S,
          retryBackoff: true,
          retryDelayMax: 600,
          expireInSeconds: (type.timeout_s ?? TIMEOUT_S) + MARGIN_S,
          heartbeatSeconds: HEARTBEAT_S,
          // What became of it is kept as a run.
          deleteAfterSeconds: 3_600,
          notify: true,
        };
        await boss.createQueue(name, { ...queue, policy: 'exclusive' });
        await boss.updateQueue(name, queue);
        // Another process does it, and this one may plan and ask for it all the same.
        if (!own.includes(name)) continue;
        const concurrency = type.per === 'system' ? 1 : (type.concurrency ?? CONCURRENCY);
        await boss.work<Parcel>(
          name,
          {
            localConcurrency: concurrency,
            groupConcurrency: concurrency,
            pollingIntervalSeconds: 2,
            notifyPollingIntervalSeconds: 5,
            heartbeatRefreshSeconds: 3,
          },
          async ([job]) => {
            const failure = job === undefined ? undefined : await attempt(name, job);
            // pg-boss keeps what it is thrown: nothing of what happened is in that.
            if (failure !== undefined) throw new Error(failure.code);
          },
        );
      }
      loop = keepLooking();
    },
    async stop() {
      stopping.abort();
      await loop;
      await boss.stop({ graceful: true, timeout: ENDING_MS + 2_000, close: true });
      await locks?.close();
    },
    plan: (tx, scope) => planJobs(tx, types, scope),
    async ask(tx, scope, job, requested_by) {
      const { now } = await readCircumstances(tx, scope);
      return begin(tx, scope, job, { reason: 'request', requested_by }, now);
    },
  };
}
