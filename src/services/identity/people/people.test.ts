import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../../../platform/access/access.ts';
import { boot } from '../../../platform/boot.ts';
import { readConfig } from '../../../platform/config.ts';
import { newUuid } from '../../../platform/ids.ts';
import { services } from '../../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { GOOD_PASSWORD, newBrowser, newPerson, signIn } from './testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let operator: Client;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await operator.end();
  await platform.close();
});

test('an invitation makes a person once, with the roles that it names', async () => {
  const headers = { 'idempotency-key': 'ana' };
  const body = { email: 'Ana@Bank.Example', name: 'Ana', roles: ['auditor'] };
  const invited = await bank.post('/api/v2/invitations', body, headers);
  const again = await bank.ask('POST', '/api/v2/invitations', body, headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal('token' in again.body, false);
  assert.equal('token' in (await bank.get(`/api/v2/invitations/${invited.id}`)), false);

  const browser = newBrowser(platform);
  const accept = (token: string) =>
    browser.ask('POST', '/identity/invitations/accept', { token, name: 'Ana', password: GOOD_PASSWORD });
  const accepted = await accept(invited.token);
  assert.deepEqual([accepted.status, accepted.body.email], [201, 'ana@bank.example']);
  for (const bad of [invited.token, `${invited.token.slice(0, -2)}AA`, 'x', 'A'.repeat(64)]) {
    assert.equal((await accept(bad)).body.code, 'invitation_not_good', bad);
  }
  const { status, accepted_by } = await bank.get(`/api/v2/invitations/${invited.id}`);
  assert.deepEqual([status, accepted_by], ['accepted', accepted.body.person_id]);

  await signIn(browser, 'ana@BANK.example');
  assert.equal((await browser.ask('GET', '/api/v2/accounts')).status, 200);
  const refused = await browser.ask('POST', '/api/v2/chart-of-accounts', {
    code: '1',
    name: 'x',
    type: 'asset',
  });
  assert.deepEqual([refused.status, refused.body.permission], [403, 'chart_of_accounts:edit']);
  assert.equal((await bank.ask('POST', '/api/v2/invitations', body)).body.code, 'person_exists');
});

test('an invitation that was revoked, replaced or has expired makes nobody', async () => {
  const accept = (token: string) =>
    newBrowser(platform).ask('POST', '/identity/invitations/accept', {
      token,
      name: 'B',
      password: GOOD_PASSWORD,
    });
  const first = await bank.post('/api/v2/invitations', { email: 'b@bank.example' });
  const second = await bank.post(`/api/v2/invitations/${first.id}/resend`);
  assert.notEqual(first.token, second.token);
  assert.equal((await accept(first.token)).status, 404);
  const operator = new Client({ connectionString: platform.url });
  await operator.connect();
  const until = (when: string) =>
    operator.query(`update identity.invitations set expires_at = now() + $1 where email = 'b@bank.example'`, [
      when,
    ]);
  await until('-1 second');
  assert.equal((await accept(second.token)).status, 404);
  assert.equal((await bank.get(`/api/v2/invitations/${first.id}`)).status, 'expired');
  await until('1 hour');
  await operator.end();
  await bank.post(`/api/v2/invitations/${first.id}/revoke`);
  assert.equal((await accept(second.token)).status, 404);
  const resent = await bank.ask('POST', `/api/v2/invitations/${first.id}/resend`);
  assert.equal(resent.body.code, 'invitation_closed');

  const other = await platform.newTenant();
  assert.equal((await other.ask('GET', `/api/v2/invitations/${first.id}`)).status, 404);
  assert.equal((await other.ask('POST', `/api/v2/invitations/${first.id}/revoke`)).status, 404);
});

test('two who accept one invitation at once are one person', async () => {
  const { token } = await bank.post('/api/v2/invitations', { email: 'twice@bank.example' });
  const answers = await Promise.all(
    ['One', 'Two', 'Three'].map((name) =>
      newBrowser(platform).ask('POST', '/identity/invitations/accept', {
        token,
        name,
        password: GOOD_PASSWORD,
      }),
    ),
  );
  assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), ['201', '404', '404']);
  assert.equal((await bank.get('/api/v2/people?q=twice@')).data.length, 1);
});

test('nobody invites into a role that can do more than they', async () => {
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'reception',
    scopes: ['invitations:*', 'people:*'],
  });
  const invite = (roles: string[]) =>
    platform.running.app.inject({
      method: 'POST',
      url: '/api/v2/invitations',
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': newUuid() },
      payload: { email: 'mallory@bank.example', roles },
    });
  assert.equal((await invite(['administrator'])).json().code, 'permission_not_held');
  assert.equal((await invite(['emperor'])).json().code, 'role_not_found');

  // Nor takes over the account of somebody who can.
  const boss = await newPerson(platform, bank, { roles: ['administrator'] });
  const asReception = (method: 'POST' | 'PATCH', url: string, payload?: object) =>
    platform.running.app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${key}`, 'if-match': '*' },
      ...(payload === undefined ? {} : { payload }),
    });
  const moved = await asReception('PATCH', `/api/v2/people/${boss.id}`, { email: 'mallory@bank.example' });
  assert.equal(moved.json().code, 'permission_not_held');
  const reset = await asReception('POST', `/api/v2/people/${boss.id}/reset-factors`);
  assert.equal(reset.json().code, 'permission_not_held');
  const forgotten = await asReception('POST', `/api/v2/people/${boss.id}/password-resets`);
  assert.equal(forgotten.json().code, 'permission_not_held');
});

test('passwords: a length, none of the commonest, not who one is; nothing silly', async () => {
  const { token } = await bank.post('/api/v2/invitations', { email: 'maria.silva@bank.example' });
  const accept = (password: string) =>
    newBrowser(platform).ask('POST', '/identity/invitations/accept', {
      token,
      name: 'Maria da Silva',
      password,
    });
  for (const bad of ['short', 'Password1', 'QWERTYUIOP', '1q2w3e4r', 'ｐａｓｓｗｏｒｄ１']) {
    const refused = await accept(bad);
    assert.deepEqual([refused.status, refused.body.code], [422, 'password_not_good'], bad);
    assert.equal(refused.text.includes(bad), false);
  }
  for (const own of ['maria.silva', 'Maria.Silva@bank.example', 'mariadasilva', 'Maria da Silva']) {
    assert.equal((await accept(own)).body.code, 'password_not_good', own);
  }
  assert.equal((await accept('x'.repeat(1_001))).status, 400);
  assert.equal((await accept('só minúsculas çã')).status, 201);
  // The same letters, composed otherwise.
  await signIn(newBrowser(platform), 'maria.silva@bank.example', 'só minúsculas çã'.normalize('NFD'));
});

test('a person is edited, suspended, let in again and removed; sessions end at once', async () => {
  const person = await newPerson(platform, bank, { roles: ['auditor'] });
  const url = `/api/v2/people/${person.id}`;
  const accounts = () => person.browser.ask('GET', '/api/v2/accounts');
  assert.equal((await accounts()).status, 200);

  const read = await bank.ask('GET', url);
  const etag = read.headers['etag'] ?? '';
  assert.equal((await bank.ask('PATCH', url, { name: 'New' })).status, 428);
  const edited = await bank.ask('PATCH', url, { name: 'New' }, { 'if-match': etag });
  assert.deepEqual([edited.status, edited.body.name], [200, 'New']);
  assert.equal((await bank.ask('PATCH', url, { name: 'Other' }, { 'if-match': etag })).status, 412);
  assert.equal((await accounts()).status, 200);

  assert.equal((await bank.post(`${url}/suspend`)).status, 'suspended');
  assert.equal((await accounts()).status, 401);
  assert.equal((await bank.post(`${url}/resume`)).status, 'active');
  assert.equal((await accounts()).status, 401);
  await signIn(person.browser, person.email);
  assert.equal((await accounts()).status, 200);

  assert.equal((await bank.post(`${url}/remove`)).status, 'removed');
  assert.equal((await accounts()).status, 401);
  assert.equal((await bank.ask('POST', `${url}/resume`)).body.code, 'person_removed');
  assert.equal((await bank.get('/api/v2/people?q=New')).data.length, 0);
  assert.equal((await bank.get('/api/v2/people?status=removed')).data.length, 1);
  // Somebody else may have the address then.
  await newPerson(platform, bank, { email: person.email });
});

test('an administrator sees and ends the sessions of others, and cannot suspend themselves', async () => {
  const admin = await newPerson(platform, bank, { roles: ['administrator'] });
  const other = await newPerson(platform, bank, { roles: ['auditor'] });
  await signIn(newBrowser(platform), other.email);
  const { data } = (await admin.browser.ask('GET', `/api/v2/people/${other.id}/sessions`)).body;
  assert.equal(data.length, 2);
  const session_id = data[1].id;
  const left = await admin.browser.ask('POST', `/api/v2/people/${other.id}/sessions/end`, { session_id });
  assert.deepEqual(
    left.body.data.map((session: { id: string }) => session.id),
    [data[0].id],
  );
  assert.equal((await other.browser.ask('GET', '/api/v2/accounts')).status, 401);
  const theirs = await admin.browser.ask('POST', `/api/v2/people/${admin.id}/sessions/end`, {
    session_id: data[0].id,
  });
  assert.equal(theirs.body.code, 'session_not_found');
  const self = await admin.browser.ask('POST', `/api/v2/people/${admin.id}/suspend`);
  assert.equal(self.body.code, 'own_account');
});

test('people of another tenant are not there, and an address may be known to both', async () => {
  const other = await platform.newTenant();
  const theirs = await newPerson(platform, other, { email: 'shared@bank.example' });
  for (const [method, path] of [
    ['GET', ''],
    ['PATCH', ''],
    ['POST', '/suspend'],
    ['POST', '/resume'],
    ['POST', '/remove'],
    ['POST', '/reset-factors'],
    ['POST', '/password-resets'],
    ['GET', '/sessions'],
    ['POST', '/sessions/end'],
  ] as const) {
    const body = method === 'PATCH' ? { name: 'x' } : path === '/sessions/end' ? {} : undefined;
    const answer = await bank.ask(method, `/api/v2/people/${theirs.id}${path}`, body, { 'if-match': '*' });
    assert.deepEqual([answer.status, answer.body.code], [404, 'person_not_found'], path);
  }
  const { token } = await bank.post('/api/v2/invitations', { email: 'shared@bank.example' });
  const accepted = await newBrowser(platform).ask('POST', '/identity/invitations/accept', {
    token,
    name: 'Shared',
    password: GOOD_PASSWORD,
  });
  const browser = newBrowser(platform);
  const credentials = { email: 'shared@bank.example', password: GOOD_PASSWORD };
  assert.equal((await browser.ask('POST', '/identity/sign-in', credentials)).body.code, 'sign_in_refused');
  const { tenant_id } = accepted.body;
  const named = await browser.ask('POST', '/identity/sign-in', { ...credentials, tenant_id });
  assert.equal(named.body.session.person_id, accepted.body.person_id);
});

test('whoever forgot their password chooses another with a token, once', async () => {
  const person = await newPerson(platform, bank);
  const url = `/api/v2/people/${person.id}/password-resets`;
  const first = await bank.post(url);
  const second = await bank.post(url);
  const complete = (token: string, password = 'another good one') =>
    newBrowser(platform).ask('POST', '/identity/password-resets/complete', { token, password });
  assert.equal((await complete(first.token)).body.code, 'password_reset_not_good');
  assert.equal((await complete('A'.repeat(64))).body.code, 'password_reset_not_good');
  assert.equal((await complete(second.token, 'password1')).body.code, 'password_not_good');
  assert.equal((await complete(second.token)).status, 204);
  assert.equal((await complete(second.token)).status, 404);
  assert.equal((await person.browser.ask('GET', '/identity/me')).status, 401);
  await signIn(newBrowser(platform), person.email, 'another good one');

  const third = await bank.post(url);
  await bank.post(`/api/v2/people/${person.id}/suspend`);
  assert.equal((await complete(third.token)).status, 404);
  const other = await platform.newTenant();
  assert.equal((await other.ask('POST', url)).status, 404);
});

test('a suspension is heard in another process at once', async () => {
  const other = await boot(
    readConfig({
      DATABASE_URL: platform.url,
      PORT: '0',
      DEMO: 'false',
      LOG_LEVEL: 'error',
      POOL_SIZE: '2',
    }),
    services,
  );
  try {
    const person = await newPerson(platform, bank, { roles: ['auditor'] });
    const ask = async () => {
      const { statusCode } = await other.app.inject({
        url: '/api/v2/accounts',
        cookies: Object.fromEntries(person.browser.cookies),
      });
      return statusCode;
    };
    assert.equal(await ask(), 200);
    await bank.post(`/api/v2/people/${person.id}/suspend`);
    // Sooner than what is remembered is looked up anew.
    const deadline = Date.now() + 4_000;
    while ((await ask()) !== 401) {
      assert.ok(Date.now() < deadline, 'the session is still believed');
      await sleep(5);
    }
  } finally {
    await other.stop();
  }
});

test('people are listed a page at a time', async () => {
  const first = (await bank.get('/api/v2/people?limit=2')).data;
  const page = await bank.get('/api/v2/people?limit=1');
  const next = await bank.get(`/api/v2/people?limit=1&cursor=${page.next_cursor}`);
  assert.deepEqual([page.data[0].id, next.data[0].id], [first[0].id, first[1].id]);
  assert.equal(
    first.some((person: object) => 'password_hash' in person),
    false,
  );
});

test('the last active administrator is neither suspended, removed nor revoked; a suspended one does not count', async () => {
  const tenant = await platform.newTenant();
  const first = await newPerson(platform, tenant, { roles: ['administrator'] });
  const second = await newPerson(platform, tenant, { roles: ['administrator'] });
  await tenant.post(`/api/v2/people/${second.id}/suspend`);
  for (const action of ['suspend', 'remove']) {
    const refused = await tenant.ask('POST', `/api/v2/people/${first.id}/${action}`);
    assert.deepEqual([refused.status, refused.body.code], [409, 'last_administrator']);
  }
  const { data } = await tenant.get(`/api/v2/grants?person_id=${first.id}`);
  const revoked = await tenant.ask('DELETE', `/api/v2/grants/${data[0].id}`);
  assert.deepEqual([revoked.status, revoked.body.code], [409, 'last_administrator']);

  await tenant.post(`/api/v2/people/${second.id}/resume`);
  // Of two at once that would leave nobody, one is refused.
  const both = await Promise.all(
    [first, second].map(({ id }) => tenant.ask('POST', `/api/v2/people/${id}/suspend`)),
  );
  assert.deepEqual(
    both.map(({ status }) => status).sort((a, b) => a - b),
    [200, 409],
  );
});

test('whoever is removed has no roles left', async () => {
  const tenant = await platform.newTenant();
  const person = await newPerson(platform, tenant, { roles: ['auditor'] });
  assert.equal((await tenant.get(`/api/v2/grants?person_id=${person.id}`)).data.length, 1);
  await tenant.post(`/api/v2/people/${person.id}/remove`);
  assert.deepEqual((await tenant.get(`/api/v2/grants?person_id=${person.id}`)).data, []);
});

test('attempts to sign in and what is done to people stand in the audit trail, without a secret', async () => {
  const tenant = await platform.newTenant();
  const person = await newPerson(platform, tenant, { roles: ['auditor'] });
  const wrong = 'quite another password';
  const answer = await newBrowser(platform).ask('POST', '/identity/sign-in', {
    email: person.email,
    password: wrong,
  });
  assert.equal(answer.body.code, 'sign_in_refused');
  await tenant.post(`/api/v2/people/${person.id}/suspend`);
  // The record of a sign-in is waited for by nobody.
  const deadline = Date.now() + 5_000;
  const attempts = async () =>
    (await tenant.get('/api/v2/audit?limit=100')).data.filter(
      (each: { path: string }) => each.path === '/identity/sign-in',
    );
  while ((await attempts()).length < 2) assert.ok(Date.now() < deadline, 'no record of an attempt');
  assert.deepEqual(
    (await attempts())
      .map((each: { outcome: string; subject: string }) => `${each.outcome} ${each.subject}`)
      .toSorted(),
    [`done ${person.id}`, `refused ${person.id}`],
  );
  const trail = await tenant.get('/api/v2/audit?limit=100');
  const suspended = trail.data.find((each: { path: string }) => each.path.endsWith('/suspend'));
  assert.deepEqual([suspended.before.status, suspended.after.status], ['active', 'suspended']);
  assert.equal(JSON.stringify(trail).includes(wrong), false);
  assert.equal(JSON.stringify(trail).includes(GOOD_PASSWORD), false);
});

test('what people change about how they sign in has a record in both environments, refusals too, and no secret', async () => {
  const tenant = await platform.newTenant();
  const person = await newPerson(platform, tenant, { roles: ['auditor'] });
  const { ask } = person.browser;
  const next = 'yet another horse battery';
  const wrong = await ask('POST', '/identity/me/password', {
    current_password: 'not the password',
    new_password: next,
  });
  assert.equal(wrong.status, 401, wrong.text);
  const changed = await ask('POST', '/identity/me/password', {
    current_password: GOOD_PASSWORD,
    new_password: next,
  });
  assert.equal(changed.status, 204, changed.text);
  const enrolment = await ask('POST', '/identity/me/totp');
  assert.equal(enrolment.status, 201, enrolment.text);
  assert.equal((await ask('POST', '/identity/me/sessions/end', {})).status, 204);
  assert.equal((await ask('POST', '/identity/me/passkeys/options')).status, 200);
  assert.equal((await ask('POST', '/identity/sign-out')).status, 204);
  const reset = await tenant.post(`/api/v2/people/${person.id}/password-resets`);
  const completed = await newBrowser(platform).ask('POST', '/identity/password-resets/complete', {
    token: reset.token,
    password: GOOD_PASSWORD,
  });
  assert.equal(completed.status, 204, completed.text);

  // The records of answers that were given are there. Looked up in the database: no key of the tenant is of both.
  const { rows } = await operator.query(
    `select environment::text, path, outcome, code, subject, principal_id from platform.audit_records
     where tenant_id = $1 and path like '/identity/%' and path <> '/identity/sign-in' order by id`,
    [tenant.scope.tenant_id],
  );
  const own = (path: string, outcome = 'done', code: string | null = null) => ({
    path,
    outcome,
    code,
    subject: person.id,
    principal_id: person.id,
  });
  for (const environment of ['sandbox', 'live']) {
    const [accepted, ...others] = rows.filter((row) => row.environment === environment);
    assert.match(accepted?.subject, /^inv_/);
    assert.deepEqual([accepted?.path, accepted?.principal_id], ['/identity/invitations/accept', 'unknown']);
    assert.deepEqual(
      others,
      [
        own('/identity/me/password', 'refused', 'sign_in_refused'),
        own('/identity/me/password'),
        own('/identity/me/totp'),
        own('/identity/me/sessions/end'),
        own('/identity/me/passkeys/options'),
        own('/identity/sign-out'),
        own('/identity/password-resets/complete'),
      ].map((record) => ({ ...record, environment })),
    );
  }
  const { rows: kept } = await operator.query<{ text: string }>(
    `select r::text as text from platform.audit_records r where r.tenant_id = $1
     union all select i::text from platform.audit_intents i where i.tenant_id = $1`,
    [tenant.scope.tenant_id],
  );
  for (const secret of [next, GOOD_PASSWORD, reset.token, enrolment.body.secret]) {
    assert.equal(typeof secret, 'string');
    assert.ok(kept.every(({ text }) => !text.includes(secret)));
  }
  const { rowCount } = await operator.query('select from platform.audit_intents where tenant_id = $1', [
    tenant.scope.tenant_id,
  ]);
  assert.equal(rowCount, 0);
});
