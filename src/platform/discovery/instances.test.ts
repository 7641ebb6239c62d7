/** What whoever operates the installation sees of its processes. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Static, Type } from 'typebox';
import { createKey } from '../access/access.ts';
import { createInstallation, createTenant } from '../access/tenant.ts';
import { boot, type Running } from '../boot.ts';
import { readConfig } from '../config.ts';
import { newUuid } from '../ids.ts';
import { callOf, definePort, provide } from '../port/port.ts';
import { defineService } from '../service.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import type { Instance, ServiceBody } from './instances.ts';

type SeenInstance = Static<typeof Instance>;
type SeenService = Static<typeof ServiceBody>;

const vault = definePort({
  service: 'vault',
  operations: {
    count: {
      meaning: 'Something',
      input: Type.Object({}),
      output: Type.Object({}),
      timeout_ms: 500,
      idempotent: false,
      writes: false,
      permission: 'things:read',
    },
  },
});
const migrations = new URL('.', import.meta.url).pathname;
const services = [
  defineService({
    name: 'teller',
    migrations,
    problems: {},
    permissions: { 'things:read': { meaning: 'See things' } },
    requires: [vault],
    start: ({ port }) => {
      const askVault = port(vault);
      return {
        routes: async (app) => {
          app.get('/api/v2/teller', { config: { permission: 'things:read' } }, async (request) =>
            askVault('count', callOf(request), {}),
          );
        },
        stop: () => Promise.resolve(),
      };
    },
  }),
  defineService({
    name: 'vault',
    migrations,
    problems: {},
    permissions: {},
    provides: vault,
    start: () => ({
      port: provide(vault, { count: async () => ({}) }),
      routes: async () => {},
      stop: () => Promise.resolve(),
    }),
  }),
];

let database: FreshDatabase;
let sql: Client;
/** Of whoever operates the installation, and of a tenant. */
const keys = { operator: '', tenant: '' };
const configOf = (settings: Record<string, string> = {}) =>
  readConfig({
    DATABASE_URL: database.url,
    PORT: '0',
    LOG_LEVEL: 'silent',
    POOL_SIZE: '2',
    DRAIN_DELAY_MS: '0',
    SERVICE_TOKEN_KEY: Buffer.alloc(32, 3).toString('base64'),
    ...settings,
  });
before(async () => {
  database = await freshDatabase();
  sql = new Client({ connectionString: database.url });
  await sql.connect();
  const running = await boot(configOf(), services);
  const made = await createInstallation(running.platform, { name: 'Operator', base_currency: 'BRL' });
  keys.operator = made?.key ?? '';
  const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  const scope = { tenant_id, environment: 'sandbox' } as const;
  keys.tenant = await createKey(running.platform, scope, {
    label: 'test',
    scopes: ['things:read', 'services:read'],
  });
  await running.stop();
});
after(async () => {
  await sql?.end();
  await database?.drop();
});

/** Boots a process that ends with the test, however that ends: others would find it. */
async function bootFor(t: TestContext, settings: Record<string, string> = {}): Promise<Running> {
  const running = await boot(configOf(settings), services);
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= running.stop());
  t.after(stop);
  return { ...running, stop };
}

async function ask(running: Running, url: string, key = keys.operator) {
  const answer = await running.app.inject({ url, headers: { authorization: `Bearer ${key}` } });
  return { status: answer.statusCode, body: answer.json() };
}

async function instancesSeen(running: Running, query = ''): Promise<SeenInstance[]> {
  const { status, body } = await ask(running, `/api/v2/instances${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body.data;
}

/** The first instance that is so. What it says of itself it says every two seconds. */
async function seen(running: Running, isSo: (instance: SeenInstance) => boolean): Promise<SeenInstance> {
  for (;;) {
    const found = (await instancesSeen(running)).find(isSo);
    if (found !== undefined) return found;
    await sleep(50);
  }
}

const servicesSeen = async (running: Running): Promise<SeenService[]> =>
  (await ask(running, '/api/v2/services')).body.data;
const statesOf = (found: readonly SeenService[]) => found.map(({ name, state }) => [name, state]);

test('one process runs everything, and says so', async (t) => {
  const running = await bootFor(t, { DISCOVERY: 'static' });
  const [instance, ...others] = await instancesSeen(running);
  assert.ok(instance !== undefined && others.length === 0);
  assert.deepEqual(
    [instance.services, instance.state, instance.out_of_reach, instance.left_alone],
    [['vault', 'teller'], 'ready', [], []],
  );
  const { id, url, version } = instance;
  assert.match(id, /^ins_/);
  const found = await servicesSeen(running);
  assert.deepEqual(
    found.map(({ name, state, requires, instances }) => ({ name, state, requires, instances })),
    [
      {
        name: 'teller',
        state: 'ready',
        requires: ['vault'],
        instances: [{ id, url, version, state: 'ready' }],
      },
      { name: 'vault', state: 'ready', requires: [], instances: [{ id, url, version, state: 'ready' }] },
    ],
  );
});

test('only whoever operates the installation sees it', async (t) => {
  const running = await bootFor(t);
  for (const path of ['/api/v2/services', '/api/v2/instances']) {
    const refused = await ask(running, path, keys.tenant);
    assert.deepEqual([refused.status, refused.body.code], [403, 'permission_missing'], path);
    assert.equal((await running.app.inject(path)).statusCode, 401);
  }
});

test('a process that stops is seen to, and what the others miss then', async (t) => {
  const vaulting = await bootFor(t, { SERVICES: 'vault' });
  const telling = await bootFor(t, { SERVICES: 'teller' });
  assert.deepEqual(statesOf(await servicesSeen(telling)), [
    ['teller', 'ready'],
    ['vault', 'ready'],
  ]);
  await vaulting.drain();
  const [draining] = await instancesSeen(telling, '?service=vault');
  assert.equal(draining?.state, 'draining');
  assert.deepEqual((await instancesSeen(telling, '?state=draining')).length, 1);
  assert.deepEqual(statesOf(await servicesSeen(telling)), [
    ['teller', 'ready'],
    ['vault', 'away'],
  ]);
  await vaulting.stop();
  assert.deepEqual(await instancesSeen(telling, '?service=vault'), []);
  const missing = await seen(telling, ({ out_of_reach }) => out_of_reach.length > 0);
  assert.deepEqual([missing.services, missing.out_of_reach], [['teller'], ['vault']]);
  await bootFor(t, { SERVICES: 'vault' });
  await seen(telling, ({ services, out_of_reach }) => services[0] === 'teller' && out_of_reach.length === 0);
});

test('an instance that others leave alone is named by who leaves it alone', async (t) => {
  const failing = createServer((request, response) => {
    response.writeHead(request.url === '/readyz' ? 200 : 503).end('{}');
  });
  await new Promise<void>((resolve) => failing.listen(0, '127.0.0.1', resolve));
  t.after(() => void failing.close());
  const address = failing.address();
  assert.ok(typeof address === 'object' && address !== null);
  const url = `http://127.0.0.1:${address.port}`;
  const telling = await bootFor(t, {
    SERVICES: 'teller',
    DISCOVERY: 'static',
    SERVICES_AT: `vault=${url}`,
  });
  for (let asked = 0; asked < 5; asked += 1) {
    assert.equal((await ask(telling, '/api/v2/teller', keys.tenant)).status, 503);
  }
  const leaving = await seen(telling, ({ left_alone }) => left_alone.length > 0);
  assert.deepEqual([leaving.services, leaving.left_alone], [['teller'], [url]]);
});

test('who says nothing any more is silent, then listed no more; what only a newer process runs is a service, too', async (t) => {
  const insert = (service: string, ago_s: number) =>
    sql.query(
      `insert into platform.instances (id, url, services, version, heartbeat_at)
       values ($1, 'http://127.0.0.1:1', array[$2], '99.0.0', now() - make_interval(secs => $3))`,
      [newUuid(), service, ago_s],
    );
  await insert('novelty', 0);
  await insert('vault', 20);
  await insert('vault', 3_600);
  t.after(() => sql.query("delete from platform.instances where version = '99.0.0'"));
  // It announces itself, and with that the oldest is dropped.
  const running = await bootFor(t);
  const [silent, ...others] = await instancesSeen(running, '?state=silent');
  assert.deepEqual([silent?.services, silent?.version, others], [['vault'], '99.0.0', []]);
  const found = await servicesSeen(running);
  assert.deepEqual(statesOf(found), [
    ['teller', 'ready'],
    ['vault', 'ready'],
    ['novelty', 'ready'],
  ]);
  assert.deepEqual(found[1]?.instances.map(({ state }) => state).toSorted(), ['ready', 'silent']);
  // Newest first, a page at a time.
  const first = await ask(running, '/api/v2/instances?limit=2');
  const second = await ask(running, `/api/v2/instances?limit=2&cursor=${first.body.next_cursor}`);
  assert.deepEqual([first.body.data.length, second.body.data.length, second.body.next_cursor], [2, 1, null]);
  const ids = [...first.body.data, ...second.body.data].map(({ id }: SeenInstance) => id);
  assert.deepEqual(ids, ids.toSorted().reverse());
  for (const query of ['?state=lost', '?service=NO', '?cursor=x', '?service=a%27--']) {
    assert.equal((await ask(running, `/api/v2/instances${query}`)).status, 400, query);
  }
  assert.deepEqual(await instancesSeen(running, '?service=nothing'), []);
});
