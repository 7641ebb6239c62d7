import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { Provider } from 'oidc-provider';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { type Browser, newBrowser, newPerson } from './testing.ts';

interface Account {
  sub: string;
  email?: string;
  email_verified?: boolean;
  name?: string;
}

let platform: TestPlatform;
let bank: TestTenant;
let operator: Client;
let server: Server;
let issuer: string;
/** Who is at the provider when a browser comes. */
let atProvider: Account;
const accounts = new Map<string, Account>();
const CLIENT_SECRET = 'a secret of the client';

/** A real provider, listening on loopback. It asks nothing: whoever comes is `atProvider`. */
async function startProvider(redirect_uri: string): Promise<void> {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  issuer = `http://127.0.0.1:${address.port}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'financialapi',
        client_secret: CLIENT_SECRET,
        redirect_uris: [redirect_uri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    // The claims in the ID token itself, as most providers do.
    conformIdTokenClaims: false,
    cookies: { keys: ['a key for the cookies of a test'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_context, sub) => {
      const account = accounts.get(sub);
      return account === undefined ? undefined : { accountId: sub, claims: () => ({ ...account }) };
    },
  });
  const handle = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/') !== true) {
      void handle(request, response);
      return;
    }
    void (async () => {
      const { params, session } = await provider.interactionDetails(request, response);
      accounts.set(atProvider.sub, atProvider);
      const grant = new provider.Grant({
        accountId: session?.accountId ?? atProvider.sub,
        clientId: String(params['client_id']),
      });
      grant.addOIDCScope('openid email profile');
      await provider.interactionFinished(request, response, {
        login: { accountId: atProvider.sub },
        consent: { grantId: await grant.save() },
      });
    })();
  });
}

before(async () => {
  platform = await openTestPlatform({ OUTGOING_ALLOW: '127.0.0.1' });
  bank = await platform.newTenant();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
  await startProvider(`${platform.running.url}/identity/external/callback`);
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await operator.end();
  await platform.close();
});

const settings = () => ({
  issuer,
  client_id: 'financialapi',
  client_secret: CLIENT_SECRET,
  email_domains: ['bank.example'],
});

const setProvider = async (tenant: TestTenant): Promise<string> => {
  const answer = await tenant.ask('PUT', '/api/v2/identity-provider', settings(), { 'if-match': '*' });
  assert.equal(answer.status, 200, answer.text);
  return new URL(answer.body.sign_in_url).pathname;
};

/** What a browser does at the provider: follows redirects there, with cookies, until it is sent back to us. */
async function follow(location: string): Promise<string> {
  const cookies = new Map<string, string>();
  let url = location;
  for (let hops = 0; hops < 10; hops += 1) {
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    url = new URL(answer.headers.get('location') ?? assert.fail(`${url}: ${await answer.text()}`), url).href;
    if (url.startsWith(platform.running.url)) return url.slice(platform.running.url.length);
  }
  throw new Error('the provider sends in circles');
}

async function comeBack(browser: Browser, start: string, account: Account) {
  atProvider = account;
  const sent = await browser.ask('GET', start);
  assert.equal(sent.status, 303, sent.text);
  const back = await follow(sent.headers['location'] ?? '');
  return { back, answer: await browser.ask('GET', back, undefined, { 'sec-fetch-site': 'cross-site' }) };
}

test('a provider is set once it can be read; its secret is kept encrypted and never shown', async () => {
  const tenant = await platform.newTenant();
  const unset = await tenant.get('/api/v2/identity-provider');
  assert.deepEqual(
    [unset.status, unset.redirect_uri],
    ['unset', `${platform.running.url}/identity/external/callback`],
  );
  const put = (body: object, tag?: string) =>
    tenant.ask('PUT', '/api/v2/identity-provider', body, tag === undefined ? {} : { 'if-match': tag });
  for (const bad of [
    'http://login.bank.example',
    'https://user:pass@bank.example',
    'file:///etc/passwd',
    'x',
  ]) {
    assert.equal((await put({ ...settings(), issuer: bad })).body.code, 'identity_provider_not_good', bad);
  }
  const nobodyThere = await put({ ...settings(), issuer: `${issuer}/elsewhere` });
  assert.equal(nobodyThere.body.code, 'identity_provider_not_good');
  const { client_secret: _, ...without } = settings();
  assert.equal((await put(without)).status, 422);

  const set = await put(settings());
  assert.equal(set.status, 200, set.text);
  assert.equal(set.text.includes(CLIENT_SECRET), false);
  const { rows } = await operator.query('select client_secret from identity.identity_providers');
  assert.ok(
    rows.every((row) => row.client_secret.startsWith('v1.') && !row.client_secret.includes(CLIENT_SECRET)),
  );
  assert.equal((await put(without)).status, 428);
  assert.equal((await put(without, set.headers['etag'])).status, 200);
  assert.equal((await put(without, set.headers['etag'])).status, 412);
  assert.equal((await tenant.ask('DELETE', '/api/v2/identity-provider')).status, 204);
  assert.equal((await tenant.ask('DELETE', '/api/v2/identity-provider')).status, 404);
});

test('whoever was invited comes in through the provider, and is known by subject from then on', async () => {
  const start = await setProvider(bank);
  await bank.post('/api/v2/invitations', { email: 'eva@bank.example', roles: ['auditor'] });
  const browser = newBrowser(platform);
  const account = { sub: 'eva-1', email: 'Eva@bank.example', email_verified: true, name: 'Eva Lima' };
  const { back, answer } = await comeBack(browser, `${start}?next=/api/v2/accounts`, account);
  assert.deepEqual([answer.status, answer.headers['refresh']], [200, '0; url=/api/v2/accounts'], answer.text);
  const me = (await browser.ask('GET', '/identity/me')).body;
  assert.deepEqual([me.email, me.name], ['eva@bank.example', 'Eva Lima']);
  assert.equal((await browser.ask('GET', '/api/v2/accounts')).status, 200);
  assert.equal((await browser.ask('GET', back)).body.code, 'sign_in_refused');

  const later = newBrowser(platform);
  const again = await comeBack(later, `${start}?next=https://evil.example`, { sub: 'eva-1' });
  assert.equal(again.answer.headers['refresh'], '0; url=/');
  assert.equal((await later.ask('GET', '/identity/me')).body.id, me.id);
  // There is no password to guess.
  const guess = { email: 'eva@bank.example', password: 'anything at all' };
  assert.equal((await newBrowser(platform).ask('POST', '/identity/sign-in', guess)).status, 401);
});

test('a person is linked by an address that is verified and of the domains, and by no other', async () => {
  const start = await setProvider(bank);
  const person = await newPerson(platform, bank, { email: 'rui@bank.example' });
  const outsider = await newPerson(platform, bank, { email: 'joe@elsewhere.example' });
  for (const account of [
    { sub: 'a', email: person.email, email_verified: false },
    { sub: 'b', email: person.email },
    { sub: 'c', email: outsider.email, email_verified: true },
    { sub: 'd', email: 'unknown@bank.example', email_verified: true },
    { sub: 'e' },
  ]) {
    const browser = newBrowser(platform);
    const { answer } = await comeBack(browser, start, account);
    assert.equal(answer.body?.code, 'sign_in_refused', JSON.stringify(account));
    assert.equal(browser.cookies.has('financialapi_session'), false);
  }
  const browser = newBrowser(platform);
  await comeBack(browser, start, { sub: 'rui', email: person.email, email_verified: true });
  assert.equal((await browser.ask('GET', '/identity/me')).body.id, person.id);
  // Somebody else to whom the provider gave the same address.
  const second = await comeBack(newBrowser(platform), start, {
    sub: 'not rui',
    email: person.email,
    email_verified: true,
  });
  assert.equal(second.answer.body.code, 'sign_in_refused');
  await bank.post(`/api/v2/people/${person.id}/suspend`);
  const suspended = await comeBack(newBrowser(platform), start, { sub: 'rui' });
  assert.equal(suspended.answer.body.code, 'sign_in_refused');
});

test('a sign-in comes back to the browser that began it, with its state and nonce', async () => {
  const start = await setProvider(bank);
  const person = await newPerson(platform, bank, { email: 'lia@bank.example' });
  atProvider = { sub: 'lia', email: person.email, email_verified: true };
  const browser = newBrowser(platform);
  const sent = await browser.ask('GET', start);
  const back = await follow(sent.headers['location'] ?? '');
  // Another browser, whose owner was lured into opening the link.
  const victim = newBrowser(platform);
  assert.equal((await victim.ask('GET', back)).status, 401);
  await victim.ask('GET', start);
  assert.equal((await victim.ask('GET', back)).status, 401);
  const altered = back.replace(/state=([^&]{10})./, 'state=$1_');
  assert.equal((await browser.ask('GET', altered)).status, 401);

  const other = newBrowser(platform);
  const again = await other.ask('GET', start);
  await operator.query("update identity.external_sign_ins set nonce = 'another'");
  assert.equal((await other.ask('GET', await follow(again.headers['location'] ?? ''))).status, 401);
  assert.equal(other.cookies.has('financialapi_session'), false);
});

test('the provider of one tenant lets nobody into another', async () => {
  const other = await platform.newTenant();
  const person = await newPerson(platform, other, { email: 'ines@bank.example' });
  const start = await setProvider(bank);
  const { answer } = await comeBack(newBrowser(platform), start, {
    sub: 'ines',
    email: person.email,
    email_verified: true,
  });
  assert.equal(answer.body.code, 'sign_in_refused');
});

test('a provider at an address that is not public is asked nothing, unless the operator allows it', async () => {
  let asked = 0;
  const count = () => {
    asked += 1;
  };
  server.on('request', count);
  const guarded = await openTestPlatform();
  try {
    const tenant = await guarded.newTenant();
    const answer = await tenant.ask('PUT', '/api/v2/identity-provider', settings());
    assert.deepEqual([answer.status, answer.body.code], [422, 'identity_provider_not_good']);
    const other = { ...settings(), issuer: 'https://169.254.169.254' };
    const metadata = await tenant.ask('PUT', '/api/v2/identity-provider', other);
    assert.deepEqual([metadata.status, metadata.body.code], [422, 'identity_provider_not_good']);
    assert.equal(asked, 0);
    assert.equal((await tenant.get('/api/v2/identity-provider')).status, 'unset');
  } finally {
    server.off('request', count);
    await guarded.close();
  }
});
