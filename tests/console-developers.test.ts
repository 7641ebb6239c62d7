/** Communities of developers, their organisations and what they ask for, by the console in a real browser. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { png } from '../src/services/identity/communities/testing.ts';
import { openVisit, skip, type Visit } from './browser.ts';
import {
  assertUsable,
  type ConsoleTest,
  lookAt,
  openConsole,
  openPage,
  picture,
  screenSizes,
} from './console.ts';
import { askAs, comeIn, getReady, mailedLink, mailedPath, terms, verify } from './developers.ts';

const ListOf = <Row extends TSchema>(row: Row) => Type.Object({ data: Type.Array(row) });
const Community = Type.Object({
  id: Type.String(),
  name: Type.String(),
  slug: Type.String(),
  sign_up: Type.String(),
  terms: Type.Object({ version: Type.String() }),
  live_scopes: Type.Array(Type.String()),
  listed: Type.Boolean(),
});
const Organisation = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String(),
  reason: Type.Optional(Type.String()),
});
const LiveRequest = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String(),
  reason: Type.Optional(Type.String()),
  application_id: Type.Optional(Type.String()),
});
const Application = Type.Object({ scopes: Type.Array(Type.String()) });
const Announcement = Type.Object({ title: Type.String(), withdrawn_at: Type.Optional(Type.String()) });
const Invitation = Type.Object({
  id: Type.String(),
  email: Type.String(),
  status: Type.String(),
  organisation_id: Type.Optional(Type.String()),
});
const Thing = Type.Object({ id: Type.String() });
const Question = Type.Object({
  id: Type.String(),
  hidden_reason: Type.Optional(Type.String()),
  data: Type.Array(Type.Object({ text: Type.String(), hidden_reason: Type.Optional(Type.String()) })),
});

describe('developers in the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole();
    const community = { name: 'Partners', terms, live_scopes: ['accounts:read', 'transfers:*'] };
    for (const [slug, sign_up] of [
      ['partners', 'open'],
      ['vendors', 'approval'],
      ['guests', 'invitation'],
    ]) {
      await console_.ask('POST', '/api/v2/communities', { ...community, slug, sign_up });
    }
  });
  after(() => console_?.close());

  const main = (page: Page) => page.getByRole('main');
  const button = (page: Page, name: string) => main(page).getByRole('button', { name, exact: true });

  /** That a picture was loaded, and fills no more than its square. */
  async function assertShows(page: Page, name: string): Promise<void> {
    await main(page).getByRole('img', { name, exact: true }).waitFor();
    const shown: unknown = await page.evaluate(`(async () => {
      const picture = document.querySelector('main img[alt="${name}"]');
      await picture.decode();
      return [picture.naturalWidth > 0, picture.clientWidth === picture.clientHeight];
    })()`);
    assert.deepEqual(shown, [true, true]);
  }

  async function list<Row extends TSchema>(row: Row, path: string): Promise<Static<Row>[]> {
    const { data } = Value.Parse(ListOf(row), await console_.ask('GET', path));
    return data.map((one) => Value.Parse(row, one));
  }

  async function communityOf(slug: string) {
    const found = (await list(Community, '/api/v2/communities')).find((one) => one.slug === slug);
    assert.ok(found !== undefined, slug);
    const { id, name, sign_up, terms: agreed, live_scopes, listed } = found;
    return { id, name, sign_up, version: agreed.version, live_scopes, listed };
  }

  async function organisationOf(name: string) {
    const found = (await list(Organisation, '/api/v2/organisations')).find((one) => one.name === name);
    assert.ok(found !== undefined, name);
    return found;
  }

  /** Fills in what the dialog asks for, and does it. */
  async function decide(page: Page, verb: string, reason?: string): Promise<void> {
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: verb, exact: true });
    if (reason !== undefined) {
      assert.equal(await confirm.isDisabled(), true);
      await dialog.getByLabel('Reason').fill(reason);
    }
    await confirm.click();
    await dialog.waitFor({ state: 'detached' });
  }

  /** Somebody of an organisation that may go on at once. */
  async function developer(organisation_name: string): Promise<Visit> {
    const email = `${organisation_name.toLowerCase()}@partner.example`;
    const link = await mailedLink(console_, { community: 'partners', email, organisation_name });
    return comeIn(console_, email, link);
  }

  test('a community is made, and edited: both are what the API tells', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/communities');
    await button(page, 'Create a community').click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Create a community' });
    await dialog.getByLabel('Name in addresses').fill('fintechs');
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('Fintechs');
    await dialog.getByRole('combobox', { name: 'Who joins' }).click();
    await page.getByRole('option', { name: 'nobody' }).click();
    await dialog.getByLabel('Version of the terms').fill('1');
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByRole('textbox', { name: 'Terms', exact: true }).fill('Ask before you publish.');
    await dialog.getByLabel('May be asked for').fill('accounts:read transfers:post');
    await dialog.getByLabel('Named on the front page').uncheck();
    await assertUsable(page);
    await confirm.click();
    await dialog.waitFor({ state: 'detached' });
    const { id, ...made } = await communityOf('fintechs');
    assert.deepEqual(made, {
      name: 'Fintechs',
      sign_up: 'closed',
      version: '1',
      live_scopes: ['accounts:read', 'transfers:post'],
      listed: false,
    });

    await page
      .getByRole('row', { name: /Fintechs/ })
      .getByRole('button', { name: 'Edit' })
      .click();
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('Fintechs of Brazil');
    await dialog.getByLabel('May be asked for').fill('accounts:read');
    await decide(page, 'Save');
    await page.getByRole('row', { name: /Fintechs of Brazil/ }).waitFor();
    const edited = await communityOf('fintechs');
    assert.deepEqual(edited, { id, ...made, name: 'Fintechs of Brazil', live_scopes: ['accounts:read'] });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a logo is looked at, uploaded, shown by the portal under its policy, and removed', async () => {
    await console_.ask('POST', '/api/v2/communities', {
      slug: 'drawn',
      name: 'Drawn',
      terms,
      sign_up: 'open',
      listed: true,
      brand: { primary_color: '#7a1fa2' },
    });
    const { id } = await communityOf('drawn');
    const { page, context, complaints } = await console_.signIn('alice');
    const on = `/console/communities/${id}?tab=brand`;
    await openPage(page, on);
    await main(page).getByText('There is none').waitFor();
    await button(page, 'Upload logo').click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Upload logo' });
    const file = dialog.getByRole('button', { name: 'Picture', exact: true });
    const choose = async (name: string, mimeType: string, buffer: Buffer) => {
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), file.click()]);
      await chooser.setFiles({ name, mimeType, buffer });
    };
    for (const [name, type, bytes, said] of [
      ['logo.svg', 'image/svg+xml', Buffer.from('<svg/>'), 'neither PNG nor WebP'],
      ['heavy.png', 'image/png', Buffer.alloc(65_537), 'This file has 64.1 KiB'],
      ['broken.png', 'image/png', Buffer.from('<html>'), 'cannot be read'],
      ['small.png', 'image/png', png(8), '8×8 pixels'],
    ] as const) {
      await choose(name, type, bytes);
      await dialog.getByText(said).waitFor();
      assert.equal(await confirm.isDisabled(), true, name);
    }
    await assertUsable(page);
    await choose('logo.png', 'image/png', png(256));
    await dialog.getByText('As pages show it').waitFor();
    assert.equal(await dialog.getByText('pixels; each side').count(), 0);
    await assertUsable(page);
    await picture(page, 'logo-dialog-1440-light');
    await decide(page, 'Upload logo');
    await assertShows(page, 'Logo of Drawn');
    for (const size of ['desktop', 'phone'] as const) {
      const visit = await console_.signIn('alice', { size });
      await lookAt(visit.page, on, 'logo-console');
      await visit.context.close();
      const guest = await openVisit(console_.browser, console_.server.url, { viewport: screenSizes[size] });
      for (const [path, name] of [
        ['/portal', 'logo-front'],
        ['/portal/drawn', 'logo-community'],
      ] as const) {
        await lookAt(guest.page, path, name);
        await assertShows(guest.page, 'Drawn');
      }
      assert.deepEqual(guest.complaints, []);
      await guest.context.close();
    }

    await button(page, 'Remove logo').click();
    await dialog.getByText('it can be put back by uploading it again').waitFor();
    await decide(page, 'Remove logo');
    await main(page).getByText('There is none').waitFor();
    // The letter again.
    await openPage(page, '/portal/drawn');
    await main(page).locator('svg').filter({ hasText: 'D' }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('what is announced is read by its developers until it is withdrawn', async () => {
    const { id } = await communityOf('partners');
    const reader = await developer('Readers');
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, `/console/communities/${id}`);
    await button(page, 'Announce').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Title').fill('Closed on Monday');
    await dialog.getByLabel('Text').fill('The sandbox rests on Monday.');
    await assertUsable(page);
    await decide(page, 'Announce');
    await page.getByRole('row', { name: /Closed on Monday/ }).waitFor();
    const path = `/api/v2/communities/${id}/announcements`;
    assert.deepEqual(
      (await list(Announcement, path)).map(({ title, withdrawn_at }) => [title, withdrawn_at]),
      [['Closed on Monday', undefined]],
    );
    await openPage(reader.page, '/portal/announcements');
    await reader.page.getByText('The sandbox rests on Monday.').waitFor();

    await button(page, 'Withdraw').click();
    await decide(page, 'Withdraw');
    await main(page).getByText('withdrawn', { exact: true }).waitFor();
    assert.notEqual((await list(Announcement, path))[0]?.withdrawn_at, undefined);
    await openPage(reader.page, '/portal/announcements');
    await reader.page.getByText('Nothing was announced yet').waitFor();
    assert.deepEqual([...complaints, ...reader.complaints], []);
    await reader.context.close();
    await context.close();
  });

  test('a question is answered for the institution; an answer and the question are hidden with a reason', async () => {
    const { id } = await communityOf('partners');
    const asker = await developer('Askers');
    const asked = await askAs(asker, console_, '/api/v2/portal/questions', {
      title: 'How long is a key good?',
      text: 'And can it be longer?',
    });
    const { id: question_id } = Value.Parse(Thing, asked);
    await askAs(asker, console_, `/api/v2/portal/questions/${question_id}/answers`, {
      text: 'Buy my course.',
    });
    const question = async () =>
      Value.Parse(Question, await console_.ask('GET', `/api/v2/communities/${id}/questions/${question_id}`));

    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/communities');
    await page
      .getByRole('row')
      .filter({ hasText: '/portal/partners' })
      .getByText('Partners', { exact: true })
      .click();
    await page.waitForURL(/\/console\/communities\/com_/);
    await page.getByRole('tab', { name: 'Questions' }).click();
    await page.getByText('How long is a key good?').click();
    await page.waitForURL(new RegExp(`/questions/${question_id}$`));
    await button(page, 'Answer').click();
    await page.getByRole('dialog').getByLabel('Your answer').fill('Until it is revoked.');
    await assertUsable(page);
    await decide(page, 'Answer');
    await main(page).getByText('Until it is revoked.').waitFor();
    await openPage(asker.page, `/portal/questions/${question_id}`);
    await asker.page.getByText('Until it is revoked.').waitFor();

    await button(page, 'Hide this answer').first().click();
    await decide(page, 'Hide this answer', 'An advertisement');
    await main(page).getByText('Hidden: An advertisement').waitFor();
    assert.deepEqual(
      (await question()).data.map(({ text, hidden_reason }) => [text, hidden_reason]),
      [
        ['Buy my course.', 'An advertisement'],
        ['Until it is revoked.', undefined],
      ],
    );
    await openPage(asker.page, `/portal/questions/${question_id}`);
    await asker.page.getByText(/An advertisement/).waitFor();
    assert.equal(await asker.page.getByText('Buy my course.').count(), 0);

    await button(page, 'Hide').click();
    await decide(page, 'Hide', 'Asked before');
    await main(page).getByText('Hidden: Asked before').waitFor();
    assert.equal((await question()).hidden_reason, 'Asked before');
    assert.equal(await button(page, 'Hide').count(), 0);
    const neighbour = await developer('Neighbours');
    await openPage(neighbour.page, '/portal/questions');
    await neighbour.page.getByText('How long is a key good?').waitFor({ state: 'detached' });
    assert.deepEqual([...complaints, ...asker.complaints, ...neighbour.complaints], []);
    for (const visit of [asker, neighbour]) await visit.context.close();
    await context.close();
  });

  test('an organisation is approved, suspended and resumed; another is rejected', async () => {
    const emails = { Ledgerly: 'lara@vendor.example', Spammers: 'sam@vendor.example' };
    const links = new Map<string, string>();
    for (const [organisation_name, email] of Object.entries(emails)) {
      const link = await mailedLink(console_, { community: 'vendors', email, organisation_name });
      assert.equal((await verify(console_, link)).status, 'pending');
      links.set(organisation_name, link);
    }
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console');
    await page.getByRole('link', { name: 'Organisations of developers to be let in or not' }).click();
    await page.waitForURL(/\/console\/organisations\?status=pending/);
    const act = (name: string, verb: string) =>
      page
        .getByRole('row', { name: new RegExp(name) })
        .getByRole('button', { name: verb })
        .click();
    await act('Ledgerly', 'Approve');
    await page.getByRole('dialog').getByText('It gets a sandbox of its own').waitFor();
    await decide(page, 'Approve');
    await page.getByRole('row', { name: /Ledgerly/ }).waitFor({ state: 'detached' });
    assert.equal((await organisationOf('Ledgerly')).status, 'active');
    const link = await mailedPath(console_, emails.Ledgerly, links.get('Ledgerly'));
    const developer_ = await comeIn(console_, emails.Ledgerly, link);
    const status = async () => (await developer_.context.request.get('/api/v2/accounts')).status();
    assert.equal(await status(), 200);

    await act('Spammers', 'Reject');
    await decide(page, 'Reject', 'We do not know you');
    await page.getByRole('row', { name: /Spammers/ }).waitFor({ state: 'detached' });
    const { status: rejected, reason } = await organisationOf('Spammers');
    assert.deepEqual([rejected, reason], ['rejected', 'We do not know you']);

    await openPage(page, '/console/organisations?status=active');
    await act('Ledgerly', 'Suspend');
    await assertUsable(page);
    await decide(page, 'Suspend', 'Their licence ended');
    await openPage(page, '/console/organisations?status=suspended');
    await page.getByRole('row', { name: /Ledgerly/ }).waitFor();
    assert.equal((await organisationOf('Ledgerly')).status, 'suspended');
    assert.ok([401, 403].includes(await status()));
    await act('Ledgerly', 'Resume');
    await decide(page, 'Resume', 'They have a new one');
    await page.getByRole('row', { name: /Ledgerly/ }).waitFor({ state: 'detached' });
    assert.equal((await organisationOf('Ledgerly')).status, 'active');
    assert.equal(await status(), 200);
    assert.deepEqual(complaints, []);
    await developer_.context.close();
    await context.close();
  });

  test('staff invite a developer, who comes in by the link of the mail; another invitation is withdrawn', async () => {
    const { id } = await communityOf('guests');
    const email = 'gina@guest.example';
    const guest = await openVisit(console_.browser, console_.server.url, { viewport: screenSizes.phone });
    await guest.context.addInitScript(`localStorage.setItem('financialapi.language', 'en')`);
    await openPage(guest.page, '/portal/guests');
    await guest.page.getByText('By invitation only: ask Banco Exemplo').waitFor();
    assert.equal(await main(guest.page).getByRole('link', { name: 'Sign up' }).count(), 0);
    await openPage(guest.page, '/portal/guests/sign-up');
    await guest.page.getByText('Only those join whom Banco Exemplo invited').waitFor();
    await picture(guest.page, 'portal-by-invitation-390-light');
    await assertUsable(guest.page);

    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, `/console/communities/${id}`);
    await page.getByRole('tab', { name: 'Invitations' }).click();
    await main(page).getByText('Nobody is invited yet.').waitFor();
    const dialog = page.getByRole('dialog');
    const invite = async (address: string) => {
      await button(page, 'Invite').click();
      assert.equal(await dialog.getByRole('button', { name: 'Invite' }).isDisabled(), true);
      await dialog.getByLabel('E-mail address').fill(address);
    };
    const row = (address: string) => page.getByRole('row', { name: new RegExp(address) });
    await invite('wrong@guest.example');
    await decide(page, 'Invite');
    const actOn = async (address: string, verb: string) => {
      await row(address).getByRole('button', { name: 'More' }).click();
      await page.getByRole('menuitem', { name: verb }).click();
    };
    await actOn('wrong@guest.example', 'Withdraw');
    await dialog.getByText('It cannot be undone').waitFor();
    await assertUsable(page);
    await decide(page, 'Withdraw');
    await row('wrong@guest.example').getByText('withdrawn').waitFor();

    await invite(email);
    await dialog.getByLabel('Name of the person').fill('Gina Guest');
    await dialog.getByLabel('Organisation').fill('Guestly');
    await picture(page, 'console-invite-1440-light');
    await assertUsable(page);
    await decide(page, 'Invite');
    await row(email).getByText('invited', { exact: true }).waitFor();
    const first = await mailedPath(console_, email);
    await actOn(email, 'Send again');
    await dialog.getByText('The one before works no more').waitFor();
    await decide(page, 'Send again');
    const second = await mailedPath(console_, email, first);
    await picture(page, 'console-invitations-1440-light');

    await openPage(guest.page, second);
    const field = (name: string) => guest.page.getByRole('textbox', { name });
    assert.equal(await field('E-mail address').inputValue(), email);
    assert.equal(await field('E-mail address').isEditable(), false);
    assert.equal(await field('Your name').inputValue(), 'Gina Guest');
    await field('Organisation').fill('Guestly Ltd');
    await picture(guest.page, 'portal-invited-390-light');
    await assertUsable(guest.page);
    assert.equal(await button(guest.page, 'Go on').isDisabled(), true);
    await guest.page.getByLabel('I accept the terms').check();
    await button(guest.page, 'Go on').click();
    await guest.page.getByLabel(/^Password/).fill('four words make one');
    await guest.page.getByLabel('The same again').fill('four words make one');
    await picture(guest.page, 'portal-invited-password-390-light');
    await assertUsable(guest.page);
    await button(guest.page, 'Come in').click();
    await guest.page.waitForURL(/\/portal$/);
    await guest.page.getByRole('heading', { name: 'Welcome, Gina Guest' }).waitFor();
    assert.equal((await guest.context.request.get('/api/v2/accounts')).status(), 200);

    const organisation = await organisationOf('Guestly Ltd');
    assert.equal(organisation.status, 'active');
    assert.deepEqual(
      (await list(Invitation, `/api/v2/communities/${id}/invitations`)).map((one) => [
        one.email,
        one.status,
        one.organisation_id,
      ]),
      [
        [email, 'accepted', organisation.id],
        ['wrong@guest.example', 'withdrawn', undefined],
      ],
    );
    await openPage(page, `/console/communities/${id}?tab=invitations&status=accepted`);
    await row(email).getByText('accepted').waitFor();
    assert.equal(await row(email).getByRole('button', { name: 'More' }).count(), 0);
    assert.deepEqual([...complaints, ...guest.complaints], []);
    // The link of before leads to why it is none.
    await guest.context.clearCookies();
    await openPage(guest.page, first);
    await guest.page.getByText('The invitation cannot be accepted').waitFor();
    await picture(guest.page, 'portal-invitation-not-good-390-light');
    await guest.context.close();
    await context.close();
  });

  test('live access is given for less than was asked, and refused with a reason', async () => {
    const asker = await developer('Payers');
    await getReady(asker, console_);
    const asked = {
      purpose: 'Pays invoices',
      scopes: ['accounts:read', 'transfers:post'],
      contact_email: 'ops@partner.example',
      webhooks: 'not_needed',
    };
    for (const name of ['Invoices', 'Lottery']) {
      await askAs(asker, console_, '/api/v2/portal/live-requests', { ...asked, name });
    }
    const requestOf = async (name: string) =>
      (await list(LiveRequest, '/api/v2/live-requests')).find((one) => one.name === name);
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/live-requests');
    const act = (name: string, verb: string) =>
      page
        .getByRole('row', { name: new RegExp(name) })
        .getByRole('button', { name: verb })
        .click();
    await act('Invoices', 'Approve');
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('checkbox', { name: 'accounts:read' }).uncheck();
    await dialog.getByRole('checkbox', { name: 'transfers:post' }).uncheck();
    assert.equal(await dialog.getByRole('button', { name: 'Approve' }).isDisabled(), true);
    await dialog.getByRole('checkbox', { name: 'accounts:read' }).check();
    await assertUsable(page);
    await decide(page, 'Approve');
    await page
      .getByRole('row', { name: /Invoices/ })
      .getByText('approved')
      .waitFor();
    const given = await requestOf('Invoices');
    assert.equal(given?.status, 'approved');
    const { scopes } = Value.Parse(
      Application,
      await console_.ask('GET', `/api/v2/applications/${given.application_id}`),
    );
    assert.deepEqual(scopes, ['accounts:read']);

    await act('Lottery', 'Reject');
    await decide(page, 'Reject', 'We take no bets');
    await page
      .getByRole('row', { name: /Lottery/ })
      .getByText('rejected')
      .waitFor();
    const { status, reason } = (await requestOf('Lottery')) ?? {};
    assert.deepEqual([status, reason], ['rejected', 'We take no bets']);
    await openPage(asker.page, '/portal/live');
    await asker.page.getByText(/We take no bets/).waitFor();
    assert.deepEqual([...complaints, ...asker.complaints], []);
    await asker.context.close();
    await context.close();
  });

  // With what the tests before made: on empty lists nothing can be too wide.
  for (const size of ['desktop', 'phone'] as const) {
    test(`its lists can be used with something in them: ${size}, light and dark`, async () => {
      const { page, context } = await console_.signIn('alice', { size });
      for (const path of ['communities', 'organisations', 'live-requests']) {
        await lookAt(page, `/console/${path}`, `filled-${path}`);
        assert.ok((await page.getByRole('row').count()) > 1, path);
      }
      const { id } = await communityOf('guests');
      await console_.ask('POST', `/api/v2/communities/${id}/invitations`, {
        email: `somebody.with.a.long.name.${size}@of-a-long-domain.guest.example`,
        name: 'Somebody with a Long Name',
        organisation_name: 'An Organisation with a Long Name',
      });
      await lookAt(page, `/console/communities/${id}?tab=invitations`, 'filled-invitations');
      assert.ok((await page.getByRole('row').count()) > 2);
      await context.close();
    });
  }
});
