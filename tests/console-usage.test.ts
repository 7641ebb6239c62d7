/** What callers ask of the API, by the console in a real browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { eventually } from '../src/services/webhooks/testing.ts';
import { skip } from './browser.ts';
import { assertUsable, type ConsoleTest, openConsole, openPage, picture } from './console.ts';

const Report = Type.Object({ totals: Type.Object({ calls: Type.Integer() }) });
const Self = Type.Object({ principal: Type.Object({ id: Type.String() }) });

describe('usage in the console', { skip }, () => {
  let console_: ConsoleTest;
  let key_id: string;
  const ROUTE = '/api/v2/holds/{hold_id}';
  before(async () => {
    console_ = await openConsole();
    key_id = Value.Parse(Self, await console_.ask('GET', '/api/v2/self')).principal.id;
    const { url, key = '' } = console_.server;
    for (let number = 0; number < 4; number += 1) {
      await fetch(`${url}/api/v2/holds/hld_01h455vb4pex5vsknk084sn02q`, {
        headers: { authorization: `Bearer ${key}` },
      });
    }
    await console_.ask('GET', '/api/v2/accounts');
    for (let left = 600; left > 0; left -= 1) {
      const found = await console_.ask('GET', `/api/v2/usage?route=${encodeURIComponent(ROUTE)}`);
      if (Value.Parse(Report, found).totals.calls === 4) break;
      await sleep(50);
    }
  });
  after(() => console_?.close());

  test('endpoints are seen with their errors, and narrowed down to one and to a key by the address', async () => {
    const { page, context, complaints } = await console_.signIn('alice');
    await openPage(page, '/console/usage');
    const row = page.getByRole('row', { name: /GET \/api\/v2\/holds\/\{hold_id\}/ });
    await row.waitFor();
    assert.match((await row.textContent()) ?? '', /holds\/\{hold_id\}44100%/);
    await page.getByRole('img', { name: 'Calls' }).waitFor();
    await assertUsable(page);
    await row.getByRole('button').click();
    await page.waitForURL(/route=/);
    await page.getByRole('row', { name: /GET \/api\/v2\/accounts/ }).waitFor({ state: 'detached' });

    await page.getByLabel('Key or other caller').fill(key_id);
    await page.waitForURL(new RegExp(`principal_id=${key_id}`));
    // Where its limits are seen, and what is left of them.
    await page.getByText('How much is left of its limits').waitFor();
    await page.getByRole('combobox', { name: 'By' }).click();
    await page.getByRole('option', { name: 'Status' }).click();
    await page.waitForURL(/group_by=status/);
    await page.getByRole('row', { name: /^404 4/ }).waitFor();

    const saving = page.waitForEvent('download');
    await page.getByRole('main').getByRole('button', { name: 'CSV' }).click();
    const file = await saving;
    const csv = readFileSync(await file.path(), 'utf8');
    assert.match(csv, /^\u{feff}Status,Calls,Errors,p50 ms,p90 ms,p99 ms\r?\n404,4,4,\d/u);
    await page.getByRole('link', { name: 'Last requests' }).click();
    await page.waitForURL(/usage\/requests\?.*principal_id=/);
    await page
      .getByRole('row', { name: /404 hold_not_found/ })
      .first()
      .waitFor();
    await assertUsable(page);
    const refused = page.getByRole('row', { name: /404 hold_not_found/ }).first();
    await refused.getByRole('button', { name: 'Contents' }).click();
    await page.getByRole('dialog').getByText('"code": "hold_not_found"').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test('who may not see what others ask is told so', async () => {
    const { page, context } = await console_.signIn('otto');
    await openPage(page, '/console/usage');
    await page.getByText('You may not see this').waitFor();
    await context.close();
  });

  test('today tells who was refused for a limit or came near it, and leads to them', async () => {
    const { page, context } = await console_.signIn('alice');
    await openPage(page, '/console');
    await page.getByText('Nothing waits for you').waitFor();
    await console_.ask('POST', '/api/v2/plans', {
      name: 'tiny',
      windows: [{ name: 'month', requests: 3, period: 'month' }],
    });
    const made = await console_.ask('POST', '/api/v2/api-keys', {
      label: 'shop',
      scopes: ['accounts:read'],
      plan: 'tiny',
    });
    const { id, key } = Value.Parse(Type.Object({ id: Type.String(), key: Type.String() }), made);
    const statuses: number[] = [];
    for (let number = 0; number < 4; number += 1) {
      const answer = await fetch(`${console_.server.url}/api/v2/accounts`, {
        headers: { authorization: `Bearer ${key}` },
      });
      statuses.push(answer.status);
    }
    assert.deepEqual(statuses, [200, 200, 200, 429]);
    const Groups = Type.Object({ groups: Type.Array(Type.Unknown()) });
    const Events = Type.Object({ data: Type.Array(Type.Object({ subject: Type.String() })) });
    await eventually('the refusal is counted', async () => {
      const found = await console_.ask('GET', '/api/v2/usage?status=429&group_by=principal');
      return Value.Parse(Groups, found).groups[0];
    });
    await eventually('the crossing is told', async () => {
      const found = await console_.ask('GET', '/api/v2/events?type=platform.limit.near');
      return Value.Parse(Events, found).data.find(({ subject }) => subject === id);
    });
    await openPage(page, '/console');
    await page.getByRole('link', { name: 'Callers that came near a limit in the last hour' }).waitFor();
    await assertUsable(page);
    await page.getByRole('link', { name: 'Callers refused for a limit in the last hour' }).click();
    await page.waitForURL(/\/console\/usage\?.*status=429/);
    await page.getByRole('row', { name: new RegExp(id.slice(-6)) }).waitFor();
    assert.equal(await page.getByRole('combobox', { name: 'Answers' }).inputValue(), '429 (over a limit)');
    await context.close();
  });

  for (const [size, scheme, language] of [
    ['phone', 'dark', 'pt'],
    ['desktop', 'light', 'en'],
  ] as const) {
    test(`it can be used on a ${size}, ${scheme}`, async () => {
      const { page, context } = await console_.signIn('audra', { size, scheme, language });
      await openPage(page, '/console/usage?period=1h');
      await page
        .getByText(/hold_id/)
        .first()
        .waitFor();
      await assertUsable(page);
      await picture(page, `usage-${size}-${scheme}`);
      await openPage(page, `/console/usage/requests?route=${encodeURIComponent(ROUTE)}`);
      await page
        .getByText(/not_found/)
        .first()
        .waitFor();
      await assertUsable(page);
      await picture(page, `requests-${size}-${scheme}`);
      await context.close();
    });
  }
});
