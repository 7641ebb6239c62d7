/** What applications and people propose, and what becomes of it when they may no more. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as client from 'openid-client';
import { createKey } from '../../../platform/access/access.ts';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { newPerson } from '../people/testing.ts';
import {
  authorize,
  Browser,
  discover,
  type OAuthPlatform,
  openOAuthPlatform,
  REDIRECT_URI,
} from './testing.ts';

let oauth: OAuthPlatform;
let staffed: TestPlatform;
before(async () => {
  oauth = await openOAuthPlatform();
  staffed = await openTestPlatform();
});
after(async () => {
  await oauth.close();
  await staffed.close();
});

const CHART = '/api/v2/chart-of-accounts';
const chartEntry = () => ({ code: '7', name: 'Fees', type: 'income' });

/** A tenant in which a second person is needed for the chart of accounts. */
async function openBank(platform: TestPlatform): Promise<TestTenant> {
  const bank = await platform.newTenant();
  const set = await bank.ask('PUT', '/api/v2/approval-policies/chart_of_accounts:edit', {});
  assert.equal(set.status, 201, set.text);
  return bank;
}

/** Another key approves; the proposal as it is then. */
async function approve(platform: TestPlatform, bank: TestTenant, id: string) {
  const key = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  const approved = await bank.ask(
    'POST',
    `/api/v2/proposals/${id}/approve`,
    {},
    { authorization: `Bearer ${key}` },
  );
  assert.equal(approved.status, 200, approved.text);
  return bank.get(`/api/v2/proposals/${id}`);
}

async function proposeWith(token: string): Promise<string> {
  const answer = await fetch(`${oauth.running.url}${CHART}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'idempotency-key': newUuid(),
      'content-type': 'application/json',
    },
    body: JSON.stringify(chartEntry()),
  });
  const text = await answer.text();
  assert.equal(answer.status, 202, text);
  return JSON.parse(text).id;
}

async function serviceToken(bank: TestTenant) {
  const app = await bank.post('/api/v2/applications', {
    name: 'Settlement',
    auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    scopes: ['chart_of_accounts:*'],
  });
  const config = await discover(oauth.issuer(bank), app.id, client.ClientSecretPost(app.client_secret));
  return { app, token: (await client.clientCredentialsGrant(config)).access_token };
}

/** An application to which a person has allowed the chart of accounts. */
async function allowedBy(bank: TestTenant) {
  const app = await bank.post('/api/v2/applications', {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['authorization_code'],
    scopes: ['chart_of_accounts:*'],
    redirect_uris: [REDIRECT_URI],
  });
  const config = await discover(oauth.issuer(bank), app.id, client.ClientSecretBasic(app.client_secret));
  const person = oauth.newPerson(bank, ['chart_of_accounts:read', 'chart_of_accounts:edit']);
  const scope = 'openid chart_of_accounts:edit';
  const { left, verifier, state } = await authorize(config, new Browser(person), scope);
  const { access_token } = await client.authorizationCodeGrant(config, left, {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  return { app, person, token: access_token };
}

test('what an application proposed for itself is carried out, unless it was disabled since', async () => {
  const bank = await openBank(oauth);
  const { app, token } = await serviceToken(bank);
  const done = await approve(oauth, bank, await proposeWith(token));
  assert.deepEqual([done.status, done.result.status], ['executed', 201]);

  const later = await openBank(oauth);
  const other = await serviceToken(later);
  const id = await proposeWith(other.token);
  const edited = await later.ask(
    'PATCH',
    `/api/v2/applications/${other.app.id}`,
    { status: 'disabled' },
    { 'if-match': '*' },
  );
  assert.equal(edited.status, 200, edited.text);
  const failed = await approve(oauth, later, id);
  assert.deepEqual([failed.status, failed.result.body.code], ['failed', 'proposer_lost_access']);
  assert.notEqual(app.id, other.app.id);
});

test('what an application proposed for a person is carried out with what both may do at that time', async () => {
  const bank = await openBank(oauth);
  const { token } = await allowedBy(bank);
  const done = await approve(oauth, bank, await proposeWith(token));
  assert.deepEqual([done.status, done.result.status], ['executed', 201]);
  assert.equal(done.on_behalf_of.kind, 'person');

  const narrower = await openBank(oauth);
  const second = await allowedBy(narrower);
  const id = await proposeWith(second.token);
  second.person.permissions.delete('chart_of_accounts:edit');
  const refused = await approve(oauth, narrower, id);
  assert.deepEqual([refused.status, refused.result.body.code], ['failed', 'permission_missing']);

  const gone = await openBank(oauth);
  const third = await allowedBy(gone);
  const waiting = await proposeWith(third.token);
  third.person.active = false;
  const lost = await approve(oauth, gone, waiting);
  assert.deepEqual([lost.status, lost.result.body.code], ['failed', 'proposer_lost_access']);
});

test('what a person proposed is carried out, unless they were suspended since', async () => {
  for (const isSuspended of [false, true]) {
    const bank = await openBank(staffed);
    // Somebody must be left to administer.
    await newPerson(staffed, bank, { roles: ['administrator'] });
    const person = await newPerson(staffed, bank, { roles: ['administrator'] });
    const proposed = await person.browser.ask('POST', CHART, chartEntry());
    assert.equal(proposed.status, 202, proposed.text);
    if (isSuspended) await bank.post(`/api/v2/people/${person.id}/suspend`);
    const proposal = await approve(staffed, bank, proposed.body.id);
    assert.equal(proposal.status, isSuspended ? 'failed' : 'executed', JSON.stringify(proposal));
    if (isSuspended) assert.equal(proposal.result.body.code, 'proposer_lost_access');
  }
});
