/** Every process is replaced under load, one after the other: no request fails, no transfer is lost or made twice. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Sql } from 'pg';
import { audit } from './audit.ts';
import { openClient } from './client.ts';
import { openTopology, type Topology } from './topology.ts';

const WORKERS = 3;
/** Between two requests of a worker: the load is there all the time, and is not what is tested. */
const PAUSE_MS = 50;

let topology: Topology;
let sql: Sql;
before(async () => {
  topology = await openTopology();
  sql = new Sql({ connectionString: topology.databaseUrl });
  await sql.connect();
  // At once, and each pair in the order that makes one of them wait for the other.
  await Promise.all(['identity', 'identity', 'ledger', 'ledger'].map((service) => topology.start([service])));
});
after(async () => {
  await sql?.end();
  await topology?.close();
});

test('a rolling restart of every process under load fails no request', async (t) => {
  const { gateway, tenant } = topology;
  const client = openClient(() => ({ url: gateway.url, key: tenant.key }));
  const make = async (path: string, body: unknown, key: string) => {
    const answer = await client.ask('POST', path, body, key);
    assert.equal(answer?.status, 201, JSON.stringify(answer?.body));
    return answer.body;
  };
  await make('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' }, 'chart');
  const open = async (name: string) =>
    (
      await make(
        '/api/v2/accounts',
        { name, currency: 'BRL', chart_code: '1', credit_limit: null },
        `open-${name}`,
      )
    ).id;
  const [debit_account_id, credit_account_id] = [await open('from'), await open('to')];
  const pay = { debit_account_id, credit_account_id, amount: { amount: '0.01', currency: 'BRL' } };

  const failed: string[] = [];
  const posted = new Map<string, string>();
  let requests = 0;
  let resets = 0;
  const state = { over: false };
  const check = (what: string, status: number | undefined, expected: number, body: unknown) => {
    requests += 1;
    if (status !== expected) failed.push(`${what}: ${status} ${JSON.stringify(body)}`);
  };
  const workers = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let n = 0; !state.over; n += 1) {
      const key = `pay-${worker}-${n}`;
      const answer = await client.ask('POST', '/api/v2/transfers', pay, key);
      check(key, answer?.status, 201, answer?.body);
      if (answer?.status === 201) posted.set(key, answer.body.id);
      const keys = await client.ask('GET', '/api/v2/api-keys');
      check('keys', keys?.status, 200, keys?.body);
      await sleep(PAUSE_MS);
    }
  });
  const other = openClient(() => ({ url: gateway.url, key: topology.other.key }));
  workers.push(
    (async () => {
      while (!state.over) {
        // Identity empties it, and asks the ledger to fill it.
        const answer = await other.ask(
          'POST',
          '/api/v2/sandbox/reset',
          { seed: 'demo' },
          crypto.randomUUID(),
        );
        check('reset', answer?.status, 201, answer?.body);
        resets += 1;
        await sleep(10 * PAUSE_MS);
      }
    })(),
  );

  const before = topology.processes.map(({ server, services }) => ({ server, services }));
  const of = (service: string) => before.filter(({ services }) => services.includes(service));
  const [identities, ledgers] = [of('identity'), of('ledger')];
  try {
    // One of each service at a time: the other one answers meanwhile.
    for (const [index, identity] of identities.entries()) {
      const turn = [identity, ledgers[index]].filter((one) => one !== undefined);
      await Promise.all(turn.map(({ server }) => topology.stop(server)));
      await Promise.all(turn.map(({ services }) => topology.start(services)));
    }
  } finally {
    state.over = true;
    await Promise.all(workers);
  }

  assert.equal(
    failed.length,
    0,
    `${failed.length} of ${requests} requests failed: ${failed.slice(0, 5).join('\n')}\n${topology.lines().join('\n')}`,
  );
  assert.deepEqual(gateway.failures, []);
  assert.ok(posted.size > 50 && resets > 2, `${posted.size} transfers, ${resets} resets`);
  const { rows } = await sql.query<{ count: number; distinct: number }>(
    `select count(*)::int as count, count(distinct id)::int as distinct from ledger.transfers
     where tenant_id = $1 and environment = 'sandbox'`,
    [tenant.scope.tenant_id],
  );
  assert.deepEqual(rows, [{ count: posted.size, distinct: new Set(posted.values()).size }]);
  assert.deepEqual(await audit(sql, tenant.scope), []);
  const running = new Set(topology.processes.map(({ server }) => server.pid));
  assert.ok(before.every(({ server }) => !running.has(server.pid)));
  const { rows: registered } = await sql.query(
    'select services, draining from platform.instances order by services',
  );
  assert.deepEqual(
    registered,
    ['identity', 'identity', 'ledger', 'ledger'].map((name) => ({ services: [name], draining: false })),
  );
  t.diagnostic(
    `${before.length} processes replaced, ${requests} requests, ${posted.size} transfers, ${resets} resets`,
  );
});
