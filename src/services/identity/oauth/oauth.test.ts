import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import * as client from 'openid-client';
import pg from 'pg';
import { openDatabase } from '../../../platform/db.ts';
import { newUuid } from '../../../platform/ids.ts';
import type { TestTenant } from '../../../testing.ts';
import { removeExpired } from './artifacts.ts';
import { issuerOf } from './issuer.ts';
import {
  authorize,
  Browser,
  discover,
  type OAuthPlatform,
  openOAuthPlatform,
  REDIRECT_URI,
  subjectOf,
} from './testing.ts';

let platform: OAuthPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openOAuthPlatform({ CLIENT_CERT_PROXIES: '127.0.0.1,::1' });
  bank = await platform.newTenant();
});
after(() => platform.close());

const confidential = {
  name: 'Ledgerly',
  auth_method: 'client_secret_basic',
  grant_types: ['authorization_code', 'refresh_token'],
  scopes: ['accounts:*', 'consents:*'],
  redirect_uris: [REDIRECT_URI],
};
const service = {
  name: 'Settlement',
  auth_method: 'client_secret_post',
  grant_types: ['client_credentials'],
  scopes: ['accounts:read', 'chart_of_accounts:*'],
};

/** The status that an access token gets at an endpoint. */
async function statusWith(token: string, url = '/api/v2/accounts'): Promise<number> {
  const answer = await fetch(`${platform.running.url}${url}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return answer.status;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await condition())) assert.ok(Date.now() < deadline, what);
}

async function serviceToken(tenant: TestTenant, body: object = service) {
  const app = await tenant.post('/api/v2/applications', body);
  const config = await discover(platform.issuer(tenant), app.id, client.ClientSecretPost(app.client_secret));
  const { access_token, scope } = await client.clientCredentialsGrant(config);
  return { app, config, access_token, scope };
}

test('an application gets a token for itself, with its own permissions and no more', async () => {
  const { app, access_token, scope, config } = await serviceToken(bank);
  assert.ok(scope?.split(' ').includes('accounts:read'));
  assert.equal(await statusWith(access_token), 200);
  assert.equal(await statusWith(access_token, '/api/v2/transfers'), 403);
  const narrow = await client.clientCredentialsGrant(config, { scope: 'chart_of_accounts:read' });
  assert.equal(narrow.scope, 'chart_of_accounts:read');
  assert.equal(await statusWith(narrow.access_token), 403);
  await assert.rejects(client.clientCredentialsGrant(config, { scope: 'transfers:post' }), {
    error: 'invalid_scope',
  });
  const wrong = await discover(platform.issuer(bank), app.id, client.ClientSecretPost('fas_guess'));
  await assert.rejects(client.clientCredentialsGrant(wrong), { error: 'invalid_client' });
});

test('a resource server that knows only the discovery document verifies a token', async () => {
  const { access_token, app } = await serviceToken(bank);
  const issuer = platform.issuer(bank).href;
  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  assert.ok(typeof metadata === 'object' && metadata !== null && 'jwks_uri' in metadata);
  const keys = createRemoteJWKSet(new URL(String(metadata.jwks_uri)));
  const { payload } = await jwtVerify(access_token, keys, {
    issuer,
    audience: `${platform.running.url}/api`,
    typ: 'at+jwt',
  });
  assert.deepEqual([payload.sub, payload['client_id']], [app.id, app.id]);
});

test('tokens are worth nothing when altered, unsigned, of another tenant or environment', async () => {
  const { access_token } = await serviceToken(bank);
  const [header = '', payload = '', signature = ''] = access_token.split('.');
  const claims: Record<string, unknown> = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const other = await platform.newTenant();
  const { privateKey } = await generateKeyPair('ES256');
  const forged = await new SignJWT({ ...claims, iss: platform.issuer(other).href })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'x' })
    .sign(privateKey);
  for (const token of [
    `${header}.${encode({ ...claims, scope: 'transfers:post' })}.${signature}`,
    `${encode({ alg: 'none', typ: 'at+jwt' })}.${payload}.${signature}`,
    `${header}.${encode({ ...claims, iss: platform.issuer(other).href })}.${signature}`,
    `${header}.${encode({ ...claims, iss: platform.issuer(bank).href.replace('sandbox', 'live') })}.${signature}`,
    `${header}.${encode({ ...claims, iss: 'https://elsewhere.example' })}.${signature}`,
    forged,
  ]) {
    assert.equal(await statusWith(token), 401);
  }
  const answer = await fetch(`${platform.running.url}/api/v2/accounts`, {
    headers: { authorization: `Bearer ${access_token}`, environment: 'live' },
  });
  assert.equal(answer.status, 403);
  const theirs = await other.post('/api/v2/accounts', {
    name: 'x',
    currency: 'BRL',
    chart_code: (await other.post('/api/v2/chart-of-accounts', { code: '1000', name: 'Cash', type: 'asset' }))
      .code,
  });
  assert.equal(await statusWith(access_token, `/api/v2/accounts/${theirs.id}`), 404);
});

test('a person allows an application: code with PKCE, and only what both may do', async () => {
  const app = await bank.post('/api/v2/applications', confidential);
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretBasic(app.client_secret));
  const person = platform.newPerson(bank, ['accounts:read', 'transfers:read']);
  const browser = new Browser(person);
  const scope = 'openid profile accounts:read accounts:open';
  const { left, verifier, state, page } = await authorize(config, browser, scope);
  assert.match(page ?? '', /Ledgerly asks to act for you/);
  assert.match(
    page ?? '',
    /but not yours to give<\/h3><ul class="asked"><li>[^<]+ <code>accounts:open<\/code><\/li><\/ul>/,
  );
  const tokens = await client.authorizationCodeGrant(config, left, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  assert.deepEqual([tokens.claims()?.sub, tokens.claims()?.['name']], [subjectOf(person), 'Ana']);
  assert.equal(left.searchParams.get('iss'), platform.issuer(bank).href);
  assert.equal(await statusWith(tokens.access_token), 200);
  const opened = await fetch(`${platform.running.url}/api/v2/accounts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokens.access_token}`, 'idempotency-key': newUuid() },
  });
  assert.equal(opened.status, 403);
  // Remembered: not asked again.
  assert.equal((await authorize(config, browser, scope)).page, undefined);

  // The same code again takes all tokens back.
  await assert.rejects(
    client.authorizationCodeGrant(config, left, { pkceCodeVerifier: verifier, expectedState: state }),
    { error: 'invalid_grant' },
  );
  await until(async () => (await statusWith(tokens.access_token)) === 401, 'still believed');
});

test('a person who denies, and a code without its verifier, give no token', async () => {
  const app = await bank.post('/api/v2/applications', confidential);
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretBasic(app.client_secret));
  const browser = new Browser(platform.newPerson(bank, ['accounts:read']));
  const denied = await authorize(config, browser, 'openid accounts:read', { answer: 'deny' });
  assert.equal(denied.left.searchParams.get('error'), 'access_denied');
  const { left, state } = await authorize(config, browser, 'openid accounts:read');
  await assert.rejects(
    client.authorizationCodeGrant(config, left, {
      pkceCodeVerifier: client.randomPKCECodeVerifier(),
      expectedState: state,
    }),
    { error: 'invalid_grant' },
  );
  const without = await browser.go(
    client.buildAuthorizationUrl(config, { redirect_uri: REDIRECT_URI, scope: 'openid' }),
  );
  assert.equal(without.left?.searchParams.get('error'), 'invalid_request');
  const elsewhere = await browser.go(
    client.buildAuthorizationUrl(config, { redirect_uri: 'https://evil.example/', scope: 'openid' }),
  );
  assert.match(elsewhere.page ?? '', /invalid_redirect_uri|redirect_uri/);
});

async function allowed(scope = 'openid offline_access accounts:read consents:read consents:revoke') {
  const app = await bank.post('/api/v2/applications', confidential);
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretBasic(app.client_secret));
  const person = platform.newPerson(bank, ['accounts:read', 'consents:read', 'consents:revoke']);
  const { left, verifier, state } = await authorize(config, new Browser(person), scope);
  const tokens = await client.authorizationCodeGrant(config, left, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  return { app, config, person, tokens, refresh_token: tokens.refresh_token ?? '' };
}

test('refresh tokens rotate, and one used twice takes the whole family back', async () => {
  const { config, refresh_token } = await allowed();
  const second = await client.refreshTokenGrant(config, refresh_token);
  assert.notEqual(second.refresh_token, refresh_token);
  assert.equal(await statusWith(second.access_token), 200);
  await assert.rejects(client.refreshTokenGrant(config, refresh_token), { error: 'invalid_grant' });
  await assert.rejects(client.refreshTokenGrant(config, second.refresh_token ?? ''), {
    error: 'invalid_grant',
  });
  await until(async () => (await statusWith(second.access_token)) === 401, 'still believed');
});

test('of two who use a refresh token at once, one is refused', async () => {
  const { config, refresh_token } = await allowed();
  const outcomes = await Promise.allSettled(
    [1, 2, 3].map(() => client.refreshTokenGrant(config, refresh_token)),
  );
  assert.ok(outcomes.filter(({ status }) => status === 'fulfilled').length <= 1);
});

test('tokens are looked into and taken back by their application', async () => {
  const { config, tokens, refresh_token } = await allowed();
  const looked = await client.tokenIntrospection(config, tokens.access_token);
  assert.deepEqual([looked.active, looked.token_type], [true, 'Bearer']);
  assert.equal((await client.tokenIntrospection(config, refresh_token)).active, true);
  const { config: stranger } = await serviceToken(bank);
  assert.equal((await client.tokenIntrospection(stranger, tokens.access_token)).active, false);
  await client.tokenRevocation(stranger, tokens.access_token);
  assert.equal(await statusWith(tokens.access_token), 200);

  await client.tokenRevocation(config, tokens.access_token);
  await until(async () => (await statusWith(tokens.access_token)) === 401, 'still believed');
  const { access_token, refresh_token: next = '' } = await client.refreshTokenGrant(config, refresh_token);
  await client.tokenRevocation(config, next);
  await until(async () => (await statusWith(access_token)) === 401, 'still believed');
  assert.equal((await client.tokenIntrospection(config, next)).active, false);
});

test('a person sees what they allowed and takes it back', async () => {
  const { app, config, tokens, refresh_token } = await allowed();
  const ask = (method: string, url: string, token: string) =>
    fetch(`${platform.running.url}${url}`, { method, headers: { authorization: `Bearer ${token}` } });
  const list: { data: { id: string; application_id: string; scopes: string[] }[] } = JSON.parse(
    await (await ask('GET', '/api/v2/consents', tokens.access_token)).text(),
  );
  assert.deepEqual([list.data.length, list.data[0]?.application_id], [1, app.id]);
  const id = list.data[0]?.id ?? '';
  const { tokens: others } = await allowed();
  assert.equal((await ask('POST', `/api/v2/consents/${id}/revoke`, others.access_token)).status, 404);
  assert.equal((await ask('POST', `/api/v2/consents/${id}/revoke`, tokens.access_token)).status, 204);
  await until(async () => (await statusWith(tokens.access_token)) === 401, 'still believed');
  await assert.rejects(client.refreshTokenGrant(config, refresh_token), { error: 'invalid_grant' });
});

test('a disabled application stops at once, and so does a person who may no longer', async () => {
  const { app, access_token, config } = await serviceToken(bank);
  assert.equal(await statusWith(access_token), 200);
  const { headers } = await bank.ask('GET', `/api/v2/applications/${app.id}`);
  const edited = await bank.ask(
    'PATCH',
    `/api/v2/applications/${app.id}`,
    { status: 'disabled' },
    {
      'if-match': headers['etag'] ?? '',
    },
  );
  assert.equal(edited.status, 200);
  await until(async () => (await statusWith(access_token)) === 401, 'still believed');
  await assert.rejects(client.clientCredentialsGrant(config), { error: 'invalid_client' });

  const { person, tokens, config: theirs, refresh_token } = await allowed();
  assert.equal(await statusWith(tokens.access_token), 200);
  person.active = false;
  await platform.running.platform.run("select pg_notify('platform_access', '')");
  await until(async () => (await statusWith(tokens.access_token)) === 401, 'still believed');
  await assert.rejects(client.refreshTokenGrant(theirs, refresh_token), { error: 'invalid_grant' });
});

test('keys rotate without an outage: what the old one signed stays good', async () => {
  const tenant = await platform.newTenant();
  const { access_token, config } = await serviceToken(tenant);
  const before = await tenant.get('/api/v2/signing-keys');
  const { data } = await tenant.post('/api/v2/signing-keys/rotate');
  const next = before.data.find((key: { status: string }) => key.status === 'next').kid;
  assert.equal(data[0].kid, next);
  const kidOf = (token: string): unknown =>
    JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
  let fresh = '';
  await until(async () => {
    fresh = (await client.clientCredentialsGrant(config)).access_token;
    return kidOf(fresh) === next;
  }, 'the next key does not sign');
  assert.notEqual(kidOf(access_token), next);
  assert.equal(await statusWith(access_token), 200);
  assert.equal(await statusWith(fresh), 200);
});

test('private_key_jwt, DPoP and PAR: the FAPI 2.0 profile, and refusals without them', async () => {
  const keys = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', use: 'sig', alg: 'ES256' };
  const body = {
    ...confidential,
    name: 'Open Finance',
    auth_method: 'private_key_jwt',
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    jwks: { keys: [jwk] },
    token_binding: 'dpop',
    fapi: true,
  };
  for (const unsound of [
    { ...body, token_binding: 'none' },
    { ...body, auth_method: 'client_secret_basic', jwks: undefined },
  ]) {
    assert.equal((await bank.ask('POST', '/api/v2/applications', unsound)).status, 422);
  }
  const app = await bank.post('/api/v2/applications', body);
  assert.equal('client_secret' in app, false);
  const auth = client.PrivateKeyJwt({ key: keys.privateKey, kid: 'k1' });
  const config = await discover(platform.issuer(bank), app.id, auth);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  await assert.rejects(client.clientCredentialsGrant(config, {}), { error: 'invalid_grant' });
  const own = await client.clientCredentialsGrant(config, {}, { DPoP });
  assert.equal(own.token_type, 'dpop');

  const browser = new Browser(platform.newPerson(bank, ['accounts:read']));
  const { left: refused } = await authorize(config, browser, 'openid accounts:read');
  assert.equal(refused.searchParams.get('error'), 'invalid_request');
  const { left, verifier, state } = await authorize(config, browser, 'openid accounts:read', {
    par: true,
    dpop: DPoP,
  });
  const tokens = await client.authorizationCodeGrant(
    config,
    left,
    { pkceCodeVerifier: verifier, expectedState: state },
    undefined,
    { DPoP },
  );
  const url = new URL(`${platform.running.url}/api/v2/accounts?limit=5`);
  const answer = await client.fetchProtectedResource(
    config,
    tokens.access_token,
    url,
    'GET',
    undefined,
    undefined,
    { DPoP },
  );
  assert.equal(answer.status, 200);
  assert.equal(await statusWith(tokens.access_token), 401);
});

test('a DPoP proof is good once, for its request, token and key', async () => {
  const { access_token, privateKey, jwk } = await dpopToken();
  const prove = async (claims: object, header: object = {}, key = privateKey) =>
    new SignJWT({
      htm: 'GET',
      htu: `${platform.running.url}/api/v2/accounts`,
      ath: Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(access_token))).toString(
        'base64url',
      ),
      jti: newUuid(),
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk, ...header })
      .setIssuedAt()
      .sign(key);
  const send = (proof: string | undefined) =>
    fetch(`${platform.running.url}/api/v2/accounts`, {
      headers: { authorization: `DPoP ${access_token}`, ...(proof === undefined ? {} : { dpop: proof }) },
    });
  const good = await prove({});
  assert.equal((await send(good)).status, 200);
  const other = await generateKeyPair('ES256', { extractable: true });
  const bad = [
    good,
    undefined,
    await prove({ htm: 'POST' }),
    await prove({ htu: `${platform.running.url}/api/v2/transfers` }),
    await prove({ ath: 'x' }),
    await prove({}, { typ: 'jwt' }),
    await prove({}, {}, other.privateKey),
    await prove({}, { jwk: await exportJWK(other.publicKey) }, other.privateKey),
  ];
  for (const proof of bad) {
    const answer = await send(proof);
    assert.equal(answer.status, 401, String(bad.indexOf(proof)));
    assert.match(answer.headers.get('www-authenticate') ?? '', /^DPoP .*algs="/);
  }
});

async function dpopToken() {
  const app = await bank.post('/api/v2/applications', { ...service, token_binding: 'dpop' });
  const config = await discover(platform.issuer(bank), app.id, client.ClientSecretPost(app.client_secret));
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const DPoP = client.getDPoPHandle(config, { privateKey, publicKey });
  const { access_token } = await client.clientCredentialsGrant(config, {}, { DPoP });
  return { access_token, privateKey, jwk: await exportJWK(publicKey) };
}

test('a secret is replaced without an outage, is kept nowhere, and is told once', async () => {
  const headers = { 'idempotency-key': newUuid() };
  const app = await bank.post('/api/v2/applications', service, headers);
  const again = await bank.ask('POST', '/api/v2/applications', service, headers);
  assert.deepEqual([again.headers['idempotent-replayed'], again.body.client_secret], ['true', undefined]);
  const next = await bank.post(`/api/v2/applications/${app.id}/secrets`, {});
  for (const { client_secret } of [app, next]) {
    const config = await discover(platform.issuer(bank), app.id, client.ClientSecretPost(client_secret));
    assert.ok((await client.clientCredentialsGrant(config)).access_token.length > 0);
  }
  const third = await bank.post(`/api/v2/applications/${app.id}/secrets`, { overlap_s: 0 });
  const old = await discover(platform.issuer(bank), app.id, client.ClientSecretPost(next.client_secret));
  await assert.rejects(client.clientCredentialsGrant(old), { error: 'invalid_client' });
  assert.equal(
    (await bank.ask('GET', `/api/v2/applications/${app.id}`)).text.includes(third.client_secret),
    false,
  );
});

test('applications of others are not there, and what does not fit together is refused', async () => {
  const other = await platform.newTenant();
  const app = await other.post('/api/v2/applications', service);
  assert.equal((await bank.ask('GET', `/api/v2/applications/${app.id}`)).status, 404);
  for (const wrong of [
    { redirect_uris: ['http://partner.example/'] },
    { redirect_uris: ['https://partner.example/#x'] },
    { redirect_uris: ['javascript:alert(1)'] },
    { redirect_uris: ['https://user:pass@partner.example/'] },
    { redirect_uris: [] },
    { auth_method: 'private_key_jwt' },
    { auth_method: 'none', grant_types: ['client_credentials'], redirect_uris: undefined },
    { auth_method: 'private_key_jwt', jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b', d: 'c' }] } },
  ]) {
    const refused = await bank.ask('POST', '/api/v2/applications', { ...confidential, ...wrong });
    assert.equal(refused.body.code, 'application_not_sound', JSON.stringify(wrong));
  }
  const nobody = issuerOf(platform.running.url, { tenant_id: newUuid(), environment: 'live' });
  const unknown = await fetch(`${nobody}/.well-known/openid-configuration`);
  assert.equal(unknown.status, 404);
});

/** A certificate that openssl made for these tests; its key is used nowhere. */
const CERTIFICATE =
  'MIIBezCCASGgAwIBAgIUdO8qs93OyH0ZIWfBS8QYjjxrE/MwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHcGFydG5lcjAgFw0yNjExMjQyMDE2MTVaGA8yMTI2MTAzMTIwMTYxNVowEjEQMA4GA1UEAwwHcGFydG5lcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCqag/xd+ABk8N5rwKE4HGZ1IRDjSThXrrTCzKlam/8StLjE2+gSMtIBj3HrZQcshr7i1Am5qG1AfcBLlifywyWjUzBRMB0GA1UdDgQWBBSOt7vQnbIdxllop9FB48btWPJNXjAfBgNVHSMEGDAWgBSOt7vQnbIdxllop9FB48btWPJNXjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCiNDYCWrh+y9KJhI6bxOyXLF6kUxt/SKbkXj15/8bM2QIgfaGfVnTXBnpj+vLHX0T7JBBCKnWcvi6HMVwT8U9Ih1Y=';

test('a token bound to a certificate is good with it only, and only a trusted proxy may name one', async () => {
  const x5c = [CERTIFICATE];
  const { publicKey } = new X509Certificate(Buffer.from(CERTIFICATE, 'base64'));
  const app = await bank.post('/api/v2/applications', {
    ...service,
    auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), x5c, use: 'sig' }] },
    token_binding: 'mtls',
  });
  const ask = async (certificate: string | undefined) =>
    fetch(`${platform.issuer(bank).href}/token`, {
      method: 'POST',
      headers: certificate === undefined ? {} : { 'client-cert': `:${certificate}:` },
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: app.id }),
    });
  assert.equal((await ask(undefined)).status, 401);
  const answer: { access_token: string } = JSON.parse(await (await ask(CERTIFICATE)).text());
  const use = async (headers: Record<string, string>, remoteAddress = '127.0.0.1') => {
    const used = await platform.running.app.inject({
      url: '/api/v2/accounts',
      remoteAddress,
      headers: { authorization: `Bearer ${answer.access_token}`, ...headers },
    });
    return used.statusCode;
  };
  assert.equal(await use({ 'client-cert': `:${CERTIFICATE}:` }), 200);
  assert.equal(await use({ 'client-cert': `:${CERTIFICATE}:` }, '203.0.113.9'), 401);
  assert.equal(await use({}), 401);
  assert.equal(await use({ 'client-cert': ':AAAA:' }), 401);
});

test('no token, code or secret stands in the database as it is', async () => {
  const { refresh_token, app } = await allowed();
  const rows = await everythingKept();
  assert.ok(rows.includes(app.id));
  for (const secret of [refresh_token, app.client_secret]) assert.equal(rows.includes(secret), false);
  assert.equal(/"d": ?"/.test(rows), false);
});

async function superuser(): Promise<pg.Client> {
  const db = new pg.Client({ connectionString: platform.url });
  await db.connect();
  return db;
}

async function everythingKept(): Promise<string> {
  const db = await superuser();
  try {
    const { rows } = await db.query(
      `select row_to_json(a)::text as row from identity.oauth_artifacts a
       union all select row_to_json(p)::text from identity.applications p
       union all select row_to_json(k)::text from identity.oauth_signing_keys k`,
    );
    return JSON.stringify(rows.map(({ row }: { row: string }) => row));
  } finally {
    await db.end();
  }
}

test('what has expired is removed, in batches, and nothing else', async () => {
  const { config, refresh_token } = await allowed();
  const db = await superuser();
  try {
    await db.query(
      `insert into identity.oauth_artifacts (tenant_id, environment, model, id_hash, payload, expires_at)
       select $1, 'sandbox', 'AuthorizationCode', sha256(n::text::bytea), '{}', now() - interval '1 second'
       from generate_series(1, 2500) n`,
      [bank.scope.tenant_id],
    );
    const own = openDatabase({
      url: platform.url,
      role: 'identity',
      pool_size: 1,
      statement_timeout_ms: 5_000,
      lock_timeout_ms: 1_000,
      onError: () => {},
    });
    try {
      assert.ok((await removeExpired(own, bank.scope)) >= 2_500);
    } finally {
      await own.close();
    }
  } finally {
    await db.end();
  }
  assert.ok((await client.refreshTokenGrant(config, refresh_token)).access_token.length > 0);
});
