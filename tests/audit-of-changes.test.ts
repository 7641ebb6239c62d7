/**
 * Every route that changes something says in its record what it was done to, and what that was before and after. The
 * routes are those of the server: one that is not walked here fails the test until somebody says how it is asked.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair } from 'jose';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { newUuid, uuidOf } from '../src/platform/ids.ts';
import {
  getReady,
  liveRequest,
  newCommunity,
  newDeveloper,
  png,
  signUp,
} from '../src/services/identity/communities/testing.ts';
import { newPerson } from '../src/services/identity/people/testing.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

let platform: TestPlatform;
let superuser: Client;
let bank: TestTenant;
/** The tenant whose people operate the installation. */
let operators: TestTenant;
/** May do everything, too, so that it can decide what the other proposes. */
let second: string;
const walked = new Set<string>();

before(async () => {
  platform = await openTestPlatform({
    PUBLIC_URL: 'https://bank.example',
    IDENTITY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  bank = await platform.newTenant();
  second = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  operators = await platform.newTenant();
  await superuser.query("update platform.tenants set kind = 'installation' where tenant_id = $1", [
    operators.scope.tenant_id,
  ]);
});
after(async () => {
  await superuser.end();
  await platform.close();
});

type Method = 'POST' | 'PUT' | 'PATCH' | 'DELETE';
interface Told {
  subject: string | null;
  before: unknown;
  after: unknown;
}

/** Who asks, and whose record tells of it. */
interface Asking {
  scope: Pick<TestTenant['scope'], 'tenant_id'>;
  ask: (method: Method, url: string, body?: object, headers?: Record<string, string>) => Promise<Answer>;
}

async function toldOf(tenant_id: string, answer: Answer): Promise<Told & { route: string; method: string }> {
  for (let tries = 0; tries < 400; tries += 1) {
    // What one service asked of another for it has records of its own.
    const { rows } = await superuser.query(
      `select subject, before, after, route, method from platform.audit_records
       where tenant_id = $1 and request_id = $2 and route not like '/internal/%'`,
      [tenant_id, answer.headers['request-id']],
    );
    if (rows.length > 0) {
      assert.equal(rows.length, 1);
      return rows[0];
    }
    await sleep(10);
  }
  return assert.fail('nothing is recorded');
}

/** Asks, and asserts that the record names a subject and has what is expected to be before and after. */
async function changes(
  what: 'makes' | 'changes' | 'removes',
  method: Method,
  url: string,
  body?: object,
  options: { by?: Asking; key?: string } = {},
): Promise<{ body: Answer['body']; told: Told }> {
  const { by = bank, key } = options;
  const answer = await by.ask(method, url, body, {
    'idempotency-key': newUuid(),
    ...(what === 'makes' ? {} : { 'if-match': '*' }),
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  });
  assert.ok(answer.status >= 200 && answer.status < 300, `${method} ${url}: ${answer.status} ${answer.text}`);
  const { route, method: recorded, ...told } = await toldOf(by.scope.tenant_id, answer);
  walked.add(`${recorded} ${route}`);
  const shown = `${method} ${url}: ${JSON.stringify(told)}`;
  assert.ok(told.subject !== null && told.subject !== '', shown);
  assert.equal(told.before !== null, what !== 'makes', shown);
  assert.equal(told.after !== null, what !== 'removes', shown);
  return { body: answer.body, told };
}

test('people, invitations and roles: what each was before and after', async () => {
  const { id: inv } = (await changes('makes', 'POST', '/api/v2/invitations', { email: 'a@bank.example' }))
    .body;
  const { body: resent, told: ofResent } = await changes(
    'changes',
    'POST',
    `/api/v2/invitations/${inv}/resend`,
  );
  assert.ok(!JSON.stringify(ofResent).includes(resent.token));
  const { told: revoked } = await changes('changes', 'POST', `/api/v2/invitations/${inv}/revoke`);
  assert.deepEqual(
    [Object(revoked.before).status, Object(revoked.after).status, revoked.subject],
    ['open', 'revoked', inv],
  );

  const person = await newPerson(platform, bank, { email: 'clerk@bank.example' });
  const on = `/api/v2/people/${person.id}`;
  const { told: renamed } = await changes('changes', 'PATCH', on, { name: 'Zora' });
  assert.deepEqual(
    [Object(renamed.before).name === 'Zora', Object(renamed.after).name, renamed.subject],
    [false, 'Zora', person.id],
  );
  const { told: ended } = await changes('changes', 'POST', `${on}/sessions/end`, {});
  assert.deepEqual([Object(ended.before).sessions.length, Object(ended.after).sessions.length], [1, 0]);
  const { body: reset, told: ofReset } = await changes('makes', 'POST', `${on}/password-resets`);
  assert.equal(Object(ofReset.after).password_reset.expires_at, reset.expires_at);
  assert.ok(!JSON.stringify(ofReset).includes(reset.token));
  const { told: again } = await changes('changes', 'POST', `${on}/password-resets`);
  assert.deepEqual(again.before, ofReset.after);
  for (const [action, from, to] of [
    ['suspend', 'active', 'suspended'],
    ['resume', 'suspended', 'active'],
    ['reset-factors', 'active', 'active'],
  ] as const) {
    const { told } = await changes('changes', 'POST', `${on}/${action}`);
    assert.deepEqual([Object(told.before).status, Object(told.after).status], [from, to], action);
  }

  const role = { name: 'teller', description: 'At the counter', permissions: ['accounts:read'] };
  await changes('makes', 'POST', '/api/v2/roles', role);
  const { told: edited } = await changes('changes', 'PATCH', '/api/v2/roles/teller', {
    permissions: ['accounts:read', 'transfers:post'],
  });
  assert.deepEqual(
    [edited.subject, Object(edited.before).permissions, Object(edited.after).permissions],
    ['teller', ['accounts:read'], ['accounts:read', 'transfers:post']],
  );
  const grant = (await changes('makes', 'POST', '/api/v2/grants', { person_id: person.id, role: 'teller' }))
    .body;
  const { told: ungranted } = await changes('removes', 'DELETE', `/api/v2/grants/${grant.id}`);
  assert.deepEqual(
    [ungranted.subject, Object(ungranted.before).role, Object(ungranted.before).person_id],
    [grant.id, 'teller', person.id],
  );
  const { told: deleted } = await changes('removes', 'DELETE', '/api/v2/roles/teller');
  assert.deepEqual([deleted.subject, Object(deleted.before).description], ['teller', 'At the counter']);
  const { told: removed } = await changes('changes', 'POST', `${on}/remove`);
  assert.deepEqual([Object(removed.before).status, Object(removed.after).status], ['active', 'removed']);
});

test('keys, devices, applications and signing keys, without a secret', async () => {
  const { body: key } = await changes('makes', 'POST', '/api/v2/api-keys', { label: 'till' });
  const on = `/api/v2/api-keys/${key.id}`;
  const { told: relabelled } = await changes('changes', 'PATCH', on, { label: 'till 2' });
  assert.deepEqual([Object(relabelled.before).label, Object(relabelled.after).label], ['till', 'till 2']);
  const amounts = (amount: string) => ({
    amounts: [{ currency: 'BRL', per_transfer: { amount, currency: 'BRL' } }],
  });
  await changes('makes', 'PUT', `${on}/limits`, amounts('1.00'));
  const { told: limited } = await changes('changes', 'PUT', `${on}/limits`, amounts('2.00'));
  assert.deepEqual(
    [limited.subject, Object(limited.before).amounts[0].per_transfer.amount],
    [key.id, '1.00'],
  );
  await changes('removes', 'DELETE', `${on}/limits`);
  const { body: next, told: rotated } = await changes('changes', 'POST', `${on}/rotations`, {});
  assert.deepEqual([Object(rotated.before).id, Object(rotated.after).id], [key.id, next.id]);
  assert.ok(!JSON.stringify(rotated).includes(next.key));
  await changes('changes', 'POST', `${on}/revoke`);

  const public_key = await exportJWK((await generateKeyPair('ES256')).publicKey);
  const { body: device } = await changes('makes', 'POST', '/api/v2/devices', {
    label: 'ATM',
    public_key,
    permissions: ['accounts:read'],
  });
  await changes('changes', 'PATCH', `/api/v2/devices/${device.id}`, { label: 'ATM 2' });

  const { body: application } = await changes('makes', 'POST', '/api/v2/applications', {
    name: 'Partner',
    auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
  });
  const at = `/api/v2/applications/${application.id}`;
  const { told: renamed } = await changes('changes', 'PATCH', at, { name: 'Other' });
  assert.deepEqual([Object(renamed.before).name, Object(renamed.after).name], ['Partner', 'Other']);
  const { body: secret, told: replaced } = await changes('changes', 'POST', `${at}/secrets`, {});
  assert.ok(!JSON.stringify(replaced).includes(secret.client_secret));
  const { told: signed } = await changes('changes', 'POST', '/api/v2/signing-keys/rotate');
  const kid = (told: unknown) => Object(told).data[0].kid;
  assert.equal(signed.subject, kid(signed.after));
  assert.notEqual(kid(signed.before), kid(signed.after));
});

test('policies and what is decided by them, settings, plans, quotas and the sandbox', async () => {
  const policy = '/api/v2/approval-policies/accounts:close';
  await changes('makes', 'PUT', policy, { expires_in_s: 600 });
  const { told: edited } = await changes('changes', 'PUT', policy, { expires_in_s: 900 });
  assert.deepEqual(
    [edited.subject, Object(edited.before).expires_in_s, Object(edited.after).expires_in_s],
    ['accounts:close', 600, 900],
  );
  await changes('makes', 'POST', '/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const opening = { name: 'A', currency: 'BRL', chart_code: '1' };
  const { body: account } = await changes('makes', 'POST', '/api/v2/accounts', opening);
  const on = `/api/v2/accounts/${account.id}`;
  await changes('changes', 'PATCH', on, { name: 'B' });
  await changes('changes', 'POST', `${on}/freeze`);
  await changes('changes', 'POST', `${on}/unfreeze`);
  for (const [verb, body, by, status] of [
    ['reject', { reason: 'not yet' }, second, 'rejected'],
    ['cancel', undefined, bank.key, 'cancelled'],
    ['approve', {}, second, 'executed'],
  ] as const) {
    const proposal = await bank.post(`${on}/close`);
    const decided = await changes('changes', 'POST', `/api/v2/proposals/${proposal.id}/${verb}`, body, {
      key: by,
    });
    assert.deepEqual(
      [decided.told.subject, Object(decided.told.before).status, Object(decided.told.after).status],
      [proposal.id, 'pending', status],
    );
  }
  await changes('removes', 'DELETE', policy);
  const { body: another } = await changes('makes', 'POST', '/api/v2/accounts', opening);
  await changes('changes', 'POST', `/api/v2/accounts/${another.id}/close`);

  const { told: own } = await changes('changes', 'PATCH', '/api/v2/tenant', { name: 'Bank' });
  assert.deepEqual([Object(own.before).name, Object(own.after).name], ['Test', 'Bank']);
  const window = { name: 'minute', requests: 1_000_000, window_s: 60 };
  await changes('makes', 'POST', '/api/v2/plans', { name: 'gold', windows: [window] });
  await changes('changes', 'PATCH', '/api/v2/plans/gold', { description: 'more' });
  await changes('changes', 'POST', '/api/v2/sandbox/clock/advance', { seconds: 60 });
  await changes('makes', 'POST', '/api/v2/sandbox/reset', {});

  const by = operators;
  const made = { name: 'New', base_currency: 'BRL' };
  const { body: tenant, told } = await changes('makes', 'POST', '/api/v2/tenants', made, { by });
  assert.ok(!JSON.stringify(told).includes(tenant.key));
  const at = `/api/v2/tenants/${tenant.id}`;
  await changes('changes', 'PATCH', at, { name: 'Newer' }, { by });
  await changes('changes', 'POST', `${at}/suspend`, { reason: 'fees' }, { by });
  await changes('changes', 'POST', `${at}/resume`, undefined, { by });
  await changes('changes', 'PUT', `${at}/quotas/sandbox`, { windows: [window] }, { by });
});

test('notifications, without what is said and without a secret', async () => {
  const base = '/api/v2/notifications';
  const { body: recipient } = await changes('makes', 'POST', `${base}/recipients`, {
    kind: 'staff',
    name: 'Ana',
  });
  const on = `${base}/recipients/${recipient.id}`;
  const { told: renamed } = await changes('changes', 'PATCH', on, { name: 'Bia' });
  assert.deepEqual([Object(renamed.before).name, Object(renamed.after).name], ['Ana', 'Bia']);
  const { body: first, told: made } = await changes('makes', 'POST', `${on}/webhook-secrets`);
  assert.ok(first.secret.length > 20 && !JSON.stringify(made).includes(first.secret));
  const { body: second, told: replaced } = await changes('changes', 'POST', `${on}/webhook-secrets`);
  assert.ok(second.secret !== first.secret && !JSON.stringify(replaced).includes(second.secret));

  const words = { topic: 'announcement', channel: 'sms', language: 'en', text: 'One' };
  const { body: template } = await changes('makes', 'POST', `${base}/templates`, words);
  const at = `${base}/templates/${template.id}`;
  const { told: edited } = await changes('changes', 'PATCH', at, { text: 'Two' });
  assert.deepEqual([Object(edited.before).text, Object(edited.after).text], ['One', 'Two']);
  const { told: published } = await changes('changes', 'POST', `${at}/publish`);
  assert.deepEqual(
    [published.subject, Object(published.before).status, Object(published.after).number],
    [template.id, 'draft', 1],
  );

  const said = { title: 'Zimtschnecke', message: 'x' };
  const body = { recipient_id: recipient.id, topic: 'announcement', data: said, channels: ['in_app'] };
  const { body: sent, told } = await changes('makes', 'POST', `${base}/messages`, body);
  assert.deepEqual([told.subject, Object(told.after).messages[0].id], [sent.id, sent.messages[0].id]);
  assert.ok(!JSON.stringify(told).includes('Zimtschnecke'));
  const { id } = sent.messages[0];
  while ((await bank.get(`${base}/messages/${id}`)).state !== 'sent') await sleep(10);
  const { told: read } = await changes('changes', 'POST', `${base}/messages/${id}/read`);
  assert.deepEqual([Object(read.before).read_at, typeof Object(read.after).read_at], [undefined, 'string']);
  const { principal } = await bank.get('/api/v2/self');
  const self = { kind: 'staff', name: 'Caio', reference: principal.id };
  const own = await bank.post(`${base}/recipients`, self);
  const [toOwn] = (await bank.post(`${base}/messages`, { ...body, recipient_id: own.id })).messages;
  while ((await bank.get(`${base}/messages/${toOwn.id}`)).state !== 'sent') await sleep(10);
  const { told: readOwn } = await changes('changes', 'POST', `/api/v2/self/inbox/${toOwn.id}/read`);
  assert.deepEqual([readOwn.subject, Object(readOwn.before).read_at], [toOwn.id, undefined]);
  assert.equal(typeof Object(readOwn.after).read_at, 'string');
  const { told: removed } = await changes('removes', 'DELETE', on);
  assert.deepEqual([removed.subject, Object(removed.before).name], [recipient.id, 'Bia']);
});

test('the books of a period, closed and opened again', async () => {
  const at = '/api/v2/period-closes';
  const { body: close } = await changes('makes', 'POST', at, { through: '2020-12-31' });
  const { told } = await changes('changes', 'POST', `${at}/${close.id}/reopen`, { reason: 'An invoice' });
  assert.deepEqual(
    [told.subject, Object(told.before).reopened_at ?? null, typeof Object(told.after).reopened_at],
    [close.id, null, 'string'],
  );
});

test('communities, what is said in them, and what their organisations are given', async () => {
  const institution = await platform.newTenant('live');
  const by = institution;
  const { body: community } = await changes(
    'makes',
    'POST',
    '/api/v2/communities',
    { slug: 'walked', name: 'Walked', terms: { version: '1', text: 'Be kind.' }, sign_up: 'closed' },
    { by },
  );
  const at = `/api/v2/communities/${community.id}`;
  const { told: opened } = await changes('changes', 'PATCH', at, { sign_up: 'open' }, { by });
  assert.deepEqual(
    [opened.subject, Object(opened.before).sign_up, Object(opened.after).sign_up],
    [community.id, 'closed', 'open'],
  );
  const logo = { content_type: 'image/png', data: png().toString('base64') };
  const { told: put } = await changes('changes', 'PUT', `${at}/logo`, logo, { by });
  const { told: taken } = await changes('changes', 'DELETE', `${at}/logo`, undefined, { by });
  const [{ logo: stored }, { logo: lost }] = [Object(put.after), Object(taken.before)];
  assert.deepEqual([put.subject, taken.subject, stored], [community.id, community.id, lost]);
  assert.deepEqual([stored.width, typeof stored.sha256, stored.data], [64, 'string', undefined]);
  const said = { title: 'Maintenance', text: 'On Sunday' };
  const { body: announcement } = await changes('makes', 'POST', `${at}/announcements`, said, { by });
  const withdrawing = `${at}/announcements/${announcement.id}/withdraw`;
  const { told: withdrawn } = await changes('changes', 'POST', withdrawing, {}, { by });
  assert.deepEqual([withdrawn.subject, Object(withdrawn.before).title], [announcement.id, said.title]);

  const inviting = `${at}/invitations`;
  const guest = { email: 'gina@guest.example', name: 'Gina' };
  const { body: invitation, told: invited } = await changes('makes', 'POST', inviting, guest, { by });
  assert.deepEqual([invited.subject, Object(invited.after).email], [invitation.id, guest.email]);
  const again = `${inviting}/${invitation.id}/resend`;
  const { told: resent } = await changes('changes', 'POST', again, undefined, { by });
  assert.ok(Object(resent.before).expires_at < Object(resent.after).expires_at);
  const back = `${inviting}/${invitation.id}/withdraw`;
  const { told: uninvited } = await changes('changes', 'POST', back, undefined, { by });
  assert.deepEqual(
    [uninvited.subject, Object(uninvited.before).status, Object(uninvited.after).status],
    [invitation.id, 'pending', 'withdrawn'],
  );

  const partners = await newCommunity(institution);
  const developer = await newDeveloper(platform, institution, partners);
  await getReady(developer);
  const self = (await developer.browser.ask('GET', '/api/v2/self')).body;
  const developing = {
    scope: { tenant_id: uuidOf('ten', self.tenant.id) },
    ask: developer.browser.ask,
  };
  const theirs = { by: developing };
  const terms = { version: '2', text: 'Be kind, and quick.' };
  await changes('changes', 'PATCH', `/api/v2/communities/${partners.id}`, { terms }, { by });
  const accepting = '/api/v2/portal/terms/accept';
  const { told: accepted } = await changes('changes', 'POST', accepting, { version: '2' }, theirs);
  assert.equal(Object(accepted.after).terms_version, '2');

  const asking = '/api/v2/portal/questions';
  const { body: question } = await changes('makes', 'POST', asking, { title: 'How?', text: 'So?' }, theirs);
  const on = `/api/v2/communities/${partners.id}/questions/${question.id}`;
  const { told: answered } = await changes('changes', 'POST', `${on}/answers`, { text: 'So.' }, { by });
  assert.deepEqual([Object(answered.before).data, Object(answered.after).data.length], [[], 1]);
  const own = `${asking}/${question.id}`;
  await changes('changes', 'POST', `${own}/answers`, { text: 'I see' }, theirs);
  const [{ id: answer_id }] = Object(answered.after).data;
  const { told: chosen } = await changes('changes', 'POST', `${own}/accept`, { answer_id }, theirs);
  assert.deepEqual(
    [Object(chosen.before).data[0].accepted, Object(chosen.after).data[0].accepted],
    [false, true],
  );
  const { told: hidden } = await changes('changes', 'POST', `${on}/hide`, { reason: 'Spam' }, { by });
  assert.deepEqual([hidden.subject, Object(hidden.before).text], [question.id, 'So?']);

  const requests = '/api/v2/portal/live-requests';
  const [rejected, approved] = [
    (await changes('makes', 'POST', requests, liveRequest, theirs)).body,
    (await changes('makes', 'POST', requests, { ...liveRequest, name: 'Again' }, theirs)).body,
  ];
  const deciding = '/api/v2/live-requests';
  const reject = `${deciding}/${rejected.id}/reject`;
  const { told: ofRejected } = await changes('changes', 'POST', reject, { reason: 'No' }, { by });
  const approve = `${deciding}/${approved.id}/approve`;
  const { body: given, told: ofApproved } = await changes('changes', 'POST', approve, {}, { by });
  assert.deepEqual(
    [ofRejected, ofApproved].map((told) => [Object(told.before).status, Object(told.after).status]),
    [
      ['pending', 'rejected'],
      ['pending', 'approved'],
    ],
  );
  const keys = `/api/v2/portal/live-applications/${given.application_id}/keys`;
  const { body: key, told: made } = await changes('makes', 'POST', keys, { label: 'live' }, theirs);
  assert.ok(!JSON.stringify(made).includes(key.key));
  const { told: revoked } = await changes('changes', 'POST', `${keys}/${key.id}/revoke`, undefined, theirs);
  assert.deepEqual(
    [revoked.subject, Object(revoked.before).status, Object(revoked.after).status],
    [key.id, 'active', 'revoked'],
  );

  const notices = { from_percent: 80, channels: ['email'] };
  const choosing = '/api/v2/limits/notices';
  const { told: noticed } = await changes('changes', 'PUT', choosing, notices, theirs);
  assert.deepEqual([Object(noticed.before).from_percent, noticed.after], [null, notices]);

  const organisation = `/api/v2/organisations/${given.organisation_id}`;
  for (const [action, from, to] of [
    ['suspend', 'active', 'suspended'],
    ['resume', 'suspended', 'active'],
  ] as const) {
    const { told } = await changes('changes', 'POST', `${organisation}/${action}`, { reason: 'x' }, { by });
    assert.deepEqual([Object(told.before).status, Object(told.after).status], [from, to]);
  }
  const careful = await newCommunity(institution, { sign_up: 'approval' });
  for (const [action, status, body] of [
    ['approve', 'active', {}],
    ['reject', 'rejected', { reason: 'Unknown' }],
  ] as const) {
    const waiting = await signUp(platform, institution, careful);
    assert.equal(waiting.status, 'pending');
    const [{ id }] = (await institution.get('/api/v2/organisations?status=pending')).data;
    const decide = `/api/v2/organisations/${id}/${action}`;
    const { told } = await changes('changes', 'POST', decide, body, { by });
    assert.deepEqual(
      [told.subject, Object(told.before).status, Object(told.after).status],
      [id, 'pending', status],
    );
  }
});

test('endpoints of webhooks and what is sent again, without a secret', async () => {
  const at = '/api/v2/webhooks/endpoints';
  const request = { url: 'https://receiver.invalid/hooks', event_types: ['*'] };
  const { body: made, told } = await changes('makes', 'POST', at, request);
  assert.equal(told.subject, made.id);
  const on = `${at}/${made.id}`;
  const { told: edited } = await changes('changes', 'PATCH', on, { ordered: true });
  assert.deepEqual([Object(edited.before).ordered, Object(edited.after).ordered], [false, true]);
  const { body: rotated, told: ofRotated } = await changes('changes', 'POST', `${on}/rotations`, {});
  assert.equal(Object(ofRotated.after).signing_keys.length, 2);
  for (const { secret } of [made, rotated]) assert.ok(!JSON.stringify([told, ofRotated]).includes(secret));
  const { body: delivery, told: tested } = await changes('makes', 'POST', `${on}/test`);
  assert.equal(tested.subject, made.id);
  for (let tries = 0; ; tries += 1) {
    const { status } = await bank.get(`/api/v2/webhooks/deliveries/${delivery.id}`);
    if (status === 'failed') break;
    assert.ok(tries < 1_000, status);
    await sleep(20);
  }
  const again = `/api/v2/webhooks/deliveries/${delivery.id}/resend`;
  const { told: resent } = await changes('changes', 'POST', again);
  assert.deepEqual([resent.subject, Object(resent.before).status], [delivery.id, 'failed']);
  await changes('makes', 'POST', `${on}/resends`, { from: '2020-01-01T00:00:00Z' });
  for (const [action, from, to] of [
    ['disable', 'enabled', 'disabled'],
    ['enable', 'disabled', 'enabled'],
  ] as const) {
    const { told: set } = await changes('changes', 'POST', `${on}/${action}`);
    assert.deepEqual([Object(set.before).status, Object(set.after).status], [from, to]);
  }
  const { told: removed } = await changes('removes', 'DELETE', on);
  assert.equal(removed.subject, made.id);
});

/** Asked elsewhere: by a person with a browser, with a provider that answers, or written in the commit of a posting. */
const elsewhere = [
  // external.test.ts
  'PUT /api/v2/identity-provider',
  'DELETE /api/v2/identity-provider',
  // oauth.test.ts
  'POST /api/v2/consents/:consent_id/revoke',
  // job-routes.test.ts
  ...['jobs', 'system-jobs'].flatMap((kind) =>
    ['run', 'pause', 'resume'].map((step) => `POST /api/v2/${kind}/:job/${step}`),
  ),
  // bus.ts
  'POST /api/v2/consumers/:consumer/held-events/:event_id/discard',
  'POST /api/v2/consumers/:consumer/held-events/:event_id/redrive',
  'POST /api/v2/consumers/:consumer/replay',
];
/** What is posted tells what it moved: the transfer or hold, which never changes, is the record's subject. */
const postings = /^(GET|HEAD|POST|PUT|DELETE) \/api\/(v2\/(transfers|holds)|v1\/(transfer|accounts))(\/|$)/;

test('no route that changes something is left out', () => {
  const found: string[] = [];
  const parents: string[] = [];
  for (const line of platform.running.app.printRoutes({ commonPrefix: false }).split('\n')) {
    const at = line.indexOf('── ');
    const [, part = '', methods = ''] = /^── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line.slice(at)) ?? [];
    if (at < 0) continue;
    parents.splice((at - 1) / 4, Number.POSITIVE_INFINITY, part);
    const path = parents.join('');
    if (!path.startsWith('/api/')) continue;
    for (const method of methods.split(', ')) {
      if (['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)) found.push(`${method} ${path}`);
    }
  }
  assert.ok(found.length > 40, found.join('\n'));
  assert.deepEqual(
    found.filter((route) => !walked.has(route) && !elsewhere.includes(route) && !postings.test(route)),
    [],
  );
});
