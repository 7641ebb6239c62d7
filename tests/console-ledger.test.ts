/** Moving money in the console, in a real browser: each journey to its end, and what the API then says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { skip } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture } from './console.ts';

const Account = Type.Object({
  id: Type.String(),
  balance: Type.Object({ amount: Type.String() }),
  available: Type.Union([Type.Object({ amount: Type.String() }), Type.Null()]),
});
const Accounts = Type.Object({ data: Type.Array(Account) });
const Thing = Type.Object({ id: Type.String(), status: Type.String() });

describe('the ledger in the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole();
  });
  after(() => console_?.close());

  async function account(name: string) {
    const { data } = Value.Parse(
      Accounts,
      await console_.ask('GET', `/api/v2/accounts?q=${encodeURIComponent(name)}`),
    );
    assert.ok(data[0] !== undefined);
    return data[0];
  }

  async function choose(page: Page, label: RegExp, name: string): Promise<void> {
    await page.getByRole('combobox', { name: label }).fill(name);
    await page.getByRole('option', { name: new RegExp(name) }).click();
  }

  test('a transfer is rehearsed, posted, found again and reversed in part', async () => {
    const [ana, bruno] = [await account('Ana'), await account('Bruno')];
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, `/console/accounts/${ana.id}`);
    await page.getByRole('link', { name: 'Make a transfer' }).first().click();
    await page.getByRole('heading', { name: 'Make a transfer' }).waitFor();
    await choose(page, /^Debit/, 'Ana');
    await choose(page, /^Credit/, 'Bruno');
    await page.getByRole('textbox', { name: /^Amount/ }).fill('1.234');
    await page.getByText('2 digits after the point at most').waitFor();
    assert.ok(await page.getByRole('button', { name: 'See what would happen' }).isDisabled());
    await page.getByRole('textbox', { name: /^Amount/ }).fill('12,50');
    await page.getByRole('textbox', { name: 'Description' }).fill('Lunch in the console');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByRole('heading', { name: 'What would happen' }).waitFor();
    assert.equal((await account('Ana')).balance.amount, ana.balance.amount);
    await picture(page, 'transfer-rehearsed-1440-light');
    await assertUsable(page);
    await page.getByRole('button', { name: 'Post it' }).click();
    await page.getByRole('heading', { name: 'Lunch in the console' }).waitFor();
    assert.equal(
      Number((await account('Ana')).balance.amount).toFixed(2),
      (Number(ana.balance.amount) - 12.5).toFixed(2),
    );
    await page.getByRole('link', { name: 'Transfers' }).click();
    await page.getByRole('cell', { name: 'Lunch in the console' }).click();
    await page.getByRole('button', { name: 'Reverse' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: /^Amount/ }).fill('2.50');
    await dialog.getByRole('textbox', { name: 'Reason' }).fill('Too much');
    await dialog.getByRole('button', { name: 'Reverse' }).click();
    await page.getByRole('heading', { name: 'Too much' }).waitFor();
    assert.equal(
      Number((await account('Bruno')).balance.amount).toFixed(2),
      (Number(bruno.balance.amount) + 10).toFixed(2),
    );
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('what the ledger refuses is said where it was asked, and nothing is lost of what was typed', async () => {
    const { page, context } = await console_.signIn('otto');
    await openPage(page, '/console/transfers/new');
    await choose(page, /^Debit/, 'Ana');
    await choose(page, /^Credit/, 'Bruno');
    await page.getByRole('textbox', { name: /^Amount/ }).fill('999999.99');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByRole('alert').waitFor();
    assert.match((await page.getByRole('alert').textContent()) ?? '', /999999\.99|insufficient|funds/i);
    assert.equal(await page.getByRole('textbox', { name: /^Amount/ }).inputValue(), '999999.99');
    await context.close();
  });

  test('above the amount of a policy somebody else approves, who sees exactly what would be done', async () => {
    await console_.ask('GET', '/api/v2/approval-policies');
    const answer = await fetch(`${console_.server.url}/api/v2/approval-policies/transfers:post`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${console_.server.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ above: [{ amount: '100.00', currency: 'BRL' }] }),
    });
    assert.ok(answer.ok, await answer.text());
    const before = await account('Ana');
    const otto = await console_.signIn('otto');
    await openPage(otto.page, '/console/transfers/new');
    await choose(otto.page, /^Debit/, 'Ana');
    await choose(otto.page, /^Credit/, 'Bruno');
    await otto.page.getByRole('textbox', { name: /^Amount/ }).fill('150');
    await otto.page.getByRole('button', { name: 'See what would happen' }).click();
    await otto.page.getByRole('button', { name: 'Propose it' }).click();
    await otto.page.waitForURL(/\/console\/approvals\/prp_/);
    await otto.page.getByRole('button', { name: 'Cancel it' }).waitFor();
    assert.equal(await otto.page.getByRole('button', { name: 'Approve' }).count(), 0);
    const path = new URL(otto.page.url()).pathname;
    assert.equal((await account('Ana')).balance.amount, before.balance.amount);

    const alice = await console_.signIn('alice');
    await openPage(alice.page, '/console');
    await alice.page.getByRole('link', { name: 'Approvals that wait for you' }).click();
    await alice.page.getByRole('cell', { name: 'Otto Ferraz' }).click();
    await alice.page.waitForURL(new RegExp(path));
    await alice.page.getByText('"150').waitFor();
    await picture(alice.page, 'approval-1440-light');
    await assertUsable(alice.page);
    await alice.page.getByRole('button', { name: 'Approve' }).click();
    await alice.page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await alice.page.getByText('done', { exact: true }).first().waitFor();
    assert.equal(
      Number((await account('Ana')).balance.amount).toFixed(2),
      (Number(before.balance.amount) - 150).toFixed(2),
    );
    assert.deepEqual([...otto.complaints, ...alice.complaints], []);
    await otto.context.close();
    await alice.context.close();
  });

  test('money is held, captured in part and the rest released', async () => {
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, '/console/holds');
    await page.getByRole('button', { name: 'Place a hold' }).click();
    const dialog = page.getByRole('dialog');
    await choose(page, /^Debit/, 'Bruno');
    await choose(page, /^Credit/, 'Corner');
    await dialog.getByRole('textbox', { name: /^Amount/ }).fill('50');
    await dialog.getByRole('textbox', { name: 'Description' }).fill('A hotel room');
    await dialog.getByRole('button', { name: 'Place a hold' }).click();
    await page.getByRole('heading', { name: 'A hotel room' }).waitFor();
    const id = /hld_[0-9a-z]{26}/.exec(page.url())?.[0] ?? '';
    await page.getByRole('button', { name: 'Capture' }).click();
    await dialog.getByRole('textbox', { name: /^Amount/ }).fill('30');
    await dialog.getByRole('button', { name: 'Capture' }).click();
    await page.getByRole('cell', { name: 'capture' }).waitFor();
    await dialog.waitFor({ state: 'detached' });
    await picture(page, 'hold-1440-light');
    await assertUsable(page);
    await page.getByRole('button', { name: 'Release' }).click();
    await dialog.getByRole('button', { name: 'Release' }).click();
    await page.getByRole('cell', { name: 'released' }).waitFor();
    assert.notEqual(Value.Parse(Thing, await console_.ask('GET', `/api/v2/holds/${id}`)).status, 'active');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the trial balance balances on any day, and the books are whole', async () => {
    const { page, context } = await console_.signIn('audra');
    await openPage(page, '/console/trial-balance');
    assert.ok((await page.getByText('Balanced', { exact: true }).count()) >= 3);
    await page.getByLabel('Effective on').fill('2020-01-01');
    await page.getByText('Nothing was posted until then.').waitFor();
    await openPage(page, '/console/integrity');
    await page.getByRole('button', { name: 'Check everything' }).click();
    await page.getByText('The books are whole').waitFor();
    await picture(page, 'integrity-checked-1440-light');
    await assertUsable(page);
    await context.close();
  });
});
