/** The whole platform on a fresh database, for tests that go through its API. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKey } from './platform/access/access.ts';
import { createTenant } from './platform/access/tenant.ts';
import { type BootOptions, boot, migrationSources, type Running } from './platform/boot.ts';
import { readConfig } from './platform/config.ts';
import type { Environment, Scope } from './platform/db.ts';
import { newUuid } from './platform/ids.ts';
import { migrate } from './platform/migrate.ts';
import type { Service } from './platform/service.ts';
import { type FreshDatabase, freshDatabase, templateDatabase } from './platform/testing.ts';
import { seeds } from './seeds.ts';
import { services } from './services.ts';

/** A JSON answer. `body` is for assertions only, hence without a type. */
export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  // oxlint-disable-next-line typescript/no-explicit-any -- a test looks into whatever came back
  body: any;
  text: string;
}

export interface TestTenant {
  scope: Scope;
  key: string;
  /** A request with the tenant's key; a POST gets an idempotency key of its own unless the headers have one. */
  ask: (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  /** A 2xx answer's body. */
  get: (url: string) => Promise<Answer['body']>;
  post: (url: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer['body']>;
}

export interface TestPlatform {
  running: Running;
  /** Connection string as superuser. */
  url: string;
  newTenant: (environment?: Environment) => Promise<TestTenant>;
  close: () => Promise<void>;
}

/** A database of its own that has every migration already. A boot applies what it has beside these. */
export async function migratedDatabase(): Promise<FreshDatabase> {
  const sources = migrationSources(services);
  const files = sources.flatMap(({ folder }) =>
    readdirSync(folder)
      .toSorted()
      .map((file) => `${file}\n${readFileSync(join(folder, file), 'utf8')}`),
  );
  return freshDatabase(await templateDatabase(files.join('\n'), (url) => migrate(url, sources)));
}

/** Boots every service, or those given, on a database of its own, listening on a free port of loopback. */
export async function openTestPlatform(
  settings: Record<string, string> = {},
  options: BootOptions = {},
  started: readonly Service[] = services,
): Promise<TestPlatform> {
  const database = await migratedDatabase();
  const config = readConfig({
    DATABASE_URL: database.url,
    PORT: '0',
    DEMO: 'false',
    LOG_LEVEL: 'error',
    POOL_SIZE: '5',
    // All tests come from one address.
    ADDRESS_LIMIT_FACTOR: '1000',
    ...settings,
  });
  const running = await boot(config, started, { seeds, ...options });

  async function newTenant(environment: Environment = 'sandbox'): Promise<TestTenant> {
    const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
    const scope = { tenant_id, environment };
    const key = await createKey(running.platform, scope, { label: 'test' });
    const ask: TestTenant['ask'] = async (method, url, body, headers = {}) => {
      const answer = await running.app.inject({
        method,
        url,
        headers: {
          authorization: `Bearer ${key}`,
          ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const isJson = (answer.headers['content-type'] ?? '').includes('json');
      return {
        status: answer.statusCode,
        headers: Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [
            name,
            value === undefined ? undefined : String(value),
          ]),
        ),
        body: isJson && answer.body !== '' ? answer.json() : undefined,
        text: answer.body,
      };
    };
    const expectSuccess = (answer: Answer, url: string): Answer['body'] => {
      assert.ok(
        answer.status >= 200 && answer.status < 300,
        `${url} answered ${answer.status}: ${answer.text}`,
      );
      return answer.body;
    };
    return {
      scope,
      key,
      ask,
      get: async (url) => expectSuccess(await ask('GET', url), url),
      post: async (url, body, headers) => expectSuccess(await ask('POST', url, body, headers), url),
    };
  }

  return {
    running,
    url: database.url,
    newTenant,
    close: async () => {
      await running.stop();
      await database.drop();
    },
  };
}
