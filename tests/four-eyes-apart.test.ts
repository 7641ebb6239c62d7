/** Four eyes where the process that is asked to approve has not the route: the one that has it carries it out. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import type { Scope } from '../src/platform/db.ts';
import { newUuid } from '../src/platform/ids.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';
import { services } from '../src/services.ts';

let database: FreshDatabase;
let ledger: Running;
let others: Running;
before(async () => {
  database = await freshDatabase();
  const start = (names: readonly string[]) =>
    boot(
      readConfig({
        DATABASE_URL: database.url,
        PORT: '0',
        DEMO: 'false',
        LOG_LEVEL: 'error',
        POOL_SIZE: '3',
        ADDRESS_LIMIT_FACTOR: '1000',
        SERVICES: names.join(','),
        SERVICE_TOKEN_KEY: Buffer.alloc(32, 1).toString('base64'),
        IDENTITY_ENCRYPTION_KEY: Buffer.alloc(32, 2).toString('base64'),
      }),
      services,
    );
  const names = services.map(({ name }) => name);
  // Each finds the other: neither is ready without.
  [ledger, others] = await Promise.all([start(['ledger']), start(names.filter((name) => name !== 'ledger'))]);
});
after(async () => {
  await others?.stop();
  await ledger?.stop();
  await database?.drop();
});

type Method = 'GET' | 'POST' | 'PUT';

async function ask(running: Running, key: string, method: Method, url: string, body?: object) {
  const answer = await running.app.inject({
    method,
    url,
    headers: {
      authorization: `Bearer ${key}`,
      ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
    },
    ...(body === undefined ? {} : { payload: body }),
  });
  return { status: answer.statusCode, body: answer.json() };
}

test('what is approved elsewhere is carried out by the process that has its route, and no other takes the run', {
  timeout: 120_000,
}, async () => {
  const scope: Scope = {
    tenant_id: await createTenant(ledger.platform, { name: 'Test', base_currency: 'BRL' }),
    environment: 'sandbox',
  };
  const key = await createKey(ledger.platform, scope, { label: 'first' });
  const second = await createKey(ledger.platform, scope, { label: 'second' });
  await ask(ledger, key, 'POST', '/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const account = { name: 'A', currency: 'BRL', chart_code: '1' };
  assert.equal((await ask(ledger, key, 'PUT', '/api/v2/approval-policies/accounts:open', {})).status, 201);

  const ROUNDS = 6;
  for (let round = 0; round < ROUNDS; round += 1) {
    let proposed = await ask(ledger, key, 'POST', '/api/v2/accounts', account);
    // The word of the policy is on its way.
    while (proposed.status === 201) proposed = await ask(ledger, key, 'POST', '/api/v2/accounts', account);
    assert.equal(proposed.status, 202);
    const url = `/api/v2/proposals/${proposed.body.id}`;
    const approved = await ask(others, second, 'POST', `${url}/approve`, {});
    assert.deepEqual([approved.status, approved.body.status], [200, 'approved']);
    while ((await ask(others, key, 'GET', url)).body.status === 'approved') await sleep(20);
    assert.equal((await ask(others, key, 'GET', url)).body.status, 'executed');
  }

  let runs = await ask(others, key, 'GET', '/api/v2/jobs/ledger.attend_proposals/runs');
  while (runs.body.data.some(({ ended_at }: { ended_at: string | null }) => ended_at === null)) {
    await sleep(20);
    runs = await ask(others, key, 'GET', '/api/v2/jobs/ledger.attend_proposals/runs');
  }
  const did = runs.body.data.map((run: { did: { proposals: number } }) => run.did.proposals);
  assert.equal(
    did.reduce((sum: number, proposals: number) => sum + proposals, 0),
    ROUNDS,
  );
  assert.ok(!did.includes(0), `a process that could do nothing had a run: ${did.join()}`);
});
