/** Sandboxes are emptied whole and nothing else is, and their clocks move forward. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../../../platform/access/access.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let operator: Client;
before(async () => {
  platform = await openTestPlatform();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await operator.end();
  await platform.close();
});

const brl = (amount: string) => ({ amount, currency: 'BRL' });

interface Bank extends TestTenant {
  account: string;
  move: (amount: string, key?: string) => Promise<unknown>;
}

/** Books with two accounts, a transfer and a hold that expires. */
async function fill(tenant: TestTenant): Promise<Bank> {
  await tenant.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await tenant.post('/api/v2/chart-of-accounts', {
    code: '1.1',
    name: 'Till',
    type: 'asset',
    parent_code: '1',
  });
  await tenant.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, options = {}): Promise<string> =>
    (await tenant.post('/api/v2/accounts', { name: 'x', currency: 'BRL', chart_code, ...options })).id;
  const cash = await open('1.1', { credit_limit: null });
  const account = await open('2');
  const move: Bank['move'] = (amount, key) =>
    tenant.post(
      '/api/v2/transfers',
      { debit_account_id: cash, credit_account_id: account, amount: brl(amount) },
      key === undefined ? undefined : { 'idempotency-key': key },
    );
  await move('100.00', 'first');
  await tenant.post('/api/v2/holds', {
    debit_account_id: account,
    credit_account_id: cash,
    amount: brl('10.00'),
    expires_at: '2120-01-01T00:00:00Z',
  });
  return { ...tenant, account, move };
}

/** The same tenant in its other environment. */
async function inLive(bank: TestTenant): Promise<TestTenant> {
  const scope = { tenant_id: bank.scope.tenant_id, environment: 'live' } as const;
  const key = await createKey(platform.running.platform, scope, { label: 'live' });
  const ask: TestTenant['ask'] = (method, url, body, headers) =>
    bank.ask(method, url, body, { authorization: `Bearer ${key}`, ...headers });
  const expect = async (
    method: 'GET' | 'POST',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => {
    const answer = await ask(method, url, body, headers);
    assert.ok(answer.status < 300, `${url}: ${answer.text}`);
    return answer.body;
  };
  return {
    scope,
    key,
    ask,
    get: (url) => expect('GET', url),
    post: (url, body, headers) => expect('POST', url, body, headers),
  };
}

/** Every row of every table with an environment, of one tenant there, as text. */
async function everything(scope: TestTenant['scope']): Promise<Map<string, string[]>> {
  const { rows: tables } = await operator.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id'
     join pg_attribute e on e.attrelid = c.oid and e.attname = 'environment'
     where c.relkind = 'r' order by 1`,
  );
  const found = new Map<string, string[]>();
  for (const { name } of tables) {
    const { rows } = await operator.query<{ row: string }>(
      `select t::text as row from ${name} t where tenant_id = $1 and environment = $2 order by 1`,
      [scope.tenant_id, scope.environment],
    );
    // When a key was used last, and what was asked, is noted beside the requests, some time after them.
    if (name !== 'platform.api_keys' && !name.startsWith('platform.usage_'))
      found.set(
        name,
        rows.map(({ row }) => row),
      );
  }
  return found;
}

/** Until what was posted and recorded is sealed and jobs are planned, so that nothing changes by itself any more. */
async function sealed(scope: TestTenant['scope']): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { rows } = await operator.query<{ open: boolean }>(
      `select h.position > coalesce(max(s.last_position), 0)
         or exists (select from platform.audit_waiting where tenant_id = $1 and environment = $2)
         or not exists (select from platform.job_schedules where tenant_id = $1 and environment = $2) as open
       from ledger.heads h
       left join ledger.seals s using (tenant_id, environment)
       where tenant_id = $1 and environment = $2 group by h.position`,
      [scope.tenant_id, scope.environment],
    );
    if (rows[0]?.open === false) return;
    assert.ok(Date.now() < deadline, 'nothing is sealed');
    await sleep(50);
  }
}

test('a reset empties the sandbox of the caller and nothing else, and its books begin anew', async () => {
  const bank = await fill(await platform.newTenant());
  const live = await fill(await inLive(bank));
  const other = await fill(await platform.newTenant());
  for (const { scope } of [bank, live, other]) await sealed(scope);
  const before = [await everything(live.scope), await everything(other.scope)];
  const settings = await bank.get('/api/v2/tenant');

  const headers = { 'idempotency-key': 'again' };
  const reset = await bank.post('/api/v2/sandbox/reset', {}, headers);
  assert.ok(reset.rows_erased > 15, JSON.stringify(reset));
  for (const [name, rows] of await everything(bank.scope)) {
    const { rows: erasable } = await operator.query(
      "select has_table_privilege('financialapi_eraser', $1::regclass, 'delete') as is_erasable",
      [name],
    );
    // What is recorded of callers stays. Of what was attempted, the reset itself is known.
    if (erasable[0]?.is_erasable !== true) continue;
    assert.equal(rows.length, name === 'platform.attempts' ? 1 : 0, `${name}: ${rows.join(' ')}`);
  }
  assert.deepEqual([await everything(live.scope), await everything(other.scope)], before);
  assert.deepEqual(await bank.get('/api/v2/tenant'), settings);

  // The same key for the same postings: none of them is known any more.
  const again = await fill(bank);
  const [{ id }] = (await again.get('/api/v2/transfers')).data;
  const { rows } = await operator.query(
    'select position::int from ledger.transfers where tenant_id = $1 and environment = $2',
    [bank.scope.tenant_id, 'sandbox'],
  );
  assert.deepEqual(rows, [{ position: 1 }]);
  assert.ok(id.startsWith('trf_'));
  await sealed(bank.scope);
  const integrity = await bank.get('/api/v2/integrity');
  assert.equal(integrity.ok ?? integrity.status === 'ok', true, JSON.stringify(integrity));

  // A reset whose answer was lost is not another one.
  const replayed = await bank.ask('POST', '/api/v2/sandbox/reset', {}, headers);
  assert.deepEqual([replayed.body, replayed.headers['idempotent-replayed']], [reset, 'true']);
  assert.equal((await bank.get('/api/v2/transfers')).data.length, 1);
});

test('postings that come while the sandbox is emptied are of the books before or after, whole', async () => {
  const bank = await fill(await platform.newTenant());
  const moves = Array.from({ length: 40 }, () =>
    bank.move('1.00').then(
      () => 'moved',
      (error: unknown) => {
        assert.match(String(error), /404|account_not_found/);
        return 'gone';
      },
    ),
  );
  const [, ...outcomes] = await Promise.all([bank.post('/api/v2/sandbox/reset', {}), ...moves]);
  assert.equal(outcomes.length, 40);
  assert.deepEqual((await bank.get('/api/v2/accounts')).data, []);
  assert.deepEqual((await bank.get('/api/v2/transfers')).data, []);
  await fill(bank);
});

test('a reset plants the demo books for who may post them, and says so where there is no such seed', async () => {
  const bank = await fill(await platform.newTenant());
  const refused = await bank.ask('POST', '/api/v2/sandbox/reset', { seed: 'constructor' });
  assert.deepEqual([refused.status, refused.body.code], [422, 'unknown_seed']);
  const weak = await createKey(platform.running.platform, bank.scope, {
    label: 'weak',
    scopes: ['sandbox:*'],
  });
  const forbidden = await bank.ask(
    'POST',
    '/api/v2/sandbox/reset',
    { seed: 'demo' },
    { authorization: `Bearer ${weak}` },
  );
  assert.deepEqual([forbidden.status, forbidden.body.code], [403, 'permission_missing']);
  assert.equal((await bank.get('/api/v2/accounts')).data.length, 2, 'nothing went');
  for (const key of ['one', 'two']) {
    const reset = await bank.post('/api/v2/sandbox/reset', { seed: 'demo' }, { 'idempotency-key': key });
    assert.ok(reset.seeded_at !== undefined);
    assert.equal((await bank.get('/api/v2/accounts')).data.length, 13);
  }
});

test('live can be neither emptied nor moved in time', async () => {
  const live = await fill(await platform.newTenant('live'));
  for (const [url, body] of [
    ['/api/v2/sandbox/reset', {}],
    ['/api/v2/sandbox/clock/advance', { seconds: 5 }],
  ] as const) {
    const refused = await live.ask('POST', url, body);
    assert.deepEqual([refused.status, refused.body.code], [403, 'sandbox_only']);
  }
  assert.equal((await live.ask('GET', '/api/v2/sandbox/clock')).body.code, 'sandbox_only');
  await sealed(live.scope);
  const before = await everything(live.scope);
  const sandbox = await fill(await platform.newTenant());
  const { tenant_id } = live.scope;
  const tables = [...before.keys()].filter(
    (name) =>
      (name.startsWith('ledger.') &&
        !/^ledger\.(limits|limit_amounts|attributions|attribution_marks|attributions_lost)$/.test(name)) ||
      name === 'platform.attempts',
  );
  const as = async (role: string, environment: string, sql: string): Promise<string> => {
    await operator.query('begin');
    try {
      await operator.query(`set local role ${role}`);
      await operator.query(
        "select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true)",
        [tenant_id, environment],
      );
      const { rowCount } = await operator.query(sql);
      return `${rowCount ?? 0} rows`;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    } finally {
      await operator.query('rollback');
    }
  };
  // The function, whatever the session says, for every role; and injected SQL with the role that may delete.
  for (const role of ['ledger', 'identity', 'platform', 'financialapi_owner', 'financialapi_eraser']) {
    assert.equal(await as(role, 'live', 'select platform.reset_sandbox()'), '42501', role);
    if (role === 'platform' || role === 'financialapi_eraser') continue;
    assert.equal(await as(role, 'sandbox', 'select platform.reset_sandbox()'), '42501', role);
  }
  for (const table of tables) {
    for (const environment of ['live', 'sandbox', '']) {
      for (const sql of [`delete from ${table}`, `delete from ${table} where environment = 'live'`]) {
        assert.equal(await as('financialapi_eraser', environment, sql), '0 rows', `${table} ${environment}`);
      }
    }
    for (const role of ['ledger', 'identity', 'platform']) {
      assert.equal(await as(role, 'live', `delete from ${table}`), '42501', `${role} ${table}`);
    }
    assert.equal(
      await as('financialapi_eraser', 'sandbox', `update ${table} set tenant_id = tenant_id`),
      '42501',
    );
    assert.equal(await as('financialapi_eraser', 'sandbox', `truncate ${table}`), '42501');
  }
  const { rows: members } = await operator.query(
    `select m.rolname from pg_auth_members a join pg_roles m on m.oid = a.member join pg_roles r on r.oid = a.roleid
     where r.rolname = 'financialapi_eraser' and not m.rolsuper and m.rolname <> current_user`,
  );
  assert.deepEqual(members, [], 'no role can become the one that deletes');
  const left = await everything(live.scope);
  // How many requests there were is noted in bulk, some time after them.
  for (const rows of [before, left]) rows.delete('platform.request_counts');
  assert.deepEqual(left, before);
  assert.equal((await sandbox.get('/api/v2/accounts')).data.length, 2);
});

test('the clock of a sandbox moves forward, once for each request, and a reset sets it to the time', async () => {
  const bank = await platform.newTenant();
  const advance = (body: object, key?: string) =>
    bank.ask(
      'POST',
      '/api/v2/sandbox/clock/advance',
      body,
      key === undefined ? {} : { 'idempotency-key': key },
    );
  assert.equal((await bank.get('/api/v2/sandbox/clock')).offset_s, 0);
  assert.equal((await advance({ seconds: 3_600 }, 'hour')).body.offset_s, 3_600);
  const replayed = await advance({ seconds: 3_600 }, 'hour');
  assert.deepEqual([replayed.body.offset_s, replayed.headers['idempotent-replayed']], [3_600, 'true']);
  const there = await advance({ to: '2120-02-29T00:00:00Z' });
  assert.equal(there.body.code, undefined, there.text);
  assert.ok(there.body.now >= '2120-02-29T00:00:00' && there.body.now < '2120-02-29T00:01', there.body.now);
  for (const [body, status] of [
    [{ to: '2026-01-01T00:00:00Z' }, 422],
    [{ to: '9999-01-01T00:00:00Z' }, 422],
    [{ seconds: 3_155_760_000 }, 422],
    [{ seconds: 0 }, 400],
    [{ seconds: -5 }, 400],
    [{ seconds: 5, to: '2150-01-01T00:00:00Z' }, 400],
    [{ to: '2121-02-30T00:00:00Z' }, 400],
    [{}, 400],
  ] as const) {
    const refused = await advance(body);
    assert.equal(refused.status, status, `${JSON.stringify(body)}: ${refused.text}`);
  }
  const other = await platform.newTenant();
  assert.equal((await other.get('/api/v2/sandbox/clock')).offset_s, 0);
  const { rows } = await operator.query<{ live_s: number }>(
    "select abs(extract(epoch from platform.now_of($1, 'live') - clock_timestamp()))::float as live_s",
    [bank.scope.tenant_id],
  );
  assert.ok((rows[0]?.live_s ?? 99) < 5);
  await bank.post('/api/v2/sandbox/reset', {});
  assert.equal((await bank.get('/api/v2/sandbox/clock')).offset_s, 0);
});

test('holds are due by the clock of their sandbox, whatever that of others shows', async () => {
  const bank = await fill(await platform.newTenant());
  const other = await fill(await platform.newTenant());
  // Within a transaction that nobody else sees, so that no hold expires meanwhile.
  const dueWhenAheadBy = async (years: number): Promise<string[]> => {
    await operator.query('begin');
    await operator.query(
      'insert into platform.clocks (tenant_id, offset_s) values ($1, $2 * 31557600::bigint)',
      [bank.scope.tenant_id, years],
    );
    const { rows } = await operator.query<{ tenant_id: string }>(
      'select * from ledger.scopes_with_due_holds(100)',
    );
    await operator.query('rollback');
    return rows.map(({ tenant_id }) => tenant_id);
  };
  assert.deepEqual(await dueWhenAheadBy(0), []);
  assert.deepEqual(await dueWhenAheadBy(20), []);
  assert.deepEqual(await dueWhenAheadBy(95), [bank.scope.tenant_id]);
  assert.notEqual(bank.scope.tenant_id, other.scope.tenant_id);
});

test('a hold expires when the clock of its sandbox is moved past its time', async () => {
  const bank = await fill(await platform.newTenant());
  const other = await fill(await platform.newTenant());
  await bank.post('/api/v2/sandbox/clock/advance', { to: '2120-01-01T00:00:01Z' });
  const deadline = Date.now() + 20_000;
  for (;;) {
    const [hold] = (await bank.get('/api/v2/holds')).data;
    if (hold.status === 'expired') break;
    assert.ok(Date.now() < deadline, JSON.stringify(hold));
    await sleep(50);
  }
  assert.equal((await other.get('/api/v2/holds')).data[0].status, 'active');
  await bank.move('5.00');
  const [latest] = (await bank.get('/api/v2/transfers')).data;
  assert.ok(latest.created_at >= '2120-01-01', latest.created_at);
});
