/** Which pages of other sites a browser lets use the API. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newKey } from '../src/platform/access/key.ts';
import { newUuid } from '../src/platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

const ALLOWED = 'https://app.example.com';
let platform: TestPlatform;
let bank: TestTenant;
let key: string;
let id: string;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  const origins = [ALLOWED, 'http://localhost:*'];
  ({ key, id } = await bank.post('/api/v2/api-keys', { label: 'app', allowed_origins: origins }));
  await until(async () => (await preflight(ALLOWED))['access-control-allow-origin'] === ALLOWED);
});
after(() => platform.close());

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isSo()); tries += 1) {
    assert.ok(tries < 2_000, 'it did not come to be so');
    // What is answered from memory is answered too fast to wait for what is told by the database.
    await sleep(5);
  }
}

async function preflight(origin: string) {
  const answer = await platform.running.app.inject({
    method: 'OPTIONS',
    url: '/api/v2/accounts',
    headers: { origin, 'access-control-request-method': 'POST' },
  });
  assert.equal(answer.statusCode, 204);
  return answer.headers;
}

async function ask(origin: string, by: string, method: 'GET' | 'POST' = 'GET') {
  const answer = await platform.running.app.inject({
    method,
    url: method === 'GET' ? '/api/v2/accounts' : '/api/v2/chart-of-accounts',
    headers: {
      origin,
      authorization: `Bearer ${by}`,
      'sec-fetch-site': 'cross-site',
      'idempotency-key': newUuid(),
    },
    ...(method === 'GET' ? {} : { payload: { code: newUuid().slice(-8), name: 'x', type: 'asset' } }),
  });
  return { status: answer.statusCode, headers: answer.headers, code: answer.json().code };
}

/** No answer lets a page send cookies, and none lets every page read. */
function assertClosed(headers: Record<string, unknown>): void {
  assert.equal(headers['access-control-allow-origin'], undefined);
  assert.equal(headers['access-control-allow-credentials'], undefined);
}

test('a preflight is answered for what some key allows, and for nothing else', async () => {
  for (const origin of [ALLOWED, 'http://localhost:5173']) {
    const headers = await preflight(origin);
    assert.equal(headers['access-control-allow-origin'], origin);
    assert.equal(headers['access-control-allow-credentials'], undefined);
    assert.match(headers['vary'] ?? '', /\bOrigin\b/);
  }
  for (const origin of [
    'https://evil.example',
    'null',
    '*',
    'http://localhost.evil.example',
    'http://localhost:1@evil.example',
    `${ALLOWED}.evil.example`,
    'http://app.example.com',
  ]) {
    assertClosed(await preflight(origin));
  }
});

test('a page reads what a key that allows its origin is answered', async () => {
  const read = await ask(ALLOWED, key);
  assert.deepEqual([read.status, read.headers['access-control-allow-origin']], [200, ALLOWED]);
  assert.match(String(read.headers['access-control-expose-headers']), /Ledger-Position/);
  assert.equal(read.headers['access-control-allow-credentials'], undefined);
  assert.equal((await ask(ALLOWED, key, 'POST')).status, 201);
});

test('another key reads nothing there and changes nothing, though some key allows the origin', async () => {
  const read = await ask(ALLOWED, bank.key);
  assert.equal(read.status, 200);
  assertClosed(read.headers);
  const write = await ask(ALLOWED, bank.key, 'POST');
  assert.deepEqual([write.status, write.code], [403, 'origin_not_allowed']);
  assertClosed(write.headers);
});

test('an origin is no good once the key no longer names it', async () => {
  const gone = 'https://gone.example';
  const other = await bank.post('/api/v2/api-keys', { label: 'x', allowed_origins: [gone] });
  await until(async () => (await ask(gone, other.key, 'POST')).status === 201);
  const edited = await bank.ask(
    'PATCH',
    `/api/v2/api-keys/${other.id}`,
    { allowed_origins: null },
    { 'if-match': '*' },
  );
  assert.equal(edited.status, 200, edited.text);
  await until(async () => (await ask(gone, other.key, 'POST')).code === 'origin_not_allowed');
  assertClosed(await preflight(gone));
  assert.deepEqual((await bank.get(`/api/v2/api-keys/${id}`)).allowed_origins, [
    ALLOWED,
    'http://localhost:*',
  ]);
});

test('what is no origin is refused', async () => {
  for (const origin of [
    '*',
    'null',
    'http://a.example',
    'https://a.example/',
    'https://A.example',
    'https://*.a.example',
  ]) {
    const answer = await bank.ask('POST', '/api/v2/api-keys', { label: 'x', allowed_origins: [origin] });
    assert.equal(answer.status, 400, origin);
  }
});

test('a page of this site needs no permission to cross, and is told of none', async () => {
  const { host, origin: own, port } = new URL(platform.running.url);
  const post = async (headers: Record<string, string>) => {
    const answer = await platform.running.app.inject({
      method: 'POST',
      url: '/api/v2/chart-of-accounts',
      headers: {
        host,
        origin: own,
        authorization: `Bearer ${bank.key}`,
        'idempotency-key': newUuid(),
        ...headers,
      },
      payload: { code: newUuid().slice(-8), name: 'x', type: 'asset' },
    });
    return { status: answer.statusCode, headers: answer.headers, code: answer.json().code };
  };
  // With Fetch Metadata, and without, as over plain HTTP from another machine.
  const headersOfOwn: Record<string, string>[] = [{ 'sec-fetch-site': 'same-origin' }, {}];
  for (const headers of headersOfOwn) {
    const answer = await post(headers);
    assert.equal(answer.status, 201);
    assertClosed(answer.headers);
  }
  // What the browser says of the site wins; a port, a scheme or a host beside is another origin.
  const headersOfOthers: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: own.replace(port, String(Number(port) + 1)) },
    { origin: `http://evil.example` },
    { origin: 'null' },
  ];
  for (const headers of headersOfOthers) {
    const answer = await post(headers);
    assert.deepEqual([answer.status, answer.code], [403, 'origin_not_allowed'], JSON.stringify(headers));
    assertClosed(answer.headers);
  }
});

test('a page that may send a key reads why it is no good, and no other page does', async () => {
  const refused = async (origin: string, headers: Record<string, string>) => {
    const answer = await platform.running.app.inject({
      url: '/api/v2/accounts',
      headers: { origin, 'sec-fetch-site': 'cross-site', ...headers },
    });
    return { status: answer.statusCode, headers: answer.headers, code: answer.json().code };
  };
  const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });
  const nobodys: [headers: Record<string, string>, status: number][] = [
    [{}, 401],
    [bearer(newKey('sandbox')), 401],
    [bearer(key.replace('fa_test_', 'fa_live_')), 403],
    [bearer('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.'), 401],
  ];
  for (const [headers, status] of nobodys) {
    const readable = await refused(ALLOWED, headers);
    assert.deepEqual([readable.status, readable.headers['access-control-allow-origin']], [status, ALLOWED]);
    assert.equal(readable.headers['access-control-allow-credentials'], undefined);
    assert.equal(readable.headers['cross-origin-resource-policy'], 'cross-origin');
    assert.match(String(readable.headers['access-control-expose-headers']), /WWW-Authenticate/);
    assert.match(String(readable.headers['vary']), /\bOrigin\b/);
    const other = await refused('https://evil.example', headers);
    assert.equal(other.status, status);
    assertClosed(other.headers);
  }
  // Whose a key is that may not be used from here is known: its own origins count, and not those of others.
  const elsewhere = { label: 'elsewhere', allowed_addresses: ['203.0.113.0/24'] };
  const origin = 'https://elsewhere.example';
  const bound = await bank.post('/api/v2/api-keys', { ...elsewhere, allowed_origins: [origin] });
  await until(async () => (await preflight(origin))['access-control-allow-origin'] === origin);
  const known = await refused(origin, bearer(bound.key));
  assert.deepEqual([known.status, known.code], [403, 'address_not_allowed']);
  assert.equal(known.headers['access-control-allow-origin'], origin);
  const stranger = await refused(ALLOWED, bearer(bound.key));
  assert.equal(stranger.code, 'address_not_allowed');
  assertClosed(stranger.headers);
});

test('a page reads that its key was rotated away and that it asks too often', async () => {
  const origin = 'https://rotated.example';
  const old = await bank.post('/api/v2/api-keys', { label: 'old', allowed_origins: [origin] });
  await until(async () => (await ask(origin, old.key)).headers['access-control-allow-origin'] === origin);
  await bank.post(`/api/v2/api-keys/${old.id}/rotations`, { overlap_s: 0 });
  await until(async () => (await ask(origin, old.key)).status === 401);
  assert.equal((await ask(origin, old.key)).headers['access-control-allow-origin'], origin);

  const window = { name: 'hour', requests: 1, window_s: 3_600 };
  await bank.post('/api/v2/plans', { name: 'once', description: 'x', windows: [window] });
  const slow = await bank.post('/api/v2/api-keys', {
    label: 'slow',
    plan: 'once',
    allowed_origins: [origin],
  });
  await until(async () => (await ask(origin, slow.key)).status === 429);
  const limited = await ask(origin, slow.key);
  assert.equal(limited.headers['access-control-allow-origin'], origin);
  assert.match(String(limited.headers['access-control-expose-headers']), /Retry-After/);
});
