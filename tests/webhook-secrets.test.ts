/** The secrets of webhooks are told once and stand nowhere else: no list, log, audit record, event, page or table. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { openDatabase } from '../src/platform/db.ts';
import { reencrypt } from '../src/platform/reencryption.ts';
import { openSecrets } from '../src/platform/secret.ts';
import { webhooks } from '../src/services/webhooks/service.ts';
import {
  arrived,
  openAccount,
  openReceiver,
  type Receiver,
  settled,
} from '../src/services/webhooks/testing.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';

const [old, current] = [randomBytes(32), randomBytes(32)];
const lines: string[] = [];
let platform: TestPlatform;
let receiver: Receiver;
let sql: Client;
before(async () => {
  receiver = await openReceiver((received, response) => {
    response.writeHead(received.path === '/fails' ? 500 : 204).end();
  });
  platform = await openTestPlatform(
    {
      OUTGOING_ALLOW: '127.0.0.0/8',
      LOG_LEVEL: 'trace',
      IDENTITY_ENCRYPTION_KEY: old.toString('base64'),
    },
    { logStream: { write: (line: string) => lines.push(line) } },
  );
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  receiver.close();
  await platform.close();
});

/** Every row of every table, as text. */
async function everything(): Promise<string> {
  const { rows: tables } = await sql.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('platform', 'webhooks', 'ledger', 'identity', 'pgboss')`,
  );
  assert.ok(tables.length > 30);
  const texts: string[] = [];
  for (const { name } of tables) {
    const { rows } = await sql.query<{ row: string }>(`select t::text as row from ${name} t`);
    texts.push(...rows.map(({ row }) => row));
  }
  return texts.join('\n');
}

test('a secret stands in the answer that made it, and nowhere else', async () => {
  const bank = await platform.newTenant();
  const at = '/api/v2/webhooks/endpoints';
  const make = (path: string, more: object = {}) =>
    bank.post(at, { url: `${receiver.url}${path}`, event_types: ['*'], ...more });
  const { id, secret } = await make('/works');
  const { secret: failing } = await make('/fails');
  const { id: ed25519 } = await make('/ed25519', { signature: 'ed25519' });
  const { secret: rotated } = await bank.post(`${at}/${id}/rotations`, {});
  await bank.post(`${at}/${ed25519}/rotations`, {});
  await bank.ask('PATCH', `${at}/${id}`, { description: 'edited' }, { 'if-match': '*' });
  await openAccount(bank);
  await arrived(receiver, 3);
  await bank.post(`${at}/${id}/test`);
  const delivery = await settled(bank, `endpoint_id=${id}`, 'delivered');
  const told: string[] = [lines.join('')];
  for (const url of [
    at,
    `${at}/${id}`,
    '/api/v2/webhooks/deliveries',
    `/api/v2/webhooks/deliveries/${delivery.id}`,
    '/api/v2/audit?limit=100',
    '/api/v2/events',
    '/metrics',
  ]) {
    for (const accept of ['application/json', 'text/html']) {
      const answer = await bank.ask('GET', url, undefined, { accept });
      assert.equal(answer.status, 200, answer.text);
      told.push(answer.text);
    }
  }
  told.push(await everything(), ...receiver.received.map((one) => JSON.stringify(one)));
  const text = told.join('\n');
  assert.ok(text.includes(delivery.event_id), 'what is looked through is there');
  for (const each of [secret, failing, rotated]) {
    assert.match(each, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.ok(!text.includes(each.slice('whsec_'.length)));
  }
  assert.doesNotMatch(text, /whsec_|whsk_/);
  // Nor the private keys, whichever way they are written.
  const { rows } = await sql.query<{ id: string; secret: string }>(
    "select id, secret from webhooks.signing_keys where scheme = 'ed25519'",
  );
  assert.equal(rows.length, 2);
  const keys = openSecrets({ keys: [old], data_dir: '' });
  for (const row of rows) {
    const context = `webhook signing key ${bank.scope.tenant_id} sandbox ${row.id}`;
    const raw = Buffer.from(keys.decrypt(row.secret, context).slice('whsk_'.length), 'base64').subarray(
      0,
      32,
    );
    for (const encoding of ['base64', 'base64url', 'hex'] as const) {
      assert.ok(!text.includes(raw.toString(encoding)));
    }
  }
});

test('after the key rotated they are encrypted anew, and are what they were', async () => {
  const bank = await platform.newTenant();
  const { secret } = await bank.post('/api/v2/webhooks/endpoints', {
    url: `${receiver.url}/rotated`,
    event_types: ['*'],
  });
  const db = openDatabase({
    url: platform.url,
    role: 'webhooks',
    pool_size: 1,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
  const [column, ...others] = webhooks.encrypted ?? [];
  assert.ok(column !== undefined && others.length === 0);
  const rotating = openSecrets({ keys: [current, old], data_dir: '' });
  const done = await reencrypt(db, rotating, bank.scope, column);
  await db.close();
  assert.deepEqual(done, { seen: 1, changed: 1, unreadable: [] });
  const { rows } = await sql.query('select id, secret from webhooks.signing_keys where tenant_id = $1', [
    bank.scope.tenant_id,
  ]);
  const alone = openSecrets({ keys: [current], data_dir: '' });
  const context = column.context(bank.scope, rows[0].id);
  assert.equal(alone.decrypt(rows[0].secret, context), secret);
});
