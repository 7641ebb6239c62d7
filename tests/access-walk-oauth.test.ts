/** The walk by access tokens of applications, for themselves and for people who allowed them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeJwt, importJWK, type JWTPayload, SignJWT } from 'jose';
import * as client from 'openid-client';
import { createKey } from '../src/platform/access/access.ts';
import type { Scope } from '../src/platform/db.ts';
import { newUuid } from '../src/platform/ids.ts';
import { openSecrets } from '../src/platform/secret.ts';
import { issuerOf } from '../src/services/identity/oauth/issuer.ts';
import { signingKeyContext } from '../src/services/identity/oauth/signing-keys.ts';
import { authorize, Browser, discover, REDIRECT_URI } from '../src/services/identity/oauth/testing.ts';
import { newPerson } from '../src/services/identity/people/testing.ts';
import type { TestTenant } from '../src/testing.ts';
import {
  assertFindsNothing,
  assertRefusedEverywhere,
  bearer,
  ENCRYPTION_KEY,
  forEveryCaller,
  openWalk,
  suspend,
  until,
  type Walk,
} from './access-walk.ts';

let walk: Walk;
before(async () => {
  walk = await openWalk();
});
after(() => walk.close());

interface Issued {
  application_id: string;
  token: string;
  config: client.Configuration;
}

/** A token of an application for itself, which may do everything unless it is said otherwise. */
async function issue(
  tenant: TestTenant,
  scopes: string[] = ['*:*'],
  { environment, key }: { environment: Scope['environment']; key: string } = {
    environment: 'sandbox',
    key: tenant.key,
  },
): Promise<Issued> {
  const body = { name: 'A', auth_method: 'client_secret_post', grant_types: ['client_credentials'], scopes };
  const app = await tenant.post('/api/v2/applications', body, bearer(key));
  const issuer = issuerOf(walk.platform.running.url, { ...tenant.scope, environment });
  const config = await discover(new URL(issuer), app.id, client.ClientSecretPost(app.client_secret));
  const { access_token } = await client.clientCredentialsGrant(config);
  return { application_id: app.id, token: access_token, config };
}

/** Signs what it likes, as nobody can who does not have the key of the issuer. */
async function signAsIssuer(scope: Scope, claims: JWTPayload, typ = 'at+jwt'): Promise<string> {
  const { rows } = await walk.superuser.query(
    `select kid, private_jwk from identity.oauth_signing_keys
     where tenant_id = $1 and environment = $2 and status = 'active'`,
    [scope.tenant_id, scope.environment],
  );
  const [{ kid, private_jwk }] = rows;
  const secrets = openSecrets({ keys: [ENCRYPTION_KEY], data_dir: '' });
  const key = await importJWK(
    JSON.parse(secrets.decrypt(private_jwk, signingKeyContext(scope, kid))),
    'ES256',
  );
  return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid }).sign(key);
}

/** The tokens of an application for somebody who signed in and allowed it, and the id of the consent. */
async function issueFor(tenant: TestTenant, roles: string[], scope: string) {
  const person = await newPerson(walk.platform, tenant, { roles });
  const app = await tenant.post('/api/v2/applications', {
    name: 'B',
    auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    scopes: ['*:*'],
    redirect_uris: [REDIRECT_URI],
  });
  const issuer = new URL(issuerOf(walk.platform.running.url, tenant.scope));
  const config = await discover(issuer, app.id, client.ClientSecretBasic(app.client_secret));
  const session = person.browser.cookies.get('financialapi_session') ?? assert.fail('there is no session');
  const browser = new Browser(`financialapi_session=${session}`);
  const { left, verifier, state } = await authorize(config, browser, `openid ${scope}`);
  const tokens = await client.authorizationCodeGrant(config, left, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  const consents = await person.browser.ask('GET', '/api/v2/consents');
  assert.equal(consents.status, 200, consents.text);
  return { person, token: tokens.access_token, consent_id: String(consents.body.data[0].id) };
}

test('an access token that is old, revoked, forged or for something else opens no route', async () => {
  const { owner, platform } = walk;
  const { token, application_id, config } = await issue(owner);
  await until(walk, bearer(token), 200);
  const claims = decodeJwt(token);
  const own = (changes: JWTPayload, typ?: string) =>
    signAsIssuer(owner.scope, { ...claims, jti: newUuid(), ...changes }, typ);
  await until(walk, bearer(await own({})), 200);
  const now_s = Math.floor(Date.now() / 1_000);

  const other = await platform.newTenant();
  await issue(other);
  const theirIssuer = issuerOf(platform.running.url, other.scope);
  const liveIssuer = issuerOf(platform.running.url, { ...owner.scope, environment: 'live' });

  const { token: revoked, config: revoking } = await issue(owner);
  await client.tokenRevocation(revoking, revoked);
  const disabled = await issue(owner);
  await until(walk, bearer(disabled.token), 200);
  const off = { status: 'disabled' };
  const path = `/api/v2/applications/${disabled.application_id}`;
  assert.equal((await owner.ask('PATCH', path, off, { 'if-match': '*' })).status, 200);
  const closed = await platform.newTenant();
  const { token: ofClosed } = await issue(closed);
  const { token: used } = await issue(closed);
  await until(walk, bearer(used), 200);
  await suspend(walk, closed);
  for (const [gone, status] of [
    [revoked, 401],
    [disabled.token, 401],
    [used, 403],
  ] as const) {
    await until(walk, bearer(gone), status);
  }
  const callers: Record<string, [token: string, status: number]> = {
    'one that has expired': [await own({ iat: now_s - 600, exp: now_s - 300 }), 401],
    'one that was revoked': [revoked, 401],
    'one of an application that is disabled': [disabled.token, 401],
    'one of an application that is not there': [
      await own({ client_id: 'app_01h455vb4pex5vsknk084sn02q', sub: 'app_01h455vb4pex5vsknk084sn02q' }),
      401,
    ],
    'one for a person who is not there': [await own({ sub: 'usr_01h455vb4pex5vsknk084sn02q' }), 401],
    'one for another server': [await own({ aud: 'https://elsewhere.example/api' }), 401],
    'a token that identifies somebody': [await own({ aud: application_id }, 'JWT'), 401],
    'one that ours signed for another tenant': [await own({ iss: theirIssuer }), 401],
    'one that ours signed for the other environment': [await own({ iss: liveIssuer }), 401],
    'one that another tenant signed for ours': [
      await signAsIssuer(other.scope, { ...claims, jti: newUuid() }),
      401,
    ],
    'one that is bound to a key and came without it': [await own({ cnf: { jkt: 'x'.repeat(43) } }), 401],
    'one that is bound to a certificate': [await own({ cnf: { 'x5t#S256': 'x'.repeat(43) } }), 401],
    'one of a suspended tenant': [ofClosed, 403],
    'one that was in use when its tenant was suspended': [used, 403],
  };
  for (const [who, [credential, status]] of Object.entries(callers)) {
    await assertRefusedEverywhere(walk, who, bearer(credential), status);
  }
  const abroad = { ...bearer(token), environment: 'live' };
  await assertRefusedEverywhere(walk, 'who means the other environment', abroad, 403);
  // Suspended, nobody gets another either.
  await assert.rejects(client.clientCredentialsGrant((await issueThenSuspend()).config));
  assert.ok((await client.clientCredentialsGrant(config)).access_token.length > 0);
});

async function issueThenSuspend(): Promise<Issued> {
  const tenant = await walk.platform.newTenant();
  const issued = await issue(tenant);
  await suspend(walk, tenant);
  await until(walk, bearer(issued.token), 403);
  return issued;
}

test('an application may ask what its scope says and nothing else', async () => {
  // What the reference hides needs permissions, too, of which it does not tell: addresses of v1.
  const { token } = await issue(walk.owner, ['accounts:read']);
  await until(walk, bearer(token), 200);
  await assertRefusedEverywhere(
    walk,
    'who may read accounts',
    bearer(token),
    403,
    ({ path, permission }) =>
      forEveryCaller.has(path) || permission === undefined || permission === 'accounts:read',
  );
});

test('an application of another tenant or environment finds nothing', async () => {
  const { owner, platform } = walk;
  const consent = await issueFor(owner, ['administrator'], 'consents:read accounts:read');
  walk.parameters['consent_id'] = {
    real: consent.consent_id,
    made_up: walk.parameters['consent_id']?.made_up ?? '',
  };
  const stranger = await platform.newTenant();
  await assertFindsNothing(walk, 'an application of another tenant', bearer((await issue(stranger)).token));
  const scope = { ...owner.scope, environment: 'live' } as const;
  const key = await createKey(platform.running.platform, scope, { label: 'live' });
  const { token } = await issue(owner, ['*:*'], { environment: 'live', key });
  await assertFindsNothing(walk, 'one of the other environment', bearer(token), 'the other environment');
  // Consents are a person's own, so that colleagues do not find them either.
  for (const tenant of [stranger, owner]) {
    const { browser } = await newPerson(platform, tenant, { roles: ['administrator'] });
    const answer = await browser.ask('POST', `/api/v2/consents/${consent.consent_id}/revoke`);
    assert.deepEqual([answer.status, answer.body.code], [404, 'consent_not_found']);
  }
  await until(walk, bearer(consent.token), 200);
});

test('an application that acts for somebody may no more than they, and nothing without them', async () => {
  const { owner } = walk;
  const weak = await issueFor(owner, ['auditor'], 'accounts:read accounts:close consents:read');
  await until(walk, bearer(weak.token), 200);
  await assertRefusedEverywhere(
    walk,
    'an application that acts for an auditor',
    bearer(weak.token),
    403,
    ({ path, permission }) =>
      forEveryCaller.has(path) ||
      permission === undefined ||
      ['accounts:read', 'consents:read'].includes(permission),
  );
  const strong = await issueFor(owner, ['administrator'], 'accounts:read consents:read consents:revoke');
  await until(walk, bearer(strong.token), 200);
  await owner.post(`/api/v2/people/${strong.person.id}/suspend`);
  await until(walk, bearer(strong.token), 401);
  await assertRefusedEverywhere(walk, 'one that acts for who is suspended', bearer(strong.token), 401);

  const taken = await issueFor(owner, ['administrator'], 'accounts:read consents:read consents:revoke');
  const revoked = await taken.person.browser.ask('POST', `/api/v2/consents/${taken.consent_id}/revoke`);
  assert.ok(revoked.status < 300, revoked.text);
  await until(walk, bearer(taken.token), 401);
  await assertRefusedEverywhere(walk, 'one whose consent was taken back', bearer(taken.token), 401);
});
