/** Nobody who lacks the permission learns personal data, whichever way they ask. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Type } from 'typebox';
import { createKey } from '../src/platform/access/access.ts';
import type { Caller } from '../src/platform/access/caller.ts';
import { MASK, Personal, redactorOf, Secret, sees } from '../src/platform/access/redaction.ts';
import { newUuid } from '../src/platform/ids.ts';
import { openLog, unloggedNames } from '../src/platform/log.ts';
import { generatedOpenApi } from '../src/platform/openapi.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

const NAME = 'Zoraide Quintela';
const PURPOSE = 'Xilofone for Wanderley';
const LABEL = 'passport-K7731';
const told = [/zoraide/i, /quintela/i, /xilofone/i, /wanderley/i, /K7731/];

let platform: TestPlatform;
let bank: TestTenant;
/** May do everything but see personal data. */
let blind: string;
let account: string;
let transfer: string;
let hold: string;

const withKey = (
  key: string,
  method: 'GET' | 'POST' | 'PATCH' | 'PUT',
  url: string,
  options: { body?: object | string; headers?: Record<string, string> } = {},
) =>
  platform.running.app.inject({
    method,
    url,
    headers: {
      authorization: `Bearer ${key}`,
      ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { payload: options.body }),
  });

function assertTellsNothing(answer: { body: string; headers: object }, what: string) {
  for (const secret of told) {
    assert.doesNotMatch(answer.body + JSON.stringify(answer.headers), secret, `${what}: ${answer.body}`);
  }
}

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  const scopes = ['accounts:*', 'transfers:*', 'holds:*', 'attempts:*', 'chart_of_accounts:*'];
  blind = await createKey(platform.running.platform, bank.scope, { label: 'blind', scopes });
  await bank.post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  const open = async (name: string, key: string) => {
    const body = {
      name,
      currency: 'BRL',
      chart_code: '2100',
      credit_limit: null,
      metadata: { document: LABEL },
    };
    return (await bank.post('/api/v2/accounts', body, { 'idempotency-key': key })).id;
  };
  account = await open(NAME, 'open-1');
  const other = await open(`Sister of ${NAME}`, 'open-2');
  const between = {
    debit_account_id: account,
    credit_account_id: other,
    amount: { amount: '10.00', currency: 'BRL' },
    description: PURPOSE,
    metadata: { document: LABEL },
  };
  transfer = (await bank.post('/api/v2/transfers', between, { 'idempotency-key': 'pay' })).id;
  hold = (await bank.post('/api/v2/holds', between)).id;
});
after(() => platform.close());

test('JSON: lists, things, exports and attempts show masks, and whoever may see the data sees it', async () => {
  const today = new Date().toISOString().slice(0, 10);
  const statement = `/api/v2/accounts/${account}/statement?from=${today}&to=${today}`;
  for (const url of [
    '/api/v2/accounts',
    `/api/v2/accounts/${account}`,
    `/api/v2/accounts/${account}/entries`,
    statement,
    `${statement}&format=csv`,
    '/api/v2/transfers',
    `/api/v2/transfers/${transfer}`,
    '/api/v2/holds',
    `/api/v2/holds/${hold}`,
    '/api/v2/attempts/pay',
    '/api/v2/attempts/open-1',
    '/api/v1/accounts/',
    '/api/v1/accounts/1',
  ]) {
    const answer = await withKey(blind, 'GET', url);
    assert.equal(answer.statusCode, 200, answer.body);
    assert.ok(answer.body.includes(MASK), `${url} shows a mask`);
    assertTellsNothing(answer, url);
    const whole = await bank.ask('GET', url);
    assert.ok(told.some((each) => each.test(whole.text)) && !whole.text.includes(MASK), url);
  }
  const { name, metadata } = (await withKey(blind, 'GET', `/api/v2/accounts/${account}`)).json();
  assert.deepEqual([name, metadata], [`Z${MASK}`, { document: MASK }]);
  const csv = await withKey(blind, 'GET', `${statement}&format=csv`);
  assert.match(csv.body, new RegExp(`,X${MASK},`));
});

test('pages are made of what is masked, and an edit begins with nothing that is', async () => {
  const accept = { accept: 'text/html' };
  for (const url of ['/api/v2/accounts', `/api/v2/accounts/${account}`, `/api/v2/transfers/${transfer}`]) {
    const answer = await withKey(blind, 'GET', url, { headers: accept });
    assert.match(String(answer.headers['content-type']), /^text\/html/);
    assert.ok(answer.body.includes(MASK));
    assertTellsNothing(answer, url);
  }
  const page = await withKey(blind, 'GET', `/api/v2/accounts/${account}`, { headers: accept });
  assert.doesNotMatch(page.body, new RegExp(`value="[^"]*${MASK}"`));
});

test('what a caller writes is masked in the answer to it as well, the first time and again', async () => {
  const body = {
    debit_account_id: account,
    credit_account_id: account,
    amount: { amount: '1.00', currency: 'BRL' },
    description: PURPOSE,
  };
  assertTellsNothing(await withKey(blind, 'POST', '/api/v2/transfers', { body }), 'a refused transfer');
  const opening = { name: NAME, currency: 'BRL', chart_code: '2100' };
  for (const replayed of [undefined, 'true']) {
    const headers = { 'idempotency-key': 'blind-opening' };
    const answer = await withKey(blind, 'POST', '/api/v2/accounts', { body: opening, headers });
    assert.deepEqual([answer.statusCode, answer.headers['idempotent-replayed']], [201, replayed]);
    assertTellsNothing(answer, 'an opened account');
  }
  const batch = await withKey(blind, 'POST', '/api/v2/transfers/batch', {
    body: {
      transfers: [{ ...body, credit_account_id: (await bank.get('/api/v2/accounts')).data[1].id }, body],
    },
  });
  assert.equal(batch.statusCode, 200, batch.body);
  assertTellsNothing(batch, 'a batch');
});

test('problems do not say what was sent', async () => {
  const url = `/api/v2/accounts/${account}`;
  const version = (await bank.ask('GET', url)).headers['etag'] ?? '';
  for (const [what, method, path, options] of [
    ['not JSON', 'POST', '/api/v2/accounts', { body: `{"name": ${NAME}}` }],
    ['not JSON in v1', 'POST', '/api/v1/accounts', { body: `{"name": ${NAME}}` }],
    ['too long', 'POST', '/api/v2/accounts', { body: { name: NAME.repeat(50), metadata: { a: LABEL } } }],
    [
      'a field too many',
      'PATCH',
      url,
      { body: { name: NAME, nome: NAME }, headers: { 'if-match': version } },
    ],
    ['another version', 'PATCH', url, { body: { name: NAME }, headers: { 'if-match': '"0"' } }],
    ['no such code', 'POST', '/api/v2/accounts', { body: { name: NAME, currency: 'BRL', chart_code: '9' } }],
  ] as const) {
    const answer = await withKey(blind, method, path, options);
    assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${what}: ${answer.body}`);
    assertTellsNothing(answer, what);
  }
});

test('a mask that is sent back is refused, so that it is not kept instead of what it stands for', async () => {
  const url = `/api/v2/accounts/${account}`;
  const read = await withKey(blind, 'GET', url);
  const { name, metadata } = read.json();
  const headers = { 'if-match': String(read.headers['etag']) };
  const refused = await withKey(blind, 'PATCH', url, { body: { name, metadata }, headers });
  assert.deepEqual(
    [refused.statusCode, refused.json().errors.map(({ pointer }: { pointer: string }) => pointer)],
    [400, ['/name', '/metadata/document']],
  );
  const done = await withKey(blind, 'PATCH', url, { body: { may_send: true }, headers });
  assert.equal(done.statusCode, 200, done.body);
  assert.equal((await bank.get(url)).name, NAME);
});

test('what is masked cannot be looked for, by a filter or by a cursor that holds one', async () => {
  const forged = Buffer.from(
    JSON.stringify({ filters: { q: 'zo' }, after: 'ffffffff-ffff-7fff-bfff-ffffffffffff' }),
  ).toString('base64url');
  for (const query of ['q=zo', `metadata=document:${LABEL}`, `cursor=${forged}`]) {
    const refused = await withKey(blind, 'GET', `/api/v2/accounts?${query}`);
    assert.deepEqual(
      [refused.statusCode, refused.json().code, refused.json().permission],
      [403, 'permission_missing', 'personal_data:read'],
      query,
    );
    assert.equal((await bank.get(`/api/v2/accounts?${query}`)).data.length >= 1, true, query);
  }
  const page = await withKey(blind, 'GET', '/api/v2/accounts?limit=1&currency=BRL');
  const next = await withKey(blind, 'GET', `/api/v2/accounts?limit=1&cursor=${page.json().next_cursor}`);
  assert.equal(next.statusCode, 200, next.body);
});

/** May read the trail, export it and decide what waits, and see no personal data. */
async function blindReader(): Promise<string> {
  const scopes = ['audit:*', 'proposals:*', 'accounts:*', 'transfers:post'];
  return createKey(platform.running.platform, bank.scope, { label: 'reader', scopes });
}

test('the audit trail shows masks of things before and after, and of names, in lists, records and exports', async () => {
  const reader = await blindReader();
  await bank.ask('PATCH', `/api/v2/accounts/${account}`, { name: `${NAME} II` }, { 'if-match': '*' });
  await bank.ask('PATCH', `/api/v2/accounts/${account}`, { name: NAME }, { 'if-match': '*' });
  const list = `/api/v2/audit?subject=${account}`;
  const { data } = await bank.get(list);
  assert.ok(data.length >= 3, JSON.stringify(data));
  const { id } = data[0];
  const since = 'from=2020-01-01T00:00:00Z';
  for (const url of [
    list,
    '/api/v2/audit',
    `/api/v2/audit/${id}`,
    `/api/v2/audit/export?${since}`,
    `/api/v2/audit/export?${since}&format=jsonl`,
  ]) {
    const answer = await withKey(reader, 'GET', url);
    assert.equal(answer.statusCode, 200, answer.body);
    assert.ok(answer.body.includes(MASK), `${url} shows a mask`);
    assertTellsNothing(answer, url);
    const whole = await withKey(bank.key, 'GET', url);
    assert.ok(told.some((each) => each.test(whole.body)) && !whole.body.includes(MASK), url);
  }
  const seen = (await withKey(reader, 'GET', `/api/v2/audit/${id}`)).json();
  // That there was something, and what its members are, is told.
  assert.deepEqual(Object.keys(seen.before).toSorted(), Object.keys(data[0].before).toSorted());
  assert.deepEqual([seen.before.name, seen.after.name, seen.principal.name], [MASK, MASK, `t${MASK}`]);
  assert.deepEqual([seen.subject, seen.method, seen.principal.id], [account, 'PATCH', data[0].principal.id]);
  // The name of the key that did it is masked, hence not looked in either.
  const named = (await bank.get('/api/v2/audit?q=test')).data;
  assert.ok(named.length > 0 && named[0].principal.name === 'test');
  assert.deepEqual((await withKey(reader, 'GET', '/api/v2/audit?q=test')).json().data, []);
  assert.ok((await withKey(reader, 'GET', '/api/v2/audit?q=accounts')).json().data.length > 0);
});

test('a proposal shows masks of what was asked and of what came of it', async () => {
  const reader = await blindReader();
  const policy = '/api/v2/approval-policies/accounts:edit';
  assert.equal((await bank.ask('PUT', policy, {})).status, 201);
  const url = `/api/v2/accounts/${account}`;
  const proposed = await bank.ask(
    'PATCH',
    url,
    { name: `${NAME} III`, metadata: { document: LABEL } },
    { 'if-match': '*' },
  );
  assert.equal(proposed.status, 202, proposed.text);
  const at = `/api/v2/proposals/${proposed.body.id}`;
  for (const each of [at, '/api/v2/proposals', '/api/v2/proposals?status=pending']) {
    const answer = await withKey(reader, 'GET', each);
    assert.equal(answer.statusCode, 200, answer.body);
    assertTellsNothing(answer, each);
  }
  const { request, proposed_by } = (await withKey(reader, 'GET', at)).json();
  assert.deepEqual(request.body, { name: MASK, metadata: { document: MASK } });
  assert.deepEqual(proposed_by.id, proposed.body.proposed_by.id);
  assert.match((await bank.ask('GET', at)).text, /Zoraide Quintela III/);
  // Whoever proposes without seeing what they propose is shown masks in the answer, too.
  const own = await withKey(reader, 'PATCH', url, {
    body: { name: `${NAME} IV` },
    headers: { 'if-match': '*' },
  });
  assert.equal(own.statusCode, 202, own.body);
  assertTellsNothing(own, 'one’s own proposal');
  const rejected = await withKey(reader, 'POST', `${at}/approve`, { body: {} });
  assert.equal(rejected.statusCode, 200, rejected.body);
  assertTellsNothing(rejected, 'an approved proposal');
  const record = await withKey(reader, 'GET', `/api/v2/audit?subject=${proposed.body.id}`);
  assertTellsNothing(record, 'the record of an approval');
  assert.equal((await bank.ask('DELETE', policy, undefined, { 'if-match': '*' })).status, 204);
});

const caller = (permissions: string[], narrowed: string[][] = []): Caller => ({
  tenant_id: newUuid(),
  environment: 'sandbox',
  principal: { kind: 'person', id: 'usr_x', name: 'x' },
  tenant_name: 'x',
  base_currency: 'BRL',
  permissions: new Set(permissions),
  narrowed: narrowed.map((each) => ({ permissions: new Set(each), labels: { branch: '7' } })),
  plan: 'standard',
});

test('marks are found wherever a schema has them, and a value is copied only where it is masked', () => {
  const Thing = Type.Object({
    id: Type.String(),
    token: Type.Optional(Secret(Type.String())),
    people: Type.Array(Type.Object({ name: Personal(Type.String()), age: Personal(Type.Integer()) })),
    kin: Type.Record(Type.String(), Type.Object({ name: Personal(Type.String()) })),
    owner: Type.Union([Type.Object({ name: Personal(Type.String()) }), Type.Null()]),
    terms: Type.Object({ days: Type.Integer() }),
  });
  const thing = {
    id: '1',
    token: 'abc',
    people: [{ name: 'Ana', age: 7 }],
    kin: { mother: { name: '👩 Bia' } },
    owner: { name: '' },
    terms: { days: 1 },
  };
  const before = structuredClone(thing);
  const redact = redactorOf(Thing);
  assert.equal(redact(thing, caller(['personal_data:read', 'secrets:reveal'])), thing);
  const masked = redact(thing, caller([]));
  assert.deepEqual(masked, {
    id: '1',
    token: MASK,
    people: [{ name: `A${MASK}`, age: null }],
    kin: { mother: { name: `👩${MASK}` } },
    owner: { name: '' },
    terms: { days: 1 },
  });
  assert.deepEqual(thing, before);
  assert.equal(Object(masked).terms, thing.terms);
  assert.deepEqual(redact(thing, caller(['personal_data:read'])), { ...thing, token: MASK });
  assert.equal(Object(redact({ ...thing, owner: null }, caller([]))).owner, null);
});

test('who reaches things by a grant for some labels sees personal data where that grant says so', () => {
  const narrow = ['accounts:read'];
  const seeing = ['accounts:read', 'personal_data:read'];
  assert.ok(sees(caller([], [seeing]), 'personal', 'accounts:read'));
  assert.ok(!sees(caller([], [seeing, narrow]), 'personal', 'accounts:read'));
  // It sees accounts beyond those labels.
  assert.ok(!sees(caller(narrow, [seeing]), 'personal', 'accounts:read'));
  assert.ok(!sees(caller([], [['personal_data:read']]), 'personal', 'accounts:read'));
});

/** Names of the properties that a JSON document marks, as OpenAPI shows them. */
function markedNames(node: unknown, name = ''): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const own = 'x-data' in node ? [name] : [];
  return [
    ...own,
    ...Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
      const isParameter = key === 'schema' && 'name' in node;
      return markedNames(value, isParameter ? String(node.name) : key);
    }),
  ];
}

test('every field that is marked is marked in the reference too, and never reaches the log', () => {
  const names = new Set(markedNames(JSON.parse(generatedOpenApi(platform.running.app))));
  assert.deepEqual(
    [...names].filter((name) => !unloggedNames.includes(name)),
    [],
  );
  assert.ok(names.size >= 5, [...names].join());
  const lines: string[] = [];
  const log = openLog('info', { write: (line: string) => lines.push(line) });
  for (const name of names) {
    log.info({ [name]: NAME, account: { [name]: NAME, owner: { [name]: NAME } } }, 'logged');
  }
  assert.equal(lines.length, names.size);
  assertTellsNothing({ body: lines.join(''), headers: {} }, 'the log');
});
