/**
 * The developer portal in a real browser. Needs a Chromium (CHROMIUM, or /usr/bin/chromium); without one it is skipped, but
 * not in CI. With PICTURES it leaves pictures of every page there: `npm run screens`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Secret, TOTP } from 'otpauth';
import type { Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { eventually, openReceiver, type Receiver, settings } from '../src/services/webhooks/testing.ts';
import { addAuthenticator, openVisit, skip, type Visit } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture, screenSizes } from './console.ts';

import { askAs, comeIn, mailedLink, mailedPath, terms } from './developers.ts';
import { type Exceptions, walkPages } from './pages.ts';

/** The most that a first look may load, as it is sent to a browser that takes Brotli. */
const FIRST_LOAD_BYTES = 300_000;

const publicPages = {
  front: '/portal',
  community: '/portal/partners',
  sign_up: '/portal/partners/sign-up',
  sign_up_by_invitation: '/portal/guests/sign-up',
  verify: '/portal/verify',
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
  usage: '/portal/usage',
  people: '/portal/people',
  invitations: '/portal/invitations',
  inbox: '/portal/inbox',
  me: '/portal/me',
};

/** Pages of who came by a community. */
const communityPages = {
  first_home: '/portal',
  live: '/portal/live',
  questions: '/portal/questions',
  announcements: '/portal/announcements',
};

const aboutTheApi = 'is about the API, and not of the institution';
const exceptions: Exceptions = {
  tables: {
    '/': 'the last of what happened, which leads to the lists',
    '/event-types': aboutTheApi,
    '/errors': aboutTheApi,
    '/usage': 'sums by what was chosen, with controls of their own',
    '/me': 'what there is about one person',
  },
  history: {
    '/:slug': 'is the front of a community',
    '/explore/:product': aboutTheApi,
    '/explore/:product/:operation': aboutTheApi,
    '/event-types/:type': aboutTheApi,
    '/errors/:code': aboutTheApi,
    '/events/:event_id': 'what happened, and is never changed',
    '/questions/:question_id': 'is of the community, and the institution has its history',
  },
  call: {
    '/:slug': 'is the front of a community',
    '/explore/:product': aboutTheApi,
    '/explore/:product/:operation': 'is about a call, and tries it',
    '/event-types/:type': aboutTheApi,
    '/errors/:code': aboutTheApi,
  },
  rows: {
    '/api/v2/accounts': 'is of the sandbox, where whoever wants more asks the API',
    '/api/v2/self/inbox': 'what one was told, and is never changed',
    '/api/v2/usage/requests': 'what was asked, and is never changed',
  },
  filters: {},
};

const Thing = Type.Object({ id: Type.String() });
const List = Type.Object({ data: Type.Array(Thing, { minItems: 1 }) });

describe('the portal', { skip }, () => {
  let portal: ConsoleTest;
  let receiver: Receiver;
  before(async () => {
    receiver = await openReceiver();
    portal = await openConsole(settings);
    await portal.ask('POST', '/api/v2/communities', {
      slug: 'partners',
      name: 'Partners',
      description: 'For those who build on the accounts of our customers.',
      brand: { display_name: 'Exemplo Developers', primary_color: '#7a1fa2' },
      terms: { version: '2027-01', text: 'Be kind to the API.\n\n- Keep keys where secrets are kept.' },
      sign_up: 'open',
      listed: true,
      apis: ['Accounts', 'Transfers', 'Webhooks'],
      live_scopes: ['accounts:read', 'transfers:read', 'transfers:post'],
    });
    await portal.ask('POST', '/api/v2/communities', {
      slug: 'guests',
      name: 'Guests',
      terms,
      sign_up: 'invitation',
      listed: true,
    });
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

  test('a developer comes from the front page to a key, a transfer, a webhook and access beyond the sandbox', async () => {
    const { page, context, complaints } = await openVisit(portal.browser, portal.server.url, {
      viewport: screenSizes.desktop,
    });
    await context.addInitScript(`localStorage.setItem('financialapi.language', 'en')`);
    const dialog = page.getByRole('dialog');
    const button = (name: string) => main(page).getByRole('button', { name, exact: true });

    await openPage(page, '/');
    await page.getByRole('link', { name: /^Developer portal/ }).click();
    await main(page).getByRole('link', { name: 'Exemplo Developers', exact: true }).click();
    await page.waitForURL(/\/portal\/partners$/);
    // What the community is shown, and nothing else.
    await main(page).getByRole('link', { name: 'accounts' }).waitFor();
    assert.equal(await main(page).getByRole('link', { name: 'holds' }).count(), 0);
    await main(page).getByRole('link', { name: 'Sign up' }).click();
    await page.getByLabel('Your name').fill('Dora Dev');
    await page.getByLabel('E-mail address').fill('dora@partner.example');
    await page.getByRole('textbox', { name: 'Organisation' }).fill('Ledgerly');
    assert.equal(await button('Sign up').isDisabled(), true);
    await page.getByLabel('I accept the terms').check();
    await button('Sign up').click();
    await page.getByText('Banco Exemplo finds the link for it in the console under Messages').waitFor();
    await assertUsable(page);

    await openPage(page, await mailedPath(portal, 'dora@partner.example'));
    await page.getByLabel(/^Password/).fill('four words make one');
    await page.getByLabel('The same again').fill('four words make one');
    await picture(page, 'portal-password-1440-light');
    await assertUsable(page);
    await button('Come in').click();
    await page.waitForURL(/\/portal$/);
    await page.goBack();
    assert.equal(new URL(page.url()).hash, '', 'the token is not kept in the history');
    await openPage(page, '/portal');
    await page.getByRole('heading', { name: 'Welcome, Dora Dev' }).waitFor();
    await picture(page, 'portal-first-home-1440-light');
    await assertUsable(page);

    await openPage(page, '/portal/sandbox');
    await button('Fill with sample data').click();
    await dialog.getByRole('button', { name: 'Fill with sample data' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('Ana Souza').waitFor();
    // What would erase something is asked for by name.
    assert.equal(await button('Fill with sample data').count(), 0);
    await button('Empty the sandbox').click();
    assert.equal(await dialog.getByRole('button', { name: 'Empty the sandbox' }).isDisabled(), true);
    await page.keyboard.press('Escape');

    await openPage(page, '/portal/applications?new');
    await dialog.getByLabel('Name').fill('Invoices');
    await dialog.getByRole('button', { name: 'Create an application' }).click();
    await page.getByText('Invoices is ready').waitFor();
    const key = (await page.locator('[data-shown="key"]').textContent()) ?? '';
    await picture(page, 'portal-made-1440-light');
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await page.waitForURL(/\/portal\/applications\/app_/);
    const called = await fetch(`${portal.server.url}/api/v2/accounts`, {
      headers: { authorization: `Bearer ${key}` },
    });
    assert.equal(called.status, 200);

    const application = new URL(page.url()).pathname;
    await openPage(page, '/portal/invitations');
    await button('Invite').click();
    await dialog.getByRole('combobox', { name: 'Roles' }).click();
    assert.deepEqual(await page.getByRole('option').allTextContents(), [
      'administrator',
      'auditor',
      'developer',
    ]);
    await page.keyboard.press('Escape');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });

    await openPage(page, '/portal/usage');
    await page.locator('[data-notices="none"]').waitFor();
    await button('Choose').click();
    await dialog.getByText('When a limit is used up', { exact: true }).click();
    await picture(page, 'portal-notices-1440-light');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.locator('[data-notices="100"]').waitFor();
    await main(page).getByText('You have no live application yet').waitFor();
    await assertUsable(page);
    await openPage(page, application);

    await button('Add an endpoint').click();
    await dialog.getByLabel('Address').fill(`${receiver.url}/hooks`);
    await dialog.getByRole('button', { name: 'Make an endpoint' }).click();
    await page.locator('[data-secret]').waitFor();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await main(page)
      .getByRole('link', { name: `${receiver.url}/hooks` })
      .waitFor();
    await picture(page, 'portal-application-1440-light');
    await assertUsable(page);

    await openPage(page, '/portal/explore/transfers/postTransfers');
    await page.getByText('Filled in with accounts of your sandbox').waitFor();
    await button('Send').click();
    await page.locator('[data-answer="201"]').waitFor();
    await picture(page, 'portal-tried-1440-light');
    const sent = await eventually('a webhook', async () => receiver.at('/hooks')[0]);
    assert.equal(sent.event.type, 'ledger.transfer.posted');
    await openPage(page, '/portal/webhook-deliveries?status=delivered');
    await page
      .getByRole('row', { name: /ledger.transfer.posted/ })
      .first()
      .waitFor();

    await openPage(page, '/portal/questions');
    await button('Ask a question').click();
    await dialog.getByLabel('In a line').fill('How long is a key good?');
    await dialog.getByLabel('What you want to know').fill('And can it be longer?');
    await dialog.getByRole('button', { name: 'Ask a question' }).click();
    await page.waitForURL(/\/portal\/questions\/que_/);
    await button('Answer').click();
    await dialog.getByLabel('Your answer').fill('Until it is revoked.');
    await dialog.getByRole('button', { name: 'Answer' }).click();
    await main(page).getByText('Until it is revoked.').waitFor();
    await picture(page, 'portal-question-1440-light');
    await assertUsable(page);
    await openPage(page, '/portal/announcements');
    await page.getByText('Nothing was announced yet').waitFor();
    await assertUsable(page);

    await openPage(page, '/portal/live');
    await page.locator('[data-item="sandbox_used"][data-done="true"]').waitFor();
    assert.equal(await button('Ask for live access').count(), 0);
    await button('Set up a second factor').click();
    const secret = (await dialog.locator('code').first().textContent()) ?? '';
    await assertUsable(page);
    await dialog.getByLabel('Code of the app').fill(TOTP.generate({ secret: Secret.fromBase32(secret) }));
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await button('Ask for live access').click();
    await dialog.getByLabel('Name of the application').fill('Invoices');
    await dialog.getByLabel('What it does, and for whom').fill('Pays invoices');
    await dialog.getByRole('combobox', { name: 'What it needs to do' }).click();
    await page.getByRole('option', { name: 'accounts:read' }).click();
    await page.keyboard.press('Tab');
    await picture(page, 'portal-ask-1440-light');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Ask for live access' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page)
      .getByRole('row', { name: /Invoices waits/ })
      .waitFor();
    const Requests = Type.Object({ data: Type.Array(Type.Object({ id: Type.String() }), { minItems: 1 }) });
    const { data } = Value.Parse(Requests, await portal.ask('GET', '/api/v2/live-requests'));
    await portal.ask('POST', `/api/v2/live-requests/${data[0]?.id}/approve`, {});
    await openPage(page, '/portal/live');
    await button('Make a key').click();
    await dialog.getByRole('button', { name: 'Make a key' }).click();
    await page.locator('[data-secret]').waitFor();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await picture(page, 'portal-live-given-1440-light');
    await assertUsable(page);
    await openPage(page, '/portal/usage');
    await main(page).getByRole('combobox', { name: 'Live application' }).waitFor();
    await main(page).getByText('The last 24 hours, at your institution.').waitFor();
    await picture(page, 'portal-live-usage-1440-light');
    await assertUsable(page);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('where the community asks for a second factor first, there is nothing else until it is set up', async () => {
    await portal.ask('POST', '/api/v2/communities', {
      slug: 'careful',
      name: 'Careful',
      terms,
      sign_up: 'open',
      second_factor: 'at_sign_up',
    });
    const email = 'carla@partner.example';
    const link = await mailedLink(portal, { community: 'careful', email, organisation_name: 'Careful Ltd' });
    const { page, context, complaints } = await comeIn(portal, email, link, 'phone');
    await openPage(page, '/portal/applications');
    await page.getByRole('heading', { name: 'First, a second factor' }).waitFor();
    assert.equal(await page.getByRole('navigation').count(), 0);
    await picture(page, 'portal-factor-first-390-light');
    await assertUsable(page);
    await main(page).getByRole('button', { name: 'Set up a second factor' }).click();
    const dialog = page.getByRole('dialog');
    const secret = (await dialog.locator('code').first().textContent()) ?? '';
    await dialog.getByLabel('Code of the app').fill(TOTP.generate({ secret: Secret.fromBase32(secret) }));
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await main(page).getByRole('button', { name: 'Create an application' }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a passkey is a second factor, too', async () => {
    const email = 'paula@partner.example';
    const link = await mailedLink(portal, { community: 'careful', email, organisation_name: 'Passkeys Ltd' });
    const visit = await comeIn(portal, email, link);
    const { page, context, complaints } = visit;
    await addAuthenticator(visit);
    await openPage(page, '/portal');
    await main(page).getByRole('button', { name: 'Add a passkey' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('laptop');
    await dialog.getByRole('button', { name: 'Add a passkey' }).click();
    await page.getByRole('navigation').getByRole('link', { name: 'Home' }).waitFor();
    await openPage(page, '/portal/me');
    await main(page)
      .getByRole('row', { name: /^laptop/ })
      .waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  /** Makes what the demo has none of, so that there is a page of it. */
  async function makeThings(): Promise<Record<string, string>> {
    const make = async (path: string, body?: unknown) =>
      Value.Parse(Thing, await portal.ask('POST', path, body)).id;
    const firstOf = async (path: string) => Value.Parse(List, await portal.ask('GET', path)).data[0]?.id;
    const application = await make('/api/v2/applications', {
      name: 'Receipts',
      auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scopes: ['accounts:read'],
    });
    const endpoint = await make('/api/v2/webhooks/endpoints', {
      url: `${receiver.url}/things`,
      event_types: ['ledger.transfer.posted'],
    });
    await portal.ask('POST', `/api/v2/webhooks/endpoints/${endpoint}/test`);
    return {
      application: `/portal/applications/${application}`,
      key: `/portal/api-keys/${await firstOf('/api/v2/api-keys')}`,
      endpoint: `/portal/webhooks/${endpoint}`,
      delivery: `/portal/webhook-deliveries/${await firstOf('/api/v2/webhooks/deliveries')}`,
      event: `/portal/events/${await firstOf('/api/v2/events')}`,
      requests: '/portal/usage/requests',
      person: `/portal/people/${await firstOf('/api/v2/people')}`,
      role: '/portal/roles/developer',
    };
  }

  let things: Record<string, string> | undefined;
  let developer: Visit | undefined;
  let question: string;
  for (const size of ['desktop', 'phone'] as const) {
    const walk = walkPages('portal', exceptions);
    const look = async (page: Page, pages: Readonly<Record<string, string>>) => {
      for (const [name, path] of Object.entries(pages)) await walk.look(page, path, `portal-${name}`);
    };

    test(`every page can be used: ${size}, light and dark`, async () => {
      const guest = await openVisit(portal.browser, portal.server.url, { viewport: screenSizes[size] });
      await guest.context.addInitScript(`localStorage.setItem('financialapi.language', 'en')`);
      await look(guest.page, publicPages);
      assert.deepEqual(guest.complaints, []);
      await guest.context.close();
      walk.assertNothingWrong();
    });

    test(`every page of who is signed in can be used: ${size}, light and dark`, async () => {
      things ??= await makeThings();
      const { page, context, complaints } = await portal.signIn('alice', { size });
      await look(page, ownPages);
      await look(page, things);
      assert.deepEqual(complaints, []);
      await context.close();
      if (developer === undefined) {
        const email = 'quinn@partner.example';
        const who = { community: 'partners', email, organisation_name: 'Questions' };
        developer = await comeIn(portal, email, await mailedLink(portal, who));
        const asked = await askAs(developer, portal, '/api/v2/portal/questions', {
          title: 'Is there a test card?',
          text: 'And may it be declined?',
        });
        question = Value.Parse(Thing, asked).id;
      }
      await developer.page.setViewportSize(screenSizes[size]);
      await look(developer.page, {
        ...communityPages,
        question: `/portal/questions/${question}`,
      });
      assert.deepEqual(developer.complaints, []);
      walk.assertNothingWrong();
    });

    test(`no page is left out: ${size}`, () => walk.assertNoneLeftOut());
  }
});
