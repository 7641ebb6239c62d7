/** Webhooks, events, jobs and what else runs the platform, by the console in a real browser. */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { Webhook } from 'standardwebhooks';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { skip } from './browser.ts';
import { assertUsable, type ConsoleTest, heldEvent, openConsole, openPage, picture } from './console.ts';

const Sent = Type.Object({ type: Type.String() });

/** Takes webhooks, and answers them as it is told. */
interface Receiver {
  url: string;
  answer: number;
  received: { headers: IncomingHttpHeaders; body: string }[];
  close(): void;
}

async function openReceiver(): Promise<Receiver> {
  const receiver: Receiver = { url: '', answer: 204, received: [], close: () => server.close() };
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      receiver.received.push({ headers: request.headers, body });
      response.writeHead(receiver.answer, { 'content-type': 'text/plain' });
      response.end(receiver.answer === 204 ? undefined : 'out of order');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  receiver.url = `http://127.0.0.1:${address.port}/hooks`;
  return receiver;
}

describe('the platform in the console', { skip }, () => {
  let console_: ConsoleTest;
  let receiver: Receiver;
  before(async () => {
    receiver = await openReceiver();
    console_ = await openConsole({ OUTGOING_ALLOW: '127.0.0.0/8' });
  });
  after(async () => {
    await console_?.close();
    receiver?.close();
  });

  const main = (page: Page) => page.getByRole('main');
  const button = (page: Page, name: string) => main(page).getByRole('button', { name, exact: true });

  async function shownOnce(page: Page): Promise<string> {
    const dialog = page.getByRole('dialog').filter({ hasText: 'This is shown only now' });
    const secret = (await dialog.locator('[data-secret]').textContent()) ?? '';
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await dialog.waitFor({ state: 'detached' });
    return secret;
  }

  test('an endpoint is made and tested; what it was sent and answered is seen, and sent again', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/webhooks');
    await button(page, 'Make an endpoint').first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Address').fill(receiver.url);
    await dialog.getByRole('textbox', { name: 'Description' }).fill('Our books');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Make an endpoint' }).click();
    const secret = await shownOnce(page);
    await page.waitForURL(/\/console\/webhooks\/whk_/);
    const endpoint = page.url();

    receiver.answer = 500;
    await button(page, 'Send a test').click();
    await dialog.getByRole('button', { name: 'Send a test' }).click();
    const row = main(page).getByRole('row', { name: /webhooks\.endpoint\.tested/ });
    await row.waitFor();
    // A test is sent once: it fails for good.
    await row.click();
    await page.waitForURL(/\/console\/webhook-deliveries\/dlv_/);
    await page.getByText('HTTP 500').waitFor();
    await page.getByText('out of order').waitFor();
    await assertUsable(page);
    const [first] = receiver.received;
    assert.ok(first !== undefined);
    const headers = Object.fromEntries(
      Object.entries(first.headers).map(([name, value]) => [name, String(value)]),
    );
    assert.doesNotThrow(() => new Webhook(secret).verify(first.body, headers));
    assert.equal(Value.Parse(Sent, JSON.parse(first.body)).type, 'webhooks.endpoint.tested');

    receiver.answer = 204;
    await button(page, 'Send again').click();
    await dialog.getByRole('button', { name: 'Send again' }).click();
    await page.getByText('HTTP 204').waitFor();
    await main(page).getByText('delivered', { exact: true }).waitFor();

    await openPage(page, endpoint);
    await button(page, 'More').click();
    await page.getByRole('menuitem', { name: 'New signing key' }).click();
    await dialog.getByRole('button', { name: 'New signing key' }).click();
    assert.notEqual(await shownOnce(page), secret);
    await button(page, 'More').click();
    await page.getByRole('menuitem', { name: 'Disable' }).click();
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await page.getByText('Disabled by hand').waitFor();
    assert.equal(await button(page, 'Send a test').count(), 0);
    await button(page, 'More').click();
    await page.getByRole('menuitem', { name: 'Enable' }).click();
    await dialog.getByRole('button', { name: 'Enable' }).click();
    await button(page, 'Send a test').waitFor();
    await button(page, 'Send again from a time').click();
    await dialog.getByLabel('From').fill('2020-01-01T00:00');
    await dialog.getByRole('button', { name: 'Send again' }).click();
    await page.getByText(/are sent again/).waitFor();
    await button(page, 'Edit').click();
    await dialog.getByRole('textbox', { name: 'Description' }).fill('Our other books');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Our other books' }).waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('an event is found by its type and seen as JSON, with who holds it and where it was sent', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/events');
    await page.getByLabel('Type of event').fill('ledger.account.opened');
    await page.waitForURL(/type=ledger\.account\.opened/);
    await page.getByText('ledger.transfer.posted').first().waitFor({ state: 'detached' });
    await page
      .getByRole('row', { name: /ledger\.account\.opened/ })
      .first()
      .click();
    await page.waitForURL(/\/console\/events\/evt_/);
    await page.getByText('"specversion": "1.0"').waitFor();
    await page.getByText('Nobody: every consumer took it').waitFor();
    await page.getByText('No webhook was to carry it').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('what a consumer holds is shown with its reason, and tried again or given up when somebody says so', async () => {
    const { page, context } = await console_.signIn('alice');
    await page.route('**/api/v2/held-events*', (route) =>
      route.fulfill({ json: { data: [heldEvent], next_cursor: null } }),
    );
    const asked: [string, unknown][] = [];
    await page.route('**/api/v2/consumers/**', (route) => {
      const request = route.request();
      if (request.method() === 'POST') asked.push([new URL(request.url()).pathname, request.postDataJSON()]);
      return route.fulfill({ json: heldEvent });
    });
    await openPage(page, '/console/held-events');
    const row = page.getByRole('row', { name: /webhooks\.enqueue/ });
    await row.getByText('the table is full').waitFor();
    await row.getByText('parked').click();
    await page.getByRole('heading', { name: 'Held by webhooks.enqueue' }).waitFor();
    await assertUsable(page);
    await button(page, 'Try again').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await button(page, 'Give up').click();
    const dialog = page.getByRole('dialog');
    const confirm = dialog.getByRole('button', { name: 'Give up' });
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByLabel('Reason').fill('Done by hand');
    await dialog.getByText('It cannot be undone.').waitFor();
    await confirm.click();
    await dialog.waitFor({ state: 'detached' });
    const at = '/api/v2/consumers/webhooks.enqueue/held-events/evt_01m8bes0wgeq09f5g3f2ra7czq';
    assert.deepEqual(asked, [
      [`${at}/redrive`, null],
      [`${at}/discard`, { reason: 'Done by hand' }],
    ]);
    await context.close();
  });

  test('a job is run now, paused and resumed, and its runs are seen', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/jobs');
    const row = page.getByRole('row', { name: /ledger\.forget_askers/ });
    await row.getByRole('link').click();
    await page.getByRole('heading', { name: 'ledger.forget_askers' }).waitFor();
    const dialog = page.getByRole('dialog');
    await button(page, 'Run now').click();
    await dialog.getByRole('button', { name: 'Run now' }).click();
    await dialog.waitFor({ state: 'detached' });
    const run = page.getByRole('row', { name: /somebody asked/ });
    await run.waitFor();
    while ((await run.getByText('succeeded').count()) === 0) {
      await button(page, 'Refresh').click();
      await page.locator('[data-loading="true"]').first().waitFor({ state: 'detached' });
    }
    await assertUsable(page);
    await button(page, 'Pause').click();
    await dialog.getByRole('button', { name: 'Pause' }).click();
    await main(page).getByText('paused', { exact: true }).waitFor();
    await button(page, 'Resume').click();
    await dialog.getByRole('button', { name: 'Resume' }).click();
    await button(page, 'Pause').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a message says why it was sent or not; a draft of a template is seen as it will read, and published', async () => {
    const Made = Type.Object({ id: Type.String() });
    const recipient = Value.Parse(
      Made,
      await console_.ask('POST', '/api/v2/notifications/recipients', {
        kind: 'staff',
        name: 'Rita Campos',
        email: 'rita@banco-exemplo.example',
      }),
    );
    await console_.ask('POST', '/api/v2/notifications/messages', {
      recipient_id: recipient.id,
      topic: 'announcement',
      data: { title: 'Closed on Monday', message: 'We are closed on Monday.' },
    });
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, `/console/recipients/${recipient.id}`);
    await page.getByRole('heading', { name: 'Rita Campos' }).waitFor();
    await assertUsable(page);
    await page.getByRole('row', { name: /announcement E-mail/ }).click();
    await page.getByRole('heading', { name: 'Why it was sent or not' }).waitFor();
    await page.getByText('We are closed on Monday.').first().waitFor();
    await assertUsable(page);
    await openPage(page, '/console/templates');
    const dialog = page.getByRole('dialog');
    await button(page, 'Write a template').click();
    assert.equal(await dialog.getByRole('button', { name: 'Write a template' }).isDisabled(), true);
    await dialog.getByLabel('Subject').fill('News of the house');
    await dialog.getByLabel('Text').fill('Dear {{ message');
    await assertUsable(page);
    await picture(page, 'template-dialog-1440-light');
    await dialog.getByRole('button', { name: 'Write a template' }).click();
    // What Liquid cannot read is told, and what was typed stays.
    await dialog.getByRole('alert').waitFor();
    await dialog.getByLabel('Text').fill('Dear {{ message }}');
    await dialog.getByRole('button', { name: 'Write a template' }).click();
    await page.waitForURL(/\/console\/templates\/tpl_/);
    await button(page, 'Edit').click();
    await dialog.getByLabel('Text').fill('Dear reader: {{ message }}');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('Dear reader: {{ message }}').waitFor();
    await page.getByText(/^Dear reader: (?!\{)/).waitFor();
    await assertUsable(page);
    await button(page, 'Publish').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click();
    await main(page).getByText('published', { exact: true }).waitFor();
    assert.equal(await button(page, 'Publish').count(), 0);
    await openPage(page, '/console/templates');
    await button(page, 'Preview').click();
    await page
      .getByRole('dialog')
      .getByText(/Dear reader/)
      .waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('a plan is created, edited and disabled', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/plans');
    await button(page, 'Create a plan').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('trial');
    await dialog.getByRole('textbox', { name: 'Limit' }).fill('minute');
    await dialog.getByRole('textbox', { name: 'Requests' }).fill('30');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Create a plan' }).click();
    await page.waitForURL(/\/console\/plans\/trial$/);
    await page.getByRole('row', { name: /minute 30 60 s caller/ }).waitFor();
    await button(page, 'Edit').click();
    await dialog.getByRole('textbox', { name: 'Requests' }).fill('60');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('row', { name: /minute 60 60 s caller/ }).waitFor();
    await button(page, 'Disable').click();
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await button(page, 'Enable').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the settings of the institution are edited, and what another edited meanwhile is not overwritten', async () => {
    const { page, context } = await console_.signIn('alice');
    await openPage(page, '/console/settings');
    await button(page, 'Edit settings').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name shown').fill('Exemplo');
    const other = await console_.signIn('alice');
    await openPage(other.page, '/console/settings');
    await button(other.page, 'Edit settings').click();
    await other.page.getByRole('dialog').getByLabel('Name shown').fill('Outro');
    await other.page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await other.page.getByText('Outro', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByText(/ETag/).waitFor();
    assert.equal(await dialog.getByLabel('Name shown').inputValue(), 'Exemplo');
    await context.close();
    await other.context.close();
  });

  test('who operates the installation creates, suspends and resumes institutions, and sees the jobs of the system', async () => {
    const { page, context, complaints } = await console_.signInOperator();
    await openPage(page, '/console/tenants');
    await page.getByText('Banco Exemplo').waitFor();
    await button(page, 'Create an institution').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Caixa Nova');
    await dialog.getByLabel('Base currency').fill('BRL');
    await dialog.getByRole('button', { name: 'Create an institution' }).click();
    const first = await shownOnce(page);
    const status = async () => {
      const answer = await fetch(`${console_.server.url}/api/v2/accounts`, {
        headers: { authorization: `Bearer ${first}` },
      });
      return answer.status;
    };
    assert.equal(await status(), 200);
    await page.waitForURL(/\/console\/tenants\/ten_/);
    await page.getByRole('heading', { name: 'Caixa Nova' }).waitFor();
    await assertUsable(page);
    await button(page, 'Edit: Sandbox').click();
    await dialog.getByRole('button', { name: 'Another limit' }).click();
    assert.equal(await dialog.getByRole('button', { name: 'Save' }).isDisabled(), true);
    await dialog.getByLabel('Limit').last().fill('none');
    await dialog.getByLabel('Requests').last().fill('0');
    await assertUsable(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page).getByRole('cell', { name: 'none', exact: true }).waitFor();
    while ((await status()) !== 429) await sleep(20);
    await button(page, 'Edit: Sandbox').click();
    await dialog.getByRole('button', { name: 'Remove none' }).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await main(page).getByRole('cell', { name: 'none', exact: true }).waitFor({ state: 'detached' });
    while ((await status()) !== 200) await sleep(20);
    await button(page, 'Suspend').click();
    await dialog.getByLabel('Reason').fill('Its licence ended');
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    await page.getByText('Its licence ended').waitFor();
    assert.equal(await status(), 403);
    await button(page, 'Resume').click();
    await dialog.getByRole('button', { name: 'Resume' }).click();
    await button(page, 'Suspend').waitFor();
    assert.equal(await status(), 200);

    await openPage(page, '/console/system-jobs');
    await main(page).getByRole('link').first().click();
    await page.waitForURL(/\/console\/system-jobs\/./);
    await page.getByRole('heading', { name: 'System jobs' }).waitFor({ state: 'detached' });
    await button(page, 'Run now').waitFor();
    await assertUsable(page);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('the clock of the sandbox is moved forward; the sandbox is emptied only when its name was typed', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/sandbox');
    await page.getByText('not ahead').waitFor();
    const dialog = page.getByRole('dialog');
    await button(page, 'Move the clock forward').click();
    await dialog.getByRole('textbox', { name: 'By how much' }).fill('2');
    await dialog.getByRole('button', { name: 'Move the clock forward' }).click();
    await page.getByText('172,800 s').waitFor();
    await button(page, 'Empty the sandbox').click();
    const confirm = dialog.getByRole('button', { name: 'Empty the sandbox' });
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByLabel('Type Banco Exemplo to confirm').fill('Banco');
    assert.equal(await confirm.isDisabled(), true);
    await dialog.getByLabel('Type Banco Exemplo to confirm').fill('Banco Exemplo');
    await assertUsable(page);
    await confirm.click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('The sandbox was emptied').waitFor();
    const Names = Type.Object({ data: Type.Array(Type.Object({ name: Type.String() })) });
    const { data } = Value.Parse(Names, await console_.ask('GET', '/api/v2/accounts?q=Ana'));
    assert.equal(data[0]?.name, 'Ana Souza');
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('who operates the installation sees where services run, and under Today what is amiss', async () => {
    const { page, context, complaints } = await console_.signInOperator();
    await openPage(page, '/console/services');
    const here = new URL(console_.server.url).port;
    for (const service of ['identity', 'ledger', 'webhooks', 'notifications']) {
      await page.getByRole('row', { name: new RegExp(`^${service} ready .*:${here}`) }).waitFor();
    }
    // As where a process was killed, and the one that is left misses what it ran.
    await page.route('**/api/v2/instances?*', async (route) => {
      const answer = await route.fetch();
      const { data } = Value.Parse(Type.Object({ data: Type.Array(Type.Object({})) }), await answer.json());
      const [running] = data;
      const killed = {
        ...running,
        id: 'ins_01k00000000000000000000000',
        url: 'http://10.0.0.7:8000',
        services: ['card-issuing'],
        state: 'silent',
      };
      const missing = { ...running, out_of_reach: ['card-issuing'], left_alone: ['http://10.0.0.8:8000'] };
      await route.fulfill({ response: answer, json: { data: [killed, missing], next_cursor: null } });
    });
    await openPage(page, '/console/');
    await page.getByRole('link', { name: 'Processes that are silent or cannot reach others' }).click();
    await page.getByRole('row', { name: /10\.0\.0\.7:8000 silent card-issuing/ }).waitFor();
    const left = page.getByRole('row', { name: new RegExp(`127\\.0\\.0\\.1:${here} ready`) });
    await left.getByText('no instance of card-issuing').waitFor();
    await left.getByText('10.0.0.8:8000 kept failing and is not asked for now').waitFor();
    await assertUsable(page);
    await picture(page, 'instances-amiss');
    assert.deepEqual(complaints, []);
    await context.close();
  });
});
