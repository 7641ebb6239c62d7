/** Jobs of a service of the test, through the API and the real database. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createInstallation } from '../src/platform/access/tenant.ts';
import type { Scope } from '../src/platform/db.ts';
import type { JobRun } from '../src/platform/job/job.ts';
import { provide } from '../src/platform/port/port.ts';
import { refuse } from '../src/platform/problem.ts';
import { defineService } from '../src/platform/service.ts';
import { ledgerPort } from '../src/services/ledger/contract.ts';
import { services } from '../src/services.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

/** What each job of the test does, and what it was told; by tenant, so that tests do not meet. */
const done: { job: string; scope: Scope; now: Date; due_at: Date }[] = [];
const doing = new Map<string, (run: JobRun) => Promise<void>>();
const dueOnce = new Set<string>();

const handler = (job: string) => ({
  run: async (run: JobRun) => {
    done.push({ job, scope: run.scope, now: run.now, due_at: run.due_at });
    await doing.get(`${job} ${run.scope.tenant_id}`)?.(run);
    return { things: 3 };
  },
});

/** Takes the role of a service that every database has; it makes nothing there. */
const bank = defineService({
  name: 'ledger',
  migrations: services.find(({ name }) => name === 'ledger')?.migrations ?? '',
  problems: {},
  permissions: {},
  jobs: {
    'ledger.nightly': { meaning: 'Runs each night', per: 'tenant', schedule: { cron: '0 2 * * *' } },
    'ledger.accrue': {
      meaning: 'Runs for each business day',
      per: 'tenant',
      schedule: { cron: '0 4 * * *', days: 'business days', missed: 'each' },
    },
    'ledger.yearly': {
      meaning: 'Runs rarely',
      per: 'tenant',
      schedule: { cron: '0 0 1 1 *' },
      retries: 1,
      retry_after_s: 1,
      timeout_s: 2,
    },
    'ledger.when_due': { meaning: 'Runs when due', per: 'tenant', schedule: 'when due' },
    'ledger.limited': {
      meaning: 'Runs for one tenant after the other',
      per: 'tenant',
      schedule: { cron: '0 0 1 1 *' },
      concurrency: 1,
    },
    'ledger.whole': { meaning: 'Runs for everybody', per: 'system', schedule: { every_s: 1 } },
  },
  provides: ledgerPort,
  start: () => ({
    port: provide(ledgerPort, {
      getPosition: () => Promise.resolve({ position: 0 }),
      plantSeed: () => Promise.reject(new Error('nothing is planted here')),
    }),
    routes: async () => {},
    jobs: {
      'ledger.nightly': handler('ledger.nightly'),
      'ledger.accrue': handler('ledger.accrue'),
      'ledger.yearly': handler('ledger.yearly'),
      'ledger.limited': handler('ledger.limited'),
      'ledger.whole': handler('ledger.whole'),
      'ledger.when_due': {
        ...handler('ledger.when_due'),
        due: async () => {
          const found = [...dueOnce].map((tenant_id) => ({ tenant_id, environment: 'sandbox' }) as const);
          dueOnce.clear();
          return found;
        },
      },
    },
    stop: () => Promise.resolve(),
  }),
});

let platform: TestPlatform;
let superuser: Client;
let tenant: TestTenant;
before(async () => {
  platform = await openTestPlatform({ LOG_LEVEL: 'silent' }, {}, [
    ...services.filter(({ name }) => name !== 'ledger'),
    bank,
  ]);
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});
beforeEach(async () => {
  tenant = await platform.newTenant();
});

async function eventually<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error('it did not happen within a minute');
    await setTimeout(50);
  }
}

const of = (job: string) =>
  done.filter((run) => run.job === job && run.scope.tenant_id === tenant.scope.tenant_id);
const runsOf = async (job: string, query = '') => (await tenant.get(`/api/v2/jobs/${job}/runs${query}`)).data;
const ended = (job: string, count = 1) =>
  eventually(async () => {
    const runs = await runsOf(job, '?limit=100');
    const over = runs.filter((run: { outcome: string }) => ['succeeded', 'failed'].includes(run.outcome));
    return over.length >= count ? runs : undefined;
  });
const jobNamed = async (name: string) =>
  (await tenant.get('/api/v2/jobs')).data.find((job: { name: string }) => job.name === name);
const planned = (name: string) =>
  eventually(async () => ((await jobNamed(name))?.next_at ? true : undefined));

test('the list says what there is, when it runs next in the tenant’s time zone, and how it went', async () => {
  await superuser.query("update platform.tenants set time_zone = 'America/Sao_Paulo' where tenant_id = $1", [
    tenant.scope.tenant_id,
  ]);
  const job = await eventually(async () => {
    const found = await jobNamed('ledger.nightly');
    // Planned before its time zone was changed, it is planned anew.
    return found.next_at?.slice(11, 16) === '05:00' ? found : undefined;
  });
  assert.deepEqual(job, {
    name: 'ledger.nightly',
    meaning: 'Runs each night',
    per: 'tenant',
    schedule: '0 2 * * *',
    time_zone: 'America/Sao_Paulo',
    next_at: job.next_at,
    paused: false,
  });
  assert.equal((await jobNamed('ledger.accrue')).schedule, '0 4 * * * (business days)');
  const due = await jobNamed('ledger.when_due');
  assert.deepEqual([due.schedule, due.next_at], ['when due', undefined]);
  assert.equal(await jobNamed('ledger.whole'), undefined, 'jobs of the system are not an institution’s');
});

test('run now: a run with its outcome, once for each idempotency key, and not beside one that is under way', async () => {
  const ending = Promise.withResolvers<void>();
  doing.set(`ledger.yearly ${tenant.scope.tenant_id}`, () => ending.promise);
  const url = '/api/v2/jobs/ledger.yearly/run';
  const asked = await tenant.ask('POST', url, undefined, { 'idempotency-key': 'now' });
  assert.equal(asked.status, 201, asked.text);
  assert.match(asked.body.id, /^run_/);
  assert.equal(asked.body.reason, 'request');
  assert.match(asked.body.requested_by, /^key_/);
  const again = await tenant.ask('POST', url, undefined, { 'idempotency-key': 'now' });
  assert.deepEqual([again.body.id, again.headers['idempotent-replayed']], [asked.body.id, 'true']);
  const beside = await tenant.ask('POST', url);
  assert.deepEqual(
    [beside.status, beside.body.code, beside.body.run_id],
    [409, 'job_in_progress', asked.body.id],
  );
  await eventually(() => (of('ledger.yearly').length > 0 ? true : undefined));
  assert.equal((await runsOf('ledger.yearly'))[0].outcome, 'running');
  ending.resolve();
  const [run] = await ended('ledger.yearly');
  assert.deepEqual(
    [run.id, run.outcome, run.attempt, run.did, run.error],
    [asked.body.id, 'succeeded', 1, { things: 3 }, undefined],
  );
  assert.ok(run.started_at <= run.ended_at);
  assert.deepEqual((await jobNamed('ledger.yearly')).last_run, run);
  assert.equal(of('ledger.yearly').length, 1);
});

test('what fails is tried again, then given up; refusals tell themselves, anything else tells nothing', async () => {
  doing.set(`ledger.yearly ${tenant.scope.tenant_id}`, () =>
    Promise.reject(new Error('the password is hunter2')),
  );
  await tenant.post('/api/v2/jobs/ledger.yearly/run');
  const [run] = await ended('ledger.yearly');
  assert.deepEqual([run.outcome, run.attempt, run.error.code], ['failed', 2, 'internal']);
  assert.equal(of('ledger.yearly').length, 2);
  const { rows } = await superuser.query(
    `select (select count(*) from pgboss.job j where j::text like '%hunter2%')
          + (select count(*) from platform.job_runs r where r::text like '%hunter2%') as told`,
  );
  assert.equal(rows[0].told, '0');
  doing.set(`ledger.yearly ${tenant.scope.tenant_id}`, () =>
    Promise.reject(refuse('unavailable', 'The partner is away.')),
  );
  await tenant.post('/api/v2/jobs/ledger.yearly/run');
  const [second] = await ended('ledger.yearly', 2);
  assert.deepEqual(second.error, { code: 'unavailable', message: 'The partner is away.' });
  assert.deepEqual(
    (await runsOf('ledger.yearly', '?outcome=failed&limit=1')).map(({ id }: { id: string }) => id),
    [second.id],
  );
  assert.deepEqual(await runsOf('ledger.yearly', '?outcome=succeeded'), []);
});

test('an attempt that takes too long is told to end, and fails', async () => {
  doing.set(`ledger.yearly ${tenant.scope.tenant_id}`, async ({ signal }) => {
    await setTimeout(60_000, undefined, { signal }).catch(() => {});
  });
  await tenant.post('/api/v2/jobs/ledger.yearly/run');
  const [run] = await ended('ledger.yearly');
  assert.deepEqual([run.outcome, run.attempt, run.error.code], ['failed', 2, 'timed_out']);
});

test('pages of runs are newest first, and a cursor of another list is refused', async () => {
  for (let count = 1; count <= 3; count += 1) {
    await tenant.post('/api/v2/jobs/ledger.nightly/run');
    await ended('ledger.nightly', count);
  }
  const all = await runsOf('ledger.nightly');
  const first = await tenant.get('/api/v2/jobs/ledger.nightly/runs?limit=2');
  const second = await tenant.get(`/api/v2/jobs/ledger.nightly/runs?limit=2&cursor=${first.next_cursor}`);
  assert.deepEqual([...first.data, ...second.data], all);
  assert.equal(second.next_cursor, null);
  assert.ok(all[0].id > all[1].id && all[1].id > all[2].id);
  const wrong = await tenant.ask('GET', '/api/v2/jobs/ledger.nightly/runs?cursor=abc');
  assert.deepEqual([wrong.status, wrong.body.code], [400, 'malformed_cursor']);
});

test('when the clock of a sandbox moves, what would have fallen due runs: once, or for each business day', async () => {
  await planned('ledger.accrue');
  const { now } = await tenant.get('/api/v2/sandbox/clock');
  await tenant.post('/api/v2/sandbox/clock/advance', { seconds: 14 * 86_400 });
  // Two weeks have ten business days, whichever day it is.
  const runs = await ended('ledger.accrue', 10);
  assert.equal(runs.length, 10);
  const days = of('ledger.accrue').map(({ due_at }) => due_at);
  for (const [index, day] of days.entries()) {
    assert.ok(![0, 6].includes(day.getUTCDay()), day.toISOString());
    assert.equal(day.toISOString().slice(11, 16), '04:00');
    const before = days[index - 1];
    if (before !== undefined) assert.ok(day > before, 'one after the other');
  }
  assert.ok(of('ledger.accrue').every((run) => run.now.getTime() >= Date.parse(now) + 14 * 86_400_000));
  assert.equal((await ended('ledger.nightly')).length, 1);
  const { next_at } = await jobNamed('ledger.nightly');
  assert.ok(Date.parse(next_at) > Date.parse(now) + 14 * 86_400_000, next_at);
});

test('a clock that moves before anything was planned misses nothing, and an emptied sandbox is planned anew', async () => {
  await tenant.post('/api/v2/sandbox/clock/advance', { seconds: 2 * 86_400 });
  await ended('ledger.nightly');
  await tenant.post('/api/v2/sandbox/reset', {});
  assert.deepEqual(await runsOf('ledger.nightly'), []);
  await planned('ledger.nightly');
  const { next_at } = await jobNamed('ledger.nightly');
  assert.ok(Date.parse(next_at) <= Date.now() + 86_400_000, next_at);
});

test('a paused job starts no run of its schedule, runs when asked, and catches up when resumed', async () => {
  await planned('ledger.nightly');
  const paused = await tenant.post('/api/v2/jobs/ledger.nightly/pause');
  assert.deepEqual([paused.paused, paused.next_at], [true, undefined]);
  assert.match(paused.paused_by, /^key_/);
  assert.deepEqual(await tenant.post('/api/v2/jobs/ledger.nightly/pause'), paused);
  await tenant.post('/api/v2/sandbox/clock/advance', { seconds: 4 * 86_400 });
  // There is a business day among four: this one shows that the schedules were looked at since.
  await ended('ledger.accrue');
  assert.deepEqual(of('ledger.nightly'), []);
  await tenant.post('/api/v2/jobs/ledger.nightly/run');
  await ended('ledger.nightly');
  const resumed = await tenant.post('/api/v2/jobs/ledger.nightly/resume');
  assert.equal(resumed.paused, false);
  const [scheduled] = await ended('ledger.nightly', 2);
  assert.equal(scheduled.reason, 'schedule');
  const records = (await tenant.get('/api/v2/audit?subject=ledger.nightly')).data;
  assert.deepEqual(
    records.map(({ path, before, after }: Answer['body']) => [
      path.split('/').at(-1),
      before?.paused,
      after.paused,
    ]),
    [
      ['resume', true, false],
      ['run', undefined, undefined],
      ['pause', true, true],
      ['pause', false, true],
    ],
  );
  const refused = await tenant.ask('POST', '/api/v2/jobs/ledger.when_due/pause');
  assert.deepEqual([refused.status, refused.body.code], [422, 'job_not_pausable']);
});

test('what runs when due runs for whom it is due', async () => {
  dueOnce.add(tenant.scope.tenant_id);
  const [run] = await ended('ledger.when_due');
  assert.deepEqual([run.reason, run.outcome], ['due', 'succeeded']);
  assert.deepEqual(of('ledger.when_due')[0]?.scope, tenant.scope);
});

test('a tenant sees and steers its own: no other’s runs, no job of the system, nothing without permission', async () => {
  await tenant.post('/api/v2/jobs/ledger.nightly/run');
  await ended('ledger.nightly');
  const other = await platform.newTenant();
  assert.deepEqual((await other.get('/api/v2/jobs/ledger.nightly/runs')).data, []);
  await tenant.post('/api/v2/jobs/ledger.nightly/pause');
  assert.equal(
    (await other.get('/api/v2/jobs')).data.find(({ name }: { name: string }) => name === 'ledger.nightly')
      .paused,
    false,
  );
  for (const name of ['ledger.whole', 'ledger.none', 'constructor.name']) {
    for (const [method, path] of [
      ['GET', 'runs'],
      ['POST', 'run'],
      ['POST', 'pause'],
      ['POST', 'resume'],
    ] as const) {
      const answer = await tenant.ask(method, `/api/v2/jobs/${name}/${path}`);
      assert.deepEqual([answer.status, answer.body.code], [404, 'job_not_found'], `${name}/${path}`);
    }
  }
  const reading = await createKey(platform.running.platform, tenant.scope, {
    label: 'reads',
    scopes: ['jobs:read'],
  });
  const headers = { authorization: `Bearer ${reading}` };
  assert.equal((await tenant.ask('GET', '/api/v2/jobs', undefined, headers)).status, 200);
  for (const path of ['run', 'pause', 'resume']) {
    const answer = await tenant.ask('POST', `/api/v2/jobs/ledger.nightly/${path}`, undefined, headers);
    assert.deepEqual([answer.status, answer.body.code], [403, 'permission_missing'], path);
  }
});

test('whoever operates the installation sees and steers the jobs of the system', async () => {
  const made = await createInstallation(platform.running.platform, {
    name: 'Operator',
    base_currency: 'BRL',
  });
  const headers = { authorization: `Bearer ${made?.key}` };
  const ask = (method: 'GET' | 'POST', url: string) => tenant.ask(method, url, undefined, headers);
  const whole = await eventually(async () => {
    const { body } = await ask('GET', '/api/v2/system-jobs');
    const job = body.data.find(({ name }: { name: string }) => name === 'ledger.whole');
    return job?.last_run?.outcome === 'succeeded' ? job : undefined;
  });
  assert.deepEqual([whole.per, whole.schedule], ['system', 'every 1 s']);
  assert.equal((await ask('POST', '/api/v2/system-jobs/ledger.whole/pause')).body.paused, true);
  const asked = await eventually(async () => {
    const answer = await ask('POST', '/api/v2/system-jobs/ledger.whole/run');
    return answer.status === 201 ? answer : undefined;
  });
  assert.equal(asked.body.reason, 'request');
  const { body } = await ask('GET', '/api/v2/system-jobs/ledger.whole/runs');
  assert.ok(body.data.some(({ id }: { id: string }) => id === asked.body.id));
  assert.equal((await ask('POST', '/api/v2/system-jobs/ledger.nightly/run')).body.code, 'job_not_found');
  for (const [method, url] of [
    ['GET', ''],
    ['GET', '/ledger.whole/runs'],
    ['POST', '/ledger.whole/run'],
    ['POST', '/ledger.whole/pause'],
    ['POST', '/ledger.whole/resume'],
  ] as const) {
    const refused = await tenant.ask(method, `/api/v2/system-jobs${url}`);
    assert.deepEqual([refused.status, refused.body.code], [403, 'permission_missing'], url);
  }
});

test('a job runs for as many tenants at once as it says', async () => {
  const tenants = [tenant, await platform.newTenant(), await platform.newTenant()];
  let atOnce = 0;
  let most = 0;
  for (const { scope } of tenants) {
    doing.set(`ledger.limited ${scope.tenant_id}`, async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await setTimeout(100);
      atOnce -= 1;
    });
  }
  for (const each of tenants) await each.post('/api/v2/jobs/ledger.limited/run');
  for (const each of tenants) {
    await eventually(async () => {
      const [run] = (await each.get('/api/v2/jobs/ledger.limited/runs')).data;
      return run.outcome === 'succeeded' ? true : undefined;
    });
  }
  assert.equal(most, 1);
});

test('a run whose process was lost at every attempt ends as failed, and makes room for the next', async () => {
  await superuser.query(
    `insert into platform.job_runs (tenant_id, environment, id, job, reason, due_at, outcome, attempt, started_at)
     values ($1, 'sandbox', gen_random_uuid(), 'ledger.yearly', 'schedule', now(), 'running', 6, now())`,
    [tenant.scope.tenant_id],
  );
  const [lost] = await ended('ledger.yearly');
  assert.deepEqual([lost.outcome, lost.error.code], ['failed', 'process_lost']);
  assert.equal((await tenant.ask('POST', '/api/v2/jobs/ledger.yearly/run')).status, 201);
});

test('metrics tell runs by outcome and how long the oldest has waited', async () => {
  await tenant.post('/api/v2/jobs/ledger.nightly/run');
  await ended('ledger.nightly');
  const text = (await platform.running.app.inject('/metrics')).body;
  assert.match(text, /jobs_runs_total\{job="ledger\.nightly",outcome="succeeded"\} [1-9]/);
  assert.match(text, /jobs_oldest_wait_seconds\{job="ledger\.nightly"\} \d/);
  assert.match(text, /jobs_attempt_duration_seconds_count [1-9]/);
  // Looked at every few seconds.
  await eventually(async () => {
    const { body } = await platform.running.app.inject('/metrics');
    return /jobs_last_success_age_seconds\{job="ledger\.nightly"\} \d/.test(body) ? true : undefined;
  });
});

test('the tables of the library are for the platform’s role alone, which can change nothing about them', async () => {
  const { rows } = await superuser.query(
    `select c.relname, r.rolname from pg_class c cross join pg_roles r
     where c.relnamespace = 'pgboss'::regnamespace and c.relkind in ('r', 'p') and not r.rolsuper
       and r.rolname <> 'financialapi_owner' and r.rolname not like 'pg\\_%'
       and has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate') and r.rolname <> 'platform'`,
  );
  assert.deepEqual(rows, []);
  const { rows: rights } = await superuser.query(
    `select has_schema_privilege('platform', 'pgboss', 'create') as creates,
       (select count(*)::int from pg_class c where c.relnamespace = 'pgboss'::regnamespace
          and pg_has_role('platform', c.relowner, 'usage')) as owns`,
  );
  assert.deepEqual(rights, [{ creates: false, owns: 0 }]);
  // What the library does to look after its tables, row locks included.
  await superuser.query('begin');
  await superuser.query('set local role platform');
  for (const table of ['job', 'queue', 'instance']) {
    await superuser.query(`select from pgboss.${table} for update skip locked`);
  }
  await superuser.query('rollback');
});
