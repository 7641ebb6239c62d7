/** Monetary limits cannot be left behind by giving access to something that is not under them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newPerson } from '../src/services/identity/people/testing.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

test('a key under monetary limits gives access to nobody who would not be under its limits', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', { label: 'limited' });
  const limits = { amounts: [{ currency: 'BRL', per_day: { amount: '10.00', currency: 'BRL' } }] };
  assert.equal((await bank.ask('PUT', `/api/v2/api-keys/${id}/limits`, limits)).status, 200);
  const byLimited = { authorization: `Bearer ${key}` };
  const { id: unlimited } = await bank.post('/api/v2/api-keys', { label: 'unlimited' });
  const { id: clerk } = await newPerson(platform, bank, {
    email: 'clerk@bank.example',
    roles: ['auditor'],
  });
  const scopes = ['transfers:post'];
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  };
  const application = {
    name: 'A',
    auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    scopes,
  };
  for (const [url, body] of [
    [`/api/v2/api-keys/${unlimited}/rotations`, {}],
    ['/api/v2/applications', application],
    ['/api/v2/devices', { label: 'D', public_key: jwk, permissions: scopes }],
    ['/api/v2/invitations', { email: 'me@bank.example', roles: ['administrator'] }],
    ['/api/v2/grants', { person_id: clerk, role: 'operations' }],
    ['/api/v2/roles', { name: 'mover', description: 'Moves', permissions: scopes }],
    [`/api/v2/people/${clerk}/password-resets`, {}],
  ] as const) {
    const refused = await bank.ask('POST', url, body, byLimited);
    assert.deepEqual([refused.status, refused.body.code], [403, 'limits_confine'], `${url}: ${refused.text}`);
    const allowed = await bank.ask('POST', url, body);
    assert.equal(allowed.status, 201, `${url}: ${allowed.text}`);
  }
  const provider = {
    issuer: 'https://login.example',
    client_id: 'a',
    client_secret: 'b',
    email_domains: ['b.example'],
  };
  const refused = await bank.ask('PUT', '/api/v2/identity-provider', provider, byLimited);
  assert.equal(refused.body.code, 'limits_confine', refused.text);
});
