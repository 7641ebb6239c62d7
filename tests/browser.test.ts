/**
 * The pages in a real browser, on a demo: log in with one click, open an account, move money, be refused, follow links.
 * Needs a Chromium (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but not in CI.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { findDemoKey, openDemo } from '../src/demo.ts';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';
import { assertNoOverflow, desktop, launchBrowser, openVisit, phone, skip } from './browser.ts';

let running: Running;
let browser: Browser;
const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-browser-'));
/** What was opened is closed in the other order, also when opening the next thing failed. */
const undo: (() => Promise<void>)[] = [async () => rmSync(data_dir, { recursive: true, force: true })];

before(async () => {
  if (skip !== false) return;
  browser = await launchBrowser();
  undo.push(() => browser.close());
  const database = await migratedDatabase();
  undo.push(() => database.drop());
  const config = readConfig({
    DATABASE_URL: database.url,
    DATA_DIR: data_dir,
    PORT: '0',
    DEMO: 'true',
    LOG_LEVEL: 'error',
    POOL_SIZE: '5',
  });
  running = await boot(config, services, { findDemoKey: () => findDemoKey(config) });
  undo.push(() => running.stop());
  await openDemo(running, config, () => {});
});
after(async () => {
  for (const step of undo.toReversed()) await step();
});

const visit = (viewport: { width: number; height: number }) => openVisit(browser, running.url, { viewport });

async function logIn(page: Page): Promise<void> {
  await page.goto('/');
  await page.getByRole('button', { name: 'Log in to the demo' }).click();
  await page.getByText('You are logged in to').waitFor();
}

/** Ids of two customers' accounts in BRL. */
async function customers(page: Page): Promise<[string, string]> {
  const ids = await page.evaluate<string[]>(
    `fetch('/api/v2/accounts?currency=BRL&type=liability', { headers: { accept: 'application/json' } })
      .then((answer) => answer.json())
      .then(({ data }) => ['Ana Souza', 'Bruno Lima'].map((name) => data.find((a) => a.name === name).id))`,
  );
  const [ana, bruno] = ids;
  assert.ok(ana !== undefined && bruno !== undefined);
  return [ana, bruno];
}

function formFor(page: Page, path: string) {
  return page.locator(`form.operation[data-path="${path}"]`);
}

test('one click logs in, a form opens an account, and its page can be edited', { skip }, async () => {
  const { context, page, complaints } = await visit(desktop);
  await logIn(page);
  await page.getByRole('link', { name: 'See its accounts' }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.locator('#post-api-v2-accounts > summary').click();
  const form = formFor(page, '/api/v2/accounts');
  await form.getByLabel('name', { exact: false }).first().fill('<script>alert(1)</script> & "Sons"');
  await form.getByText('Optional:').first().click();
  await form.getByRole('button', { name: 'Add an entry' }).click();
  await form.locator('[data-part="name"]').fill('order_id');
  await form.locator('[data-part="value"]').fill(`it's "quoted"`);
  const key = await form.locator('[data-header="Idempotency-Key"]').inputValue();
  await form.locator('[data-send]').click();
  await form.getByText('201 Created').waitFor();
  assert.notEqual(await form.locator('[data-header="Idempotency-Key"]').inputValue(), key, 'a fresh key');

  await form.locator('output .headers a').click();
  await page.getByRole('heading', { name: '<script>alert(1)</script> & "Sons"' }).waitFor();
  assert.match((await page.locator('#answer .json').textContent()) ?? '', /"order_id": "it's \\"quoted\\""/);

  const path = new URL(page.url()).pathname;
  await page.locator(`[id="patch${path.replaceAll(/[^a-z0-9]+/g, '-')}"] > summary`).click();
  const edit = formFor(page, path);
  await edit.getByLabel('name', { exact: false }).first().fill('Sons Ltd');
  await edit.locator('[data-send]').click();
  await edit.getByText('200 OK').waitFor();
  assert.equal(await edit.locator('[data-header="If-Match"]').inputValue(), '"2"', 'the new ETag');
  await edit.getByLabel('name', { exact: false }).first().fill('Sons and Daughters');
  await edit.locator('[data-send]').click();
  await edit.locator('output').getByText('Sons and Daughters').waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test('a transfer by form and by raw JSON; a refusal says what and where', { skip }, async () => {
  const { context, page, complaints } = await visit(desktop);
  await logIn(page);
  const [ana, bruno] = await customers(page);
  await page.goto('/api/v2/transfers#post-api-v2-transfers');
  const form = formFor(page, '/api/v2/transfers');
  const debit = form.getByLabel('debit_account_id').first();
  await debit.focus();
  await form.locator('datalist option').first().waitFor({ state: 'attached' });
  await debit.fill(ana);
  await form.getByLabel('credit_account_id').first().fill(bruno);
  const amount = form.locator('[data-name="amount"] [data-part="amount"]').first();
  await amount.fill('1.25');
  await form.locator('[data-send]').click();
  await form.getByText('201 Created').waitFor();

  await amount.fill('99999999');
  await form.locator('[data-send]').click();
  await form.getByText('422 Unprocessable Entity').waitFor();
  await form.getByText('Insufficient funds.').waitFor();

  await amount.fill('one');
  await form.locator('[data-send]').click();
  await form.getByText('400 Bad Request').waitFor();
  await form.locator('.field-error').first().waitFor();
  assert.equal(await amount.getAttribute('aria-invalid'), 'true');

  await form.getByRole('tab', { name: 'Raw JSON' }).click();
  const raw = form.getByLabel('Body, as JSON');
  assert.equal(JSON.parse(await raw.inputValue()).debit_account_id, ana, 'the fields as JSON');
  await raw.fill(
    JSON.stringify({
      debit_account_id: ana,
      credit_account_id: bruno,
      amount: { amount: '0.75', currency: 'BRL' },
      description: "it's raw",
    }),
  );
  assert.match((await form.locator('.ascurl pre').textContent()) ?? '', /it'\\''s raw/);
  await form.locator('[data-send]').click();
  await form.getByText('201 Created').waitFor();
  await form.locator('output .headers a').click();
  await page.getByRole('heading', { name: "it's raw" }).waitFor();

  // From a transfer to its reversal, below its own URL.
  const path = new URL(page.url()).pathname;
  await page.getByText('Reverse a transfer').click();
  const reversal = formFor(page, `${path}/reversals`);
  await reversal.getByLabel('dry_run').check();
  await reversal.getByRole('tab', { name: 'Raw JSON' }).click();
  await reversal.getByLabel('Body, as JSON').fill('{}');
  await reversal.locator('[data-send]').click();
  await reversal.getByText('201 Created').waitFor();
  await page.reload();
  assert.match((await page.locator('#answer .json').textContent()) ?? '', /"reversed_by": \[\]/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('links and cursors lead on, filters are a form, and a refusal has a page', { skip }, async () => {
  const { context, page, complaints } = await visit(desktop);
  await page.goto('/api/v2/accounts?limit=5');
  await page.getByRole('button', { name: 'Log in to the demo' }).click();
  await page.getByText('200 OK').waitFor();
  assert.equal(new URL(page.url()).search, '?limit=5', 'the log-in leads back');
  const ids = new Set<string>();
  for (;;) {
    for (const id of await page.locator('tbody td:first-child').allTextContents()) ids.add(id);
    const next = page.getByRole('link', { name: 'Next page' });
    if ((await next.count()) === 0) break;
    await next.click();
    await page.waitForLoadState();
  }
  assert.ok(ids.size >= 13);
  await page.getByRole('link', { name: 'First page' }).click();
  await page.getByText('Options and filters').click();
  await page.getByLabel('q', { exact: true }).fill('souza');
  await page.getByRole('button', { name: 'GET', exact: true }).click();
  await page.waitForURL(/q=souza/);
  assert.deepEqual([...new URL(page.url()).searchParams.keys()].toSorted(), ['limit', 'q']);
  await page.locator('tbody a').first().click();
  await page.getByRole('heading', { name: 'Ana Souza' }).waitFor();
  await page.getByRole('link', { name: 'accounts', exact: true }).click();
  await page.waitForURL(/accounts$/);

  await page.goto('/api/v2/transfers/trf_01h455vb4pex5vsknk084sn02q');
  await page.getByRole('link', { name: 'transfer_not_found', exact: true }).click();
  await page.getByRole('heading', { name: 'No such transfer' }).waitFor();

  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in to the demo' }).waitFor();
  await page.goto('/api/v2/accounts');
  await page.getByText('401 Unauthorized').waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

/** Sends the request for the list of accounts from the reference. */
async function sendFromReference(page: Page) {
  await page.goto('/docs#tag/accounts/GET/api/v2/accounts');
  await page
    .getByRole('button', { name: /Test Request.*get \/api\/v2\/accounts\b/i })
    .first()
    .click();
  const answered = page.waitForResponse((response) => response.url().includes('/api/v2/accounts'));
  await page.getByRole('button', { name: /^Send/ }).first().click();
  const response = await answered;
  const { authorization } = await response.request().allHeaders();
  return { authorization, status: response.status(), body: await response.json() };
}

test('the reference sends a request with the demo key, and asks no other host', { skip }, async () => {
  const { context, page, complaints } = await visit(desktop);
  await logIn(page);
  const { status, authorization, body } = await sendFromReference(page);
  assert.equal(status, 200);
  assert.match(authorization ?? '', /^Bearer fa_test_/);
  assert.ok(body.data.length > 0);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('the reference never shows a key but that of the demo; its requests go with the log-in', {
  skip,
}, async () => {
  const { context, page, complaints } = await visit(desktop);
  await page.goto('/docs');
  assert.equal(await page.locator('#reference').getAttribute('data-token'), '');
  const tenant_id = await createTenant(running.platform, { name: 'Another', base_currency: 'BRL' });
  const key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'own' });
  await page.goto('/login?next=/docs');
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Log in with a key' }).click();
  await page.getByText('Logged in to Another').waitFor();
  assert.ok(!(await page.content()).includes(key));
  const { status, authorization } = await sendFromReference(page);
  assert.equal(status, 200);
  assert.equal(authorization, undefined);
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const [name, viewport] of Object.entries({ desktop, phone })) {
  test(`nothing is wider than the window: ${name}`, { skip }, async () => {
    const { context, page, complaints } = await visit(viewport);
    for (const path of ['/', '/login', '/api/v2/accounts', '/errors', '/errors/insufficient_funds']) {
      await page.goto(path);
      await assertNoOverflow(page);
    }
    await logIn(page);
    const [ana] = await customers(page);
    for (const path of [
      '/',
      '/api/v2/accounts',
      `/api/v2/accounts/${ana}`,
      '/api/v2/transfers',
      '/nowhere',
      '/docs',
    ]) {
      await page.goto(path);
      // With every form open.
      await page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })");
      await assertNoOverflow(page);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });
}
