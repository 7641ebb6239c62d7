import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { newUuid, parseId } from '../../platform/ids.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let superuser: Client;
let cash: string;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  cash = await account({ chart_code: '1100', credit_limit: null });
});
after(async () => {
  await superuser.end();
  await platform.close();
});

const brl = (amount: string) => ({ amount, currency: 'BRL' });
const key = (text: string) => ({ 'idempotency-key': text });
const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString().replace(/\.?0*Z$/, 'Z');

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
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: id,
    amount: brl(amount),
  });
  return id;
}

interface Placed {
  hold: Answer['body'];
  url: string;
  debit: string;
  credit: string;
}

/** A hold on an account that has just as much money, unless it is given more. */
async function placed(
  amount: string,
  options: { funds?: string; expires_at?: string } = {},
): Promise<Placed> {
  const { funds = amount, ...rest } = options;
  const [debit, credit] = [await funded(funds), await account()];
  const body = { debit_account_id: debit, credit_account_id: credit, amount: brl(amount), ...rest };
  const hold = await bank.post('/api/v2/holds', body);
  return { hold, url: `/api/v2/holds/${hold.id}`, debit, credit };
}

async function standing(id: string): Promise<{ balance: string; available: string; pending: string }> {
  const found = await bank.get(`/api/v2/accounts/${id}`);
  return {
    balance: found.balance.amount,
    available: found.available.amount,
    pending: `${found.debits_pending.amount} ${found.credits_pending.amount}`,
  };
}

function totals(hold: Answer['body']): string {
  const parts = [hold.amount, hold.captured, hold.released, hold.remaining];
  return `${hold.status} ${parts.map((money: { amount: string }) => money.amount).join(' ')}`;
}

async function assertRefused(
  request: Promise<Answer>,
  status: number,
  code: string,
): Promise<Answer['body']> {
  const { status: was, body, text } = await request;
  assert.deepEqual([was, body?.code], [status, code], text);
  return body;
}

/** Data and subjects of the events of a hold, in their order. */
async function eventsOf(holdId: string): Promise<{ type: string; data: Answer['body'] }[]> {
  const { rows } = await superuser.query(
    'select type, payload::json as data from ledger.outbox where tenant_id = $1 and aggregateid = $2 order by sequence',
    [bank.scope.tenant_id, parseId('hld', holdId)],
  );
  return rows;
}

test('201: a hold takes money out of what is available and leaves the balance', async () => {
  const [a, b] = [await funded('100.00'), await account()];
  const body = {
    debit_account_id: a,
    credit_account_id: b,
    amount: brl('30.5'),
    expires_at: '2999-01-31T09:00:00.250-03:00',
    description: 'Dinner',
    metadata: { order_id: 'A-1' },
  };
  const answer = await bank.ask('POST', '/api/v2/holds', body);
  assert.equal(answer.status, 201, answer.text);
  const hold = answer.body;
  assert.equal(answer.headers['location'], `/api/v2/holds/${hold.id}`);
  assert.equal(answer.headers['ledger-position'], String(hold.steps[0].position));
  assert.equal(answer.headers['idempotent-replayed'], undefined);
  assert.equal(totals(hold), 'active 30.50 0.00 0.00 30.50');
  assert.equal(hold.expires_at, '2999-01-31T12:00:00.25Z');
  assert.equal(hold.description, 'Dinner');
  assert.deepEqual(hold.metadata, { order_id: 'A-1' });
  assert.deepEqual(await standing(a), { balance: '100.00', available: '69.50', pending: '30.50 0.00' });
  assert.deepEqual(await standing(b), { balance: '0.00', available: '0.00', pending: '0.00 30.50' });
  assert.deepEqual(await bank.get(`/api/v2/holds/${hold.id}`), hold);
});

test('what is held cannot be spent, held again or swept, to the cent', async () => {
  const { debit, credit } = await placed('60.00', { funds: '100.00' });
  const spend = (amount: string) =>
    bank.ask('POST', '/api/v2/transfers', {
      debit_account_id: debit,
      credit_account_id: credit,
      amount: brl(amount),
    });
  const hold = (amount: string) =>
    bank.ask('POST', '/api/v2/holds', {
      debit_account_id: debit,
      credit_account_id: credit,
      amount: brl(amount),
    });
  const refused = await assertRefused(spend('40.01'), 422, 'insufficient_funds');
  assert.deepEqual(refused.short, brl('0.01'));
  assert.deepEqual((await assertRefused(hold('40.01'), 422, 'insufficient_funds')).short, brl('0.01'));
  await assertRefused(bank.ask('POST', `/api/v2/accounts/${debit}/close`), 422, 'account_not_empty');
  assert.equal((await spend('40.00')).status, 201);
  await assertRefused(spend('0.01'), 422, 'insufficient_funds');
  assert.deepEqual(await standing(debit), { balance: '60.00', available: '0.00', pending: '60.00 0.00' });
});

test('what a hold promises the other side is not available there, and an asset account is held on its credit side', async () => {
  const { credit, url } = await placed('50.00');
  const other = await account();
  const spend = { debit_account_id: credit, credit_account_id: other, amount: brl('0.01') };
  await assertRefused(bank.ask('POST', '/api/v2/transfers', spend), 422, 'insufficient_funds');
  await bank.post(`${url}/captures`, {});
  assert.equal((await bank.ask('POST', '/api/v2/transfers', spend)).status, 201);

  const till = await account({ chart_code: '1100' });
  await bank.post('/api/v2/transfers', {
    debit_account_id: till,
    credit_account_id: cash,
    amount: brl('9.00'),
  });
  const safe = await account({ chart_code: '1100' });
  const hold = { debit_account_id: safe, credit_account_id: till, amount: brl('9.01') };
  await assertRefused(bank.ask('POST', '/api/v2/holds', hold), 422, 'insufficient_funds');
  await bank.post('/api/v2/holds', { ...hold, amount: brl('9.00') });
  assert.deepEqual(await standing(till), { balance: '9.00', available: '0.00', pending: '0.00 9.00' });
});

test('a hold may use the credit limit, and the limit cannot be lowered below what is held', async () => {
  const a = await account({ credit_limit: brl('20.00') });
  const b = await account();
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('20.01') };
  await assertRefused(bank.ask('POST', '/api/v2/holds', body), 422, 'insufficient_funds');
  await bank.post('/api/v2/holds', { ...body, amount: brl('20.00') });
  await assertRefused(
    bank.ask('PATCH', `/api/v2/accounts/${a}`, { credit_limit: brl('19.99') }, { 'if-match': '*' }),
    422,
    'credit_limit_in_use',
  );
});

test('partial captures post entries with running balances until nothing remains', async () => {
  const { hold, url, debit, credit } = await placed('30.00', { funds: '100.00' });
  const first = await bank.ask('POST', `${url}/captures`, {
    amount: brl('10.00'),
    effective_date: '2026-01-31',
    description: 'First part',
    metadata: { part: '1' },
  });
  assert.equal(first.status, 201, first.text);
  const { transfer } = first.body;
  assert.equal(first.headers['location'], `/api/v2/transfers/${transfer.id}`);
  assert.equal(first.headers['ledger-position'], String(transfer.position));
  assert.equal(totals(first.body.hold), 'active 30.00 10.00 0.00 20.00');
  assert.equal(transfer.kind, 'capture');
  assert.equal(transfer.hold_id, hold.id);
  assert.equal(transfer.effective_date, '2026-01-31');
  assert.equal(transfer.description, 'First part');
  assert.deepEqual(transfer.metadata, { part: '1' });
  assert.deepEqual(
    transfer.entries.map((entry: Answer['body']) => [
      entry.account_id,
      entry.side,
      entry.amount,
      entry.balance,
    ]),
    [
      [debit, 'debit', brl('10.00'), brl('90.00')],
      [credit, 'credit', brl('10.00'), brl('10.00')],
    ],
  );
  assert.deepEqual(await bank.get(`/api/v2/transfers/${transfer.id}`), transfer);
  assert.deepEqual(await standing(debit), { balance: '90.00', available: '70.00', pending: '20.00 0.00' });

  const rest = await bank.post(`${url}/captures`, {});
  assert.equal(totals(rest.hold), 'captured 30.00 30.00 0.00 0.00');
  assert.deepEqual(rest.transfer.entries[1].balance, brl('30.00'));
  assert.deepEqual(await standing(debit), { balance: '70.00', available: '70.00', pending: '0.00 0.00' });
  assert.deepEqual(await standing(credit), { balance: '30.00', available: '30.00', pending: '0.00 0.00' });
  assert.deepEqual(
    rest.hold.steps.map((step: Answer['body']) => [
      step.step,
      step.kind,
      step.pending_change.amount,
      step.transfer_id,
    ]),
    [
      [1, 'place', '30.00', undefined],
      [2, 'capture', '-10.00', transfer.id],
      [3, 'capture', '-20.00', rest.transfer.id],
    ],
  );
  assert.deepEqual(await bank.get(url), rest.hold);
  const { data } = await bank.get(`/api/v2/transfers?hold_id=${hold.id}`);
  assert.deepEqual(data, [rest.transfer, transfer]);
});

test('a final capture releases what remains', async () => {
  const { url, debit } = await placed('30.00');
  const { hold, transfer } = await bank.post(`${url}/captures`, { amount: brl('12.34'), final: true });
  assert.equal(totals(hold), 'captured 30.00 12.34 17.66 0.00');
  assert.deepEqual(transfer.entries[0].amount, brl('12.34'));
  assert.deepEqual(hold.steps[1].pending_change, brl('-30.00'));
  assert.deepEqual(await standing(debit), { balance: '17.66', available: '17.66', pending: '0.00 0.00' });
});

test('a capture can be reversed as any transfer can', async () => {
  const { url, debit, credit } = await placed('30.00');
  const { hold, transfer } = await bank.post(`${url}/captures`, {});
  await bank.post(`/api/v2/transfers/${transfer.id}/reversals`, {});
  assert.deepEqual(await standing(debit), { balance: '30.00', available: '30.00', pending: '0.00 0.00' });
  assert.equal((await standing(credit)).balance, '0.00');
  assert.deepEqual(await bank.get(url), hold);
});

test('releases, in part and whole, make the money available again', async () => {
  const { url, debit } = await placed('30.00');
  const answer = await bank.ask('POST', `${url}/releases`, { amount: brl('10.00') });
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers['location'], url);
  assert.equal(totals(answer.body), 'active 30.00 0.00 10.00 20.00');
  assert.equal((await standing(debit)).available, '10.00');
  await bank.post(`${url}/captures`, { amount: brl('5.00') });
  assert.equal(totals(await bank.post(`${url}/releases`, {})), 'released 30.00 5.00 25.00 0.00');
  assert.deepEqual(await standing(debit), { balance: '25.00', available: '25.00', pending: '0.00 0.00' });
});

test('an increment holds more, if there is more', async () => {
  const { url, debit } = await placed('30.00', { funds: '50.00' });
  assert.equal(
    totals(await bank.post(`${url}/increments`, { amount: brl('20.00') })),
    'active 50.00 0.00 0.00 50.00',
  );
  const refused = await assertRefused(
    bank.ask('POST', `${url}/increments`, { amount: brl('0.01') }),
    422,
    'insufficient_funds',
  );
  assert.equal(refused.account_id, debit);
  assert.deepEqual(refused.short, brl('0.01'));
  assert.equal(totals((await bank.post(`${url}/captures`, {})).hold), 'captured 50.00 50.00 0.00 0.00');
});

test('an extension moves the end later, never earlier', async () => {
  const { url } = await placed('30.00', { expires_at: inDays(2) });
  const later = inDays(3);
  const extended = await bank.post(`${url}/extensions`, { expires_at: later });
  assert.equal(extended.expires_at, later);
  assert.deepEqual(extended.steps[1].pending_change, brl('0.00'));
  assert.equal(extended.steps[1].expires_at, later);
  const earlier = { expires_at: inDays(1) };
  const refused = await assertRefused(
    bank.ask('POST', `${url}/extensions`, earlier),
    422,
    'expiry_not_later',
  );
  assert.equal(refused.expires_at, later);
  const same = bank.ask('POST', `${url}/extensions`, { expires_at: later });
  await assertRefused(same, 422, 'expiry_not_later');

  const endless = await placed('1.00');
  await assertRefused(bank.ask('POST', `${endless.url}/extensions`, earlier), 422, 'expiry_not_later');
});

test('422 amount_exceeds_hold: nothing is taken', async () => {
  const { hold, url } = await placed('30.00', { funds: '100.00' });
  for (const step of ['captures', 'releases']) {
    const refused = await assertRefused(
      bank.ask('POST', `${url}/${step}`, { amount: brl('30.01') }),
      422,
      'amount_exceeds_hold',
    );
    assert.deepEqual(refused.remaining, brl('30.00'));
  }
  assert.deepEqual(await bank.get(url), hold);
});

test('422 hold_closed: nothing happens to a hold of which nothing remains', async () => {
  for (const last of ['captures', 'releases']) {
    const { url } = await placed('30.00', { expires_at: inDays(1) });
    await bank.post(`${url}/${last}`, {});
    const closed = await bank.get(url);
    const steps = {
      increments: { amount: brl('1.00') },
      extensions: { expires_at: inDays(2) },
      captures: {},
      releases: {},
    };
    for (const [step, body] of Object.entries(steps)) {
      await assertRefused(bank.ask('POST', `${url}/${step}`, body), 422, 'hold_closed');
    }
    await assertRefused(bank.ask('POST', `${url}/captures`, { amount: brl('0.01') }), 422, 'hold_closed');
    assert.deepEqual(await bank.get(url), closed);
  }
});

test('422 expiry_in_the_past', async () => {
  const [a, b] = [await funded('5.00'), await account()];
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('5.00') };
  const past = bank.ask('POST', '/api/v2/holds', { ...body, expires_at: inDays(-1) });
  await assertRefused(past, 422, 'expiry_in_the_past');
  assert.equal((await standing(a)).available, '5.00');
});

test('404: unknown holds and those of others, to every method; the refusal is kept under its key', async () => {
  const { hold, url } = await placed('30.00');
  const other = await platform.newTenant();
  const live = await platform.newTenant('live');
  const unknown = '/api/v2/holds/hld_01h455vb4pex5vsknk084sn02q';
  const steps = {
    increments: { amount: brl('1.00') },
    extensions: { expires_at: inDays(2) },
    captures: {},
    releases: {},
  };
  for (const [tenant, address] of [
    [bank, unknown],
    [other, url],
    [live, url],
  ] as const) {
    await assertRefused(tenant.ask('GET', address), 404, 'hold_not_found');
    for (const [step, body] of Object.entries(steps)) {
      const headers = key(`absent-${step}`);
      await assertRefused(tenant.ask('POST', `${address}/${step}`, body, headers), 404, 'hold_not_found');
      const again = await tenant.ask('POST', `${address}/${step}`, body, headers);
      assert.deepEqual([again.status, again.headers['idempotent-replayed']], [404, 'true']);
    }
  }
  assert.deepEqual(await bank.get(url), hold);
  assert.deepEqual((await other.get('/api/v2/holds')).data, []);
});

test('a step on no hold beside others in one commit takes none of their legs', async () => {
  const { url } = await placed('30.00');
  const unknown = '/api/v2/holds/hld_01h455vb4pex5vsknk084sn02q';
  const [a, b] = [await funded('5.00'), await account()];
  const answers = await Promise.all([
    bank.ask('POST', `${unknown}/captures`, {}),
    bank.ask('POST', '/api/v2/transfers', { debit_account_id: a, credit_account_id: b, amount: brl('1.00') }),
    bank.ask('POST', `${unknown}/releases`, {}),
    bank.ask('POST', `${url}/captures`, { amount: brl('2.00') }),
    bank.ask('POST', '/api/v2/holds', { debit_account_id: a, credit_account_id: b, amount: brl('3.00') }),
  ]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [404, 201, 404, 201, 201],
  );
  assert.deepEqual(await standing(a), { balance: '4.00', available: '1.00', pending: '3.00 0.00' });
  assert.equal(totals(await bank.get(url)), 'active 30.00 2.00 0.00 28.00');
});

test('400: malformed ids, bodies and times', async () => {
  const { hold, url, debit, credit } = await placed('30.00');
  const place = { debit_account_id: debit, credit_account_id: credit, amount: brl('1.00') };
  for (const id of ['1', 'acc_01h455vb4pex5vsknk084sn02q', `${hold.id}x`, hold.id.toUpperCase()]) {
    await assertRefused(bank.ask('GET', `/api/v2/holds/${id}`), 400, 'malformed_request');
    await assertRefused(bank.ask('POST', `/api/v2/holds/${id}/captures`, {}), 400, 'malformed_request');
  }
  for (const [path, body] of [
    ['/api/v2/holds', {}],
    ['/api/v2/holds', { ...place, credit_account_id: 'acc_1' }],
    ['/api/v2/holds', { ...place, note: 'x' }],
    ['/api/v2/holds', { ...place, amount: { amount: 1, currency: 'BRL' } }],
    ['/api/v2/holds', { ...place, amount: brl('1e400') }],
    ['/api/v2/holds', { ...place, description: 'a\u0000b' }],
    ['/api/v2/holds', { ...place, expires_at: 'tomorrow' }],
    ['/api/v2/holds', { ...place, expires_at: '2999-02-30T00:00:00Z' }],
    ['/api/v2/holds', { ...place, expires_at: '2998-12-31T23:59:60Z' }],
    ['/api/v2/holds', { ...place, expires_at: '0000-01-01T00:00:00Z' }],
    ['/api/v2/holds', { ...place, expires_at: '9999-12-31T23:59:59-14:00' }],
    ['/api/v2/holds', { ...place, expires_at: '2999-01-01T00:00:00' }],
    [`${url}/increments`, {}],
    [`${url}/extensions`, {}],
    [`${url}/extensions`, { expires_at: null }],
    [`${url}/captures`, { amount: brl('1.00'), final: 'yes' }],
    [`${url}/captures`, { effective_date: '31.01.2026' }],
    [`${url}/captures`, undefined],
    [`${url}/releases`, { amount: '1.00' }],
  ] as const) {
    await assertRefused(bank.ask('POST', path, body), 400, 'malformed_request');
  }
  assert.deepEqual(await bank.get(url), hold);
});

test('422: amounts that cannot be held or taken', async () => {
  const { hold, url, debit, credit } = await placed('30.00', { funds: '100.00' });
  const requests = {
    '/api/v2/holds': (amount: object) => ({ debit_account_id: debit, credit_account_id: credit, amount }),
    [`${url}/increments`]: (amount: object) => ({ amount }),
    [`${url}/captures`]: (amount: object) => ({ amount }),
    [`${url}/releases`]: (amount: object) => ({ amount }),
  };
  for (const [path, body] of Object.entries(requests)) {
    for (const [amount, code] of [
      [brl('0.00'), 'amount_not_positive'],
      [brl('-1.00'), 'amount_not_positive'],
      [brl('1.001'), 'too_many_decimals'],
      [{ amount: '1.5', currency: 'JPY' }, 'too_many_decimals'],
      [{ amount: '1.00', currency: 'XXQ' }, 'unknown_currency'],
      [brl('999999999999999999'), 'amount_too_large'],
      [{ amount: '1.00', currency: 'USD' }, 'currency_mismatch'],
      [{ amount: '1', currency: 'JPY' }, 'currency_mismatch'],
    ] as const) {
      const refused = await assertRefused(bank.ask('POST', path, body(amount)), 422, code);
      if (code === 'currency_mismatch') assert.equal(refused.account_currency, 'BRL', path);
    }
  }
  const same = { debit_account_id: debit, credit_account_id: debit, amount: brl('1.00') };
  await assertRefused(bank.ask('POST', '/api/v2/holds', same), 422, 'same_account');
  const nobody = { ...same, credit_account_id: 'acc_01h455vb4pex5vsknk084sn02q' };
  await assertRefused(bank.ask('POST', '/api/v2/holds', nobody), 404, 'account_not_found');
  await assertRefused(
    bank.ask('POST', `${url}/captures`, { effective_date: '2026-02-30' }),
    422,
    'effective_date_invalid',
  );
  assert.deepEqual(await bank.get(url), hold);
});

test('currencies of other exponents: JPY has no decimals, KWD three', async () => {
  for (const [currency, funds, part, rest] of [
    ['JPY', '1000', '300', '700'],
    ['KWD', '1.000', '0.125', '0.875'],
  ] as const) {
    const source = await account({ currency, chart_code: '1100', credit_limit: null });
    const [a, b] = [await account({ currency }), await account({ currency })];
    const money = (amount: string) => ({ amount, currency });
    await bank.post('/api/v2/transfers', {
      debit_account_id: source,
      credit_account_id: a,
      amount: money(funds),
    });
    const hold = await bank.post('/api/v2/holds', {
      debit_account_id: a,
      credit_account_id: b,
      amount: money(funds),
    });
    const captured = await bank.post(`/api/v2/holds/${hold.id}/captures`, { amount: money(part) });
    assert.deepEqual(captured.hold.remaining, money(rest));
    assert.equal((await standing(a)).balance, rest);
    const [, event] = await eventsOf(hold.id);
    assert.deepEqual(event?.data.remaining, money(rest));
    assert.deepEqual(event?.data.transfer.entries[0].amount, money(part));
  }
});

test('the largest amounts: counters do not overflow, and say so', async () => {
  const largest = brl('9999999999999999.99');
  const [a, b] = [await account({ credit_limit: null }), await account({ credit_limit: null })];
  const body = { debit_account_id: a, credit_account_id: b, amount: largest };
  const hold = await bank.post('/api/v2/holds', body);
  for (let count = 2; count <= 9; count += 1) await bank.post('/api/v2/holds', body);
  await assertRefused(bank.ask('POST', '/api/v2/holds', body), 422, 'balance_overflow');
  const increment = bank.ask('POST', `/api/v2/holds/${hold.id}/increments`, { amount: largest });
  await assertRefused(increment, 422, 'balance_overflow');
  const { transfer } = await bank.post(`/api/v2/holds/${hold.id}/captures`, {});
  assert.deepEqual(transfer.entries[0].balance, brl('-9999999999999999.99'));
  for (let count = 2; count <= 9; count += 1) {
    await bank.post('/api/v2/transfers', body);
  }
  const [, second] = (await bank.get(`/api/v2/holds?account_id=${a}`)).data;
  const capture = await bank.ask('POST', `/api/v2/holds/${second.id}/captures`, {});
  assert.equal(capture.body.code, 'balance_overflow', capture.text);
});

test('422: frozen and restricted accounts; a release still gives the money back', async () => {
  const { url, debit, credit } = await placed('30.00', { funds: '100.00', expires_at: inDays(1) });
  const place = { debit_account_id: debit, credit_account_id: credit, amount: brl('1.00') };
  for (const frozen of [debit, credit]) {
    await bank.post(`/api/v2/accounts/${frozen}/freeze`);
    for (const [path, body] of [
      ['/api/v2/holds', place],
      [`${url}/increments`, { amount: brl('1.00') }],
      [`${url}/extensions`, { expires_at: inDays(2) }],
      [`${url}/captures`, {}],
    ] as const) {
      const refused = await assertRefused(bank.ask('POST', path, body), 422, 'account_frozen');
      assert.equal(refused.account_id, frozen);
    }
    assert.equal((await bank.ask('POST', `${url}/releases`, { amount: brl('1.00') })).status, 201);
    await bank.post(`/api/v2/accounts/${frozen}/unfreeze`);
  }
  // What was promised before the rule can still be captured; nothing new can be promised.
  for (const [restricted, rule, code] of [
    [debit, 'may_send', 'account_may_not_send'],
    [credit, 'may_receive', 'account_may_not_receive'],
  ] as const) {
    const address = `/api/v2/accounts/${restricted}`;
    const edit = (value: boolean) => bank.ask('PATCH', address, { [rule]: value }, { 'if-match': '*' });
    assert.equal((await edit(false)).status, 200);
    await assertRefused(bank.ask('POST', '/api/v2/holds', place), 422, code);
    await assertRefused(bank.ask('POST', `${url}/increments`, { amount: brl('1.00') }), 422, code);
    assert.equal((await bank.ask('POST', `${url}/captures`, { amount: brl('1.00') })).status, 201);
    assert.equal((await edit(true)).status, 200);
  }
});

test('400 idempotency_key_required', async () => {
  const { hold, url, debit, credit } = await placed('30.00');
  for (const [path, body] of [
    ['/api/v2/holds', { debit_account_id: debit, credit_account_id: credit, amount: brl('1.00') }],
    [`${url}/increments`, { amount: brl('1.00') }],
    [`${url}/extensions`, { expires_at: inDays(1) }],
    [`${url}/captures`, {}],
    [`${url}/releases`, {}],
  ] as const) {
    const answer = await platform.running.app.inject({
      method: 'POST',
      url: path,
      headers: { authorization: `Bearer ${bank.key}` },
      payload: body,
    });
    assert.equal(answer.statusCode, 400);
    assert.equal(answer.json().code, 'idempotency_key_required');
  }
  assert.deepEqual(await bank.get(url), hold);
});

test('a repetition gives the first answer, whatever happened to the hold since', async () => {
  const [debit, credit] = [await funded('100.00'), await account()];
  const body = {
    debit_account_id: debit,
    credit_account_id: credit,
    amount: brl('50.00'),
    expires_at: inDays(1),
    description: 'Rental',
    metadata: { car: '7' },
  };
  const first = await bank.ask('POST', '/api/v2/holds', body, key('replay-place'));
  const url = `/api/v2/holds/${first.body.id}`;
  const steps: [string, object, string][] = [
    [`${url}/increments`, { amount: brl('10.00') }, 'replay-increment'],
    [`${url}/extensions`, { expires_at: inDays(3) }, 'replay-extend'],
    [`${url}/captures`, { amount: brl('20.00'), metadata: { part: '1' } }, 'replay-capture'],
    [`${url}/releases`, { amount: brl('5.00') }, 'replay-release'],
    [`${url}/captures`, { amount: brl('3.00'), final: true }, 'replay-final'],
    [`${url}/captures`, {}, 'replay-refused'],
  ];
  const answers = [first];
  for (const [path, step, name] of steps) answers.push(await bank.ask('POST', path, step, key(name)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201, 201, 201, 201, 201, 422],
  );
  const firstCapture = answers[3]?.body.transfer;
  await bank.post(`/api/v2/transfers/${firstCapture.id}/reversals`, {});

  const requests: [string, object, string][] = [['/api/v2/holds', body, 'replay-place'], ...steps];
  for (const [index, [path, step, name]] of requests.entries()) {
    const again = await bank.ask('POST', path, step, key(name));
    const was = answers[index];
    assert.equal(again.status, was?.status, name);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    assert.equal(again.headers['location'], was?.headers['location']);
    assert.equal(again.headers['ledger-position'], was?.headers['ledger-position']);
    const { request_id: _, ...then } = was?.body ?? {};
    const { request_id: __, ...now } = again.body;
    assert.deepEqual(now, then, name);
  }
  assert.equal(totals(await bank.get(url)), 'captured 60.00 23.00 37.00 0.00');
});

test('422 idempotency_key_reused: another body, another step or another hold under the same key', async () => {
  const [one, two] = [await placed('30.00'), await placed('30.00')];
  await bank.post(`${one.url}/captures`, { amount: brl('1.00') }, key('reused'));
  const other = await assertRefused(
    bank.ask('POST', `${one.url}/captures`, { amount: brl('2.00') }, key('reused')),
    422,
    'idempotency_key_reused',
  );
  assert.deepEqual(other.differs, ['/amount/amount']);
  for (const path of [`${one.url}/releases`, `${two.url}/captures`]) {
    const request = bank.ask('POST', path, { amount: brl('1.00') }, key('reused'));
    await assertRefused(request, 422, 'idempotency_key_reused');
  }
  // Left out and given as its default is the same.
  const same = await bank.ask(
    'POST',
    `${one.url}/captures`,
    { amount: brl('1.00'), final: false },
    key('reused'),
  );
  assert.equal(same.headers['idempotent-replayed'], 'true', same.text);
  assert.equal(totals(await bank.get(one.url)), 'active 30.00 1.00 0.00 29.00');
  assert.equal(totals(await bank.get(two.url)), 'active 30.00 0.00 0.00 30.00');
});

test('a dry run answers as the real one would and keeps nothing', async () => {
  const { hold, url, debit, credit } = await placed('30.00', { funds: '100.00', expires_at: inDays(1) });
  const before_ = [await standing(debit), await standing(credit)];
  const head = (await bank.ask('GET', '/api/v2/holds')).headers['ledger-position'];
  const place = { debit_account_id: debit, credit_account_id: credit, amount: brl('70.00') };
  const rehearsed = await bank.post('/api/v2/holds?dry_run=true', place, key('dry-1'));
  assert.equal(totals(rehearsed), 'active 70.00 0.00 0.00 70.00');
  await assertRefused(bank.ask('GET', `/api/v2/holds/${rehearsed.id}`), 404, 'hold_not_found');
  const later = inDays(2);
  const incremented = await bank.post(
    `${url}/increments?dry_run=true`,
    { amount: brl('70.00') },
    key('dry-1'),
  );
  assert.equal(totals(incremented), 'active 100.00 0.00 0.00 100.00');
  assert.equal(incremented.steps.length, 2);
  const extended = await bank.post(`${url}/extensions?dry_run=true`, { expires_at: later }, key('dry-1'));
  assert.equal(extended.expires_at, later);
  const captured = await bank.post(`${url}/captures?dry_run=true`, { amount: brl('10.00') }, key('dry-1'));
  assert.equal(totals(captured.hold), 'active 30.00 10.00 0.00 20.00');
  assert.deepEqual(captured.transfer.entries[0].balance, brl('90.00'));
  const released = await bank.post(`${url}/releases?dry_run=true`, {}, key('dry-1'));
  assert.equal(totals(released), 'released 30.00 0.00 30.00 0.00');
  const over = bank.ask('POST', `${url}/captures?dry_run=true`, { amount: brl('30.01') }, key('dry-1'));
  await assertRefused(over, 422, 'amount_exceeds_hold');
  const short = bank.ask('POST', '/api/v2/holds?dry_run=true', { ...place, amount: brl('70.01') });
  await assertRefused(short, 422, 'insufficient_funds');

  assert.deepEqual(await bank.get(url), hold);
  assert.deepEqual([await standing(debit), await standing(credit)], before_);
  assert.equal((await bank.ask('GET', '/api/v2/holds')).headers['ledger-position'], head);
  const real = await bank.ask('POST', `${url}/releases`, {}, key('dry-1'));
  assert.equal(real.status, 201);
  assert.equal(real.headers['idempotent-replayed'], undefined);
});

test('20 captures at once take exactly what is held', async () => {
  const { url, debit, credit } = await placed('10.00', { funds: '100.00' });
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => bank.ask('POST', `${url}/captures`, { amount: brl('0.75') })),
  );
  assert.equal(answers.filter(({ status }) => status === 201).length, 13);
  for (const { status, body } of answers) {
    if (status !== 201) assert.equal(body.code, 'amount_exceeds_hold');
  }
  const { transfer } = await bank.post(`${url}/captures`, {});
  assert.deepEqual(transfer.entries[0].amount, brl('0.25'));
  assert.equal(totals(await bank.get(url)), 'captured 10.00 10.00 0.00 0.00');
  assert.deepEqual(await standing(debit), { balance: '90.00', available: '90.00', pending: '0.00 0.00' });
  assert.equal((await standing(credit)).balance, '10.00');
});

test('the same key 10 times at once is one capture with one answer', async () => {
  const { url, credit } = await placed('10.00');
  const answers = await Promise.all(
    Array.from({ length: 10 }, () =>
      bank.ask('POST', `${url}/captures`, { amount: brl('1.00') }, key('at-once')),
    ),
  );
  for (const answer of answers) {
    assert.equal(answer.status, 201, answer.text);
    assert.deepEqual(answer.body, answers[0]?.body);
  }
  assert.equal(answers.filter(({ headers }) => headers['idempotent-replayed'] === undefined).length, 1);
  assert.equal((await standing(credit)).balance, '1.00');
});

test('holds, captures, releases and transfers at once on one account lose nothing', async () => {
  const [a, b] = [await funded('100.00'), await account()];
  const place = { debit_account_id: a, credit_account_id: b, amount: brl('10.00') };
  const answers = await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      if (index % 5 === 4) return bank.ask('POST', '/api/v2/transfers', { ...place, amount: brl('1.00') });
      const hold = await bank.ask('POST', '/api/v2/holds', place);
      if (hold.status !== 201) return hold;
      const url = `/api/v2/holds/${hold.body.id}`;
      if (index % 3 === 0) return bank.ask('POST', `${url}/captures`, { amount: brl('4.00'), final: true });
      if (index % 3 === 1) return bank.ask('POST', `${url}/releases`, { amount: brl('3.00') });
      return bank.ask('POST', `${url}/captures`, {});
    }),
  );
  for (const { status, body, text } of answers) {
    assert.ok(status === 201 || body.code === 'insufficient_funds', text);
  }
  const { rows } = await superuser.query(
    `select a.debits_pending = coalesce((select sum(amount - captured - released) from ledger.holds
                                         where debit_account_id = a.id), 0) as held,
            a.debits_posted = (select sum(amount) from ledger.entries where account_id = a.id and side = 'debit') as posted,
            a.debits_pending = (select sum(pending_change) from ledger.hold_steps s
                                join ledger.holds h on h.id = s.hold_id where h.debit_account_id = a.id) as stepped
     from ledger.accounts a where a.id = $1`,
    [parseId('acc', a)],
  );
  assert.deepEqual(rows, [{ held: true, posted: true, stepped: true }]);
});

test('every position has one transfer or hold step or, for a capture, both of one id', async () => {
  const { rows } = await superuser.query(
    `select h.position::int as head,
            (select count(*)::int from (
               select position from ledger.transfers t where t.tenant_id = h.tenant_id and t.environment = h.environment
               union
               select position from ledger.hold_steps s where s.tenant_id = h.tenant_id and s.environment = h.environment
             ) all_of_them) as positions,
            (select count(*)::int from ledger.transfers t left join ledger.hold_steps s using (tenant_id, environment, position)
             where t.tenant_id = h.tenant_id and t.environment = h.environment
               and (t.kind = 'capture') <> (s.kind is not distinct from 'capture' and s.id = t.id)) as mismatched,
            h.outbox_sequence::int - (select count(*)::int from ledger.outbox o
              where o.tenant_id = h.tenant_id and o.environment = h.environment) as events_missing
     from ledger.heads h where h.tenant_id = $1 and h.environment = 'sandbox'`,
    [bank.scope.tenant_id],
  );
  assert.ok(rows[0].head > 100);
  assert.deepEqual(rows, [{ head: rows[0].head, positions: rows[0].head, mismatched: 0, events_missing: 0 }]);
});

test('each step has an event with the state that it left, and a capture with its transfer', async () => {
  const [debit, credit] = [await funded('100.00'), await account()];
  const expires_at = inDays(1);
  const hold = await bank.post('/api/v2/holds', {
    debit_account_id: debit,
    credit_account_id: credit,
    amount: brl('50.00'),
    expires_at,
    description: 'Hotel "Sol"',
    metadata: { room: '12' },
  });
  const url = `/api/v2/holds/${hold.id}`;
  await bank.post(`${url}/increments`, { amount: brl('10.00') });
  await bank.post(`${url}/releases`, { amount: brl('5.00') });
  const { transfer } = await bank.post(`${url}/captures`, {
    amount: brl('20.05'),
    final: true,
    description: 'Stay',
    metadata: { night: '1' },
  });
  const events = await eventsOf(hold.id);
  assert.deepEqual(
    events.map(
      ({ type, data }) =>
        `${type} ${data.step.step} ${data.step.kind} ${data.step.pending_change.amount}, ${totals(data)}`,
    ),
    [
      'ledger.hold.placed 1 place 50.00, active 50.00 0.00 0.00 50.00',
      'ledger.hold.incremented 2 increment 10.00, active 60.00 0.00 0.00 60.00',
      'ledger.hold.released 3 release -5.00, active 60.00 0.00 5.00 55.00',
      'ledger.hold.captured 4 capture -55.00, captured 60.00 20.05 39.95 0.00',
    ],
  );
  const final = await bank.get(url);
  for (const [index, { data }] of events.entries()) {
    assert.equal(data.id, hold.id);
    assert.equal(data.debit_account_id, debit);
    assert.equal(data.credit_account_id, credit);
    assert.equal(data.expires_at, expires_at);
    assert.equal(data.step.id, final.steps[index].id);
    assert.equal(data.unit, undefined);
  }
  assert.deepEqual([events[0]?.data.description, events[0]?.data.metadata], ['Hotel "Sol"', { room: '12' }]);
  assert.deepEqual(events[3]?.data.transfer, {
    id: transfer.id,
    hold_id: hold.id,
    description: 'Stay',
    metadata: { night: '1' },
    entries: transfer.entries.map(({ leg, account_id, side, amount }: Answer['body']) => ({
      leg,
      account_id,
      side,
      amount,
    })),
  });
});

test('lists: newest first, by account on either side, by status and time, a page at a time', async () => {
  const lister = await platform.newTenant();
  await lister.post('/api/v2/chart-of-accounts', { code: '1', name: 'All', type: 'asset' });
  const open = async () =>
    (
      await lister.post('/api/v2/accounts', {
        name: 'A',
        currency: 'BRL',
        chart_code: '1',
        credit_limit: null,
      })
    ).id;
  const [a, b, c] = [await open(), await open(), await open()];
  const place = async (debit: string, credit: string) =>
    (
      await lister.post('/api/v2/holds', {
        debit_account_id: debit,
        credit_account_id: credit,
        amount: brl('5.00'),
      })
    ).id;
  const ids = [await place(a, b), await place(b, a), await place(a, c), await place(c, b), await place(b, c)];
  const [first, second, third, fourth, fifth] = ids;
  await lister.post(`/api/v2/holds/${first}/captures`, {});
  await lister.post(`/api/v2/holds/${second}/captures`, { amount: brl('1.00') });
  await lister.post(`/api/v2/holds/${second}/releases`, {});
  await lister.post(`/api/v2/holds/${third}/captures`, { amount: brl('1.00'), final: true });

  const listed = async (query: string) =>
    (await lister.get(`/api/v2/holds${query}`)).data.map(({ id }: { id: string }) => id);
  assert.deepEqual(await listed(''), ids.toReversed());
  assert.deepEqual(await listed(`?account_id=${a}`), [third, second, first]);
  assert.deepEqual(await listed(`?account_id=${c}`), [fifth, fourth, third]);
  assert.deepEqual(await listed('?status=active'), [fifth, fourth]);
  assert.deepEqual(await listed('?status=captured'), [third, first]);
  assert.deepEqual(await listed('?status=released'), [second]);
  assert.deepEqual(await listed('?status=expired'), []);
  assert.deepEqual(await listed(`?account_id=${b}&status=active`), [fifth, fourth]);
  const { created_at } = await lister.get(`/api/v2/holds/${third}`);
  assert.deepEqual(await listed(`?created_from=${created_at}`), [fifth, fourth, third]);
  assert.deepEqual(await listed(`?created_to=${created_at}`), [third, second, first]);
  assert.deepEqual((await lister.get('/api/v2/holds')).data[0], await lister.get(`/api/v2/holds/${fifth}`));

  for (const filter of ['', `account_id=${b}&`]) {
    const expected = await listed(`?${filter}`);
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const page: Answer['body'] = await lister.get(
        `/api/v2/holds?${filter}limit=2${next === '' ? '' : `&cursor=${next}`}`,
      );
      assert.ok(page.data.length <= 2);
      seen.push(...page.data.map(({ id }: { id: string }) => id));
      next = page.next_cursor;
    }
    assert.deepEqual(seen, expected);
  }
  for (const query of [
    'cursor=xyz',
    'status=open',
    'limit=0',
    'limit=101',
    'account_id=acc_1',
    'color=red',
  ]) {
    assert.equal((await lister.ask('GET', `/api/v2/holds?${query}`)).status, 400, query);
  }
  for (const time of ['0000-01-01T00:00:00Z', 'now']) {
    const answer = lister.ask('GET', `/api/v2/holds?created_from=${time}`);
    await assertRefused(answer, 400, 'malformed_request');
  }
});

/** Runs a statement as a role, sees that it fails, and gives the SQLSTATE. */
async function codeOf(role: string, sql: string): Promise<string> {
  await superuser.query('begin');
  try {
    await superuser.query(`set local role ${role}`);
    await superuser.query(
      "select set_config('app.tenant_id', $1, true), set_config('app.environment', 'sandbox', true)",
      [bank.scope.tenant_id],
    );
    await superuser.query(sql);
    return 'nothing';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    await superuser.query('rollback');
  }
}

test('the database itself lets nobody rewrite a hold or a step', async () => {
  await placed('1.00');
  const INSUFFICIENT_PRIVILEGE = '42501';
  const RESTRICT_VIOLATION = '23001';
  for (const sql of [
    'update ledger.hold_steps set pending_change = 0',
    'delete from ledger.hold_steps',
    'truncate ledger.hold_steps',
    'update ledger.holds set captured = 0',
    'update ledger.holds set expires_at = null',
    'delete from ledger.holds',
    'truncate ledger.holds',
    `insert into ledger.hold_steps select * from ledger.hold_steps limit 1`,
    `insert into ledger.holds select * from ledger.holds limit 1`,
    'update ledger.accounts set debits_pending = 0',
  ]) {
    assert.equal(await codeOf('ledger', sql), INSUFFICIENT_PRIVILEGE, sql);
  }
  for (const sql of [
    'update ledger.hold_steps set pending_change = 0',
    'delete from ledger.hold_steps',
    'truncate ledger.hold_steps',
  ]) {
    assert.equal(await codeOf('financialapi_owner', sql), RESTRICT_VIOLATION, sql);
  }
  const CHECK_VIOLATION = '23514';
  assert.equal(
    await codeOf('financialapi_owner', 'update ledger.holds set captured = amount + 1'),
    CHECK_VIOLATION,
  );
  // Seen without a WHERE clause are the tenant's own rows only.
  const other = await platform.newTenant();
  await superuser.query('begin');
  await superuser.query('set local role ledger');
  await superuser.query(
    "select set_config('app.tenant_id', $1, true), set_config('app.environment', 'sandbox', true)",
    [other.scope.tenant_id],
  );
  const { rows } = await superuser.query(
    'select (select count(*)::int from ledger.holds) as holds, (select count(*)::int from ledger.hold_steps) as steps',
  );
  await superuser.query('rollback');
  assert.deepEqual(rows, [{ holds: 0, steps: 0 }]);
});

test('ids are new each time, also for a key that was refused', async () => {
  const [a, b] = [await account(), await account()];
  const body = { debit_account_id: a, credit_account_id: b, amount: brl('1.00') };
  const name = newUuid();
  await assertRefused(bank.ask('POST', '/api/v2/holds', body, key(name)), 422, 'insufficient_funds');
  await bank.post('/api/v2/transfers', { debit_account_id: cash, credit_account_id: a, amount: brl('1.00') });
  // The first outcome holds, though by now there is enough.
  await assertRefused(bank.ask('POST', '/api/v2/holds', body, key(name)), 422, 'insufficient_funds');
  assert.equal((await bank.ask('POST', '/api/v2/holds', body)).status, 201);
});
