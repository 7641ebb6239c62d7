/** Developers who come by themselves: from the front page to a key that works, and what nobody gets that way. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { Client } from 'pg';
import { createKey } from '../../../platform/access/access.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { type Browser, GOOD_PASSWORD, newBrowser, signIn } from '../people/testing.ts';
import {
  anonymously,
  getReady,
  liveRequest,
  mailTo,
  newCommunity,
  newDeveloper,
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

test('whoever confirms an address gets an organisation with a sandbox of its own, and nothing else', async () => {
  const community = await newCommunity(bank, { listed: true, apis: ['Transfers'] });
  const seen = await anonymously(platform, 'GET', `/identity/communities/${community.slug}`);
  assert.deepEqual(
    [seen.status, seen.body.institution, seen.body.terms, seen.body.apis, seen.body.authority],
    [200, 'Test', terms, ['Transfers'], undefined],
  );
  const { data } = (await anonymously(platform, 'GET', '/identity/communities')).body;
  assert.ok(data.some(({ slug }: Json) => slug === community.slug));

  const { browser } = await newDeveloper(platform, bank, community);
  const self = await browser.ask('GET', '/api/v2/self');
  assert.deepEqual(
    [self.body.tenant.name, self.body.environment, self.body.permissions.includes('applications:create')],
    ['Ledgerly', 'sandbox', true],
  );
  const key = await browser.ask('POST', '/api/v2/api-keys', { label: 'first' });
  assert.equal(key.status, 201, key.text);
  const portal = await browser.ask('GET', '/api/v2/portal/self');
  assert.equal(portal.status, 200, portal.text);
  assert.deepEqual(
    [portal.body.organisation.name, portal.body.community.slug, portal.body.terms_current],
    ['Ledgerly', community.slug, true],
  );
  assert.deepEqual(
    portal.body.checklist.filter(({ done }: Json) => done).map(({ item }: Json) => item),
    ['address_confirmed', 'terms_accepted'],
  );
  const seeds = await browser.ask('POST', '/api/v2/sandbox/reset', { seed: 'demo' });
  assert.equal(seeds.status, 201, seeds.text);
  // Of the live environment they hold nothing.
  const live = await browser.ask('POST', '/identity/me/environment', { environment: 'live' });
  const after = await browser.ask('GET', '/api/v2/accounts');
  assert.deepEqual([live.status < 300, after.status], [true, 403], after.text);
  // And of the institution nothing at all: an account of it is not there for them.
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const { id } = await bank.post('/api/v2/accounts', { name: 'Ours', currency: 'BRL', chart_code: '1' });
  const other = await newDeveloper(platform, bank, community);
  assert.equal((await other.browser.ask('GET', `/api/v2/accounts/${id}`)).status, 404);
  assert.equal((await other.browser.ask('GET', '/api/v2/communities')).body.data.length, 0);
});

test('a link is followed as often as it is good, and comes to one organisation', async () => {
  const community = await newCommunity(bank);
  const body = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', body);
  const token = await tokenFor(bank, body.email);
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => anonymously(platform, 'POST', '/identity/sign-ups/verify', { token })),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const { data } = await bank.get(`/api/v2/organisations?community_id=${community.id}`);
  assert.equal(data.length, 1);
  const accept = (invitation_token: string) =>
    anonymously(platform, 'POST', '/identity/invitations/accept', {
      token: invitation_token,
      name: 'Dora',
      password: GOOD_PASSWORD,
    });
  const accepted = await Promise.all(
    answers.map(({ body: { invitation_token } }) => accept(invitation_token)),
  );
  assert.equal(accepted.filter(({ status }) => status === 201).length, 1);
  // It was used: whoever has it now gets nothing.
  const again = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.deepEqual([again.status, again.body.code], [404, 'sign_up_not_good']);
  for (const wrong of ['', 'x', `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`]) {
    assert.ok(
      (await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: wrong })).status >= 400,
      wrong,
    );
  }
  await sql.query("update identity.sign_ups set expires_at = now() - interval '1 s', verified_at = null");
  const late = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.equal(late.body.code, 'sign_up_not_good');
});

test('signing up tells nothing of who is known, and is refused by what everybody can see', async () => {
  const community = await newCommunity(bank, { email_domains: ['partner.example'] });
  const developer = await newDeveloper(platform, bank, community);
  const known = await anonymously(
    platform,
    'POST',
    '/identity/sign-ups',
    signUpBody(community, { email: developer.email }),
  );
  const unknown = await anonymously(platform, 'POST', '/identity/sign-ups', signUpBody(community));
  assert.deepEqual([known.status, known.text], [unknown.status, unknown.text]);
  assert.deepEqual(known.body, { status: 'kept' });
  // Who owns the address learns it.
  const token = await tokenFor(bank, developer.email);
  await sql.query('update identity.sign_ups set expires_at = expires_at');
  const { rows } = await sql.query('select count(*)::int as count from identity.sign_ups where email = $1', [
    developer.email,
  ]);
  assert.equal(rows[0].count, 2);
  const used = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.ok(['address_in_use', 'sign_up_not_good'].includes(used.body.code), used.text);

  const closed = await newCommunity(bank, { sign_up: 'closed' });
  for (const [body, status, code] of [
    [signUpBody(community, { email: 'eve@evil.example' }), 422, 'email_domain_not_admitted'],
    [signUpBody(community, { accepted_terms_version: '2020' }), 409, 'terms_not_current'],
    [signUpBody(closed), 403, 'sign_up_closed'],
    [signUpBody({ slug: 'nobody-knows' }), 404, 'community_not_found'],
    [signUpBody(community, { email: 'no address' }), 400, 'malformed_request'],
    [signUpBody(community, { organisation_name: '' }), 400, 'malformed_request'],
    [signUpBody(community, { name: 'x'.repeat(256) }), 400, 'malformed_request'],
    [signUpBody(community, { role: 'administrator' }), 400, 'malformed_request'],
  ] as const) {
    const refused = await anonymously(platform, 'POST', '/identity/sign-ups', body);
    assert.deepEqual([refused.status, refused.body.code], [status, code], refused.text);
  }
});

test('a mailbox is not flooded, and a network is slowed down', async () => {
  const community = await newCommunity(bank);
  const body = signUpBody(community);
  for (let sent = 0; sent < 9; sent += 1) {
    const answer = await anonymously(platform, 'POST', '/identity/sign-ups', body, `198.51.100.${sent}`);
    assert.equal(answer.status, 202, answer.text);
  }
  const { rows } = await sql.query('select count(*)::int as count from identity.sign_ups where email = $1', [
    body.email,
  ]);
  assert.equal(rows[0].count, 5);
  const statuses: number[] = [];
  for (let sent = 0; sent < 25; sent += 1) {
    const answer = await anonymously(
      platform,
      'POST',
      '/identity/sign-ups',
      signUpBody(community),
      '203.0.113.9',
    );
    statuses.push(answer.status);
  }
  assert.deepEqual([statuses[0], statuses.at(-1)], [202, 429]);
});

test('where the institution approves, nobody is in before it did, and nobody who was rejected', async () => {
  const community = await newCommunity(bank, { sign_up: 'approval' });
  const body = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', body);
  const token = await tokenFor(bank, body.email);
  const pending = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.deepEqual([pending.body.status, pending.body.invitation_token], ['pending', undefined]);
  const { data } = await bank.get('/api/v2/organisations?status=pending');
  const [organisation] = data;
  assert.deepEqual([data.length, organisation.contact_email], [1, body.email]);
  const at = `/api/v2/organisations/${organisation.id}`;
  const wrong = await bank.ask('POST', `${at}/suspend`, { reason: 'x' });
  assert.deepEqual([wrong.status, wrong.body.code], [409, 'organisation_not_so']);
  const other = await platform.newTenant('live');
  assert.equal((await other.ask('POST', `${at}/approve`)).status, 404);
  assert.equal((await bank.post(`${at}/approve`)).status, 'active');
  const next = await (async () => {
    for (;;) {
      const found = await tokenFor(bank, body.email);
      if (found !== token) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  assert.equal((await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token })).status, 404);
  const ready = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: next });
  assert.equal(ready.body.status, 'ready', ready.text);

  const rejected = signUpBody(community);
  await anonymously(platform, 'POST', '/identity/sign-ups', rejected);
  const theirs = await tokenFor(bank, rejected.email);
  await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: theirs });
  const [{ id }] = (await bank.get('/api/v2/organisations?status=pending')).data;
  await bank.post(`/api/v2/organisations/${id}/reject`, { reason: 'Unknown to us' });
  const refused = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token: theirs });
  assert.equal(refused.body.code, 'sign_up_not_good');
  await mailTo(bank, rejected.email, /has rejected this: Ledgerly\. Unknown to us/);
});

test('live access is asked for when the checklist is done, and is no more than was offered, asked and granted', async () => {
  const community = await newCommunity(bank);
  const developer = await newDeveloper(platform, bank, community);
  const { browser } = developer;
  const at = '/api/v2/portal/live-requests';
  const early = await browser.ask('POST', at, liveRequest);
  assert.deepEqual(
    [early.status, early.body.code, early.body.items],
    [409, 'live_access_not_ready', ['second_factor', 'sandbox_used']],
  );
  await getReady(developer);
  const beyond = await browser.ask('POST', at, { ...liveRequest, scopes: ['accounts:open'] });
  assert.deepEqual(
    [beyond.status, beyond.body.code, beyond.body.permissions],
    [422, 'scopes_not_offered', ['accounts:open']],
  );
  const asked = await browser.ask('POST', at, liveRequest, { 'idempotency-key': 'live-1' });
  assert.deepEqual([asked.status, asked.body.status], [201, 'pending'], asked.text);
  const repeated = await browser.ask('POST', at, liveRequest, { 'idempotency-key': 'live-1' });
  assert.deepEqual([repeated.body.id, repeated.headers['idempotent-replayed']], [asked.body.id, 'true']);

  const decide = `/api/v2/live-requests/${asked.body.id}`;
  const { organisation_id, ...seen } = await bank.get(decide);
  assert.deepEqual([seen.status, seen.purpose], ['pending', liveRequest.purpose]);
  const of = async (organisation: string) =>
    (await bank.get(`/api/v2/live-requests?organisation_id=${organisation}`)).data.length;
  assert.deepEqual([await of(organisation_id), await of(formatId('org', newUuid()))], [1, 0]);
  assert.equal(
    (await (await platform.newTenant('live')).ask('GET', decide)).body.code,
    'live_request_not_found',
  );
  // Who may decide and may not do it themselves gives nothing.
  const { key } = await bank.post('/api/v2/api-keys', {
    label: 'clerk',
    scopes: ['live_access:decide', 'accounts:read'],
  });
  const clerk = await platform.running.app.inject({
    method: 'POST',
    url: `${decide}/approve`,
    headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'clerk-1' },
    payload: {},
  });
  assert.deepEqual([clerk.statusCode, clerk.json().code], [422, 'permission_not_held']);
  const wider = await bank.ask('POST', `${decide}/approve`, { scopes: ['transfers:*'] });
  assert.deepEqual([wider.status, wider.body.code], [422, 'scopes_not_offered']);
  const approved = await bank.post(`${decide}/approve`, { scopes: ['accounts:read'] });
  assert.equal(approved.status, 'approved');
  const again = await bank.post(`${decide}/approve`, { scopes: ['accounts:read'] });
  assert.equal(again.application_id, approved.application_id);
  assert.equal(
    (await bank.ask('POST', `${decide}/reject`, { reason: 'x' })).body.code,
    'live_request_decided',
  );

  const keys = `/api/v2/portal/live-applications/${approved.application_id}/keys`;
  const made = await browser.ask('POST', keys, { label: 'production' });
  assert.equal(made.status, 201, made.text);
  const use = async (url: string) => {
    const answer = await platform.running.app.inject({
      url,
      headers: { authorization: `Bearer ${made.body.key}` },
    });
    return answer.statusCode;
  };
  assert.deepEqual([await use('/api/v2/accounts'), await use('/api/v2/trial-balance')], [200, 403]);
  const [application] = (await browser.ask('GET', '/api/v2/portal/live-applications')).body.data;
  assert.deepEqual(
    [application.environment, application.scopes, application.keys.length, application.keys[0].key],
    ['live', ['accounts:read'], 1, undefined],
  );
  const used = `${keys}/${made.body.id}/usage`;
  const standing = await browser.ask('GET', used);
  assert.deepEqual(
    [standing.status, standing.body.key_id, standing.body.limits.some(({ used }: Json) => used >= 2)],
    [200, made.body.id, true],
    standing.text,
  );
  const usage = `/api/v2/portal/live-applications/${approved.application_id}/usage`;
  for (;;) {
    const { body } = await browser.ask('GET', `${usage}?group_by=status`);
    if (body.totals.calls >= 2) {
      assert.deepEqual(body.groups.map(({ status }: Json) => status).toSorted(), [200, 403]);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const trail = await bank.get(`/api/v2/audit?subject=${made.body.id}`);
  assert.equal(trail.data.length, 1, 'the institution has it on record');

  // Another partner neither sees nor touches it.
  const other = await newDeveloper(platform, bank, community);
  assert.deepEqual((await other.browser.ask('GET', at)).body.data, []);
  assert.deepEqual((await other.browser.ask('GET', '/api/v2/portal/live-applications')).body.data, []);
  assert.equal(
    (await other.browser.ask('POST', keys, { label: 'theirs' })).body.code,
    'application_not_found',
  );
  for (const url of [used, usage]) {
    const seen = await other.browser.ask('GET', url);
    assert.deepEqual([seen.status, seen.body.code], [404, 'application_not_found']);
  }
  const { id: ours } = await bank.post('/api/v2/api-keys', { label: 'ours' });
  assert.equal((await browser.ask('GET', `${keys}/${ours}/usage`)).body.code, 'api_key_not_found');
  const revoke = `${keys}/${made.body.id}/revoke`;
  assert.equal((await other.browser.ask('POST', revoke)).body.code, 'api_key_not_found');

  const revoked = await browser.ask('POST', revoke);
  assert.deepEqual([revoked.status, revoked.body.status], [200, 'revoked'], revoked.text);
  assert.equal(await use('/api/v2/accounts'), 401);
});

test('an organisation that is suspended is out at once, with its keys, until it is resumed', async () => {
  const community = await newCommunity(bank);
  const developer = await newDeveloper(platform, bank, community);
  await getReady(developer);
  const { browser } = developer;
  const asked = await browser.ask('POST', '/api/v2/portal/live-requests', liveRequest);
  const { application_id } = await bank.post(`/api/v2/live-requests/${asked.body.id}/approve`, {});
  const { body } = await browser.ask('POST', `/api/v2/portal/live-applications/${application_id}/keys`, {
    label: 'production',
  });
  const use = async () => {
    const headers = { authorization: `Bearer ${body.key}` };
    return (await platform.running.app.inject({ url: '/api/v2/accounts', headers })).statusCode;
  };
  assert.equal(await use(), 200);
  const at = `/api/v2/organisations/${asked.body.organisation_id}`;
  await bank.post(`${at}/suspend`, { reason: 'Unpaid' });
  await mailTo(bank, developer.email, /has suspended this: Ledgerly\. Unpaid/);
  const refused = await browser.ask('GET', '/api/v2/portal/self');
  assert.ok(refused.status === 401 || refused.status === 403, refused.text);
  assert.ok((await use()) >= 401);
  await bank.post(`${at}/resume`, { reason: 'Paid' });
  await signIn(newBrowser(platform), developer.email).catch(() => {});
  assert.equal(await use(), 200);
});

test('a community whose staff may do it no more takes no sign-ups until somebody who may edits it', async () => {
  const { id, key } = await bank.post('/api/v2/api-keys', {
    label: 'former',
    scopes: ['communities:*', 'notifications:send', 'accounts:read'],
  });
  const slug = 'former';
  const made = await platform.running.app.inject({
    method: 'POST',
    url: '/api/v2/communities',
    headers: { authorization: `Bearer ${key}`, 'idempotency-key': slug },
    payload: { slug, name: 'Former', terms, sign_up: 'open', live_scopes: ['accounts:read'] },
  });
  assert.equal(made.statusCode, 201, made.body);
  const more = await platform.running.app.inject({
    method: 'PATCH',
    url: `/api/v2/communities/${made.json().id}`,
    headers: { authorization: `Bearer ${key}`, 'if-match': '*' },
    payload: { live_scopes: ['transfers:post'] },
  });
  assert.equal(more.json().code, 'permission_not_held');
  assert.equal((await anonymously(platform, 'POST', '/identity/sign-ups', signUpBody({ slug }))).status, 202);
  await bank.post(`/api/v2/api-keys/${id}/revoke`);
  const refused = await anonymously(platform, 'POST', '/identity/sign-ups', signUpBody({ slug }));
  assert.deepEqual([refused.status, refused.body.code], [503, 'sign_up_unavailable']);
  const edited = await bank.ask(
    'PATCH',
    `/api/v2/communities/${made.json().id}`,
    { description: 'Ours again' },
    { 'if-match': '*' },
  );
  assert.equal(edited.status, 200, edited.text);
  assert.equal((await anonymously(platform, 'POST', '/identity/sign-ups', signUpBody({ slug }))).status, 202);
});

test('a community offers nothing that its staff could not give, under a name that nobody else has', async () => {
  const community = await newCommunity(bank);
  const taken = await bank.ask('POST', '/api/v2/communities', { slug: community.slug, name: 'Ours', terms });
  assert.deepEqual([taken.status, taken.body.code], [409, 'community_exists']);
  const other = await platform.newTenant('live');
  assert.equal((await other.ask('GET', `/api/v2/communities/${community.id}`)).status, 404);
  for (const slug of ['', 'A', '../x', 'x'.repeat(64), 'a b']) {
    assert.equal(
      (await bank.ask('POST', '/api/v2/communities', { slug, name: 'x', terms })).status,
      400,
      slug,
    );
  }
  const sandboxKey = await createKey(
    platform.running.platform,
    { ...bank.scope, environment: 'sandbox' },
    { label: 'sandbox' },
  );
  const answer = await platform.running.app.inject({
    url: `/api/v2/communities/${community.id}`,
    headers: { authorization: `Bearer ${sandboxKey}` },
  });
  assert.equal(answer.statusCode, 404, 'who has a key of the sandbox does not reach a live community');
});

test('developers ask and answer in their community, and hear what the institution announces', async () => {
  const community = await newCommunity(bank);
  const elsewhere = await newCommunity(bank);
  const [asker, helper, stranger] = [
    await newDeveloper(platform, bank, community),
    await newDeveloper(platform, bank, community),
    await newDeveloper(platform, bank, elsewhere),
  ];
  const staff = `/api/v2/communities/${community.id}`;
  const announced = await bank.post(`${staff}/announcements`, { title: 'Closed', text: 'On Friday' });
  const hears = async ({ browser }: { browser: Browser }) =>
    (await browser.ask('GET', '/api/v2/portal/announcements')).body.data.map(({ title }: Json) => title);
  assert.deepEqual([await hears(asker), await hears(stranger)], [['Closed'], []]);
  await bank.post(`${staff}/announcements/${announced.id}/withdraw`);
  assert.deepEqual(await hears(asker), []);

  const at = '/api/v2/portal/questions';
  const question = { title: 'How do I reverse?', text: '<script>alert(1)</script> A transfer.' };
  const asked = await asker.browser.ask('POST', at, question, { 'idempotency-key': 'q1' });
  assert.deepEqual(
    [asked.status, asked.body.text, asked.body.organisation, asked.body.own],
    [201, question.text, 'Ledgerly', true],
    asked.text,
  );
  // The same key of another organisation is another's.
  const theirs = await helper.browser.ask('POST', at, question, { 'idempotency-key': 'q1' });
  assert.notEqual(theirs.body.id, asked.body.id);
  const one = `${at}/${asked.body.id}`;
  for (const [method, url] of [
    ['GET', one],
    ['POST', `${one}/answers`],
  ] as const) {
    const body = method === 'POST' ? { text: 'x' } : undefined;
    assert.equal((await stranger.browser.ask(method, url, body)).body.code, 'question_not_found');
  }
  const answered = await helper.browser.ask('POST', `${one}/answers`, { text: 'By /reversals.' });
  assert.equal(answered.status, 201, answered.text);
  const ours = await bank.post(`${staff}/questions/${asked.body.id}/answers`, { text: 'Read the guide.' });
  assert.deepEqual(
    ours.data.map(({ organisation, text }: Json) => [organisation, text]),
    [
      ['Ledgerly', 'By /reversals.'],
      [undefined, 'Read the guide.'],
    ],
  );
  const [{ id: answer_id }] = ours.data;
  const notOwn = await helper.browser.ask('POST', `${one}/accept`, { answer_id });
  assert.deepEqual([notOwn.status, notOwn.body.code], [403, 'question_not_own']);
  const accepted = await asker.browser.ask('POST', `${one}/accept`, { answer_id });
  assert.deepEqual([accepted.body.answered, accepted.body.data[0].accepted], [true, true], accepted.text);
  const other = theirs.body.id;
  const wrong = await helper.browser.ask('POST', `${at}/${other}/accept`, { answer_id });
  assert.equal(wrong.body.code, 'answer_not_found');

  await bank.post(`${staff}/questions/${asked.body.id}/hide`, { answer_id, reason: 'Rude' });
  const seen = await asker.browser.ask('GET', one);
  assert.deepEqual(
    [seen.body.data[0].text, seen.body.data[0].hidden_reason, seen.body.answers],
    [undefined, 'Rude', 1],
  );
  await bank.post(`${staff}/questions/${asked.body.id}/hide`, { reason: 'Twice' });
  assert.equal((await helper.browser.ask('GET', one)).body.code, 'question_not_found');
  const kept = await bank.get(`${staff}/questions/${asked.body.id}`);
  assert.deepEqual([kept.text, kept.hidden_reason], [question.text, 'Twice']);
  const late = await asker.browser.ask('POST', `${one}/answers`, { text: 'But' });
  assert.equal(late.body.code, 'question_hidden');
  const found = await helper.browser.ask('GET', `${at}?q=reverse`);
  assert.deepEqual(
    found.body.data.map(({ id }: Json) => id),
    [other],
  );
});

test('a developer chooses whether, from when on and how they are told of limits', async () => {
  const community = await newCommunity(bank);
  const { browser, email } = await newDeveloper(platform, bank, community);
  const at = '/api/v2/limits/notices';
  assert.equal((await browser.ask('GET', at)).body.from_percent, null);
  const reached = { from_percent: 100, channels: ['email'] };
  const chosen = await browser.ask('PUT', at, reached);
  assert.deepEqual([chosen.status, chosen.body], [200, reached], chosen.text);
  await browser.ask('POST', '/api/v2/plans', {
    name: 'five',
    windows: [{ name: 'minute', requests: 5, window_s: 60 }],
  });
  const { body: key } = await browser.ask('POST', '/api/v2/api-keys', { label: 'partner', plan: 'five' });
  const use = async (times: number) => {
    const headers = { authorization: `Bearer ${key.key}` };
    for (let count = 0; count < times; count += 1) {
      await platform.running.app.inject({ url: '/api/v2/accounts', headers });
    }
    await browser.ask('GET', `/api/v2/api-keys/${key.id}/usage`);
  };
  await use(6);
  const told = async (query: string): Promise<Json[]> =>
    (await browser.ask('GET', `/api/v2/notifications/messages?${query}`)).body.data;
  const sent = 'topic=limits.reached&channel=email&state=sent';
  while ((await told(sent)).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const { data } = (await browser.ask('GET', '/api/v2/notifications/outbox')).body;
  assert.deepEqual(
    data.map(({ address, content }: Json) => [address, content.subject]),
    [[email, 'Limit minute: 100 % used']],
  );
  // By the inbox they did not want it, and four fifths not at all.
  assert.deepEqual(await told('topic=limits.crossed'), []);
  assert.deepEqual(
    (await told('topic=limits.reached&channel=in_app')).map(({ state }) => state),
    ['suppressed'],
  );
  const near = { from_percent: 80, channels: ['in_app'] };
  assert.deepEqual((await browser.ask('PUT', at, near)).body, near);
  const never = await browser.ask('PUT', at, { ...near, from_percent: null });
  assert.equal(never.body.from_percent, null);
  assert.deepEqual((await browser.ask('GET', at)).body.from_percent, null);
  for (const wrong of [
    { from_percent: 50, channels: ['email'] },
    { from_percent: 80, channels: [] },
  ]) {
    assert.equal((await browser.ask('PUT', at, wrong)).status, 400);
  }
  // A key is nobody who signs in.
  const answer = await platform.running.app.inject({
    url: at,
    headers: { authorization: `Bearer ${key.key}` },
  });
  assert.ok([404, 429].includes(answer.statusCode), answer.body);
});

test('where a second factor is asked for at sign-up, nothing is done before there is one, and nothing without it later', async () => {
  const community = await newCommunity(bank, { second_factor: 'at_sign_up' });
  const developer = await newDeveloper(platform, bank, community);
  const { browser } = developer;
  const attempts = [
    ['GET', '/api/v2/accounts', undefined],
    ['POST', '/api/v2/api-keys', { label: 'first' }],
    ['GET', '/api/v2/portal/self', undefined],
    ['POST', '/api/v2/invitations', { email: 'mate@partner.example' }],
    ['POST', '/api/v2/sandbox/reset', { seed: 'demo' }],
  ] as const;
  const refused = async () => {
    for (const [method, url, body] of attempts) {
      const answer = await browser.ask(method, url, body);
      assert.equal(answer.status, 403, `${method} ${url}: ${answer.text}`);
    }
  };
  await refused();
  assert.equal((await browser.ask('GET', '/api/v2/self')).body.second_factor_missing, true);
  await getReady(developer);
  const self = (await browser.ask('GET', '/api/v2/self')).body;
  assert.deepEqual(
    [self.second_factor_missing, self.permissions.includes('applications:create')],
    [undefined, true],
  );
  assert.equal((await browser.ask('GET', '/api/v2/portal/self')).status, 200);
  await browser.ask('POST', '/identity/me/totp/remove');
  await refused();

  // Who joined before is asked, too, from when the community asks.
  const later = await newCommunity(bank);
  const mate = await newDeveloper(platform, bank, later);
  const at = `/api/v2/communities/${later.id}`;
  await bank.ask('PATCH', at, { second_factor: 'at_sign_up' }, { 'if-match': '*' });
  await signIn(mate.browser, mate.email);
  assert.equal((await mate.browser.ask('GET', '/api/v2/portal/self')).status, 403);
  assert.equal((await bank.ask('GET', '/api/v2/accounts')).status, 200, 'the institution is not asked');
});

test('whoever signs up is told whether mail leaves the installation, also whose mailbox gets no more', async () => {
  const sending = await openTestPlatform({
    SMTP_URL: 'smtp://127.0.0.1:9',
    SMTP_FROM: 'bank@bank.test',
  });
  try {
    const host = await sending.newTenant('live');
    const body = signUpBody(await newCommunity(host));
    for (let sent = 0; sent < 7; sent += 1) {
      const answer = await anonymously(sending, 'POST', '/identity/sign-ups', body, `198.51.100.${sent}`);
      assert.deepEqual([answer.status, answer.body], [202, { status: 'mailed' }]);
    }
  } finally {
    await sending.close();
  }
});

test('no community has the address of a page of the portal', async () => {
  const routes = readFileSync(new URL('../../../../web/portal/routes.tsx', import.meta.url), 'utf8');
  const pages = new Set([...routes.matchAll(/\bpage\('([a-z][a-z-]*)/g)].map(([, first = '']) => first));
  assert.ok(pages.size > 15, String(pages.size));
  for (const slug of pages) {
    const body = { slug, name: 'Taken', terms: { version: '1', text: 'Be kind.' } };
    const refused = await bank.ask('POST', '/api/v2/communities', body);
    assert.deepEqual([refused.status, refused.body.code], [422, 'community_name_taken'], slug);
  }
});
