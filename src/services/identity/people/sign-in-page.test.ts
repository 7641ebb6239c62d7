import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Secret, TOTP } from 'otpauth';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { type Browser, GOOD_PASSWORD, newBrowser, newPerson } from './testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

/** Sends a form as a page of this site does, keeping cookies. */
async function submit(browser: Browser, url: string, fields: Record<string, string>, site = 'same-origin') {
  const answer = await platform.running.app.inject({
    method: 'POST',
    url,
    headers: {
      'sec-fetch-site': site,
      'content-type': 'application/x-www-form-urlencoded',
      cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    },
    payload: new URLSearchParams(fields).toString(),
  });
  for (const { name, value } of answer.cookies) {
    if (value === '') browser.cookies.delete(name);
    else browser.cookies.set(name, value);
  }
  return answer;
}

test('the page signs in, goes on within this site only, and out again', async () => {
  const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
  const browser = newBrowser(platform);
  const page = await browser.ask('GET', '/identity/sign-in?next=/api/v2/accounts%22%3E');
  assert.equal(page.status, 200);
  assert.match(page.text, /<label for="email">/);
  assert.match(page.headers['content-security-policy'] ?? '', /form-action 'self'/);
  assert.equal(page.text.includes('accounts">'), false);

  const credentials = { email, password: GOOD_PASSWORD };
  for (const [next, expected] of [
    ['https://evil.example/', '/'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['/api/v2/accounts?limit=5', '/api/v2/accounts?limit=5'],
  ] as const) {
    const sent = await submit(newBrowser(platform), '/identity/sign-in/form', { ...credentials, next });
    assert.deepEqual([sent.statusCode, sent.headers.location], [303, expected]);
  }
  await submit(browser, '/identity/sign-in/form', { ...credentials, next: '/' });
  const accounts = await browser.ask('GET', '/api/v2/accounts', undefined, { accept: 'text/html' });
  assert.equal(accounts.status, 200);
  assert.match(accounts.text, /action="\/identity\/sign-out\/form"/);
  const out = await submit(browser, '/identity/sign-out/form', {});
  assert.deepEqual([out.statusCode, browser.cookies.size], [303, 0]);
});

test('a refusal on the page is that of the API, in words that escape what was typed', async () => {
  const typed = '"><script>alert(1)</script>';
  const refused = await submit(newBrowser(platform), '/identity/sign-in/form', {
    email: typed,
    password: 'x',
  });
  assert.equal(refused.statusCode, 401);
  assert.match(refused.body, /role="alert"/);
  assert.equal(refused.body.includes(typed), false);
  const elsewhere = await submit(newBrowser(platform), '/identity/sign-in/form', {}, 'cross-site');
  assert.equal(elsewhere.statusCode, 403);
});

test('the page asks for the code of an authenticator app or a recovery code', async () => {
  const person = await newPerson(platform, bank);
  const { secret } = (await person.browser.ask('POST', '/identity/me/totp')).body;
  const codeNow = () => TOTP.generate({ secret: Secret.fromBase32(secret) });
  const { recovery_codes } = (
    await person.browser.ask('POST', '/identity/me/totp/confirm', { code: codeNow() })
  ).body;
  const operator = new Client({ connectionString: platform.url });
  await operator.connect();
  await operator.query('update identity.totp set last_step = 0');
  await operator.end();
  for (const code of [codeNow(), recovery_codes[0]]) {
    const browser = newBrowser(platform);
    const step = await submit(browser, '/identity/sign-in/form', {
      email: person.email,
      password: GOOD_PASSWORD,
      next: '/docs',
    });
    const [, sign_in = ''] = /name="sign_in" value="([^"]+)"/.exec(step.body) ?? [];
    assert.equal(browser.cookies.size, 0);
    const wrong = await submit(browser, '/identity/sign-in/form/code', { sign_in, code: '!' });
    assert.equal(wrong.statusCode, 401);
    const done = await submit(browser, '/identity/sign-in/form/code', { sign_in, code, next: '/docs' });
    assert.deepEqual([done.statusCode, done.headers.location], [303, '/docs'], code);
    assert.equal((await browser.ask('GET', '/identity/me')).body.email, person.email);
  }
});
