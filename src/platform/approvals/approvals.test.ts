import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createKey } from '../access/access.ts';
import { newUuid } from '../ids.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
before(async () => {
  platform = await openTestPlatform();
});
after(() => platform.close());

const brl = (amount: string) => ({ amount, currency: 'BRL' });

interface Bank extends TestTenant {
  cash: string;
  sara: string;
  shop: string;
  /** Another key of the tenant, of other people. */
  second: TestTenant['ask'];
}

type Method = Parameters<TestTenant['ask']>[0];

/** What a key may ask, answered as `TestTenant.ask` does. */
function askWith(key: string): TestTenant['ask'] {
  return async (method: Method, url, body, headers = {}) => {
    const answer = await platform.running.app.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${key}`,
        ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    const found: Answer = {
      status: answer.statusCode,
      headers: Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [name, value === undefined ? undefined : String(value)]),
      ),
      body: answer.body === '' ? undefined : answer.json(),
      text: answer.body,
    };
    return found;
  };
}

async function keyOf(tenant: TestTenant, scopes: readonly string[] = ['*:*']): Promise<TestTenant['ask']> {
  return askWith(await createKey(platform.running.platform, tenant.scope, { label: 'second', scopes }));
}

/** A bank where Sara has 1,000.00. */
async function openBank(): Promise<Bank> {
  const tenant = await platform.newTenant();
  await tenant.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await tenant.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, more: object = {}): Promise<string> =>
    (await tenant.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code, ...more })).id;
  const cash = await open('1', { credit_limit: null });
  const [sara, shop] = [await open('2'), await open('2')];
  await tenant.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: sara,
    amount: brl('1000.00'),
  });
  return { ...tenant, cash, sara, shop, second: await keyOf(tenant) };
}

async function policy(bank: Bank, action: string, body: object = {}): Promise<void> {
  const answer = await bank.ask('PUT', `/api/v2/approval-policies/${action}`, body);
  assert.equal(answer.status, 201, answer.text);
}

async function funds(bank: Bank, account: string): Promise<{ balance: string; available: string }> {
  const { balance, available } = await bank.get(`/api/v2/accounts/${account}`);
  return { balance: balance.amount, available: available.amount };
}

const transferOf = ({ sara, shop }: Bank, amount: string) => ({
  debit_account_id: sara,
  credit_account_id: shop,
  amount: brl(amount),
});

async function proposed(bank: Bank, amount: string): Promise<Answer['body']> {
  const answer = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, amount));
  assert.equal(answer.status, 202, answer.text);
  return answer.body;
}

test('a transfer above the threshold waits, its money set aside, until somebody else approves', async () => {
  const bank = await openBank();
  await policy(bank, 'transfers:post', { above: [brl('100')] });
  assert.equal((await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '100.00'))).status, 201);

  const headers = { 'idempotency-key': 'rent' };
  const answer = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.equal(answer.status, 202);
  const { id, status, reserved, amounts } = answer.body;
  assert.equal(answer.headers['location'], `/api/v2/proposals/${id}`);
  assert.deepEqual([status, amounts, reserved.length], ['pending', [brl('600.00')], 1]);
  assert.deepEqual(await funds(bank, bank.sara), { balance: '900.00', available: '300.00' });
  const hold = await bank.get(`/api/v2/holds/${reserved[0]}`);
  assert.equal(hold.expires_at, answer.body.expires_at);
  assert.equal(hold.metadata['financialapi:reserved_for'], id);

  // Asked again it is the same proposal; another request under its key is refused.
  const again = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.deepEqual([again.status, again.body.id, again.headers['idempotent-replayed']], [202, id, 'true']);
  const other = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '601.00'), headers);
  assert.equal(other.body.code, 'idempotency_key_reused');

  const own = await bank.ask('POST', `/api/v2/proposals/${id}/approve`, {});
  assert.deepEqual([own.status, own.body.code], [403, 'own_proposal']);
  const approved = await bank.second('POST', `/api/v2/proposals/${id}/approve`, { reason: 'as agreed' });
  assert.equal(approved.status, 200, approved.text);
  assert.deepEqual([approved.body.status, approved.body.reason], ['executed', 'as agreed'], approved.text);
  assert.deepEqual(approved.body.result.body.entries[0].amount, brl('600.00'));
  assert.deepEqual(await funds(bank, bank.sara), { balance: '300.00', available: '300.00' });
  assert.deepEqual(await funds(bank, bank.shop), { balance: '700.00', available: '700.00' });
  assert.equal((await bank.get(`/api/v2/holds/${reserved[0]}`)).status, 'released');

  // The proposer, who may ask again, is told what came of it.
  const done = await bank.ask('POST', '/api/v2/transfers', transferOf(bank, '600.00'), headers);
  assert.deepEqual([done.status, done.headers['location']], [201, approved.body.result.location]);
  assert.deepEqual(await funds(bank, bank.shop), { balance: '700.00', available: '700.00' });
});
