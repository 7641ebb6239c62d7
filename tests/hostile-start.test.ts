/** What keeps the server from starting: one clear line each, no stack, no password, and an exit code that is not 0. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Client } from 'pg';
import { migrationSources } from '../src/platform/boot.ts';
import { migrate } from '../src/platform/migrate.ts';
import { type FreshDatabase, freshDatabase } from '../src/platform/testing.ts';
import { services } from '../src/services.ts';
import { type Exit, startServer } from './server.ts';

const main = new URL('../src/main.ts', import.meta.url).pathname;

async function run(
  settings: Record<string, string>,
  args: readonly string[] = [],
): Promise<Exit & { stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      PORT: '0',
      DEMO: 'false',
      LOG_LEVEL: 'error',
      ...settings,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  // One that does start would not end by itself.
  const timeout = setTimeout(() => child.kill('SIGKILL'), 60_000);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timeout);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

/** Asserts that the server does not start, and for this reason. */
async function assertRefuses(
  settings: Record<string, string>,
  reason: RegExp,
  args?: readonly string[],
): Promise<void> {
  const { code, stderr, stdout } = await run(settings, args);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /^financialapi cannot start: [^\n]+\n$/);
  assert.match(stderr, reason);
  assert.doesNotMatch(stderr + stdout, /hunter2|is ready/);
}

let database: FreshDatabase;
before(async () => {
  database = await freshDatabase();
});
after(() => database.drop());

/** The free port of loopback that a server listens on until the test ends. */
async function listen(context: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A message of PostgreSQL's protocol: its type, its length, its content. */
function message(type: string, ...content: (number | string | Buffer)[]): Buffer {
  const body = Buffer.concat(
    content.map((part) => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      return typeof part === 'number' ? Buffer.from([part]) : part;
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

const int16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const int32 = (value: number) => Buffer.concat([int16(value >>> 16), int16(value & 65_535)]);
const authenticated = message('R', int32(0));
const ready = message('Z', 'I'.charCodeAt(0));
const errorOf = (code: string, text: string) =>
  message('E', Buffer.from('S'), 'FATAL', Buffer.from('C'), code, Buffer.from('M'), text, 0);

/** Stands for a PostgreSQL that is not to be had here: too old, or with a password. */
function otherPostgres(greeting: Buffer, answer: Buffer): Server {
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(greeting);
      socket.on('data', (sent) => {
        if (String(sent).startsWith('Q')) socket.write(answer);
      });
    });
  });
}

/** One row of texts, each in a column of its own. */
function row(columns: Record<string, string>): Buffer {
  const names = Object.keys(columns);
  const texts = Object.values(columns);
  return Buffer.concat([
    message(
      'T',
      int16(names.length),
      ...names.flatMap((name) => [
        name,
        int32(0),
        int16(0),
        int32(name === 'version' ? 23 : 25),
        int16(-1 & 65_535),
        int32(-1 >>> 0),
        int16(0),
      ]),
    ),
    message('D', int16(texts.length), ...texts.flatMap((text) => [int32(text.length), Buffer.from(text)])),
    message('C', 'SELECT 1'),
    ready,
  ]);
}

describe('a start is refused', () => {
  test('for a bad setting, argument or service', async () => {
    await assertRefuses({ PORT: 'abc' }, /PORT is "abc"; accepted: a whole number from 0 to 65535/);
    await assertRefuses({ POOL_SIZE: '0' }, /POOL_SIZE is "0"/);
    await assertRefuses(
      { DATABASE_URL: 'mysql://u:hunter2@localhost/x' },
      /DATABASE_URL has a value that is not accepted/,
    );
    await assertRefuses({}, /unknown argument "--port=1"/, ['--port=1']);
    await assertRefuses(
      { DATABASE_URL: database.url },
      /SERVICES names nope, which is no service; there are: identity, ledger/,
      ['--services=nope'],
    );
  });

  test('where its port or address is not to be had', async (context) => {
    const taken = await listen(context, createServer());
    const { url } = database;
    await assertRefuses(
      { DATABASE_URL: url, PORT: String(taken) },
      new RegExp(`port ${taken} on 127.0.0.1 is in use; set PORT`),
    );
    await assertRefuses(
      { DATABASE_URL: url, HOST: '192.0.2.1' },
      /HOST 192\.0\.2\.1 is no address of this machine/,
    );
  });

  test('where the database cannot be reached or does not let it in', async (context) => {
    const server = createServer();
    const free = await listen(context, server);
    server.close();
    const at = (port: number) => `postgres://app:hunter2@127.0.0.1:${port}/x?sslmode=disable`;
    await assertRefuses(
      { DATABASE_URL: at(free) },
      /database of DATABASE_URL \(127\.0\.0\.1:\d+\) cannot be used: connect ECONNREFUSED/,
    );
    await assertRefuses(
      { DATABASE_URL: 'postgres://app:hunter2@no-such-host.invalid/x' },
      /\(no-such-host\.invalid\) cannot be used: getaddrinfo/,
    );
    const missing = new URL(database.url);
    missing.pathname = '/no_such_database';
    await assertRefuses(
      { DATABASE_URL: missing.href },
      /cannot be used: database "no_such_database" does not exist/,
    );

    const closed = await listen(
      context,
      otherPostgres(errorOf('28P01', 'password authentication failed for user "app"'), ready),
    );
    await assertRefuses(
      { DATABASE_URL: at(closed) },
      /cannot be used: password authentication failed for user "app"/,
    );
  });

  test('where PostgreSQL is too old', async (context) => {
    const old = await listen(
      context,
      otherPostgres(Buffer.concat([authenticated, ready]), row({ version: '14', name: '14.19' })),
    );
    const url = `postgres://app@127.0.0.1:${old}/x?sslmode=disable`;
    await assertRefuses(
      { DATABASE_URL: url },
      /the database runs PostgreSQL 14\.19; PostgreSQL 15 or newer is needed/,
    );
  });

  test('where a migration that was applied is another now', async () => {
    const changed = await freshDatabase();
    await migrate(changed.url, migrationSources(services));
    const superuser = new Client({ connectionString: changed.url });
    await superuser.connect();
    await superuser.query(
      "update public.financialapi_migrations set checksum = 'x' where file = '0002_post.sql'",
    );
    await superuser.end();
    await assertRefuses(
      { DATABASE_URL: changed.url },
      /migration ledger\/0002_post\.sql was changed after it was applied/,
    );
    await changed.drop();
  });

  test('where a user may not make a schema', async () => {
    const superuser = new Client({ connectionString: database.url });
    await superuser.connect();
    const name = `nobody_${new URL(database.url).pathname.slice(1)}`;
    await superuser.query(`create role ${name} login`);
    const url = new URL(database.url);
    url.username = name;
    await assertRefuses({ DATABASE_URL: url.href }, /cannot be used: permission denied for schema public/);
    await superuser.query(`drop role ${name}`);
    await superuser.end();
  });
});

test('SIGTERM ends it with exit code 0, and says so', async () => {
  const own = await freshDatabase();
  const server = await startServer({ DATABASE_URL: own.url, DEMO: 'false' });
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  server.kill('SIGTERM');
  // A second signal is no reason to drop what is under way.
  server.kill('SIGTERM');
  assert.deepEqual(await server.exit, { code: 0, signal: null });
  assert.ok(server.lines.some((line) => line.includes('SIGTERM')));
  await own.drop();
});
