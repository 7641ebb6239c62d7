import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { migrationSources } from '../boot.ts';
import { type Database, openDatabase, type Scope } from '../db.ts';
import { migrate } from '../migrate.ts';
import { Problem } from '../problem.ts';
import { type FreshDatabase, freshDatabase } from '../testing.ts';
import { createKey, openAccess, revokeKey } from './access.ts';
import { isWellFormedKey, newKey } from './key.ts';
import { openPermissions } from './permission.ts';
import { createTenant, listScopes } from './tenant.ts';

let database: FreshDatabase;
let db: Database;
let scope: Scope;
before(async () => {
  database = await freshDatabase();
  await migrate(database.url, migrationSources([]));
  db = openDatabase({
    url: database.url,
    role: 'platform',
    pool_size: 3,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 1_000,
    onError: () => {},
  });
  const tenant_id = await createTenant(db, { name: 'Test', base_currency: 'BRL' });
  scope = { tenant_id, environment: 'live' };
});
after(async () => {
  await db.close();
  await database.drop();
});

const permissions = openPermissions({
  'things:read': { meaning: 'See things' },
  'tenants:read': { meaning: 'See tenants', of: 'installation' },
});
const openTestAccess = () => openAccess(db, { permissions });
const isRefused = (error: unknown) => error instanceof Problem && error.code === 'unauthenticated';

test('a key says its environment and carries a checksum: what is mistyped is known without a look-up', async () => {
  for (const environment of ['live', 'sandbox'] as const) {
    const key = newKey(environment);
    assert.match(key, environment === 'live' ? /^fa_live_[0-9A-Za-z]{36}$/ : /^fa_test_[0-9A-Za-z]{36}$/);
    assert.ok(isWellFormedKey(key));
    for (let index = 8; index < key.length; index += 1) {
      const other = key[index] === 'A' ? 'B' : 'A';
      assert.ok(!isWellFormedKey(key.slice(0, index) + other + key.slice(index + 1)), `place ${index}`);
    }
  }
  // Refused at once, not by a promise: the database was not asked.
  assert.throws(() => openTestAccess().identifyKey('fa_test_x'), isRefused);
});

test('a key stands for its tenant and environment, and only its hash is kept', async () => {
  const key = await createKey(db, scope, { label: 'cashier' });
  const caller = await openTestAccess().identifyKey(key);
  const { tenant_id, environment, principal, tenant_name, base_currency } = caller;
  assert.deepEqual(
    { tenant_id, environment, name: principal.name, tenant_name, base_currency },
    { ...scope, name: 'cashier', tenant_name: 'Test', base_currency: 'BRL' },
  );
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query('select k::text from platform.api_keys k');
  await client.end();
  assert.ok(rows.length > 0 && !JSON.stringify(rows).includes(key.slice(8, 38)));
});

test('a key of the other environment, or one that was never given out, is refused', async () => {
  const key = await createKey(db, scope, { label: 'test' });
  const access = openTestAccess();
  await assert.rejects(
    async () => access.identifyKey(key.replace('live', 'test')),
    (error: unknown) => error instanceof Problem && error.code === 'environment_mismatch',
  );
  await assert.rejects(async () => access.identifyKey(newKey('live')), isRefused);
});

test('a revoked key is refused at once by whoever did not know it, and within 5 s by whoever did', async () => {
  const key = await createKey(db, scope, { label: 'stolen' });
  const access = openTestAccess();
  await access.identifyKey(key);
  const revoked = performance.now();
  await revokeKey(db, key);
  await assert.rejects(async () => openTestAccess().identifyKey(key), isRefused);
  await assert.rejects(async () => revokeKey(db, key), isRefused);
  for (;;) {
    try {
      await access.identifyKey(key);
    } catch (error) {
      assert.ok(isRefused(error), String(error));
      break;
    }
    assert.ok(performance.now() - revoked < 6_000, 'the key is still believed');
    await sleep(100);
  }
});

test('scopes are listed for work that no caller asked for: each environment of each tenant', async () => {
  const tenant_id = await createTenant(db, { name: 'Other', base_currency: 'USD' });
  const found = (await listScopes(db)).filter((each) => each.tenant_id === tenant_id);
  assert.deepEqual(found.map(({ environment }) => environment).toSorted(), ['live', 'sandbox']);
});
