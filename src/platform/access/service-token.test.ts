import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { SignJWT, UnsecuredJWT } from 'jose';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { createKey } from './access.ts';
import type { Caller } from './caller.ts';
import { newKey } from './key.ts';
import { openServiceTokens } from './service-token.ts';

const [old, current, foreign] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const setting = (...keys: Buffer[]) => keys.map((key) => key.toString('base64')).join(',');
let platform: TestPlatform;
let bank: TestTenant;
let caller: Caller;
before(async () => {
  platform = await openTestPlatform({ SERVICE_TOKEN_KEY: setting(current, old) });
  bank = await platform.newTenant();
  caller = {
    ...bank.scope,
    principal: { kind: 'person', id: 'usr_01h455vb4pex5vsknk084sn02q', name: 'Ana' },
    tenant_name: 'Test',
    base_currency: 'BRL',
    permissions: new Set(['accounts:read', 'self:read']),
    narrowed: [],
    plan: 'standard',
  };
});
after(() => platform.close());

const ask = async (token: string, url = '/api/v2/accounts', scheme = 'Service') => {
  const answer = await platform.running.app.inject({ url, headers: { authorization: `${scheme} ${token}` } });
  return { status: answer.statusCode, body: answer.json() };
};

test('a service calls on behalf of whoever called it, and may do what they may and no more', async () => {
  const token = await openServiceTokens([current]).serviceToken('cards', caller, 'ledger');
  assert.equal((await ask(token)).status, 200);
  const self = await ask(token, '/api/v2/self');
  assert.deepEqual(
    [self.body.principal, self.body.on_behalf_of],
    [{ kind: 'service', id: 'service:cards', name: 'cards' }, caller.principal],
  );
  const refused = await ask(token, '/api/v2/transfers');
  assert.deepEqual([refused.status, refused.body.permission], [403, 'transfers:read']);
  const elsewhere = await platform.newTenant();
  const { id } = await elsewhere.post('/api/v2/api-keys', { label: 'theirs' });
  const reaching = await openServiceTokens([current]).serviceToken(
    'cards',
    { ...caller, permissions: new Set(['api_keys:read']) },
    'ledger',
  );
  assert.equal((await ask(reaching, `/api/v2/api-keys/${id}`)).status, 404);
});

test('a service that was called itself acts for whoever began it', async () => {
  const chained: Caller = {
    ...caller,
    principal: { kind: 'service', id: 'service:cards', name: 'cards' },
    on_behalf_of: caller.principal,
  };
  const token = await openServiceTokens([current]).serviceToken('fees', chained, 'ledger');
  const { body } = await ask(token, '/api/v2/self');
  assert.deepEqual([body.principal.id, body.on_behalf_of], ['service:fees', caller.principal]);
});

test('keys rotate without an outage: what the old one signed is still good, what no key signed never', async () => {
  const tokenOf = (key: Buffer) => openServiceTokens([key]).serviceToken('cards', caller, 'ledger');
  for (const [key, status] of [
    [old, 200],
    [current, 200],
    [foreign, 401],
  ] as const) {
    assert.equal((await ask(await tokenOf(key))).status, status);
  }
});

test('a token that was forged, altered, is old, or meant for another is refused without saying why', async () => {
  const good = await openServiceTokens([current]).serviceToken('cards', caller, 'ledger');
  const [header = '', payload = '', signature = ''] = good.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const protectedHeader = JSON.parse(Buffer.from(header, 'base64url').toString());
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sign = (changes: object, head: object = {}, key = current) =>
    new SignJWT({ ...claims, ...changes }).setProtectedHeader({ ...protectedHeader, ...head }).sign(key);
  const now_s = Math.floor(Date.now() / 1_000);
  const bad: Record<string, string> = {
    'not a token': 'x',
    empty: '..',
    'without a signature': `${header}.${payload}.`,
    unsecured: new UnsecuredJWT(claims).encode(),
    'with more permissions': `${header}.${encode({ ...claims, permissions: ['transfers:read'] })}.${signature}`,
    'of another tenant': `${header}.${encode({ ...claims, tenant_id: claims.jti })}.${signature}`,
    'under the name of a key that did not sign it': await sign({}, {}, foreign),
    'under another algorithm': await sign({}, { alg: 'HS512' }),
    'of another type': await sign({}, { typ: 'JWT' }),
    'of an unknown key': await sign({}, { kid: '00000000' }),
    'for another service': await openServiceTokens([current]).serviceToken('cards', caller, 'elsewhere'),
    'by another issuer': await sign({ iss: 'somebody' }),
    expired: await sign({ exp: now_s - 10 }),
    'made to last': await sign({ iat: now_s - 3_600, exp: now_s + 3_600 }),
    'from the future': await sign({ iat: now_s + 3_600, exp: now_s + 7_200 }),
    'without an end': await sign({ exp: undefined }),
    'that says nothing of whom it acts for': await sign({ on_behalf_of: undefined }),
    'by no service': await sign({ sub: 'admin' }),
  };
  for (const [what, token] of Object.entries(bad)) {
    const { status, body } = await ask(token);
    assert.deepEqual([status, body.code], [401, 'unauthenticated'], what);
    assert.doesNotMatch(body.detail, /algorithm|audience|signature|claim/i, what);
  }
  // Nor is it an access token, and a key is no service token.
  assert.equal((await ask(good, '/api/v2/accounts', 'Bearer')).status, 401);
  for (const key of [
    newKey('sandbox'),
    await createKey(platform.running.platform, bank.scope, { label: 'k' }),
  ]) {
    assert.equal((await ask(key)).status, 401);
  }
});

test('a token ends no later than the credential that it stands for', async () => {
  const token = await openServiceTokens([current]).serviceToken(
    'cards',
    { ...caller, expires_at_ms: Date.now() - 60_000 },
    'ledger',
  );
  assert.equal((await ask(token)).status, 401);
});
