/** Notes of who asked: they go where nothing was kept of what was asked, and stay where something was. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform } from '../../testing.ts';

let platform: TestPlatform;
let superuser: Client;
before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

test('notes of who asked are removed a day after, unless an outcome is kept under their key', async () => {
  const bank = await platform.newTenant();
  const other = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post(
    '/api/v2/accounts',
    { name: 'A', currency: 'BRL', chart_code: '1' },
    { 'idempotency-key': 'kept' },
  );
  for (const [tenant, key, age] of [
    [bank, 'kept', '30 days'],
    [bank, 'orphan', '25 hours'],
    [bank, 'young', '1 hour'],
    [other, 'orphan', '25 hours'],
  ] as const) {
    await superuser.query(
      `insert into ledger.askers (tenant_id, environment, key, asker, request_hash, asked_at)
       values ($1, $2, $3, 'usr_x', sha256('x'), now() - $4::interval)`,
      [tenant.scope.tenant_id, tenant.scope.environment, key, age],
    );
  }
  await bank.post('/api/v2/jobs/ledger.forget_askers/run');
  const deadline = Date.now() + 30_000;
  for (;;) {
    const [run] = (await bank.get('/api/v2/jobs/ledger.forget_askers/runs')).data;
    if (run?.ended_at !== undefined) {
      assert.deepEqual([run.outcome, run.did], ['succeeded', { askers: 1 }], JSON.stringify(run));
      break;
    }
    assert.ok(Date.now() < deadline, JSON.stringify(run));
    await sleep(50);
  }
  const { rows } = await superuser.query(
    'select tenant_id, key from ledger.askers where tenant_id = any ($1) order by key, tenant_id',
    [[bank.scope.tenant_id, other.scope.tenant_id]],
  );
  assert.deepEqual(
    rows.map(({ tenant_id, key }) => [tenant_id === bank.scope.tenant_id, key]),
    [
      [true, 'kept'],
      [false, 'orphan'],
      [true, 'young'],
    ],
  );
});

test('the role of the service takes no note away by itself', async () => {
  await superuser.query('begin');
  try {
    await superuser.query('set local role ledger');
    await assert.rejects(superuser.query('delete from ledger.askers'), /permission denied/);
  } finally {
    await superuser.query('rollback');
  }
});
