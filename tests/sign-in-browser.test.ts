/**
 * Signing in with a passkey and allowing an application, in a real browser with a virtual authenticator. Needs a Chromium
 * (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but not in CI.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import * as oauth from 'openid-client';
import type { Browser, Page } from 'playwright-core';
import { issuerOf } from '../src/services/identity/oauth/issuer.ts';
import { GOOD_PASSWORD, newPerson } from '../src/services/identity/people/testing.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import {
  addAuthenticator,
  assertNoOverflow,
  desktop,
  launchBrowser,
  openVisit,
  phone,
  skip,
} from './browser.ts';

/** Where pictures of the pages go, for whoever wants to look at them. */
const pictures = process.env['PICTURES'];

let platform: TestPlatform;
let bank: TestTenant;
let browser: Browser;
/** The partner: another site, with a page that leads here and an address to come back to. */
let partner: Server;
let partnerUrl = '';
let authorizeUrl = '';
const undo: (() => Promise<unknown>)[] = [];

before(async () => {
  if (skip !== false) return;
  platform = await openTestPlatform();
  undo.push(() => platform.close());
  bank = await platform.newTenant();
  browser = await launchBrowser();
  undo.push(() => browser.close());
  partner = createServer((request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    const leads = authorizeUrl.replaceAll('&', '&amp;');
    response.end(
      request.url === '/' ? `<a href="${leads}">Connect your bank</a>` : '<h1>Back at the partner</h1>',
    );
  });
  await new Promise<void>((resolve) => partner.listen(0, '127.0.0.1', resolve));
  undo.push(() => new Promise((resolve) => partner.close(resolve)));
  const address = partner.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { port } = address;
  partnerUrl = `http://127.0.0.1:${port}`;
});
after(async () => {
  for (const step of undo.toReversed()) await step();
});

const visit = (viewport = desktop, colorScheme: 'light' | 'dark' = 'light') =>
  openVisit(browser, platform.running.url, { viewport, colorScheme, others: [partnerUrl] });

async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

async function signInWithPassword(page: Page, email: string): Promise<void> {
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(GOOD_PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** Registers a passkey of who is signed in, as a page of this site would. */
async function enrol(page: Page): Promise<void> {
  const status = await page.evaluate<number>(`(async () => {
    const post = (path, body) => fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    });
    const options = await (await post('/identity/me/passkeys/options', {})).json();
    const credential = await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    });
    return (await post('/identity/me/passkeys', { label: 'laptop', credential: credential.toJSON() })).status;
  })()`);
  assert.equal(status, 201);
}

async function signOut(page: Page): Promise<void> {
  await page.goto('/api/v2/accounts');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
}

async function emailAt(page: Page): Promise<string | undefined> {
  return page.evaluate<string | undefined>(
    "fetch('/identity/me', { headers: { accept: 'application/json' } }).then((a) => a.json()).then((me) => me.email)",
  );
}

test('a passkey signs in alone, and is the second factor after a password', { skip }, async () => {
  const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
  const visited = await visit();
  const { context, page, complaints } = visited;
  const authenticator = await addAuthenticator(visited);
  await page.goto('/identity/sign-in');
  await signInWithPassword(page, email);
  await page.waitForURL(/\/$/);
  await enrol(page);
  await signOut(page);

  // The second factor.
  await page.goto('/identity/sign-in?next=/api/v2/accounts');
  await signInWithPassword(page, email);
  await page.getByRole('heading', { name: 'One more step' }).waitFor();
  await page.getByRole('button', { name: 'Use a passkey' }).waitFor();
  await picture(page, 'second-factor-1280-light');
  assert.equal((await context.cookies()).length, 0);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await page.waitForURL(`${platform.running.url}/api/v2/accounts`);
  assert.equal(await emailAt(page), email);
  await signOut(page);

  // Alone, without a word typed.
  await page.goto('/identity/sign-in?next=/api/v2/transfers');
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.waitForURL(`${platform.running.url}/api/v2/transfers`);
  assert.equal(await emailAt(page), email);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict']);
  await signOut(page);

  // Whoever holds the device and is not known to it is refused by the browser.
  await authenticator.session.send('WebAuthn.setUserVerified', {
    authenticatorId: authenticator.id,
    isUserVerified: false,
  });
  await page.goto('/identity/sign-in');
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByText('No passkey was shown').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Sign in with a passkey' }).isEnabled(), true);
  assert.equal((await context.cookies()).length, 0);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a passkey that was removed is refused in words, and the page can be used on', { skip }, async () => {
  const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
  const visited = await visit();
  const { context, page, complaints } = visited;
  await addAuthenticator(visited);
  await page.goto('/identity/sign-in');
  await signInWithPassword(page, email);
  await page.waitForURL(/\/$/);
  await enrol(page);
  await page.evaluate(`(async () => {
    const { data } = await (await fetch('/identity/me/passkeys')).json();
    await fetch('/identity/me/passkeys/' + data[0].id + '/remove', { method: 'POST' });
  })()`);
  await signOut(page);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await page.getByText('Signing in was refused.').waitFor();
  await signInWithPassword(page, email);
  await page.waitForURL(/\/$/);
  assert.equal(await emailAt(page), email);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('without a script the page signs in by its form, and says what a passkey needs', { skip }, async () => {
  const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
  const context = await browser.newContext({ baseURL: platform.running.url, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto('/identity/sign-in?next=/errors');
  assert.equal(await page.getByRole('button', { name: 'Sign in with a passkey' }).isVisible(), false);
  await page.getByText('you can sign in with a passkey, too').waitFor();
  await signInWithPassword(page, email);
  await page.waitForURL(`${platform.running.url}/errors`);
  await context.close();
});

interface Partner {
  config: oauth.Configuration;
  verifier: string;
  state: string;
}

/** The partner prepares to send a browser here. */
async function prepareAuthorization(scope: string): Promise<Partner> {
  const app = await bank.post('/api/v2/applications', {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['authorization_code'],
    scopes: ['accounts:*', 'transfers:read'],
    redirect_uris: [`${partnerUrl}/callback`],
  });
  const config = await oauth.discovery(
    new URL(issuerOf(platform.running.url, bank.scope)),
    app.id,
    {},
    oauth.ClientSecretBasic(app.client_secret),
    { execute: [oauth.allowInsecureRequests] },
  );
  const verifier = oauth.randomPKCECodeVerifier();
  const state = oauth.randomState();
  authorizeUrl = oauth.buildAuthorizationUrl(config, {
    redirect_uri: `${partnerUrl}/callback`,
    scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }).href;
  return { config, verifier, state };
}

async function finish(page: Page, { config, verifier, state }: Partner): Promise<number> {
  const tokens = await oauth.authorizationCodeGrant(config, new URL(page.url()), {
    pkceCodeVerifier: verifier,
    expectedState: state,
  });
  const answer = await fetch(`${platform.running.url}/api/v2/accounts`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  return answer.status;
}

const SCOPE = 'openid profile accounts:read accounts:open transfers:read';

test('from a partner through signing in and consent, and back with a code that is good', {
  skip,
}, async () => {
  const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
  const { context, page, complaints } = await visit();
  const first = await prepareAuthorization(SCOPE);
  await page.goto(partnerUrl);
  await page.getByRole('link', { name: 'Connect your bank' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await signInWithPassword(page, email);
  await page.getByRole('heading', { name: 'Ledgerly asks to act for you' }).waitFor();
  const consent = (await page.locator('main').textContent()) ?? '';
  assert.ok(consent.includes(email));
  assert.match(consent, /Know who you are/);
  assert.match(consent, /accounts:open/, 'what the person may not do themselves is told');
  await assertNoOverflow(page);
  await page.getByRole('button', { name: 'Allow', exact: true }).click();
  await page.getByRole('heading', { name: 'Back at the partner' }).waitFor();
  assert.equal(await finish(page, first), 200);

  // Signed in already: the session's cookie does not come with what the partner's page begins, and is found all the same.
  const second = await prepareAuthorization(SCOPE);
  await page.goto(partnerUrl);
  await page.getByRole('link', { name: 'Connect your bank' }).click();
  await page.getByRole('heading', { name: 'Ledgerly asks to act for you' }).waitFor();
  await page.getByRole('button', { name: 'Do not allow' }).click();
  await page.getByRole('heading', { name: 'Back at the partner' }).waitFor();
  assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied');
  await assert.rejects(finish(page, second));
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const [size, viewport] of Object.entries({ desktop, phone, wide: { width: 1440, height: 900 } })) {
  for (const colors of ['light', 'dark'] as const) {
    test(`signing in and consent fit the window: ${size}, ${colors}`, { skip }, async () => {
      const { email } = await newPerson(platform, bank, { roles: ['auditor'] });
      const { context, page, complaints } = await visit(viewport, colors);
      await prepareAuthorization(SCOPE);
      await page.goto(partnerUrl);
      await page.getByRole('link', { name: 'Connect your bank' }).click();
      await page.getByRole('button', { name: 'Sign in with a passkey' }).waitFor();
      await assertNoOverflow(page);
      await picture(page, `sign-in-${size}-${colors}`);
      await page.getByLabel('E-mail address').fill(email);
      await page.getByLabel('Password').fill('not this one');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.getByText('Signing in was refused.').waitFor();
      await assertNoOverflow(page);
      await picture(page, `refused-${size}-${colors}`);
      await signInWithPassword(page, email);
      await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
      await assertNoOverflow(page);
      await picture(page, `consent-${size}-${colors}`);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
}
