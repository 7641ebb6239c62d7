/** What the database holds, whoever calls: the books cannot be changed behind the ledger, and nobody sees another's. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { parseId } from '../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
/** As superuser, as the role of the service, and as that of the platform. */
let operator: Client;
let ledger: Client;
let ours: Client;
/** Two tenants with the same kinds of things in their books. */
let a: Bank;
let b: Bank;

interface Bank extends TestTenant {
  account: string;
  other: string;
  transfer: string;
  hold: string;
}

const brl = (amount: string) => ({ amount, currency: 'BRL' });

async function connect(role?: string): Promise<Client> {
  const client = new Client({
    connectionString: platform.url,
    ...(role === undefined ? {} : { options: `-c role=${role}` }),
  });
  await client.connect();
  return client;
}

async function openBank(environment?: 'live' | 'sandbox'): Promise<Bank> {
  const bank = await platform.newTenant(environment);
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, options: object = {}): Promise<string> => {
    const body = { name: `of ${bank.scope.tenant_id}`, currency: 'BRL', chart_code, ...options };
    return (await bank.post('/api/v2/accounts', body)).id;
  };
  const cash = await open('1', { credit_limit: null });
  const [account, other] = [await open('2'), await open('2')];
  const body = { debit_account_id: cash, credit_account_id: account, amount: brl('100.00') };
  const { id: transfer } = await bank.post('/api/v2/transfers', body);
  const held = { debit_account_id: account, credit_account_id: other, amount: brl('10.00') };
  const { id: hold } = await bank.post('/api/v2/holds', held);
  return { ...bank, account, other, transfer, hold };
}

before(async () => {
  platform = await openTestPlatform();
  [operator, ledger, ours] = [await connect(), await connect('ledger'), await connect('platform')];
  [a, b] = [await openBank(), await openBank()];
});
after(async () => {
  for (const client of [operator, ledger, ours]) await client.end();
  await platform.close();
});

/** SQLSTATE and message of what a transaction of a tenant is refused for, at the statement or at its commit. */
async function refusalOf(client: Client, scope: Bank['scope'] | undefined, sql: string, role?: string) {
  await client.query('begin');
  try {
    if (role !== undefined) await client.query(`set local role ${role}`);
    await client.query(
      "select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true)",
      [scope?.tenant_id ?? '', scope?.environment ?? ''],
    );
    await client.query(sql);
    await client.query('set constraints all immediate');
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      return { code: String(error.code), message: error.message };
    throw error;
  } finally {
    await client.query('rollback');
  }
  return assert.fail(`nothing refused: ${sql}`);
}

const PERMISSION_DENIED = '42501';
const APPEND_ONLY = '23001';
const CHECK_VIOLATION = '23514';

const recorded = ['transfers', 'entries', 'hold_steps', 'attempts', 'seals'];

test("the service's own role can neither change nor remove what was recorded, nor record past the ledger", async () => {
  const refused = [
    ...recorded.flatMap((table) => [
      `update ledger.${table} set tenant_id = tenant_id`,
      `delete from ledger.${table}`,
      `truncate ledger.${table}`,
    ]),
    ...['transfers', 'entries', 'hold_steps', 'holds'].map(
      (table) => `insert into ledger.${table} select * from ledger.${table} limit 1`,
    ),
    'update ledger.holds set captured = 0',
    'delete from ledger.holds',
    'delete from ledger.accounts',
    'delete from ledger.heads',
    'update ledger.heads set position = 0',
    'update ledger.heads set recorded_at = now()',
    ...['debits_posted', 'credits_posted', 'debits_pending', 'credits_pending', 'currency', 'type'].map(
      (column) => `update ledger.accounts set ${column} = ${column}`,
    ),
    `insert into ledger.accounts (tenant_id, environment, id, number, credits_posted, type, currency, chart_code, name)
     select tenant_id, environment, gen_random_uuid(), 99, 5, type, currency, chart_code, name from ledger.accounts limit 1`,
    'alter table ledger.entries disable trigger all',
    'alter table ledger.entries disable row level security',
    'drop trigger append_only on ledger.entries',
    'create table ledger.own (id int)',
  ];
  for (const sql of refused) {
    const { code, message } = await refusalOf(ledger, a.scope, sql);
    assert.equal(code, PERMISSION_DENIED, `${sql}: ${message}`);
  }
});

test("not even the tables' owner, nor a superuser, can change or remove what was recorded", async () => {
  for (const role of ['financialapi_owner', undefined]) {
    for (const table of recorded) {
      for (const sql of [
        `update ledger.${table} set tenant_id = tenant_id`,
        `delete from ledger.${table}`,
        `truncate ledger.${table}`,
      ]) {
        const { code, message } = await refusalOf(operator, a.scope, sql, role);
        assert.equal(code, APPEND_ONLY, `${sql}: ${message}`);
        assert.match(message, new RegExp(`${table} is refused: the table is append-only`));
      }
    }
  }
});

/** Inserts entries at a position of their own; each is account, side, amount and the balance it says. */
function insertEntries(
  entries: readonly [id: string, side: string, amount: number, balance: number][],
): string {
  const { tenant_id, environment } = a.scope;
  const values = entries.map(
    ([id, side, amount, balance], index) =>
      `('${tenant_id}', '${environment}', 999, ${index + 1}, '${parseId('acc', id)}', '${side}', ${amount}, ${balance}, 'BRL', now())`,
  );
  return `insert into ledger.entries (tenant_id, environment, position, leg, account_id, side, amount, balance, currency,
    effective_date) values ${values.join(', ')}`;
}

test('entries that are not balanced, or are not what their accounts stand at, cannot be inserted by anybody', async () => {
  for (const role of ['financialapi_owner', undefined]) {
    const refuse = (entries: Parameters<typeof insertEntries>[0]) =>
      refusalOf(operator, a.scope, insertEntries(entries), role);
    const unbalanced = await refuse([
      [a.account, 'debit', 5, 9_995],
      [a.other, 'credit', 4, 4],
    ]);
    assert.equal(unbalanced.code, CHECK_VIOLATION);
    assert.match(
      unbalanced.message,
      /entries at position 999 are not balanced: debits less credits are 1 minor/,
    );
    const alone = await refuse([[a.account, 'debit', 5, 9_995]]);
    assert.match(alone.message, /not balanced/);
    // Balanced, but the accounts did not move.
    const elsewhere = await refuse([
      [a.account, 'debit', 5, 9_995],
      [a.other, 'credit', 5, 5],
    ]);
    assert.equal(elsewhere.code, CHECK_VIOLATION);
    assert.match(elsewhere.message, /does not stand at the balance of its entry at position 999/);
    const strangers = await refuse([
      [b.account, 'debit', 5, 9_995],
      [b.other, 'credit', 5, 5],
    ]);
    assert.match(strangers.message, /does not stand at the balance/);
  }
});

test('an account is of the type of its code in the chart, and neither changes, whoever asks', async () => {
  const { tenant_id, environment } = a.scope;
  const open = (code: string, type: string) =>
    `insert into ledger.accounts (tenant_id, environment, id, number, type, currency, chart_code, name)
     values ('${tenant_id}', '${environment}', gen_random_uuid(), 99, '${type}', 'BRL', '${code}', 'x')`;
  for (const [client, role] of [
    [ledger, undefined],
    [operator, 'financialapi_owner'],
    [operator, undefined],
  ] as const) {
    for (const sql of [open('nowhere', 'liability'), open('2100', 'asset')]) {
      const { code, message } = await refusalOf(client, a.scope, sql, role);
      assert.equal(code, '23503', message);
      assert.match(message, /the chart of accounts has no code/);
    }
  }
  for (const role of ['financialapi_owner', undefined]) {
    for (const sql of [
      "update ledger.accounts set type = 'asset'",
      "update ledger.accounts set normal_side = 'debit'",
      "update ledger.accounts set chart_code = '1100'",
      "update ledger.chart_of_accounts set type = 'asset'",
      "update ledger.chart_of_accounts set code = code || '0'",
      'delete from ledger.chart_of_accounts',
      'truncate ledger.chart_of_accounts',
    ]) {
      const { code, message } = await refusalOf(operator, a.scope, sql, role);
      assert.equal(code, APPEND_ONLY, `${sql}: ${message}`);
    }
  }
});

test('an attempt without an outcome for each of its items cannot be kept by anybody', async () => {
  const { tenant_id, environment } = a.scope;
  const keep = (results: string, positions: string, refusals: string) =>
    `insert into ledger.attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions,
       result_ids, refusals)
     values ('${tenant_id}', '${environment}', 'odd', 0, now(), '', '', ${positions}, ${results}, ${refusals})`;
  const id = 'gen_random_uuid()';
  const refusal = `'{"code": "x"}'::jsonb`;
  for (const sql of [
    keep("'{}'", "'{}'", 'null'),
    keep('array[null::uuid]', 'array[null::bigint]', 'null'),
    keep(`array[${id}]`, 'array[1, 2]', 'null'),
    keep(`array[${id}]`, 'array[1]', `array[${refusal}]`),
    keep(`array[${id}, null]`, 'array[1, null]', `array[null::jsonb, null]`),
    keep(`array[${id}, null]`, 'array[1, null]', `array[${refusal}]`),
  ]) {
    for (const client of [ledger, operator]) {
      const { code, message } = await refusalOf(client, a.scope, sql);
      assert.equal(code, CHECK_VIOLATION, `${sql}: ${message}`);
      assert.match(message, /attempts_have_outcomes/);
    }
  }
});

test('counters beyond the credit limit, below zero, or left on a closed account cannot be written by anybody', async () => {
  const where = (id: string) => `where id = '${parseId('acc', id)}'`;
  for (const [sql, constraint] of [
    [
      `update ledger.accounts set debits_posted = credits_posted + 1 ${where(a.account)}`,
      'accounts_not_overdrawn',
    ],
    // 90.00 of it are free: 10.00 are held.
    [`update ledger.accounts set debits_posted = 9001 ${where(a.account)}`, 'accounts_not_overdrawn'],
    [`update ledger.accounts set debits_pending = 10001 ${where(a.account)}`, 'accounts_not_overdrawn'],
    [`update ledger.accounts set debits_posted = -1 ${where(a.account)}`, 'not_negative'],
    [`update ledger.accounts set status = 'closed' ${where(a.account)}`, 'accounts_closed_is_empty'],
  ] as const) {
    for (const role of ['financialapi_owner', undefined]) {
      const { code, message } = await refusalOf(operator, a.scope, sql, role);
      assert.equal(code, CHECK_VIOLATION, sql);
      assert.ok(message.includes(constraint), message);
    }
  }
  const overdraft = await a.ask('POST', '/api/v2/transfers', {
    debit_account_id: a.account,
    credit_account_id: a.other,
    amount: brl('90.01'),
  });
  assert.equal(overdraft.body.code, 'insufficient_funds');
});

interface Table {
  name: string;
}

async function tablesOfTenants(): Promise<Table[]> {
  const { rows } = await operator.query<Table>(
    `select c.oid::regclass::text as name
     from pg_class c join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped
     where c.relkind in ('r', 'p') and c.relnamespace in ('platform'::regnamespace, 'ledger'::regnamespace)
     order by 1`,
  );
  assert.ok(rows.length >= 12, `the walk sees the tables: ${rows.map(({ name }) => name).join(', ')}`);
  return rows;
}

test('a forgotten WHERE clause: a transaction sees the rows of its tenant and environment, and without one none', async () => {
  let looked = 0;
  for (const [client, schema] of [
    [ledger, 'ledger.'],
    [ours, 'platform.'],
  ] as const) {
    const tables = (await tablesOfTenants()).filter(({ name }) => name.startsWith(schema));
    for (const { name } of tables) {
      const all = await operator.query<{ tenant_id: string }>(`select distinct tenant_id from ${name}`);
      const ofTenants = all.rows.map(({ tenant_id }) => tenant_id);
      await client.query('begin read only');
      assert.equal((await client.query(`select * from ${name}`)).rows.length, 0, `${name} without a tenant`);
      await client.query(
        "select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true)",
        [a.scope.tenant_id, a.scope.environment],
      );
      const seen = await client.query<{ tenant_id: string }>(`select distinct tenant_id from ${name}`);
      assert.deepEqual(
        seen.rows.map(({ tenant_id }) => tenant_id),
        ofTenants.filter((id) => id === a.scope.tenant_id),
        name,
      );
      await client.query("select set_config('app.environment', 'live', true)");
      const elsewhere = await client.query<{ environment?: string }>(`select * from ${name}`);
      for (const { environment } of elsewhere.rows) assert.equal(environment, undefined, `${name} in live`);
      await client.query('rollback');
      if (ofTenants.includes(a.scope.tenant_id) && ofTenants.includes(b.scope.tenant_id)) looked += 1;
    }
  }
  assert.ok(looked >= 10, `both tenants have rows in ${looked} tables`);
});

test("no statement of a tenant's transaction can write to another", async () => {
  const { tenant_id, environment } = b.scope;
  const foreign = `insert into ledger.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
    values ('${tenant_id}', '${environment}', 999, gen_random_uuid(), now(), 'x', 'x', 'x', 'x', '{}')`;
  const { code, message } = await refusalOf(ledger, a.scope, foreign);
  assert.equal(code, PERMISSION_DENIED);
  assert.match(message, /row-level security/);
  await ledger.query('begin');
  await ledger.query(
    "select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true)",
    [a.scope.tenant_id, a.scope.environment],
  );
  const renamed = await ledger.query(
    `update ledger.accounts set name = 'mine' where tenant_id = '${tenant_id}'`,
  );
  await ledger.query('rollback');
  assert.equal(renamed.rowCount, 0);
});

test('bodies and filters that name what is of another tenant find nothing either', async () => {
  const exchange = {
    rate: '1.0',
    credited: brl('1.00'),
    debit_exchange_account_id: a.other,
    credit_exchange_account_id: b.other,
  };
  const mine = { debit_account_id: a.account, credit_account_id: a.other, amount: brl('1.00') };
  for (const [url, body] of [
    ['/api/v2/transfers', { ...mine, credit_account_id: b.account }],
    ['/api/v2/transfers', { ...mine, debit_account_id: b.account }],
    ['/api/v2/transfers', { ...mine, exchange }],
    [
      '/api/v2/transfers',
      {
        legs: [
          { account_id: a.account, side: 'debit', amount: brl('1.00') },
          { account_id: b.account, side: 'credit', amount: brl('1.00') },
        ],
      },
    ],
    ['/api/v2/holds', { ...mine, credit_account_id: b.account }],
    ['/api/v2/holds', { ...mine, debit_account_id: b.account }],
  ] as const) {
    const answer = await a.ask('POST', url, body);
    assert.deepEqual([answer.status, answer.body.code], [404, 'account_not_found'], answer.text);
  }
  const batch = await a.post('/api/v2/transfers/batch', {
    transfers: [{ ...mine, credit_account_id: b.account }],
  });
  assert.equal(batch.outcomes[0].problem.code, 'account_not_found');

  for (const url of [
    `/api/v2/transfers?account_id=${b.account}`,
    `/api/v2/transfers?hold_id=${b.hold}`,
    `/api/v2/holds?account_id=${b.account}`,
    `/api/v2/accounts?q=${b.scope.tenant_id}`,
  ]) {
    assert.deepEqual((await a.get(url)).data, [], url);
    const { data } = await b.get(url);
    assert.ok(data.length > 0 || url.includes('hold_id='), `${url} finds something for its owner`);
  }
});
