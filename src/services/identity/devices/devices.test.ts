import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createKey } from '../../../platform/access/access.ts';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openTestPlatform({ PUBLIC_URL: 'https://bank.test' });
  bank = await platform.newTenant();
});
after(() => platform.close());

interface TestDevice {
  id: string;
  alg: string;
  key: CryptoKey;
}

async function register(alg = 'ES256', more: object = {}, by = bank): Promise<TestDevice> {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const device = await by.post('/api/v2/devices', {
    label: 'till',
    public_key: await exportJWK(publicKey),
    permissions: ['accounts:read'],
    ...more,
  });
  return { id: device.id, alg, key: privateKey };
}

interface Token {
  aud?: string;
  sub?: string;
  typ?: string;
  jti?: string;
  iat?: number;
  life?: number;
}

const now = () => Math.floor(Date.now() / 1_000);

function sign({ id, alg, key }: TestDevice, token: Token = {}): Promise<string> {
  const { aud = 'https://bank.test', sub = id, typ = 'device+jwt', jti = newUuid(), iat = now() } = token;
  return new SignJWT({ jti })
    .setProtectedHeader({ alg, typ })
    .setSubject(sub)
    .setAudience(aud)
    .setIssuedAt(iat)
    .setExpirationTime(iat + (token.life ?? 60))
    .sign(key);
}

async function ask(token: string, headers: Record<string, string> = {}, url = '/api/v2/accounts') {
  const answer = await platform.running.app.inject({
    url,
    headers: { authorization: `Device ${token}`, ...headers },
  });
  return {
    status: answer.statusCode,
    code: answer.json().code,
    body: answer.json(),
    headers: answer.headers,
  };
}

for (const alg of ['ES256', 'EdDSA']) {
  test(`a device with a key for ${alg} signs in with a token of its own, and may do what it was given`, async () => {
    const device = await register(alg);
    assert.equal((await ask(await sign(device))).status, 200);
    const { body } = await ask(await sign(device), {}, '/api/v2/self');
    assert.deepEqual(body.principal, { kind: 'device', id: device.id, name: 'till' });
    assert.equal((await ask(await sign(device), {}, '/api/v2/transfers')).code, 'permission_missing');
    const shown = await bank.get(`/api/v2/devices/${device.id}`);
    assert.deepEqual([shown.alg, shown.status, shown.thumbprint.length], [alg, 'active', 43]);
  });
}

test('a token is taken once', async () => {
  const token = await sign(await register());
  const answers = await Promise.all([ask(token), ask(token), ask(token)]);
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 401, 401],
  );
  const again = await ask(token);
  assert.deepEqual([again.status, again.code], [401, 'unauthenticated']);
  assert.match(String(again.headers['www-authenticate']), /^Device /);
});

test('a token that is old, of the future, too long, for another or of another kind is refused', async () => {
  const device = await register();
  for (const token of [
    { iat: now() - 120 },
    { iat: now() + 600 },
    { life: 61 },
    { life: 3_600 },
    { aud: 'https://other.test' },
    { typ: 'JWT' },
    { typ: 'at+jwt' },
    { jti: '' },
    { sub: 'dev_00000000000000000000000000' },
    { sub: 'x' },
  ]) {
    const answer = await ask(await sign(device, token));
    assert.deepEqual([answer.status, answer.code], [401, 'unauthenticated'], JSON.stringify(token));
  }
  for (const token of ['x', '..', 'a.b.c']) assert.equal((await ask(token)).status, 401, token);
});

test('a token is good by the key and the algorithm of its device only', async () => {
  const [one, other] = [await register(), await register()];
  assert.equal((await ask(await sign({ ...one, key: other.key }))).status, 401);
  const { privateKey } = await generateKeyPair('EdDSA');
  assert.equal((await ask(await sign({ ...one, alg: 'EdDSA', key: privateKey }))).status, 401);
  const secret = new TextEncoder().encode(
    JSON.stringify((await bank.get(`/api/v2/devices/${one.id}`)).public_key),
  );
  const confused = await new SignJWT({ jti: newUuid() })
    .setProtectedHeader({ alg: 'HS256', typ: 'device+jwt' })
    .setSubject(one.id)
    .setAudience('https://bank.test')
    .setIssuedAt()
    .setExpirationTime('30s')
    .sign(secret);
  assert.equal((await ask(confused)).status, 401);
  const unsigned = `${Buffer.from('{"alg":"none","typ":"device+jwt"}').toString('base64url')}.${(await sign(one)).split('.')[1]}.`;
  assert.equal((await ask(unsigned)).status, 401);
});

test('a device that is disabled is refused at once, and let in again when it is enabled', async () => {
  const device = await register();
  assert.equal((await ask(await sign(device))).status, 200);
  const path = `/api/v2/devices/${device.id}`;
  const read = await bank.ask('GET', path);
  const etag = String(read.headers['etag']);
  assert.equal((await bank.ask('PATCH', path, { status: 'disabled' })).status, 428);
  const disabled = await bank.ask('PATCH', path, { status: 'disabled' }, { 'if-match': etag });
  assert.equal(disabled.body.status, 'disabled');
  let answer = await ask(await sign(device));
  for (let tries = 0; answer.status === 200 && tries < 500; tries += 1)
    answer = await ask(await sign(device));
  assert.deepEqual([answer.status, answer.code], [401, 'unauthenticated']);
  assert.equal((await bank.ask('PATCH', path, { label: 'x' }, { 'if-match': etag })).status, 412);
  const enabled = await bank.ask(
    'PATCH',
    path,
    { status: 'active' },
    { 'if-match': String(disabled.headers['etag']) },
  );
  assert.equal(enabled.status, 200, enabled.text);
  for (let tries = 0; answer.status !== 200 && tries < 500; tries += 1)
    answer = await ask(await sign(device));
  assert.equal(answer.status, 200);
});

test('a device is no longer good once it has expired', async () => {
  const device = await register('ES256', { expires_at: '2020-01-01T00:00:00Z' });
  assert.equal((await ask(await sign(device))).code, 'unauthenticated');
});

test('a device is of one environment, and of one tenant', async () => {
  const device = await register();
  assert.equal((await ask(await sign(device), { environment: 'sandbox' })).status, 200);
  assert.equal((await ask(await sign(device), { environment: 'live' })).code, 'environment_mismatch');
  const other = await platform.newTenant();
  assert.equal((await other.ask('GET', `/api/v2/devices/${device.id}`)).body.code, 'device_not_found');
  const edit = await other.ask('PATCH', `/api/v2/devices/${device.id}`, { label: 'x' }, { 'if-match': '*' });
  assert.equal(edit.body.code, 'device_not_found');
  assert.deepEqual((await other.get('/api/v2/devices')).data, []);
  const theirs = await register('ES256', { label: 'theirs' }, other);
  const { body } = await ask(await sign(theirs), {}, '/api/v2/self');
  assert.equal(body.principal.name, 'theirs');
  assert.equal((await ask(await sign({ ...theirs, id: device.id }))).status, 401);
});

test('nobody gives a device what they do not have, nor enables one that has it', async () => {
  const strong = await register('ES256', { permissions: ['transfers:post'] });
  const path = `/api/v2/devices/${strong.id}`;
  await bank.ask('PATCH', path, { status: 'disabled' }, { 'if-match': '*' });
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'half',
    scopes: ['devices:*'],
  });
  const headers = { authorization: `Bearer ${key}`, 'if-match': '*' };
  const jwk = await exportJWK((await generateKeyPair('ES256')).publicKey);
  const body = { label: 'x', public_key: jwk, permissions: ['transfers:post'] };
  for (const refused of [
    await bank.ask('POST', '/api/v2/devices', body, headers),
    await bank.ask('PATCH', path, { permissions: ['*:*'] }, headers),
    await bank.ask('PATCH', path, { status: 'active' }, headers),
    await bank.ask('PATCH', path, { expires_at: '2099-01-01T00:00:00Z' }, headers),
  ]) {
    assert.deepEqual([refused.status, refused.body.code], [422, 'permission_not_held']);
  }
});

test('a key that is private, weak, or no point on its curve is refused', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const good = await exportJWK(publicKey);
  const post = (public_key: object) =>
    bank.ask('POST', '/api/v2/devices', { label: 'x', public_key, permissions: ['accounts:read'] });
  const { d = '' } = await exportJWK(privateKey);
  const leaked = await post({ ...good, d });
  assert.equal(leaked.status, 400);
  assert.ok(!leaked.text.includes(d));
  assert.equal((await post({ ...good, y: 'A'.repeat(43) })).body.code, 'device_key_not_good');
  assert.equal((await post({ ...good, crv: 'Ed25519' })).body.code, 'device_key_not_good');
  assert.equal((await post({ kty: 'oct', k: 'AAAA' })).status, 400);
});

test('registering twice with one Idempotency-Key registers one device', async () => {
  const public_key = await exportJWK((await generateKeyPair('ES256')).publicKey);
  const body = { label: 'once', public_key, permissions: ['accounts:read'] };
  const first = await bank.ask('POST', '/api/v2/devices', body, { 'idempotency-key': 'device' });
  const again = await bank.ask('POST', '/api/v2/devices', body, { 'idempotency-key': 'device' });
  assert.equal(first.status, 201);
  assert.deepEqual([again.body, again.headers['idempotent-replayed']], [first.body, 'true']);
});
