/** Monetary limits of keys, and grants that are narrowed to accounts with labels. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { newUuid } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let cash: string;
let ana: string;
let bia: string;
const brl = (amount: string) => ({ amount, currency: 'BRL' });

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (more: object): Promise<string> =>
    (await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '2', ...more })).id;
  cash = await open({ chart_code: '1', credit_limit: null });
  ana = await open({ metadata: { branch: '42' } });
  bia = await open({ metadata: { branch: '7' } });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: ana,
    amount: brl('10000.00'),
  });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: bia,
    amount: brl('10000.00'),
  });
});
after(() => platform.close());

interface Limited {
  id: string;
  key: string;
  post: (url: string, body: object, headers?: Record<string, string>) => ReturnType<TestTenant['ask']>;
}

/** A key under limits. */
async function limited(limits: object, scopes?: string[]): Promise<Limited> {
  const { id, key } = await bank.post('/api/v2/api-keys', {
    label: 'limited',
    ...(scopes ? { scopes } : {}),
  });
  const set = await bank.ask('PUT', `/api/v2/api-keys/${id}/limits`, limits);
  assert.equal(set.status, 200, set.text);
  return {
    id,
    key,
    post: (url, body, headers = {}) =>
      bank.ask('POST', url, body, { authorization: `Bearer ${key}`, ...headers }),
  };
}

const pay = (amount: string, debit = ana, credit = bia) => ({
  debit_account_id: debit,
  credit_account_id: credit,
  amount: brl(amount),
});
const usedToday = async (id: string): Promise<string> =>
  (await bank.get(`/api/v2/api-keys/${id}/limits`)).amounts[0].used_today.amount;

describe('a key under limits', () => {
  test('moves no more at once than its limit, and no other currency', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_transfer: brl('100.00') }] });
    assert.equal((await key.post('/api/v2/transfers', pay('100.00'))).status, 201);
    const refused = await key.post('/api/v2/transfers', pay('100.01'));
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.limit, refused.body.allowed],
      [422, 'limit_exceeded', 'per_transfer', brl('100.00')],
    );
    const legs = await key.post('/api/v2/transfers', {
      legs: [
        { account_id: ana, side: 'debit', amount: brl('60.00') },
        { account_id: ana, side: 'debit', amount: brl('50.00') },
        { account_id: bia, side: 'credit', amount: brl('110.00') },
      ],
    });
    assert.equal(legs.body.code, 'limit_exceeded');
    const dollars = await limited({ amounts: [{ currency: 'USD' }] });
    const other = await dollars.post('/api/v2/transfers', pay('0.01'));
    assert.deepEqual([other.body.code, other.body.limit], ['limit_exceeded', 'currency']);
  });

  test('moves no more in a day than its limit, however many ask at once, and a repetition counts once', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_day: brl('50.00') }] });
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => key.post('/api/v2/transfers', pay('7.00'))),
    );
    const counts = new Map<number, number>();
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
    assert.deepEqual([counts.get(201), counts.get(422)], [7, 23]);
    assert.equal(await usedToday(key.id), '49.00');
    const headers = { 'idempotency-key': newUuid() };
    for (const replayed of [undefined, 'true']) {
      const answer = await key.post('/api/v2/transfers', pay('1.00'), headers);
      assert.deepEqual([answer.status, answer.headers['idempotent-replayed']], [201, replayed]);
    }
    assert.equal(await usedToday(key.id), '50.00');
    const left = await key.post('/api/v2/transfers', pay('0.01'));
    assert.deepEqual([left.body.limit, left.body.left], ['per_day', brl('0.00')]);
  });

  test('is charged nothing for what is refused, rehearsed, or taken back with its link', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_day: brl('100000.00') }] });
    assert.equal((await key.post('/api/v2/transfers', pay('20000.00'))).body.code, 'insufficient_funds');
    assert.equal((await key.post('/api/v2/transfers?dry_run=true', pay('5.00'))).status, 201);
    const batch = await key.post('/api/v2/transfers/batch', {
      transfers: [
        { ...pay('5.00'), link: 'a' },
        { ...pay('90000.00'), link: 'a' },
        pay('2.00'),
        { ...pay('1.00'), link: 'b' },
        { ...pay('1.50'), link: 'b' },
      ],
    });
    assert.equal(batch.body.posted, 3);
    assert.equal(await usedToday(key.id), '4.50');
    const atomic = await key.post('/api/v2/transfers/batch', {
      atomic: true,
      transfers: [pay('5.00'), pay('90000.00')],
    });
    assert.equal(atomic.body.posted, 0);
    assert.equal(await usedToday(key.id), '4.50');
  });

  test('lowers the balance of its accounts only, by their ids or labels', async () => {
    const amounts = [{ currency: 'BRL' }];
    const byId = await limited({ amounts, accounts: [ana] });
    const byLabel = await limited({ amounts, labels: { branch: '42' } });
    for (const key of [byId, byLabel]) {
      assert.equal((await key.post('/api/v2/transfers', pay('1.00'))).status, 201);
      const refused = await key.post('/api/v2/transfers', pay('1.00', bia, ana));
      assert.deepEqual(
        [refused.status, refused.body.code, refused.body.account_id],
        [403, 'account_not_allowed', bia],
      );
    }
  });

  test('holds within its limits; what is held counts when it is captured', async () => {
    const key = await limited({
      amounts: [{ currency: 'BRL', per_transfer: brl('10.00'), per_day: brl('12.00') }],
    });
    assert.equal((await key.post('/api/v2/holds', pay('10.01'))).body.code, 'limit_exceeded');
    const { body: hold } = await key.post('/api/v2/holds', pay('8.00'));
    const more = await key.post(`/api/v2/holds/${hold.id}/increments`, { amount: brl('2.01') });
    assert.equal(more.body.code, 'limit_exceeded');
    assert.equal(await usedToday(key.id), '0.00');
    assert.equal((await key.post(`/api/v2/holds/${hold.id}/captures`, {})).status, 201);
    assert.equal(await usedToday(key.id), '8.00');
    const { body: second } = await key.post('/api/v2/holds', pay('8.00'));
    assert.equal((await key.post(`/api/v2/holds/${second.id}/captures`, {})).body.limit, 'per_day');
    assert.equal((await key.post(`/api/v2/holds/${second.id}/releases`, {})).status, 201);
  });

  test('leaves its limits behind neither by rotation, nor by another key, nor by setting them', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_day: brl('10.00') }] });
    assert.equal((await key.post('/api/v2/transfers', pay('6.00'))).status, 201);
    const rotated = await bank.post(`/api/v2/api-keys/${key.id}/rotations`, {});
    const made = await key.post('/api/v2/api-keys', { label: 'child' });
    for (const other of [rotated.key, made.body.key]) {
      const refused = await bank.ask('POST', '/api/v2/transfers', pay('6.00'), {
        authorization: `Bearer ${other}`,
      });
      assert.equal(refused.body.limit, 'per_day');
    }
    for (const method of ['PUT', 'DELETE'] as const) {
      const refused = await bank.ask(
        method,
        `/api/v2/api-keys/${key.id}/limits`,
        method === 'PUT' ? { amounts: [{ currency: 'BRL' }] } : undefined,
        { authorization: `Bearer ${key.key}` },
      );
      assert.deepEqual([refused.status, refused.body.code], [403, 'limits_not_own']);
    }
  });

  test('its use is of the day of the tenant, and starts anew with the next', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_day: brl('10.00') }] });
    assert.equal((await key.post('/api/v2/transfers', pay('10.00'))).status, 201);
    const superuser = new Client({ connectionString: platform.url });
    await superuser.connect();
    const { rowCount } = await superuser.query(
      'update ledger.limit_usage set day = day - 1 where used = 1000 and tenant_id = $1',
      [bank.scope.tenant_id],
    );
    await superuser.end();
    assert.equal(rowCount, 1);
    assert.equal((await key.post('/api/v2/transfers', pay('10.00'))).status, 201);
  });

  test('may be freed of them, with all keys that share them', async () => {
    const key = await limited({ amounts: [{ currency: 'BRL', per_transfer: brl('1.00') }] });
    assert.equal((await bank.ask('DELETE', `/api/v2/api-keys/${key.id}/limits`)).status, 204);
    assert.equal((await bank.ask('GET', `/api/v2/api-keys/${key.id}/limits`)).status, 404);
    assert.equal((await bank.get(`/api/v2/api-keys/${key.id}`)).has_limits, false);
    for (let tries = 0; ; tries += 1) {
      if ((await key.post('/api/v2/transfers', pay('2.00'))).status === 201) break;
      assert.ok(tries < 200, 'the limits still hold');
    }
  });

  test('bad limits are refused, and those of another tenant are not there', async () => {
    const { id } = await bank.post('/api/v2/api-keys', { label: 'x' });
    const set = (body: object) => bank.ask('PUT', `/api/v2/api-keys/${id}/limits`, body);
    for (const [body, status] of [
      [{}, 400],
      [{ amounts: [] }, 400],
      [{ amounts: [{ currency: 'XXZ' }] }, 422],
      [{ amounts: [{ currency: 'BRL' }, { currency: 'BRL' }] }, 400],
      [{ amounts: [{ currency: 'BRL', per_day: { amount: '1.00', currency: 'USD' } }] }, 400],
      [{ amounts: [{ currency: 'BRL', per_day: brl('-1.00') }] }, 422],
      [{ amounts: [{ currency: 'BRL', per_day: brl('0.001') }] }, 422],
      [{ amounts: [{ currency: 'BRL' }], accounts: [] }, 400],
    ] as const) {
      const refused = await set(body);
      assert.ok([status, 400].includes(refused.status), `${JSON.stringify(body)}: ${refused.text}`);
    }
    assert.equal((await bank.get(`/api/v2/api-keys/${id}`)).has_limits, false);
    const other = await platform.newTenant();
    for (const method of ['GET', 'DELETE'] as const) {
      assert.equal((await other.ask(method, `/api/v2/api-keys/${id}/limits`)).status, 404);
    }
  });
});

describe('a grant that is narrowed to accounts with a label', () => {
  test('sees those accounts and what touches them, and nothing else', async () => {
    const superuser = new Client({ connectionString: platform.url, options: '-c role=ledger' });
    await superuser.connect();
    await superuser.query(
      "select set_config('app.tenant_id', $1, false), set_config('app.environment', $2, false)",
      [bank.scope.tenant_id, bank.scope.environment],
    );
    const count = async (table: string): Promise<number> =>
      Number((await superuser.query(`select count(*) from ledger.${table}`)).rows[0].count);
    const all = {
      accounts: await count('accounts'),
      transfers: await count('transfers'),
      entries: await count('entries'),
    };
    assert.equal(all.accounts, 3);
    await superuser.query("select set_config('app.reach', $1, false)", [JSON.stringify([{ branch: '42' }])]);
    assert.equal(await count('accounts'), 1);
    assert.ok((await count('transfers')) < all.transfers && (await count('transfers')) > 0);
    assert.ok((await count('entries')) < all.entries && (await count('entries')) > 0);
    assert.ok((await count('holds')) > 0);
    assert.equal(await count('outbox'), 0);
    await superuser.query("select set_config('app.reach', $1, false)", [JSON.stringify([{ branch: '999' }])]);
    for (const table of ['accounts', 'transfers', 'entries', 'holds', 'hold_steps', 'outbox', 'seals']) {
      assert.equal(await count(table), 0, table);
    }
    await superuser.query("select set_config('app.reach', '[]', false)");
    assert.equal(await count('accounts'), 0);
    await superuser.end();
  });
});
