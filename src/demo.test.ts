import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openDemo } from './demo.ts';
import { boot, type Running } from './platform/boot.ts';
import { type Config, readConfig } from './platform/config.ts';
import { type FreshDatabase, freshDatabase } from './platform/testing.ts';
import { seeds } from './seeds.ts';
import { services } from './services.ts';

let database: FreshDatabase;
let running: Running;
let config: Config;
before(async () => {
  database = await freshDatabase();
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-demo-'));
  config = readConfig({ DATABASE_URL: database.url, DATA_DIR: data_dir, PORT: '0', LOG_LEVEL: 'error' });
  running = await boot(config, services, { seeds });
});
after(async () => {
  await running.stop();
  await database.drop();
  rmSync(config.data_dir, { recursive: true });
});

test('a first run makes an institution with people who can sign in, and later runs find it', async () => {
  const demo = await openDemo(running, config, () => {});
  assert.ok(demo !== undefined);
  assert.deepEqual(
    demo.users.map(({ role }) => role),
    ['administrator', 'operations', 'auditor'],
  );
  for (const { email, password, role } of demo.users) {
    const answer = await running.app.inject({
      method: 'POST',
      url: '/identity/sign-in',
      headers: { 'sec-fetch-site': 'same-origin' },
      payload: { email, password },
    });
    assert.equal(answer.json().status, 'signed_in', answer.body);
    const [cookie = ''] = String(answer.headers['set-cookie']).split(';');
    const post = (url: string, payload: object) =>
      running.app.inject({
        method: 'POST',
        url,
        payload,
        headers: { cookie, 'sec-fetch-site': 'same-origin', 'idempotency-key': `demo-${role}` },
      });
    const { statusCode } = await post('/api/v2/transfers', {});
    // Malformed for who may post one at all.
    assert.equal(statusCode, role === 'auditor' ? 403 : 400, role);
  }
  for (const file of ['demo-key', 'demo-users', 'platform-key']) {
    assert.equal(statSync(join(config.data_dir, file)).mode & 0o077, 0, `${file} is for its owner only`);
  }
  assert.deepEqual(await openDemo(running, config, () => {}), demo);
});
