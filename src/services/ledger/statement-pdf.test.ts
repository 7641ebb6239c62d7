import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parse } from 'csv-parse/sync';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { extractText, getDocumentProxy } from 'unpdf';
import { createKey } from '../../platform/access/access.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let cash: string;

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1100', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  cash = await open({ name: 'Cash', chart_code: '1100', credit_limit: null });
});
after(() => platform.close());

async function open(body: object): Promise<string> {
  return (await bank.post('/api/v2/accounts', { currency: 'BRL', chart_code: '2100', ...body })).id;
}

const inMarch = 'from=2026-03-01&to=2026-03-31';

async function pdfOf(account: string, query = inMarch, headers: Record<string, string> = {}) {
  const answer = await platform.running.app.inject({
    method: 'GET',
    url: `/api/v2/accounts/${account}/statement?${query}&format=pdf`,
    headers: { authorization: `Bearer ${bank.key}`, ...headers },
  });
  assert.equal(answer.statusCode, 200, answer.body.slice(0, 500));
  assert.equal(answer.headers['content-type'], 'application/pdf');
  return { bytes: answer.rawPayload, headers: answer.headers };
}

/** The text of each page, as another library reads it. */
async function pagesOf(bytes: Uint8Array): Promise<string[]> {
  const { text } = await extractText(await getDocumentProxy(new Uint8Array(bytes)), { mergePages: false });
  return text.map((page) => page.replaceAll(/\s+/g, ' '));
}

const Lines = Type.Array(Type.Record(Type.String(), Type.String()));

async function csvOf(account: string, query = inMarch) {
  const { text } = await bank.ask('GET', `/api/v2/accounts/${account}/statement?${query}&format=csv`);
  return Value.Parse(Lines, parse(text, { columns: true }));
}

const english = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2 });
const figure = (amount = '') => english.format(Number(amount));

test('over many pages it has every figure that the CSV has, in its order, and the totals', async () => {
  const ana = await open({ name: 'Ana Souza' });
  const transfers = Array.from({ length: 170 }, (_, index) => ({
    debit_account_id: index % 5 === 4 ? ana : cash,
    credit_account_id: index % 5 === 4 ? cash : ana,
    amount: { amount: `${1_000 + index * 7}.${String(index % 100).padStart(2, '0')}`, currency: 'BRL' },
    effective_date: `2026-03-${String((index % 28) + 1).padStart(2, '0')}`,
    description: `Payment ${index}`,
  }));
  const before = [{ ...transfers[0], effective_date: '2026-02-10' }];
  assert.equal(
    (await bank.post('/api/v2/transfers/batch', { transfers: [...before, ...transfers] })).refused,
    0,
  );
  const { bytes, headers } = await pdfOf(ana);
  assert.equal(
    headers['content-disposition'],
    `attachment; filename="statement_${ana}_2026-03-01_2026-03-31.pdf"`,
  );
  const pages = await pagesOf(bytes);
  assert.ok(pages.length >= 4, `${pages.length} pages`);
  for (const [index, page] of pages.entries()) {
    assert.ok(page.includes(`Page ${index + 1} of ${pages.length}`), page);
    assert.ok(page.includes(ana) && page.includes('Statement of account'));
    if (index > 0) assert.ok(page.includes('Carried forward'), page);
  }
  assert.ok(pages[0]?.includes('Ana Souza'));
  const text = pages.join(' ');
  const lines = await csvOf(ana);
  assert.equal(lines.length, 172);
  let place = 0;
  for (const line of lines.filter((one) => one['line'] === 'entry')) {
    const [year, month, day] = (line['effective_date'] ?? '').split('-');
    const row = `${day}/${month}/${year} ${line['description']} ${line['transfer_id']} ${figure(line['debit'] || line['credit'])} ${figure(line['balance'])}`;
    place = text.indexOf(row, place);
    assert.ok(place > 0, `${row} is not there, or not in its order:\n${text.slice(0, 2_000)}`);
  }
  const statement = await bank.get(`/api/v2/accounts/${ana}/statement?${inMarch}`);
  const { opening_balance, closing_balance, debits, credits } = statement;
  assert.ok(text.includes(`Opening balance ${figure(opening_balance.amount)}`), text.slice(0, 600));
  assert.ok(
    text.includes(
      `Totals (170 entries) ${figure(debits.amount)} ${figure(credits.amount)} Closing balance ${figure(closing_balance.amount)}`,
    ),
    text.slice(-600),
  );
});

test('the same statement is the same file, and what is posted later in another period changes nothing', async () => {
  const ana = await open({ name: 'Same' });
  const pay = (effective_date: string) =>
    bank.post('/api/v2/transfers', {
      debit_account_id: cash,
      credit_account_id: ana,
      amount: { amount: '10.00', currency: 'BRL' },
      effective_date,
    });
  await pay('2026-03-05');
  const first = (await pdfOf(ana)).bytes;
  await pay('2026-04-01');
  assert.deepEqual((await pdfOf(ana)).bytes, first);
  await pay('2026-03-06');
  assert.notDeepEqual((await pdfOf(ana)).bytes, first);
});

test('in Portuguese for who prefers it, under the name of the brand', async () => {
  const ana = await open({ name: 'Conta de São João' });
  const headers = { 'if-match': '*' };
  const brand = { display_name: 'Banco São Bento', primary_color: '#0a7d5a' };
  assert.equal((await bank.ask('PATCH', '/api/v2/tenant', { brand }, headers)).status, 200);
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: ana,
    amount: { amount: '1234567.89', currency: 'BRL' },
    effective_date: '2026-03-05',
  });
  const portuguese = await pdfOf(ana, inMarch, { 'accept-language': 'pt-BR,pt;q=0.9,en;q=0.8' });
  assert.equal(portuguese.headers['content-language'], 'pt');
  const [page = ''] = await pagesOf(portuguese.bytes);
  for (const words of ['Banco São Bento', 'Extrato de conta', 'Saldo final 1.234.567,89', 'Página 1 de 1']) {
    assert.ok(page.includes(words), `${words}: ${page}`);
  }
  assert.ok(page.includes('01/03/2026 a 31/03/2026'), page);
  const [other = ''] = await pagesOf((await pdfOf(ana, inMarch, { 'accept-language': 'fr' })).bytes);
  assert.ok(other.includes('Statement of account'));
  const asked = await bank.ask('GET', `/api/v2/accounts/${ana}/statement?${inMarch}`, undefined, {
    accept: 'application/pdf',
  });
  assert.equal(asked.headers['content-type'], 'application/pdf');
});

test('long descriptions, other scripts and control characters break nothing; amounts may be as large as there are', async () => {
  const ana = await open({ name: 'Ωmega Ελλάς Жизнь "<&>" 東京 🏦' });
  const descriptions = [
    'x'.repeat(500),
    'word '.repeat(100).trim(),
    '\n'.repeat(400),
    'two\nlines\tand a tab',
    'Жизнь — ευρώ — ação — naïve',
    '東京 🏦 مرحبا',
    ')( \\ ( endstream endobj %%EOF',
  ];
  for (const description of descriptions) {
    await bank.post('/api/v2/transfers', {
      debit_account_id: cash,
      credit_account_id: ana,
      amount: { amount: '1000000000000000.01', currency: 'BRL' },
      effective_date: '2026-03-05',
      description,
    });
  }
  const pages = await pagesOf((await pdfOf(ana)).bytes);
  const text = pages.join(' ');
  assert.equal(text.replaceAll(' ', '').match(/x{2,}/g)?.join('').length, 500);
  for (const words of ['two lines and a tab', 'Жизнь — ευρώ — ação — naïve', 'endstream endobj %%EOF']) {
    assert.ok(text.includes(words), words);
  }
  // More digits than a number keeps.
  assert.ok(text.includes('7,000,000,000,000,000.07'), text.slice(-800));
});

test('an account without entries, and one with more than a PDF takes', async () => {
  const empty = await open({ name: 'Empty' });
  const [page = ''] = await pagesOf((await pdfOf(empty)).bytes);
  assert.ok(page.includes('Nothing was posted in this period.') && page.includes('Totals (0 entries)'), page);
  const busy = await open({ name: 'Busy', credit_limit: null });
  const transfers = Array.from({ length: 1_000 }, () => ({
    debit_account_id: cash,
    credit_account_id: busy,
    amount: { amount: '0.01', currency: 'BRL' },
    effective_date: '2026-03-05',
  }));
  for (let batch = 0; batch < 5; batch += 1) await bank.post('/api/v2/transfers/batch', { transfers });
  const document = await getDocumentProxy(new Uint8Array((await pdfOf(busy)).bytes));
  const content = await (await document.getPage(document.numPages)).getTextContent();
  const last = content.items
    .map((item) => ('str' in item ? item.str : ''))
    .join(' ')
    .replaceAll(/\s+/g, ' ');
  assert.ok(last.includes('Totals (5000 entries) 0.00 50.00'), last);
  await bank.post('/api/v2/transfers', transfers[0] ?? {});
  const url = `/api/v2/accounts/${busy}/statement?${inMarch}&format=pdf`;
  const refused = await bank.ask('GET', url);
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.most],
    [422, 'statement_too_long', 5_000],
  );
});

test('who may not see personal data sees none of it there', async () => {
  const ana = await open({ name: 'Ana Secreta' });
  await bank.post('/api/v2/transfers', {
    debit_account_id: cash,
    credit_account_id: ana,
    amount: { amount: '10.00', currency: 'BRL' },
    effective_date: '2026-03-05',
    description: 'Clinic',
  });
  const key = await createKey(platform.running.platform, bank.scope, {
    label: 'reader',
    scopes: ['accounts:read'],
  });
  const answer = await platform.running.app.inject({
    method: 'GET',
    url: `/api/v2/accounts/${ana}/statement?${inMarch}&format=pdf`,
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(answer.statusCode, 200);
  const [page = ''] = await pagesOf(answer.rawPayload);
  assert.ok(page.includes('A•••') && page.includes('C•••') && page.includes('10.00'), page);
  assert.ok(!page.includes('Secreta') && !page.includes('Clinic'), page);
});
