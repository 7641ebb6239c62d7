/** Four eyes over several processes on one database. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from '../src/platform/access/access.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { newUuid } from '../src/platform/ids.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';

let platform: TestPlatform;
let other: Running;
before(async () => {
  platform = await openTestPlatform();
  other = await boot(
    readConfig({ DATABASE_URL: platform.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error', POOL_SIZE: '3' }),
    services,
  );
});
after(async () => {
  await other.stop();
  await platform.close();
});

test('a policy holds in every process, and any of them carries out what was proposed to another', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const open = async (): Promise<string> =>
    (
      await bank.post('/api/v2/accounts', {
        name: 'A',
        currency: 'BRL',
        chart_code: '1',
        credit_limit: null,
      })
    ).id;
  const [debit_account_id, credit_account_id] = [await open(), await open()];
  const pay = () =>
    other.app.inject({
      method: 'POST',
      url: '/api/v2/transfers',
      headers: { authorization: `Bearer ${bank.key}`, 'idempotency-key': newUuid() },
      payload: { debit_account_id, credit_account_id, amount: { amount: '1.00', currency: 'BRL' } },
    });
  assert.equal((await pay()).statusCode, 201);
  assert.equal((await bank.ask('PUT', '/api/v2/approval-policies/transfers:post', {})).status, 201);
  let paid = 1;
  let answer = await pay();
  const deadline = Date.now() + 5_000;
  // The word of it is on its way.
  while (answer.statusCode === 201) {
    paid += 1;
    assert.ok(Date.now() < deadline, 'the other process does not know the policy');
    await sleep(5);
    answer = await pay();
  }
  assert.equal(answer.statusCode, 202);

  const second = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  const decide = (running: Running) =>
    running.app.inject({
      method: 'POST',
      url: `/api/v2/proposals/${answer.json().id}/approve`,
      headers: { authorization: `Bearer ${second}` },
      payload: {},
    });
  // Both processes at once: it is carried out once, and whoever decided is told the same twice.
  const decided = await Promise.all([decide(platform.running), decide(other)]);
  assert.deepEqual(
    decided.map(({ statusCode }) => statusCode),
    [200, 200],
  );
  assert.equal((await bank.get(`/api/v2/proposals/${answer.json().id}`)).status, 'executed');
  const { debits_posted } = await bank.get(`/api/v2/accounts/${debit_account_id}`);
  assert.equal(debits_posted.amount, `${paid + 1}.00`);
});

test('of whatever a screen says that it cannot be undone, a policy can ask for a second person', async () => {
  const files = globSync('web/**/*.tsx');
  const actions = new Set(
    files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\bfinal: '([^']+)'/g)].map(([, action = '']) => action),
    ),
  );
  assert.ok(actions.size > 15, `${actions.size} in ${files.length} files`);
  const tenant = await platform.newTenant();
  for (const action of actions) {
    const answer = await tenant.ask('PUT', `/api/v2/approval-policies/${action}`, {});
    assert.equal(answer.status, 201, `${action}: ${answer.text}`);
  }
});
