import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let superuser: Client;

before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

/** Balance of each account by its number, in minor units, after checking that the books of the tenant hold. */
async function books(bank: TestTenant): Promise<Map<number, number>> {
  const { tenant_id } = bank.scope;
  const { rows: sums } = await superuser.query(
    `select sum(case side when 'debit' then amount else -amount end)::int as sum from ledger.entries
     where tenant_id = $1`,
    [tenant_id],
  );
  assert.equal(sums[0].sum, 0, 'debits and credits differ');
  const { rows } = await superuser.query(
    `select a.number::int, (a.credits_posted - a.debits_posted)::int as balance,
            coalesce((select sum(case e.side when 'credit' then e.amount else -e.amount end)
                      from ledger.entries e where e.tenant_id = a.tenant_id and e.account_id = a.id), 0)::int as entries
     from ledger.accounts a where a.tenant_id = $1 order by a.number`,
    [tenant_id],
  );
  for (const { number, balance, entries } of rows) {
    assert.equal(balance, entries, `account ${number} does not stand where its entries say`);
  }
  assert.equal(
    rows.reduce((sum, { balance }) => sum + balance, 0),
    0,
    'the trial balance is not zero',
  );
  const { rows: heads } = await superuser.query(
    `select position::int, (select count(*)::int from ledger.transfers t where t.tenant_id = h.tenant_id) as transfers
     from ledger.heads h where tenant_id = $1`,
    [tenant_id],
  );
  assert.equal(heads[0].position, heads[0].transfers, 'positions have gaps');
  return new Map(rows.map(({ number, balance }) => [number, balance]));
}

const times = (count: number) => Array.from({ length: count }, (_, index) => index);

test('20 first accounts at once: one account of adjustments, numbers 1 to 20', async () => {
  const bank = await platform.newTenant();
  const answers = await Promise.all(
    times(20).map((index) => bank.ask('POST', '/api/v1/accounts/', { name: `A${index}`, balance: 10 })),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
  const balances = await books(bank);
  assert.deepEqual(
    [...balances],
    [[0, -20_000], ...times(20).map((index): [number, number] => [index + 1, 1_000])],
  );
});

test('one key at once: one account', async () => {
  const bank = await platform.newTenant();
  const key = { 'idempotency-key': newUuid() };
  const answers = await Promise.all(
    times(10).map(() => bank.ask('POST', '/api/v1/accounts/', { name: 'A', balance: 10 }, key)),
  );
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  assert.equal(answers[0]?.status, 201);
  assert.deepEqual([...(await books(bank)).values()], [-1_000, 1_000]);
});

test('50 opposite transfers at once keep the sum', async () => {
  const bank = await platform.newTenant();
  for (const balance of [5, 5]) await bank.post('/api/v1/accounts/', { name: 'A', balance });
  const answers = await Promise.all(
    times(50).map((index) =>
      bank.ask(
        index % 3 === 0 ? 'GET' : 'POST',
        `/api/v1/transfer/${index % 2 === 0 ? '1/2' : '2/1'}/${((index * 37) % 300) + 1}`,
      ),
    ),
  );
  for (const { status, text } of answers) assert.ok(status === 201 || status === 400, text);
  const balances = await books(bank);
  const [one, two] = [balances.get(1) ?? -1, balances.get(2) ?? -1];
  assert.equal(one + two, 1_000);
  assert.ok(one >= 0 && two >= 0);
});

test('20 PUTs at once, transfers beside them: the account ends where one of the PUTs and what followed put it', async () => {
  const bank = await platform.newTenant();
  for (const balance of [1_000, 0]) await bank.post('/api/v1/accounts/', { name: 'A', balance });
  const puts = times(20).map((index) =>
    bank.ask('PUT', '/api/v1/accounts/1', { name: `N${index}`, balance: 1_000 + index }),
  );
  const answers = await Promise.all(puts);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([204]));
  const { name, balance } = await bank.get('/api/v1/accounts/1');
  // Name and balance are of one and the same PUT.
  assert.equal(name, `N${balance - 1_000}`);
  await books(bank);

  await Promise.all([
    ...times(10).map((index) => bank.ask('PUT', '/api/v1/accounts/1', { name: 'A', balance: 1_000 + index })),
    ...times(20).map(() => bank.ask('POST', '/api/v1/transfer/1/2/100')),
  ]);
  const balances = await books(bank);
  // All transfers arrived; what they took is in account 1 only as far as no PUT set its balance afterwards.
  assert.equal(balances.get(2), 2_000);
  assert.ok((balances.get(1) ?? 0) >= 98_000 && (balances.get(1) ?? 0) <= 100_900);
});

test('DELETE beside transfers to and from the account never loses money', async () => {
  for (let round = 0; round < 5; round += 1) {
    const bank = await platform.newTenant();
    for (const balance of [100, 100]) await bank.post('/api/v1/accounts/', { name: 'A', balance });
    const transfers = times(12).map((index) =>
      bank.ask('POST', `/api/v1/transfer/${index % 3 === 0 ? '1/2' : '2/1'}/100`),
    );
    const removed = bank.ask('DELETE', '/api/v1/accounts/1');
    const later = times(12).map((index) =>
      bank.ask('POST', `/api/v1/transfer/${index % 3 === 0 ? '1/2' : '2/1'}/100`),
    );
    assert.equal((await removed).status, 204);
    const answers = await Promise.all([...transfers, ...later]);
    let two = 10_000;
    for (const [index, { status, text }] of answers.entries()) {
      assert.ok(status === 201 || status === 404, text);
      if (status === 201) two += (index % 12) % 3 === 0 ? 100 : -100;
    }
    const balances = await books(bank);
    assert.equal(balances.get(1), 0);
    assert.equal(balances.get(2), two);
    assert.equal(balances.get(0), -two);
  }
});
