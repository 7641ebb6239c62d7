/** The audit trail of processes that are ended, and the command that verifies it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { formatId, newUuid } from '../src/platform/ids.ts';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { migratedDatabase } from '../src/testing.ts';
import { startServer } from './server.ts';

let database: FreshDatabase;
let superuser: Client;
let platform: Database;
let scope: Scope;
let key: string;
before(async () => {
  database = await migratedDatabase();
  superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  platform = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 2,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 3_000,
    onError: () => {},
  });
  scope = {
    tenant_id: await createTenant(platform, { name: 'Test', base_currency: 'BRL' }),
    environment: 'sandbox',
  };
  key = await createKey(platform, scope, { label: 'test' });
});
after(async () => {
  await platform.close();
  await superuser.end();
  await database.drop();
});

/** Runs the command and tells its exit code and output. */
async function command(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['scripts/audit.ts', ...args], {
    env: { ...process.env, DATABASE_URL: database.url },
  });
  const output = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.err += text;
  });
  const code = await new Promise<number | null>((settle) => child.once('close', settle));
  return { code, ...output };
}

test('of two processes that write at once and are killed, every request that was answered has its record', async () => {
  const servers = await Promise.all(
    [1, 2].map(() => startServer({ DATABASE_URL: database.url, DEMO: 'false', POOL_SIZE: '5' })),
  );
  const answered: string[] = [];
  const ending = new AbortController();
  async function ask(url: string): Promise<void> {
    while (!ending.signal.aborted) {
      const request_id = newUuid();
      try {
        const answer = await fetch(`${url}/api/v2/chart-of-accounts`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'request-id': request_id },
        });
        assert.equal(answer.status, 400);
        answered.push(request_id);
      } catch (error) {
        if (error instanceof TypeError) return; // The server is gone.
        throw error;
      }
    }
  }
  const clients = servers.flatMap(({ url }) => Array.from({ length: 8 }, () => ask(url)));
  while (answered.length < 400) await sleep(20);
  for (const server of servers) server.kill('SIGKILL');
  await Promise.all(servers.map(({ exit }) => exit));
  ending.abort();
  await Promise.all(clients);

  const { rows } = await superuser.query<{ request_id: string }>(
    'select request_id from platform.audit_records where tenant_id = $1',
    [scope.tenant_id],
  );
  const recorded = new Set(rows.map(({ request_id }) => request_id));
  assert.deepEqual(
    answered.filter((request_id) => !recorded.has(request_id)),
    [],
  );
  // Those of the end have no answer, and may have a record.
  assert.ok(rows.length <= answered.length + clients.length);

  // The next process seals what those have left.
  const next = await startServer({ DATABASE_URL: database.url, DEMO: 'false', POOL_SIZE: '5' });
  for (;;) {
    const { rowCount } = await superuser.query('select from platform.audit_waiting');
    if (rowCount === 0) break;
    await sleep(20);
  }
  next.kill('SIGTERM');
  await next.exit;
});

test('what a process did and did not come to record is on record all the same, as of unknown outcome', async () => {
  const settings = { DATABASE_URL: database.url, DEMO: 'false', POOL_SIZE: '5' };
  const server = await startServer(settings);
  const request_id = newUuid();
  // Records cannot be written while somebody else has their table; all else goes on.
  await superuser.query('begin');
  await superuser.query('lock table platform.audit_records in access exclusive mode');
  const answer = fetch(`${server.url}/api/v2/chart-of-accounts`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'idempotency-key': newUuid(),
      'request-id': request_id,
    },
    body: JSON.stringify({ code: '77', name: 'Cash', type: 'asset' }),
  }).then(
    ({ status }) => status,
    () => 'none',
  );
  const added = "select from ledger.chart_of_accounts where tenant_id = $1 and code = '77'";
  while ((await superuser.query(added, [scope.tenant_id])).rowCount === 0) await sleep(20);
  server.kill('SIGKILL');
  await server.exit;
  assert.equal(await answer, 'none');
  const recorded = () =>
    superuser.query<{ outcome: string; status: number; route: string; principal_name: string }>(
      'select outcome, status, route, principal_name from platform.audit_records where tenant_id = $1 and request_id = $2',
      [scope.tenant_id, request_id],
    );
  // What the process that is gone had sent to the database is given up with its locks.
  await superuser.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and query like '%append_audit%'`,
  );
  await superuser.query('commit');
  assert.equal((await recorded()).rowCount, 0);

  // As long after as nobody can be working on it any more.
  const aged = await superuser.query(
    "update platform.audit_intents set recorded_at = recorded_at - interval '1 hour' where tenant_id = $1",
    [scope.tenant_id],
  );
  assert.equal(aged.rowCount, 1);
  const next = await startServer(settings);
  while ((await recorded()).rowCount === 0) await sleep(20);
  next.kill('SIGTERM');
  await next.exit;
  assert.deepEqual((await recorded()).rows, [
    { outcome: 'unknown', status: 0, route: '/api/v2/chart-of-accounts', principal_name: 'test' },
  ]);
  assert.equal((await superuser.query('select from platform.audit_intents')).rowCount, 0);
});

test('so is what people change themselves: a password that was changed as the process died', async () => {
  const settings = { DATABASE_URL: database.url, DEMO: 'false', POOL_SIZE: '5' };
  const server = await startServer(settings);
  const ask = (path: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', ...headers },
      body: JSON.stringify(body),
    });
  const invited = await ask(
    '/api/v2/invitations',
    { email: 'eva@bank.example', roles: ['auditor'] },
    { authorization: `Bearer ${key}`, 'idempotency-key': newUuid() },
  );
  const { token } = Object(await invited.json());
  const password = 'correct horse battery';
  const accepted = await ask('/identity/invitations/accept', { token, name: 'Eva', password });
  const { person_id } = Object(await accepted.json());
  const signedIn = await ask('/identity/sign-in', { email: 'eva@bank.example', password });
  assert.equal(signedIn.status, 200);
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');

  const request_id = newUuid();
  const changedAt = async () => {
    const { rows } = await superuser.query<{ at: string }>(
      "select password_changed_at::text as at from identity.people where tenant_id = $1 and email = 'eva@bank.example'",
      [scope.tenant_id],
    );
    return rows[0]?.at;
  };
  const before = await changedAt();
  await superuser.query('begin');
  await superuser.query('lock table platform.audit_records in access exclusive mode');
  const answer = ask(
    '/identity/me/password',
    { current_password: password, new_password: 'another horse battery' },
    { cookie, 'request-id': request_id },
  ).then(
    ({ status }) => status,
    () => 'none',
  );
  while ((await changedAt()) === before) await sleep(20);
  server.kill('SIGKILL');
  await server.exit;
  assert.equal(await answer, 'none');
  await superuser.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and query like '%append_audit%'`,
  );
  await superuser.query('commit');
  await superuser.query(
    "update platform.audit_intents set recorded_at = recorded_at - interval '1 hour' where tenant_id = $1",
    [scope.tenant_id],
  );
  const next = await startServer(settings);
  const recorded = () =>
    superuser.query(
      `select environment::text, outcome, status, route, principal_id, subject from platform.audit_records
       where tenant_id = $1 and request_id = $2 order by environment`,
      [scope.tenant_id, request_id],
    );
  while ((await recorded()).rowCount !== 2) await sleep(20);
  next.kill('SIGTERM');
  await next.exit;
  assert.deepEqual(
    new Set((await recorded()).rows.map((row: object) => JSON.stringify(row))),
    new Set(
      ['live', 'sandbox'].map((environment) =>
        JSON.stringify({
          environment,
          outcome: 'unknown',
          status: 0,
          route: '/identity/me/password',
          principal_id: person_id,
          subject: person_id,
        }),
      ),
    ),
  );
});

test('the command exits with 0 when all is well, 1 when something is wrong, 2 when it could not look', async () => {
  const tenant = formatId('ten', scope.tenant_id);
  const clean = await command('verify', '--tenant', tenant);
  assert.equal(clean.code, 0, clean.err);
  assert.match(clean.out, new RegExp(`^${tenant} sandbox: all is well, `, 'm'));
  assert.match(clean.out, /sealed up to seal \d+ with hash [0-9a-f]{64}$/m);
  assert.match(clean.out, new RegExp(`^${tenant} live: all is well, `, 'm'));

  await superuser.query('begin');
  await superuser.query("set local session_replication_role = 'replica'");
  const { rows } = await superuser.query<{ id: string }>(
    `delete from platform.audit_records where tenant_id = $1
     and id = (select id from platform.audit_records where tenant_id = $1 limit 1) returning id`,
    [scope.tenant_id],
  );
  await superuser.query('commit');
  const wrong = await command('verify', '--environment', 'sandbox');
  assert.equal(wrong.code, 1, wrong.err);
  assert.ok(
    wrong.out.includes(`${formatId('aud', rows[0]?.id ?? '')}: is missing, though it was sealed`),
    wrong.out,
  );

  for (const args of [
    [],
    ['mend'],
    ['verify', '--tenant', formatId('ten', newUuid())],
    ['verify', '--tenant', 'x'],
  ]) {
    const { code, out, err } = await command(...args);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, /^audit: [^\n]+\n$/);
  }
});
