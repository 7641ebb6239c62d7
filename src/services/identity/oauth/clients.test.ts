/** Clients of the rarer kinds: keys by jwks_uri, FAPI 2.0 with a certificate, and those that cannot keep a secret. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { after, before, mock, test } from 'node:test';
import { decodeJwt, exportJWK, generateKeyPair } from 'jose';
import * as client from 'openid-client';
import { Client } from 'pg';
import type { TestTenant } from '../../../testing.ts';
import {
  authorize,
  Browser,
  discover,
  type OAuthPlatform,
  openOAuthPlatform,
  REDIRECT_URI,
} from './testing.ts';

let platform: OAuthPlatform;
/** A process that may not reach private networks. */
let guarded: OAuthPlatform;
let bank: TestTenant;
let operator: Client;
before(async () => {
  platform = await openOAuthPlatform({ CLIENT_CERT_PROXIES: '127.0.0.1,::1', OUTGOING_ALLOW: '127.0.0.0/8' });
  guarded = await openOAuthPlatform();
  bank = await platform.newTenant();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await operator.end();
  await guarded.close();
  await platform.close();
});

interface KeyServer {
  url: string;
  /** What it answers: may be changed by the test. */
  answer: { status: number; body: unknown };
  asked: () => number;
  close: () => Promise<unknown>;
}

/** The partner's own server, which publishes its keys. */
async function openKeyServer(): Promise<KeyServer> {
  const answer: KeyServer['answer'] = { status: 200, body: { keys: [] } };
  let asked = 0;
  const server: Server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      'cache-control': 'max-age=31536000',
    });
    response.end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}/jwks`,
    answer,
    asked: () => asked,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

async function newKey(kid: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: 'ES256' } };
}

/** An application with keys at an address. Over plain HTTP, which only a test says, past the API. */
async function withKeysAt(on: OAuthPlatform, tenant: TestTenant, url: string) {
  const app = await tenant.post('/api/v2/applications', {
    name: 'Settlement',
    auth_method: 'private_key_jwt',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
    jwks_uri: 'https://partner.example/jwks',
  });
  assert.equal(app.jwks_uri, 'https://partner.example/jwks');
  const db = new Client({ connectionString: on.url });
  await db.connect();
  try {
    await db.query('update identity.applications set jwks_uri = $2 where name = $3 and tenant_id = $1', [
      tenant.scope.tenant_id,
      url,
      'Settlement',
    ]);
  } finally {
    await db.end();
  }
  const configFor = (privateKey: client.CryptoKey, kid: string) =>
    discover(on.issuer(tenant), app.id, client.PrivateKeyJwt({ key: privateKey, kid }));
  return { app, configFor };
}

/** For this long the answer of a partner's server is not asked for again. */
const FRESH_FOR_MS = 60_000;

/** Lets the clock of this process be later. */
function pass(milliseconds: number): void {
  mock.timers.setTime(Date.now() + milliseconds);
}

test('keys are read from jwks_uri, and read anew when the partner replaced them', async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const keys = await openKeyServer();
  try {
    const [first, second] = [await newKey('first'), await newKey('second')];
    keys.answer.body = { keys: [first.jwk] };
    const { configFor } = await withKeysAt(platform, bank, keys.url);
    const config = await configFor(first.privateKey, 'first');
    const { access_token } = await client.clientCredentialsGrant(config);
    const used = await fetch(`${platform.running.url}/api/v2/accounts`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    assert.equal(used.status, 200);
    assert.ok(keys.asked() >= 1);
    // Somebody else's key under the same name.
    const stranger = await newKey('first');
    await assert.rejects(client.clientCredentialsGrant(await configFor(stranger.privateKey, 'first')), {
      error: 'invalid_client',
    });
    keys.answer.body = { keys: [second.jwk] };
    pass(FRESH_FOR_MS + 1_000);
    assert.ok(
      (await client.clientCredentialsGrant(await configFor(second.privateKey, 'second'))).access_token,
    );
    await assert.rejects(client.clientCredentialsGrant(config), { error: 'invalid_client' });
  } finally {
    mock.timers.reset();
    await keys.close();
  }
});

test('a jwks_uri that fails or says something else lets nobody in, and is no failure of ours', async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const keys = await openKeyServer();
  try {
    const { privateKey, jwk } = await newKey('only');
    const { configFor } = await withKeysAt(platform, bank, keys.url);
    const config = await configFor(privateKey, 'only');
    for (const answer of [
      { status: 500, body: { keys: [jwk] } },
      { status: 200, body: { keys: 'none' } },
      { status: 200, body: [] },
      { status: 302, body: {} },
    ]) {
      Object.assign(keys.answer, answer);
      pass(FRESH_FOR_MS + 1_000);
      const refusal: unknown = await client.clientCredentialsGrant(config).catch((error: unknown) => error);
      assert.ok(refusal instanceof client.ResponseBodyError, JSON.stringify(answer));
      assert.ok(refusal.status >= 400 && refusal.status < 500, `${refusal.status} for ${answer.status}`);
    }
    Object.assign(keys.answer, { status: 200, body: { keys: [jwk] } });
    pass(FRESH_FOR_MS + 1_000);
    assert.ok((await client.clientCredentialsGrant(config)).access_token);
  } finally {
    mock.timers.reset();
    await keys.close();
  }
});

test('a jwks_uri within a private network is not asked', async () => {
  const keys = await openKeyServer();
  try {
    const { privateKey, jwk } = await newKey('only');
    keys.answer.body = { keys: [jwk] };
    const { configFor } = await withKeysAt(guarded, await guarded.newTenant(), keys.url);
    const refusal: unknown = await client
      .clientCredentialsGrant(await configFor(privateKey, 'only'))
      .catch((error: unknown) => error);
    assert.ok(refusal instanceof client.ResponseBodyError);
    assert.ok(refusal.status >= 400 && refusal.status < 500, String(refusal.status));
    assert.equal(keys.asked(), 0);
  } finally {
    await keys.close();
  }
});

/** Certificates that openssl made for these tests; their keys are used nowhere. */
const CERTIFICATE =
  'MIIBezCCASGgAwIBAgIUdO8qs93OyH0ZIWfBS8QYjjxrE/MwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHcGFydG5lcjAgFw0yNjExMjQyMDE2MTVaGA8yMTI2MTAzMTIwMTYxNVowEjEQMA4GA1UEAwwHcGFydG5lcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCqag/xd+ABk8N5rwKE4HGZ1IRDjSThXrrTCzKlam/8StLjE2+gSMtIBj3HrZQcshr7i1Am5qG1AfcBLlifywyWjUzBRMB0GA1UdDgQWBBSOt7vQnbIdxllop9FB48btWPJNXjAfBgNVHSMEGDAWgBSOt7vQnbIdxllop9FB48btWPJNXjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCiNDYCWrh+y9KJhI6bxOyXLF6kUxt/SKbkXj15/8bM2QIgfaGfVnTXBnpj+vLHX0T7JBBCKnWcvi6HMVwT8U9Ih1Y=';
const OTHER_CERTIFICATE =
  'MIIBfTCCASOgAwIBAgIUOJgw/PLBUNcrTFRxQoHoQKJKAUkwCgYIKoZIzj0EAwIwEzERMA8GA1UEAwwIaW1wb3N0b3IwIBcNMjYxMTI1MDA0MDM3WhgPMjEyNjExMDEwMDQwMzdaMBMxETAPBgNVBAMMCGltcG9zdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEyjNzxwIx1fGqc7T1pSLzFSDHQX71U36tXFNOG8pnFKpibs6xcxh6+roNlPMk0mTiFxXSijN9T4odZ/nUu2PS8KNTMFEwHQYDVR0OBBYEFMkGRYaPHTyoIuzQS+w9lZF98g0sMB8GA1UdIwQYMBaAFMkGRYaPHTyoIuzQS+w9lZF98g0sMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgf7dXT/8FvxPkpSTLyvi1HIQreHh2PHQO71ceKL6NwFECIQDvbq9ejhAnQ7+xzonqXCTrDJFFupCQFNwgfHwdM7MGXg==';

/** openid-client behind a proxy that ends TLS and names the certificate it was shown. */
async function discoverWith(certificate: string, client_id: string) {
  const config = await discover(platform.issuer(bank), client_id, client.TlsClientAuth());
  config[client.customFetch] = (url, options) => {
    const headers = new Headers(options.headers);
    headers.set('client-cert', `:${certificate}:`);
    const { body, ...rest } = options;
    return fetch(url, { ...rest, headers, ...(body === undefined ? {} : { body }) });
  };
  return config;
}

test('FAPI 2.0 with a certificate: PAR, code and refresh, all bound to it', async () => {
  const { publicKey, raw } = new X509Certificate(Buffer.from(CERTIFICATE, 'base64'));
  const app = await bank.post('/api/v2/applications', {
    name: 'Open Finance',
    auth_method: 'self_signed_tls_client_auth',
    grant_types: ['authorization_code', 'refresh_token'],
    scopes: ['accounts:read'],
    redirect_uris: [REDIRECT_URI],
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), x5c: [CERTIFICATE], use: 'sig' }] },
    token_binding: 'mtls',
    fapi: true,
  });
  const config = await discoverWith(CERTIFICATE, app.id);
  const browser = new Browser(platform.newPerson(bank, ['accounts:read']));
  const scope = 'openid offline_access accounts:read';
  // Parameters in the browser's hands are refused: they must be pushed.
  const { left: refused } = await authorize(config, browser, scope);
  assert.equal(refused.searchParams.get('error'), 'invalid_request');
  const impostor = await discoverWith(OTHER_CERTIFICATE, app.id);
  await assert.rejects(authorize(impostor, browser, scope, { par: true }), { error: 'invalid_client' });

  const { left, verifier, state } = await authorize(config, browser, scope, { par: true });
  assert.equal(left.searchParams.get('iss'), platform.issuer(bank).href);
  const checks = { pkceCodeVerifier: verifier, expectedState: state };
  await assert.rejects(client.authorizationCodeGrant(impostor, left, checks), { error: 'invalid_client' });
  const tokens = await client.authorizationCodeGrant(config, left, checks);
  const thumbprint = Buffer.from(await crypto.subtle.digest('SHA-256', raw)).toString('base64url');
  assert.deepEqual(decodeJwt(tokens.access_token)['cnf'], { 'x5t#S256': thumbprint });

  const use = async (access_token: string, certificate?: string) => {
    const answer = await fetch(`${platform.running.url}/api/v2/accounts`, {
      headers: {
        authorization: `Bearer ${access_token}`,
        ...(certificate === undefined ? {} : { 'client-cert': `:${certificate}:` }),
      },
    });
    return answer.status;
  };
  assert.equal(await use(tokens.access_token, CERTIFICATE), 200);
  assert.deepEqual(
    [await use(tokens.access_token), await use(tokens.access_token, OTHER_CERTIFICATE)],
    [401, 401],
  );
  const refresh_token = tokens.refresh_token ?? '';
  await assert.rejects(client.refreshTokenGrant(impostor, refresh_token), { error: 'invalid_client' });
  const next = await client.refreshTokenGrant(config, refresh_token);
  assert.equal(await use(next.access_token, CERTIFICATE), 200);
  assert.equal(await use(next.access_token), 401);
});

test('a client without a secret has PKCE instead, and nothing that needs one', async () => {
  const app = await bank.post('/api/v2/applications', {
    name: 'Pocket',
    auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    scopes: ['accounts:read'],
    redirect_uris: [REDIRECT_URI],
  });
  assert.equal('client_secret' in app, false);
  const config = await discover(platform.issuer(bank), app.id, client.None());
  const browser = new Browser(platform.newPerson(bank, ['accounts:read']));
  const scope = 'openid offline_access accounts:read';

  const without = await browser.go(
    client.buildAuthorizationUrl(config, { redirect_uri: REDIRECT_URI, scope, state: 'x' }),
  );
  assert.equal(without.left?.searchParams.get('error'), 'invalid_request');
  const plain = await browser.go(
    client.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT_URI,
      scope,
      state: 'x',
      code_challenge: client.randomPKCECodeVerifier(),
      code_challenge_method: 'plain',
    }),
  );
  assert.equal(plain.left?.searchParams.get('error'), 'invalid_request');

  // Whoever overheard the code has not the verifier.
  const { left, verifier, state } = await authorize(config, browser, scope);
  await assert.rejects(
    client.authorizationCodeGrant(config, left, {
      pkceCodeVerifier: client.randomPKCECodeVerifier(),
      expectedState: state,
    }),
    { error: 'invalid_grant' },
  );
  const second = await authorize(config, browser, scope);
  const tokens = await client.authorizationCodeGrant(config, second.left, {
    pkceCodeVerifier: second.verifier,
    expectedState: second.state,
  });
  assert.notEqual(verifier, second.verifier);
  const refresh_token = tokens.refresh_token ?? '';
  const next = await client.refreshTokenGrant(config, refresh_token);
  assert.notEqual(
    next.refresh_token,
    refresh_token,
    'of a public client they rotate (RFC 9700, section 4.14.2)',
  );
  await assert.rejects(client.refreshTokenGrant(config, refresh_token), { error: 'invalid_grant' });
  await assert.rejects(client.refreshTokenGrant(config, next.refresh_token ?? ''), {
    error: 'invalid_grant',
  });

  await assert.rejects(client.clientCredentialsGrant(config), {
    error: 'invalid_request',
    error_description: 'requested grant type is not allowed for this client',
  });
  const withSecret = await discover(platform.issuer(bank), app.id, client.ClientSecretPost('guess'));
  await assert.rejects(client.refreshTokenGrant(withSecret, refresh_token), { error: 'invalid_client' });
});
