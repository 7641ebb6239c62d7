/** Every route of the whole platform asks for a permission, and nobody gets past one that they lack. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Fastify, { type FastifyPluginAsync, type RouteOptions } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { createKey } from '../src/platform/access/access.ts';
import {
  openPermissions,
  PERMISSION_PATTERN,
  type Permissions,
  platformPermissions,
} from '../src/platform/access/permission.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, permissionsOf, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { newUuid } from '../src/platform/ids.ts';
import { generatedOpenApi } from '../src/platform/openapi.ts';
import { defineService, type Service } from '../src/platform/service.ts';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { validatorCompiler } from '../src/platform/validation.ts';
import { predefinedRoles } from '../src/services/identity/roles/predefined.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';

let database: FreshDatabase;
let running: Running;
let auditor: string;
const routes: RouteOptions[] = [];
const noMigrations = mkdtempSync(join(tmpdir(), 'financialapi-permissions-'));

/** A service without a schema of its own. */
const plain = (name: string, own: FastifyPluginAsync, permissions: Permissions = {}): Service =>
  defineService({
    name,
    migrations: noMigrations,
    problems: {},
    permissions,
    start: () => ({ routes: own, stop: () => Promise.resolve() }),
  });

/** Sees every route that is registered after it: its hook is the server's, not a plugin's own. */
const witness: FastifyPluginAsync = async (app) => {
  app.addHook('onRoute', (route) => void routes.push(route));
};
Object.assign(witness, { [Symbol.for('skip-override')]: true });

const config = () =>
  readConfig({
    DATABASE_URL: database.url,
    PORT: '0',
    DEMO: 'false',
    LOG_LEVEL: 'silent',
    POOL_SIZE: '2',
  });

before(async () => {
  database = await migratedDatabase();
  running = await boot(config(), [plain('witness', witness), ...services]);
  const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  auditor = await createKey(
    running.platform,
    { tenant_id, environment: 'sandbox' },
    { label: 'auditor', scopes: predefinedRoles.get('auditor')?.permissions ?? [] },
  );
});
after(async () => {
  await running.stop();
  await database.drop();
  rmSync(noMigrations, { recursive: true });
});

test('every schema of a route can be compiled, which a process finds out at the first request only', async () => {
  const eager = Fastify();
  const compile = validatorCompiler();
  let compiled = 0;
  eager.setValidatorCompiler<TSchema>((part) => {
    const validate = compile(part);
    validate({});
    compiled += 1;
    return validate;
  });
  for (const { method, url, schema = {} } of routes) {
    if (method !== 'HEAD') eager.route({ method, url, schema, handler: async () => {} });
  }
  // What writes answers is Fastify's own here, which is compiled at once.
  await eager.ready();
  assert.ok(compiled > 200, `${compiled} parts of requests`);
  const wrong = { schema: { propertys: {} }, httpPart: 'querystring', method: 'GET', url: '/' };
  assert.throws(() => compile(wrong)({}), /propertys/);
});

const types = permissionsOf(services);
const apiRoutes = () => routes.filter(({ url }) => url.startsWith('/api/'));
const nameOf = ({ method, url }: RouteOptions) => `${String(method)} ${url}`;
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

interface Needed {
  method: (typeof methods)[number];
  url: string;
  permission: string | undefined;
  changes: boolean;
}

const Documented = Type.Object({
  paths: Type.Record(
    Type.String(),
    Type.Record(Type.String(), Type.Object({ 'x-permission': Type.Optional(Type.String()) })),
  ),
});

/** What each route needs: those of services as they were registered, and the platform's own as the reference has them. */
function needed(): Needed[] {
  const seen = apiRoutes().flatMap((route) =>
    methodsOf(route).map((method) => ({
      method,
      url: route.url,
      permission: route.config?.permission,
      changes: method !== 'GET' || route.config?.changes_state === true,
    })),
  );
  const { paths } = Value.Parse(Documented, JSON.parse(generatedOpenApi(running.app)));
  const documented = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([name, operation]) => {
      const method = methods.find((each) => each.toLowerCase() === name);
      const url = path.replaceAll(/\{([a-z_]+)\}/g, ':$1');
      if (method === undefined || !url.startsWith('/api/')) return [];
      if (seen.some((each) => each.method === method && each.url === url)) return [];
      return [{ method, url, permission: operation['x-permission'], changes: method !== 'GET' }];
    }),
  );
  return [...seen, ...documented];
}

const methodsOf = ({ method }: RouteOptions) => methods.filter((each) => [method].flat().includes(each));

/** Permissions that no route needs as a whole, since they are asked for within its answer. */
const askedWithin = [...Object.keys(platformPermissions), 'plans:assign'];

test('every route under /api/ declares a permission that there is, and says what it answers', () => {
  assert.ok(apiRoutes().length >= 60, `${apiRoutes().length} routes were seen`);
  for (const { method, url, permission = 'none' } of needed()) {
    assert.ok(Object.hasOwn(types, permission), `${method} ${url} needs ${permission}`);
  }
  for (const route of apiRoutes()) {
    // What has no schema cannot be redacted.
    const answers = Object.keys(Object(route.schema?.response)).filter((status) => status.startsWith('2'));
    assert.ok(answers.length > 0, nameOf(route));
  }
});

test('every permission is well named, said what it means, and used', () => {
  const used = new Set(needed().map(({ permission }) => permission));
  const guide = readFileSync(new URL('../docs/guides/roles.md', import.meta.url), 'utf8');
  for (const [permission, { meaning }] of Object.entries(types)) {
    assert.match(permission, new RegExp(PERMISSION_PATTERN));
    assert.ok(!permission.includes('*') && meaning.length > 10 && !meaning.endsWith('.'), permission);
    const documented = askedWithin.includes(permission) && guide.includes(`\`${permission}\``);
    assert.ok(used.has(permission) || documented, `nothing needs ${permission}`);
  }
});

test('the auditor reads everything and no more', () => {
  const patterns = predefinedRoles.get('auditor')?.permissions ?? [];
  for (const kind of ['institution', 'installation'] as const) {
    const wanted = Object.entries(types)
      .filter(
        ([name, { of = 'institution' }]) => name.endsWith(':read') && (of === 'institution' || of === kind),
      )
      .map(([name]) => name);
    assert.deepEqual([...openPermissions(types).expand(patterns, kind)].toSorted(), wanted.toSorted());
  }
});

test('every route that changes something refuses the auditor before it looks at the request', async () => {
  // Of what concerns nobody else, and everybody may: that one has read what one was told.
  const ownInbox = 'POST /api/v2/self/inbox/:message_id/read';
  let refused = 0;
  for (const { method, url, permission, changes } of needed()) {
    if (!changes || `${method} ${url}` === ownInbox) continue;
    const answer = await running.app.inject({
      method,
      url: url.replaceAll(/:[a-z_]+/g, '1'),
      headers: { authorization: `Bearer ${auditor}`, 'idempotency-key': newUuid() },
    });
    assert.equal(answer.statusCode, 403, `${method} ${url}: ${answer.body}`);
    assert.deepEqual([answer.json().code, answer.json().permission], ['permission_missing', permission]);
    refused += 1;
  }
  assert.ok(refused >= 20, `${refused} routes refused`);
});

test('a server does not start with a route that needs no permission, or one that nobody declared', async () => {
  const get =
    (permission?: string): FastifyPluginAsync =>
    async (app) => {
      app.get('/api/v2/bare', { config: permission === undefined ? {} : { permission } }, async () => ({}));
    };
  await assert.rejects(
    boot(config(), [...services, plain('bare', get())]),
    /GET \/api\/v2\/bare needs no permission, which no service declares/,
  );
  await assert.rejects(
    boot(config(), [...services, plain('bare', get('bare:see'))]),
    /GET \/api\/v2\/bare needs bare:see, which no service declares/,
  );
  const started = await boot(config(), [
    ...services,
    plain('bare', get('bare:see'), { 'bare:see': { meaning: 'See what is bare' } }),
  ]);
  await started.stop();
});
