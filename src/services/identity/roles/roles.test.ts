import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { createKey } from '../../../platform/access/access.ts';
import type { Caller } from '../../../platform/access/caller.ts';
import { openPermissions } from '../../../platform/access/permission.ts';
import { createTenant } from '../../../platform/access/tenant.ts';
import { permissionsOf } from '../../../platform/boot.ts';
import { type Database, openDatabase, type Scope } from '../../../platform/db.ts';
import { formatId, newUuid, uuidOf } from '../../../platform/ids.ts';
import { services } from '../../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { createGrant, grantRoles, grantsOf } from './grants.ts';
import { assertHolds } from './holding.ts';

let platform: TestPlatform;
let bank: TestTenant;
let db: Database;
let superuser: Client;
const types = permissionsOf(services);
const catalogue = openPermissions(types);

before(async () => {
  platform = await openTestPlatform();
  bank = await platform.newTenant();
  db = openDatabase({
    url: platform.url,
    role: 'identity',
    pool_size: 4,
    statement_timeout_ms: 5_000,
    lock_timeout_ms: 2_000,
    onError: () => {},
  });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await db.close();
  await platform.close();
});

/** Somebody of a tenant, where the installation keeps people. */
async function newPerson({ tenant_id }: Scope): Promise<string> {
  const uuid = newUuid();
  const { rows } = await superuser.query("select to_regclass('identity.people') as people");
  if (rows[0].people !== null) {
    await superuser.query(
      `insert into identity.people (tenant_id, id, email, name, created_by) values ($1, $2, $3, 'Ana', 'test')`,
      [tenant_id, uuid, `${uuid}@example.com`],
    );
  }
  return formatId('usr', uuid);
}

/** A tenant's requests with another key than its own. */
async function askAs(tenant: TestTenant, scopes: string[]): Promise<TestTenant['ask']> {
  const key = await createKey(platform.running.platform, tenant.scope, { label: 'limited', scopes });
  return (method, url, body, headers) =>
    tenant.ask(method, url, body, { authorization: `Bearer ${key}`, ...headers });
}

/** Somebody without permissions. */
const callerOf = (scope: Scope): Caller => ({
  ...scope,
  principal: { kind: 'key', id: 'key_x', name: 'x' },
  tenant_name: 'Test',
  base_currency: 'BRL',
  permissions: new Set(),
  narrowed: [],
  plan: 'standard',
});

const granted = (permissions: Iterable<string>) => [...permissions].toSorted();

/** What a person was granted. */
const heldBy = async (scope: Scope, person_id: string) => {
  const { permissions, narrowed } = await db.read(scope, (tx) =>
    grantsOf(tx, catalogue, scope, uuidOf('usr', person_id), 'institution'),
  );
  return {
    permissions: granted(permissions),
    narrowed: narrowed.map((each) => ({ labels: each.labels, permissions: granted(each.permissions) })),
  };
};

const cashier = {
  name: 'cashier',
  description: 'Takes and pays out cash',
  permissions: ['accounts:read', 'transfers:*'],
};

test('the ten roles of every institution are there, and the one of the installation is not', async () => {
  const { data } = await bank.get('/api/v2/roles');
  assert.deepEqual(
    data.filter((role: { predefined: boolean }) => role.predefined).map(({ name }: { name: string }) => name),
    [
      'administrator',
      'operations',
      'finance',
      'compliance',
      'fraud_analyst',
      'credit_analyst',
      'merchant_manager',
      'care_agent',
      'auditor',
      'developer',
    ],
  );
  const of = (name: string): string[] =>
    data.find((role: { name: string }) => role.name === name)?.includes ?? [];
  const institution = Object.keys(types).filter((name) => types[name]?.of !== 'installation');
  assert.deepEqual(of('administrator'), institution.toSorted());
  assert.deepEqual(of('auditor'), institution.filter((name) => name.endsWith(':read')).toSorted());
  for (const name of ['finance', 'developer']) assert.ok(!of(name).includes('personal_data:read'), name);
  for (const name of ['operations', 'care_agent']) assert.ok(of(name).includes('personal_data:read'), name);
  assert.ok(!of('care_agent').some((permission) => /^transfers:(post|reverse)$/.test(permission)));
  assert.equal((await bank.ask('GET', '/api/v2/roles/platform_administrator')).status, 404);
});

test('a role of one own is made once, edited by its version and deleted', async () => {
  const headers = { 'idempotency-key': 'cashier' };
  const made = await bank.ask('POST', '/api/v2/roles', cashier, headers);
  assert.deepEqual([made.status, made.headers['location']], [201, '/api/v2/roles/cashier']);
  assert.deepEqual(granted(made.body.includes), [
    'accounts:read',
    'transfers:post',
    'transfers:read',
    'transfers:reverse',
  ]);
  const again = await bank.ask('POST', '/api/v2/roles', cashier, headers);
  assert.deepEqual([again.headers['idempotent-replayed'], again.body], ['true', made.body]);
  for (const name of ['cashier', 'auditor', 'platform_administrator']) {
    const taken = await bank.ask('POST', '/api/v2/roles', { ...cashier, name });
    assert.deepEqual([taken.status, taken.body.code], [409, 'role_name_taken'], name);
  }
  const url = '/api/v2/roles/cashier';
  const etag = (await bank.ask('GET', url)).headers['etag'] ?? '';
  const edit = { permissions: ['accounts:read'] };
  assert.equal((await bank.ask('PATCH', url, edit)).status, 428);
  const edited = await bank.ask('PATCH', url, edit, { 'if-match': etag });
  assert.deepEqual(
    [edited.status, granted(edited.body.includes), edited.body.description],
    [200, ['accounts:read'], cashier.description],
  );
  assert.equal((await bank.ask('PATCH', url, edit, { 'if-match': etag })).status, 412);
  assert.equal((await bank.ask('DELETE', url)).status, 204);
  assert.equal((await bank.ask('DELETE', url)).status, 404);
  for (const method of ['PATCH', 'DELETE'] as const) {
    const refused = await bank.ask(method, '/api/v2/roles/auditor', method === 'PATCH' ? edit : undefined, {
      'if-match': '*',
    });
    assert.deepEqual([refused.status, refused.body.code], [409, 'role_predefined']);
  }
});

test('hostile roles are refused: no name, no patterns, none at all, too many', async () => {
  for (const body of [
    { ...cashier, name: 'Cashier' },
    { ...cashier, name: '' },
    { ...cashier, name: 'x'.repeat(64) },
    { ...cashier, name: '__proto__' },
    { ...cashier, permissions: [] },
    { ...cashier, permissions: ['accounts'] },
    { ...cashier, permissions: ['accounts:read', 'accounts:read'] },
    { ...cashier, permissions: ["accounts:read'; drop table identity.roles; --"] },
    { ...cashier, permissions: Array.from({ length: 201 }, (_, index) => `a${'b'.repeat(index)}:read`) },
    { ...cashier, description: 'x'.repeat(501) },
    { ...cashier, predefined: true },
  ]) {
    assert.equal(
      (await bank.ask('POST', '/api/v2/roles', body)).status,
      400,
      JSON.stringify(body).slice(0, 90),
    );
  }
});

test('nobody puts into a role, or grants, what they do not have themselves', async () => {
  const tenant = await platform.newTenant();
  const ask = await askAs(tenant, ['roles:*', 'grants:*', 'accounts:read']);
  const refused = await ask('POST', '/api/v2/roles', cashier);
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.permissions],
    [422, 'permission_not_held', ['transfers:read', 'transfers:post', 'transfers:reverse']],
  );
  const viewer = { name: 'viewer', description: 'Looks', permissions: ['accounts:read'] };
  assert.equal((await ask('POST', '/api/v2/roles', viewer)).status, 201);
  const etag = { 'if-match': '*' };
  const edit = (permissions: string[]) => ask('PATCH', '/api/v2/roles/viewer', { permissions }, etag);
  assert.equal((await edit(['accounts:*'])).body.code, 'permission_not_held');
  assert.equal((await edit(['accounts:read', 'roles:read'])).status, 200);

  const person_id = await newPerson(tenant.scope);
  const grant = (role: string) => ask('POST', '/api/v2/grants', { person_id, role });
  assert.equal((await grant('administrator')).body.code, 'permission_not_held');
  assert.equal((await grant('auditor')).body.code, 'permission_not_held');
  assert.equal((await grant('viewer')).status, 201);
  assert.deepEqual((await heldBy(tenant.scope, person_id)).permissions, ['accounts:read', 'roles:read']);
});

test('in the installation, a pattern counts for what it comes to there', async () => {
  const tenant_id = await createTenant(platform.running.platform, {
    name: 'Operator',
    base_currency: 'BRL',
    kind: 'installation',
  });
  const scope = { tenant_id, environment: 'live' as const };
  const withInstallation = openPermissions({ ...types, 'tenants:edit': { meaning: '', of: 'installation' } });
  assert.ok(withInstallation.expand(['*:*'], 'installation').has('tenants:edit'));
  const person = newUuid();
  await db.write(scope, (tx) => grantRoles(tx, scope, person, ['platform_administrator'], 'operator'));
  const { permissions } = await db.read(scope, (tx) =>
    grantsOf(tx, withInstallation, scope, person, 'installation'),
  );
  assert.ok(permissions.has('tenants:edit') && !permissions.has('transfers:post'));
  // Who may do all that an institution's administrator may does not hold what the same pattern comes to here.
  const caller: Caller = {
    ...callerOf(scope),
    permissions: catalogue.expand(['*:*'], 'institution'),
  };
  await assert.rejects(
    db.read(scope, (tx) => assertHolds(tx, caller, withInstallation, ['*:*'])),
    {
      code: 'permission_not_held',
      extra: { permissions: Object.keys(types).filter((name) => types[name]?.of === 'installation') },
    },
  );
  const elsewhere = await db.read(scope, (tx) =>
    grantsOf(tx, withInstallation, scope, person, 'institution'),
  );
  assert.ok(!elsewhere.permissions.has('tenants:edit'));
  await assert.rejects(
    db.write(bank.scope, (tx) => grantRoles(tx, bank.scope, person, ['platform_administrator'], 'operator')),
    { code: 'role_not_found' },
  );
});

test('grants add up; those for labels stay apart, each with its own', async () => {
  const tenant = await platform.newTenant();
  const { scope } = tenant;
  await tenant.post('/api/v2/roles', cashier);
  const person_id = await newPerson(scope);
  const grant = (body: object) => tenant.ask('POST', '/api/v2/grants', { person_id, ...body });
  assert.deepEqual(await heldBy(scope, person_id), { permissions: [], narrowed: [] });

  assert.equal((await grant({ role: 'developer' })).status, 201);
  assert.equal((await grant({ role: 'cashier', labels: { branch: '7', desk: '2' } })).status, 201);
  const narrowed = await grant({ role: 'cashier', labels: { branch: '8' } });
  assert.deepEqual(narrowed.body.labels, { branch: '8' });
  const same = await grant({ role: 'cashier', labels: { desk: '2', branch: '7' } });
  assert.deepEqual([same.status, same.body.code], [409, 'grant_exists']);
  assert.equal((await grant({ role: 'developer' })).body.code, 'grant_exists');
  assert.equal((await grant({ role: 'nothing' })).body.code, 'role_not_found');
  for (const labels of [{}, { '': '1' }, { a: '' }, { a: 1 }, null, []]) {
    assert.equal((await grant({ role: 'cashier', labels })).status, 400, JSON.stringify(labels));
  }
  const held = await heldBy(scope, person_id);
  assert.ok(held.permissions.includes('api_keys:create') && !held.permissions.includes('transfers:post'));
  const includes = ['accounts:read', 'transfers:post', 'transfers:read', 'transfers:reverse'];
  assert.deepEqual(held.narrowed, [
    { labels: { branch: '7', desk: '2' }, permissions: includes },
    { labels: { branch: '8' }, permissions: includes },
  ]);

  // What somebody has cannot be deleted, and an edit of it reaches them.
  const refused = await tenant.ask('DELETE', '/api/v2/roles/cashier');
  assert.deepEqual([refused.status, refused.body.code], [409, 'role_granted']);
  const edit = { permissions: ['accounts:read'] };
  assert.equal((await tenant.ask('PATCH', '/api/v2/roles/cashier', edit, { 'if-match': '*' })).status, 200);
  assert.deepEqual((await heldBy(scope, person_id)).narrowed[0]?.permissions, ['accounts:read']);

  const first = await tenant.get('/api/v2/grants?limit=2&role=cashier');
  assert.equal(first.data.length, 2);
  assert.equal(first.next_cursor, null);
  const page = await tenant.get(`/api/v2/grants?limit=2&person_id=${person_id}`);
  const rest = await tenant.get(`/api/v2/grants?limit=2&cursor=${page.next_cursor}`);
  assert.deepEqual([page.data.length, rest.data.length, rest.next_cursor], [2, 1, null]);
  for (const { id } of [...page.data, ...rest.data]) {
    assert.equal((await tenant.get(`/api/v2/grants/${id}`)).person_id, person_id);
    assert.equal((await tenant.ask('DELETE', `/api/v2/grants/${id}`)).status, 204);
    assert.equal((await tenant.ask('DELETE', `/api/v2/grants/${id}`)).status, 404);
  }
  assert.deepEqual(await heldBy(scope, person_id), { permissions: [], narrowed: [] });
  assert.equal((await tenant.ask('DELETE', '/api/v2/roles/cashier')).status, 204);
});

test('nothing is granted to whom there is not', async () => {
  const body = { person_id: formatId('usr', newUuid()), role: 'auditor' };
  const caller: Caller = { ...callerOf(bank.scope), permissions: catalogue.expand(['*:*'], 'institution') };
  const grants = { db, permissions: catalogue, personExists: () => Promise.resolve(false) };
  const attempt = { key: newUuid(), operation: 'POST /api/v2/grants' };
  await assert.rejects(createGrant(grants, caller, body, attempt), { code: 'grantee_not_found' });
  assert.deepEqual((await bank.get(`/api/v2/grants?person_id=${body.person_id}`)).data, []);
});

test('roles and grants are of one tenant and one environment', async () => {
  const tenant = await platform.newTenant();
  const live: Scope = { ...tenant.scope, environment: 'live' };
  const liveKey = await createKey(platform.running.platform, live, { label: 'live' });
  await tenant.post('/api/v2/roles', { ...cashier, name: 'teller' });
  const person_id = await newPerson(tenant.scope);
  const { id } = await tenant.post('/api/v2/grants', { person_id, role: 'teller' });
  const other = await platform.newTenant();
  for (const authorization of [`Bearer ${other.key}`, `Bearer ${liveKey}`]) {
    for (const [method, url] of [
      ['GET', '/api/v2/roles/teller'],
      ['DELETE', '/api/v2/roles/teller'],
      ['GET', `/api/v2/grants/${id}`],
      ['DELETE', `/api/v2/grants/${id}`],
    ] as const) {
      assert.equal((await tenant.ask(method, url, undefined, { authorization })).status, 404, url);
    }
    const { body } = await tenant.ask('GET', '/api/v2/grants', undefined, { authorization });
    assert.deepEqual(body.data, []);
  }
  assert.deepEqual((await heldBy(live, person_id)).permissions, []);
  const { rows } = await superuser.query(
    "select relname from pg_class where relnamespace = 'identity'::regnamespace and relname in ('roles', 'grants') and relforcerowsecurity",
  );
  assert.equal(rows.length, 2);
});

test('the last administrator stays, though two are revoked at the same time', async () => {
  const tenant = await platform.newTenant();
  const administrator = async (labels?: object) =>
    (
      await tenant.post('/api/v2/grants', {
        person_id: await newPerson(tenant.scope),
        role: 'administrator',
        ...(labels === undefined ? {} : { labels }),
      })
    ).id;
  const revoke = (id: string) => tenant.ask('DELETE', `/api/v2/grants/${id}`);
  const ids = [await administrator(), await administrator()];
  // Who administers a part only is none.
  const partial = await administrator({ branch: '7' });
  const answers = await Promise.all(ids.map(revoke));
  assert.deepEqual(
    answers.map(({ status }) => status).toSorted((a, b) => a - b),
    [204, 409],
  );
  assert.equal(answers.find(({ status }) => status === 409)?.body.code, 'last_administrator');
  assert.equal((await revoke(partial)).status, 204);
  await administrator();
  const { data } = await tenant.get('/api/v2/grants?role=administrator');
  assert.equal(data.length, 2);
  assert.equal((await revoke(data[1].id)).status, 204);
});

test('every change is told to every process', async () => {
  const tenant = await platform.newTenant();
  let heard = 0;
  superuser.on('notification', () => {
    heard += 1;
  });
  await superuser.query('listen platform_access');
  const tells = async (what: string, change: () => Promise<unknown>) => {
    const before = heard;
    await change();
    // Notices that were sent come before the answer to what is asked after them.
    await superuser.query('select 1');
    assert.ok(heard > before, what);
  };
  const person_id = await newPerson(tenant.scope);
  await tenant.post('/api/v2/roles', cashier);
  let id = '';
  await tells('a grant', async () => {
    ({ id } = await tenant.post('/api/v2/grants', { person_id, role: 'cashier' }));
  });
  const edit = { permissions: ['accounts:read'] };
  await tells('an edit', () => tenant.ask('PATCH', '/api/v2/roles/cashier', edit, { 'if-match': '*' }));
  await tells('a revocation', () => tenant.ask('DELETE', `/api/v2/grants/${id}`));
  await superuser.query('unlisten *');
});
