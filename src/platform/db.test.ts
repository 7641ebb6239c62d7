import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Type } from 'typebox';
import { migrationSources } from './boot.ts';
import { type Database, isRetryable, openDatabase, type Scope } from './db.ts';
import { newUuid } from './ids.ts';
import { migrate } from './migrate.ts';
import { Problem } from './problem.ts';
import { type FreshDatabase, freshDatabase } from './testing.ts';

let database: FreshDatabase;
let superuser: Client;
let db: Database;
const scope: Scope = { tenant_id: newUuid(), environment: 'sandbox' };
const Row = Type.Object({ n: Type.Integer() });
const Name = Type.Object({ name: Type.String() });

before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  await superuser.query('create table public.things (name text primary key, n integer not null default 0)');
  await superuser.query('grant all on public.things to platform');
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 4,
    statement_timeout_ms: 500,
    lock_timeout_ms: 50,
    onError: () => {},
  });
});
after(async () => {
  await db.close();
  await superuser.end();
  await database.drop();
});

const isUnavailable = (error: unknown) =>
  error instanceof Problem && error.code === 'unavailable' && error.extra.retry_after_s === 1;

async function namesLike(pattern: string): Promise<string[]> {
  const { rows } = await superuser.query('select name from public.things where name like $1 order by name', [
    pattern,
  ]);
  return rows.map(({ name }) => name);
}

test('a write is kept when its work returns, and nothing of it when it throws', async () => {
  await db.write(scope, (tx) => tx.run("insert into public.things values ('kept')"));
  const bug = new Error('a bug');
  await assert.rejects(
    db.write(scope, async (tx) => {
      await tx.run("insert into public.things values ('kept too')");
      throw bug;
    }),
    bug,
  );
  await assert.rejects(
    db.write(scope, async (tx) => {
      await tx.run("insert into public.things values ('kept three')");
      await tx.run("insert into public.things values ('kept')");
    }),
    { code: '23505' },
  );
  assert.deepEqual(await namesLike('kept%'), ['kept']);
});

test('a rehearsal sees what it did, and keeps nothing', async () => {
  const seen = await db.rehearse(scope, async (tx) => {
    await tx.run("insert into public.things values ('rehearsed')");
    return tx.rows(Name, "select name from public.things where name = 'rehearsed'");
  });
  assert.deepEqual(seen, [{ name: 'rehearsed' }]);
  assert.deepEqual(await namesLike('rehearsed'), []);
});

test('a read sees one moment, and cannot write', async () => {
  await db.read(scope, async (tx) => {
    const count = () =>
      tx.rows(Row, "select count(*)::integer as n from public.things where name like 'later%'");
    assert.deepEqual(await count(), [{ n: 0 }]);
    await superuser.query("insert into public.things values ('later')");
    assert.deepEqual(await count(), [{ n: 0 }]);
  });
  await assert.rejects(
    db.read(scope, (tx) => tx.run("insert into public.things values ('read')")),
    { code: '25006' },
  );
});

test('a transaction names its tenant and environment, and leaves them to nobody', async () => {
  const Scoped = Type.Object({ tenant_id: Type.Union([Type.String(), Type.Null()]), role: Type.String() });
  const ask = 'select platform.tenant_id() as tenant_id, current_user::text as role';
  for (const way of ['read', 'write', 'rehearse'] as const) {
    const found = await db[way](scope, (tx) => tx.rows(Scoped, ask));
    assert.deepEqual(found, [{ tenant_id: scope.tenant_id, role: 'platform' }]);
  }
  assert.deepEqual(await db.rows(Scoped, ask), [{ tenant_id: null, role: 'platform' }]);
  // The role is where a session begins, not a step that could be taken back.
  assert.deepEqual(
    await db.write(scope, async (tx) => {
      await tx.run('reset role');
      return (await tx.rows(Scoped, ask)).map(({ role }) => role);
    }),
    ['platform'],
  );
});

test('a lock that is not to be had: three tries, then unavailable; with luck in one of them, done once', async () => {
  await superuser.query("insert into public.things values ('locked')");
  await superuser.query('begin');
  await superuser.query("select from public.things where name = 'locked' for update");
  let tries = 0;
  const raise = () =>
    db.write(scope, async (tx) => {
      tries += 1;
      if (tries === 6) await superuser.query('rollback');
      await tx.run("update public.things set n = n + 1 where name = 'locked'");
    });
  await assert.rejects(raise(), isUnavailable);
  assert.equal(tries, 3);
  // The sixth try, the third of this call, finds it free.
  await raise();
  assert.equal(tries, 6);
  const { rows } = await superuser.query("select n from public.things where name = 'locked'");
  assert.deepEqual(rows, [{ n: 1 }]);
});

test('a deadlock reaches nobody: both writes are done', async () => {
  await superuser.query("insert into public.things values ('left'), ('right')");
  const patient = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 2,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 9_000,
    onError: () => {},
  });
  let met: () => void = () => {};
  const meeting = new Promise<void>((resolve) => {
    met = resolve;
  });
  let arrived = 0;
  let tries = 0;
  const raise = (first: string, second: string) =>
    patient.write(scope, async (tx) => {
      tries += 1;
      await tx.run('update public.things set n = n + 1 where name = $1', [first]);
      arrived += 1;
      if (arrived === 2) met();
      await meeting;
      await tx.run('update public.things set n = n + 1 where name = $1', [second]);
    });
  await Promise.all([raise('left', 'right'), raise('right', 'left')]);
  await patient.close();
  // One of them at least was given up and tried again.
  assert.ok(tries > 2, `tried ${tries} times`);
  const { rows } = await superuser.query(
    "select name, n from public.things where name in ('left', 'right') order by name",
  );
  assert.deepEqual(rows, [
    { name: 'left', n: 2 },
    { name: 'right', n: 2 },
  ]);
});

test('a statement that takes too long is unavailable, not an error of ours, and its connection serves on', async () => {
  await assert.rejects(
    db.read(scope, (tx) => tx.run('select pg_sleep(5)')),
    isUnavailable,
  );
  // Outside of a transaction the failure itself is told: the posting queue decides by it.
  await assert.rejects(db.run('select pg_sleep(5)'), (error) => !isRetryable(error) && !isUnavailable(error));
  assert.deepEqual(await db.read(scope, (tx) => tx.rows(Row, 'select 1 as n')), [{ n: 1 }]);
});

test('a connection that is cut in a transaction is unavailable, and the next one is another', async () => {
  const Pid = Type.Object({ pid: Type.Integer() });
  await assert.rejects(
    db.write(scope, async (tx) => {
      const [row] = await tx.rows(Pid, 'select pg_backend_pid() as pid');
      await superuser.query('select pg_terminate_backend($1)', [row?.pid]);
      await tx.run("insert into public.things values ('cut')");
    }),
    isUnavailable,
  );
  assert.deepEqual(await namesLike('cut'), []);
  assert.deepEqual(await db.read(scope, (tx) => tx.rows(Row, 'select 1 as n')), [{ n: 1 }]);
});

test('more work than connections waits its turn, and every connection comes back', async () => {
  await Promise.all(
    Array.from({ length: 40 }, () => db.read(scope, (tx) => tx.run('select pg_sleep(0.005)'))),
  );
  const { open, idle, waiting } = db.connections();
  assert.ok(open <= 4);
  assert.equal(idle, open);
  assert.equal(waiting, 0);
});

test('a session keeps its connection between statements, takes another after an error, and gives it back', async () => {
  const Pid = Type.Object({ pid: Type.Integer() });
  const session = db.session();
  const pid = async () => (await session.rows(Pid, 'select pg_backend_pid() as pid'))[0]?.pid;
  const first = await pid();
  assert.equal(await pid(), first);
  await assert.rejects(session.run('select 1 / 0'), { code: '22012' });
  const second = await pid();
  assert.notEqual(second, first);
  await superuser.query('select pg_terminate_backend($1)', [second]);
  await assert.rejects(pid());
  assert.notEqual(await pid(), second);
  session.release();
  session.release();
  const { open, idle } = db.connections();
  assert.equal(open, idle);
});

test('a row that is not as its schema says is a bug, and says which', async () => {
  await assert.rejects(db.rows(Row, "select 'x' as n"), /a row is not as its schema says.*select 'x' as n/);
});

test('a 64-bit number is a bigint, a time RFC 3339 to the microsecond in UTC, a date a text', async () => {
  const Typed = Type.Object({
    big: Type.BigInt(),
    many: Type.Array(Type.Union([Type.BigInt(), Type.Null()])),
    at: Type.String(),
    day: Type.String(),
  });
  const [row] = await db.rows(
    Typed,
    `select 9223372036854775807::bigint as big, array[1, null, -9223372036854775808]::bigint[] as many,
       '2026-01-31 09:00:00.123456-03'::timestamptz as at, '2026-01-31'::date as day`,
  );
  assert.deepEqual(row, {
    big: 9_223_372_036_854_775_807n,
    many: [1n, null, -9_223_372_036_854_775_808n],
    at: '2026-01-31T12:00:00.123456Z',
    day: '2026-01-31',
  });
});

test('a connection is waited for as long as is said when it is made: a start is more patient than a request', async (t) => {
  // Takes connections and says nothing until it is told to.
  const talks = Promise.withResolvers<void>();
  const waiting: Promise<void>[] = [];
  const server = createServer((near) => {
    near.on('error', () => {});
    waiting.push(
      talks.promise.then(() => {
        const { host, port, search } = new URL(database.url);
        const socketDir = new URLSearchParams(search).get('host');
        const far =
          socketDir === null
            ? connect(Number(port || '5432'), host)
            : connect(join(socketDir, `.s.PGSQL.${new URLSearchParams(search).get('port') ?? '5432'}`));
        far.on('error', () => near.destroy());
        near.on('close', () => far.destroy());
        near.pipe(far).pipe(near);
      }),
    );
  });
  await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
  const address = server.address();
  const url = new URL(database.url);
  url.search = '?sslmode=disable';
  url.hostname = '127.0.0.1';
  url.port = typeof address === 'object' && address !== null ? String(address.port) : '';
  let patience_ms = 50;
  const slow = openDatabase({
    url: url.href,
    role: 'platform',
    pool_size: 1,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 50,
    connect_timeout_ms: () => patience_ms,
    onError: () => {},
  });
  t.after(async () => {
    await slow.close();
    server.close();
  });
  const one = () => slow.read(scope, (tx) => tx.rows(Row, 'select 1 as n'));
  await assert.rejects(one(), isUnavailable);
  patience_ms = 120_000;
  const answer = one();
  // The first has been given up, and the server hears of the second.
  while (waiting.length < 2) await sleep(10);
  talks.resolve();
  assert.deepEqual(await answer, [{ n: 1 }]);
});
