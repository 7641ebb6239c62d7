/** Services that ask each other, in one process and in several: the same comes of it. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from 'typebox';
import { createKey } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';
import { openServiceTokens } from '../access/service-token.ts';
import { createTenant } from '../access/tenant.ts';
import { boot, type Running } from '../boot.ts';
import { readConfig, StartupError } from '../config.ts';
import { defineProblems } from '../problem.ts';
import { defineService, type Service } from '../service.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { callOf, definePort, provide } from './port.ts';

const refuse = defineProblems({
  till_empty: { status: 422, title: 'The till is empty', meaning: 'Fill it.' },
});

const operation = {
  meaning: 'Something',
  input: Type.Object({ coins: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }),
  output: Type.Object({ coins: Type.Integer(), by: Type.Unknown() }),
  timeout_ms: 400,
  idempotent: false,
  writes: false,
  permission: 'things:read',
};
const bankPort = definePort({
  service: 'bank',
  operations: {
    count: operation,
    put: { ...operation, writes: true },
    look: { ...operation, idempotent: true, timeout_ms: 5_000 },
    refused: operation,
    broken: operation,
    untrue: operation,
    never: operation,
    forbidden: { ...operation, permission: 'things:forbidden' },
  },
});

/** What the bank was asked, in the process that it runs in. */
interface Heard {
  asked: string[];
  traceparents: (string | undefined)[];
  left_ms: number[];
  aborted: number;
}

const noMigrations = new URL('.', import.meta.url).pathname;

function bank(heard: Heard, name = 'bank'): Service {
  return defineService({
    name: 'bank',
    migrations: noMigrations,
    problems: refuse.types,
    permissions: { 'things:forbidden': { meaning: 'Do what nobody here may' } },
    provides: bankPort,
    start: () => {
      const note =
        (operation: string): Parameters<typeof provide<typeof bankPort.operations>>[1]['count'] =>
        async (asked, { coins }) => {
          heard.asked.push(`${name} ${operation}`);
          heard.traceparents.push(asked.traceparent);
          heard.left_ms.push(asked.until_ms - performance.now());
          const { principal, on_behalf_of } = asked.caller;
          return { coins, by: { principal, on_behalf_of, request_id: asked.request_id } };
        };
      return {
        port: provide(bankPort, {
          count: note('count'),
          look: note('look'),
          put: async (asked, input) => {
            asked.audit({ subject: 'the till', after: input });
            return note('put')(asked, input);
          },
          forbidden: note('forbidden'),
          refused: async () => {
            throw refuse('till_empty', 'There is nothing in it.', { available: '0', errors: [] });
          },
          broken: async () => {
            throw new Error('a defect');
          },
          untrue: async () => ({ coins: Number.NaN, by: 'whoever' }),
          never: (asked) =>
            new Promise((_, reject) => {
              heard.asked.push(`${name} never`);
              asked.signal.addEventListener('abort', () => {
                heard.aborted += 1;
                reject(new Error('nobody waits any more'));
              });
            }),
        }),
        routes: async () => {},
        stop: () => Promise.resolve(),
      };
    },
  });
}

const shop = defineService({
  name: 'shop',
  migrations: noMigrations,
  problems: {},
  permissions: { 'things:read': { meaning: 'See things' } },
  requires: [bankPort],
  start: ({ port }) => {
    const askBank = port(bankPort);
    return {
      routes: async (app) => {
        app.post<{ Params: { operation: keyof typeof bankPort.operations }; Body: { coins: number } }>(
          '/api/v2/shop/:operation',
          { config: { permission: 'things:read', approval: 'exempt' } },
          async (request) => askBank(request.params.operation, callOf(request), request.body),
        );
      },
      stop: () => Promise.resolve(),
    };
  },
});

let database: FreshDatabase;
const SERVICE_TOKEN_KEY = Buffer.alloc(32, 3).toString('base64');
const configOf = (settings: Record<string, string> = {}) =>
  readConfig({
    DATABASE_URL: database.url,
    PORT: '0',
    LOG_LEVEL: 'silent',
    POOL_SIZE: '2',
    DRAIN_DELAY_MS: '0',
    SERVICE_TOKEN_KEY,
    ...settings,
  });
const newHeard = (): Heard => ({ asked: [], traceparents: [], left_ms: [], aborted: 0 });
let key: string;
let tenant_id: string;
before(async () => {
  database = await freshDatabase();
  const running = await boot(configOf(), [shop, bank(newHeard())]);
  tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  key = await createKey(
    running.platform,
    { tenant_id, environment: 'sandbox' },
    { label: 'test', scopes: ['things:read'] },
  );
  await running.stop();
});
after(() => database.drop());

const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Asks the shop to ask the bank. */
async function ask(running: Running, operation: string, body: object = { coins: 3 }) {
  const answer = await running.app.inject({
    method: 'POST',
    url: `/api/v2/shop/${operation}`,
    headers: { authorization: `Bearer ${key}`, 'request-id': `request-${operation}`, traceparent: trace },
    payload: body,
  });
  const { type: _, ...told } = answer.json();
  return { status: answer.statusCode, told };
}

async function everything(running: Running) {
  const told: Record<string, unknown> = {};
  for (const operation of Object.keys(bankPort.operations)) told[operation] = await ask(running, operation);
  told['wrong'] = await ask(running, 'count', { coins: -1 });
  told['unknown member'] = await ask(running, 'count', { coins: 1, notes: 2 });
  return told;
}

test('one process and two come to the same: answers, refusals, defects, and who is on record for it', async (t) => {
  const together = newHeard();
  const one = await bootFor(t, configOf(), [shop, bank(together)]);
  const inOne = await everything(one);
  const recordedOfOne = await recordsOf(one);
  await one.stop();

  const apart = newHeard();
  const other = await bootFor(t, configOf({ SERVICES: 'bank' }), [shop, bank(apart)]);
  const asking = await bootFor(t, configOf({ SERVICES: 'shop' }), [shop, bank(newHeard())]);
  const inTwo = await everything(asking);
  const recorded = await recordsOf(other);
  // What nobody waits for any more has ended then, too.
  await asking.stop();
  await other.stop();

  assert.deepEqual(inTwo, inOne);
  assert.deepEqual(apart.asked, together.asked);
  assert.deepEqual(apart.traceparents, together.traceparents);
  assert.deepEqual(new Set(apart.traceparents), new Set([trace]));
  assert.deepEqual([apart.aborted, together.aborted], [1, 1]);
  assert.ok([...apart.left_ms, ...together.left_ms].every((left) => left > 0 && left <= 5_000));
  const told = (name: string) => JSON.parse(JSON.stringify(inOne[name]));
  assert.equal(told('count').status, 200);
  assert.deepEqual(
    [
      told('count').told.by.principal,
      told('count').told.by.on_behalf_of.kind,
      told('count').told.by.request_id,
    ],
    [{ kind: 'service', id: 'service:shop', name: 'shop' }, 'key', 'request-count'],
  );
  assert.deepEqual(
    Object.fromEntries(Object.keys(inOne).map((name) => [name, told(name).told.code ?? told(name).status])),
    {
      count: 200,
      put: 200,
      look: 200,
      refused: 'till_empty',
      broken: 'internal_error',
      untrue: 'internal_error',
      never: 'service_unavailable',
      forbidden: 'permission_missing',
      wrong: 'malformed_request',
      'unknown member': 'malformed_request',
    },
  );
  assert.equal(told('refused').told.available, '0');
  assert.deepEqual([recordedOfOne.length, recorded.length], [1, 2]);
  for (const record of recorded) {
    assert.deepEqual(record, {
      principal_id: 'service:shop',
      on_behalf_of: 'key',
      route: '/internal/ports/bank/put',
      outcome: 'done',
      subject: 'the till',
      request_id: 'request-put',
    });
  }
});

const RecordRow = Type.Object({
  principal_id: Type.String(),
  on_behalf_of: Type.String(),
  route: Type.String(),
  outcome: Type.String(),
  subject: Type.String(),
  request_id: Type.String(),
});

/** What the audit trail has of ports. */
function recordsOf({ platform }: Running) {
  return platform.read({ tenant_id, environment: 'sandbox' }, (tx) =>
    tx.rows(
      RecordRow,
      `select principal_id, on_behalf_of ->> 'kind' as on_behalf_of, route, outcome, subject, request_id
       from platform.audit_records
       where tenant_id = $1 and environment = 'sandbox' and route like '/internal/%'`,
      [tenant_id],
    ),
  );
}

/** Boots a process that ends with the test, however that ends: others would find it in the registry. */
async function bootFor(t: TestContext, ...how: Parameters<typeof boot>): Promise<Running> {
  const running = await boot(...how);
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= running.stop());
  t.after(stop);
  return { ...running, stop };
}

/** An instance that says that it is ready, and does something else with what it is asked. */
async function instance(t: TestContext, does: (response: ServerResponse) => void) {
  const state = { asked: 0 };
  const server = createServer((request, response) => {
    if (request.url === '/readyz') {
      response.end('{}');
      return;
    }
    state.asked += 1;
    does(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  t.after(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return { url: `http://127.0.0.1:${address.port}`, state };
}

const hangUp = (response: ServerResponse) => void response.destroy();

/** A shop that asks banks at these addresses. */
const shopWith = (t: TestContext, urls: readonly string[]) =>
  bootFor(t, configOf({ SERVICES: 'shop', DISCOVERY: 'static', SERVICES_AT: `bank=${urls.join(',')}` }), [
    shop,
    bank(newHeard()),
  ]);

/** A bank in a process of its own, and where it is. */
async function bankApart(t: TestContext, heard: Heard, name?: string) {
  const running = await bootFor(t, configOf({ SERVICES: 'bank' }), [shop, bank(heard, name)]);
  const [address] = running.app.addresses();
  assert.ok(typeof address === 'object');
  return { running, url: `http://127.0.0.1:${address.port}` };
}

test('what may be asked twice is asked elsewhere when an instance fails; anything else is not, and says so', async (t) => {
  const failing = await instance(t, hangUp);
  const heard = newHeard();
  const sound = await bankApart(t, heard);
  const running = await shopWith(t, [failing.url, sound.url]);
  // They take turns. The failing one stays below the failures after which it would be left alone.
  for (let n = 0; n < 4; n += 1) assert.equal((await ask(running, 'look')).status, 200);
  assert.deepEqual([heard.asked.length, failing.state.asked], [4, 2]);
  const told = [];
  for (let n = 0; n < 4; n += 1) told.push(await ask(running, 'count'));
  assert.deepEqual(
    told.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 200, 503, 503],
  );
  const failed = told.find(({ status }) => status === 503);
  assert.match(failed?.told.detail, /^The service bank could not be reached; what came of it is not known\./);
  assert.equal(failed?.told.code, 'service_unavailable');
  // Each was asked of one instance.
  assert.deepEqual([heard.asked.filter((what) => what === 'bank count').length, failing.state.asked], [2, 4]);
});

test('an instance that fails again and again is left alone', async (t) => {
  const failing = await instance(t, (response) => response.writeHead(503).end());
  const running = await shopWith(t, [failing.url]);
  const told = await Promise.all(Array.from({ length: 5 }, () => ask(running, 'count')));
  assert.deepEqual(new Set(told.map(({ status }) => status)), new Set([503]));
  // It is looked at again from time to time, and once each time: whoever asks while it is left alone does not reach it.
  let leftAlone = 0;
  while (leftAlone < 10) {
    const before = failing.state.asked;
    const { status, told: problem } = await ask(running, 'look');
    assert.equal(status, 503);
    const reached = failing.state.asked - before;
    assert.ok(reached <= 1, `asked ${reached} times by one`);
    if (/left alone; nothing was done/.test(problem.detail)) {
      assert.equal(reached, 0);
      leftAlone += 1;
    }
  }
});

test('an answer that no service of ours gives is a defect, and none of the client', async (t) => {
  const strange = await instance(t, (response) => {
    response.writeHead(401, { 'content-type': 'text/html' }).end('<p>Who are you?');
  });
  const running = await shopWith(t, [strange.url]);
  assert.deepEqual((await ask(running, 'look')).told.code, 'internal_error');
});

test('instances announce themselves, are found, and are asked no more once they are about to stop', async (t) => {
  const [left, right] = [newHeard(), newHeard()];
  const first = await bankApart(t, left, 'first');
  const second = await bankApart(t, right, 'second');
  const running = await bootFor(t, configOf({ SERVICES: 'shop' }), [shop, bank(newHeard())]);
  const both = async () => {
    const { body } = await running.app.inject('/metrics');
    return /port_instances_ready\{service="bank"\} (\d)/.exec(body)?.[1];
  };
  while ((await both()) !== '2') await sleep(20);
  for (let n = 0; n < 10; n += 1) assert.equal((await ask(running, 'count')).status, 200);
  assert.ok(left.asked.length > 0 && right.asked.length > 0);
  await first.running.drain();
  const draining = await first.running.app.inject('/readyz');
  assert.deepEqual(
    [draining.statusCode, draining.json().status, draining.headers.connection],
    [503, 'draining', 'close'],
  );
  while ((await both()) !== '1') await sleep(20);
  const before = left.asked.length;
  for (let n = 0; n < 10; n += 1) assert.equal((await ask(running, 'count')).status, 200);
  assert.equal(left.asked.length, before);
  await first.running.stop();
  await second.running.stop();
  while ((await both()) !== '0') await sleep(20);
  const told = await ask(running, 'count');
  assert.deepEqual([told.status, told.told.code], [503, 'service_unavailable']);
  // The other is there again: nobody has to be started anew.
  await bankApart(t, right, 'third');
  while ((await both()) !== '1') await sleep(20);
  assert.equal((await ask(running, 'count')).status, 200);
});

test('a process waits for the services that it asks, whichever is started first', async (t) => {
  const early = bootFor(t, configOf({ SERVICES: 'shop' }), [shop, bank(newHeard())]);
  await bankApart(t, newHeard());
  const running = await early;
  assert.equal((await ask(running, 'count')).status, 200);
});

test('a service that is nowhere stops the start with what to do', async () => {
  for (const [discovery, advice] of [
    ['registry', /it announces itself in the registry/],
    ['static', /name its addresses in SERVICES_AT \(bank=http/],
    ['environment', /set BANK_SERVICE_HOST and …_SERVICE_PORT/],
  ] as const) {
    const config = configOf({ SERVICES: 'shop', DISCOVERY: discovery, DISCOVERY_TIMEOUT_MS: '100' });
    await assert.rejects(boot(config, [shop, bank(newHeard())]), (error) => {
      assert.ok(error instanceof StartupError);
      assert.match(
        error.message,
        /the service bank is asked from here, .* no instance of it was ready within 100 ms/,
      );
      assert.match(error.message, advice);
      return true;
    });
  }
});

test('services that are named in the way of Kubernetes are found', async (t) => {
  const { url } = await bankApart(t, newHeard());
  const { hostname, port } = new URL(url);
  const running = await bootFor(
    t,
    configOf({
      SERVICES: 'shop',
      DISCOVERY: 'environment',
      BANK_SERVICE_HOST: hostname,
      BANK_SERVICE_PORT: port,
    }),
    [shop, bank(newHeard())],
  );
  assert.equal((await ask(running, 'count')).status, 200);
});

test('without a key that all share, services that ask each other do not start apart', async () => {
  for (const SERVICES of ['shop', 'bank']) {
    await assert.rejects(
      boot(configOf({ SERVICES, SERVICE_TOKEN_KEY: '' }), [shop, bank(newHeard())]),
      /SERVICE_TOKEN_KEY is not set/,
    );
  }
});

test('ports are asked of somebody who provides them, in no circle, and by whoever says so', async () => {
  const plain = (name: string, more: Partial<Service>): Service => ({
    name,
    migrations: noMigrations,
    problems: {},
    permissions: {},
    start: () => ({ routes: async () => {}, stop: () => Promise.resolve() }),
    ...more,
  });
  const portOf = (service: string) => definePort({ service, operations: {} });
  await assert.rejects(
    boot(configOf(), [
      plain('a', { provides: portOf('a'), requires: [portOf('b')] }),
      plain('b', { provides: portOf('b'), requires: [portOf('c')] }),
      plain('c', { provides: portOf('c'), requires: [portOf('b')] }),
    ]),
    /in a circle: b → c → b;/,
  );
  await assert.rejects(
    boot(configOf(), [plain('a', { requires: [portOf('b')] })]),
    /a asks the port of b, which no service provides/,
  );
  await assert.rejects(
    boot(configOf(), [plain('a', { provides: portOf('b') })]),
    /a provides a port under the name of b/,
  );
  await assert.rejects(
    boot(configOf(), [plain('a', { provides: portOf('a') })]),
    /a provides another port than its manifest says/,
  );
  await assert.rejects(
    boot(configOf(), [
      plain('a', {
        start: ({ port }) => {
          port(bankPort);
          throw new Error('unreachable');
        },
      }),
      bank(newHeard()),
    ]),
    /a asks bank, which its manifest does not require/,
  );
});

test('only services come in by a port, each by a token for that one', async (t) => {
  const { running } = await bankApart(t, newHeard());
  const tokens = openServiceTokens([Buffer.alloc(32, 3)]);
  const caller: Caller = {
    tenant_id,
    environment: 'sandbox',
    principal: { kind: 'key', id: 'key_x', name: 'x' },
    tenant_name: 'Test',
    base_currency: 'BRL',
    permissions: new Set(['things:read']),
    narrowed: [],
    plan: 'standard',
  };
  const knock = async (authorization: string | undefined, path = '/internal/ports/bank/count') => {
    const answer = await running.app.inject({
      method: 'POST',
      url: path,
      headers: authorization === undefined ? {} : { authorization },
      payload: { coins: 1 },
    });
    return [answer.statusCode, answer.json().code];
  };
  const good = `Service ${await tokens.serviceToken('shop', caller, 'bank')}`;
  assert.deepEqual(await knock(good), [200, undefined]);
  assert.deepEqual(await knock(good, '/internal/ports/bank/nothing'), [404, 'not_found']);
  assert.deepEqual(await knock(good, '/internal/ports/shop/count'), [401, 'unauthenticated']);
  assert.deepEqual(await knock(undefined), [401, 'unauthenticated']);
  assert.deepEqual(await knock(`Bearer ${key}`), [403, 'forbidden']);
  const forOther = await tokens.serviceToken('shop', caller, 'ledger');
  assert.deepEqual(await knock(`Service ${forOther}`), [401, 'unauthenticated']);
  const forged = await openServiceTokens([Buffer.alloc(32, 4)]).serviceToken('shop', caller, 'bank');
  assert.deepEqual(await knock(`Service ${forged}`), [401, 'unauthenticated']);
  assert.doesNotMatch((await running.app.inject('/openapi.json')).body, /internal/);
});
