/** Many requests at once, over real HTTP, to two server processes on one database. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Client as SqlClient } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { openDatabase, type Scope } from '../src/platform/db.ts';
import { parseId } from '../src/platform/ids.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';
import { audit } from './audit.ts';
import { type Answer, openClient } from './client.ts';
import { type ServerProcess, startServer, until } from './server.ts';

let database: FreshDatabase;
let sql: SqlClient;
/** Two like each other, and one whose queue is short. */
let servers: ServerProcess[];
let short: ServerProcess;

before(async () => {
  database = await freshDatabase();
  const settings = { DATABASE_URL: database.url, DEMO: 'false', LOG_LEVEL: 'error', POOL_SIZE: '6' };
  // The first migrates; the others find it done.
  const first = await startServer(settings);
  servers = [first, await startServer(settings)];
  short = await startServer({ ...settings, QUEUE_LIMIT: '50', BATCH_LIMIT: '10' });
  sql = new SqlClient({ connectionString: database.url });
  await sql.connect();
});

after(async () => {
  // Whatever was found, no process is left behind.
  const all = [...servers, short];
  for (const server of all) server.kill('SIGTERM');
  const exits = await Promise.all(all.map(({ exit }) => exit));
  const { rows } = await sql.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  );
  await sql.end();
  await database.drop();
  for (const exit of exits) assert.deepEqual(exit, { code: 0, signal: null });
  const logged = all.flatMap(({ lines }) => lines).filter((line) => line.startsWith('{'));
  assert.deepEqual(logged, [], 'nothing was logged as an error');
  assert.equal(rows[0]?.deadlocks, '0');
});

interface Bank {
  scope: Scope;
  /** A POST to one of two servers by turns, or to the given one; 5xx other than 503 fails the test. */
  post: (path: string, body: unknown, key?: string, server?: ServerProcess) => Promise<Answer>;
  get: (path: string) => Promise<Answer>;
  patch: (path: string, body: unknown) => Promise<Answer>;
  open: (options?: object) => Promise<string>;
  /** An account without limit. */
  cash: string;
  /** An account with money. */
  funded: (amount: string, options?: object) => Promise<string>;
  balance: (id: string) => Promise<string>;
}

const brl = (amount: string) => ({ amount, currency: 'BRL' });

async function newBank(): Promise<Bank> {
  const platform = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 1,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 5_000,
    onError: () => {},
  });
  const tenant_id = await createTenant(platform, { name: 'Crowd', base_currency: 'BRL' });
  const scope: Scope = { tenant_id, environment: 'live' };
  const key = await createKey(platform, scope, { label: 'crowd' });
  await platform.close();
  const clients = new Map(
    [...servers, short].map((server) => [server, openClient(() => ({ url: server.url, key }))]),
  );
  let turn = 0;
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    idempotencyKey?: string,
    server?: ServerProcess,
  ): Promise<Answer> => {
    turn += 1;
    const chosen = server ?? servers[turn % servers.length];
    const answer = chosen && (await clients.get(chosen)?.ask(method, path, body, idempotencyKey));
    assert.ok(answer !== undefined, `${method} ${path} got no answer`);
    assert.ok(answer.status < 500 || answer.status === 503, `${path} ${JSON.stringify(answer.body)}`);
    return answer;
  };
  const created = (answer: Answer): Answer['body'] => {
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body;
  };
  let keys = 0;
  const post: Bank['post'] = (path, body, idempotencyKey, server) =>
    ask('POST', path, body, idempotencyKey ?? `own-${(keys += 1)}`, server);
  for (const [code, type] of [
    ['1', 'asset'],
    ['2', 'liability'],
  ]) {
    created(await post('/api/v2/chart-of-accounts', { code, name: type, type }));
  }
  const open: Bank['open'] = async (options = {}) =>
    created(await post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '2', ...options })).id;
  const cash = await open({ chart_code: '1', credit_limit: null });
  return {
    scope,
    post,
    get: (path) => ask('GET', path),
    patch: async (path, body) => {
      const answer = await clients
        .get(servers[0] ?? short)
        ?.ask('PATCH', path, body, undefined, { 'if-match': '*' });
      assert.ok(answer !== undefined && answer.status < 500, JSON.stringify(answer?.body));
      return answer;
    },
    open,
    cash,
    funded: async (amount, options) => {
      const id = await open(options);
      created(
        await post('/api/v2/transfers', {
          debit_account_id: cash,
          credit_account_id: id,
          amount: brl(amount),
        }),
      );
      return id;
    },
    balance: async (id) => (await ask('GET', `/api/v2/accounts/${id}`)).body.balance.amount,
  };
}

const transfer = (debit_account_id: string, credit_account_id: string, amount: string) => ({
  debit_account_id,
  credit_account_id,
  amount: brl(amount),
});

/** Does it `count` times, with at most so many under way. */
async function atOnce<T>(count: number, clients: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const indexes = Array.from({ length: count }, (_, index) => index).values();
  const worker = async () => {
    for (const index of indexes) results[index] = await work(index);
  };
  await Promise.all(Array.from({ length: clients }, worker));
  return results;
}

function count(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const name = status < 300 ? String(status) : String(body.code);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function assertSound(bank: Bank): Promise<void> {
  // Without statistics the planner would go about the larger questions row by row.
  await sql.query('analyze');
  assert.deepEqual(await audit(sql, bank.scope), []);
}

test('opposite transfers between the same accounts: all are posted, none waits for another for ever', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('1000.00'), await bank.funded('1000.00')];
  const answers = await atOnce(400, 64, (index) =>
    bank.post('/api/v2/transfers', index % 2 === 0 ? transfer(a, b, '1.00') : transfer(b, a, '1.01')),
  );
  assert.deepEqual(count(answers), { 201: 400 });
  assert.equal(new Set(answers.map(({ body }) => body.position)).size, 400);
  assert.equal(await bank.balance(a), '1002.00');
  assert.equal(await bank.balance(b), '998.00');
  await assertSound(bank);
});

test('a hot account is spent to the last unit and never beyond', async () => {
  const bank = await newBank();
  const [hot, other] = [await bank.funded('90.00', { credit_limit: brl('10.00') }), await bank.open()];
  const spent = await atOnce(300, 64, () => bank.post('/api/v2/transfers', transfer(hot, other, '1.00')));
  assert.deepEqual(count(spent), { 201: 100, insufficient_funds: 200 });
  assert.equal(await bank.balance(hot), '-10.00');

  // Filled and emptied at the same time: what was spent and what is there are what came in.
  const both = await atOnce(300, 64, (index) =>
    bank.post(
      '/api/v2/transfers',
      index % 3 === 0 ? transfer(bank.cash, hot, '1.00') : transfer(hot, other, '1.00'),
    ),
  );
  assert.deepEqual(count(both.filter((_, index) => index % 3 === 0)), { 201: 100 });
  const { 201: taken = 0, insufficient_funds: refused = 0 } = count(
    both.filter((_, index) => index % 3 !== 0),
  );
  assert.equal(taken + refused, 200);
  assert.equal(await bank.balance(hot), (-10 + 100 - taken).toFixed(2));
  const { rows } = await sql.query<{ lowest: string }>(
    'select min(balance) as lowest from ledger.entries where tenant_id = $1 and account_id = $2',
    [bank.scope.tenant_id, parseId('acc', hot)],
  );
  assert.equal(rows[0]?.lowest, '-1000');
  await assertSound(bank);
});

test('the same key and body many times at once is one posting, and all are told of it', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('100.00'), await bank.open()];
  const answers = await atOnce(60, 60, () => bank.post('/api/v2/transfers', transfer(a, b, '2.00'), 'same'));
  assert.deepEqual(count(answers), { 201: 60 });
  for (const { body } of answers) assert.deepEqual(body, answers[0]?.body);
  const first = answers.filter(({ headers }) => headers.get('idempotent-replayed') === null);
  assert.equal(first.length, 1);
  assert.equal(await bank.balance(a), '98.00');

  const refusals = await atOnce(60, 60, () =>
    bank.post('/api/v2/transfers', transfer(a, b, '98.01'), 'short'),
  );
  assert.deepEqual(count(refusals), { insufficient_funds: 60 });

  const [placed, ...again] = await atOnce(30, 30, () =>
    bank.post('/api/v2/holds', transfer(a, b, '5.00'), 'hold'),
  );
  for (const { status, body } of again) assert.deepEqual([status, body], [201, placed?.body]);

  const opened = await atOnce(20, 20, () =>
    bank.post('/api/v2/accounts', { name: 'once', currency: 'BRL', chart_code: '2' }, 'open'),
  );
  assert.equal(new Set(opened.map(({ body }) => body.id)).size, 1);
  await assertSound(bank);
});

test('the same key with different bodies at once: one wins, the others are told what differs', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('100.00'), await bank.open()];
  const answers = await atOnce(40, 40, (index) =>
    bank.post('/api/v2/transfers', transfer(a, b, `1.${String(index).padStart(2, '0')}`), 'contested'),
  );
  assert.deepEqual(count(answers), { 201: 1, idempotency_key_reused: 39 });
  for (const { status, body } of answers) {
    assert.equal(status, body.code === undefined ? 201 : 422);
    if (status === 422) assert.deepEqual(body.differs, ['/amount/amount']);
  }
  await assertSound(bank);
});

test('duplicates that are gathered for one commit: within a server, behind a batch that keeps it busy', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('5000.00'), await bank.open()];
  const [server] = servers;
  const busy = bank.post(
    '/api/v2/transfers/batch',
    { transfers: Array.from({ length: 1_000 }, () => transfer(a, b, '0.01')) },
    'busy',
    server,
  );
  const answers = await atOnce(60, 60, (index) =>
    bank.post(
      '/api/v2/transfers',
      transfer(a, b, index % 3 === 0 ? '3.00' : '2.00'),
      `twin-${index % 4}`,
      server,
    ),
  );
  assert.equal((await busy).body.posted, 1_000);
  for (const key of [0, 1, 2, 3]) {
    const twins = answers.filter((_, index) => index % 4 === key);
    const done = twins.filter(({ status }) => status === 201);
    const amounts = new Set(done.map(({ body }) => body.entries[0].amount.amount));
    assert.equal(new Set(done.map(({ body }) => body.id)).size, 1, `key ${key}`);
    assert.equal(amounts.size, 1);
    assert.equal(done.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1);
    assert.deepEqual(count(twins), {
      201: 5 * (amounts.has('2.00') ? 2 : 1),
      idempotency_key_reused: 15 - done.length,
    });
  }
  await assertSound(bank);
});

test('batches of all or none that are gathered for one commit stand and fall each for itself', async () => {
  const bank = await newBank();
  const rich = await bank.funded('100.00');
  const poor = await bank.funded('1.00');
  const [server] = servers;
  const atomic = (debit_account_id: string) => ({
    atomic: true,
    transfers: Array.from({ length: 3 }, () => ({
      debit_account_id,
      credit_account_id: bank.cash,
      amount: brl('1.00'),
    })),
  });
  // Whatever is posted first, the others wait for it side by side.
  const payers = [rich, poor, rich, rich, poor, rich];
  const answers = await Promise.all(
    payers.map((payer, n) => bank.post('/api/v2/transfers/batch', atomic(payer), `atomic-${n}`, server)),
  );
  for (const [n, { body }] of answers.entries()) {
    assert.equal(body.posted, payers[n] === rich ? 3 : 0, `batch ${n}`);
  }
  assert.equal(await bank.balance(rich), '88.00');
  assert.equal(await bank.balance(poor), '1.00');
});

test('transfers beside edits of their account: each edit holds from its place in the ledger on', async () => {
  const bank = await newBank();
  // An odd number of reais, moved by twos: the account is never empty, and so is never closed.
  const [a, b] = [await bank.funded('201.00', { credit_limit: brl('50.00') }), await bank.open()];
  const path = `/api/v2/accounts/${a}`;
  const seen: Answer[] = [];
  const transfers = atOnce(300, 32, async (index) => {
    const [debit, credit] = index % 5 === 0 ? [bank.cash, a] : [a, b];
    seen.push(await bank.post('/api/v2/transfers', transfer(debit, credit, '2.00')));
  });
  const edits = atOnce(40, 2, async (index) => {
    const answer = await [
      () => bank.post(`${path}/freeze`, undefined),
      () => bank.post(`${path}/unfreeze`, undefined),
      () => bank.patch(path, { credit_limit: brl('0.00') }),
      () => bank.patch(path, { credit_limit: brl('60.00') }),
      () => bank.post(`${path}/close`, undefined),
    ][index % 5]?.();
    assert.ok(
      answer?.status === 200 || ['credit_limit_in_use', 'account_not_empty'].includes(answer?.body.code),
      JSON.stringify(answer?.body),
    );
  });
  await Promise.all([transfers, edits]);
  const known = ['201', 'account_frozen', 'insufficient_funds'];
  assert.deepEqual(
    Object.keys(count(seen)).filter((outcome) => !known.includes(outcome)),
    [],
  );

  // The outbox has edits and postings in the order in which they came to hold.
  const { rows } = await sql.query<{ type: string; position: string | null; data: Record<string, unknown> }>(
    `select type, position, payload::json as data from ledger.outbox where tenant_id = $1 and environment = $2
       and (aggregateid = $3::text or position is not null) order by sequence`,
    [bank.scope.tenant_id, bank.scope.environment, parseId('acc', a)],
  );
  const entries = await sql.query<{ position: string; balance: string }>(
    'select position, balance from ledger.entries where tenant_id = $1 and environment = $2 and account_id = $3',
    [bank.scope.tenant_id, bank.scope.environment, parseId('acc', a)],
  );
  const balanceAt = new Map(entries.rows.map(({ position, balance }) => [position, BigInt(balance)]));
  let [status, limit, moved] = ['open', 5_000n, 0];
  for (const { type, position, data } of rows) {
    if (type === 'ledger.account.edited') {
      const { credit_limit }: { credit_limit?: { amount: string } } = data;
      limit = BigInt(credit_limit?.amount.replace('.', '') ?? 0);
    } else if (/frozen|closed/.test(type)) {
      status = String(data['status']);
    } else if (position !== null) {
      const balance = balanceAt.get(position);
      if (balance === undefined) continue;
      moved += 1;
      assert.equal(status, 'open', `position ${position} moved money on an account that was ${status}`);
      assert.ok(balance >= -limit, `position ${position} left ${balance} with a limit of ${limit}`);
    }
  }
  // Beside the funding.
  assert.equal(moved, (count(seen)['201'] ?? 0) + 1);
  await assertSound(bank);
});

test('an account is closed beside transfers to it: it is empty then, and stays so', async () => {
  const bank = await newBank();
  const rounds = await atOnce(10, 5, async () => {
    const id = await bank.open();
    const [closed, ...others] = await Promise.all([
      bank.post(`/api/v2/accounts/${id}/close`, undefined),
      ...Array.from({ length: 6 }, () => bank.post('/api/v2/transfers', transfer(bank.cash, id, '1.00'))),
    ]);
    const { 201: arrived = 0, account_closed: late = 0 } = count(others);
    assert.equal(arrived + late, 6);
    assert.equal(
      closed?.status,
      arrived === 0 ? 200 : closed?.body.code === 'account_not_empty' ? 422 : undefined,
    );
    assert.equal(await bank.balance(id), `${arrived}.00`);
    return closed?.status;
  });
  assert.equal(rounds.length, 10);
  await assertSound(bank);
});

test('captures of one hold at once take no more than it holds', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('150.00'), await bank.open()];
  const hold = await bank.post('/api/v2/holds', transfer(a, b, '100.00'));
  const answers = await atOnce(60, 60, (index) =>
    index % 4 === 3
      ? bank.post('/api/v2/transfers', transfer(a, b, '10.00'))
      : bank.post(`/api/v2/holds/${hold.body.id}/captures`, { amount: brl('5.00') }),
  );
  const captures = count(answers.filter((_, index) => index % 4 !== 3));
  assert.equal(captures['201'], 20);
  assert.equal((captures['hold_closed'] ?? 0) + (captures['amount_exceeds_hold'] ?? 0), 25);
  // What is held cannot be spent, whoever comes first.
  assert.deepEqual(count(answers.filter((_, index) => index % 4 === 3)), { 201: 5, insufficient_funds: 10 });
  assert.equal(await bank.balance(a), '0.00');
  assert.equal(await bank.balance(b), '150.00');

  const second = await bank.post('/api/v2/holds', transfer(b, a, '90.00'));
  const mixed = await atOnce(40, 40, (index) =>
    bank.post(`/api/v2/holds/${second.body.id}/${index % 2 === 0 ? 'captures' : 'releases'}`, {
      amount: brl('7.00'),
    }),
  );
  assert.equal(count(mixed)['201'], 12);
  await assertSound(bank);
});

test('reversals of one transfer at once take back no more than it moved', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('100.00'), await bank.open()];
  const moved = await bank.post('/api/v2/transfers', transfer(a, b, '100.00'));
  const path = `/api/v2/transfers/${moved.body.id}/reversals`;
  const parts = await atOnce(40, 40, () => bank.post(path, { amount: brl('7.00') }));
  assert.deepEqual(count(parts), { 201: 14, reversal_exceeds_transfer: 26 });
  const rest = await atOnce(20, 20, () => bank.post(path, {}));
  assert.deepEqual(count(rest), { 201: 1, reversal_exceeds_transfer: 19 });
  assert.equal(await bank.balance(a), '100.00');
  assert.equal(await bank.balance(b), '0.00');
  const { body } = await bank.get(`/api/v2/transfers/${moved.body.id}`);
  assert.equal(body.reversed_by.length, 15);
  await assertSound(bank);
});

test('503 beyond the bound of the queue: nothing of it was done, and the same key works later', async () => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('1000.00'), await bank.open()];
  // Beyond the bound by itself, whatever waits.
  const large = { transfers: Array.from({ length: 51 }, () => transfer(a, b, '0.01')) };
  // Nothing can be posted meanwhile, as if the disk were slow: two batches of up to 10 are under way, and 50 wait.
  await sql.query('begin');
  await sql.query('select from ledger.heads where tenant_id = $1 for update', [bank.scope.tenant_id]);
  // The first is under way before the others come, so that none of the 50 places is taken by it.
  const first = bank.post('/api/v2/transfers', transfer(a, b, '1.00'), 'flood-0', short);
  for (let tries = 0; ; tries += 1) {
    // Within a transaction the view is read once otherwise.
    await sql.query('select pg_stat_clear_snapshot()');
    const { rows } = await sql.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%ledger.post(%'",
    );
    if (rows.length > 0) break;
    assert.ok(tries < 1_000, 'the first posting does not wait');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  let answered = 0;
  const flooding = atOnce(299, 299, async (place) => {
    const index = place + 1;
    const answer = await bank.post('/api/v2/transfers', transfer(a, b, '1.00'), `flood-${index}`, short);
    answered += 1;
    return answer;
  });
  await until('230 are answered', 30_000, () => answered >= 230);
  await sql.query('commit');
  const flood = [await first, ...(await flooding)];
  const refused = flood.flatMap((answer, index) => (answer.status === 503 ? [{ answer, index }] : []));
  assert.ok(refused.length >= 230 && refused.length < 250, `${refused.length} of 300 refused`);
  for (const { answer, index } of refused) {
    assert.equal(answer.body.code, 'overloaded');
    assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    assert.equal((await bank.get(`/api/v2/attempts/flood-${index}`)).status, 404);
  }
  assert.equal(await bank.balance(b), `${300 - refused.length}.00`);

  for (const { index } of refused) {
    const answer = await bank.post('/api/v2/transfers', transfer(a, b, '1.00'), `flood-${index}`, short);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    assert.equal(answer.headers.get('idempotent-replayed'), null);
  }
  assert.equal(await bank.balance(b), '300.00');
  assert.equal((await bank.post('/api/v2/transfers/batch', large, 'large', short)).status, 503);
  await assertSound(bank);
});

test('ten thousand postings waiting, and more: time and memory stay bounded, and all come through in the end', async (t) => {
  const bank = await newBank();
  const [a, b] = [await bank.funded('20000.00'), await bank.open()];
  const [server] = servers;
  assert.ok(server !== undefined);
  const transfers = Array.from({ length: 1_000 }, () => transfer(a, b, '0.01'));
  const began = performance.now();
  let overloaded = 0;
  await atOnce(16, 16, async (index) => {
    for (;;) {
      const answer = await bank.post('/api/v2/transfers/batch', { transfers }, `wave-${index}`, server);
      if (answer.status === 200) {
        assert.equal(answer.body.posted, 1_000);
        return;
      }
      overloaded += 1;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  });
  const batches_ms = performance.now() - began;
  assert.equal(await bank.balance(b), '160.00');

  // As many requests, each on its own, over several hundred connections.
  const answers = await atOnce(10_000, 400, (index) =>
    bank.post('/api/v2/transfers', transfer(a, b, '0.01'), `single-${index}`),
  );
  assert.deepEqual(count(answers), { 201: 10_000 });
  assert.equal(await bank.balance(b), '260.00');
  t.diagnostic(
    `16,000 in batches ${Math.round(batches_ms)} ms (${overloaded} times 503), 10,000 single ${Math.round(performance.now() - began - batches_ms)} ms`,
  );
  const status = `/proc/${server.pid}/status`;
  if (existsSync(status)) {
    const peak_mb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1]) / 1_024;
    t.diagnostic(`the server took ${Math.round(peak_mb)} MB at most`);
    assert.ok(peak_mb < 1_000, `${peak_mb} MB`);
  }
  await assertSound(bank);
});
