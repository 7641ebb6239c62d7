/**
 * The console in a real browser. Needs a Chromium (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but not in
 * CI. With PICTURES it leaves pictures of every page there: `npm run screens`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { skip } from './browser.ts';
import { type ConsoleTest, lookAt, openConsole, openPage } from './console.ts';

const List = Type.Object({ data: Type.Array(Type.Object({ id: Type.String() }), { minItems: 1 }) });

/** The most that a first look may load, as it is sent to a browser that takes Brotli. */
const FIRST_LOAD_BYTES = 300_000;

describe('the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole();
  });
  after(() => console_?.close());

  /** The first thing of a list. */
  async function firstOf(path: string): Promise<string> {
    const { data } = Value.Parse(List, await console_.ask('GET', path));
    return data[0]?.id ?? '';
  }

  /** Every page, with a name for its picture. */
  async function pages(): Promise<Record<string, string>> {
    return {
      home: '/console',
      accounts: '/console/accounts',
      account: `/console/accounts/${await firstOf('/api/v2/accounts?q=Ana')}`,
      statement: `/console/accounts/${await firstOf('/api/v2/accounts?q=Ana')}?tab=statement`,
      transfers: '/console/transfers',
      'new-transfer': `/console/transfers/new?from=${await firstOf('/api/v2/accounts?q=Ana')}`,
      holds: '/console/holds',
      approvals: '/console/approvals',
      'trial-balance': '/console/trial-balance',
      'chart-of-accounts': '/console/chart-of-accounts',
      integrity: '/console/integrity',
      transfer: `/console/transfers/${await firstOf('/api/v2/transfers')}`,
      people: '/console/people',
      person: `/console/people/${await firstOf('/api/v2/people')}`,
      invitations: '/console/invitations',
      grants: '/console/grants',
      roles: '/console/roles',
      role: '/console/roles/compliance',
      keys: '/console/api-keys',
      key: `/console/api-keys/${await firstOf('/api/v2/api-keys')}`,
      applications: '/console/applications',
      devices: '/console/devices',
      audit: '/console/audit',
      record: `/console/audit/${await firstOf('/api/v2/audit')}`,
      me: '/console/me',
      endpoints: '/console/webhooks',
      deliveries: '/console/webhook-deliveries',
      usage: '/console/usage',
      requests: '/console/usage/requests',
      events: '/console/events',
      event: `/console/events/${await firstOf('/api/v2/events')}`,
      held_events: '/console/held-events',
      jobs: '/console/jobs',
      job: '/console/jobs/ledger.expire_holds',
      communities: '/console/communities',
      organisations: '/console/organisations',
      live_requests: '/console/live-requests',
      plans: '/console/plans',
      plan: '/console/plans/standard',
      settings: '/console/settings',
      sandbox: '/console/sandbox',
      messages: '/console/messages',
      templates: '/console/templates',
      recipients: '/console/recipients',
    };
  }

  for (const size of ['desktop', 'phone'] as const) {
    test(`every page can be used: ${size}, light and dark`, async () => {
      const { page, context, complaints } = await console_.signIn('alice', { size });
      for (const [name, path] of Object.entries(await pages())) await lookAt(page, path, name);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }

  test('a first look loads no more than 300 kB, compressed', async (t) => {
    const { page, context } = await console_.signIn('alice');
    const sizes = new Map<string, number>();
    page.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith('/web/')) sizes.set(pathname, Number(response.headers()['content-length']));
    });
    await openPage(page, '/console/accounts');
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(bytes > 50_000 && bytes <= FIRST_LOAD_BYTES, `${bytes} bytes: ${JSON.stringify([...sizes])}`);
    t.diagnostic(`${bytes} bytes`);
    await context.close();
  });

  test('whoever is not signed in is led to sign in, and back to where they wanted to go', async () => {
    const { page, context } = await console_.signIn('alice');
    await context.clearCookies();
    await page.goto('/console/accounts?type=liability');
    await page.waitForURL(/\/identity\/sign-in\?next=/);
    assert.equal(new URL(page.url()).searchParams.get('next'), '/console/accounts?type=liability');
    await context.close();
  });

  test('what is looked for stands in the address: a reload shows the same', async () => {
    const { page, context } = await console_.signIn('otto');
    await openPage(page, '/console/accounts');
    await page.getByLabel('Name contains').fill('Ana');
    await page.waitForURL(/q=Ana/);
    await page.getByRole('row', { name: /Ana Souza/ }).waitFor();
    await page.getByText('Bruno Lima').waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('row', { name: /Ana Souza/ }).waitFor();
    assert.equal(await page.getByText('Bruno Lima').count(), 0);
    await context.close();
  });

  test('an account is frozen by a button that says what follows, and its history tells who did it', async () => {
    const id = await firstOf('/api/v2/accounts?q=Corner');
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, `/console/accounts/${id}`);
    await page.getByRole('main').getByRole('button', { name: 'Freeze', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Nothing moves on a frozen account').waitFor();
    await dialog.getByRole('button', { name: 'Freeze' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('main').getByRole('button', { name: 'Unfreeze' }).waitFor();
    const Account = Type.Object({ status: Type.String() });
    const status = async () =>
      Value.Parse(Account, await console_.ask('GET', `/api/v2/accounts/${id}`)).status;
    assert.equal(await status(), 'frozen');
    await page.getByRole('main').getByRole('button', { name: 'Unfreeze' }).click();
    await dialog.getByRole('button', { name: 'Unfreeze' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('main').getByRole('button', { name: 'Freeze', exact: true }).waitFor();
    assert.equal(await status(), 'open');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('in Portuguese it says the same, and writes money as in Brazil', async () => {
    const { page, context } = await console_.signIn('alice', { language: 'pt' });
    await openPage(page, '/console/accounts?q=Ana');
    assert.equal(await page.locator('h1').textContent(), 'Contas');
    assert.equal(await page.locator('html').getAttribute('lang'), 'pt-BR');
    await page
      .getByText(/R\$\s2\.923,21/)
      .first()
      .waitFor();
    await context.close();
  });

  test('who may not see a page is told what it needs', async () => {
    const { page, context } = await console_.signIn('otto');
    await page.route('**/api/v2/self', async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      await route.fulfill({ response: answer, json: { ...body, permissions: ['self:read'] } });
    });
    await openPage(page, '/console/accounts');
    await page.getByText('It needs the permission accounts:read').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Accounts' }).count(), 0);
    await context.close();
  });

  test('by the keyboard one goes to pages and finds things by id or name', async () => {
    const id = await firstOf('/api/v2/accounts?q=Bruno');
    const { page, context } = await console_.signIn('otto');
    // What is typed before it has the focus is typed elsewhere.
    const search = page.getByPlaceholder('Type an id, a name or a page');
    await openPage(page, '/console');
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.waitForURL(/\/console\/accounts$/);
    await page.keyboard.press('Control+k');
    await search.and(page.locator(':focus')).waitFor();
    await page.keyboard.type('Bruno');
    await page.getByRole('dialog').getByText('Bruno Lima').waitFor();
    await page.keyboard.press('Escape');
    await search.waitFor({ state: 'detached' });
    await page.keyboard.press('Control+k');
    await search.and(page.locator(':focus')).waitFor();
    await page.keyboard.type(id);
    await page.getByText(`Open ${id}`).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(new RegExp(`/console/accounts/${id}$`));
    await context.close();
  });
});
