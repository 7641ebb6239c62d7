/** Usage as whoever asks for it sees it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { createKey } from '../access/access.ts';

let platform: TestPlatform;
before(async () => {
  platform = await openTestPlatform();
});
after(() => platform.close());

/** Usage, when so many calls are in it: they come a moment after they were answered. */
async function usageWith(bank: TestTenant, calls: number, query: string) {
  for (let left = 600; ; left -= 1) {
    const found = await bank.get(`/api/v2/usage?${query}`);
    if (found.totals.calls >= calls || left === 0) return found;
    await sleep(50);
  }
}

test('calls of a key are seen by its institution, and by nobody else', async () => {
  const bank = await platform.newTenant();
  const stranger = await platform.newTenant();
  for (let number = 0; number < 3; number += 1) await bank.get('/api/v2/accounts');
  await bank.ask('GET', '/api/v2/accounts/acc_01h455vb4pex5vsknk084sn02q');
  await bank.ask('POST', '/api/v2/accounts', {});
  await bank.ask('GET', '/api/v2/nowhere-at-all');
  const report = await usageWith(bank, 6, 'group_by=route');
  assert.equal(report.granularity, 'hour');
  const ofAccounts = report.groups.filter(({ route }: { route: string }) =>
    route.startsWith('/api/v2/accounts'),
  );
  assert.deepEqual(
    ofAccounts.map(({ method, route, calls, errors, server_errors }: Record<string, unknown>) => [
      method,
      route,
      calls,
      errors,
      server_errors,
    ]),
    [
      ['GET', '/api/v2/accounts', 3, 0, 0],
      ['POST', '/api/v2/accounts', 1, 1, 0],
      ['GET', '/api/v2/accounts/{account_id}', 1, 1, 0],
    ].toSorted((a, b) => Number(b[2]) - Number(a[2]) || String(a[1]).localeCompare(String(b[1]))),
  );
  const unknown = await bank.get('/api/v2/usage?route=none&group_by=status');
  assert.deepEqual([unknown.totals.calls, unknown.groups[0].status], [1, 404]);
  const others = await stranger.get('/api/v2/usage?route=/api/v2/accounts');
  assert.equal(others.totals.calls, 0);
});

test('who lacks the permission sees its own calls, with those of its application, and nobody else’s', async () => {
  const bank = await platform.newTenant();
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'small',
    scopes: ['accounts:read'],
  });
  const headers = { authorization: `Bearer ${key}` };
  await bank.get('/api/v2/accounts');
  await bank.ask('GET', '/api/v2/accounts', undefined, headers);
  await usageWith(bank, 2, 'route=/api/v2/accounts');
  const refused = await bank.ask('GET', '/api/v2/usage', undefined, headers);
  assert.deepEqual([refused.status, refused.body.permission], [403, 'usage:read']);
  const own = await bank.ask('GET', '/api/v2/self/usage?route=/api/v2/accounts', undefined, headers);
  assert.deepEqual([own.status, own.body.totals.calls], [200, 1]);
  const asked = await bank.ask('GET', '/api/v2/self/usage?principal_id=key_x', undefined, headers);
  assert.equal(asked.status, 400);
});

test('filters that make no sense are refused with what is wrong about them', async () => {
  const bank = await platform.newTenant();
  for (const [query, pointer] of [
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', '?to'],
    ['from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', '?to'],
    ['from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z&granularity=minute', '?granularity'],
    ['from=0001-01-01T00:00:00Z', '?granularity'],
    ['from=yesterday', '?from'],
    ['to=2026-06-30T23:59:60Z', '?to'],
    ['from=-271821-04-20T00:00:00Z', '?from'],
    ['granularity=week', '?granularity'],
    ['group_by=tenant_id', '?group_by'],
    ['application_id=key_01h455vb4pex5vsknk084sn02q', '?application_id'],
    ['status=99', '?status'],
    ['status_class=6xx', '?status_class'],
    ['method=get', '?method'],
    ['route=%00', '?route'],
    [`principal_id=${'x'.repeat(301)}`, '?principal_id'],
    ['tenant_id=1', '?tenant_id'],
  ] as const) {
    const { status, body } = await bank.ask('GET', `/api/v2/usage?${query}`);
    assert.deepEqual(
      [status, body.errors?.[0]?.pointer],
      [400, pointer],
      `${query}: ${JSON.stringify(body)}`,
    );
  }
  for (const query of ["route=';drop table platform.usage_hours;--", 'route=(((', "principal_id='"]) {
    const found = await bank.get(`/api/v2/usage?${encodeURI(query)}&group_by=route`);
    assert.equal(found.totals.calls, 0);
  }
});

test('an emptied sandbox has no usage, and live keeps its own', async () => {
  const bank = await platform.newTenant();
  const live = await createKey(
    platform.running.platform,
    { ...bank.scope, environment: 'live' },
    { label: 'live' },
  );
  const headers = { authorization: `Bearer ${live}` };
  const ofAccounts = 'route=/api/v2/accounts';
  await bank.get('/api/v2/accounts');
  await bank.ask('GET', '/api/v2/accounts', undefined, headers);
  await usageWith(bank, 1, ofAccounts);
  for (let left = 600; left > 0; left -= 1) {
    const { body } = await bank.ask('GET', `/api/v2/usage?${ofAccounts}`, undefined, headers);
    if (body.totals.calls === 1) break;
    await sleep(50);
  }
  await bank.post('/api/v2/sandbox/reset', {});
  for (const granularity of ['minute', 'hour']) {
    const found = await bank.get(`/api/v2/usage?${ofAccounts}&granularity=${granularity}`);
    assert.equal(found.totals.calls, 0);
    const kept = await bank.ask(
      'GET',
      `/api/v2/usage?${ofAccounts}&granularity=${granularity}`,
      undefined,
      headers,
    );
    assert.equal(kept.body.totals.calls, 1);
  }
});

test('the job that removes old usage runs for the institution that asks for it', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/jobs/platform.remove_old_usage/run', {});
  for (let left = 600; ; left -= 1) {
    const { data } = await bank.get('/api/v2/jobs');
    const { last_run } = data.find(({ name }: { name: string }) => name === 'platform.remove_old_usage');
    if (last_run?.outcome === 'succeeded') {
      assert.deepEqual(last_run.did, { rows: 0 });
      return;
    }
    assert.ok(left > 0, JSON.stringify(last_run));
    await sleep(50);
  }
});

test('a key is known by its name', async () => {
  const bank = await platform.newTenant();
  const made = await bank.post('/api/v2/api-keys', { label: 'Till 4' });
  await bank.ask('GET', '/api/v2/accounts', undefined, { authorization: `Bearer ${made.key}` });
  const { groups } = await usageWith(bank, 1, `principal_id=${made.id}&group_by=principal`);
  assert.deepEqual(groups[0].principal, { kind: 'key', id: made.id, name: 'Till 4' });
});
