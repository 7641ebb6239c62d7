/**
 * The server is ended by `kill -9` while transfers are proposed, approved and rejected, and started again on the same
 * database. Whatever was the last thing it did, each approved proposal is carried out once and nothing stays set aside.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as SqlClient } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';
import { audit } from './audit.ts';
import { type Client, openClient } from './client.ts';
import { type ServerProcess, startServer } from './server.ts';

const AMOUNT = { amount: '10.00', currency: 'BRL' };
const TASKS_A_ROUND = 24;
/** Rounds that are ended whenever it falls. */
const RANDOM_ROUNDS = 3;
const MAX_ROUNDS = 8;
/** Proposals that a kill must have found between approval and outcome before the test is content. */
const CAUGHT = 3;

let database: FreshDatabase;
let db: Database;
let sql: SqlClient;
let server: ServerProcess;
let scope: Scope;
const start = () => startServer({ DATABASE_URL: database.url, DEMO: 'false', POOL_SIZE: '6' });

before(async () => {
  database = await freshDatabase();
  server = await start();
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 2,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
  sql = new SqlClient({ connectionString: database.url });
  await sql.connect();
  scope = {
    tenant_id: await createTenant(db, { name: 'Killed', base_currency: 'BRL' }),
    environment: 'sandbox',
  };
});
after(async () => {
  server.kill('SIGKILL');
  await server.exit;
  await sql.end();
  await db.close();
  await database.drop();
});

async function clientOf(label: string): Promise<Client> {
  const key = await createKey(db, scope, { label });
  return openClient(() => ({ url: server.url, key }));
}

async function created(client: Client, path: string, body: object, key: string): Promise<string> {
  const answer = await client.ask('POST', path, body, key);
  assert.equal(answer?.status, 201, JSON.stringify(answer?.body));
  return answer.body.id;
}

/** Lets the worker do at once what it would do a minute after the process that had it in hand has died. */
async function passTheMinute(): Promise<void> {
  await sql.query(
    `update platform.proposals set due_at = now()
     where due_at > now() and status in ('reserving', 'approved', 'rejected')`,
  );
}

const statusCount = 'select count(*)::int as count from platform.proposals where status = $1';

/** Waits until so many proposals are in a state. Ends sooner where there is nothing more to wait for. */
async function someAre(status: string, least: number, work: Promise<unknown>): Promise<void> {
  const ended = { yes: false };
  void work.finally(() => {
    ended.yes = true;
  });
  while (!ended.yes) {
    const { rows } = await sql.query<{ count: number }>(statusCount, [status]);
    if ((rows[0]?.count ?? 0) >= least) return;
    await sleep(5);
  }
}

/** Ends the server while what was approved waits for the books, which somebody else holds. */
async function killBetweenApprovalAndOutcome(work: Promise<unknown>): Promise<void> {
  await someAre('pending', CAUGHT, work);
  await sql.query('begin');
  await sql.query('select from ledger.heads where tenant_id = $1 for update', [scope.tenant_id]);
  await someAre('approved', CAUGHT, work);
  server.kill('SIGKILL');
  await server.exit;
  await sql.query('rollback');
}

interface Task {
  key: string;
  decision: 'approve' | 'reject';
}

/** Asks until there is an answer that says how it ended: the transfer, or that it was not carried out. */
async function finish(teller: Client, manager: Client, task: Task, transfer: object): Promise<string> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    assert.ok(performance.now() < deadline, `${task.key} has not ended`);
    const asked = await teller.ask('POST', '/api/v2/transfers', transfer, task.key);
    if (asked?.status === 201) return asked.body.id;
    if (asked?.body.code === 'proposal_not_carried_out') return asked.body.proposal_status;
    if (asked?.status === 202 && asked.body.status === 'pending') {
      const body = task.decision === 'approve' ? {} : { reason: 'not this one' };
      const path = `/api/v2/proposals/${asked.body.id}/${task.decision}`;
      const decided = await manager.ask('POST', path, body);
      // Decided by an attempt that got no answer, or not answered now, or as it was asked: nothing else.
      assert.ok(decided === undefined || [200, 503].includes(decided.status), JSON.stringify(decided?.body));
    } else {
      assert.ok(asked === undefined || [202, 409, 503].includes(asked.status), JSON.stringify(asked?.body));
      // While there is no server, one that starts has better use for the processor.
      await sleep(asked === undefined ? 250 : 30);
    }
  }
}

test('kill -9 anywhere between proposal and outcome: done once if approved, and nothing stays set aside', async (t) => {
  const [teller, manager] = [await clientOf('teller'), await clientOf('manager')];
  for (const [code, type] of [
    ['1', 'asset'],
    ['2', 'liability'],
  ] as const) {
    const heading = await teller.ask('POST', '/api/v2/chart-of-accounts', { code, name: type, type }, type);
    assert.equal(heading?.status, 201);
  }
  const open = (name: string, chart_code: string, more: object = {}) =>
    created(teller, '/api/v2/accounts', { name, currency: 'BRL', chart_code, ...more }, name);
  const [cash, sara, shop] = [
    await open('cash', '1', { credit_limit: null }),
    await open('sara', '2'),
    await open('shop', '2'),
  ];
  const funding = { amount: '100000.00', currency: 'BRL' };
  await created(
    teller,
    '/api/v2/transfers',
    { debit_account_id: cash, credit_account_id: sara, amount: funding },
    'fund',
  );
  assert.equal((await teller.ask('PUT', '/api/v2/approval-policies/transfers:post', {}))?.status, 201);
  const transfer = { debit_account_id: sara, credit_account_id: shop, amount: AMOUNT };

  const ends = new Map<Task, string>();
  let caught = 0;
  let rounds = 0;
  while (rounds < RANDOM_ROUNDS || (caught < CAUGHT && rounds < MAX_ROUNDS)) {
    rounds += 1;
    const tasks = Array.from({ length: TASKS_A_ROUND }, (_, index): Task => {
      return { key: `round-${rounds}-${index}`, decision: index % 3 === 2 ? 'reject' : 'approve' };
    });
    const work = Promise.all(
      tasks.map(async (task) => ends.set(task, await finish(teller, manager, task, transfer))),
    );
    // Whoever waits for it learns of a failure at the end of the round.
    work.catch(() => {});
    if (rounds > RANDOM_ROUNDS) await killBetweenApprovalAndOutcome(work.catch(() => {}));
    else {
      await sleep(randomInt(50, 500));
      server.kill('SIGKILL');
      await server.exit;
    }
    const { rows } = await sql.query<{ status: string; count: number }>(
      `select status, count(*)::int from platform.proposals
       where status in ('reserving', 'pending', 'approved') group by status order by status`,
    );
    caught += rows.find(({ status }) => status === 'approved')?.count ?? 0;
    t.diagnostic(
      `round ${rounds} left ${rows.map(({ status, count }) => `${count} ${status}`).join(', ') || 'nothing open'}`,
    );
    server = await start();
    await passTheMinute();
    await work;
  }
  assert.ok(
    caught >= CAUGHT,
    `in ${rounds} rounds only ${caught} proposals were found approved and not done`,
  );
  // What the killed left to be released is done by the worker.
  const deadline = performance.now() + 30_000;
  for (;;) {
    await passTheMinute();
    const { rowCount } = await sql.query('select from platform.proposals where due_at is not null');
    if (rowCount === 0) break;
    assert.ok(performance.now() < deadline, `${rowCount} proposals are still to be attended to`);
    await sleep(100);
  }

  const executed: string[] = [];
  for (const [{ key, decision }, end] of ends) {
    if (decision === 'reject') assert.equal(end, 'rejected', key);
    else executed.push(end);
  }
  assert.equal(ends.size, rounds * TASKS_A_ROUND);
  assert.equal(new Set(executed).size, executed.length);
  const { rows: posted } = await sql.query(
    `select count(*)::int as transfers from ledger.transfers where tenant_id = $1 and kind = 'transfer'`,
    [scope.tenant_id],
  );
  assert.deepEqual(posted, [{ transfers: executed.length + 1 }]);
  const balances = async (id: string) => {
    const answer = await teller.ask('GET', `/api/v2/accounts/${id}`);
    return [answer?.body.balance.amount, answer?.body.available.amount];
  };
  const moved = executed.length * 10;
  assert.deepEqual(await balances(shop), [moved.toFixed(2), moved.toFixed(2)]);
  assert.deepEqual(await balances(sara), [(100_000 - moved).toFixed(2), (100_000 - moved).toFixed(2)]);
  const { rows: held } = await sql.query(
    'select from ledger.holds where amount > captured + released and tenant_id = $1',
    [scope.tenant_id],
  );
  assert.equal(held.length, 0);
  const { rows: told } = await sql.query(
    `select type, count(*)::int, count(distinct aggregateid)::int as subjects from platform.outbox
     where tenant_id = $1 and type in ('platform.proposal.carried_out', 'platform.proposal.failed') group by type`,
    [scope.tenant_id],
  );
  assert.deepEqual(told, [
    { type: 'platform.proposal.carried_out', count: executed.length, subjects: executed.length },
  ]);
  assert.deepEqual(await audit(sql, scope), []);
});
