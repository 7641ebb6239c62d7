/** Whom staff invite into a community comes in by the link of the mail, once and nowhere else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../../../platform/access/access.ts';
import { setSuspension } from '../../../platform/access/tenant.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { GOOD_PASSWORD, newBrowser, newPerson, signIn } from '../people/testing.ts';
import {
  anonymously,
  invitationFor,
  joinBody,
  newCommunity,
  signUpBody,
  terms,
  tokenFor,
} from './testing.ts';

type Json = Answer['body'];

let platform: TestPlatform;
let bank: TestTenant;
let sql: Client;
before(async () => {
  platform = await openTestPlatform({
    PUBLIC_URL: 'https://bank.example',
    IDENTITY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  });
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  await platform.close();
});
beforeEach(async () => {
  bank = await platform.newTenant('live');
  await sql.query('delete from identity.sign_in_throttles');
});

let count = 0;
function newEmail(): string {
  count += 1;
  return `invited.${count}@guest.example`;
}

const at = ({ id }: Json) => `/api/v2/communities/${id}/invitations`;
const invite = (community: Json, more: object = {}): Promise<Json> =>
  bank.post(at(community), { email: newEmail(), ...more });
const see = (token: string) => anonymously(platform, 'POST', '/identity/sign-ups/invitation', { token });
const join = (token: string, more: object = {}) =>
  anonymously(platform, 'POST', '/identity/sign-ups/accept', joinBody(token, more));
const choosePassword = (token: string) =>
  anonymously(platform, 'POST', '/identity/invitations/accept', {
    token,
    name: 'Dora',
    password: GOOD_PASSWORD,
  });
const organisationsOf = async ({ id }: Json): Promise<Json[]> =>
  (await bank.get(`/api/v2/organisations?community_id=${id}`)).data;

async function expire(id: string): Promise<void> {
  const { rowCount } = await sql.query(
    "update identity.community_invitations set expires_at = now() - interval '1 s' where email = $1",
    [id],
  );
  assert.equal(rowCount, 1);
}

/** Neither to be seen nor to be accepted. */
async function assertNotGood(token: string, code = 'invitation_not_good'): Promise<void> {
  for (const answer of [await see(token), await join(token)])
    assert.equal(answer.body.code, code, answer.text);
}

for (const sign_up of ['invitation', 'open', 'approval']) {
  test(`whom staff invite is in without an approval, from any domain, under the terms they accepted: ${sign_up}`, async () => {
    const community = await newCommunity(bank, { sign_up, email_domains: ['partner.example'] });
    const invitation = await invite(community, { name: 'Iris', organisation_name: 'Invoicely' });
    const { email } = invitation;
    assert.deepEqual(
      [invitation.status, typeof invitation.mailed_at, invitation.token],
      ['pending', 'string', undefined],
    );
    const token = await invitationFor(bank, email);
    const { body: seen } = await see(token);
    assert.deepEqual(
      [seen.community, seen.email, seen.name, seen.organisation_name],
      [community.slug, email, 'Iris', 'Invoicely'],
    );
    const joined = await join(token, { organisation_name: 'Invoicely Ltd', language: 'pt' });
    assert.deepEqual(
      [joined.status, joined.body.status, joined.body.email],
      [200, 'ready', email],
      joined.text,
    );
    const accepted = await choosePassword(joined.body.invitation_token);
    assert.equal(accepted.status, 201, accepted.text);
    const browser = newBrowser(platform);
    await signIn(browser, email);
    const self = (await browser.ask('GET', '/api/v2/portal/self')).body;
    assert.deepEqual(
      [self.organisation.name, self.community.slug, self.terms_current],
      ['Invoicely Ltd', community.slug, true],
    );
    const [organisation, ...others] = await organisationsOf(community);
    assert.deepEqual(
      [
        others,
        organisation.status,
        organisation.contact_email,
        organisation.terms_version,
        organisation.language,
      ],
      [[], 'active', email, terms.version, 'pt'],
    );
    const kept = await bank.get(`${at(community)}/${invitation.id}`);
    assert.deepEqual([kept.status, kept.organisation_id], ['accepted', organisation.id]);
    // It was used.
    await assertNotGood(token);
    const again = await bank.ask('POST', `${at(community)}/${invitation.id}/resend`);
    const back = await bank.ask('POST', `${at(community)}/${invitation.id}/withdraw`);
    for (const { status, body } of [again, back]) {
      assert.deepEqual([status, body.code], [409, 'invitation_closed']);
    }
  });
}

test('where one has to be invited nobody else signs up, and nobody learns who is invited', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const { email } = await invite(community);
  for (const body of [signUpBody(community), signUpBody(community, { email })]) {
    const refused = await anonymously(platform, 'POST', '/identity/sign-ups', body);
    assert.deepEqual([refused.status, refused.body.code], [403, 'sign_up_by_invitation']);
  }
  const token = await invitationFor(bank, email);
  const other = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
  await assertNotGood(other);
  // Nor is it a link of another kind.
  const verified = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.equal(verified.body.code, 'sign_up_not_good');
  assert.equal((await choosePassword(token)).body.code, 'invitation_not_good');
});

test('as often as the link is followed until a password is chosen, and at once, there is one organisation', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const { email } = await invite(community);
  const token = await invitationFor(bank, email);
  const answers = await Promise.all(
    ['A', 'B', 'C', 'D'].map((organisation_name) => join(token, { organisation_name })),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(new Set(answers.map(({ body }) => body.organisation_name)).size, 1);
  assert.equal((await organisationsOf(community)).length, 1);
  // Who closed the page goes on by the same link, and only the last one is good.
  assert.equal((await see(token)).status, 200);
  const { body: last } = await join(token);
  const chosen = await Promise.all(
    [...answers.map(({ body }) => body), last].map(({ invitation_token }) =>
      choosePassword(invitation_token),
    ),
  );
  assert.deepEqual(
    chosen.map(({ status }) => status),
    [404, 404, 404, 404, 201],
  );
  await assertNotGood(token);
});

test('a link that was withdrawn, expired or replaced is good no more', async () => {
  const community = await newCommunity(bank);
  const withdrawn = await invite(community);
  const token = await invitationFor(bank, withdrawn.email);
  const after = await bank.post(`${at(community)}/${withdrawn.id}/withdraw`);
  const twice = await bank.post(`${at(community)}/${withdrawn.id}/withdraw`);
  assert.deepEqual([after.status, twice], ['withdrawn', after]);
  await assertNotGood(token);
  const closed = await bank.ask('POST', `${at(community)}/${withdrawn.id}/resend`);
  assert.deepEqual([closed.status, closed.body.code], [409, 'invitation_closed']);

  const late = await invite(community);
  const first = await invitationFor(bank, late.email);
  await expire(late.email);
  await assertNotGood(first);
  assert.equal((await bank.get(`${at(community)}/${late.id}`)).status, 'expired');
  assert.equal((await bank.post(`${at(community)}/${late.id}/resend`)).status, 'pending');
  const second = await invitationFor(bank, late.email, first);
  await assertNotGood(first);
  assert.equal((await join(second)).status, 200);
  assert.equal((await organisationsOf(community)).length, 1);

  const statuses = async (status: string): Promise<string[]> =>
    (await bank.get(`${at(community)}?status=${status}`)).data.map(({ id }: Json) => id);
  const pending = await invite(community);
  assert.deepEqual(
    await Promise.all(['pending', 'accepted', 'expired', 'withdrawn'].map((status) => statuses(status))),
    [[pending.id], [late.id], [], [withdrawn.id]],
  );
  const page = await bank.get(`${at(community)}?limit=2`);
  const rest = await bank.get(`${at(community)}?limit=2&cursor=${page.next_cursor}`);
  assert.deepEqual(
    [...page.data, ...rest.data].map(({ id }: Json) => id),
    [pending.id, late.id, withdrawn.id],
  );
});

test('the terms that are accepted are those of today, also by who comes again', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const { email } = await invite(community);
  const token = await invitationFor(bank, email);
  const old = await join(token, { accepted_terms_version: '2020' });
  assert.deepEqual([old.status, old.body.code], [409, 'terms_not_current']);
  assert.deepEqual(await organisationsOf(community), []);
  assert.equal((await join(token)).status, 200);
  const newer = { version: '2028-01', text: 'Be kinder.' };
  await bank.ask('PATCH', `/api/v2/communities/${community.id}`, { terms: newer }, { 'if-match': '*' });
  assert.equal((await join(token)).body.code, 'terms_not_current');
  assert.equal((await join(token, { accepted_terms_version: newer.version })).status, 200);
  const [organisation] = await organisationsOf(community);
  assert.equal(organisation.terms_version, newer.version);
});

test('an address by which somebody signs in joins nothing: its owner is told, and nobody else', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const colleague = await newPerson(platform, bank);
  const own = await bank.ask('POST', at(community), { email: colleague.email });
  assert.deepEqual([own.status, own.body.code], [409, 'address_in_use']);
  const stranger = await newPerson(platform, await platform.newTenant('live'), { email: newEmail() });
  const invitation = await invite(community, { email: stranger.email });
  assert.equal(invitation.status, 'pending', 'an institution does not learn whom another knows');
  await assertNotGood(await invitationFor(bank, stranger.email), 'address_in_use');
  assert.deepEqual(await organisationsOf(community), []);
});

test('one address has one invitation that is not accepted, however often and at once it is asked for', async () => {
  const community = await newCommunity(bank);
  const email = newEmail();
  const asked = await Promise.all(
    Array.from({ length: 4 }, () => bank.ask('POST', at(community), { email })),
  );
  assert.deepEqual(
    asked.map(({ body }) => body.code ?? body.status).toSorted((a, b) => a.localeCompare(b)),
    ['already_invited', 'already_invited', 'already_invited', 'pending'],
  );
  const key = { 'idempotency-key': 'invite-once' };
  const body = { email: newEmail() };
  const first = await bank.ask('POST', at(community), body, key);
  const again = await bank.ask('POST', at(community), body, key);
  assert.deepEqual([again.body, again.headers['idempotent-replayed']], [first.body, 'true'], again.text);
  const token = await invitationFor(bank, body.email);
  assert.equal((await see(token)).status, 200, 'a repetition mails nothing');
  // What could not be mailed is, when it is asked for again.
  await sql.query('update identity.community_invitations set mailed_at = null where email = $1', [
    body.email,
  ]);
  const mailed = await bank.ask('POST', at(community), body, key);
  assert.equal(typeof mailed.body.mailed_at, 'string');
  assert.equal((await see(await invitationFor(bank, body.email, token))).status, 200);
});

test('who signed up and is invited comes in by either link, to one organisation', async () => {
  const community = await newCommunity(bank, { sign_up: 'approval' });
  // Who has shown that the address is theirs waits, and is approved in the place of being invited.
  const waiting = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', waiting);
  const waits = await tokenFor(bank, waiting.email);
  await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: waits });
  const refused = await bank.ask('POST', at(community), { email: waiting.email });
  assert.deepEqual([refused.status, refused.body.code], [409, 'organisation_waits']);

  // Who has not is in by the sign-up, too: it was decided.
  const both = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', both);
  const signUpToken = await tokenFor(bank, both.email);
  const invitation = await invite(community, { email: both.email });
  const invitationToken = await invitationFor(bank, both.email);
  for (let times = 0; times < 2; times += 1) {
    const ready = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: signUpToken });
    assert.equal(ready.body.status, 'ready', ready.text);
  }
  const kept = await bank.get(`${at(community)}/${invitation.id}`);
  const organisations = (await organisationsOf(community)).filter(
    ({ contact_email }) => contact_email === both.email,
  );
  assert.deepEqual(
    [organisations.length, kept.status, kept.organisation_id],
    [1, 'accepted', organisations[0].id],
  );
  await assertNotGood(invitationToken);

  // The other way round the sign-up comes to nothing.
  const other = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', other);
  const unused = await tokenFor(bank, other.email);
  await invite(community, { email: other.email });
  const { body } = await join(await invitationFor(bank, other.email));
  assert.equal((await choosePassword(body.invitation_token)).status, 201);
  const late = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: unused });
  assert.deepEqual([late.status, late.body.code], [409, 'address_in_use']);
  const joined = (await organisationsOf(community)).filter(
    ({ contact_email }) => contact_email === other.email,
  );
  assert.equal(joined.length, 1, 'there is no organisation that nobody could come into');
});

test('who signed up before one had to be invited is decided about', async () => {
  const community = await newCommunity(bank);
  const body = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', body);
  const token = await tokenFor(bank, body.email);
  const rule = { sign_up: 'invitation' };
  await bank.ask('PATCH', `/api/v2/communities/${community.id}`, rule, { 'if-match': '*' });
  const { body: verified } = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.deepEqual([verified.status, verified.invitation_token], ['pending', undefined]);
});

test('a closed community invites nobody, and lets nobody in who was invited until it is open again', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const invitation = await invite(community);
  const token = await invitationFor(bank, invitation.email);
  const change = (sign_up: string) =>
    bank.ask('PATCH', `/api/v2/communities/${community.id}`, { sign_up }, { 'if-match': '*' });
  await change('closed');
  await assertNotGood(token, 'sign_up_closed');
  for (const refused of [
    await bank.ask('POST', at(community), { email: newEmail() }),
    await bank.ask('POST', `${at(community)}/${invitation.id}/resend`),
  ]) {
    assert.deepEqual([refused.status, refused.body.code], [409, 'community_closed']);
  }
  await change('invitation');
  assert.equal((await join(token)).status, 200);
});

test('nobody comes into an institution or an organisation that is suspended', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  const { email } = await invite(community);
  const token = await invitationFor(bank, email);
  const suspend = (reason: string | undefined) =>
    platform.running.platform.write(bank.scope, (tx) => setSuspension(tx, bank.scope.tenant_id, reason));
  await suspend('Unpaid');
  await assertNotGood(token);
  await suspend(undefined);
  assert.equal((await join(token)).status, 200);
  const [{ id }] = await organisationsOf(community);
  await bank.post(`/api/v2/organisations/${id}/suspend`, { reason: 'Unknown' });
  assert.equal((await join(token)).body.code, 'invitation_not_good');
});

test('another institution, another community and another environment find no invitation', async () => {
  const community = await newCommunity(bank);
  const elsewhere = await newCommunity(bank);
  const { id } = await invite(community);
  const stranger = await platform.newTenant('live');
  for (const [who, path] of [
    [stranger, at(community)],
    [stranger, `${at(community)}/${id}`],
    [bank, `${at(elsewhere)}/${id}`],
  ] as const) {
    assert.equal((await who.ask('GET', path)).status, 404);
  }
  assert.equal((await stranger.ask('POST', at(community), { email: newEmail() })).status, 404);
  for (const action of ['withdraw', 'resend']) {
    assert.equal((await stranger.ask('POST', `${at(community)}/${id}/${action}`)).status, 404);
    const wrong = await bank.ask('POST', `${at(elsewhere)}/${id}/${action}`);
    assert.deepEqual([wrong.status, wrong.body.code], [404, 'invitation_not_found']);
  }
});

test('who may not decide about organisations or not send mail invites nobody', async () => {
  const community = await newCommunity(bank);
  const asKey = async (scopes: string[], body: object) => {
    const { key } = await bank.post('/api/v2/api-keys', { label: 'clerk', scopes });
    const answer = await platform.running.app.inject({
      method: 'POST',
      url: at(community),
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': scopes.join() },
      payload: body,
    });
    return [answer.statusCode, answer.json().permission];
  };
  const body = { email: newEmail() };
  assert.deepEqual(await asKey(['organisations:read'], body), [403, 'organisations:decide']);
  assert.deepEqual(await asKey(['organisations:decide'], body), [403, 'notifications:send']);
  assert.deepEqual((await bank.get(at(community))).data, []);
  const malformed = [
    {},
    { email: 'no address' },
    { ...body, name: '' },
    { ...body, roles: ['administrator'] },
  ];
  for (const wrong of malformed) assert.equal((await bank.ask('POST', at(community), wrong)).status, 400);
});

test('where deciding about organisations needs two, inviting does, and nothing is mailed before', async () => {
  const community = await newCommunity(bank, { sign_up: 'invitation' });
  await bank.ask('PUT', '/api/v2/approval-policies/organisations:decide', {});
  const email = newEmail();
  const proposed = await bank.ask('POST', at(community), { email });
  assert.equal(proposed.status, 202, proposed.text);
  assert.deepEqual((await bank.get(at(community))).data, []);
  const second = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  const approved = await platform.running.app.inject({
    method: 'POST',
    url: `/api/v2/proposals/${proposed.body.id}/approve`,
    headers: { authorization: `Bearer ${second}`, 'idempotency-key': 'second' },
    payload: {},
  });
  assert.equal(approved.statusCode, 200, approved.body);
  assert.equal((await join(await invitationFor(bank, email))).status, 200);
  const [invitation] = (await bank.get(at(community))).data;
  assert.deepEqual([invitation.email, invitation.status], [email, 'accepted']);
});

test('who was invited and never came is forgotten after a while; who came is not', async () => {
  const community = await newCommunity(bank);
  const [came, expired, withdrawn, pending] = [
    await invite(community),
    await invite(community),
    await invite(community),
    await invite(community),
  ];
  await join(await invitationFor(bank, came.email));
  await bank.post(`${at(community)}/${withdrawn.id}/withdraw`);
  const late = [came, expired, withdrawn].map(({ email }) => email);
  await sql.query(
    "update identity.community_invitations set expires_at = now() - interval '91 days' where email = any($1)",
    [late],
  );
  const operators = await platform.newTenant();
  await sql.query("update platform.tenants set kind = 'installation' where tenant_id = $1", [
    operators.scope.tenant_id,
  ]);
  await operators.post('/api/v2/system-jobs/identity.remove_expired_sign_ins/run');
  const left = async () => (await bank.get(at(community))).data.map(({ id }: Json) => id);
  while ((await left()).length === 4) await sleep(20);
  assert.deepEqual(await left(), [pending.id, came.id]);
});
