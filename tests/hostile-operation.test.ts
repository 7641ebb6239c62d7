/**
 * What an operator sees of bad input and of a database that stalls or is gone: answers that say so, health, metrics,
 * and logs without a secret in them.
 */
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { newUuid } from '../src/platform/ids.ts';
import { services } from '../src/services.ts';
import { type Answer, migratedDatabase } from '../src/testing.ts';
import { assertRefused, brl, type HostileBank, openHostileBank } from './hostile-bank.ts';
import { until } from './server.ts';

/** A way to PostgreSQL that can be shut and opened, standing where a network would. */
async function openGate(
  database: URL,
): Promise<{ url: string; shut: () => Promise<void>; open: () => Promise<void> }> {
  const socketDir = database.searchParams.get('host');
  const port = database.searchParams.get('port') ?? (database.port || '5432');
  const sockets = new Set<Socket>();
  let server: Server;
  const listen = (at: number) =>
    new Promise<number>((resolve) => {
      server = createServer((near) => {
        const far =
          socketDir === null
            ? connect(Number(port), database.hostname)
            : connect(join(socketDir, `.s.PGSQL.${port}`));
        for (const [one, other] of [
          [near, far],
          [far, near],
        ] as const) {
          sockets.add(one);
          one.on('error', () => other.destroy());
          one.on('close', () => {
            sockets.delete(one);
            other.destroy();
          });
          one.pipe(other);
        }
      });
      server.listen(at, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  const at = await listen(0);
  const url = new URL(database);
  url.search = '?sslmode=disable';
  url.hostname = '127.0.0.1';
  url.port = String(at);
  return {
    url: url.href,
    shut: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    open: async () => {
      await listen(at);
    },
  };
}

describe('a database that is busy', () => {
  let hostile: HostileBank;
  let blocker: Client;
  before(async () => {
    hostile = await openHostileBank({ LOCK_TIMEOUT_MS: '100', STATEMENT_TIMEOUT_MS: '1000' });
    blocker = new Client({ connectionString: hostile.platform.url });
    await blocker.connect();
  });
  after(async () => {
    await blocker.end();
    await hostile.close();
  });

  /** Runs while somebody else has locked the books of all tenants. */
  async function whileLocked<T>(lock: string, work: () => Promise<T>): Promise<T> {
    await blocker.query('begin');
    try {
      await blocker.query(lock);
      return await work();
    } finally {
      await blocker.query('rollback');
    }
  }
  const unavailable = { status: 503, code: 'unavailable', says: /nothing was done/ };

  test('refuses what waits too long for a lock, three times tried; the same key then makes it once', async () => {
    const { bank } = hostile;
    const headers = { 'idempotency-key': newUuid() };
    const body = { name: 'A', currency: 'BRL', chart_code: '2100' };
    const answer = await whileLocked('select from ledger.heads for update', () =>
      bank.ask('POST', '/api/v2/accounts', body, headers),
    );
    assertRefused(answer, unavailable, 'locked');
    assert.equal(answer.headers['retry-after'], '1');
    await hostile.assertUnmoved();
    const { id } = await bank.post('/api/v2/accounts', body, headers);
    assert.equal((await bank.post('/api/v2/accounts', body, headers)).id, id);
    await hostile.acceptMoves();
  });

  test('keeps a posting waiting for a while, and posts it when the lock is gone', async () => {
    const { bank } = hostile;
    let waiting: Promise<Answer> | undefined;
    await whileLocked('select from ledger.heads for update', async () => {
      waiting = bank.ask('POST', '/api/v2/transfers', hostile.payment());
      await sleep(300);
    });
    const answer = await waiting;
    assert.ok(answer !== undefined);
    assert.equal(answer.status, 201, answer.text);
    await hostile.acceptMoves();
    await hostile.assertUnmoved();
  });

  test('refuses a posting that would wait longer: nothing of it is kept', async () => {
    const { bank } = hostile;
    const headers = { 'idempotency-key': newUuid() };
    const answer = await whileLocked('select from ledger.heads for update', () =>
      bank.ask('POST', '/api/v2/transfers', hostile.payment(), headers),
    );
    assertRefused(answer, { status: 503, code: 'unavailable' }, 'locked');
    assert.equal(answer.headers['retry-after'], '1');
    await hostile.assertUnmoved();
    assert.equal((await bank.ask('POST', '/api/v2/transfers', hostile.payment(), headers)).status, 201);
    await hostile.acceptMoves();
  });

  test('refuses a read that takes too long', async () => {
    const { bank } = hostile;
    const slow = { STATEMENT_TIMEOUT_MS: '100', LOCK_TIMEOUT_MS: '5000' };
    const other = await openHostileBank(slow);
    const locker = new Client({ connectionString: other.platform.url });
    await locker.connect();
    try {
      await locker.query('begin');
      await locker.query('lock table ledger.accounts in access exclusive mode');
      const answer = await other.bank.ask('GET', '/api/v2/accounts');
      assertRefused(answer, { ...unavailable, says: /longer than a statement may take/ }, 'slow');
      await locker.query('rollback');
      assert.equal((await other.bank.ask('GET', '/api/v2/accounts')).status, 200);
    } finally {
      await locker.end();
      await other.close();
    }
    assert.equal((await bank.ask('GET', '/api/v2/accounts')).status, 200);
  });
});

describe('a database that is gone', () => {
  test('makes the server unready, every answer a 503, and is found again when it is back', async () => {
    const database = await migratedDatabase();
    const gate = await openGate(new URL(database.url));
    const running = await boot(
      readConfig({ DATABASE_URL: gate.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'silent', POOL_SIZE: '3' }),
      services,
    );
    try {
      const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
      const key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'test' });
      const fresh = await createKey(
        running.platform,
        { tenant_id, environment: 'sandbox' },
        { label: 'fresh' },
      );
      const ask = (method: 'GET' | 'POST', url: string, bearer = key) =>
        running.app.inject({
          method,
          url,
          headers: { authorization: `Bearer ${bearer}`, 'idempotency-key': newUuid() },
          ...(method === 'POST' ? { payload: { code: newUuid().slice(-12), name: 'X', type: 'asset' } } : {}),
        });
      assert.equal((await ask('GET', '/api/v2/accounts')).statusCode, 200);
      assert.equal((await ask('GET', '/readyz')).statusCode, 200);

      await gate.shut();
      assert.equal((await ask('GET', '/livez')).statusCode, 200);
      const ready = await ask('GET', '/readyz');
      assert.equal(ready.statusCode, 503);
      assert.deepEqual(ready.json(), { status: 'unavailable', database: 'unreachable' });
      for (const answer of [
        await ask('GET', '/api/v2/accounts'),
        await ask('POST', '/api/v2/chart-of-accounts'),
        // Nobody could say yet whether this key is one.
        await ask('GET', '/api/v2/accounts', fresh),
      ]) {
        assert.equal(answer.statusCode, 503, answer.body);
        assert.equal(answer.json().code, 'unavailable');
        assert.equal(answer.headers['retry-after'], '1');
        assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json/);
        assert.doesNotMatch(answer.body, /ECONN|127\.0\.0\.1:\d+"?\}|postgres/);
      }

      await gate.open();
      assert.equal((await ask('GET', '/readyz')).statusCode, 200);
      assert.equal((await ask('GET', '/api/v2/accounts', fresh)).statusCode, 200);
      assert.equal((await ask('POST', '/api/v2/chart-of-accounts')).statusCode, 201);
    } finally {
      await running.stop();
      await gate.shut();
      await database.drop();
    }
  });
});

describe('a server that stops', () => {
  test('answers what is under way and what comes over open connections, is unready, and takes no new ones', async () => {
    const hostile = await openHostileBank();
    const blocker = new Client({ connectionString: hostile.platform.url });
    await blocker.connect();
    const { port } = new URL(hostile.platform.running.url);
    const speak = async () => {
      const socket = connect(Number(port), '127.0.0.1');
      await new Promise((resolve) => socket.once('connect', resolve));
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      return { socket, text: () => text };
    };
    const body = JSON.stringify(hostile.payment());
    const head = `host: localhost\r\nauthorization: Bearer ${hostile.bank.key}\r\n`;
    const [busy, open] = [await speak(), await speak()];
    await blocker.query('begin');
    await blocker.query('select from ledger.heads for update');
    busy.socket.write(
      `POST /api/v2/transfers HTTP/1.1\r\n${head}idempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    // The other connection is in the middle of a request when the stop begins.
    open.socket.write(`GET /readyz HTTP/1.1\r\n${head}`);
    await until(
      'the posting waits',
      5_000,
      () => hostile.platform.running.app.server.listening && busy.socket.bytesWritten > 0,
    );
    await sleep(100);

    const stopped = hostile.platform.running.stop();
    await until('it listens no more', 5_000, () => !hostile.platform.running.app.server.listening);
    const refused = await new Promise((resolve) => {
      const socket = connect(Number(port), '127.0.0.1');
      socket.once('error', resolve);
      socket.once('connect', () => resolve(undefined));
    });
    assert.match(String(refused), /ECONNREFUSED/);
    open.socket.write('\r\n');
    await until('it answers', 5_000, () => open.text().includes('\r\n\r\n'));
    assert.match(open.text(), /^HTTP\/1\.1 503 [\s\S]*"status":"unavailable"/);
    assert.match(open.text(), /connection: close/i);

    await blocker.query('rollback');
    const began = performance.now();
    await stopped;
    // Not only when the drain times out, after 10 s, since its client keeps the connection open.
    assert.ok(performance.now() - began < 5_000);
    assert.match(busy.text(), /^HTTP\/1\.1 201 /);
    const { rows } = await hostile.superuser.query("select count(*) from ledger.attempts where key = 'k'");
    assert.equal(rows[0].count, '1');
    await blocker.end();
    await hostile.close();
  });
});

describe('metrics', () => {
  test('count requests by route, and show the queue and the pool', async () => {
    const hostile = await openHostileBank();
    try {
      const { bank } = hostile;
      await bank.ask('POST', '/api/v2/transfers', hostile.payment());
      await bank.ask('POST', '/api/v2/transfers', {});
      // Whatever is asked for must not become a label: their number would have no bound.
      for (let count = 0; count < 5; count += 1) await bank.ask('GET', `/random/${newUuid()}`);
      await bank.ask('GET', `/api/v2/accounts/${hostile.cash}`);
      const text = (await hostile.platform.running.app.inject('/metrics')).body;
      assert.match(
        text,
        /http_request_duration_seconds_count\{method="POST",route="\/api\/v2\/transfers",status="201"\} 2\n/,
      );
      assert.match(
        text,
        /http_request_duration_seconds_count\{method="POST",route="\/api\/v2\/transfers",status="400"\} 1\n/,
      );
      assert.match(text, /http_request_duration_seconds_count\{method="GET",route="none",status="404"\} 5\n/);
      assert.match(text, /route="\/api\/v2\/accounts\/:account_id"/);
      assert.match(text, /^ledger_posting_queue_depth 0$/m);
      assert.match(text, /^database_connections_open\{role="ledger"\} [1-9]/m);
      assert.match(text, /^database_connections_waiting\{role="platform"\} 0$/m);
      assert.match(text, /^process_cpu_seconds_total /m);
      assert.ok(!text.includes(hostile.cash) && !text.includes('random'), text);
    } finally {
      await hostile.close();
    }
  });
});

describe('logs', () => {
  const secretName = 'Maria Confidential';
  let lines: string;
  let running: Running;
  let drop: () => Promise<void>;
  let key: string;
  let superuser: Client;

  before(async () => {
    lines = '';
    const database = await migratedDatabase();
    drop = () => database.drop();
    running = await boot(
      readConfig({ DATABASE_URL: database.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'trace' }),
      services,
      {
        logStream: {
          write: (line) => {
            lines += line;
          },
        },
      },
    );
    const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
    key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'test' });
    superuser = new Client({ connectionString: database.url });
    await superuser.connect();
  });
  after(async () => {
    await superuser.end();
    await running.stop();
    await drop();
  });

  const ask = (method: 'GET' | 'POST', url: string, payload?: object, headers: Record<string, string> = {}) =>
    running.app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'secret-intention', ...headers },
      ...(payload === undefined ? {} : { payload }),
    });

  function assertNoSecrets(): void {
    for (const secret of [
      key,
      key.slice(8),
      'Bearer',
      'financialapi_key',
      secretName,
      'secret-intention',
      'cookie-value',
    ]) {
      assert.ok(!lines.includes(secret), `${secret} is in the log: ${lines}`);
    }
    // As bytes, too: that is how Node hangs a request that it cannot parse onto its error.
    assert.ok(!lines.includes([...Buffer.from('Bearer')].join(',')), lines);
  }

  test('at level trace hold no key, cookie, header or body of requests that succeed, are refused or cannot be read', async () => {
    const chart = { code: '2100', name: secretName, type: 'liability' };
    assert.equal((await ask('POST', '/api/v2/chart-of-accounts', chart)).statusCode, 201);
    assert.equal(
      (await ask('POST', '/api/v2/chart-of-accounts', { ...chart, name: `${secretName} 2` })).statusCode,
      422,
    );
    assert.equal(
      (await ask('POST', '/api/v2/accounts', { name: secretName, x: secretName })).statusCode,
      400,
    );
    assert.equal(
      (await ask('GET', '/api/v2/accounts', undefined, { authorization: `Bearer ${key}x` })).statusCode,
      401,
    );
    assert.equal(
      (
        await ask('GET', '/api/v2/accounts', undefined, {
          authorization: '',
          cookie: `financialapi_key=cookie-value`,
        })
      ).statusCode,
      401,
    );
    const { port } = new URL(running.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(`GET / HTTP/1.1\r\nauthorization: Bearer ${key}\r\ncontent-length: x\r\n\r\n`);
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    assertNoSecrets();
  });

  test('tell of a defect by its request id, route and stack, and of no row; the client is told neither', async () => {
    // A rule that the code does not know of.
    await superuser.query(`alter table ledger.accounts add constraint defect check (name not like 'Maria%')`);
    const answer = await ask(
      'POST',
      '/api/v2/accounts',
      { name: secretName, currency: 'BRL', chart_code: '2100' },
      { 'idempotency-key': 'defect' },
    );
    assert.equal(answer.statusCode, 500, answer.body);
    const problem = answer.json();
    assert.equal(problem.code, 'internal_error');
    assert.doesNotMatch(answer.body, /defect|constraint|accounts|stack|Maria/);
    const logged: Record<string, unknown>[] = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const line = logged.find(({ request_id }) => request_id === problem.request_id);
    assert.ok(line !== undefined, lines);
    assert.equal(line['route'], '/api/v2/accounts');
    assert.match(JSON.stringify(line['err']), /"constraint":"defect"/);
    assert.match(JSON.stringify(line['err']), /open-account\.ts/);
    assertNoSecrets();
    // Nothing was kept: without the defect, the same key opens the account.
    await superuser.query('alter table ledger.accounts drop constraint defect');
    const again = await ask(
      'POST',
      '/api/v2/accounts',
      { name: secretName, currency: 'BRL', chart_code: '2100' },
      { 'idempotency-key': 'defect' },
    );
    assert.equal(again.statusCode, 201, again.body);
  });

  test('are silent about requests that are merely refused', async () => {
    const before = lines;
    for (let count = 0; count < 10; count += 1) await ask('POST', '/api/v2/transfers', { amount: brl('x') });
    assert.equal(lines, before);
  });
});
