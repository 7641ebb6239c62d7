/** Who may come in and what they may do, by the console in a real browser. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair } from 'jose';
import { Secret, TOTP } from 'otpauth';
import type { Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { addAuthenticator, openVisit, skip } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture, screenSizes } from './console.ts';

const Ids = Type.Object({ data: Type.Array(Type.Object({ id: Type.String() })) });

describe('access in the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole();
  });
  after(() => console_?.close());

  const main = (page: Page) => page.getByRole('main');
  const button = (page: Page, name: string) => main(page).getByRole('button', { name, exact: true });

  /** The secret that is shown once, after which it is shown no more. */
  async function shownOnce(page: Page): Promise<string> {
    const dialog = page.getByRole('dialog').filter({ hasText: 'This is shown only now' });
    const secret = (await dialog.locator('[data-secret]').textContent()) ?? '';
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await page.locator('[data-secret]').count(), 0);
    return secret;
  }

  /** How the API answers somebody who has a key. */
  async function statusFor(key: string, path: string): Promise<number> {
    const answer = await fetch(`${console_.server.url}${path}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    return answer.status;
  }

  test('somebody is invited by a link, comes in by it, is granted a role for labels, suspended and let in again', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/people');
    await button(page, 'Invite').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('E-mail address').fill('nina@banco-exemplo.example');
    await dialog.getByRole('combobox', { name: 'Roles' }).click();
    await page.getByRole('option', { name: 'developer' }).click();
    await page.keyboard.press('Tab');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Invite', exact: true }).click();
    const link = await shownOnce(page);

    const visit = await openVisit(console_.browser, console_.server.url, { viewport: screenSizes.desktop });
    await visit.page.goto(link);
    await visit.page.getByLabel('Your name').fill('Nina Prado');
    await visit.page.getByLabel(/^Password/).fill('four words make one');
    await visit.page.getByLabel('The same again').fill('four words make two');
    await visit.page.getByText('The two are not the same').waitFor();
    assert.equal(await visit.page.getByRole('button', { name: 'Come in' }).isDisabled(), true);
    await visit.page.getByLabel('The same again').fill('four words make one');
    await assertUsable(visit.page);
    await visit.page.getByRole('button', { name: 'Come in' }).click();
    await visit.page.getByRole('link', { name: 'Sign in' }).click();
    await visit.page.getByLabel('E-mail address').fill('nina@banco-exemplo.example');
    await visit.page.getByLabel('Password').fill('four words make one');
    await visit.page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await visit.page.waitForURL(/\/console$/);
    // The link is used up.
    await visit.page.goto(link.replace('/console/welcome', '/console/welcome?again'));
    await visit.page.getByLabel('Your name').fill('Nina Prado');
    await visit.page.getByLabel(/^Password/).fill('four words make one');
    await visit.page.getByLabel('The same again').fill('four words make one');
    await visit.page.getByRole('button', { name: 'Come in' }).click();
    await visit.page.getByText('This invitation cannot be accepted').waitFor();

    await openPage(page, '/console/people?q=Nina');
    await page.getByRole('row', { name: /Nina Prado/ }).click();
    await page.waitForURL(/\/console\/people\/usr_/);
    await page.getByRole('link', { name: 'developer' }).waitFor();
    await button(page, 'Grant a role').click();
    await dialog.getByRole('combobox', { name: 'Role' }).click();
    await page.getByRole('option', { name: 'fraud_analyst' }).click();
    await dialog.getByText('what carries labels').click();
    await dialog.getByRole('textbox', { name: 'Labels' }).fill('branch');
    await dialog.getByText('Write each line as name=value').waitFor();
    await dialog.getByRole('textbox', { name: 'Labels' }).fill('branch=0042');
    await dialog.getByRole('button', { name: 'Grant a role' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page)
      .getByRole('row', { name: /fraud_analyst branch: 0042/ })
      .waitFor();

    await button(page, 'Suspend').click();
    await dialog.getByText('cannot sign in until they are let in again').waitFor();
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    await button(page, 'Resume').waitFor();
    await visit.page.goto('/console');
    await visit.page.waitForURL(/\/identity\/sign-in/);
    await button(page, 'Resume').click();
    await dialog.getByRole('button', { name: 'Resume' }).click();
    await button(page, 'Suspend').waitFor();

    await main(page)
      .getByRole('row', { name: /fraud_analyst/ })
      .getByRole('button', { name: 'Revoke' })
      .click();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await main(page)
      .getByRole('row', { name: /fraud_analyst/ })
      .waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await visit.context.close();
    await context.close();
  });

  test('a new password is chosen by a link that an administrator makes', async () => {
    const { page, context } = await console_.signIn('alice');
    await openPage(page, '/console/people?q=Otto');
    await page.getByRole('row', { name: /Otto/ }).click();
    await button(page, 'More').click();
    await page.getByRole('menuitem', { name: 'New password link' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'New password link' }).click();
    const link = await shownOnce(page);
    const visit = await openVisit(console_.browser, console_.server.url, { viewport: screenSizes.desktop });
    await visit.page.goto(link);
    await visit.page.getByLabel(/^Password/).fill('four words make another');
    await visit.page.getByLabel('The same again').fill('four words make another');
    await visit.page.getByRole('button', { name: 'Set the password' }).click();
    await visit.page.getByText('The new password is good from now on').waitFor();
    const answer = await visit.context.request.post('/identity/sign-in', {
      data: { email: 'otto@banco-exemplo.example', password: 'four words make another' },
      headers: { origin: console_.server.url },
    });
    assert.equal(answer.status(), 200, await answer.text());
    await visit.context.close();
    await context.close();
  });

  test('a role is made of chosen permissions, stands in the matrix, is edited and deleted', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/roles');
    await button(page, 'Make a role').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('teller');
    await dialog.getByLabel('Description').fill('Serves at the counter');
    await dialog.getByPlaceholder('Filter permissions').fill('accounts:');
    await dialog.getByRole('checkbox', { name: 'accounts:read', exact: true }).check();
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Make a role' }).click();
    await page.waitForURL(/\/console\/roles\/teller$/);
    await page.getByText('Serves at the counter').waitFor();

    await openPage(page, '/console/roles');
    await page.getByRole('tab', { name: 'Matrix' }).click();
    await page.getByPlaceholder('Filter permissions').fill('accounts:');
    const matrix = page.getByRole('region', { name: 'Matrix' });
    await matrix.getByRole('columnheader', { name: 'teller' }).waitFor();
    const heads = await matrix.locator('thead th').allTextContents();
    const cellsOf = (row: RegExp) =>
      matrix.getByRole('row', { name: row }).first().locator('th, td').allTextContents();
    assert.equal((await cellsOf(/^read/))[heads.indexOf('teller')], 'yes');
    assert.equal((await cellsOf(/^freeze/))[heads.indexOf('teller')], '');
    assert.equal((await cellsOf(/^freeze/))[heads.indexOf('administrator')], 'yes');
    await assertUsable(page);

    await openPage(page, '/console/roles/teller');
    await button(page, 'Edit').click();
    await dialog.getByPlaceholder('Filter permissions').fill('transfers:');
    await dialog.getByRole('checkbox', { name: 'transfers', exact: true }).check();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page).getByText('transfers', { exact: true }).waitFor();
    const Role = Type.Object({ permissions: Type.Array(Type.String()) });
    const { permissions } = Value.Parse(Role, await console_.ask('GET', '/api/v2/roles/teller'));
    assert.deepEqual(permissions.toSorted(), [
      'accounts:read',
      'transfers:post',
      'transfers:read',
      'transfers:reverse',
    ]);
    await button(page, 'Delete').click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL(/\/console\/roles$/);
    assert.equal(await page.getByRole('link', { name: 'teller' }).count(), 0);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a key is created and shown once, limited, rotated and revoked', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/api-keys');
    await button(page, 'Create a key').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('payroll');
    await dialog.getByPlaceholder('Filter permissions').fill('accounts:read');
    await dialog.getByRole('checkbox', { name: 'accounts:read', exact: true }).check();
    await dialog.getByRole('button', { name: 'Create a key' }).click();
    const first = await shownOnce(page);
    assert.equal(await statusFor(first, '/api/v2/accounts'), 200);
    assert.equal(await statusFor(first, '/api/v2/transfers'), 403);
    await page.waitForURL(/\/console\/api-keys\/key_/);

    await button(page, 'Set limits').click();
    await dialog.getByLabel('Currency').fill('brl');
    await dialog.getByLabel('At once').fill('100.001');
    await dialog.getByRole('button', { name: 'Save' }).click();
    // More digits than the currency has: refused in place, and what was typed stays.
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('At once').fill('100.00');
    await dialog.getByLabel('In a day').fill('250.50');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page)
      .getByRole('row', { name: /BRL.*100\.00.*250\.50/ })
      .waitFor();
    await assertUsable(page);
    await button(page, 'Remove limits').click();
    await dialog.getByRole('button', { name: 'Remove limits' }).click();
    await button(page, 'Set limits').waitFor();

    const before = page.url();
    await button(page, 'Rotate').click();
    await dialog.getByRole('button', { name: 'Rotate' }).click();
    const second = await shownOnce(page);
    assert.notEqual(second, first);
    await page.waitForURL((url) => url.href !== before);
    assert.equal(await statusFor(second, '/api/v2/accounts'), 200);
    await button(page, 'Revoke').click();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await main(page).getByText('revoked', { exact: true }).waitFor();
    assert.equal(await statusFor(second, '/api/v2/accounts'), 401);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('what cannot be undone says so, and whether somebody else is asked; who may asks for one', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    const Made = Type.Object({ id: Type.String() });
    const body = { label: 'of a till', scopes: ['accounts:read'] };
    const { id } = Value.Parse(Made, await console_.ask('POST', '/api/v2/api-keys', body));
    await openPage(page, `/console/api-keys/${id}`);
    const dialog = page.getByRole('dialog');
    await button(page, 'Revoke').click();
    await dialog.getByText('It cannot be undone.').waitFor();
    await dialog.getByText('Nobody else is asked first.').waitFor();
    await assertUsable(page);
    await picture(page, 'final');
    await dialog.getByRole('link', { name: 'Ask for a second person' }).click();
    await page.waitForURL(/\/console\/approval-policies\?ask=api_keys:revoke$/);
    assert.equal(await dialog.getByRole('combobox', { name: /^Action/ }).inputValue(), 'api_keys:revoke');
    // An amount says nothing of what moves none: refused in place.
    await dialog.getByRole('button', { name: 'Only above an amount' }).click();
    await dialog.getByLabel('Currency').fill('brl');
    await dialog.getByLabel('Waits above').fill('10,50');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    await assertUsable(page);
    await picture(page, 'policy-dialog');
    await dialog.getByRole('button', { name: 'Remove BRL' }).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('row', { name: /^api_keys:revoke whatever the amount 72 hours/ }).waitFor();

    await openPage(page, `/console/api-keys/${id}`);
    await button(page, 'Revoke').click();
    await dialog.getByText('It waits until somebody else has approved it.').waitFor();
    await dialog.getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('It was proposed and waits for a second person.').waitFor();

    await openPage(page, '/console/approval-policies/api_keys:revoke');
    await button(page, 'Remove').click();
    await dialog.getByText('It can be undone.').waitFor();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await page.waitForURL(/\/console\/approval-policies$/);
    await main(page).getByText('Nothing needs a second person yet').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a device is registered with its public key, never with the private one, and disabled', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const [open_, secret] = [await exportJWK(publicKey), await exportJWK(privateKey)];
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/devices');
    await button(page, 'Register a device').click();
    const dialog = page.getByRole('dialog');
    const register = dialog.getByRole('button', { name: 'Register a device' });
    await dialog.getByLabel('Name').fill('till 3');
    await dialog.getByPlaceholder('Filter permissions').fill('accounts:read');
    await dialog.getByRole('checkbox', { name: 'accounts:read', exact: true }).check();
    await dialog.getByLabel('Public key').fill('till 3');
    await dialog.getByText('Not a public key').waitFor();
    await dialog.getByLabel('Public key').fill(JSON.stringify(secret));
    await dialog.getByText('This is the private half').waitFor();
    assert.equal(await register.isDisabled(), true);
    await dialog.getByLabel('Public key').fill(JSON.stringify({ ...open_, use: 'sig', alg: 'ES256' }));
    await assertUsable(page);
    await picture(page, 'device-dialog-1440-light');
    await register.click();
    await dialog.waitFor({ state: 'detached' });
    const row = main(page).getByRole('row', { name: /till 3/ });
    await row.waitFor();
    const Devices = Type.Object({
      data: Type.Array(Type.Object({ label: Type.String(), status: Type.String() })),
    });
    const devices = async () =>
      Value.Parse(Devices, await console_.ask('GET', '/api/v2/devices')).data.map(({ label, status }) => ({
        label,
        status,
      }));
    assert.deepEqual(await devices(), [{ label: 'till 3', status: 'active' }]);
    await row.getByRole('button', { name: 'Disable' }).click();
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await row.getByText('disabled').waitFor();
    assert.deepEqual(await devices(), [{ label: 'till 3', status: 'disabled' }]);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('an application is registered with a secret, disabled and given another secret', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/applications');
    await button(page, 'Register an application').first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Shop');
    await dialog.getByPlaceholder('Filter permissions').fill('accounts:read');
    await dialog.getByRole('checkbox', { name: 'accounts:read', exact: true }).check();
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Register', exact: true }).click();
    const secret = await shownOnce(page);
    await page.waitForURL(/\/console\/applications\/app_/);
    const client_id = page.url().split('/').at(-1) ?? '';
    const Self = Type.Object({ tenant: Type.Object({ id: Type.String() }) });
    const { tenant } = Value.Parse(Self, await console_.ask('GET', '/api/v2/self'));
    const issuer = `${console_.server.url}/oauth/${tenant.id}/sandbox`;
    const Metadata = Type.Object({ token_endpoint: Type.String() });
    const metadata = await fetch(`${issuer}/.well-known/openid-configuration`);
    const { token_endpoint } = Value.Parse(Metadata, await metadata.json());
    const tokenStatus = async (client_secret: string) => {
      const answer = await fetch(token_endpoint, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: 'grant_type=client_credentials&scope=accounts:read',
      });
      return answer.status;
    };
    assert.equal(await tokenStatus(secret), 200);
    await button(page, 'New secret').click();
    await dialog.getByRole('button', { name: 'New secret' }).click();
    assert.equal(await tokenStatus(await shownOnce(page)), 200);
    await button(page, 'Disable').click();
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await button(page, 'Enable').waitFor();
    assert.notEqual(await tokenStatus(secret), 200);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the audit trail is searched, a record shows what changed, and the whole is proven', async () => {
    const { data } = Value.Parse(Ids, await console_.ask('GET', '/api/v2/accounts?q=Ana'));
    const id = data[0]?.id ?? '';
    await console_.ask('POST', `/api/v2/accounts/${id}/freeze`, {});
    await console_.ask('POST', `/api/v2/accounts/${id}/unfreeze`, {});
    const { page, context, complaints } = await console_.signIn('audra');
    await openPage(page, '/console/audit');
    await page.getByLabel('About').fill(id);
    await page.waitForURL(/subject=acc_/);
    await page.getByText('invitations:create').first().waitFor({ state: 'detached' });
    await page.getByRole('row', { name: /unfreeze/ }).click();
    await page.waitForURL(/\/console\/audit\/aud_/);
    const changed = page.getByRole('row', { name: /status frozen open/ });
    await changed.waitFor();
    await page.goBack();
    await page.waitForURL(/subject=acc_/);
    await button(page, 'Verify').click();
    await page.getByText('The trail is whole').waitFor();
    await assertUsable(page);
    await page.keyboard.press('Escape');
    // Nothing is found in a period that has not come.
    await page.goto('/console/audit?from=2999-01-01');
    await page.getByText('Nothing matches these filters').waitFor();
    assert.equal(await button(page, 'Export a period').count(), 0, 'an auditor may not export');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('one changes one’s password, and sets up second factors and removes them', async () => {
    const visit = await console_.signIn('audra');
    const { page, context, complaints } = visit;
    await addAuthenticator(visit);
    await openPage(page, '/console/me');
    await main(page).getByText('none: your password alone signs you in').waitFor();
    const dialog = page.getByRole('dialog');
    await button(page, 'Set up an authenticator app').click();
    await dialog.getByRole('img', { name: 'QR code for the authenticator app' }).waitFor();
    await assertUsable(page);
    await picture(page, 'authenticator');
    const secret = (await dialog.locator('code').first().textContent()) ?? '';
    await dialog.getByLabel('Code of the app').fill('000000');
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Code of the app').fill(TOTP.generate({ secret: Secret.fromBase32(secret) }));
    await dialog.getByRole('button', { name: 'Confirm' }).click();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await main(page).getByText('authenticator app, recovery codes').waitFor();

    await button(page, 'Add a passkey').click();
    await dialog.getByLabel('Name').fill('laptop');
    await dialog.getByRole('button', { name: 'Add a passkey' }).click();
    await dialog.waitFor({ state: 'detached' });
    const row = main(page).getByRole('row', { name: /^laptop/ });
    await row.waitFor();
    await assertUsable(page);
    await picture(page, 'security');
    await button(page, 'New recovery codes').click();
    await dialog.getByRole('button', { name: 'New recovery codes' }).click();
    assert.match(await shownOnce(page), /\w+\n\w+/);
    await row.getByRole('button', { name: 'Remove' }).click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await main(page).getByText('You have no passkey.').waitFor();
    await button(page, 'Remove the authenticator app').click();
    await dialog.getByText('It cannot be undone.').waitFor();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await button(page, 'Set up an authenticator app').waitFor();

    await button(page, 'Change the password').click();
    const confirm = dialog.getByRole('button', { name: 'Change the password' });
    await dialog.getByLabel('Current password').fill('not this one');
    await dialog.getByLabel('New password').fill('four words make another');
    await dialog.getByLabel('The same again').fill('four words make an');
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByLabel('The same again').fill('four words make another');
    await confirm.click();
    await dialog.getByRole('alert').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('what one was told is in the inbox, which the bell says as long as it was not read', async () => {
    const { page, context, complaints } = await console_.signIn('audra');
    await openPage(page, '/console/inbox');
    await main(page).getByText('You were told nothing yet.').waitFor();
    const asked = await page.request.get('/api/v2/self');
    const Self = Type.Object({ principal: Type.Object({ id: Type.String() }) });
    const { principal } = Value.Parse(Self, await asked.json());
    const Made = Type.Object({ id: Type.String() });
    const recipient = Value.Parse(
      Made,
      await console_.ask('POST', '/api/v2/notifications/recipients', {
        kind: 'staff',
        name: 'Audra Nunes',
        reference: principal.id,
      }),
    );
    await console_.ask('POST', '/api/v2/notifications/messages', {
      recipient_id: recipient.id,
      topic: 'announcement',
      data: { title: 'Closed on Monday', message: 'We are closed on Monday.' },
      channels: ['in_app'],
    });
    // It is put there a moment later.
    const Inbox = Type.Object({ unread: Type.Boolean() });
    const isTold = async () =>
      Value.Parse(Inbox, await (await page.request.get('/api/v2/self/inbox')).json()).unread;
    while (!(await isTold())) await sleep(50);
    const header = page.getByRole('banner');
    await page.reload();
    await header.getByRole('link', { name: 'Inbox: not everything was read' }).click();
    await page.getByRole('row', { name: /Closed on Monday/ }).waitFor();
    await assertUsable(page);
    await picture(page, 'inbox-unread');
    await main(page).getByRole('button', { name: 'Mark as read' }).click();
    await header.getByRole('link', { name: 'Inbox', exact: true }).waitFor();
    await main(page).getByRole('button', { name: 'Mark as read' }).waitFor({ state: 'detached' });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('one sees where one is signed in oneself, and signs the other browsers out', async () => {
    const one = await console_.signIn('alice');
    const other = await console_.signIn('alice');
    await openPage(other.page, '/console');
    await openPage(one.page, '/console/me');
    await main(one.page).getByText('this one', { exact: true }).waitFor();
    await button(one.page, 'Sign out everywhere else').click();
    await button(one.page, 'Sign out everywhere else').waitFor({ state: 'detached' });
    await other.page.goto('/console');
    await other.page.waitForURL(/\/identity\/sign-in/);
    await one.context.close();
    await other.context.close();
  });
});
