/** Counting usage and keeping it: over processes, answers that are lost, and more than there is room for. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import type { Caller } from '../access/caller.ts';
import { openPermissions } from '../access/permission.ts';
import { createTenant } from '../access/tenant.ts';
import { migrationSources } from '../boot.ts';
import { type Database, openDatabase, type Scope } from '../db.ts';
import { type Api, buildServer } from '../http.ts';
import { openLog } from '../log.ts';
import { migrate } from '../migrate.ts';
import { refuse } from '../problem.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { readUsage } from './read.ts';
import { forgetUsage } from './retention.ts';
import { mountUsage, type Usage, type UsageOptions } from './usage.ts';

let database: FreshDatabase;
let db: Database;
let superuser: Client;
const noon = Date.UTC(2026, 1, 27, 12, 0, 0);
const NEVER_MS = 3_600_000;

before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 6,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
});
/** What tests opened: one that fails leaves nothing behind that keeps this process alive. */
const opened: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of opened) await close();
  await superuser.end();
  await db.close();
  await database.drop();
});

async function newScope(): Promise<Scope> {
  const tenant_id = await createTenant(db, { name: 'Test', base_currency: 'BRL' });
  return { tenant_id, environment: 'sandbox' };
}

function callerOf(scope: Scope, id: string, more: Partial<Caller> = {}): Caller {
  return {
    ...scope,
    principal: { kind: 'key', id, name: `the key ${id}` },
    permissions: new Set(['things:read']),
    narrowed: [],
    plan: 'standard',
    tenant_name: 'Test',
    base_currency: 'BRL',
    ...more,
  };
}

interface Process {
  app: Api;
  usage: Usage;
  /** What went wrong beside the requests. */
  failures: string[];
  ask: (caller: string, url: string, method?: 'GET' | 'POST') => Promise<number>;
}

/** One process that these callers ask, by their ids. It writes down what it counted when it is told to. */
async function openProcess(
  callers: readonly Caller[],
  options: UsageOptions = {},
  to: Database = db,
): Promise<Process> {
  const byId = new Map(callers.map((caller) => [caller.principal.id, caller]));
  const app = await buildServer({
    access: {
      identify({ headers }) {
        const found = byId.get(headers.authorization?.slice('Bearer '.length) ?? '');
        if (found === undefined) throw refuse('unauthenticated', 'This is not the key.');
        // As others may, it makes an object for each request.
        return found.principal.id.endsWith('_new') ? { ...found } : found;
      },
    },
    permissions: openPermissions({
      'things:read': { meaning: 'See things' },
      'things:edit': { meaning: 'Edit things' },
    }),
    log: openLog('silent'),
    publicUrl: () => 'https://bank.example',
  });
  const failures: string[] = [];
  const usage = mountUsage(app, to, {
    now: () => noon,
    flush_every_ms: NEVER_MS,
    onError: (_error, what) => failures.push(what),
    ...options,
  });
  app.get('/api/things/:thing_id', { config: { permission: 'things:read' } }, async () => ({ ok: true }));
  app.get('/api/full', { config: { permission: 'things:read' } }, async () => {
    throw refuse('not_found', 'There is none.');
  });
  app.get('/api/broken', { config: { permission: 'things:read' } }, async () => {
    throw new Error('a bug');
  });
  app.get('/api/endless', { config: { permission: 'things:read', endless: true } }, async () => ({}));
  app.post('/api/things', { config: { permission: 'things:edit' } }, async () => ({}));
  opened.push(async () => {
    await app.close();
    await usage.stop();
  });
  return {
    app,
    usage,
    failures,
    ask: async (caller, url, method = 'GET') =>
      (await app.inject({ url, method, headers: { authorization: `Bearer ${caller}` } })).statusCode,
  };
}

interface Sum {
  principal_id: string;
  method: string;
  route: string;
  status: number;
  calls: number;
  timed: number;
}

/** What the database knows of a tenant, by minutes or hours. */
async function sumsOf({ tenant_id }: Scope, table = 'usage_minutes'): Promise<Sum[]> {
  const { rows } = await superuser.query<Sum>(
    `select principal_id, method, route, status, sum(calls)::int as calls,
       sum((select coalesce(sum(n), 0) from unnest(latency) n))::int as timed
     from platform.${table} where tenant_id = $1 group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
    [tenant_id],
  );
  return rows;
}
const callsIn = (sums: readonly Sum[]) => sums.reduce((sum, { calls }) => sum + calls, 0);

test('each request that was answered is counted once, by caller, route and status', async () => {
  const scope = await newScope();
  const { ask, usage, app } = await openProcess([callerOf(scope, 'key_a'), callerOf(scope, 'key_new')]);
  const expected = new Map<string, number>();
  const urls = ['/api/things/1', '/api/things/2', '/api/full', '/api/broken', '/api/nothing', '/api/endless'];
  const asking: Promise<void>[] = [];
  for (let number = 0; number < 300; number += 1) {
    const caller = number % 3 === 0 ? 'key_new' : 'key_a';
    const url = urls[(number * 7) % urls.length] ?? '';
    asking.push(
      ask(caller, url).then((status) => {
        const route = url.startsWith('/api/things')
          ? '/api/things/:thing_id'
          : url === '/api/nothing'
            ? 'none'
            : url;
        const name = `${caller} GET ${route} ${status}`;
        expected.set(name, (expected.get(name) ?? 0) + 1);
      }),
    );
    if (number % 50 === 0) asking.push(usage.flush());
  }
  await Promise.all(asking);
  assert.equal(await ask('key_a', '/api/things', 'POST'), 403);
  expected.set('key_a POST /api/things 403', 1);
  assert.equal(await ask('nobody', '/api/full'), 401);
  await app.inject({ url: '/somewhere' });
  await usage.flush();
  for (const table of ['usage_minutes', 'usage_hours']) {
    const sums = await sumsOf(scope, table);
    const found = sums.map((sum): [string, number] => [
      `${sum.principal_id} ${sum.method} ${sum.route} ${sum.status}`,
      sum.calls,
    ]);
    assert.deepEqual(new Map(found), expected);
    for (const { route, calls, timed } of sums) {
      assert.equal(timed, route === '/api/endless' ? 0 : calls, `how long ${route} took`);
    }
  }
});

test('processes add to the same rows, and none waits for another in a circle', async () => {
  const scope = await newScope();
  const other = await newScope();
  const callers = ['a', 'b', 'c', 'd'].map((name) => callerOf(name < 'c' ? scope : other, `key_${name}`));
  const processes = await Promise.all(
    [callers, callers.toReversed(), callers].map((some) => openProcess(some)),
  );
  for (let round = 0; round < 12; round += 1) {
    await Promise.all(
      processes.flatMap(({ ask }, index) =>
        (index % 2 === 0 ? callers : callers.toReversed()).map(({ principal: { id } }) =>
          ask(id, '/api/full'),
        ),
      ),
    );
    await Promise.all(processes.map(({ usage }) => usage.flush()));
  }
  assert.deepEqual(
    processes.flatMap(({ failures }) => failures),
    [],
  );
  for (const table of ['usage_minutes', 'usage_hours']) {
    const sums = [...(await sumsOf(scope, table)), ...(await sumsOf(other, table))];
    assert.deepEqual(
      sums.map(({ principal_id, calls }) => [principal_id, calls]),
      [
        ['key_a', 36],
        ['key_b', 36],
        ['key_c', 36],
        ['key_d', 36],
      ],
    );
  }
});

/** The database as one that cannot be reached: before a statement is run, or before its answer has come. */
function failing(): { db: Database; fail: (how: 'before' | 'after' | undefined) => void } {
  let failure: 'before' | 'after' | undefined;
  const lost = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  return {
    fail: (how) => {
      failure = how;
    },
    db: {
      ...db,
      async run(sql, parameters) {
        if (failure === 'before') throw lost();
        const changed = await db.run(sql, parameters);
        if (failure === 'after') throw lost();
        return changed;
      },
    },
  };
}

test('what was added without an answer is not added again, and nothing is lost while the database is away', async () => {
  const scope = await newScope();
  const unreliable = failing();
  let now = noon;
  const { ask, usage, failures } = await openProcess(
    [callerOf(scope, 'key_a')],
    { now: () => now },
    unreliable.db,
  );
  await ask('key_a', '/api/full');
  unreliable.fail('after');
  await usage.flush();
  await ask('key_a', '/api/full');
  await usage.flush();
  unreliable.fail('before');
  now = noon + 60_000;
  await ask('key_a', '/api/full');
  await usage.flush();
  assert.equal(callsIn(await sumsOf(scope)), 1);
  assert.equal(failures.length, 3);
  unreliable.fail(undefined);
  await usage.flush();
  assert.equal(callsIn(await sumsOf(scope)), 3);
  assert.equal(callsIn(await sumsOf(scope, 'usage_hours')), 3);
  assert.equal(failures.length, 3);
});

test('what stops writes down what it counted', async () => {
  const scope = await newScope();
  const { ask, usage } = await openProcess([callerOf(scope, 'key_a')]);
  await ask('key_a', '/api/full');
  await usage.stop();
  assert.equal(callsIn(await sumsOf(scope)), 1);
});

test('a flood of addresses that no route takes, and of callers, stays within what there is room for', async () => {
  const scope = await newScope();
  const other = await newScope();
  const callers = Array.from({ length: 30 }, (_, number) => callerOf(scope, `key_${number}`));
  const { ask, usage } = await openProcess([...callers, callerOf(other, 'key_other')], {
    most_of_one: 8,
    most: 12,
  });
  for (let number = 0; number < 200; number += 1) await ask('key_0', `/api/x${number}?y=${number}`);
  await usage.flush();
  assert.deepEqual(
    (await sumsOf(scope)).map(({ route, status, calls }) => [route, status, calls]),
    [['none', 404, 200]],
  );
  for (const { principal } of callers) {
    await ask(principal.id, '/api/full');
    await ask(principal.id, '/api/things/1');
  }
  await ask('key_other', '/api/full');
  await usage.flush();
  const sums = await sumsOf(scope);
  assert.equal(callsIn(sums), 200 + 60);
  assert.ok(sums.length <= 8 + 2, `${sums.length} rows`);
  const rest = sums.filter(({ principal_id }) => principal_id === 'other');
  assert.deepEqual([...new Set(rest.map(({ method, route }) => `${method} ${route}`))], ['other other']);
  // Who is quiet has room.
  assert.deepEqual(
    (await sumsOf(other)).map(({ principal_id }) => principal_id),
    ['key_other'],
  );
});

test('usage is read by application, principal, route and status, and over time', async () => {
  const scope = await newScope();
  const app_id = 'app_01h455vb4pex5vsknk084sn02q';
  let now = noon - 120_000;
  const { ask, usage } = await openProcess(
    [
      callerOf(scope, 'key_a', { application_id: app_id }),
      callerOf(scope, app_id, { principal: { kind: 'application', id: app_id, name: 'Shop' } }),
      callerOf(scope, 'usr_p', { principal: { kind: 'person', id: 'usr_p', name: 'Paula' } }),
    ],
    { now: () => now },
  );
  await ask('key_a', '/api/things/1');
  await ask(app_id, '/api/full');
  now = noon;
  await ask('usr_p', '/api/broken');
  await ask('usr_p', '/api/things/9');
  await usage.flush();
  const read = (query: Parameters<typeof readUsage>[2]) =>
    db.read(scope, (tx) => readUsage(tx, scope, query, noon + 30_000));
  const all = await read({ from: new Date(noon - 180_000).toISOString() });
  assert.deepEqual(
    [all.granularity, all.from, all.to],
    ['minute', '2026-02-27T11:57:00.000Z', '2026-02-27T12:01:00.000Z'],
  );
  assert.deepEqual([all.totals.calls, all.totals.errors, all.totals.server_errors], [4, 2, 1]);
  assert.ok((all.totals.p50_ms ?? 0) > 0 && (all.totals.p99_ms ?? 0) >= (all.totals.p50_ms ?? 0));
  assert.deepEqual(
    all.series.map(({ starts_at, calls, errors, p50_ms }) => [
      starts_at.slice(11, 16),
      calls,
      errors,
      p50_ms === null,
    ]),
    [
      ['11:57', 0, 0, true],
      ['11:58', 2, 1, false],
      ['11:59', 0, 0, true],
      ['12:00', 2, 1, false],
    ],
  );
  const groups = async (query: Parameters<typeof readUsage>[2]) =>
    (await read({ granularity: 'hour', ...query })).groups;
  assert.deepEqual(
    (await groups({ group_by: 'application' })).map(({ application_id, calls }) => [application_id, calls]),
    [
      [null, 2],
      [app_id, 2],
    ],
  );
  assert.deepEqual(
    (await groups({ group_by: 'principal' })).map(({ principal, calls }) => [principal, calls]),
    [
      [{ kind: 'person', id: 'usr_p' }, 2],
      [{ kind: 'application', id: app_id, name: 'Shop' }, 1],
      [{ kind: 'key', id: 'key_a', name: 'the key key_a' }, 1],
    ],
  );
  assert.deepEqual(
    (await groups({ group_by: 'route', application_id: app_id })).map(({ method, route, calls, errors }) => [
      method,
      route,
      calls,
      errors,
    ]),
    [
      ['GET', '/api/full', 1, 1],
      ['GET', '/api/things/{thing_id}', 1, 0],
    ],
  );
  assert.deepEqual(
    (await groups({ group_by: 'status', status_class: 'errors' })).map(({ status, calls }) => [
      status,
      calls,
    ]),
    [
      [404, 1],
      [500, 1],
    ],
  );
  for (const [filter, calls] of [
    [{ principal_id: 'usr_p' }, 2],
    [{ route: '/api/things/{thing_id}' }, 2],
    [{ route: '/api/things/:thing_id', method: 'POST' as const }, 0],
    [{ status_class: '5xx' as const }, 1],
    [{ status: 404, principal_id: app_id }, 1],
  ] as const) {
    assert.equal((await read({ granularity: 'day', ...filter })).totals.calls, calls, JSON.stringify(filter));
  }
  const stranger = await newScope();
  const live: Scope = { ...scope, environment: 'live' };
  for (const foreign of [stranger, live]) {
    const report = await db.read(foreign, (tx) =>
      readUsage(tx, foreign, { group_by: 'principal' }, noon + 30_000),
    );
    assert.deepEqual([report.totals.calls, report.groups], [0, []]);
    // Whatever a statement asks for, the database tells of nobody else.
    const found = await db.read(foreign, (tx) => readUsage(tx, scope, {}, noon + 30_000));
    assert.equal(found.totals.calls, 0);
  }
});

test('usage is forgotten after its time, by the minute sooner than by the hour, and nobody else’s', async () => {
  const [scope, other] = [await newScope(), await newScope()];
  const DAY_MS = 86_400_000;
  const today = Date.now();
  for (const days of [0, 2, 10, 50]) {
    const { ask, usage } = await openProcess([callerOf(scope, 'key_a'), callerOf(other, 'key_b')], {
      now: () => today - days * DAY_MS,
    });
    for (const caller of ['key_a', 'key_b']) await ask(caller, '/api/full');
    await usage.flush();
  }
  const run = { scope, signal: new AbortController().signal };
  const kept = { usage_minutes_kept_days: 5, usage_hours_kept_days: 20 };
  assert.deepEqual(await forgetUsage(db, run, kept), { rows: 3 });
  assert.deepEqual([callsIn(await sumsOf(scope)), callsIn(await sumsOf(scope, 'usage_hours'))], [2, 3]);
  assert.deepEqual([callsIn(await sumsOf(other)), callsIn(await sumsOf(other, 'usage_hours'))], [4, 4]);
});
