import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { hash, parseOptions } from '@node-rs/argon2';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { openPasswords } from './password.ts';
import { type Browser, GOOD_PASSWORD, newBrowser, newPerson, signIn } from './testing.ts';

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

let networks = 0;
/** A browser on a network from which nobody failed before. */
function freshBrowser(): Browser {
  networks += 1;
  return newBrowser(platform, `198.51.100.${networks}`);
}

/** What a refusal says, without the id of the request. */
const saidBy = ({ status, body, headers }: Awaited<ReturnType<Browser['ask']>>) => ({
  status,
  body: { ...body, request_id: '' },
  headers: { ...headers, date: '', 'request-id': '', 'content-length': '', ratelimit: '' },
});

const key = (text: string) => createHash('sha256').update(text).digest();

/** As if whoever waits still had to, however long the test took. */
async function keepWaiting(text?: string): Promise<void> {
  const { rowCount } = await operator.query(
    "update identity.sign_in_throttles set blocked_until = now() + interval '1 hour' where key = $1 or ($1 is null and failures = 20)",
    [text === undefined ? null : key(text)],
  );
  assert.equal(rowCount, 1);
}

const attempt = (email: string, password: string, browser = freshBrowser()) =>
  browser.ask('POST', '/identity/sign-in', { email, password });

test('a refusal tells nothing: unknown, wrong, suspended, throttled, of a suspended tenant are told alike', async () => {
  const [known, suspended, throttled] = [
    await newPerson(platform, bank),
    await newPerson(platform, bank),
    await newPerson(platform, bank),
  ];
  await bank.post(`/api/v2/people/${suspended.id}/suspend`);
  const closed = await platform.newTenant();
  const theirs = await newPerson(platform, closed);
  await operator.query(
    "update platform.tenants set status = 'suspended', suspended_at = now() where tenant_id = $1",
    [closed.scope.tenant_id],
  );
  for (let tries = 0; tries < 5; tries += 1) await attempt(throttled.email, 'wrong password');
  await keepWaiting(`account ${throttled.email}`);

  const unknown = saidBy(await attempt('nobody@bank.example', GOOD_PASSWORD));
  assert.deepEqual([unknown.status, unknown.body.code], [401, 'sign_in_refused']);
  for (const [email, password] of [
    [known.email, 'wrong password'],
    [suspended.email, GOOD_PASSWORD],
    [throttled.email, GOOD_PASSWORD],
    [theirs.email, GOOD_PASSWORD],
    ['no address at all', GOOD_PASSWORD],
  ] as const) {
    const browser = freshBrowser();
    assert.deepEqual(saidBy(await attempt(email, password, browser)), unknown, email);
    assert.equal(browser.cookies.size, 0);
  }
  await signIn(freshBrowser(), known.email);
});

test('failures make an account wait twice as long each time, in every process, known or not', async () => {
  const { email } = await newPerson(platform, bank);
  const waits: number[] = [];
  for (const address of [email, 'unknown@bank.example']) {
    waits.length = 0;
    for (let tries = 0; tries < 9; tries += 1) {
      await attempt(address, 'wrong password');
      const { rows } = await operator.query(
        `select round(extract(epoch from blocked_until - last_failure_at))::int as wait_s
         from identity.sign_in_throttles where key = $1`,
        [key(`account ${address}`)],
      );
      waits.push(rows[0].wait_s);
      await operator.query('update identity.sign_in_throttles set blocked_until = now() where key = $1', [
        key(`account ${address}`),
      ]);
    }
    assert.deepEqual(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16]);
  }
  // The right one ends it.
  await signIn(freshBrowser(), email);
  const { rowCount } = await operator.query('select from identity.sign_in_throttles where key = $1', [
    key(`account ${email}`),
  ]);
  assert.equal(rowCount, 0);
});

test('of many guesses at once, one is let through where the account would wait', async () => {
  const { email } = await newPerson(platform, bank);
  const account = key(`account ${email}`);
  await operator.query('insert into identity.sign_in_throttles values ($1, 15, now(), now())', [account]);
  await Promise.all(Array.from({ length: 12 }, () => attempt(email, 'wrong password')));
  const { rows } = await operator.query('select failures from identity.sign_in_throttles where key = $1', [
    account,
  ]);
  assert.equal(rows[0].failures, 16);
});

test('a network that fails too often waits, IPv6 by /64, without making accounts wait', async () => {
  const { email } = await newPerson(platform, bank);
  for (let tries = 0; tries < 20; tries += 1) {
    await attempt(
      `guess.${tries}@bank.example`,
      'wrong password',
      newBrowser(platform, `2001:db8::${tries + 1}`),
    );
  }
  await keepWaiting();
  assert.equal((await attempt(email, GOOD_PASSWORD, newBrowser(platform, '2001:db8::ffff'))).status, 401);
  assert.equal(
    (await attempt(email, GOOD_PASSWORD, newBrowser(platform, '2001:db8:0:1::1'))).body.status,
    'signed_in',
  );
});

test('a hash of weaker parameters is replaced when its owner signs in', async () => {
  const { email } = await newPerson(platform, bank);
  const weak = await hash(GOOD_PASSWORD, { memoryCost: 8_192, timeCost: 1 });
  await operator.query('update identity.people set password_hash = $1 where email = $2', [weak, email]);
  await signIn(freshBrowser(), email);
  const { rows } = await operator.query('select password_hash from identity.people where email = $1', [
    email,
  ]);
  assert.match(rows[0].password_hash, /^\$argon2id\$/);
  const { memoryCost, timeCost } = parseOptions(rows[0].password_hash);
  assert.deepEqual([memoryCost, timeCost], [19_456, 2]);
  await signIn(freshBrowser(), email);
});

test('hashing is bounded: beyond the queue it is refused as overload', async () => {
  const passwords = await openPasswords(1);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 102 }, () => passwords.verify(null, 'anything')),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 1);
  assert.equal(await passwords.verify(null, 'anything'), false);
});

test('the cookie is out of reach of scripts and other sites; the database has only a hash of it', async () => {
  const { browser, email } = await newPerson(platform, bank);
  const answer = await attempt(email, GOOD_PASSWORD);
  assert.match(
    String(answer.headers['set-cookie']),
    /^financialapi_session=[\w-]{64}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  assert.equal(answer.text.includes(browser.cookies.get('financialapi_session') ?? ''), false);
  const { rows } = await operator.query('select * from identity.sessions');
  assert.equal(JSON.stringify(rows).includes(browser.cookies.get('financialapi_session') ?? ''), false);
  const elsewhere = await browser.ask('POST', '/api/v2/accounts', {}, { 'sec-fetch-site': 'cross-site' });
  assert.deepEqual([elsewhere.status, elsewhere.body.code], [403, 'forbidden']);
  const out = await browser.ask('POST', '/identity/sign-out', undefined, { 'sec-fetch-site': 'cross-site' });
  assert.equal(out.status, 403);
});

test('a session ends when it goes unused, grows old or is signed out of', async () => {
  const { browser, email } = await newPerson(platform, bank);
  const me = (from: Browser) => from.ask('GET', '/identity/me');
  assert.equal((await me(browser)).body.email, email);
  for (const column of ['last_seen_at', 'expires_at']) {
    const other = freshBrowser();
    await signIn(other, email);
    const { id } = (await me(other)).body.session;
    const { data } = (await other.ask('GET', '/identity/me/sessions')).body;
    assert.ok(
      data.some((session: { id: string; is_current: boolean }) => session.id === id && session.is_current),
    );
    const sessions = await operator.query(
      `update identity.sessions set ${column} = now() - interval '31 minutes'
       where token_hash = $1`,
      [
        createHash('sha256')
          .update(other.cookies.get('financialapi_session') ?? '')
          .digest(),
      ],
    );
    assert.equal(sessions.rowCount, 1);
    assert.deepEqual([(await me(other)).status, (await me(other)).body.code], [401, 'session_required']);
  }
  const token = browser.cookies.get('financialapi_session') ?? '';
  assert.equal((await browser.ask('POST', '/identity/sign-out')).status, 204);
  assert.equal(browser.cookies.size, 0);
  browser.cookies.set('financialapi_session', token);
  assert.equal((await me(browser)).status, 401);
  assert.equal((await browser.ask('GET', '/api/v2/accounts')).status, 401);
});

test('whoever uses a session is seen, to within a minute', async () => {
  const { browser } = await newPerson(platform, bank);
  const hashed = createHash('sha256')
    .update(browser.cookies.get('financialapi_session') ?? '')
    .digest();
  await operator.query(
    "update identity.sessions set last_seen_at = now() - interval '10 minutes' where token_hash = $1",
    [hashed],
  );
  assert.equal((await browser.ask('GET', '/identity/me')).status, 200);
  const { rows } = await operator.query(
    "select last_seen_at > now() - interval '1 minute' as is_recent from identity.sessions where token_hash = $1",
    [hashed],
  );
  assert.equal(rows[0].is_recent, true);
});

test('a person ends one of their sessions or all others, and nobody else’s', async () => {
  const { browser, email } = await newPerson(platform, bank);
  const [second, third] = [freshBrowser(), freshBrowser()];
  await signIn(second, email);
  await signIn(third, email);
  const me = async (from: Browser) => (await from.ask('GET', '/identity/me')).status;
  const { id } = (await second.ask('GET', '/identity/me')).body.session;
  assert.equal((await browser.ask('POST', '/identity/me/sessions/end', { session_id: id })).status, 204);
  assert.deepEqual([await me(browser), await me(second), await me(third)], [200, 401, 200]);
  assert.equal((await browser.ask('POST', '/identity/me/sessions/end', {})).status, 204);
  assert.deepEqual([await me(browser), await me(third)], [200, 401]);

  const other = await newPerson(platform, bank);
  const theirs = (await other.browser.ask('GET', '/identity/me')).body.session.id;
  const refused = await browser.ask('POST', '/identity/me/sessions/end', { session_id: theirs });
  assert.equal(refused.body.code, 'session_not_found');
  assert.equal(await me(other.browser), 200);
});

test('changing the password needs the one before and ends every other session', async () => {
  const { browser, email } = await newPerson(platform, bank);
  const other = freshBrowser();
  await signIn(other, email);
  const change = (current_password: string, new_password: string) =>
    browser.ask('POST', '/identity/me/password', { current_password, new_password });
  assert.equal((await change('wrong password', 'another good one')).body.code, 'sign_in_refused');
  assert.equal((await change(GOOD_PASSWORD, 'password123')).body.code, 'password_not_good');
  assert.equal((await change(GOOD_PASSWORD, 'another good one')).status, 204);
  assert.equal((await browser.ask('GET', '/identity/me')).status, 200);
  assert.equal((await other.ask('GET', '/identity/me')).status, 401);
  assert.equal((await attempt(email, GOOD_PASSWORD)).status, 401);
  await signIn(freshBrowser(), email, 'another good one');
});

test('a session works in the environment that it chose or that a request names', async () => {
  const { browser } = await newPerson(platform, bank, { roles: ['auditor'] });
  const ask = (headers: Record<string, string> = {}) =>
    browser.ask('GET', '/api/v2/accounts', undefined, headers);
  assert.equal((await ask()).status, 200);
  assert.equal((await ask({ environment: 'sandbox' })).status, 200);
  // The role was granted in the sandbox alone.
  assert.equal((await ask({ environment: 'live' })).body.code, 'permission_missing');
  assert.equal((await ask({ environment: 'moon' })).body.code, 'environment_mismatch');
  assert.equal((await browser.ask('POST', '/identity/me/environment', { environment: 'live' })).status, 204);
  assert.equal((await ask()).body.code, 'permission_missing');
  assert.equal((await ask({ environment: 'sandbox' })).status, 200);
});

test('a session that is made up, cut or of another tenant is none', async () => {
  const { browser } = await newPerson(platform, bank);
  const token = browser.cookies.get('financialapi_session') ?? '';
  const elsewhere = Buffer.from(token, 'base64url');
  elsewhere[0] = (elsewhere[0] ?? 0) ^ 1;
  for (const bad of ['', 'x', token.slice(1), `${token}A`, elsewhere.toString('base64url'), "' or 1=1 --"]) {
    const other = newBrowser(platform);
    other.cookies.set('financialapi_session', encodeURIComponent(bad));
    assert.equal((await other.ask('GET', '/identity/me')).status, 401, bad);
    assert.equal((await other.ask('GET', '/api/v2/accounts')).status, 401, bad);
  }
});

test('where clients come over https, the cookie is for https only', async () => {
  const secure = await openTestPlatform({ PUBLIC_URL: 'https://bank.example' });
  try {
    const { email } = await newPerson(secure, await secure.newTenant());
    const answer = await newBrowser(secure).ask('POST', '/identity/sign-in', {
      email,
      password: GOOD_PASSWORD,
    });
    assert.match(String(answer.headers['set-cookie']), /; HttpOnly; Secure; SameSite=Strict$/);
  } finally {
    await secure.close();
  }
});
