import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../testing.ts';
import { KEY_COOKIE } from './http.ts';

const run = promisify(execFile);

let platform: TestPlatform;
let bank: TestTenant;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
});
after(() => platform.close());

/** What browsers send. */
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';

async function account(options: object = {}): Promise<string> {
  const { id } = await bank.post('/api/v2/accounts', {
    name: 'A',
    currency: 'BRL',
    chart_code: '2100',
    ...options,
  });
  return id;
}

async function page(url: string, headers: Record<string, string> = {}) {
  const answer = await platform.running.app.inject({
    url,
    headers: { accept: BROWSER, cookie: `${KEY_COOKIE}=${bank.key}`, ...headers },
  });
  return { status: answer.statusCode, headers: answer.headers, text: answer.body };
}

function form(url: string, fields: Record<string, string>, headers: Record<string, string>) {
  return platform.running.app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: BROWSER, ...headers },
    payload: new URLSearchParams(fields).toString(),
  });
}

test('a browser gets a page, everything else the same JSON as ever', async () => {
  const id = await account();
  const url = `/api/v2/accounts/${id}`;
  const plain = await bank.ask('GET', url);
  for (const accept of [
    'application/json',
    '*/*',
    'application/json, text/html;q=0.5',
    'application/json, text/html',
    'application/problem+json',
  ]) {
    const answer = await bank.ask('GET', url, undefined, { accept });
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', accept);
    assert.equal(answer.text, plain.text, accept);
    assert.equal(answer.headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
    assert.equal(answer.headers['vary'], 'Accept');
  }
  for (const accept of [BROWSER, 'text/html', 'text/html, application/json;q=0.9']) {
    const shown = await page(url, { accept });
    assert.equal(shown.status, 200);
    assert.equal(shown.headers['content-type'], 'text/html; charset=utf-8', accept);
    assert.equal(shown.headers['vary'], 'Accept');
    assert.match(shown.text, /^<!doctype html>/);
  }
});

test('a page comes with a policy under which nothing foreign or inline runs', async () => {
  for (const url of [
    '/',
    '/api/v2/accounts',
    '/login',
    '/errors',
    '/errors/insufficient_funds',
    '/nowhere',
  ]) {
    const { headers, text } = await page(url);
    assert.equal(
      headers['content-security-policy'],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      url,
    );
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['referrer-policy'], 'same-origin');
    assert.doesNotMatch(text, /<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc="\/assets\/)/);
    for (const [, loaded] of text.matchAll(/<(?:script|img|link)[^>]*\s(?:src|href)="([^"]*)"/g)) {
      assert.match(loaded ?? '', /^\/assets\//);
    }
  }
});

test('escaped: names, labels and query parameters cannot become markup', async () => {
  const name = `<script>alert(1)</script>"'&`;
  const id = await account({ name, metadata: { note: `</pre><img src=x onerror='alert("2")'>` } });
  for (const url of [
    `/api/v2/accounts/${id}`,
    `/api/v2/accounts?q=${encodeURIComponent(name)}`,
    `/login?next=${encodeURIComponent('/"><script>')}`,
    `/errors/${encodeURIComponent('<script>')}`,
    `/${encodeURIComponent('<script>alert(1)</script>')}?a="><script>`,
  ]) {
    const { text } = await page(url);
    assert.doesNotMatch(text, /<script>|<img src=x|="[^"]*"><script/, url);
  }
  const { text } = await page(`/api/v2/accounts/${id}`);
  assert.ok(text.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  assert.ok(!text.includes('value="<'));
});

test('a page shows status, headers, links, methods, forms and the request as curl', async () => {
  const id = await account({ name: 'Ana' });
  const { text } = await page(`/api/v2/accounts/${id}`);
  assert.match(text, /200 OK/);
  assert.match(text, /<dt>ETag<\/dt><dd>&quot;1&quot;<\/dd>/);
  assert.match(text, /<dt>Ledger-Position<\/dt>/);
  assert.match(text, /<dt>Request-Id<\/dt>/);
  assert.ok(text.includes(`<a href="/api/v2/accounts/${id}">`), 'an id leads to its thing');
  assert.ok(text.includes('<a href="/api/v2/accounts">accounts</a>'), 'the breadcrumb leads to the list');
  assert.match(text, /data-header="If-Match" value="&quot;1&quot;"/);
  for (const path of ['', '/freeze', '/close']) {
    assert.ok(text.includes(`data-path="/api/v2/accounts/${id}${path}"`), path);
  }
  assert.ok(text.includes(`curl -s &#39;${platform.running.url}/api/v2/accounts/${id}&#39;`));
  assert.ok(text.includes('Bearer $FINANCIALAPI_KEY'));
  assert.ok(!text.includes(bank.key), 'the key of a log-in is never shown');
});

test('a form has a field for each property of the schema, and a fresh idempotency key', async () => {
  const { text } = await page('/api/v2/transfers');
  const keys = [...text.matchAll(/data-header="Idempotency-Key" value="([0-9a-f-]{36})"/g)].map(
    ([, key]) => key,
  );
  assert.ok(keys.length >= 2);
  assert.equal(new Set(keys).size, keys.length);
  assert.match(text, /data-kind="string" data-name="debit_account_id"/);
  assert.match(text, /data-list="\/api\/v2\/accounts"/);
  assert.match(text, /data-kind="money" data-name="amount"/);
  assert.match(text, /data-kind="array" data-name="legs"/);
  assert.match(text, /data-kind="record" data-name="metadata"/);
  assert.match(text, /<select[^>]*><option value="&quot;debit&quot;" selected>debit/);
  assert.match(text, /name="dry_run"/);
  const labels = [...text.matchAll(/<label for="([^"]+)"/g)].map(([, id]) => id);
  for (const id of labels) assert.ok(text.includes(`id="${id}"`), `no field for label ${id}`);
  const ids = [...text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length, 'no id twice');
});

test('cursors are links, and the filters go with them', async () => {
  for (const name of ['paged 1', 'paged 2', 'paged 3']) await account({ name });
  const first = await page('/api/v2/accounts?q=paged&limit=2');
  const [, href = ''] = /rel="next" href="([^"]+)"/.exec(first.text) ?? [];
  assert.ok(first.text.includes('paged 3') && !first.text.includes('paged 1'));
  const second = await page(href.replaceAll('&amp;', '&'));
  assert.equal(second.status, 200);
  assert.ok(second.text.includes('paged 1') && !second.text.includes('paged 3'));
  assert.match(second.text, /href="\/api\/v2\/accounts\?q=paged&amp;limit=2">First page/);
});

test('a refusal is a page too, with a link to what its code means', async () => {
  const { status, text } = await page('/api/v2/accounts/acc_01h455vb4pex5vsknk084sn02q');
  assert.equal(status, 404);
  assert.match(text, /href="\/errors\/account_not_found"/);
  const meaning = await page('/errors/account_not_found');
  assert.equal(meaning.status, 200);
  assert.match(meaning.text, /No such account/);
  const json = await bank.get('/errors/account_not_found');
  assert.deepEqual(Object.keys(json), ['code', 'type', 'status', 'title', 'meaning']);
  const listed = await bank.get('/errors');
  assert.ok(listed.data.length > 20);
  assert.equal((await bank.ask('GET', '/errors/constructor')).status, 404);
  const malformed = await page('/api/v2/accounts?limit=1000');
  assert.equal(malformed.status, 400);
  assert.match(malformed.text, /data-pointer="\?limit"/);
});

test('the page of a POST is shown with its status and where it led', async () => {
  const answer = await bank.ask(
    'POST',
    '/api/v2/accounts',
    { name: 'By form', currency: 'BRL', chart_code: '2100' },
    { accept: 'text/html' },
  );
  assert.equal(answer.status, 201);
  assert.match(answer.text, /201 Created/);
  assert.match(answer.text, /<dt>Location<\/dt><dd><a href="\/api\/v2\/accounts\/acc_/);
});

test('401: without a key the page offers to log in and shows nothing else', async () => {
  const { status, text } = await page('/api/v2/accounts', { cookie: '' });
  assert.equal(status, 401);
  assert.match(text, /action="\/login"/);
  assert.match(text, /name="next" value="\/api\/v2\/accounts"/);
  assert.doesNotMatch(text, /action="\/login\/demo"/);
  assert.doesNotMatch(text, /class="operation"/);
});

test('log-in: a good key becomes a cookie that scripts and other sites cannot use', async () => {
  const own = { 'sec-fetch-site': 'same-origin' };
  const good = await form('/login', { key: ` ${bank.key} `, next: '/api/v2/accounts' }, own);
  assert.equal(good.statusCode, 303);
  assert.equal(good.headers.location, '/api/v2/accounts');
  assert.equal(good.headers['set-cookie'], `${KEY_COOKIE}=${bank.key}; Path=/; HttpOnly; SameSite=Strict`);
  const bad = await form('/login', { key: 'fa_test_nonsense', next: '/' }, own);
  assert.equal(bad.statusCode, 401);
  assert.equal(bad.headers['set-cookie'], undefined);
  const out = await form('/logout', {}, own);
  assert.equal(out.statusCode, 303);
  assert.match(String(out.headers['set-cookie']), new RegExp(`^${KEY_COOKIE}=;.*Expires=Thu, 01 Jan 1970`));
});

test('log-in leads only to places of this site', async () => {
  for (const next of [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/%0d\r\nx',
    'javascript:alert(1)',
  ]) {
    const { headers } = await form('/login', { key: bank.key, next }, { 'sec-fetch-site': 'same-origin' });
    assert.equal(headers.location, '/', next);
  }
});

test('403: another site can neither log in nor out, nor act with the cookie', async () => {
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example', host: 'localhost' },
    { origin: 'null', host: 'localhost' },
    {},
  ]) {
    for (const url of ['/login', '/login/demo', '/logout']) {
      const answer = await form(url, { key: bank.key }, headers);
      assert.equal(answer.statusCode, 403, `${url} ${JSON.stringify(headers)}`);
      assert.equal(answer.headers['set-cookie'], undefined);
    }
  }
  const byOrigin = await form(
    '/login',
    { key: bank.key },
    { origin: 'http://localhost:80', host: 'localhost' },
  );
  assert.equal(byOrigin.statusCode, 303);
  const forged = await platform.running.app.inject({
    method: 'POST',
    url: '/api/v2/accounts',
    headers: {
      cookie: `${KEY_COOKIE}=${bank.key}`,
      'sec-fetch-site': 'cross-site',
      'content-type': 'application/json',
      'idempotency-key': 'forged',
    },
    payload: '{}',
  });
  assert.equal(forged.statusCode, 403);
  const asForm = await form('/api/v2/accounts', {}, { authorization: `Bearer ${bank.key}` });
  assert.equal(asForm.statusCode, 415, 'the API itself reads no forms');
});

test('there is no one-click log-in where there is no demo', async () => {
  const answer = await form('/login/demo', {}, { 'sec-fetch-site': 'same-origin' });
  assert.equal(answer.statusCode, 404);
  assert.equal(answer.headers['set-cookie'], undefined);
});

test('assets are kept by browsers for good, under names that change with them', async () => {
  const { text } = await page('/');
  const urls = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, url]) => url ?? '');
  assert.ok(urls.some((url) => url.endsWith('.css')) && urls.some((url) => url.endsWith('.js')));
  for (const url of urls) {
    const asset = await platform.running.app.inject({ url, headers: { 'accept-encoding': 'gzip' } });
    assert.equal(asset.statusCode, 200);
    assert.match(String(asset.headers['cache-control']), /immutable/);
    assert.equal(asset.headers['content-encoding'], 'gzip');
  }
  const missing = await platform.running.app.inject({ url: '/assets/page-000000000000.css' });
  assert.equal(missing.statusCode, 404);
});

test('the start page: an index for programs, and a first transfer that works when pasted', async () => {
  const index = await platform.running.app.inject({ url: '/' });
  const links: { href: string }[] = index.json().resources;
  assert.ok(links.some(({ href }) => href.endsWith('/api/v2/accounts')));
  for (const { href } of links) {
    // What concerns the installation is there for its own people.
    const ofInstallation = /\/api\/v2\/(tenants|system-jobs|services|instances)$/.test(href);
    // A key is nobody who is notified.
    const ofRecipients = href.endsWith('/api/v2/limits/notices');
    // Nor is an institution an organisation of developers.
    const ofOrganisations = href.includes('/api/v2/portal/');
    const expected = ofInstallation ? 403 : ofRecipients || ofOrganisations ? 404 : 200;
    assert.equal((await bank.ask('GET', new URL(href).pathname)).status, expected, href);
  }

  const other = await platform.newTenant();
  const paste = async (headers: Record<string, string>) => {
    const { text } = await page('/', headers);
    const commands = [...text.matchAll(/aria-label="Command">([^<]*)<\/pre>/g)].map(
      ([, command]) => command ?? '',
    );
    const command = (commands.at(-1) ?? '')
      .replaceAll('&#39;', "'")
      .replaceAll('&quot;', '"')
      .replaceAll('&gt;', '>')
      .replaceAll('&lt;', '<')
      .replaceAll('&amp;', '&');
    const { stdout } = await run('sh', ['-c', command], {
      env: { ...process.env, FINANCIALAPI_KEY: other.key },
    });
    return stdout;
  };
  // Without any account, it opens what it needs.
  assert.match(await paste({ cookie: '' }), /"kind":"transfer".*"amount":"10\.00"/);
  // Where there are accounts with money, it moves some; the next test of a page has the ids in it.
  await other.post('/api/v2/accounts', { name: 'Bia', currency: 'BRL', chart_code: '2100' });
  assert.match(
    await paste({ cookie: `${KEY_COOKIE}=${other.key}` }),
    /"kind":"transfer".*"amount":"1\.00".*My first transfer|My first transfer.*"amount":"1\.00"/,
  );
});
