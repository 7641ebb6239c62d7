import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKey } from '../../platform/access/access.ts';
import { isWellFormedKey } from '../../platform/access/key.ts';
import { newUuid } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

/** What a key may ask. */
const askWith = (
  key: string,
  method: 'GET' | 'POST',
  url: string,
  body?: object,
  remoteAddress = '127.0.0.1',
) =>
  platform.running.app.inject({
    method,
    url,
    remoteAddress,
    headers: {
      authorization: `Bearer ${key}`,
      ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
    },
    ...(body === undefined ? {} : { payload: body }),
  });

test('a key is shown once, and may do what its scopes say and no more', async () => {
  const headers = { 'idempotency-key': 'reader' };
  const body = { label: 'reader', scopes: ['accounts:read', 'chart_of_accounts:*'] };
  const created = await bank.post('/api/v2/api-keys', body, headers);
  assert.ok(isWellFormedKey(created.key));
  assert.ok(created.key.startsWith(created.hint.slice(0, -1)));
  const again = await bank.ask('POST', '/api/v2/api-keys', body, headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.deepEqual({ ...again.body, key: created.key }, created);
  assert.equal('key' in (await bank.get(`/api/v2/api-keys/${created.id}`)), false);

  assert.equal((await askWith(created.key, 'GET', '/api/v2/accounts')).statusCode, 200);
  const code = { code: '1000', name: 'Cash', type: 'asset' };
  assert.equal((await askWith(created.key, 'POST', '/api/v2/chart-of-accounts', code)).statusCode, 201);
  const refused = await askWith(created.key, 'GET', '/api/v2/transfers');
  assert.deepEqual(
    [refused.statusCode, refused.json().code, refused.json().permission],
    [403, 'permission_missing', 'transfers:read'],
  );
});

test('nobody creates a key that may do more than they may', async () => {
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'half',
    scopes: ['api_keys:*', 'accounts:*'],
  });
  const refused = await askWith(key, 'POST', '/api/v2/api-keys', {
    label: 'x',
    scopes: ['accounts:read', '*:post'],
  });
  assert.deepEqual([refused.statusCode, refused.json().permissions], [422, ['transfers:post']]);
  const own = await askWith(key, 'POST', '/api/v2/api-keys', { label: 'x' });
  assert.deepEqual(
    own.json().scopes.toSorted(),
    [
      'accounts:adjust',
      'accounts:close',
      'accounts:edit',
      'accounts:freeze',
      'accounts:open',
      'accounts:read',
    ].concat(['api_keys:create', 'api_keys:edit', 'api_keys:read', 'api_keys:revoke']),
  );
});

test('a revoked key is refused at once, though the process knew it', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', { label: 'stolen' });
  assert.equal((await askWith(key, 'GET', '/api/v2/accounts')).statusCode, 200);
  const revoked = await bank.post(`/api/v2/api-keys/${id}/revoke`);
  assert.equal(revoked.status, 'revoked');
  assert.deepEqual(await bank.post(`/api/v2/api-keys/${id}/revoke`), revoked);
  const deadline = Date.now() + 2_000;
  for (;;) {
    const { statusCode } = await askWith(key, 'GET', '/api/v2/accounts');
    if (statusCode === 401) break;
    assert.ok(Date.now() < deadline, 'the key is still believed');
    await sleep(5);
  }
});

test('a rotated key is good beside the new one for the overlap', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', { label: 'job', scopes: ['accounts:read'] });
  const next = await bank.post(`/api/v2/api-keys/${id}/rotations`, { overlap_s: 3_600 });
  assert.deepEqual([next.label, next.scopes], ['job', ['accounts:read']]);
  for (const each of [key, next.key]) {
    assert.equal((await askWith(each, 'GET', '/api/v2/accounts')).statusCode, 200);
  }
  const old = await bank.get(`/api/v2/api-keys/${id}`);
  assert.equal(old.replaced_by, next.id);
  const left_ms = Date.parse(old.expires_at) - Date.now();
  assert.ok(left_ms > 3_500_000 && left_ms <= 3_600_000, String(left_ms));
  const third = await bank.post(`/api/v2/api-keys/${next.id}/rotations`, { overlap_s: 0 });
  assert.equal((await bank.get(`/api/v2/api-keys/${next.id}`)).status, 'expired');
  assert.equal((await askWith(third.key, 'GET', '/api/v2/accounts')).statusCode, 200);
});

test('a key is good from its addresses only', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', {
    label: 'office',
    allowed_addresses: ['203.0.113.77/24', '2001:db8::7'],
  });
  const { allowed_addresses } = await bank.get(`/api/v2/api-keys/${id}`);
  assert.deepEqual(allowed_addresses, ['203.0.113.0/24', '2001:db8::7/128']);
  for (const [address, status] of [
    ['203.0.113.9', 200],
    ['::ffff:203.0.113.9', 200],
    ['2001:db8::7', 200],
    ['2001:db8::8', 403],
    ['198.51.100.1', 403],
  ] as const) {
    assert.equal(
      (await askWith(key, 'GET', '/api/v2/accounts', undefined, address)).statusCode,
      status,
      address,
    );
  }
  for (const bad of ['203.0.113.0/33', '300.1.1.1', '::1/129', 'beef', '1.2.3']) {
    const refused = await bank.ask('POST', '/api/v2/api-keys', { label: 'x', allowed_addresses: [bad] });
    assert.equal(refused.status, 400, bad);
  }
});

test('an edit names the version it means, and is refused for a revoked key', async () => {
  const { id } = await bank.post('/api/v2/api-keys', { label: 'old name' });
  const read = await bank.ask('GET', `/api/v2/api-keys/${id}`);
  const etag = read.headers['etag'] ?? '';
  const edit = (body: object, tag: string) =>
    bank.ask('PATCH', `/api/v2/api-keys/${id}`, body, { 'if-match': tag });
  const edited = await edit({ label: 'new name', expires_at: '2999-01-01T00:00:00Z' }, etag);
  assert.deepEqual([edited.status, edited.body.label], [200, 'new name']);
  assert.equal((await edit({ label: 'other' }, etag)).status, 412);
  await bank.post(`/api/v2/api-keys/${id}/revoke`);
  assert.equal((await edit({ label: 'other' }, '*')).body.code, 'api_key_revoked');
  assert.equal((await bank.ask('POST', `/api/v2/api-keys/${id}/rotations`, {})).body.code, 'api_key_revoked');
});

test('keys are listed with their state, a page at a time, and those of another tenant are not there', async () => {
  const other = await platform.newTenant();
  const { id } = await other.post('/api/v2/api-keys', { label: 'theirs' });
  assert.equal((await bank.ask('GET', `/api/v2/api-keys/${id}`)).status, 404);
  assert.equal((await bank.ask('POST', `/api/v2/api-keys/${id}/revoke`)).status, 404);
  const first = await bank.get('/api/v2/api-keys?limit=2&status=active');
  const second = await bank.get(`/api/v2/api-keys?limit=2&cursor=${first.next_cursor}`);
  assert.equal(new Set([...first.data, ...second.data].map((key) => key.id)).size, 4);
  const revoked = await bank.get('/api/v2/api-keys?status=revoked');
  assert.ok(
    revoked.data.length > 0 && revoked.data.every((key: { status: string }) => key.status === 'revoked'),
  );
});

test('a key of the other environment says so', async () => {
  const { key } = await bank.post('/api/v2/api-keys', { label: 'sandbox' });
  for (const headers of [
    { authorization: `Bearer ${key.replace('fa_test', 'fa_live')}` },
    { authorization: `Bearer ${key}`, environment: 'live' },
  ]) {
    const refused = await platform.running.app.inject({ url: '/api/v2/accounts', headers });
    assert.deepEqual([refused.statusCode, refused.json().code], [403, 'environment_mismatch']);
  }
});
