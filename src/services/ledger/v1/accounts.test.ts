import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createKey } from '../../../platform/access/access.ts';
import { createTenant } from '../../../platform/access/tenant.ts';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
});
after(() => platform.close());

const create = async (balance: unknown = 0, name: unknown = 'Ana') => {
  const answer = await bank.ask('POST', '/api/v1/accounts/', { name, balance });
  assert.equal(answer.status, 201, answer.text);
  return answer;
};
const balanceText = async (id: number) => {
  const { text } = await bank.ask('GET', `/api/v1/accounts/${id}`);
  return /"balance":([^,}]*)/.exec(text)?.[1];
};

test('201: a new account has number, name, balance and times, and is found at its Location', async () => {
  const { body, headers, text } = await create(10.5);
  assert.deepEqual(Object.keys(body), ['id', 'name', 'balance', 'created_at', 'updated_at']);
  assert.equal(body.name, 'Ana');
  assert.match(text, /"balance":10\.50,/);
  assert.equal(headers['location'], `/api/v1/accounts/${body.id}`);
  for (const url of [`/api/v1/accounts/${body.id}`, `/api/v1/accounts/${body.id}/`]) {
    const answer = await bank.ask('GET', url);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, text);
  }
});

test('200: the list is an array of what the prototype showed, in the order of the numbers', async () => {
  const other = await platform.newTenant();
  assert.deepEqual(await other.get('/api/v1/accounts/'), []);
  const names = ['Same name', 'Same name', 'Zoe'];
  for (const name of names) await other.post('/api/v1/accounts', { name, balance: 1 });
  for (const url of ['/api/v1/accounts/', '/api/v1/accounts']) {
    const list = await other.get(url);
    assert.deepEqual(
      list.map((account: { id: number; name: string; balance: number }) => [
        account.id,
        account.name,
        account.balance,
      ]),
      [
        [1, 'Same name', 1],
        [2, 'Same name', 1],
        [3, 'Zoe', 1],
      ],
    );
  }
});

test('400: a name or balance that cannot be', async () => {
  const before = (await bank.get('/api/v1/accounts/')).length;
  for (const [body, pointer] of [
    [{ name: '', balance: 1 }, '/name'],
    [{ name: '   ', balance: 1 }, '/name'],
    [{ name: 'n'.repeat(256), balance: 1 }, '/name'],
    [{ name: 5, balance: 1 }, '/name'],
    [{ name: 'nul\u0000', balance: 1 }, '/name'],
    ['{"name":"\\ud800","balance":1}', '/name'],
    [{ balance: 1 }, '/name'],
    [{ name: 'A' }, '/balance'],
    [{ name: 'A', balance: -1 }, '/balance'],
    [{ name: 'A', balance: -0.01 }, '/balance'],
    [{ name: 'A', balance: 'abc' }, '/balance'],
    [{ name: 'A', balance: '' }, '/balance'],
    [{ name: 'A', balance: null }, '/balance'],
    [{ name: 'A', balance: true }, '/balance'],
    [{ name: 'A', balance: [1] }, '/balance'],
    [{ name: 'A', balance: { balance: 1 } }, '/balance'],
    ['{"name":"A","balance":1e400}', '/balance'],
    ['{"name":"A","balance":1e-3}', '/balance'],
    ['{"name":"A","balance":10000000000000000}', '/balance'],
    ['{"name":"A","balance":NaN}', undefined],
    ['{"name":"A","balance":0x10}', undefined],
    ['[]', undefined],
    ['null', undefined],
    ['"A"', undefined],
    ['', undefined],
    ['{', undefined],
    ['['.repeat(30_000) + ']'.repeat(30_000), undefined],
  ] as const) {
    const { status, body: problem, headers } = await bank.ask('POST', '/api/v1/accounts/', body);
    assert.equal(status, 400, `${JSON.stringify(body).slice(0, 80)} answered ${JSON.stringify(problem)}`);
    assert.equal(headers['content-type'], 'application/problem+json; charset=utf-8');
    if (pointer !== undefined) assert.equal(problem.errors[0].pointer, pointer);
  }
  assert.equal((await bank.get('/api/v1/accounts/')).length, before);
});

test('a body of more than 64 KiB and one that is not JSON are refused for what they are', async () => {
  const big = await bank.ask('POST', '/api/v1/accounts/', { name: 'A', balance: 1, x: 'x'.repeat(70_000) });
  assert.equal(big.status, 413);
  const form = await bank.ask('POST', '/api/v1/accounts/', 'name=A&balance=1', {
    'content-type': 'application/x-www-form-urlencoded',
  });
  assert.equal(form.status, 415);
});

test('balances are exact to the digit, where numbers of JavaScript are not', async () => {
  for (const [json, shown] of [
    ['90071992547409.93', '90071992547409.93'],
    ['9999999999999999.99', '9999999999999999.99'],
    ['12345678901234.56', '12345678901234.56'],
    ['1E2', '100.00'],
    ['-0', '0.00'],
    ['"10.5"', '10.50'],
    ['0.29', '0.29'],
  ] as const) {
    const answer = await bank.ask('POST', '/api/v1/accounts/', `{"balance":${json},"name":"A"}`);
    assert.equal(answer.status, 201, answer.text);
    assert.match(answer.text, new RegExp(`"balance":${shown.replace('.', '\\.')},`));
    assert.equal(await balanceText(answer.body.id), shown);
    const list = await bank.ask('GET', '/api/v1/accounts/');
    assert.ok(list.text.includes(`"id":${answer.body.id},"name":"A","balance":${shown},`));
  }
  const { id } = (await create('0.1')).body;
  const source = (await create('0.2')).body;
  assert.equal((await bank.ask('POST', `/api/v1/transfer/${source.id}/${id}/20`)).status, 201);
  assert.equal(await balanceText(id), '0.30');
});

test('names: 255 characters at most, surrounding space does not count, unknown fields are ignored', async () => {
  const name = '名'.repeat(255);
  assert.equal((await create(1, name)).body.name, name);
  assert.equal((await create(1, '  Ana Souza ')).body.name, 'Ana Souza');
  const answer = await bank.ask(
    'POST',
    '/api/v1/accounts/',
    '{"name":"A","balance":1,"id":7,"__proto__":{"a":1}}',
  );
  assert.equal(answer.status, 201);
});

test('204: PUT sets name and balance, the balance by a posting of the difference', async () => {
  const { id } = (await create(10)).body;
  for (const [url, body, shown] of [
    [`/api/v1/accounts/${id}`, { name: 'Up', balance: 25.5 }, '25.50'],
    [`/api/v1/accounts/${id}/`, { name: 'Down', balance: '0.01' }, '0.01'],
    [`/api/v1/accounts/${id}`, { name: 'Renamed', balance: 0.01 }, '0.01'],
    [`/api/v1/accounts/${id}`, { name: 'Renamed', balance: 0 }, '0.00'],
  ] as const) {
    const answer = await bank.ask('PUT', url, body);
    assert.equal(answer.status, 204, answer.text);
    assert.equal(answer.text, '');
    assert.equal((await bank.get(`/api/v1/accounts/${id}`)).name, body.name);
    assert.equal(await balanceText(id), shown);
  }
  const [account] = (await bank.get('/api/v2/accounts?q=Renamed')).data;
  const transfers = (await bank.get(`/api/v2/transfers?account_id=${account.id}`)).data;
  assert.deepEqual(
    transfers.map((transfer: { description: string; entries: { amount: { amount: string } }[] }) => [
      transfer.description,
      transfer.entries[0]?.amount.amount,
    ]),
    [
      ['Adjustment', '0.01'],
      ['Adjustment', '25.49'],
      ['Adjustment', '15.50'],
      ['Opening balance', '10.00'],
    ],
  );
});

test('400: a PUT needs a name and a balance that can be; nothing changes', async () => {
  const { id } = (await create(10)).body;
  const before = await bank.ask('GET', `/api/v1/accounts/${id}`);
  for (const body of [
    { name: '', balance: 1 },
    { name: 'B', balance: -1 },
    { name: 'B', balance: 'x' },
    { name: 'B' },
    { balance: 1 },
    undefined,
  ]) {
    assert.equal((await bank.ask('PUT', `/api/v1/accounts/${id}`, body)).status, 400);
  }
  assert.equal((await bank.ask('GET', `/api/v1/accounts/${id}`)).text, before.text);
});

test('updated_at moves when the balance does', async () => {
  const [a, b] = [(await create(10)).body, (await create(0)).body];
  assert.equal((await bank.ask('POST', `/api/v1/transfer/${a.id}/${b.id}/100`)).status, 201);
  for (const was of [a, b]) {
    const now = await bank.get(`/api/v1/accounts/${was.id}`);
    assert.ok(now.updated_at > was.updated_at);
    assert.equal(now.created_at, was.created_at);
  }
});

test('204: DELETE sweeps the balance away and closes; account and entries stay in the books', async () => {
  const { id } = (await create(12.34, 'To be deleted')).body;
  const [open] = (await bank.get('/api/v2/accounts?q=To be deleted')).data;
  const answer = await bank.ask('DELETE', `/api/v1/accounts/${id}`);
  assert.equal(answer.status, 204, answer.text);
  assert.equal(answer.text, '');

  for (const [method, url, body] of [
    ['GET', `/api/v1/accounts/${id}`, undefined],
    ['PUT', `/api/v1/accounts/${id}`, { name: 'B', balance: 1 }],
    ['DELETE', `/api/v1/accounts/${id}`, undefined],
    ['DELETE', `/api/v1/accounts/${id}/`, undefined],
  ] as const) {
    assert.equal((await bank.ask(method, url, body)).status, 404, method);
  }
  const list = await bank.get('/api/v1/accounts/');
  assert.ok(list.every((account: { id: number }) => account.id !== id));

  const kept = await bank.get(`/api/v2/accounts/${open.id}`);
  assert.equal(kept.status, 'closed');
  assert.deepEqual(
    [kept.credits_posted.amount, kept.debits_posted.amount, kept.balance.amount],
    ['12.34', '12.34', '0.00'],
  );
  const transfers = (await bank.get(`/api/v2/transfers?account_id=${open.id}`)).data;
  assert.deepEqual(
    transfers.map(({ description }: { description: string }) => description),
    ['Balance swept on closing', 'Opening balance'],
  );
  // A number is never given again.
  assert.ok((await create()).body.id > id);
});

test('400: what is held cannot be deleted, set away or sent', async () => {
  const ids = new Map<string, number>();
  for (const name of ['Holder', 'Payee']) ids.set(name, (await create(10, name)).body.id);
  const [holder] = (await bank.get('/api/v2/accounts?q=Holder')).data;
  const [payee] = (await bank.get('/api/v2/accounts?q=Payee')).data;
  const hold = await bank.post('/api/v2/holds', {
    debit_account_id: holder.id,
    credit_account_id: payee.id,
    amount: { amount: '4.00', currency: 'BRL' },
  });
  const [from, to] = [ids.get('Holder'), ids.get('Payee')];
  for (const id of [from, to]) {
    const removed = await bank.ask('DELETE', `/api/v1/accounts/${id}`);
    assert.equal(removed.status, 400, removed.text);
    assert.equal(removed.body.reason, 'account_not_empty');
    assert.match(removed.body.detail, /4\.00 BRL are held/);
  }
  assert.equal(await balanceText(Number(to)), '10.00');
  const set = await bank.ask('PUT', `/api/v1/accounts/${from}`, { name: 'Holder', balance: 3.99 });
  assert.equal(set.status, 400);
  assert.equal(set.body.reason, 'insufficient_funds');
  const sent = await bank.ask('POST', `/api/v1/transfer/${from}/${to}/601`);
  assert.equal(sent.body.detail, 'Not enough funds on source account');
  assert.equal(await balanceText(Number(from)), '10.00');
  await bank.post(`/api/v2/holds/${hold.id}/releases`, {});
  assert.equal((await bank.ask('DELETE', `/api/v1/accounts/${from}`)).status, 204);
});

test('404: numbers of no account, however they are written', async () => {
  for (const number of ['0', '-1', '999999', '99999999999999999999', 'abc', '1.0', '1e0', '%00', 'acc_1']) {
    for (const [method, body] of [
      ['GET', undefined],
      ['PUT', { name: 'A', balance: 1 }],
      ['DELETE', undefined],
    ] as const) {
      const answer = await bank.ask(method, `/api/v1/accounts/${number}`, body);
      assert.equal(answer.status, 404, `${method} ${number}: ${answer.text}`);
    }
  }
});

test('customers of v2 in the base currency are seen; the accounts of the bank and other currencies are not', async () => {
  const other = await platform.newTenant();
  await other.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await other.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = (name: string, currency: string, chart_code: string) =>
    other.post('/api/v2/accounts', { name, currency, chart_code, credit_limit: null });
  const cash = await open('Cash', 'BRL', '1100');
  const ana = await open('Ana', 'BRL', '2100');
  await open('Carla', 'USD', '2100');
  await other.post('/api/v2/transfers', {
    debit_account_id: cash.id,
    credit_account_id: ana.id,
    amount: { amount: '5.00', currency: 'BRL' },
  });
  await other.post('/api/v1/accounts/', { name: 'Bruno', balance: 1 });
  const list = await other.get('/api/v1/accounts/');
  assert.deepEqual(
    list.map(({ id, name }: { id: number; name: string }) => [id, name]),
    [
      [2, 'Ana'],
      [4, 'Bruno'],
    ],
  );
  assert.equal((await other.ask('GET', '/api/v1/accounts/1')).status, 404);
  assert.equal((await other.ask('POST', '/api/v1/transfer/2/4/100')).status, 201);
  assert.equal((await other.ask('POST', '/api/v1/transfer/2/1/100')).status, 404);
  // A frozen one is seen and can be renamed, but its balance does not move.
  await other.post(`/api/v2/accounts/${ana.id}/freeze`);
  assert.equal((await other.ask('PUT', '/api/v1/accounts/2', { name: 'Ana S', balance: 4 })).status, 204);
  const refused = await other.ask('PUT', '/api/v1/accounts/2', { name: 'Ana T', balance: 5 });
  assert.equal(refused.status, 400);
  assert.equal(refused.body.reason, 'account_frozen');
  assert.equal((await other.ask('DELETE', '/api/v1/accounts/2')).status, 400);
  assert.equal((await other.get('/api/v1/accounts/2')).name, 'Ana S');
});

test('a tenant has its own numbers and does not see those of another', async () => {
  const [one, two] = [await platform.newTenant(), await platform.newTenant()];
  for (const name of ['A', 'B']) await one.post('/api/v1/accounts/', { name, balance: 7 });
  assert.equal((await two.post('/api/v1/accounts/', { name: 'C', balance: 7 })).id, 1);
  assert.equal((await two.get('/api/v1/accounts/1')).name, 'C');
  assert.equal((await two.ask('GET', '/api/v1/accounts/2')).status, 404);
  assert.equal((await two.ask('PUT', '/api/v1/accounts/2', { name: 'X', balance: 1 })).status, 404);
  assert.equal((await two.ask('DELETE', '/api/v1/accounts/2')).status, 404);
  assert.equal((await two.ask('POST', '/api/v1/transfer/1/2/100')).status, 404);
  assert.equal((await two.ask('POST', '/api/v1/transfer/2/1/100')).status, 404);
  assert.equal((await one.get('/api/v1/accounts/2')).balance, 7);
});

test('an idempotency key is honoured: once, the first answer again, another request refused', async () => {
  const key = { 'idempotency-key': newUuid() };
  const first = await bank.ask('POST', '/api/v1/accounts/', { name: 'Once', balance: 10.5 }, key);
  assert.equal(first.status, 201);
  const { id } = first.body;
  await bank.ask('PUT', `/api/v1/accounts/${id}`, { name: 'Moved on', balance: 3 });
  const again = await bank.ask('POST', '/api/v1/accounts', { balance: '10.50', name: 'Once' }, key);
  assert.equal(again.status, 201);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.equal(again.text, first.text);
  const other = await bank.ask('POST', '/api/v1/accounts/', { name: 'Once', balance: 11 }, key);
  assert.equal(other.status, 422);
  assert.equal(other.body.code, 'idempotency_key_reused');
  assert.deepEqual(other.body.differs, ['/balance']);

  const put = { 'idempotency-key': newUuid() };
  for (const balance of [50, 60]) {
    // The second time another request came between: repeating the first does not undo it.
    const answer = await bank.ask('PUT', `/api/v1/accounts/${id}`, { name: 'Put', balance: 50 }, put);
    assert.equal(answer.status, 204);
    await bank.ask('PUT', `/api/v1/accounts/${id}`, { name: 'Put', balance: 60 });
    assert.equal(await balanceText(id), '60.00', String(balance));
  }
  const remove = { 'idempotency-key': newUuid() };
  assert.equal((await bank.ask('DELETE', `/api/v1/accounts/${id}`, undefined, remove)).status, 204);
  const removed = await bank.ask('DELETE', `/api/v1/accounts/${id}`, undefined, remove);
  assert.equal(removed.status, 204);
  assert.equal(removed.headers['idempotent-replayed'], 'true');
});

test('every answer says that v1 is deprecated and what succeeds it', async () => {
  const { id } = (await create(1, 'Deprecated')).body;
  const { id: accountId } = (await bank.get('/api/v2/accounts?q=Deprecated')).data[0];
  const without = { authorization: '' };
  for (const [method, url, status, successor, headers] of [
    ['GET', '/api/v1/accounts/', 200, '/api/v2/accounts', {}],
    ['GET', `/api/v1/accounts/${id}`, 200, `/api/v2/accounts/${accountId}`, {}],
    ['GET', '/api/v1/accounts/abc', 404, '/api/v2/accounts', {}],
    ['POST', '/api/v1/accounts/', 400, '/api/v2/accounts', {}],
    ['GET', '/api/v1/accounts/', 401, '/api/v2/accounts', without],
    ['POST', `/api/v1/transfer/${id}/${id}/1`, 400, '/api/v2/transfers', {}],
    ['DELETE', `/api/v1/accounts/${id}`, 204, `/api/v2/accounts/${accountId}`, {}],
  ] as const) {
    const answer = await bank.ask(method, url, undefined, headers);
    assert.equal(answer.status, status, `${method} ${url}: ${answer.text}`);
    // RFC 9651: a Date is an @ and an integer of seconds.
    assert.match(answer.headers['deprecation'] ?? '', /^@\d{10}$/);
    const link = answer.headers['link'] ?? '';
    assert.ok(link.includes(`<${successor}>; rel="successor-version"`), link);
    assert.ok(link.includes('rel="deprecation"'), link);
  }
});

test('the reference tells v1 from v2: each path once, marked deprecated', async () => {
  const { paths } = platform.running.app.swagger();
  const v1 = Object.entries(paths ?? {}).filter(([path]) => path.startsWith('/api/v1/'));
  assert.deepEqual(
    v1.map(([path, operations]) => [path, Object.keys(operations ?? {}).filter((name) => name !== 'head')]),
    [
      ['/api/v1/accounts/', ['get', 'post']],
      ['/api/v1/accounts/{number}', ['get', 'put', 'delete']],
      ['/api/v1/transfer/{from}/{to}/{amount}', ['get', 'post']],
    ],
  );
  assert.equal(v1[0]?.[1]?.get?.deprecated, true);
});

test('another base currency: balances with its own digits, transfers in hundredths all the same', async () => {
  const { platform: db, app } = platform.running;
  const tenant_id = await createTenant(db, { name: 'Tokyo', base_currency: 'JPY' });
  const key = await createKey(db, { tenant_id, environment: 'live' }, { label: 'test' });
  const ask = (method: 'GET' | 'POST', url: string, payload?: string) =>
    app.inject({
      method,
      url,
      headers: {
        authorization: `Bearer ${key}`,
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(payload === undefined ? {} : { payload }),
    });
  assert.equal((await ask('POST', '/api/v1/accounts/', '{"name":"A","balance":1000}')).statusCode, 201);
  assert.equal((await ask('POST', '/api/v1/accounts/', '{"name":"B","balance":0}')).statusCode, 201);
  assert.equal((await ask('POST', '/api/v1/accounts/', '{"name":"C","balance":0.5}')).statusCode, 400);
  assert.equal((await ask('POST', '/api/v1/transfer/1/2/30000')).statusCode, 201);
  assert.equal((await ask('POST', '/api/v1/transfer/1/2/150')).statusCode, 400);
  assert.match((await ask('GET', '/api/v1/accounts/1')).body, /"balance":700,/);
});
