/**
 * The developer portal in a real browser. Needs a Chromium (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but
 * not in CI. With PICTURES it leaves pictures of every page there: `npm run screens`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { openReceiver, type Receiver, settings } from '../src/services/webhooks/testing.ts';
import { openVisit, skip } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture, screenSizes } from './console.ts';

/** The most that a first look may load, as it is sent to a browser that takes Brotli. */
const FIRST_LOAD_BYTES = 300_000;

const publicPages = {
  front: '/portal',
  explore: '/portal/explore',
  product: '/portal/explore/transfers',
  operation: '/portal/explore/transfers/postTransfers',
  event_types: '/portal/event-types',
  event_type: '/portal/event-types/ledger.transfer.posted',
  errors: '/portal/errors',
  error: '/portal/errors/insufficient_funds',
  changelog: '/portal/changelog',
  status: '/portal/status',
};

const ownPages = {
  home: '/portal',
  try: '/portal/explore/transfers/postTransfers',
  applications: '/portal/applications',
  keys: '/portal/api-keys',
  webhooks: '/portal/webhooks',
  deliveries: '/portal/webhook-deliveries',
  events: '/portal/events',
  sandbox: '/portal/sandbox',
  people: '/portal/people',
  invitations: '/portal/invitations',
  me: '/portal/me',
};

describe('the portal', { skip }, () => {
  let portal: ConsoleTest;
  let receiver: Receiver;
  before(async () => {
    receiver = await openReceiver();
    portal = await openConsole(settings);
  });
  after(async () => {
    await portal?.close();
    receiver?.close();
  });

  const main = (page: Page) => page.getByRole('main');

  test('a first look loads no more than 300 kB, compressed', async (t) => {
    const { page, context } = await portal.signIn('alice');
    const sizes = new Map<string, number>();
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith('/web/')) sizes.set(pathname, Number(response.headers()['content-length']));
    });
    await openPage(page, '/portal');
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(bytes > 50_000 && bytes <= FIRST_LOAD_BYTES, `${bytes} bytes: ${JSON.stringify([...sizes])}`);
    t.diagnostic(`${bytes} bytes`);
    await context.close();
  });

  test('an application is made with a key, and a transfer tried: by the session, and by the key', async () => {
    const { page, context, complaints } = await portal.signIn('alice');
    await openPage(page, '/portal/applications');
    await main(page).getByRole('button', { name: 'Create an application' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Ledgerly');
    await dialog.getByRole('button', { name: 'Create an application' }).click();
    await page.getByText('Ledgerly is ready').waitFor();
    const key = (await page.locator('[data-shown="key"]').textContent()) ?? '';
    assert.match(key, /^fa_test_/);
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await page.waitForURL(/\/portal\/applications\/app_/);
    await main(page).getByRole('link', { name: 'Ledgerly' }).waitFor();
    await assertUsable(page);

    await openPage(page, '/portal/explore/transfers/postTransfers');
    await page.getByText('Filled in with accounts of your sandbox').waitFor();
    await main(page).getByRole('button', { name: 'Send' }).click();
    await page.locator('[data-answer="201"]').waitFor();
    await assertUsable(page);
    await page.getByLabel('Send again with the same Idempotency-Key').check();
    await main(page).getByRole('button', { name: 'Send' }).click();
    await page.getByText('the outcome of before').waitFor();

    await main(page).getByText('By a key').click();
    await page.getByLabel('Sandbox key').fill(key);
    await page.getByLabel('Send again with the same Idempotency-Key').uncheck();
    const Moved = Type.Object({ data: Type.Array(Type.Object({ id: Type.String() })) });
    const before_ = Value.Parse(Moved, await portal.ask('GET', '/api/v2/transfers?limit=100'));
    await main(page).getByRole('button', { name: 'Send' }).click();
    await page.getByText('the outcome of before').waitFor({ state: 'detached' });
    await page.locator('[data-answer="201"]').waitFor();
    const after_ = Value.Parse(Moved, await portal.ask('GET', '/api/v2/transfers?limit=100'));
    assert.equal(after_.data.length, before_.data.length + 1);
    // What is refused leads to what it means.
    await main(page)
      .getByRole('textbox', { name: 'Body' })
      .fill('{"amount":{"amount":"1","currency":"BRL"}}');
    await main(page).getByRole('button', { name: 'Send' }).click();
    await page.locator('[data-answer="400"], [data-answer="422"]').waitFor();
    await page.getByRole('link', { name: /^What \w+ means$/ }).click();
    await page.waitForURL(/\/portal\/errors\/\w+/);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  for (const size of ['desktop', 'phone'] as const) {
    for (const scheme of ['light', 'dark'] as const) {
      test(`every page can be used: ${size}, ${scheme}`, async () => {
        const look = async (page: Page, pages: Readonly<Record<string, string>>) => {
          for (const [name, path] of Object.entries(pages)) {
            await openPage(page, path);
            await picture(page, `portal-${name}-${screenSizes[size].width}-${scheme}`);
            await assertUsable(page);
          }
        };
        const guest = await openVisit(portal.browser, portal.server.url, {
          viewport: screenSizes[size],
          colorScheme: scheme,
        });
        await look(guest.page, publicPages);
        assert.deepEqual(guest.complaints, []);
        await guest.context.close();
        const { page, context, complaints } = await portal.signIn('alice', { size, scheme });
        await look(page, ownPages);
        assert.deepEqual(complaints, []);
        await context.close();
      });
    }
  }
});
