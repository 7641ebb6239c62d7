/** Limits where several processes, a restart, an address or Redis have a part. Plans are tested where they are edited. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { Caller } from '../access/caller.ts';
import { openPermissions } from '../access/permission.ts';
import { createTenant } from '../access/tenant.ts';
import { migrationSources } from '../boot.ts';
import { type Database, openDatabase, type Scope } from '../db.ts';
import { type Api, buildServer, type HttpOptions } from '../http.ts';
import { newUuid } from '../ids.ts';
import { openLog } from '../log.ts';
import { openMetrics } from '../metrics.ts';
import { migrate } from '../migrate.ts';
import { refuse } from '../problem.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { type LimitsOptions, type OpenLimits, openLimits } from './limits.ts';
import type { Window } from './window.ts';

let database: FreshDatabase;
let db: Database;
let superuser: Client;
const noon = Date.UTC(2026, 1, 27, 12, 0, 0);
const month_end = Date.UTC(2026, 2, 1);

before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 4,
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

/** A tenant with a plan `tested` of these windows, and a caller on it. */
async function callerOn(windows: Window[]): Promise<Caller> {
  const tenant_id = await createTenant(db, { name: 'Test', base_currency: 'BRL' });
  const scope: Scope = { tenant_id, environment: 'sandbox' };
  await superuser.query(
    `insert into platform.plans (tenant_id, environment, name, id, windows) values ($1, 'sandbox', 'tested', $2, $3)`,
    [tenant_id, newUuid(), JSON.stringify(windows)],
  );
  return {
    ...scope,
    principal: { kind: 'key', id: 'key_01h455vb4pex5vsknk084sn02q', name: 'test' },
    permissions: new Set(['things:read']),
    narrowed: [],
    plan: 'tested',
    tenant_name: 'Test',
    base_currency: 'BRL',
  };
}

interface Process {
  app: Api;
  limits: OpenLimits;
  /** Status of one request of the caller. */
  ask: () => Promise<number>;
  close: () => Promise<void>;
}

/** What one process is, as far as limits go. It writes counts down when it is told to. */
async function openProcess(
  caller: Caller,
  options: LimitsOptions = {},
  http: Partial<HttpOptions> = {},
): Promise<Process> {
  const limits = openLimits(db, { now: () => noon, flush_every_ms: 3_600_000, ...options });
  const app = await buildServer({
    access: {
      identify({ headers }) {
        if (headers.authorization !== 'Bearer good') throw refuse('unauthenticated', 'This is not the key.');
        return caller;
      },
    },
    permissions: openPermissions({ 'things:read': { meaning: 'See things' } }),
    log: openLog('silent'),
    publicUrl: () => 'https://bank.example',
    limits,
    ...http,
  });
  app.get('/api/things', { config: { permission: 'things:read' } }, async () => ({ ok: true }));
  app.post('/login', async () => ({ ok: true }));
  app.get('/login', async () => ({ ok: true }));
  const headers = { authorization: 'Bearer good' };
  const close = async () => {
    await app.close();
    await limits.stop();
  };
  opened.push(close);
  return {
    app,
    limits,
    ask: async () => (await app.inject({ url: '/api/things', headers })).statusCode,
    close,
  };
}

const times = async (count: number, ask: () => Promise<number>) =>
  Promise.all(Array.from({ length: count }, ask));
const passed = (statuses: readonly number[]) => statuses.filter((status) => status === 200).length;

async function eventsOf({ tenant_id }: Scope) {
  const { rows } = await superuser.query(
    `select type, aggregateid as subject, payload::json ->> 'threshold_percent' as percent, sequence::int from platform.outbox
     where tenant_id = $1 order by sequence`,
    [tenant_id],
  );
  return rows;
}

const month = (requests: number): Window => ({ name: 'month', requests, period: 'month' });

test('what was asked this month is known after a restart, and is forgotten with the month', async () => {
  const caller = await callerOn([month(10)]);
  const first = await openProcess(caller);
  assert.equal(passed(await times(7, first.ask)), 7);
  await first.close();
  let now_ms = noon;
  const second = await openProcess(caller, { now: () => now_ms });
  // Many at once: all of them wait for the count that is read once.
  assert.equal(passed(await times(20, second.ask)), 3);
  now_ms = month_end;
  assert.equal(passed(await times(20, second.ask)), 10);
  await second.close();
  const { rows } = await superuser.query(
    `select starts_at::date::text as starts_on, requests::int from platform.request_counts
     where tenant_id = $1 and subject = $2 order by 1`,
    [caller.tenant_id, caller.principal.id],
  );
  assert.deepEqual(rows, [
    { starts_on: '2026-02-01', requests: 10 },
    { starts_on: '2026-03-01', requests: 10 },
  ]);
});

test('processes learn of each other as often as they write down what they counted', async () => {
  const caller = await callerOn([month(10)]);
  const [first, second] = [await openProcess(caller), await openProcess(caller)];
  assert.equal(passed([await first.ask(), await second.ask()]), 2);
  assert.equal(passed(await times(5, first.ask)), 5);
  await first.limits.flush();
  await second.limits.flush();
  assert.equal(passed(await times(20, second.ask)), 3);
  await second.limits.flush();
  assert.deepEqual(
    (await first.limits.read({ ...caller, id: caller.principal.id }))
      .filter(({ limit }) => limit.per === 'caller')
      .map(({ requests }) => requests),
    [10],
  );
  await first.close();
  await second.close();
});

test('a crossing that several processes see is one event, and events have no gaps', async () => {
  const caller = await callerOn([month(10)]);
  const processes = [await openProcess(caller), await openProcess(caller), await openProcess(caller)];
  for (const { ask, limits } of processes) {
    await times(3, ask);
    await limits.flush();
  }
  for (const { ask, limits } of [...processes, ...processes]) {
    await ask();
    await limits.flush();
  }
  await Promise.all(processes.map(({ limits }) => limits.flush()));
  const subject = caller.principal.id;
  assert.deepEqual(await eventsOf(caller), [
    { type: 'platform.limit.near', subject, percent: '80', sequence: 1 },
    { type: 'platform.limit.reached', subject, percent: '100', sequence: 2 },
  ]);
  for (const { close } of processes) await close();
});

test('counts that cannot be written down are kept until they can', async () => {
  const caller = await callerOn([month(10)]);
  const failures: string[] = [];
  const one = await openProcess(caller, { onError: (_, what) => failures.push(what) });
  await times(8, one.ask);
  await superuser.query('alter table platform.request_counts rename to gone');
  await superuser.query('revoke insert on platform.limits_told from platform');
  await superuser.query('revoke execute on function platform.add_request_counts from platform');
  await one.limits.flush();
  assert.equal(failures.length, 2);
  await superuser.query('alter table platform.gone rename to request_counts');
  await superuser.query('grant insert on platform.limits_told to platform');
  await superuser.query('grant execute on function platform.add_request_counts to platform');
  assert.equal(await one.ask(), 200);
  await one.close();
  const { rows } = await superuser.query(
    'select requests::int from platform.request_counts where tenant_id = $1 and subject = $2',
    [caller.tenant_id, caller.principal.id],
  );
  assert.deepEqual(rows, [{ requests: 9 }]);
  assert.deepEqual(
    (await eventsOf(caller)).map(({ percent }) => percent),
    ['80'],
  );
});

test('requests of an unknown caller are limited by their address; those of known callers there are not', async () => {
  const caller = await callerOn([]);
  const metrics = openMetrics();
  const one = await openProcess(caller, { metrics });
  const ask = (authorization: string, remoteAddress: string) =>
    one.app.inject({ url: '/api/things', remoteAddress, headers: { authorization } });
  for (let count = 0; count < 120; count += 1) {
    assert.equal((await ask('Bearer bad', `2001:db8::${count.toString(16)}`)).statusCode, 401);
  }
  const refused = await ask('Bearer bad', '2001:db8::ffff');
  assert.deepEqual(
    [refused.statusCode, refused.json().limit, refused.json().per, refused.headers['retry-after']],
    [429, 'unidentified', 'address', '60'],
  );
  assert.match(refused.json().detail, /^2001:db8::\/64 has used the 120 requests/);
  assert.equal((await ask('Bearer good', '2001:db8::ffff')).statusCode, 200);
  assert.equal((await ask('Bearer bad', '2001:db8:0:1::1')).statusCode, 401);
  assert.match(
    await metrics.registry.metrics(),
    /limits_refused_total\{limit="unidentified",per="address"\} 1/,
  );
  await one.close();
});

test('log-ins have a limit of their own for each address, which a proxy names only if it is trusted', async () => {
  const caller = await callerOn([]);
  const logIn = async ({ app }: Process, forwarded: string) =>
    (
      await app.inject({
        method: 'POST',
        url: '/login',
        remoteAddress: '10.0.0.1',
        headers: { 'x-forwarded-for': forwarded },
      })
    ).statusCode;
  const direct = await openProcess(caller);
  const behind = await openProcess(caller, {}, { trustProxy: 1 });
  const listed = await openProcess(caller, {}, { trustProxy: ['10.0.0.0/8'] });
  const statuses = async (process: Process) => {
    const found: number[] = [];
    for (let count = 0; count < 31; count += 1) found.push(await logIn(process, `203.0.113.${count}`));
    return found;
  };
  assert.deepEqual((await statuses(direct)).slice(29), [200, 429]);
  assert.equal((await direct.app.inject({ url: '/login', remoteAddress: '10.0.0.1' })).statusCode, 200);
  for (const process of [behind, listed]) {
    assert.deepEqual((await statuses(process)).slice(29), [200, 200]);
    // What the client itself put before the address that the proxy saw is not believed.
    const spoofed: number[] = [];
    for (let count = 0; count < 31; count += 1) {
      spoofed.push(await logIn(process, `198.51.100.${count}, 203.0.113.200`));
    }
    assert.deepEqual(spoofed.slice(29), [200, 429]);
  }
  for (const { close } of [direct, behind, listed]) await close();
});

const binary = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0);
const mustHave = process.env['CI'] === 'true';
const skip =
  binary === undefined && !mustHave ? 'neither redis-server nor valkey-server is installed here' : false;

interface RedisServer {
  url: string;
  child: ChildProcess;
  end: () => Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  server.close();
  await once(server, 'close');
  return address.port;
}

/** A Redis of its own, on loopback, that keeps nothing. */
async function startRedis(port?: number): Promise<RedisServer> {
  assert.ok(binary !== undefined, 'neither redis-server nor valkey-server is installed');
  const listened = port ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), 'financialapi-redis-'));
  const child = spawn(
    binary,
    ['--port', String(listened), '--bind', '127.0.0.1', '--save', '', '--dir', dir],
    { stdio: 'ignore' },
  );
  const endChild = () => child.kill('SIGKILL');
  process.once('exit', endChild);
  const client = new Redis(listened, '127.0.0.1', { maxRetriesPerRequest: null });
  client.on('error', () => {});
  await client.ping();
  client.disconnect();
  const end = async () => {
    process.off('exit', endChild);
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  };
  opened.push(end);
  return { url: `redis://127.0.0.1:${listened}`, child, end };
}

/** Repeats until it holds: what a process hears of Redis comes in its own time. */
async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await check())) {
    assert.ok(performance.now() < deadline, what);
    await sleep(10);
  }
}

/** Resolves once a process counts in Redis, which is away for it until it has connected. */
async function counting({ app }: Process): Promise<void> {
  let host = 0;
  await eventually(async () => {
    host += 1;
    // A log-in from an address of its own counts against nothing that a test looks at.
    const remoteAddress = `2001:db8:${host.toString(16)}::1`;
    return (await app.inject({ method: 'POST', url: '/login', remoteAddress })).statusCode === 200;
  }, 'Redis is not connected');
}

test('processes that share a Redis let through exactly as many as the limit allows', { skip }, async () => {
  const redis = await startRedis();
  const caller = await callerOn([
    { name: 'minute', requests: 30, window_s: 60 },
    { name: 'day', requests: 45, period: 'day' },
  ]);
  let now_ms = noon;
  const options = { redis_url: redis.url, when_redis_is_away: 'closed', now: () => now_ms } as const;
  const [first, second] = [await openProcess(caller, options), await openProcess(caller, options)];
  for (const each of [first, second]) await counting(each);
  const both = await Promise.all([times(50, first.ask), times(50, second.ask)]);
  assert.equal(passed(both.flat()), 30);
  assert.equal(both.flat().filter((status) => status === 429).length, 70);
  // What the minute refused was not taken from the day.
  now_ms += 60_000;
  const later = await Promise.all([times(20, first.ask), times(20, second.ask)]);
  assert.equal(passed(later.flat()), 15);
  const { rows } = await superuser.query(
    `select limit_name, requests::int from platform.request_counts where tenant_id = $1 and subject = $2`,
    [caller.tenant_id, caller.principal.id],
  );
  await first.close();
  await second.close();
  const { rows: kept } = await superuser.query(
    `select limit_name, requests::int from platform.request_counts where tenant_id = $1 and subject = $2`,
    [caller.tenant_id, caller.principal.id],
  );
  assert.deepEqual([rows, kept], [[], [{ limit_name: 'day', requests: 45 }]]);
  const told = (await eventsOf(caller)).map(({ type }) => String(type));
  assert.deepEqual(
    ['near', 'reached'].map((how) => told.filter((type) => type === `platform.limit.${how}`).length),
    [2, 2],
  );
  await redis.end();
});

test('without Redis an open process counts for itself and goes on with Redis when it is back', {
  skip,
}, async () => {
  let redis = await startRedis();
  const caller = await callerOn([month(10)]);
  const metrics = openMetrics();
  const one = await openProcess(caller, { redis_url: redis.url, when_redis_is_away: 'open', metrics });
  const countedHere = async () => {
    const text = await metrics.registry.metrics();
    return Number(/limits_without_redis_total\{outcome="counted_here"\} (\d+)/.exec(text)?.[1] ?? 0);
  };
  /** Resolves once a log-in is counted in Redis. */
  const countingInRedis = () =>
    eventually(async () => {
      const before = await countedHere();
      await one.app.inject({ method: 'POST', url: '/login' });
      return (await countedHere()) === before;
    }, 'Redis is not asked');
  await countingInRedis();
  const began = await countedHere();
  assert.equal(passed(await times(4, one.ask)), 4);
  assert.equal(await countedHere(), began);
  const port = Number(new URL(redis.url).port);
  await redis.end();
  // It goes on from what it knew.
  assert.equal(passed(await times(20, one.ask)), 6);
  assert.ok((await countedHere()) >= began + 20);
  // Redis comes back without its data: it is told what was counted.
  redis = await startRedis(port);
  await countingInRedis();
  const again = await countedHere();
  assert.equal(await one.ask(), 429);
  assert.equal(await countedHere(), again);
  await one.close();
  await redis.end();
});

test('without Redis a closed process answers 503, and a request that hangs in it is not waited for', {
  skip,
}, async () => {
  const redis = await startRedis();
  const caller = await callerOn([month(1_000)]);
  const one = await openProcess(caller, { redis_url: redis.url, when_redis_is_away: 'closed' });
  await eventually(async () => (await one.ask()) === 200, 'Redis is not connected');
  // Still connected, yet it says nothing.
  redis.child.kill('SIGSTOP');
  const headers = { authorization: 'Bearer good' };
  const silent = await one.app.inject({ url: '/api/things', headers });
  assert.deepEqual(
    [silent.statusCode, silent.json().code, silent.headers['retry-after']],
    [503, 'limits_unavailable', '1'],
  );
  redis.child.kill('SIGCONT');
  await eventually(async () => (await one.ask()) === 200, 'Redis is not asked again');
  await redis.end();
  assert.equal(await one.ask(), 503);
  await one.close();
});
