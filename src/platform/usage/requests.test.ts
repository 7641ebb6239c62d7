/** The last requests of a sandbox: what is kept of them, and what must never be. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { createKey } from '../access/access.ts';

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

interface Kept {
  request_id: string;
  method: string;
  route: string;
  path: string;
  status: number;
  code?: string;
  body?: Record<string, unknown>;
  answer?: Record<string, unknown>;
}

/** The requests with these ids, when they are there. */
async function kept(bank: TestTenant, ids: readonly string[]): Promise<Kept[]> {
  for (let left = 600; ; left -= 1) {
    const { data }: { data: Kept[] } = await bank.get('/api/v2/usage/requests?limit=100');
    const found = ids.flatMap((id) => data.filter(({ request_id }) => request_id === id));
    if (found.length === ids.length) return found;
    assert.ok(left > 0, `${found.length} of ${ids.length} requests`);
    await sleep(50);
  }
}

test('a request is found by its id, with what was sent and why it was refused', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const made = { name: 'Zimtschnecke', currency: 'BRL', chart_code: '1', metadata: { note: 'Mohnkuchen' } };
  const named = (name: string) => ({ 'request-id': `a-request-${name}` });
  const account = await bank.post('/api/v2/accounts', made, named('made'));
  await bank.ask('GET', `/api/v2/accounts/${account.id}?view=x`, undefined, named('query'));
  await bank.ask('POST', '/api/v2/accounts', { ...made, chart_code: '77' }, named('chart'));
  const found = await kept(bank, ['a-request-made', 'a-request-query', 'a-request-chart']);
  assert.deepEqual(
    found.map(({ method, route, path, status }) => [method, route, path, status]),
    [
      ['POST', '/api/v2/accounts', '/api/v2/accounts', 201],
      ['GET', '/api/v2/accounts/{account_id}', `/api/v2/accounts/${account.id}`, 400],
      ['POST', '/api/v2/accounts', '/api/v2/accounts', found[2]?.status],
    ],
  );
  assert.deepEqual([found[0]?.body?.['currency'], found[0]?.body?.['name']], ['BRL', 'Z•••']);
  assert.equal(found[0]?.answer, undefined);
  assert.equal(found[2]?.code, found[2]?.answer?.['code']);
  assert.match(String(found[2]?.answer?.['detail']), /77/);
  assert.ok(!JSON.stringify(found).includes('Zimtschnecke') && !JSON.stringify(found).includes('Mohnkuchen'));
});

test('what is secret, personal or not known to the route is kept nowhere, however it is sent', async () => {
  const bank = await platform.newTenant();
  const SECRET = 'Geheimnis-4111111111111111';
  const key = await bank.post('/api/v2/api-keys', { label: 'made' });
  const bodies: [string, unknown][] = [
    ['/api/v2/accounts', { name: SECRET, currency: 'BRL', chart_code: '1' }],
    ['/api/v2/accounts', { naem: SECRET, currency: SECRET, chart_code: { deep: SECRET } }],
    ['/api/v2/accounts', { name: { first: SECRET }, [SECRET]: 1, metadata: { a: SECRET, b: [SECRET] } }],
    ['/api/v2/accounts', `{"name":"${SECRET}`],
    ['/api/v2/accounts', [SECRET]],
    ['/api/v2/accounts', JSON.stringify(SECRET)],
    ['/api/v2/accounts', { name: 'x', currency: 'BRL', chart_code: '1', credit_limit: { amount: SECRET } }],
    ['/api/v2/transfers', { description: SECRET, amount: { amount: '1', currency: SECRET } }],
    ['/api/v2/invitations', { email: `${SECRET}@bank.example`, name: SECRET }],
    ['/api/v2/webhooks/endpoints', { url: 'https://x.example/', secret: SECRET, password: SECRET }],
    [`/api/v2/${SECRET}`, {}],
  ];
  const ids: string[] = [];
  for (const [index, [url, body]] of bodies.entries()) {
    const id = `hidden-request-${index}`;
    ids.push(id);
    await bank.ask('POST', url, body, { 'request-id': id });
  }
  await bank.ask('GET', `/api/v2/accounts?q=${SECRET}&nope=${SECRET}`, undefined, {
    'request-id': 'hidden-query',
  });
  await bank.ask('GET', `/api/v2/accounts/${SECRET}`, undefined, { 'request-id': 'hidden-path' });
  // More than ten that are refused in a second are not all looked at.
  await kept(bank, ids.slice(0, 9));
  const { rows } = await superuser.query<{ row: string }>(
    'select r::text as row from platform.usage_requests r where tenant_id = $1',
    [bank.scope.tenant_id],
  );
  const text = rows.map(({ row }) => row).join('\n');
  assert.ok(!text.includes('Geheimnis') && !text.includes('4111111111111111'), text);
  assert.ok(!text.includes(key.key), 'a key that was answered');
});

test('nobody else sees them; live has none; those who may not see all see their own', async () => {
  const bank = await platform.newTenant();
  const stranger = await platform.newTenant();
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'small',
    scopes: ['accounts:read'],
  });
  const headers = { authorization: `Bearer ${key}`, 'request-id': 'of-the-small-one' };
  await bank.ask('GET', '/api/v2/accounts', undefined, headers);
  await bank.ask('GET', '/api/v2/accounts', undefined, { 'request-id': 'of-the-bank-itself' });
  await kept(bank, ['of-the-small-one', 'of-the-bank-itself']);
  const own = await bank.ask('GET', '/api/v2/self/usage/requests?route=/api/v2/accounts', undefined, headers);
  assert.deepEqual(
    own.body.data.map(({ request_id }: Kept) => request_id),
    ['of-the-small-one'],
  );
  assert.equal((await bank.ask('GET', '/api/v2/usage/requests', undefined, headers)).status, 403);
  const others = await stranger.get('/api/v2/usage/requests?route=/api/v2/accounts');
  assert.deepEqual(others.data, []);
  const live = await createKey(
    platform.running.platform,
    { ...bank.scope, environment: 'live' },
    { label: 'live' },
  );
  const inLive = { authorization: `Bearer ${live}` };
  await bank.ask('GET', '/api/v2/accounts', undefined, inLive);
  await sleep(2_500);
  assert.deepEqual((await bank.ask('GET', '/api/v2/usage/requests', undefined, inLive)).body.data, []);
});

test('pages follow each other under the same filters, and the oldest make room', async () => {
  const bank = await platform.newTenant();
  for (let number = 0; number < 8; number += 1) await bank.ask('GET', '/api/v2/holds?limit=1');
  for (let left = 600; left > 0; left -= 1) {
    if ((await bank.get('/api/v2/usage/requests?route=/api/v2/holds&limit=100')).data.length === 8) break;
    await sleep(50);
  }
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await bank.get(`/api/v2/usage/requests?limit=3&route=/api/v2/holds${cursor}`);
    seen.push(...page.data.map(({ id }: { id: string }) => id));
    cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`;
  } while (cursor !== '');
  assert.equal(new Set(seen).size, 8);
  assert.deepEqual(seen, seen.toSorted().toReversed());
  await superuser.query(
    `insert into platform.usage_requests (tenant_id, environment, id, occurred_at, principal_id, principal_kind, method, route,
       path, status, duration_ms, request_id)
     select r.tenant_id, r.environment, ('00000000-0000-7000-8000-' || lpad(g::text, 12, '0'))::uuid, now(), r.principal_id,
       r.principal_kind, 'GET', '/old', '/old', 200, 1, 'old'
     from (select * from platform.usage_requests where tenant_id = $1 limit 1) r, generate_series(1, 300) g`,
    [bank.scope.tenant_id],
  );
  const count = async (): Promise<number> => {
    const { rows } = await superuser.query<{ n: number }>(
      'select count(*)::int as n from platform.usage_requests where tenant_id = $1',
      [bank.scope.tenant_id],
    );
    return rows[0]?.n ?? 0;
  };
  await bank.get('/api/v2/holds');
  for (let left = 600; (await count()) > 200 && left > 0; left -= 1) await sleep(50);
  assert.equal(await count(), 200);
  const bad = await bank.ask('GET', '/api/v2/usage/requests?cursor=nonsense');
  assert.deepEqual([bad.status, bad.body.code], [400, 'malformed_cursor']);
});
