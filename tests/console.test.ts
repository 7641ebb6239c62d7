/**
 * The console in a real browser. Needs a Chromium (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but not in
 * CI. With PICTURES it leaves pictures of every page there: `npm run screens`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { skip } from './browser.ts';
import { type ConsoleTest, heldEvent, openConsole, openPage } from './console.ts';
import { askAs, comeIn, getReady, mailedLink, terms } from './developers.ts';
import { type Exceptions, walkPages } from './pages.ts';

const Thing = Type.Object({ id: Type.String() });
const List = Type.Object({ data: Type.Array(Thing, { minItems: 1 }) });

const exceptions: Exceptions = {
  tables: {
    '/attempts': 'what this tab asked, which the API does not know',
    '/trial-balance': 'a report as of a day, with sums',
    '/integrity': 'the outcome of a check',
    '/usage': 'sums by what was chosen, with controls of their own',
    '/me': 'what there is about one person',
  },
  history: {
    '/attempts/:key': 'what was asked once, and is never changed',
    '/audit/:record_id': 'is a record of the history itself',
    '/events/:event_id': 'what happened, and is never changed',
  },
  call: {},
  rows: {
    '/api/v2/instances': 'what a process says of itself, and nobody changes',
    '/api/v2/jobs/{job}/runs': 'is the history of a job',
    '/api/v2/system-jobs/{job}/runs': 'is the history of a job',
    '/api/v2/self/inbox': 'what one was told, and is never changed',
    '/api/v2/usage/requests': 'what was asked, and is never changed',
  },
  filters: {
    '/api/v2/period-closes': 'a handful in a year, and read from the newest on',
    '/api/v2/communities/{community_id}/announcements': 'few, and read from the newest on',
  },
};

/** The most that a first look may load, as it is sent to a browser that takes Brotli. */
const FIRST_LOAD_BYTES = 300_000;

describe('the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole({ OUTGOING_ALLOW: '127.0.0.0/8' });
  });
  after(() => console_?.close());

  /** The first thing of a list. */
  async function firstOf(path: string): Promise<string> {
    const { data } = Value.Parse(List, await console_.ask('GET', path));
    return data[0]?.id ?? '';
  }

  /** Makes what the demo has none of, so that there is a page of it. */
  async function makeThings(): Promise<Record<string, string>> {
    const make = async (path: string, body: unknown, key?: string) =>
      Value.Parse(Thing, await console_.ask('POST', path, body, key)).id;
    const accounts = {
      debit_account_id: await firstOf('/api/v2/accounts?q=Bruno'),
      credit_account_id: await firstOf('/api/v2/accounts?q=Corner'),
    };
    const amount = { amount: '1.50', currency: 'BRL' };
    await make('/api/v2/transfers', { ...accounts, amount }, 'coffee');
    await console_.ask('PUT', '/api/v2/approval-policies/transfers:post', {
      above: [{ amount: '100.00', currency: 'BRL' }],
    });
    const recipient_id = await make('/api/v2/notifications/recipients', {
      kind: 'staff',
      name: 'Rita Campos',
      email: 'rita@banco-exemplo.example',
    });
    const endpoint_id = await make('/api/v2/webhooks/endpoints', {
      url: 'http://127.0.0.1:9/hooks',
      event_types: ['ledger.transfer.posted'],
    });
    await console_.ask('POST', `/api/v2/webhooks/endpoints/${endpoint_id}/test`);
    await console_.ask('POST', '/api/v2/notifications/messages', {
      recipient_id,
      topic: 'announcement',
      data: { title: 'Closed on Monday', message: 'We are closed on Monday.' },
    });
    const community_id = await make('/api/v2/communities', {
      slug: 'partners',
      name: 'Partners',
      terms,
      sign_up: 'open',
      live_scopes: ['accounts:read'],
    });
    await make(`/api/v2/communities/${community_id}/invitations`, { email: 'gina@guest.example' });
    const joinAndAsk = async () => {
      const email = 'dora@partner.example';
      const link = await mailedLink(console_, {
        community: 'partners',
        email,
        organisation_name: 'Ledgerly',
      });
      const visit = await comeIn(console_, email, link);
      const asked = await askAs(visit, console_, '/api/v2/portal/questions', {
        title: 'How long is a key good?',
        text: 'And can it be longer?',
      });
      await getReady(visit, console_);
      const live = await askAs(visit, console_, '/api/v2/portal/live-requests', {
        name: 'Ledgerly',
        purpose: 'To show balances to their owners.',
        scopes: ['accounts:read'],
        contact_email: email,
        webhooks: 'not_needed',
      });
      await visit.context.close();
      return { question: Value.Parse(Thing, asked).id, live_request: Value.Parse(Thing, live).id };
    };
    const joined = await joinAndAsk();
    const { publicKey } = await generateKeyPair('ES256', { extractable: true });
    const device = {
      label: 'till 3',
      public_key: await exportJWK(publicKey),
      permissions: ['accounts:read'],
    };
    const application = {
      name: 'Ledgerly',
      auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scopes: ['accounts:read'],
    };
    return {
      hold: `holds/${await make('/api/v2/holds', { ...accounts, amount })}`,
      approval: `approvals/${await make('/api/v2/transfers', { ...accounts, amount: { amount: '150.00', currency: 'BRL' } })}`,
      policy: 'approval-policies/transfers:post',
      attempt: 'attempts/coffee',
      period: `periods/${await make('/api/v2/period-closes', { through: '2020-01-31' })}`,
      application: `applications/${await make('/api/v2/applications', application)}`,
      endpoint: `webhooks/${endpoint_id}`,
      delivery: `webhook-deliveries/${await firstOf('/api/v2/webhooks/deliveries')}`,
      recipient: `recipients/${recipient_id}`,
      template: `templates/${await make('/api/v2/notifications/templates', {
        topic: 'announcement',
        channel: 'email',
        language: 'en',
        subject: 'News of the house',
        text: 'Dear reader: {{ message }}',
      })}`,
      message: `messages/${await firstOf('/api/v2/notifications/messages')}`,
      community: `communities/${community_id}`,
      community_invitations: `communities/${community_id}?tab=invitations`,
      question: `communities/${community_id}/questions/${joined.question}`,
      organisation: `organisations/${await firstOf('/api/v2/organisations')}`,
      live_request: `live-requests/${joined.live_request}`,
      device: `devices/${await make('/api/v2/devices', device)}`,
      held_event: `held-events/${heldEvent.consumer}/${heldEvent.event_id}`,
    };
  }

  /** Every page of the institution, with a name for its picture. */
  async function pages(): Promise<Record<string, string>> {
    return {
      home: '',
      accounts: 'accounts',
      account: `accounts/${await firstOf('/api/v2/accounts?q=Ana')}`,
      statement: `accounts/${await firstOf('/api/v2/accounts?q=Ana')}?tab=statement`,
      transfers: 'transfers',
      'new-transfer': `transfers/new?from=${await firstOf('/api/v2/accounts?q=Ana')}`,
      upload: 'transfers/upload',
      attempts: 'attempts',
      holds: 'holds',
      approvals: 'approvals',
      policies: 'approval-policies',
      'trial-balance': 'trial-balance',
      'chart-of-accounts': 'chart-of-accounts',
      periods: 'periods',
      integrity: 'integrity',
      transfer: `transfers/${await firstOf('/api/v2/transfers')}`,
      people: 'people',
      person: `people/${await firstOf('/api/v2/people')}`,
      invitations: 'invitations',
      grants: 'grants',
      roles: 'roles',
      role: 'roles/compliance',
      keys: 'api-keys',
      key: `api-keys/${await firstOf('/api/v2/api-keys')}`,
      applications: 'applications',
      devices: 'devices',
      audit: 'audit',
      record: `audit/${await firstOf('/api/v2/audit')}`,
      inbox: 'inbox',
      me: 'me',
      endpoints: 'webhooks',
      deliveries: 'webhook-deliveries',
      usage: 'usage',
      requests: 'usage/requests',
      events: 'events',
      event: `events/${await firstOf('/api/v2/events')}`,
      held_events: 'held-events',
      jobs: 'jobs',
      job: 'jobs/ledger.expire_holds',
      communities: 'communities',
      organisations: 'organisations',
      live_requests: 'live-requests',
      plans: 'plans',
      plan: 'plans/standard',
      settings: 'settings',
      sandbox: 'sandbox',
      messages: 'messages',
      templates: 'templates',
      recipients: 'recipients',
    };
  }

  /** Pages of who operates the installation. */
  const operatorPages = {
    tenants: 'tenants',
    services: 'services',
    instances: 'services?tab=instances',
    system_jobs: 'system-jobs',
    system_job: 'system-jobs/platform.forget_request_counts',
  };

  let things: Record<string, string> | undefined;
  for (const size of ['desktop', 'phone'] as const) {
    const walk = walkPages('console', exceptions);

    test(`every page can be used: ${size}, light and dark`, async () => {
      const { page, context, complaints } = await console_.signIn('alice', { size });
      for (const [name, path] of Object.entries(await pages())) {
        await walk.look(page, `/console/${path}`.replace(/\/$/, ''), name);
      }
      assert.deepEqual(complaints, []);
      await context.close();
      walk.assertNothingWrong();
    });

    test(`every page of a thing can be used: ${size}, light and dark`, async () => {
      things ??= await makeThings();
      const { page, context, complaints } = await console_.signIn('alice', { size });
      await page.route('**/api/v2/consumers/*/held-events/*', (route) => route.fulfill({ json: heldEvent }));
      for (const [name, path] of Object.entries(things)) await walk.look(page, `/console/${path}`, name);
      assert.deepEqual(complaints, []);
      await context.close();
      const operator = await console_.signInOperator({ size });
      for (const [name, path] of Object.entries(operatorPages)) {
        await walk.look(operator.page, `/console/${path}`, name);
      }
      await operator.page.goto('/console/tenants');
      await operator.page.getByRole('row', { name: /Banco Exemplo/ }).click();
      await operator.page.waitForURL(/\/console\/tenants\/ten_/);
      const { pathname } = new URL(operator.page.url());
      // A page that is shown already would not be shown anew.
      await openPage(operator.page, '/console/tenants');
      await walk.look(operator.page, pathname, 'tenant');
      assert.deepEqual(operator.complaints, []);
      await operator.context.close();
      walk.assertNothingWrong();
    });

    test(`no page is left out: ${size}`, () => walk.assertNoneLeftOut());
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
