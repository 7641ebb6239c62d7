/** A person whose grant is narrowed to labels reaches what carries them, and learns nothing of the rest. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createKey } from '../src/platform/access/access.ts';
import type { PermissionCatalogue } from '../src/platform/access/permission.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { newUuid } from '../src/platform/ids.ts';
import { defineService } from '../src/platform/service.ts';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { grantsOf } from '../src/services/identity/roles/grants.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';

let database: FreshDatabase;
let running: Running;
let db: Database;
let scope: Scope;
let administrator: string;
const noMigrations = mkdtempSync(join(tmpdir(), 'financialapi-narrowed-'));
const person = newUuid();

/** Takes a header's word for who is calling, with the permissions that their grants come to. */
const doorman = defineService({
  name: 'doorman',
  migrations: noMigrations,
  problems: {},
  permissions: {},
  start: ({ permissions }: { permissions: PermissionCatalogue }) => ({
    routes: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    authenticators: [
      {
        identify: async (request) => {
          if (request.headers.authorization !== 'Person ana') return undefined;
          const held = await db.read(scope, (tx) => grantsOf(tx, permissions, scope, person, 'institution'));
          return {
            ...scope,
            ...held,
            principal: { kind: 'person', id: 'usr_ana', name: 'Ana' },
            tenant_name: 'Test',
            base_currency: 'BRL',
            plan: 'standard',
          };
        },
      },
    ],
  }),
});

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const ask = (
  authorization: string,
  method: Method,
  url: string,
  body?: object,
  headers: Record<string, string> = {},
) =>
  running.app.inject({
    method,
    url,
    headers: {
      authorization,
      ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { payload: body }),
  });
const asAna = (method: Method, url: string, body?: object, headers?: Record<string, string>) =>
  ask('Person ana', method, url, body, headers);

const accounts = new Map<string, string>();

before(async () => {
  database = await migratedDatabase();
  const settings = {
    DATABASE_URL: database.url,
    PORT: '0',
    DEMO: 'false',
    LOG_LEVEL: 'error',
    POOL_SIZE: '3',
  };
  running = await boot(readConfig(settings), [...services, doorman]);
  db = openDatabase({
    url: database.url,
    role: 'identity',
    pool_size: 2,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
  const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  scope = { tenant_id, environment: 'sandbox' };
  administrator = `Bearer ${await createKey(running.platform, scope, { label: 'administrator' })}`;
  const post = async (url: string, body: object) => {
    const answer = await ask(administrator, 'POST', url, body);
    assert.equal(answer.statusCode, 201, answer.body);
    return answer.json();
  };
  await post('/api/v2/chart-of-accounts', { code: '2100', name: 'Deposits', type: 'liability' });
  for (const [name, metadata] of [
    ['Seven', { branch: '7' }],
    ['Seven and more', { branch: '7', desk: '1' }],
    ['Eight', { branch: '8' }],
    ['Eight, desk 2', { branch: '8', desk: '2' }],
    ['None', {}],
  ] as const) {
    const { id } = await post('/api/v2/accounts', { name, metadata, currency: 'BRL', chart_code: '2100' });
    accounts.set(name, id);
  }
  await post('/api/v2/roles', {
    name: 'viewer',
    description: 'Looks',
    permissions: ['accounts:read', 'personal_data:read'],
  });
  await post('/api/v2/roles', {
    name: 'adjuster',
    description: 'Works with the first API',
    permissions: [
      'accounts:read',
      'accounts:adjust',
      'transfers:post',
      'transfers:read',
      'attempts:read',
      'chart_of_accounts:read',
      'personal_data:read',
    ],
  });
  await post('/api/v2/roles', { name: 'keeper', description: 'Freezes', permissions: ['accounts:freeze'] });
});
after(async () => {
  await running.stop();
  await db.close();
  await database.drop();
  rmSync(noMigrations, { recursive: true });
});

/** Gives Ana these roles for these labels and nothing else. */
async function grant(...grants: readonly (readonly [role: string, labels: object | null])[]): Promise<void> {
  await db.write(scope, async (tx) => {
    await tx.run('delete from identity.grants where tenant_id = $1', [scope.tenant_id]);
    for (const [role, labels] of grants) {
      await tx.run(
        `insert into identity.grants (tenant_id, environment, id, person_id, role, role_id, labels, created_by)
         select $1, $2, $3, $4, $5,
           (select id from identity.roles where tenant_id = $1 and environment = $2 and name = $5), $6, 'test'`,
        [
          scope.tenant_id,
          scope.environment,
          newUuid(),
          person,
          role,
          labels === null ? null : JSON.stringify(labels),
        ],
      );
    }
  });
}

const id = (name: string) => accounts.get(name) ?? '';
const today = new Date().toISOString().slice(0, 10);
const reads = (name: string) =>
  ['', '/balance', '/entries', `/statement?from=${today}&to=${today}`].map(
    (rest) => `/api/v2/accounts/${id(name)}${rest}`,
  );
const seen = async (query = ''): Promise<string[]> => {
  const answer = await asAna('GET', `/api/v2/accounts${query}`);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer
    .json()
    .data.map(({ name }: { name: string }) => name)
    .toSorted();
};

test('a grant for labels reaches the accounts that carry all of them, each grant for itself', async () => {
  await grant(['viewer', { branch: '7' }], ['viewer', { branch: '8', desk: '2' }]);
  assert.deepEqual(await seen(), ['Eight, desk 2', 'Seven', 'Seven and more']);
  for (const name of ['Seven', 'Eight, desk 2']) {
    for (const url of reads(name)) assert.equal((await asAna('GET', url)).statusCode, 200, url);
  }
  for (const name of ['Eight', 'None']) {
    for (const url of reads(name)) {
      const answer = await asAna('GET', url);
      assert.deepEqual([answer.statusCode, answer.json().code], [404, 'account_not_found'], url);
    }
  }
  const first = await asAna('GET', '/api/v2/accounts?limit=2');
  const rest = await asAna('GET', `/api/v2/accounts?limit=2&cursor=${first.json().next_cursor}`);
  assert.deepEqual(
    [first.json().data.length, rest.json().data.length, rest.json().next_cursor],
    [2, 1, null],
  );
  assert.deepEqual(await seen('?metadata=branch:8'), ['Eight, desk 2']);
});

test('what the grant does not let one do is refused, for what it reaches too', async () => {
  await grant(['viewer', { branch: '7' }], ['keeper', { branch: '8' }]);
  const verb = (name: string, what: string) => asAna('POST', `/api/v2/accounts/${id(name)}/${what}`);
  assert.equal((await verb('Eight', 'freeze')).statusCode, 200);
  assert.equal((await verb('Eight', 'unfreeze')).statusCode, 200);
  // One may see it and not freeze it.
  assert.equal((await verb('Seven', 'freeze')).statusCode, 404);
  assert.equal((await verb('Eight', 'close')).json().code, 'permission_missing');
  const edit = { may_send: false };
  const edited = await asAna('PATCH', `/api/v2/accounts/${id('Seven')}`, edit, { 'if-match': '*' });
  assert.deepEqual([edited.statusCode, edited.json().permission], [403, 'accounts:edit']);
});

test('where labels are not heeded a grant for labels does not count', async () => {
  await grant(['administrator', { branch: '7' }]);
  for (const url of ['/api/v2/trial-balance', '/api/v2/integrity', '/api/v2/api-keys', '/api/v2/grants']) {
    const { code, narrowed, detail } = (await asAna('GET', url)).json();
    assert.deepEqual([code, narrowed], ['permission_missing', true], url);
    assert.match(detail, /for certain labels only/);
  }
  const heading = { code: '9', name: 'Mine', type: 'asset' };
  assert.equal((await asAna('POST', '/api/v2/chart-of-accounts', heading)).json().narrowed, true);
  // What one does not have at all is not said to be narrowed.
  await grant(['viewer', { branch: '7' }]);
  assert.equal((await asAna('GET', '/api/v2/trial-balance')).json().narrowed, undefined);
  await grant(['administrator', { branch: '7' }]);
  const role = { name: 'mine', description: 'All', permissions: ['accounts:read'] };
  assert.equal((await asAna('POST', '/api/v2/roles', role)).json().code, 'permission_missing');
});

test('personal data is seen as far as the grants that reach it say', async () => {
  await grant(['viewer', { branch: '7' }]);
  assert.deepEqual(await seen('?q=seven'), ['Seven', 'Seven and more']);
  await grant(['viewer', { branch: '7' }], ['finance', null]);
  assert.deepEqual(await seen(), ['E•••', 'E•••', 'N•••', 'S•••', 'S•••']);
  assert.equal((await asAna('GET', '/api/v2/accounts?q=seven')).json().permission, 'personal_data:read');
});

test('an unnarrowed grant reaches everything, whatever others are narrowed to', async () => {
  await grant(['viewer', { branch: '7' }], ['auditor', null]);
  assert.equal((await seen()).length, 5);
  await grant();
  assert.equal((await asAna('GET', '/api/v2/accounts')).json().code, 'permission_missing');
});

test('the chart of accounts is read with any grant: it tells of no account', async () => {
  await grant(['adjuster', { branch: '7' }]);
  const answer = await asAna('GET', '/api/v2/chart-of-accounts');
  assert.equal(answer.statusCode, 200, answer.body);
  assert.ok(answer.json().data.some(({ code }: { code: string }) => code === '2100'));
});

/** Numbers by which the v1 API knows the accounts, as the administrator sees them. */
async function numbers(): Promise<Map<string, number>> {
  const answer = await ask(administrator, 'GET', '/api/v1/accounts');
  return new Map(answer.json().map((account: { id: number; name: string }) => [account.name, account.id]));
}

const balanceOf = async (name: string): Promise<string> =>
  (await ask(administrator, 'GET', `/api/v2/accounts/${id(name)}`)).json().balance.amount;

test('v1 shows the accounts that carry the labels and no others', async () => {
  await grant(['adjuster', { branch: '7' }]);
  const known = await numbers();
  const listed = await asAna('GET', '/api/v1/accounts');
  assert.deepEqual(
    listed.json().map(({ name }: { name: string }) => name),
    ['Seven', 'Seven and more'],
  );
  assert.equal((await asAna('GET', `/api/v1/accounts/${known.get('Seven')}`)).statusCode, 200);
  for (const name of ['Eight', 'None']) {
    const answer = await asAna('GET', `/api/v1/accounts/${known.get(name)}/`);
    assert.deepEqual([answer.statusCode, answer.json().code], [404, 'account_not_found'], name);
  }
});

test('v1 transfers leave only accounts that carry the labels, for whomever is named', async () => {
  const known = await numbers();
  const funded = await ask(administrator, 'PUT', `/api/v1/accounts/${known.get('Seven')}`, {
    name: 'Seven',
    balance: 100,
  });
  assert.equal(funded.statusCode, 204, funded.body);
  await grant(['adjuster', { branch: '7' }]);
  const pay = (from: string, to: string, method: Method = 'POST') =>
    asAna(method, `/api/v1/transfer/${known.get(from)}/${known.get(to)}/1000`);
  const paid = await pay('Seven', 'Eight');
  assert.equal(paid.statusCode, 201, paid.body);
  assert.equal((await pay('Seven', 'Seven and more', 'GET')).statusCode, 201);
  assert.deepEqual([await balanceOf('Seven'), await balanceOf('Eight')], ['80.00', '10.00']);
  for (const to of ['Seven', 'None']) {
    const back = await pay('Eight', to);
    assert.deepEqual([back.statusCode, back.json().code], [404, 'account_not_found']);
  }
  assert.equal(await balanceOf('Eight'), '10.00');
});

test('v1 edits only accounts that carry the labels, and takes nothing from the bank’s own', async () => {
  const known = await numbers();
  await ask(administrator, 'PUT', `/api/v1/accounts/${known.get('Seven and more')}`, {
    name: 'Seven and more',
    balance: 50,
  });
  await grant(['adjuster', { branch: '7' }]);
  const put = (name: string, balance: number, headers: Record<string, string> = {}, called = name) =>
    asAna('PUT', `/api/v1/accounts/${known.get(name)}`, { name: called, balance }, headers);
  const lowered = await put('Seven and more', 20);
  assert.equal(lowered.statusCode, 204, lowered.body);
  assert.equal(await balanceOf('Seven and more'), '20.00');
  // To raise a balance takes the money from an account that carries no labels.
  const raised = await put('Seven and more', 1_000);
  assert.deepEqual([raised.statusCode, raised.json().code], [403, 'account_not_allowed']);
  assert.equal(await balanceOf('Seven and more'), '20.00');
  assert.equal((await put('Eight', 0)).statusCode, 404);
  assert.equal((await asAna('DELETE', `/api/v1/accounts/${known.get('Eight')}`)).statusCode, 404);

  const opened = await asAna('POST', '/api/v1/accounts', { name: 'New', balance: 0 });
  assert.deepEqual([opened.statusCode, opened.json().reason], [400, 'account_out_of_reach'], opened.body);

  // The key of somebody who reaches more opens no door.
  const headers = { 'idempotency-key': 'of-the-administrator' };
  const wanted = { name: 'Made', balance: 5 };
  const made = await ask(administrator, 'POST', '/api/v1/accounts', wanted, headers);
  assert.equal(made.statusCode, 201);
  const repeated = await asAna('POST', '/api/v1/accounts', wanted, headers);
  assert.deepEqual([repeated.statusCode, repeated.json().code], [404, 'account_not_found']);
  const edit = { name: 'Eight', balance: 11 };
  const url = `/api/v1/accounts/${known.get('Eight')}`;
  const edited = await ask(administrator, 'PUT', url, edit, { 'idempotency-key': 'edit-of-eight' });
  assert.equal(edited.statusCode, 204);
  const again = await asAna('PUT', url, edit, { 'idempotency-key': 'edit-of-eight' });
  assert.equal(again.statusCode, 404);

  const closed = await asAna('DELETE', `/api/v1/accounts/${known.get('Seven and more')}`);
  assert.equal(closed.statusCode, 204, closed.body);
  assert.equal((await asAna('GET', `/api/v1/accounts/${known.get('Seven and more')}`)).statusCode, 404);
});

test('of attempts whoever is narrowed is told their own', async () => {
  const known = await numbers();
  const body = {
    debit_account_id: id('Seven'),
    credit_account_id: id('Eight'),
    amount: { amount: '0.01', currency: 'BRL' },
  };
  const pay = (who: string, key: string, amount = '0.01') =>
    ask(
      who,
      'POST',
      '/api/v2/transfers',
      { ...body, amount: { amount, currency: 'BRL' } },
      { 'idempotency-key': key },
    );
  const told = async (key: string) => (await asAna('GET', `/api/v2/attempts/${key}`)).json();
  await grant(['adjuster', { branch: '7' }]);

  // Done, refused, refused for its form, by the first API, as a batch: each is told.
  const paid = await pay('Person ana', 'own-done');
  assert.equal(paid.statusCode, 201, paid.body);
  assert.equal((await told('own-done')).result.id, paid.json().id);
  assert.equal((await pay('Person ana', 'own-refused', '1000000')).json().code, 'insufficient_funds');
  assert.deepEqual(
    [(await told('own-refused')).outcome, (await told('own-refused')).problem.code],
    ['refused', 'insufficient_funds'],
  );
  const back = { ...body, debit_account_id: id('Eight'), credit_account_id: id('Seven') };
  const taken = await asAna('POST', '/api/v2/transfers', back, { 'idempotency-key': 'own-not-allowed' });
  assert.equal(taken.json().code, 'account_not_allowed');
  assert.equal((await told('own-not-allowed')).problem.code, 'account_not_allowed');
  const path = `/api/v1/transfer/${known.get('Seven')}/${known.get('Eight')}/1`;
  assert.equal((await asAna('POST', path, undefined, { 'idempotency-key': 'own-v1' })).statusCode, 201);
  assert.equal((await told('own-v1')).outcome, 'done');
  const batch = await asAna(
    'POST',
    '/api/v2/transfers/batch',
    { transfers: [body, back] },
    { 'idempotency-key': 'own-batch' },
  );
  assert.equal(batch.statusCode, 200, batch.body);
  assert.deepEqual(
    (await told('own-batch')).items.map(({ outcome }: { outcome: string }) => outcome),
    ['done', 'refused'],
  );
  const renamed = { name: 'Seven', balance: Number(await balanceOf('Seven')) };
  const put = await asAna('PUT', `/api/v1/accounts/${known.get('Seven')}`, renamed, {
    'idempotency-key': 'own-edit',
  });
  assert.equal(put.statusCode, 204, put.body);
  assert.equal((await told('own-edit')).outcome, 'done');

  // Those of others are not there, not even after one asked something else under their key.
  assert.equal((await pay(administrator, 'of-others')).statusCode, 201);
  assert.equal((await told('of-others')).code, 'attempt_not_found');
  assert.equal((await pay('Person ana', 'of-others', '0.02')).json().code, 'idempotency_key_reused');
  assert.equal((await told('of-others')).code, 'attempt_not_found');
  // Nor one that another makes under a key that was tried before.
  const dry = await ask('Person ana', 'POST', '/api/v2/transfers?dry_run=true', body, {
    'idempotency-key': 'rehearsed',
  });
  assert.equal(dry.statusCode, 201, dry.body);
  assert.equal((await pay(administrator, 'rehearsed')).statusCode, 201);
  assert.equal((await told('rehearsed')).code, 'attempt_not_found');
  const all = await ask(administrator, 'GET', '/api/v2/attempts/own-done');
  assert.equal(all.json().result.id, paid.json().id);
});
