import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { boot } from './boot.ts';
import { readConfig, StartupError } from './config.ts';
import { defineService, type Service } from './service.ts';
import { type FreshDatabase, freshDatabase } from './testing.ts';

let database: FreshDatabase;
let superuser: Client;
before(async () => {
  database = await freshDatabase();
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await database.drop();
});

const configOf = (settings: Record<string, string> = {}) =>
  readConfig({ DATABASE_URL: database.url, PORT: '0', LOG_LEVEL: 'silent', POOL_SIZE: '2', ...settings });

/** A service without tables, which tells what becomes of it. It signs in with a role that every database has. */
function serviceOf(name: string, told: string[], start?: () => void): Service {
  return defineService({
    name,
    migrations: new URL('.', import.meta.url).pathname,
    problems: {},
    permissions: { 'things:read': { meaning: 'See things' } },
    start: () => {
      start?.();
      told.push(`${name} starts`);
      return {
        routes: async (app) => {
          app.get(`/api/v2/${name}`, { config: { permission: 'things:read' } }, async () => ({ ok: true }));
        },
        stop: async () => {
          told.push(`${name} stops`);
        },
      };
    },
  });
}

async function connectionsLeft(): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    const { rows } = await superuser.query(
      "select count(*)::integer as count from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'",
    );
    // A backend takes a moment to end after its client has gone.
    if (rows[0].count === 0 || tries === 100) return rows[0].count;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('services start in their order and stop in the other; only those that were named do', async () => {
  const told: string[] = [];
  const services = [serviceOf('one', told), serviceOf('two', told), serviceOf('three', told)];
  const running = await boot(configOf({ SERVICES: 'three,one' }), services);
  assert.equal((await running.app.inject('/readyz')).statusCode, 200);
  await running.stop();
  assert.deepEqual(told, ['one starts', 'three starts', 'three stops', 'one stops']);
  assert.equal(await connectionsLeft(), 0);
});

test('a service that is none is named, with those that there are', async () => {
  await assert.rejects(boot(configOf({ SERVICES: 'one,four' }), [serviceOf('one', [])]), (error) => {
    assert.ok(error instanceof StartupError);
    assert.match(error.message, /SERVICES names four, which is no service; there are: one/);
    return true;
  });
});

test('a start that fails undoes what it did before', async () => {
  const told: string[] = [];
  const defect = new Error('a defect');
  const services = [
    serviceOf('one', told),
    serviceOf('two', told, () => {
      throw defect;
    }),
  ];
  await assert.rejects(boot(configOf(), services), defect);
  assert.deepEqual(told, ['one starts', 'one stops']);
  assert.equal(await connectionsLeft(), 0);
});

test('a port in use is told, and nothing is left running', async () => {
  const told: string[] = [];
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await assert.rejects(boot(configOf({ PORT: String(port) }), [serviceOf('one', told)]), (error) => {
    assert.ok(error instanceof StartupError);
    assert.match(error.message, new RegExp(`port ${port} .* is in use`));
    return true;
  });
  taken.close();
  assert.deepEqual(told, ['one starts', 'one stops']);
  assert.equal(await connectionsLeft(), 0);
});

test('two servers run in one process, each with metrics of its own', async () => {
  const [one, two] = await Promise.all([boot(configOf(), []), boot(configOf(), [])]);
  await one.app.inject('/nothing');
  const count = async (running: typeof one) =>
    /http_request_duration_seconds_count\{method="GET",route="none",status="404"\} (\d+)/.exec(
      (await running.app.inject('/metrics')).body,
    )?.[1];
  assert.equal(await count(one), '1');
  assert.equal(await count(two), undefined);
  await Promise.all([one.stop(), two.stop()]);
});
