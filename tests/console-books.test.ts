/** Looking after accounts and finding out why, in a real browser: each journey to its end, and what the API then says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { extractText, getDocumentProxy } from 'unpdf';
import { skip } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture } from './console.ts';

const Account = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: Type.String(),
  may_receive: Type.Boolean(),
  credit_limit: Type.Union([Type.Object({ amount: Type.String() }), Type.Null()]),
  balance: Type.Object({ amount: Type.String() }),
});
const Accounts = Type.Object({ data: Type.Array(Account) });
const Thing = Type.Object({ id: Type.String() });

describe('books and why, in the console', { skip }, () => {
  let console_: ConsoleTest;
  before(async () => {
    console_ = await openConsole({ OUTGOING_ALLOW: '127.0.0.0/8' });
  });
  after(() => console_?.close());

  async function account(name: string) {
    const path = `/api/v2/accounts?q=${encodeURIComponent(name)}`;
    const { data } = Value.Parse(Accounts, await console_.ask('GET', path));
    assert.ok(data[0] !== undefined, name);
    return data[0];
  }

  async function pay(from: string, to: string, amount: string, more: object = {}): Promise<string> {
    const body = {
      debit_account_id: (await account(from)).id,
      credit_account_id: (await account(to)).id,
      amount: { amount, currency: 'BRL' },
      ...more,
    };
    return Value.Parse(Thing, await console_.ask('POST', '/api/v2/transfers', body)).id;
  }

  async function choose(page: Page, label: RegExp, name: string): Promise<void> {
    await page.getByRole('combobox', { name: label }).fill(name);
    await page.getByRole('option', { name: new RegExp(name) }).click();
  }

  test('an account is opened, edited by who saw its newest version, and closed for good', async () => {
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, '/console/accounts');
    await page.getByRole('button', { name: 'Open an account' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: 'Name' }).fill('Dora Reis');
    await dialog.getByRole('textbox', { name: 'Currency' }).fill('brl');
    await choose(page, /^Chart code/, '2100');
    await dialog.getByRole('radio', { name: 'As far as a credit limit' }).check();
    await dialog.getByRole('textbox', { name: /^Credit limit/ }).fill('200');
    await dialog.getByRole('textbox', { name: /^Labels/ }).fill('branch=12');
    await picture(page, 'open-account-1440-light');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Open an account' }).click();
    await page.getByRole('heading', { name: 'Dora Reis' }).waitFor();
    const opened = await account('Dora');
    assert.equal(opened.credit_limit?.amount, '200.00');

    await page.getByRole('button', { name: 'Edit' }).click();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('Dora Reis Lima');
    await dialog.getByRole('checkbox', { name: 'May receive' }).uncheck();
    // Somebody else is faster.
    const faster = await fetch(`${console_.server.url}/api/v2/accounts/${opened.id}`, {
      method: 'PATCH',
      headers: {
        authorization: `Bearer ${console_.server.key}`,
        'content-type': 'application/json',
        'if-match': '*',
      },
      body: JSON.stringify({ metadata: { branch: '13' } }),
    });
    assert.equal(faster.status, 200);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    assert.equal((await account('Dora')).name, 'Dora Reis');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Edit' }).click();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('Dora Reis Lima');
    await dialog.getByRole('checkbox', { name: 'May receive' }).uncheck();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Dora Reis Lima' }).waitFor();
    assert.equal((await account('Dora')).may_receive, false);
    await page.getByRole('tab', { name: 'Explain this balance' }).click();
    await page.getByText('Nothing may arrive at this account.').waitFor();

    await page.getByRole('main').getByRole('button', { name: 'Close', exact: true }).click();
    await dialog.getByText('Nothing is ever posted to a closed account again').waitFor();
    await dialog.getByRole('button', { name: 'Close', exact: true }).last().click();
    await page.getByText('It is closed: nothing moves any more.').waitFor();
    assert.equal((await account('Dora')).status, 'closed');
    assert.equal(await page.getByRole('button', { name: 'Edit' }).count(), 0);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the statement of a period is seen, and kept as CSV and as PDF in the language of the reader', async () => {
    await pay('Ana', 'Bruno', '3.21', { effective_date: '2026-02-10', description: 'A late bill' });
    const ana = await account('Ana');
    const { page, context, complaints } = await console_.signIn('otto', { language: 'pt' });
    await openPage(page, `/console/accounts/${ana.id}?tab=statement&from=2026-02-01&to=2026-02-28`);
    await page.getByText('A late bill').waitFor();
    await page.getByRole('cell', { name: 'Saldo final' }).waitFor();
    const kept = async (format: 'CSV' | 'PDF') => {
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: format }).click(),
      ]);
      assert.equal(
        file.suggestedFilename(),
        `statement_${ana.id}_2026-02-01_2026-02-28.${format.toLowerCase()}`,
      );
      return readFileSync(await file.path());
    };
    const csv = (await kept('CSV')).toString();
    assert.match(csv, /A late bill.*3\.21/);
    const closing = /closing,+(-?[\d.]+),BRL/.exec(csv)?.[1] ?? '';
    const { text } = await extractText(await getDocumentProxy(new Uint8Array(await kept('PDF'))), {
      mergePages: true,
    });
    const inPortuguese = new Intl.NumberFormat('pt-BR', { minimumFractionDigits: 2 }).format(Number(closing));
    assert.ok(text.includes('Extrato de conta') && text.includes(inPortuguese), text);
    await page.getByLabel('Até').fill('2026-01-31');
    await page.getByRole('alert').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a hold is found on the page of its account, increased, extended and captured in parts', async () => {
    const [bruno, corner] = [await account('Bruno'), await account('Corner')];
    const placed = Value.Parse(
      Thing,
      await console_.ask('POST', '/api/v2/holds', {
        debit_account_id: bruno.id,
        credit_account_id: corner.id,
        amount: { amount: '20.00', currency: 'BRL' },
        expires_at: '2097-01-01T00:00:00Z',
        description: 'A rented car',
      }),
    );
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, `/console/accounts/${bruno.id}?tab=holds`);
    await page.getByRole('cell', { name: 'A rented car' }).click();
    await page.waitForURL(new RegExp(placed.id));
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Increase' }).click();
    await dialog.getByRole('textbox', { name: /^By how much/ }).fill('5');
    await dialog.getByRole('button', { name: 'Increase' }).click();
    await page.getByRole('cell', { name: 'increased' }).waitFor();
    await page.getByRole('button', { name: 'Extend' }).click();
    await dialog.getByLabel('Expires').fill('2098-01-01T12:00');
    await dialog.getByRole('button', { name: 'Extend' }).click();
    await page.getByRole('cell', { name: 'extended' }).waitFor();
    for (const amount of ['10', '15']) {
      await page.getByRole('button', { name: 'Capture' }).click();
      await dialog.getByRole('textbox', { name: /^Amount/ }).fill(amount);
      await dialog.getByRole('button', { name: 'Capture' }).click();
      await dialog.waitFor({ state: 'detached' });
    }
    await page.getByText('captured', { exact: true }).first().waitFor();
    // From the last capture to everything that belongs to it.
    await page
      .getByRole('row', { name: /capture/ })
      .last()
      .getByRole('link')
      .click();
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
    await page.getByText(/Hold: placed/).waitFor();
    await page.getByText(/Capture posted/).waitFor();
    assert.equal(await page.getByText(/^Hold: capture/).count(), 1);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the timeline of a transfer tells its reversal, events, deliveries and who asked, as far as one may know', async () => {
    await console_.ask('POST', '/api/v2/webhooks/endpoints', {
      url: `${console_.server.url}/nothing-here`,
      event_types: ['ledger.transfer.*'],
    });
    const id = await pay('Ana', 'Bruno', '7.00', { description: 'Told in full' });
    await console_.ask('POST', `/api/v2/transfers/${id}/reversals`, { description: 'Not wanted' });
    const alice = await console_.signIn('alice');
    const shown = [
      /Reversal posted/,
      /ledger\.transfer\.posted$/,
      /ledger\.transfer\.posted: /,
      /POST \/api\/v2\/transfers/,
    ];
    await openPage(alice.page, `/console/transfers/${id}`);
    for (const text of shown) {
      // What is carried, sent and recorded a moment later comes with a later look.
      for (let tries = 0; (await alice.page.getByText(text).count()) === 0; tries += 1) {
        assert.ok(tries < 40, `${text} is not there`);
        await alice.page.waitForTimeout(500);
        await openPage(alice.page, `/console/transfers/${id}`);
        await alice.page.getByText('Transfer posted').waitFor();
      }
    }
    await picture(alice.page, 'timeline-1440-light');
    await assertUsable(alice.page);
    assert.deepEqual(alice.complaints, []);
    await alice.context.close();
    const otto = await console_.signIn('otto', { size: 'phone', scheme: 'dark' });
    await openPage(otto.page, `/console/transfers/${id}`);
    await otto.page
      .getByText('because you may not read it: events:read, webhooks:read, audit:read')
      .waitFor();
    await picture(otto.page, 'timeline-390-dark');
    await assertUsable(otto.page);
    await otto.context.close();
  });

  test('a refusal is explained: at once, later by its key, and to whoever searches for that', async () => {
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, '/console/transfers/new');
    await choose(page, /^Debit/, 'Ana');
    await choose(page, /^Credit/, 'Bruno');
    await page.getByRole('textbox', { name: /^Amount/ }).fill('1');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByRole('heading', { name: 'What would happen' }).waitFor();
    // Meanwhile somebody freezes the account.
    const ana = await account('Ana');
    await console_.ask('POST', `/api/v2/accounts/${ana.id}/freeze`, {});
    await page.getByRole('button', { name: 'Post it' }).click();
    await page.getByText('Nothing moves on a frozen account.').waitFor();
    await page.getByRole('link', { name: 'What became of this request' }).click();
    await page.waitForURL(/\/console\/attempts\//);
    await page.getByRole('heading', { name: 'What was asked' }).waitFor();
    await page.getByRole('row', { name: /Ana Souza.*frozen/ }).waitFor();
    await picture(page, 'attempt-1440-light');
    await assertUsable(page);
    const key = decodeURIComponent(new URL(page.url()).pathname.split('/').at(-1) ?? '');
    await console_.ask('POST', `/api/v2/accounts/${ana.id}/unfreeze`, {});
    await openPage(page, '/console/attempts');
    await page.getByRole('link', { name: 'POST /api/v2/transfers' }).first().waitFor();
    await page.keyboard.press('Control+k');
    await page.getByPlaceholder('Type an id, a name or a page').fill(key);
    await page.getByText(`What became of the request with the key ${key}`).click();
    await page.waitForURL(new RegExp(`/console/attempts/${key}$`));
    await page.getByText('account_frozen').waitFor();
    await pay('Ana', 'Bruno', '12.34', { description: 'To be found by its amount' });
    await page.keyboard.press('Control+k');
    await page.getByPlaceholder('Type an id, a name or a page').fill('R$ 12,34');
    await page.getByText('Transfers of exactly 12.34').click();
    await page.getByRole('cell', { name: 'To be found by its amount' }).waitFor();
    assert.equal(await page.getByRole('row').count(), 2);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a file of transfers is checked line by line, rehearsed, posted once however often it is sent, and told line by line', async () => {
    const [ana, bruno] = [await account('Ana'), await account('Bruno')];
    const columns = 'from,to,amount,currency,description,reference';
    const { page, context, complaints } = await console_.signIn('otto');
    await openPage(page, '/console/transfers');
    await page.getByRole('link', { name: 'Upload a file' }).click();
    await page.getByRole('heading', { name: 'Upload transfers' }).waitFor();
    const choose_ = (name: string, text: string) =>
      page
        .locator('input[type=file]')
        .setInputFiles({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
    const downloaded = async (button: string) => {
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: button }).click(),
      ]);
      return readFileSync(await file.path(), 'utf8').replace('\uFEFF', '');
    };
    assert.ok((await downloaded('Template')).startsWith(`${columns},effective_date\n`));

    await choose_('bad.csv', `from,to,sum\n${ana.id},${bruno.id},1`);
    await page.getByText('Missing: amount, currency. Unknown: sum.').waitFor();
    const bad = [
      `${ana.id},${bruno.id},1.234,BRL,,`,
      `${ana.id},${ana.id},1,BRL,,`,
      `Ana,${bruno.id},-5,XXQ,,R1`,
      `${ana.id},${bruno.id},5,BRL,,R1`,
    ];
    await choose_('bad.csv', [columns, ...bad].join('\r\n'));
    await page.getByText('Nothing is sent before every line is right.').waitFor();
    for (const words of [
      'amount is no number',
      'from and to are the same',
      'from is no account id; currency',
      'another line has this',
    ]) {
      await page.getByRole('cell', { name: words }).waitFor();
    }
    assert.equal(await page.getByRole('button', { name: /^Post/ }).count(), 0);
    await picture(page, 'upload-bad-1440-light');
    await assertUsable(page);

    // As spreadsheets write it where a comma stands before decimals.
    const good = [
      `${ana.id};${bruno.id};1,50;brl;"First; of three";R1`,
      `${ana.id};${bruno.id};9999999;BRL;Too much;R2`,
      `${bruno.id};${ana.id};0,25;BRL;;R3`,
    ];
    const text = [columns.replaceAll(',', ';'), ...good].join('\n');
    const posts = page.getByRole('button', { name: 'Post 3 transfers' });
    await choose_('good.csv', text);
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByText('2 would be posted, 1 refused').waitFor();
    assert.deepEqual((await account('Ana')).balance, ana.balance);
    await posts.click();
    await page.getByText('2 posted, 1 refused, 0 wait for approval, of 3').waitFor();
    const moved = async () =>
      (Number((await account('Ana')).balance.amount) - Number(ana.balance.amount)).toFixed(2);
    assert.equal(await moved(), '-1.25');
    await picture(page, 'upload-sent-1440-light');
    await assertUsable(page);
    const result = (await downloaded('Result')).trim().split('\n');
    assert.equal(result[0], `${columns},effective_date,outcome,transfer_id,code,detail`);
    assert.match(result[1] ?? '', /,posted,trf_[0-9a-z]{26},,$/);
    assert.match(result[2] ?? '', /,refused,,insufficient_funds,/);
    assert.match(await downloaded('Refused lines'), /^from[^\n]*\n[^\n]*,R2,\n$/);

    // After a reload, under another name and with other ends of lines, it is the same file.
    await page.reload();
    await choose_('again.csv', `\uFEFF${text.replaceAll('\n', '\r\n')}\r\n`);
    await posts.click();
    await page.getByText('3 of these were sent before.').waitFor();
    await page.getByText('posted before', { exact: true }).first().waitFor();
    assert.equal(await moved(), '-1.25');
    await page.getByRole('textbox', { name: /^Send again as/ }).fill('second');
    await posts.click();
    await page.getByText('2 posted, 1 refused, 0 wait for approval, of 3').waitFor();
    assert.equal(await page.getByText('were sent before').count(), 0);
    assert.equal(await moved(), '-2.50');

    const many = Array.from({ length: 10_000 }, (_, n) =>
      n % 2 === 0 ? `${ana.id},${bruno.id},0.02,BRL,,` : `${bruno.id},${ana.id},0.01,BRL,,`,
    );
    await openPage(page, '/console/transfers/upload');
    await choose_('many.csv', [columns, ...many].join('\n'));
    await page.getByRole('button', { name: 'Post 10000 transfers' }).click();
    await page.getByRole('progressbar').waitFor();
    await page.getByText('10,000 posted, 0 refused').waitFor({ timeout: 120_000 });
    assert.equal(await moved(), '-52.50');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the books are closed up to a day, which refuses what is late, and reopened with a reason', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/periods');
    await page.getByRole('button', { name: 'Close the books' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Closed through').fill('2026-01-31');
    await dialog.getByRole('button', { name: 'Close the books' }).click();
    await page.getByRole('heading', { name: 'Closed through January 31, 2026' }).waitFor();
    await page.getByText('The trial balance is unchanged').waitFor();
    await picture(page, 'period-1440-light');
    await assertUsable(page);
    await openPage(page, '/console/transfers/new');
    await choose(page, /^Debit/, 'Ana');
    await choose(page, /^Credit/, 'Bruno');
    await page.getByRole('textbox', { name: /^Amount/ }).fill('1');
    await page.getByLabel('Effective').fill('2026-01-31');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByText('The books are closed through 2026-01-31').waitFor();
    await openPage(page, '/console/periods');
    await page.getByText('closed', { exact: true }).click();
    await page.getByRole('button', { name: 'Reopen', exact: true }).click();
    await dialog.getByRole('textbox', { name: 'Reason of the reopening' }).fill('A late invoice');
    await dialog.getByRole('button', { name: 'Reopen' }).click();
    await page.getByText('A late invoice').waitFor();
    assert.ok((await pay('Ana', 'Bruno', '1.00', { effective_date: '2026-01-31' })).startsWith('trf_'));
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('its pages can be used on a phone, in the dark, in Portuguese', async () => {
    const { page, context, complaints } = await console_.signIn('alice', {
      size: 'phone',
      scheme: 'dark',
      language: 'pt',
    });
    for (const path of ['transfers/upload', 'attempts', 'periods']) {
      await openPage(page, `/console/${path}`);
      await picture(page, `${path.replace('/', '-')}-390-dark`);
      await assertUsable(page);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
