/** Every endpoint of background work: method, path, permission, schema, call. */
import { createHash } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Caller } from '../access/caller.ts';
import { type CursorContent, Page, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Database, Scope, Transaction } from '../db.ts';
import { ProblemBody } from '../http.ts';
import { answerCreated, attemptOf, canonicalRequest, IdempotencyHeaders } from '../idempotency.ts';
import { formatId, Id } from '../ids.ts';
import { once } from '../once.ts';
import { refuse } from './errors.ts';
import { type JobType, SYSTEM, scheduleText } from './job.ts';
import type { Jobs } from './jobs.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['jobs'];

const OUTCOMES = ['waiting', 'running', 'retrying', 'succeeded', 'failed'] as const;
const Outcome = Type.Union(
  OUTCOMES.map((outcome) => Type.Literal(outcome)),
  { description: '`retrying`: an attempt failed, and another follows' },
);
const Reason = Type.Union([Type.Literal('schedule'), Type.Literal('due'), Type.Literal('request')]);
const JobName = Type.String({ pattern: '^[a-z]+\\.[a-z_]+$', maxLength: 100 });

const JobFailure = Type.Object({ code: Type.String(), message: Type.String() });

const Run = Type.Object({
  id: Id('run'),
  job: Type.String(),
  reason: Reason,
  requested_by: Type.Optional(Type.String()),
  due_at: Type.String({ description: 'By the clock of the tenant; a sandbox’s may be ahead' }),
  created_at: Type.String(),
  started_at: Type.Optional(Type.String({ description: 'Of the last attempt' })),
  ended_at: Type.Optional(Type.String()),
  outcome: Outcome,
  attempt: Type.Integer({ description: 'How often it was begun' }),
  error: Type.Optional(JobFailure),
  did: Type.Optional(
    Type.Record(Type.String(), Type.Number(), { description: 'What it came to, in numbers' }),
  ),
});

const JobBody = Type.Object({
  name: Type.String(),
  meaning: Type.String(),
  per: Type.Union([Type.Literal('tenant'), Type.Literal('system')]),
  schedule: Type.String({ examples: ['every 600 s', '30 3 * * * (business days)', 'when due'] }),
  time_zone: Type.Optional(Type.String({ description: 'Of a cron schedule' })),
  next_at: Type.Optional(
    Type.String({
      description: 'By the clock of the tenant. Absent while paused, and of what runs when due',
    }),
  ),
  paused: Type.Boolean(),
  paused_at: Type.Optional(Type.String()),
  paused_by: Type.Optional(Type.String()),
  last_run: Type.Optional(Run),
});

const RunRow = Type.Object({
  id: Type.String(),
  job: Type.String(),
  reason: Reason,
  requested_by: Type.Union([Type.String(), Type.Null()]),
  due_at: Type.String(),
  created_at: Type.String(),
  started_at: Type.Union([Type.String(), Type.Null()]),
  ended_at: Type.Union([Type.String(), Type.Null()]),
  outcome: Outcome,
  attempt: Type.Integer(),
  error: Type.Union([JobFailure, Type.Null()]),
  did: Type.Union([Type.Record(Type.String(), Type.Number()), Type.Null()]),
});
type RunRow = Static<typeof RunRow>;

const runColumns =
  'r.id, r.job, r.reason, r.requested_by, r.due_at, r.created_at, r.started_at, r.ended_at, r.outcome, r.attempt, r.error, r.did';

function runBody(row: RunRow): Static<typeof Run> {
  const { id, job, reason, due_at, created_at, outcome, attempt } = row;
  const { requested_by, started_at, ended_at, error, did } = row;
  return {
    id: formatId('run', id),
    job,
    reason,
    ...(requested_by === null ? {} : { requested_by }),
    due_at,
    created_at,
    ...(started_at === null ? {} : { started_at }),
    ...(ended_at === null ? {} : { ended_at }),
    outcome,
    attempt,
    ...(error === null ? {} : { error }),
    ...(did === null ? {} : { did }),
  };
}

const StateRow = Type.Object({
  job: Type.String(),
  next_at: Type.Union([Type.String(), Type.Null()]),
  paused_at: Type.Union([Type.String(), Type.Null()]),
  paused_by: Type.Union([Type.String(), Type.Null()]),
  time_zone: Type.Union([Type.String(), Type.Null()]),
});

const RunsQuery = Type.Object(
  { ...pageQuery, outcome: Type.Optional(Outcome) },
  { additionalProperties: false },
);
interface RunsFilters {
  outcome?: Static<typeof Outcome>;
}
const runsCursor = Compile(
  Type.Object({
    filters: Type.Object({ outcome: Type.Optional(Outcome) }),
    after: Type.String({ format: 'uuid' }),
  }),
);
const isRunsCursor = (content: unknown): content is CursorContent<RunsFilters, string> =>
  runsCursor.Check(content);

/** Keys are of whoever asked: those of the system's runs, which many may ask for, too. */
function keyOf(caller: Caller, scope: Scope, key: string): string {
  if (scope !== SYSTEM) return key;
  return createHash('sha256').update(`${caller.tenant_id} ${caller.environment} ${key}`).digest('hex');
}

/** The same for those of tenants and those of the system: where they are, and who may see and steer them. */
const families = [
  {
    per: 'tenant',
    path: '/api/v2/jobs',
    whose: '',
    read: 'jobs:read',
    run: 'jobs:run',
    pause: 'jobs:pause',
    scopeOf: (caller: Caller): Scope => caller,
  },
  {
    per: 'system',
    path: '/api/v2/system-jobs',
    whose: ' of the system as a whole',
    read: 'system_jobs:read',
    run: 'system_jobs:run',
    pause: 'system_jobs:pause',
    scopeOf: (): Scope => SYSTEM,
  },
] as const;

export function jobRoutes(options: { db: Database; jobs: Jobs }): FastifyPluginAsyncTypebox {
  return async (app) => {
    for (const family of families) await app.register(routesOf(family, options));
  };
}

function routesOf(
  { per, path, whose, read, run: running, pause, scopeOf }: (typeof families)[number],
  { db, jobs }: { db: Database; jobs: Jobs },
): FastifyPluginAsyncTypebox {
  const own = Object.entries(jobs.types)
    .filter(([, type]) => type.per === per)
    .toSorted(([one], [other]) => (one < other ? -1 : 1));

  /** A job of this family. */
  function jobOf(name: string): JobType {
    const [, type] = own.find(([each]) => each === name) ?? [];
    if (type === undefined) throw refuse('job_not_found', `There is no job ${name}${whose}.`);
    return type;
  }

  async function readJobs(
    scope: Scope,
    named: readonly (readonly [string, JobType])[],
  ): Promise<Static<typeof JobBody>[]> {
    if (named.length === 0) return [];
    const names = named.map(([name]) => name);
    return db.read(scope, async (tx) => {
      const key = [scope.tenant_id, scope.environment, names];
      const states = await tx.rows(
        StateRow,
        `select j.job, s.next_at, p.paused_at, p.paused_by, t.time_zone
         from unnest($3::text[]) j (job)
         left join platform.job_schedules s on s.tenant_id = $1 and s.environment = $2 and s.job = j.job
         left join platform.job_pauses p on p.tenant_id = $1 and p.environment = $2 and p.job = j.job
         left join platform.tenants t on t.tenant_id = $1`,
        key,
      );
      const last = await tx.rows(
        RunRow,
        `select ${runColumns} from unnest($3::text[]) j (job)
         cross join lateral (select * from platform.job_runs r
           where r.tenant_id = $1 and r.environment = $2 and r.job = j.job order by r.id desc limit 1) r`,
        key,
      );
      return named.map(([name, type]) => {
        const state = states.find(({ job }) => job === name);
        const run = last.find(({ job }) => job === name);
        const { schedule } = type;
        const isCron = typeof schedule === 'object' && 'cron' in schedule;
        const paused_at = state?.paused_at ?? null;
        const paused_by = state?.paused_by ?? null;
        const next_at = state?.next_at ?? null;
        return {
          name,
          meaning: type.meaning,
          per: type.per,
          schedule: scheduleText(schedule),
          ...(isCron ? { time_zone: state?.time_zone ?? 'UTC' } : {}),
          ...(next_at === null || paused_at !== null ? {} : { next_at }),
          paused: paused_at !== null,
          ...(paused_at === null ? {} : { paused_at }),
          ...(paused_by === null ? {} : { paused_by }),
          ...(run === undefined ? {} : { last_run: runBody(run) }),
        };
      });
    });
  }

  async function readJob(scope: Scope, name: string): Promise<Static<typeof JobBody>> {
    const [job] = await readJobs(scope, [[name, jobOf(name)]]);
    if (job === undefined) throw new Error(`the job ${name} was there and is not`);
    return job;
  }

  async function findRun(tx: Transaction, scope: Scope, condition: string, value: string) {
    const [run] = await tx.rows(
      RunRow,
      `select ${runColumns} from platform.job_runs r
       where r.tenant_id = $1 and r.environment = $2 and ${condition}`,
      [scope.tenant_id, scope.environment, value],
    );
    return run;
  }

  return async (app) => {
    const params = Type.Object({ job: JobName });

    app.get(
      path,
      {
        config: { permission: read },
        schema: {
          summary: `Background work${whose}: what there is, when it runs next, and how it went last`,
          tags,
          response: { 200: Type.Object({ data: Type.Array(JobBody) }), ...refusals },
        },
      },
      async ({ caller }) => ({ data: await readJobs(scopeOf(caller), own) }),
    );

    app.get(
      `${path}/:job/runs`,
      {
        config: { permission: read },
        schema: {
          summary: `Runs of a job${whose}, newest first`,
          tags,
          params,
          querystring: RunsQuery,
          response: { 200: Page(Run), ...refusals },
        },
      },
      async ({ caller, params: { job: name }, query }) => {
        jobOf(name);
        const scope = scopeOf(caller);
        const { outcome, ...rest } = query;
        const page = readPage(isRunsCursor, outcome === undefined ? {} : { outcome }, rest);
        const rows = await db.read(scope, (tx) =>
          tx.rows(
            RunRow,
            `select ${runColumns} from platform.job_runs r
             where r.tenant_id = $1 and r.environment = $2 and r.job = $3
               and ($4::text is null or r.outcome = $4) and ($5::uuid is null or r.id < $5)
             order by r.id desc limit $6`,
            [
              scope.tenant_id,
              scope.environment,
              name,
              page.filters.outcome ?? null,
              page.after ?? null,
              page.limit + 1,
            ],
          ),
        );
        return pageOf(rows, page, runBody, ({ id }) => id);
      },
    );

    app.post(
      `${path}/:job/run`,
      {
        config: { permission: running },
        schema: {
          summary: `Run a job${whose} now; its schedule stays what it is`,
          description: 'A paused job runs, too. What becomes of the run its list tells.',
          tags,
          params,
          headers: IdempotencyHeaders,
          response: { 201: Run, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller } = request;
        const { job: name } = request.params;
        jobOf(name);
        const scope = scopeOf(caller);
        const attempt = attemptOf(request, `${path}/${name}/run`);
        const { id, replayed } = await once(
          db,
          scope,
          { ...attempt, key: keyOf(caller, scope, attempt.key), request: canonicalRequest(null) },
          refuse,
          async (tx) => {
            const begun = await jobs.ask(tx, scope, name, caller.principal.id);
            if (begun !== undefined) return begun;
            const open = await findRun(
              tx,
              scope,
              "r.job = $3 and r.outcome in ('waiting', 'running', 'retrying')",
              name,
            );
            throw refuse(
              'job_in_progress',
              `A run of ${name} is waiting or under way.`,
              open === undefined ? {} : { run_id: formatId('run', open.id) },
            );
          },
        );
        const run = await db.read(scope, (tx) => findRun(tx, scope, 'r.id = $3', id));
        // It was asked for long ago, and its record is no longer kept.
        if (run === undefined) throw refuse('job_not_found', 'The run was done, and its record is gone.');
        request.audit({ subject: name, after: runBody(run) });
        answerCreated(reply, `${path}/${name}/runs`, replayed);
        return runBody(run);
      },
    );

    app.post(
      `${path}/:job/pause`,
      {
        config: { permission: pause },
        schema: {
          summary: `Pause a job${whose}: its schedule starts no run until it is resumed`,
          description: 'A run that is under way goes on. A job that is paused already stays so.',
          tags,
          params,
          response: { 200: JobBody, ...refusals },
        },
      },
      async (request) => {
        const {
          caller,
          params: { job: name },
        } = request;
        const scope = scopeOf(caller);
        if (jobOf(name).schedule === 'when due') {
          throw refuse('job_not_pausable', `${name} runs when something is due.`);
        }
        const changed = await db.write(scope, (tx) =>
          tx.run(
            `insert into platform.job_pauses (tenant_id, environment, job, paused_by) values ($1, $2, $3, $4)
             on conflict do nothing`,
            [scope.tenant_id, scope.environment, name, caller.principal.id],
          ),
        );
        const after = await readJob(scope, name);
        request.audit({ subject: name, before: { paused: changed === 0 }, after: { paused: true } });
        return after;
      },
    );

    app.post(
      `${path}/:job/resume`,
      {
        config: { permission: pause },
        schema: {
          summary: `Resume a paused job${whose}; what it missed meanwhile it does as after a stop of the process`,
          tags,
          params,
          response: { 200: JobBody, ...refusals },
        },
      },
      async (request) => {
        const {
          caller,
          params: { job: name },
        } = request;
        jobOf(name);
        const scope = scopeOf(caller);
        const changed = await db.write(scope, (tx) =>
          tx.run('delete from platform.job_pauses where tenant_id = $1 and environment = $2 and job = $3', [
            scope.tenant_id,
            scope.environment,
            name,
          ]),
        );
        request.audit({ subject: name, before: { paused: changed === 1 }, after: { paused: false } });
        return readJob(scope, name);
      },
    );
  };
}
