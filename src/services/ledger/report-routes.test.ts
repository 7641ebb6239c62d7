import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let stranger: TestTenant;
let cash: string;
let ana: string;
let bruno: string;

const brl = (amount: string) => ({ amount, currency: 'BRL' });

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  stranger = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (body: object): Promise<string> =>
    (await bank.post('/api/v2/accounts', { currency: 'BRL', chart_code: '2100', ...body })).id;
  cash = await open({ name: 'Cash', chart_code: '1100', credit_limit: null });
  ana = await open({ name: 'Ana' });
  bruno = await open({ name: 'Bruno' });
  await pay(cash, ana, '100.00', { effective_date: '2026-01-10' });
});
after(() => platform.close());

function pay(debit_account_id: string, credit_account_id: string, amount: string, more: object = {}) {
  return bank.post('/api/v2/transfers', {
    debit_account_id,
    credit_account_id,
    amount: brl(amount),
    ...more,
  });
}

test('400: what is malformed in a query is named, and nothing of it reaches the database', async () => {
  const account = `/api/v2/accounts/${ana}`;
  const period = 'from=2026-01-01&to=2026-01-31';
  const urls: [url: string, pointer: string][] = [
    [`${account}/balance?at_position=0&at=2026-01-01T00:00:00Z`, '?at'],
    [`${account}/balance?at_position=0&effective_on=2026-01-01`, '?effective_on'],
    [`${account}/balance?at_position=-1`, '?at_position'],
    [`${account}/balance?at_position=1.5`, '?at_position'],
    [`${account}/balance?at_position=9223372036854775808`, '?at_position'],
    [`${account}/balance?at=yesterday`, '?at'],
    [`${account}/balance?at=2026-02-30T00:00:00Z`, '?at'],
    [`${account}/balance?at=0000-01-01T00:00:00Z`, '?at'],
    [`${account}/balance?at=2026-01-01T00:00:00`, '?at'],
    [`${account}/balance?effective_on=2026-02-30`, '?effective_on'],
    [`${account}/balance?effective_on=0000-01-01`, '?effective_on'],
    [`${account}/balance?effective_on=10000-01-01`, '?effective_on'],
    [`${account}/balance?effective_on=2026-01-01%00`, '?effective_on'],
    [`${account}/balance?as_of=2026-01-01`, '?as_of'],
    [`${account}/entries?effective_from=2026-13-01`, '?effective_from'],
    [`${account}/entries?effective_to=2026-02-30`, '?effective_to'],
    [`${account}/entries?created_from=2026-02-30T00:00:00Z`, '?created_from'],
    [`${account}/entries?created_to=0000-01-01T00:00:00Z`, '?created_to'],
    [`${account}/entries?limit=101`, '?limit'],
    [`${account}/entries?limit=0`, '?limit'],
    [`${account}/entries?side=left`, '?side'],
    [`${account}/entries?order=oldest`, '?order'],
    [`${account}/statement?from=2026-01-01`, '?to'],
    [`${account}/statement?from=2026-02-30&to=2026-03-01`, '?from'],
    [`${account}/statement?from=2026-02-01&to=2026-02-29`, '?to'],
    [`${account}/statement?from=0000-12-31&to=2026-02-28`, '?from'],
    [`${account}/statement?${period}&limit=1001`, '?limit'],
    [`${account}/statement?${period}&by=amount`, '?by'],
    [`${account}/statement?${period}&format=xlsx`, '?format'],
    [`${account}/statement?${period}&format=pdf&cursor=abc`, '?cursor'],
    [`${account}/statement?${period}&format=csv&cursor=abc`, '?cursor'],
    [`${account}/statement?${period}&page=2`, '?page'],
    ['/api/v2/trial-balance?at_position=0&effective_on=2026-01-01', '?effective_on'],
    ['/api/v2/trial-balance?effective_on=2026-1-1', '?effective_on'],
    ['/api/v2/trial-balance?currency=BRL', '?currency'],
    [`/api/v2/attempts/k?at=2026-01-01T00:00:00Z`, '?at'],
  ];
  for (const [url, pointer] of urls) {
    const answer = await bank.ask('GET', url);
    assert.equal(answer.status, 400, `${url} answered ${answer.status} ${answer.text}`);
    assert.equal(answer.body.code, 'malformed_request', url);
    assert.ok(
      answer.body.errors.some((error: { pointer: string }) => error.pointer === pointer),
      `${url} names ${answer.text}`,
    );
  }
});

test('the ends of the calendar can be asked for', async () => {
  const whole = await bank.get(`/api/v2/accounts/${ana}/statement?from=0001-01-01&to=9999-12-31`);
  assert.equal(whole.opening_balance.amount, '0.00');
  const recorded = await bank.get(
    `/api/v2/accounts/${ana}/statement?from=0001-01-01&to=9999-12-31&by=recorded`,
  );
  assert.deepEqual(recorded.closing_balance, whole.closing_balance);
  const last = await bank.get(`/api/v2/accounts/${ana}/balance?effective_on=9999-12-31`);
  assert.deepEqual(last.balance, whole.closing_balance);
  assert.equal(
    (await bank.get(`/api/v2/accounts/${ana}/balance?effective_on=0001-01-01`)).balance.amount,
    '0.00',
  );
  assert.equal(
    (await bank.get(`/api/v2/accounts/${ana}/balance?at=9999-12-31T23:59:59.999999Z`)).balance.amount,
    whole.closing_balance.amount,
  );
  assert.deepEqual((await bank.get('/api/v2/trial-balance?at=0001-01-01T00:00:00Z')).lines, []);
});

test('422: a period that ends before it begins, a position that has not been', async () => {
  const period = await bank.ask('GET', `/api/v2/accounts/${ana}/statement?from=2026-02-01&to=2026-01-31`);
  assert.deepEqual([period.status, period.body.code], [422, 'period_invalid']);
  for (const url of [`/api/v2/accounts/${ana}/balance`, '/api/v2/trial-balance']) {
    const future = await bank.ask('GET', `${url}?at_position=9007199254740991`);
    assert.deepEqual([future.status, future.body.code], [422, 'position_in_the_future']);
    assert.ok([400, 422].includes((await bank.ask('GET', `${url}?at_position=1e400`)).status));
  }
});

test('404: the account of another tenant is as unknown as one that does not exist', async () => {
  for (const report of ['balance', 'entries', 'statement?from=2026-01-01&to=2026-01-31']) {
    for (const accept of ['application/json', 'text/csv']) {
      const url = `/api/v2/accounts/${ana}/${report}`;
      const answer = await stranger.ask('GET', url, undefined, { accept });
      assert.deepEqual([answer.status, answer.body?.code], [404, 'account_not_found'], url);
    }
  }
  assert.deepEqual((await stranger.get('/api/v2/trial-balance')).lines, []);
});

test('400 malformed_cursor: a cursor that was changed, or belongs to another list', async () => {
  await pay(ana, bruno, '0.01', { effective_date: '2026-01-11' });
  await pay(ana, bruno, '0.01', { effective_date: '2026-01-12' });
  const entries = `/api/v2/accounts/${ana}/entries?limit=1`;
  const statement = `/api/v2/accounts/${ana}/statement?from=2026-01-01&to=2026-01-31&limit=1`;
  const cursors = {
    entries: (await bank.get(entries)).next_cursor,
    statement: (await bank.get(statement)).next_cursor,
  };
  const changed = (cursor: string, change: (content: { filters: object; after: object }) => unknown) =>
    Buffer.from(
      JSON.stringify(change(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))),
    ).toString('base64url');
  const after = (more: object) => (content: { filters: object; after: object }) => ({
    ...content,
    after: { ...content.after, ...more },
  });
  const filters = (more: object) => (content: { filters: object; after: object }) => ({
    ...content,
    filters: { ...content.filters, ...more },
  });
  const urls = [
    `${entries}&cursor=${cursors.statement}`,
    `${statement}&cursor=${cursors.entries}`,
    `/api/v2/accounts/${bruno}/entries?limit=1&cursor=${cursors.entries}`,
    `/api/v2/accounts/${bruno}/statement?from=2026-01-01&to=2026-01-31&cursor=${cursors.statement}`,
    `/api/v2/accounts/${ana}/statement?from=2026-01-02&to=2026-01-31&cursor=${cursors.statement}`,
    `/api/v2/accounts/${ana}/statement?from=2026-01-01&to=2026-01-31&by=recorded&cursor=${cursors.statement}`,
    `${entries}&side=debit&cursor=${cursors.entries}`,
    `${entries}&cursor=${cursors.entries.slice(0, -3)}`,
    `${entries}&cursor=null`,
    ...[
      after({ position: 1e300 }),
      after({ position: -1 }),
      after({ leg: 40_000 }),
      after({ effective_date: "2026-01-01'" }),
      filters({ drop: 'table' }),
    ].flatMap((change) => [
      `${entries}&cursor=${changed(cursors.entries, change)}`,
      `${statement}&cursor=${changed(cursors.statement, change)}`,
    ]),
    `${statement}&cursor=${changed(cursors.statement, filters({ position: 9_007_199_254_740_991 }))}`,
  ];
  for (const url of urls) {
    const answer = await bank.ask('GET', url);
    assert.deepEqual([answer.status, answer.body?.code], [400, 'malformed_cursor'], `${url} ${answer.text}`);
  }
  // Filters that only the cursor has are checked as those of a query are.
  for (const cursor of [
    changed(cursors.entries, filters({ effective_from: '2026-02-30' })),
    changed(cursors.entries, filters({ created_from: '2026-02-30T00:00:00Z' })),
    changed(cursors.entries, after({ effective_date: '2026-02-30' })),
  ]) {
    assert.equal((await bank.ask('GET', `${entries}&cursor=${cursor}`)).status, 400, cursor);
  }
});

test('answers say the position they were read at, and 503 if that is before min_position', async () => {
  const { position } = await pay(cash, ana, '1.00');
  const urls = [
    `/api/v2/accounts/${ana}/balance`,
    `/api/v2/accounts/${ana}/entries`,
    `/api/v2/accounts/${ana}/statement?from=2026-01-01&to=2026-01-31`,
    `/api/v2/accounts/${ana}/statement?from=2026-01-01&to=2026-01-31&format=csv`,
    '/api/v2/trial-balance',
  ];
  for (const url of urls) {
    const join = url.includes('?') ? '&' : '?';
    const reached = await bank.ask('GET', `${url}${join}min_position=${position}`);
    assert.equal(reached.status, 200, reached.text);
    assert.equal(reached.headers['ledger-position'], String(position));
    const behind = await bank.ask('GET', `${url}${join}min_position=${position + 1}`);
    assert.deepEqual([behind.status, behind.body.code], [503, 'position_not_reached'], url);
    assert.equal(behind.headers['retry-after'], '1');
  }
});

test('a balance at a position says what was held then', async () => {
  const hold = await bank.post('/api/v2/holds', {
    debit_account_id: ana,
    credit_account_id: bruno,
    amount: brl('20.00'),
  });
  const placed = hold.steps[0].position;
  await bank.post(`/api/v2/holds/${hold.id}/releases`, {});
  const at = async (position: number) => bank.get(`/api/v2/accounts/${ana}/balance?at_position=${position}`);
  const [earlier, then, later] = [await at(placed - 1), await at(placed), await at(placed + 1)];
  assert.equal(then.debits_pending.amount, '20.00');
  assert.deepEqual(then.balance, earlier.balance);
  assert.equal(Number(earlier.available.amount) - Number(then.available.amount), 20);
  assert.deepEqual([earlier.debits_pending.amount, later.debits_pending.amount], ['0.00', '0.00']);
  assert.deepEqual(later.available, earlier.available);
});

test('CSV: RFC 4180, and no text of a caller becomes a formula', async () => {
  const open = async (name: string): Promise<string> =>
    (await bank.post('/api/v2/accounts', { name, currency: 'BRL', chart_code: '1100', credit_limit: null }))
      .id;
  const [a, b] = [await open('CSV'), await open('Other')];
  const descriptions = [
    '=HYPERLINK("http://evil","x")',
    '+1',
    '-1',
    '@SUM(A1)',
    '\tTab',
    '\r=1',
    'two\nlines',
    'a, "quoted" text',
    'São João — 東京',
  ];
  for (const description of descriptions)
    await pay(a, b, '1.00', { description, effective_date: '2026-01-05' });
  const url = `/api/v2/accounts/${b}/statement?from=2026-01-01&to=2026-01-31`;
  const answer = await bank.ask('GET', url, undefined, { accept: 'text/csv' });
  assert.equal(answer.headers['content-type'], 'text/csv; charset=utf-8; header=present');
  assert.equal(
    answer.headers['content-disposition'],
    `attachment; filename="statement_${b}_2026-01-01_2026-01-31.csv"`,
  );
  assert.equal((await bank.ask('GET', `${url}&format=csv`)).text, answer.text);
  assert.equal((await bank.ask('GET', `${url}&format=json`, undefined, { accept: 'text/csv' })).status, 200);
  assert.equal(typeof (await bank.ask('GET', url, undefined, { accept: '*/*' })).body, 'object');

  const [header = '', opening] = answer.text.split('\r\n');
  const columns =
    'line,effective_date,created_at,position,leg,transfer_id,description,counterparties,debit,credit,balance,currency';
  assert.equal(header, columns);
  assert.equal(opening, 'opening,,,,,,,,,,0.00,BRL');
  // A debit of an asset's other side: balances below zero are numbers, not texts.
  assert.ok(answer.text.endsWith('closing,,,,,,,,,,-9.00,BRL\r\n'), answer.text.slice(-60));
  const cells = readCsv(answer.text);
  assert.ok(cells.every((line) => line.length === header.split(',').length));
  assert.deepEqual(
    cells.slice(2, -1).map((line) => line[6]),
    descriptions.map((text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text)),
  );
  assert.deepEqual(cells[2]?.slice(7), [a, '', '1.00', '-1.00', 'BRL']);
});

/** RFC 4180, read by its grammar. */
function readCsv(text: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  for (const [, quoted, plain = '', end = ''] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy,
  )) {
    line.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '\r\n') {
      lines.push(line);
      line = [];
    }
  }
  return lines;
}

test('CSV: more entries than are read at a time, in either order', async () => {
  const open = async (): Promise<string> =>
    (
      await bank.post('/api/v2/accounts', {
        name: 'N',
        currency: 'BRL',
        chart_code: '1100',
        credit_limit: null,
      })
    ).id;
  const [a, b] = [await open(), await open()];
  for (const day of ['2026-03-02', '2026-03-01', '2026-03-03']) {
    const transfers = Array.from({ length: 800 }, () => ({
      debit_account_id: a,
      credit_account_id: b,
      amount: brl('0.01'),
      effective_date: day,
    }));
    assert.equal((await bank.post('/api/v2/transfers/batch', { transfers })).posted, 800);
  }
  const recorded = 'from=2000-01-01&to=9999-12-31&by=recorded';
  for (const query of ['from=2026-03-01&to=2026-03-31', recorded]) {
    const url = `/api/v2/accounts/${a}/statement?${query}`;
    const lines = readCsv((await bank.ask('GET', `${url}&format=csv`)).text).slice(2, -1);
    assert.equal(lines.length, 2_400);
    assert.deepEqual(
      lines.map((line) => line[10]),
      lines.map((_, index) => ((index + 1) / 100).toFixed(2)),
    );
    const keys = lines.map((line) => `${query === recorded ? '' : line[1]} ${line[3]?.padStart(9)}`);
    assert.deepEqual(keys, keys.toSorted());
    const page = await bank.get(`${url}&limit=1000`);
    assert.equal(page.data.length, 1_000);
    assert.equal(page.closing_balance.amount, '24.00');
  }
});

test('an attempt is told by its key: what was done, where, and what was asked', async () => {
  const key = 'order/42?%';
  const body = { debit_account_id: cash, credit_account_id: ana, amount: brl('2.00') };
  const transfer = await bank.post('/api/v2/transfers', body, { 'idempotency-key': key });
  const attempt = await bank.get(`/api/v2/attempts/${encodeURIComponent(key)}`);
  assert.deepEqual(attempt, {
    key,
    operation: 'POST /api/v2/transfers',
    created_at: transfer.created_at,
    outcome: 'done',
    position: transfer.position,
    result: { id: transfer.id, href: `/api/v2/transfers/${transfer.id}` },
    request: body,
  });
  assert.equal((await bank.ask('GET', '/api/v2/attempts/order')).status, 404);
  const elsewhere = await stranger.ask('GET', `/api/v2/attempts/${encodeURIComponent(key)}`);
  assert.deepEqual([elsewhere.status, elsewhere.body.code], [404, 'attempt_not_found']);
  assert.equal((await bank.ask('GET', '/api/v2/attempts/a%00b')).status, 400);
  const longest = '%'.repeat(255);
  await bank.post('/api/v2/transfers', body, { 'idempotency-key': longest });
  assert.equal((await bank.get(`/api/v2/attempts/${encodeURIComponent(longest)}`)).key, longest);
});

test('an attempt that was refused is told as it was answered', async () => {
  const hold = await bank.post('/api/v2/holds', {
    debit_account_id: ana,
    credit_account_id: bruno,
    amount: brl('5.00'),
    expires_at: '2100-01-01T00:00:00Z',
  });
  const transfer = await pay(cash, ana, '3.00');
  const asked: [url: string, body: object, code: string][] = [
    [
      '/api/v2/transfers',
      { debit_account_id: ana, credit_account_id: bruno, amount: brl('999.00') },
      'insufficient_funds',
    ],
    [`/api/v2/holds/${hold.id}/captures`, { amount: brl('6.00'), final: false }, 'amount_exceeds_hold'],
    [`/api/v2/holds/${hold.id}/extensions`, { expires_at: '2099-01-01T01:00:00+01:00' }, 'expiry_not_later'],
    [`/api/v2/transfers/${transfer.id}/reversals`, { amount: brl('4.00') }, 'reversal_exceeds_transfer'],
    ['/api/v2/transfers/trf_01h455vb4pex5vsknk084sn02q/reversals', {}, 'transfer_not_found'],
  ];
  for (const [url, body, code] of asked) {
    const key = newUuid();
    const { request_id: _, ...problem } = (await bank.ask('POST', url, body, { 'idempotency-key': key }))
      .body;
    assert.equal(problem.code, code);
    const attempt = await bank.ask('GET', `/api/v2/attempts/${key}`);
    if (attempt.status === 404) {
      // Found wanting before anything was tried: nothing was kept, and asking again is safe.
      assert.equal(code, 'transfer_not_found');
      continue;
    }
    assert.equal(attempt.body.outcome, 'refused');
    assert.deepEqual(attempt.body.problem, problem, url);
    assert.deepEqual(attempt.body.request, body);
    assert.equal(attempt.body.result, undefined);
  }
});

test('attempts at other things: accounts, the chart, holds and captures say where the result is', async () => {
  const asked = async (url: string, body: object) => {
    const key = newUuid();
    const answer = await bank.post(url, body, { 'idempotency-key': key });
    return { answer, attempt: await bank.get(`/api/v2/attempts/${key}`) };
  };
  const opened = await asked('/api/v2/accounts', { name: 'New', currency: 'BRL', chart_code: '2100' });
  assert.deepEqual(opened.attempt.result, {
    id: opened.answer.id,
    href: `/api/v2/accounts/${opened.answer.id}`,
  });
  const code = await asked('/api/v2/chart-of-accounts', { code: '2900', name: 'Other', type: 'liability' });
  assert.deepEqual(code.attempt.result, { href: '/api/v2/chart-of-accounts' });
  const held = await asked('/api/v2/holds', {
    debit_account_id: ana,
    credit_account_id: bruno,
    amount: brl('2.00'),
  });
  const place = { id: held.answer.id, href: `/api/v2/holds/${held.answer.id}` };
  assert.deepEqual(held.attempt.result, place);
  const captured = await asked(`/api/v2/holds/${held.answer.id}/captures`, { amount: brl('1.00') });
  assert.equal(captured.attempt.result.id, captured.answer.transfer.id);
  const released = await asked(`/api/v2/holds/${held.answer.id}/releases`, {});
  assert.deepEqual(released.attempt.result, place);
});

test('a refusal to open an account or to add to the chart is kept, and stays so when its reason is gone', async () => {
  const key = newUuid();
  const ask = (url: string, body: object, used = key) =>
    bank.ask('POST', url, body, { 'idempotency-key': used });
  const account = { name: 'Early', currency: 'BRL', chart_code: '2950' };
  const first = await ask('/api/v2/accounts', account);
  assert.equal(first.body.code, 'chart_code_not_found');
  assert.equal(first.headers['idempotent-replayed'], undefined);
  const kept = await bank.get(`/api/v2/attempts/${key}`);
  assert.deepEqual([kept.outcome, kept.problem.code], ['refused', first.body.code]);
  assert.deepEqual(kept.request, { ...account, may_send: true, may_receive: true });

  const code = { code: '2950', name: 'Late', type: 'liability' };
  const orphan = newUuid();
  const refused = await ask('/api/v2/chart-of-accounts', { ...code, parent_code: '2949' }, orphan);
  assert.equal(refused.body.code, 'chart_code_not_found');
  await bank.post('/api/v2/chart-of-accounts', code);
  for (const [url, body, used, before] of [
    ['/api/v2/accounts', account, key, first],
    ['/api/v2/chart-of-accounts', { ...code, parent_code: '2949' }, orphan, refused],
  ] as const) {
    const again = await ask(url, body, used);
    assert.equal(again.status, before.status);
    assert.equal(again.headers['idempotent-replayed'], 'true');
    assert.deepEqual({ ...again.body, request_id: undefined }, { ...before.body, request_id: undefined });
  }
  assert.equal((await ask('/api/v2/accounts', account, newUuid())).status, 201);
});

test('a key that was refused for one thing cannot be used for another, whichever came first', async () => {
  const transfer = { debit_account_id: bruno, credit_account_id: ana, amount: brl('99999.00') };
  const account = { name: 'Early', currency: 'BRL', chart_code: '2999' };
  const asked = [
    ['/api/v2/transfers', transfer],
    ['/api/v2/accounts', account],
    ['/api/v2/transfers/batch', { transfers: [transfer, transfer] }],
  ] as const;
  for (const [url, body] of asked) {
    const headers = { 'idempotency-key': newUuid() };
    await bank.ask('POST', url, body, headers);
    for (const [other, otherBody] of asked) {
      if (other === url) continue;
      const answer = await bank.ask('POST', other, otherBody, headers);
      assert.equal(answer.body.code, 'idempotency_key_reused', `${url}, then ${other}: ${answer.text}`);
      assert.deepEqual(answer.body.differs, [`operation: POST ${url}`]);
    }
  }
});

test('the attempt at a batch has an outcome for each item', async () => {
  const key = newUuid();
  const good = { debit_account_id: cash, credit_account_id: ana, amount: brl('1.00') };
  const short = { debit_account_id: bruno, credit_account_id: ana, amount: brl('99999.00') };
  const malformed = { ...good, amount: brl('1.001') };
  const batch = await bank.post(
    '/api/v2/transfers/batch',
    { transfers: [good, malformed, short] },
    { 'idempotency-key': key },
  );
  const attempt = await bank.get(`/api/v2/attempts/${key}`);
  assert.deepEqual(
    attempt.items.map(({ item, outcome }: { item: number; outcome: string }) => [item, outcome]),
    [
      [1, 'done'],
      [2, 'refused'],
      [3, 'refused'],
    ],
  );
  assert.equal(attempt.items[0].result.id, batch.outcomes[0].transfer.id);
  for (const index of [1, 2]) assert.deepEqual(attempt.items[index].problem, batch.outcomes[index].problem);
  assert.deepEqual(attempt.items[2].request, short);
  assert.equal(attempt.outcome, undefined);
});

test('entries name the transfer, the other accounts and the leg that was taken back', async () => {
  const transfer = await bank.post('/api/v2/transfers', {
    legs: [
      { account_id: cash, side: 'debit', amount: brl('3.00') },
      { account_id: bruno, side: 'credit', amount: brl('1.00') },
      { account_id: ana, side: 'credit', amount: brl('2.00') },
    ],
    description: 'Split',
  });
  const reversal = await bank.post(`/api/v2/transfers/${transfer.id}/reversals`, {});
  const { data } = await bank.get(`/api/v2/accounts/${ana}/entries?limit=2`);
  const [undone, done] = data;
  assert.deepEqual(done, {
    transfer_id: transfer.id,
    position: transfer.position,
    leg: 3,
    side: 'credit',
    amount: brl('2.00'),
    balance: transfer.entries[2].balance,
    effective_date: transfer.effective_date,
    created_at: transfer.created_at,
    description: 'Split',
    counterparties: [cash, bruno],
  });
  assert.deepEqual([undone.transfer_id, undone.reverses_leg], [reversal.id, 3]);
});
