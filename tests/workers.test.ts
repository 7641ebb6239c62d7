import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Answer, type Client as ApiClient, openClient } from './client.ts';
import { findPostmaster, isAlive, type ServerProcess, startServer, until } from './server.ts';

/** Process ids of workers that answer requests, as the primary says, the one that came first before others. */
function workersOf(server: ServerProcess): number[] {
  return server.lines.flatMap((line) => {
    const pid = Number(/^worker \d+ \(pid (\d+)\) answers requests$/.exec(line)?.[1]);
    return isAlive(pid) ? [pid] : [];
  });
}

describe('two workers on one port', { timeout: 600_000 }, () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-workers-'));
  let server: ServerProcess;
  let api: ApiClient;
  let socket_dir: string | undefined;
  let sql: Client;
  const ids = new Map<string, string>();

  before(async () => {
    server = await startServer({
      DATA_DIR: data_dir,
      WORKERS: '2',
      LOG_LEVEL: 'warn',
      ADDRESS_LIMIT_FACTOR: '1000',
    });
    await until('both workers answer', 180_000, () => workersOf(server).length === 2);
    socket_dir = findPostmaster(data_dir)?.socket_dir;
    // A connection that is handed to a worker as it is killed stays open, and nobody answers it.
    api = openClient(() => ({ url: server.url, key: server.key ?? '' }), 20_000);
    const accounts = await api.ask('GET', '/api/v2/accounts?limit=100');
    for (const { name, id } of accounts?.body.data ?? []) ids.set(name, id);
    sql = new Client({
      connectionString: `postgresql://postgres@localhost/financialapi?host=${socket_dir}&port=5432`,
    });
    await sql.connect();
  });
  after(async () => {
    await sql?.end();
    if (server !== undefined && isAlive(server.pid)) server.kill('SIGKILL');
    await server?.exit;
    const postmaster = findPostmaster(data_dir);
    if (postmaster !== undefined) {
      process.kill(postmaster.pid, 'SIGQUIT');
      await until('PostgreSQL is gone', 30_000, () => !isAlive(postmaster.pid));
    }
    for (const path of [data_dir, socket_dir])
      if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });

  const idOf = (name: string): string => {
    const id = ids.get(name);
    assert.ok(id !== undefined, `the demo has an account of ${name}`);
    return id;
  };
  const transfer = (debit: string, credit: string) => ({
    debit_account_id: idOf(debit),
    credit_account_id: idOf(credit),
    amount: { amount: '0.01', currency: 'BRL' },
  });
  /** Connections are handed out in turns; one that is not kept goes to the next worker. */
  const post = (body: object, key: string): Promise<Answer | undefined> =>
    api.ask('POST', '/api/v2/transfers', body, key, { connection: 'close' });

  async function countOf(metric: string): Promise<number> {
    const response = await fetch(`${server.url}/metrics`);
    assert.equal(response.status, 200);
    return (await response.text())
      .split('\n')
      .filter((line) => line.startsWith(metric))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }
  async function deadlocks(): Promise<number> {
    const { rows } = await sql.query(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    return Number(rows[0].deadlocks);
  }
  async function assertBalanced(): Promise<void> {
    const { rows } = await sql.query(
      `select coalesce(sum(debits_posted - credits_posted), 0)::text as off from ledger.accounts group by tenant_id, environment, currency`,
    );
    for (const { off } of rows) assert.equal(off, '0');
  }

  test('opposite transfers between two accounts, one of which all use, do not deadlock and lose nothing', async () => {
    const balance = async (name: string) =>
      (await api.ask('GET', `/api/v2/accounts/${idOf(name)}/balance`))?.body.balance.amount;
    const [ana, bruno] = ['Ana Souza', 'Bruno Lima'];
    const before = { ana: await balance(ana), bruno: await balance(bruno), deadlocks: await deadlocks() };
    const posted = await countOf(
      'http_request_duration_seconds_count{method="POST",route="/api/v2/transfers"',
    );
    const run = randomBytes(6).toString('hex');
    const answers = await Promise.all(
      Array.from({ length: 32 }, async (_, client) => {
        const statuses: (number | undefined)[] = [];
        for (let n = 0; n < 20; n += 1) {
          const body = (client + n) % 2 === 0 ? transfer(ana, bruno) : transfer(bruno, ana);
          statuses.push((await post(body, `${run}-${client}-${n}`))?.status);
        }
        return statuses;
      }),
    );
    assert.deepEqual(new Set(answers.flat()), new Set([201]));
    assert.deepEqual(
      { ana: await balance(ana), bruno: await balance(bruno), deadlocks: await deadlocks() },
      before,
    );
    await assertBalanced();
    // One scrape of one worker tells of both.
    assert.equal(
      (await countOf('http_request_duration_seconds_count{method="POST",route="/api/v2/transfers"')) - posted,
      640,
    );
  });

  test('a key that is raced across workers gives one transfer', async () => {
    const run = randomBytes(6).toString('hex');
    for (let n = 0; n < 10; n += 1) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => post(transfer('Reserves BRL', 'Ana Souza'), `${run}-${n}`)),
      );
      const transfers = new Set(
        answers.flatMap((answer) => (answer?.status === 201 ? [answer.body.id] : [])),
      );
      assert.equal(transfers.size, 1, JSON.stringify(answers.map((answer) => answer?.body)));
      for (const answer of answers)
        assert.ok([201, 409].includes(answer?.status ?? 0), String(answer?.status));
      assert.equal(
        answers.filter(
          (answer) => answer?.status === 201 && answer.headers.get('idempotent-replayed') === null,
        ).length,
        1,
      );
    }
  });

  test('a worker that is killed under load has a successor, the other answers, and nothing accepted is lost', async () => {
    const run = randomBytes(6).toString('hex');
    const accepted = new Map<string, Answer>();
    const unanswered: string[] = [];
    const state = { over: false, pause_ms: 0 };
    const load = Promise.all(
      Array.from({ length: 8 }, async (_, client) => {
        for (let n = 0; !state.over; n += 1) {
          if (state.pause_ms > 0) await sleep(state.pause_ms);
          const key = `${run}-${client}-${n}`;
          const answer = await post(transfer('Reserves BRL', 'Ana Souza'), key);
          if (answer === undefined) unanswered.push(key);
          else {
            assert.equal(answer.status, 201, JSON.stringify(answer.body));
            accepted.set(key, answer);
          }
        }
      }),
    );
    await until('there is load', 30_000, () => accepted.size > 100);
    const [killed = 0, other = 0] = workersOf(server);
    process.kill(killed, 'SIGKILL');
    const atKill = accepted.size;
    await until('the other goes on', 30_000, () => accepted.size > atKill + 50);
    // There is load all the time, and the successor gets to start beside it on a machine with few processors.
    state.pause_ms = 100;
    await until('a successor answers', 180_000, () => workersOf(server).length === 2);
    const atSuccessor = accepted.size;
    await until('load goes on with it', 30_000, () => accepted.size > atSuccessor + 50);
    state.over = true;
    await load;
    assert.ok(workersOf(server).includes(other));
    assert.ok(!workersOf(server).includes(killed));
    assert.ok(
      server.lines.some((line) => line.includes(`(pid ${killed}) ended (SIGKILL); another starts`)),
      server.lines.join('\n'),
    );
    // Only what the killed one had in hand was not answered: at most one of each client.
    assert.ok(unanswered.length <= 8, `${unanswered.length} were not answered`);
    const { rows } = await sql.query<{ n: string }>(
      'select count(*) as n from ledger.attempts where key = any ($1)',
      [[...accepted.keys()]],
    );
    assert.equal(Number(rows[0]?.n), accepted.size);
    for (const key of unanswered) {
      // Sent again it is posted, or was: once.
      assert.equal((await post(transfer('Reserves BRL', 'Ana Souza'), key))?.status, 201);
    }
    await assertBalanced();
  });

  test('SIGTERM: what was taken is answered, what was not was not done, and all ends cleanly', async (t) => {
    const run = randomBytes(6).toString('hex');
    const answers = new Map<string, Answer | undefined>();
    const state = { over: false };
    const load = Promise.all(
      Array.from({ length: 16 }, async (_, client) => {
        for (let n = 0; !state.over; n += 1) {
          const key = `${run}-${client}-${n}`;
          // Connections that are kept, as clients have them.
          answers.set(
            key,
            await api.ask('POST', '/api/v2/transfers', transfer('Reserves BRL', 'Ana Souza'), key),
          );
          if (answers.get(key) === undefined) await sleep(100);
        }
      }),
    );
    await until('there is load', 30_000, () => answers.size > 200);
    await sql.end();
    const pids = workersOf(server);
    server.kill('SIGTERM');
    const exit = await server.exit;
    state.over = true;
    await load;
    assert.deepEqual(exit, { code: 0, signal: null }, server.lines.join('\n'));
    assert.ok(!pids.some(isAlive), 'the workers ended');
    assert.equal(findPostmaster(data_dir), undefined, 'PostgreSQL has stopped');
    for (const [key, answer] of answers) {
      assert.ok([201, 503, undefined].includes(answer?.status), `${key}: ${answer?.status}`);
    }
    server = await startServer({ DATA_DIR: data_dir, LOG_LEVEL: 'warn' });
    const refused = [...answers].flatMap(([key, answer]) => (answer?.status === 201 ? [] : [key]));
    await Promise.all(
      refused.map(async (key) => {
        assert.equal((await api.ask('GET', `/api/v2/attempts/${key}`))?.status, 404, key);
      }),
    );
    const posted = [...answers].flatMap(([key, answer]) => (answer?.status === 201 ? [key] : []));
    for (const key of posted.slice(-50)) {
      assert.equal((await api.ask('GET', `/api/v2/attempts/${key}`))?.status, 200, key);
    }
    t.diagnostic(`${posted.length} posted, ${refused.length} refused or not taken while it stopped`);
    server.kill('SIGTERM');
    assert.equal((await server.exit).code, 0);
  });
});
