import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

const account = async (balance: number): Promise<number> =>
  (await bank.post('/api/v1/accounts/', { name: 'A', balance })).id;
const balance = async (id: number): Promise<number> => (await bank.get(`/api/v1/accounts/${id}`)).balance;

test('201: GET and POST move hundredths, with and without a slash at the end', async () => {
  const [from, to] = [await account(100), await account(0)];
  for (const method of ['GET', 'POST'] as const) {
    for (const slash of ['', '/']) {
      const answer = await bank.ask(method, `/api/v1/transfer/${from}/${to}/1050${slash}`);
      assert.equal(answer.status, 201, answer.text);
      const { transfer_id, ...rest } = answer.body;
      assert.deepEqual(rest, { from, to, amount: 1050 });
      const posted = await bank.get(`/api/v2/transfers/${transfer_id}`);
      assert.deepEqual(posted.entries[0].amount, { amount: '10.50', currency: 'BRL' });
      assert.equal(answer.headers['ledger-position'], String(posted.position));
      assert.ok(answer.headers['link']?.includes(`</api/v2/transfers/${transfer_id}>`));
    }
  }
  assert.deepEqual([await balance(from), await balance(to)], [58, 42]);
});

test('an amount beyond 2^53 is moved and answered to the digit', async () => {
  const created = await bank.ask('POST', '/api/v1/accounts/', '{"name":"A","balance":90071992547409.93}');
  const to = await account(0);
  const answer = await bank.ask('POST', `/api/v1/transfer/${created.body.id}/${to}/9007199254740993`);
  assert.equal(answer.status, 201);
  assert.match(answer.text, /"amount":9007199254740993\}/);
  assert.match((await bank.ask('GET', `/api/v1/accounts/${to}`)).text, /"balance":90071992547409\.93,/);
});

test('400: not enough funds, in the words of the prototype; nothing moves', async () => {
  const [from, to] = [await account(10), await account(0)];
  for (const method of ['GET', 'POST'] as const) {
    const answer = await bank.ask(method, `/api/v1/transfer/${from}/${to}/1001`);
    assert.equal(answer.status, 400);
    assert.equal(answer.body.detail, 'Not enough funds on source account');
    assert.equal(answer.body.code, 'v1_insufficient_funds');
  }
  assert.deepEqual([await balance(from), await balance(to)], [10, 0]);
});

test('404: an account that is unknown or closed, on either side, whatever the amount', async () => {
  const [open, closed] = [await account(10), await account(0)];
  await bank.ask('DELETE', `/api/v1/accounts/${closed}`);
  for (const number of [closed, '0', '-1', '999999', '99999999999999999999', 'abc', '1.0']) {
    for (const path of [`${open}/${number}/1`, `${number}/${open}/1`, `${number}/${number}/1`]) {
      const answer = await bank.ask('POST', `/api/v1/transfer/${path}`);
      assert.equal(answer.status, 404, `${path}: ${answer.text}`);
      assert.equal(answer.body.detail, `There is no account ${number}.`);
    }
  }
  assert.equal(await balance(open), 10);
});

test('400: an amount that is no positive integer, and a transfer to itself', async () => {
  const [from, to] = [await account(10), await account(0)];
  for (const amount of ['0', '00', '-1', '1.5', '1e2', 'abc', '9'.repeat(19), '9'.repeat(299), '+1', '%00']) {
    const answer = await bank.ask('POST', `/api/v1/transfer/${from}/${to}/${amount}`);
    assert.equal(answer.status, 400, `${amount}: ${answer.text}`);
  }
  const self = await bank.ask('POST', `/api/v1/transfer/${from}/${from}/1`);
  assert.equal(self.status, 400);
  assert.equal(self.body.reason, 'same_account');
  assert.deepEqual([await balance(from), await balance(to)], [10, 0]);
});

test('400: what else a rule refuses says which rule', async () => {
  const [from, to] = [await account(10), await account(0)];
  const [latest] = (await bank.get('/api/v2/accounts?limit=1')).data;
  await bank.post(`/api/v2/accounts/${latest.id}/freeze`);
  const answer = await bank.ask('POST', `/api/v1/transfer/${from}/${to}/1`);
  assert.equal(answer.status, 400);
  assert.equal(answer.body.code, 'v1_refused');
  assert.equal(answer.body.reason, 'account_frozen');
});

test('an idempotency key is honoured, for refusals and after the account was closed, too', async () => {
  const [from, to] = [await account(10), await account(0)];
  const url = `/api/v1/transfer/${from}/${to}/600`;
  const key = { 'idempotency-key': newUuid() };
  const first = await bank.ask('POST', url, undefined, key);
  const again = await bank.ask('POST', `${url}/`, undefined, key);
  assert.equal(again.status, 201);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal(again.text, first.text);
  const other = await bank.ask('POST', `/api/v1/transfer/${from}/${to}/601`, undefined, key);
  assert.equal(other.status, 422);
  assert.deepEqual(other.body.differs, ['/amount']);
  const byGet = await bank.ask('GET', url, undefined, key);
  assert.equal(byGet.status, 422);

  const short = { 'idempotency-key': newUuid() };
  assert.equal((await bank.ask('POST', url, undefined, short)).status, 400);
  await bank.ask('PUT', `/api/v1/accounts/${from}`, { name: 'A', balance: 100 });
  const refusedAgain = await bank.ask('POST', url, undefined, short);
  assert.equal(refusedAgain.status, 400);
  assert.equal(refusedAgain.headers['idempotent-replayed'], 'true');
  assert.equal(refusedAgain.body.detail, 'Not enough funds on source account');

  await bank.ask('DELETE', `/api/v1/accounts/${to}`);
  assert.equal((await bank.ask('POST', url, undefined, key)).text, first.text);
  assert.equal(await balance(from), 100);
});

test('requests without a key stand for themselves', async () => {
  const [from, to] = [await account(10), await account(0)];
  for (let count = 0; count < 3; count += 1) await bank.ask('GET', `/api/v1/transfer/${from}/${to}/100`);
  assert.equal(await balance(to), 3);
});

test('a HEAD moves nothing, and a GET by a browser is guarded like a POST', async () => {
  const [from, to] = [await account(10), await account(0)];
  const url = `/api/v1/transfer/${from}/${to}/100`;
  const head = await platform.running.app.inject({
    method: 'HEAD',
    url,
    headers: { authorization: `Bearer ${bank.key}` },
  });
  assert.equal(head.statusCode, 405);
  const browse = (site: string) =>
    platform.running.app.inject({
      method: 'GET',
      url,
      headers: { cookie: `financialapi_key=${bank.key}`, 'sec-fetch-site': site },
    });
  assert.equal((await browse('cross-site')).statusCode, 403);
  assert.equal((await browse('none')).statusCode, 403);
  assert.equal(await balance(to), 0);
  assert.equal((await browse('same-origin')).statusCode, 201);
});
