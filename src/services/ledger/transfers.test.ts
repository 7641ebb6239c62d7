import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
});
after(() => platform.close());

const brl = (amount: string) => ({ amount, currency: 'BRL' });

async function account(options: object = {}): Promise<string> {
  const { id } = await bank.post('/api/v2/accounts', {
    name: 'A',
    currency: 'BRL',
    chart_code: '2100',
    ...options,
  });
  return id;
}

async function funded(amount: string): Promise<string> {
  const id = await account();
  const cash = await account({ chart_code: '1100', credit_limit: null });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: id,
    amount: brl(amount),
  });
  return id;
}

test('201: a transfer moves money and says where both accounts stand', async () => {
  const [a, b] = [await funded('100.00'), await account()];
  const transfer = await bank.post('/api/v2/transfers', {
    debit_account_id: a,
    credit_account_id: b,
    amount: brl('30.5'),
  });
  assert.deepEqual(
    transfer.entries.map((entry: { side: string; balance: object }) => [entry.side, entry.balance]),
    [
      ['debit', brl('69.50')],
      ['credit', brl('30.50')],
    ],
  );
  assert.equal((await bank.get(`/api/v2/accounts/${a}`)).balance.amount, '69.50');
  assert.deepEqual(await bank.get(`/api/v2/transfers/${transfer.id}`), transfer);
});

test('422 insufficient_funds: nothing moves, and the refusal is told again under its key', async () => {
  const [a, b] = [await funded('10.00'), await account()];
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('10.01') };
  const first = await bank.ask('POST', '/api/v2/transfers', body, { 'idempotency-key': 'short' });
  assert.equal(first.status, 422);
  assert.equal(first.body.code, 'insufficient_funds');
  assert.deepEqual(first.body.short, brl('0.01'));
  const again = await bank.ask('POST', '/api/v2/transfers', body, { 'idempotency-key': 'short' });
  assert.equal(again.status, 422);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal((await bank.get(`/api/v2/accounts/${a}`)).balance.amount, '10.00');
});

test('the same key and body is the first outcome again; another body is refused and named', async () => {
  const [a, b] = [await funded('10.00'), await account()];
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('4.00') };
  const headers = { 'idempotency-key': 'twice' };
  const first = await bank.ask('POST', '/api/v2/transfers', body, headers);
  const again = await bank.ask('POST', '/api/v2/transfers', body, headers);
  assert.equal(again.status, 201);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.deepEqual(again.body, first.body);
  const other = await bank.ask('POST', '/api/v2/transfers', { ...body, amount: brl('5.00') }, headers);
  assert.equal(other.status, 422);
  assert.equal(other.body.code, 'idempotency_key_reused');
  assert.deepEqual(other.body.differs, ['/amount/amount']);
  assert.equal((await bank.get(`/api/v2/accounts/${a}`)).balance.amount, '6.00');
});

test('opening an account again under its key is the first answer, whatever happened to the account since', async () => {
  const body = { name: 'Once', currency: 'BRL', chart_code: '2100' };
  const headers = { 'idempotency-key': 'open-once' };
  const first = await bank.ask('POST', '/api/v2/accounts', body, headers);
  const cash = await account({ chart_code: '1100', credit_limit: null });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: first.body.id,
    amount: brl('5.00'),
  });
  const edit = { name: 'Twice', credit_limit: brl('9.00'), metadata: { a: 'b' } };
  await bank.ask('PATCH', `/api/v2/accounts/${first.body.id}`, edit, { 'if-match': '*' });
  const again = await bank.ask('POST', '/api/v2/accounts', body, headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal(again.headers['etag'], first.headers['etag']);
  assert.deepEqual(again.body, first.body);
});

test('what a request itself says wrong is an outcome too: kept under its key, told again, found by it', async () => {
  const [a, b] = [await funded('10.00'), await account()];
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('0.00') };
  const headers = { 'idempotency-key': 'zero' };
  const first = await bank.ask('POST', '/api/v2/transfers', body, headers);
  assert.equal(first.body.code, 'amount_not_positive');
  const again = await bank.ask('POST', '/api/v2/transfers', body, headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal(again.body.detail, first.body.detail);
  const corrected = await bank.ask('POST', '/api/v2/transfers', { ...body, amount: brl('1.00') }, headers);
  assert.equal(corrected.body.code, 'idempotency_key_reused');
  const kept = await bank.get('/api/v2/attempts/zero');
  assert.equal(kept.problem.code, 'amount_not_positive');
  assert.equal(kept.problem.detail, first.body.detail);
});

test('a member of a link that is wrong by itself takes the link with it, and only the link', async () => {
  const [a, b] = [await funded('10.00'), await account()];
  const one = { debit_account_id: a, credit_account_id: b, amount: brl('1.00') };
  const { posted, outcomes } = await bank.post('/api/v2/transfers/batch', {
    transfers: [
      { ...one, link: 'x' },
      { ...one, amount: brl('0.00'), link: 'x' },
      { ...one, link: 'x' },
      one,
    ],
  });
  assert.equal(posted, 1);
  assert.deepEqual(
    outcomes.map((outcome: { problem?: { code: string; refused_index?: number } }) => [
      outcome.problem?.code,
      outcome.problem?.refused_index,
    ]),
    [
      ['linked_transfer_refused', 1],
      ['amount_not_positive', undefined],
      ['linked_transfer_refused', 1],
      [undefined, undefined],
    ],
  );
  assert.equal((await bank.get(`/api/v2/accounts/${a}`)).balance.amount, '9.00');
});

test('transfers of exactly an amount are found, in any currency, in 31 days at most', async () => {
  const pair = async (currency: string) => {
    const options = { currency, chart_code: '1100', credit_limit: null };
    return [await account(options), await account(options)];
  };
  const move = async (currency: string, amount: string): Promise<string> => {
    const [debit_account_id, credit_account_id] = await pair(currency);
    const body = { debit_account_id, credit_account_id, amount: { amount, currency } };
    return (await bank.post('/api/v2/transfers', body)).id;
  };
  const moved = [
    await move('BRL', '4321.00'),
    await move('JPY', '4321'),
    await move('KWD', '4321.000'),
    await move('BRL', '43.21'),
    await move('KWD', '4.321'),
    await move('BRL', '4321.00'),
  ];
  const first = (await bank.get(`/api/v2/transfers/${moved[0]}`)).created_at;
  const last = (await bank.get(`/api/v2/transfers/${moved[5]}`)).created_at;
  const found = async (amount: string, more = '') => {
    const { data } = await bank.get(`/api/v2/transfers?amount=${amount}&created_from=${first}${more}`);
    return data.map(({ id }: { id: string }) => moved.indexOf(id));
  };
  assert.deepEqual(await found('4321.00'), [5, 2, 1, 0]);
  assert.deepEqual(await found('4321'), [5, 2, 1, 0]);
  assert.deepEqual(await found('43.21'), [3]);
  assert.deepEqual(await found('4.321'), [4]);
  assert.deepEqual(await found('4321', `&created_to=${first}`), [0]);
  assert.deepEqual(await found('0.0001'), []);
  const page = await bank.get(
    `/api/v2/transfers?amount=4321&created_from=${first}&created_to=${last}&limit=3`,
  );
  const next = await bank.get(
    `/api/v2/transfers?amount=4321&created_from=${first}&created_to=${last}&limit=3&cursor=${page.next_cursor}`,
  );
  assert.deepEqual([page.data.length, next.data.length, next.next_cursor], [3, 1, null]);
  for (const query of ['', '&created_from=2020-01-01T00:00:00Z', '&created_to=2020-01-01T00:00:00Z']) {
    const refused = await bank.ask('GET', `/api/v2/transfers?amount=1${query}`);
    assert.deepEqual([refused.status, refused.body.code], [422, 'period_invalid'], query);
  }
});
