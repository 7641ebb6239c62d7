/** Isolation of tenants, in every schema there is: the catalogue is walked, so that what comes later is held to it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { formatId } from '../src/platform/ids.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';

let platform: TestPlatform;
let operator: Client;
before(async () => {
  platform = await openTestPlatform();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await operator.end();
  await platform.close();
});

const schemas = ['platform', ...services.map(({ name }) => name)];

/** Tables that belong to no tenant: of hashes, counts, times and processes, looked up before it is known whose they are. */
const withoutTenant: string[] = [
  'identity.passkey_challenges',
  'identity.sign_in_throttles',
  'platform.outboxes',
  'platform.consumer_offsets',
  'identity.used_proofs',
  'platform.instances',
  'platform.usage_writers',
];

/** Tables of a tenant as a whole, in which the environment is something that a row says and not whose it is. */
const ofTheTenant = new Set(['identity.sessions']);

/** Tables whose rows stay when a sandbox is emptied: keys, people, settings, and what was done about them. */
const kept = new Set([
  'platform.api_keys',
  'platform.sandbox_resets',
  'platform.job_pauses',
  'platform.plans',
  'platform.tenant_quotas',
  'platform.approval_policies',
  'platform.audit_records',
  'platform.audit_waiting',
  'platform.audit_seals',
  'platform.audit_heads',
  // Goes on where it was, so that no reader of events takes a new one for one it has seen.
  'platform.event_heads',
  'platform.audit_intents',
  'ledger.attributions',
  'ledger.attribution_marks',
  'ledger.attributions_lost',
  'ledger.limits',
  'ledger.limit_amounts',
  'webhooks.disabled_applications',
  'webhooks.endpoints',
  'webhooks.signing_keys',
]);

/** So does all that the service identity keeps: who there is, and what they may do. */
const keepsAll = 'identity.';

interface Table {
  name: string;
  enabled: boolean;
  forced: boolean;
  has_tenant: boolean;
  has_environment: boolean;
  key_begins_with: string[];
  erasable: boolean;
  policies: { roles: string[]; using: string; permissive: boolean }[];
}

async function tables(): Promise<Table[]> {
  const { rows } = await operator.query<Table>(
    `select c.oid::regclass::text as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
         as has_tenant,
       exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'environment' and not a.attisdropped)
         as has_environment,
       coalesce((select array_agg(a.attname::text order by k.place) from pg_constraint p
         cross join lateral unnest(p.conkey) with ordinality k (number, place)
         join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
         where p.conrelid = c.oid and p.contype = 'p' and k.place <= 2), '{}') as key_begins_with,
       has_table_privilege('financialapi_eraser', c.oid, 'delete') as erasable,
       coalesce((select json_agg(json_build_object('roles', p.roles, 'using', p.qual, 'permissive', p.permissive = 'PERMISSIVE'))
         from pg_policies p where (p.schemaname, p.tablename) = (c.relnamespace::regnamespace::text, c.relname)), '[]')
         as policies
     from pg_class c where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text = any ($1) order by 1`,
    [schemas],
  );
  assert.ok(rows.length >= 15, `the walk sees the tables: ${rows.map(({ name }) => name).join(', ')}`);
  return rows;
}

test('every table is of tenants, and row-level security is on and forced on it by tenant and environment', async () => {
  for (const table of await tables()) {
    if (withoutTenant.includes(table.name)) continue;
    const { name } = table;
    assert.ok(table.has_tenant, `${name} has no tenant_id`);
    assert.deepEqual([table.enabled, table.forced], [true, true], `row-level security of ${name}`);
    assert.equal(table.key_begins_with[0], 'tenant_id', `primary key of ${name}`);
    const isOfEnvironment = table.has_environment && !ofTheTenant.has(name);
    if (isOfEnvironment) {
      assert.ok(table.key_begins_with.includes('environment'), `primary key of ${name}`);
    }
    // What binds everybody, the services' roles among them.
    const binding = table.policies.filter(({ roles, permissive }) => permissive && roles.includes('public'));
    assert.ok(binding.length > 0, `${name} has no policy`);
    for (const { using } of binding) {
      assert.match(using, /tenant_id = .*platform\.tenant_id\(\)/, name);
      if (isOfEnvironment) assert.match(using, /environment = .*platform\.environment\(\)/, name);
    }
    // What looks past a tenant is for roles that nobody signs in as.
    const roles = new Set(
      table.policies.filter(({ permissive }) => permissive).flatMap((policy) => policy.roles),
    );
    for (const role of ['public', 'financialapi_owner', 'financialapi_doorkeeper']) roles.delete(role);
    assert.deepEqual([...roles], [], `policies of ${name}`);
  }
});

test('what is of an environment goes with the sandbox or is kept on purpose, and the eraser is held to sandboxes', async () => {
  for (const { name, erasable, has_environment, policies } of await tables()) {
    if (!erasable) {
      assert.ok(
        !has_environment || kept.has(name) || name.startsWith(keepsAll),
        `${name} is neither erasable nor kept`,
      );
      continue;
    }
    assert.ok(!kept.has(name), name);
    const held = policies.filter(
      ({ roles, using, permissive }) =>
        !permissive && roles.includes('financialapi_eraser') && using.startsWith("(environment = 'sandbox'"),
    );
    assert.equal(held.length, 1, `${name} has no restrictive policy for the eraser`);
  }
});

test('no role of a service can bypass row-level security, owns anything, or can become one that may', async () => {
  const { rows } = await operator.query<Record<string, unknown>>(
    `select rolname as role, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin as mighty,
            (select count(*)::int from pg_auth_members where member = r.oid) as memberships,
            (select count(*)::int from pg_class where relowner = r.oid)
              + (select count(*)::int from pg_proc where proowner = r.oid)
              + (select count(*)::int from pg_namespace where nspowner = r.oid) as owned
     from pg_roles r where rolname = any ($1) order by 1`,
    [schemas],
  );
  assert.deepEqual(
    rows,
    schemas.toSorted().map((role) => ({ role, mighty: false, memberships: 0, owned: 0 })),
  );
  const { rows: mighty } = await operator.query(
    `select rolname from pg_roles where rolname like 'financialapi\\_%'
       and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolcanlogin)`,
  );
  assert.deepEqual(mighty, []);
});

test('functions that act with the rights of another are for named roles, and look for things in named schemas', async () => {
  const { rows } = await operator.query<{
    name: string;
    everybody: boolean;
    confined: boolean;
    owner: string;
  }>(
    `select p.oid::regprocedure::text as name, has_function_privilege('public', p.oid, 'execute') as everybody,
            coalesce(p.proconfig::text like '%search_path=%', false) as confined, p.proowner::regrole::text as owner
     from pg_proc p where p.prosecdef and p.pronamespace::regnamespace::text = any ($1) order by 1`,
    [schemas],
  );
  assert.ok(rows.length >= 8);
  const owners = new Set(['financialapi_owner', 'financialapi_doorkeeper', 'financialapi_eraser']);
  for (const { name, everybody, confined, owner } of rows) {
    assert.deepEqual([name, everybody, confined], [name, false, true]);
    assert.ok(owners.has(owner), `${name} is of ${owner}`);
  }
});

test('views see what whoever asks may see', async () => {
  const { rows } = await operator.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relkind in ('v', 'm') and c.relnamespace::regnamespace::text = any ($1)
       and coalesce(c.reloptions::text, '') !~ 'security_invoker=(true|on)'`,
    [schemas],
  );
  assert.deepEqual(rows, []);
});

test('what concerns the installation is refused to the institutions, whatever their keys may do', async () => {
  const bank = await platform.newTenant();
  const other = await platform.newTenant();
  const id = formatId('ten', other.scope.tenant_id);
  for (const [method, url, body] of [
    ['GET', '/api/v2/tenants', undefined],
    ['POST', '/api/v2/tenants', { name: 'x', base_currency: 'BRL' }],
    ['GET', `/api/v2/tenants/${id}`, undefined],
    ['PATCH', `/api/v2/tenants/${id}`, { name: 'mine' }],
    ['POST', `/api/v2/tenants/${id}/suspend`, { reason: 'x' }],
    ['POST', `/api/v2/tenants/${id}/resume`, undefined],
  ] as const) {
    const refused = await bank.ask(method, url, body, { 'if-match': '*' });
    assert.deepEqual([refused.status, refused.body.code], [403, 'permission_missing'], url);
  }
  assert.equal((await other.get('/api/v2/tenant')).name, 'Test');
});
