import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let stranger: TestTenant;
const accounts: Record<string, string> = {};
before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  stranger = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  for (const currency of ['BRL', 'JPY']) {
    for (const name of ['Ana', 'Bruno']) {
      const { id } = await bank.post('/api/v2/accounts', {
        currency,
        chart_code: '1100',
        name,
        credit_limit: null,
      });
      accounts[`${name} ${currency}`] = id;
    }
  }
});
after(() => platform.close());

const HOUR_MS = 3_600_000;
const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
const ask = (who: TestTenant, query: Record<string, string>) =>
  who.ask('GET', `/api/v2/volumes?${new URLSearchParams(query).toString()}`);

function pay(amount: string, currency = 'BRL') {
  return bank.post('/api/v2/transfers', {
    debit_account_id: accounts[`Ana ${currency}`],
    credit_account_id: accounts[`Bruno ${currency}`],
    amount: { amount, currency },
  });
}

test('postings are counted by interval and currency, all legs of one as one; others see none of it', async () => {
  const from = ago(0);
  const first = await pay('10.50');
  await pay('0.01');
  await pay('700', 'JPY');
  await bank.post(`/api/v2/transfers/${first.id}/reversals`, {});
  await bank.post('/api/v2/transfers', {
    legs: [
      { account_id: accounts['Ana BRL'], side: 'debit', amount: { amount: '3.00', currency: 'BRL' } },
      { account_id: accounts['Bruno BRL'], side: 'debit', amount: { amount: '2.00', currency: 'BRL' } },
      { account_id: accounts['Bruno BRL'], side: 'credit', amount: { amount: '5.00', currency: 'BRL' } },
    ],
  });
  const query = { from, to: ago(-HOUR_MS), by: 'hour' };
  const { status, body } = await ask(bank, query);
  assert.equal(status, 200, JSON.stringify(body));
  const start = new Date(from).toISOString();
  assert.deepEqual(
    body.data.map((row: { from: string }) => ({ ...row, from: new Date(row.from).toISOString() })),
    [
      { from: start, currency: 'BRL', transfers: 4, amount: { amount: '26.01', currency: 'BRL' } },
      { from: start, currency: 'JPY', transfers: 1, amount: { amount: '700', currency: 'JPY' } },
    ],
  );
  assert.equal(body.position, 5);
  assert.deepEqual((await ask(stranger, query)).body.data, []);
  // What was recorded before the time, or at its end, is not counted.
  assert.deepEqual((await ask(bank, { ...query, from: ago(0) })).body.data, []);
  assert.deepEqual((await ask(bank, { from: ago(48 * HOUR_MS), to: from, by: 'day' })).body.data, []);
});

test('a time that ends before it begins, or is longer than is counted at once, is refused', async () => {
  const day = 24 * HOUR_MS;
  for (const query of [
    { from: ago(0), to: ago(HOUR_MS), by: 'hour' },
    { from: ago(32 * day), to: ago(0), by: 'hour' },
    { from: ago(367 * day), to: ago(0), by: 'day' },
  ]) {
    const { status, body } = await ask(bank, query);
    assert.deepEqual([status, body.code], [422, 'period_invalid']);
  }
  for (const query of [
    { from: 'yesterday', to: ago(0), by: 'hour' },
    { from: ago(HOUR_MS), to: ago(0), by: 'week' },
    { from: ago(HOUR_MS), to: ago(0) },
  ]) {
    assert.equal((await ask(bank, query)).status, 400);
  }
});
