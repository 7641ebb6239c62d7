/** Clients that hold connections, what browsers are told with every answer, and what is written of requests that fail. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { clientOf } from '../src/platform/connections.ts';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';

const PER_ADDRESS = 20;
let database: FreshDatabase;
let running: Running;
let port: number;
let key: string;
const lines: string[] = [];
before(async () => {
  database = await migratedDatabase();
  const config = readConfig({
    DATABASE_URL: database.url,
    PORT: '0',
    DEMO: 'false',
    LOG_LEVEL: 'trace',
    POOL_SIZE: '3',
    PUBLIC_URL: 'https://api.bank.example',
    MAX_CONNECTIONS: '50',
    MAX_CONNECTIONS_PER_ADDRESS: String(PER_ADDRESS),
  });
  running = await boot(config, services, { logStream: { write: (line: string) => void lines.push(line) } });
  const [address] = running.app.addresses();
  assert.ok(typeof address === 'object');
  ({ port } = address);
  const tenant_id = await createTenant(running.platform, { name: 'Test', base_currency: 'BRL' });
  key = await createKey(running.platform, { tenant_id, environment: 'sandbox' }, { label: 'test' });
});
after(async () => {
  await running.stop();
  await database.drop();
});

/** A client that begins a request and does not go on. */
async function stall(localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  socket.resume();
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', resolve);
  });
  socket.write('POST /api/v2/transfers HTTP/1.1\r\nhost: localhost\r\nx-slow: ');
  return socket;
}

function statusFor(localAddress: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/livez', localAddress, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .once('error', reject)
      .end();
  });
}

const openOf = (sockets: readonly Socket[]) => sockets.filter((socket) => !socket.closed).length;

test('an address that holds all the connections it may have keeps nobody else out', async () => {
  const stalled: Socket[] = [];
  for (let count = 0; count < PER_ADDRESS * 2; count += 1) stalled.push(await stall('127.0.0.1'));
  for (let tries = 0; openOf(stalled) > PER_ADDRESS; tries += 1) {
    assert.ok(tries < 500, `${openOf(stalled)} are open`);
    await sleep(10);
  }
  assert.equal(openOf(stalled), PER_ADDRESS);
  await assert.rejects(statusFor('127.0.0.1'));
  assert.equal(await statusFor('127.0.0.2'), 200);
  // Who lets go of one may have another.
  for (const socket of stalled) socket.destroy();
  for (let tries = 0; ; tries += 1) {
    const status = await statusFor('127.0.0.1').catch(() => undefined);
    if (status === 200) break;
    assert.ok(tries < 500, 'the address is still kept out');
    await sleep(10);
  }
});

test('all addresses together hold no more connections than the server has', async () => {
  const stalled: Socket[] = [];
  for (let count = 0; count < 60; count += 1) stalled.push(await stall(`127.0.1.${1 + (count % 6)}`));
  for (let tries = 0; openOf(stalled) > 50; tries += 1) {
    assert.ok(tries < 500, `${openOf(stalled)} are open`);
    await sleep(10);
  }
  for (const socket of stalled) socket.destroy();
});

test('addresses of one IPv6 network are one client', () => {
  for (const [address, client] of [
    ['203.0.113.9', '203.0.113.9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['', ''],
  ] as const) {
    assert.equal(clientOf(address), client, address);
  }
});

test('every answer tells browsers to do as little as they can with it', async () => {
  const headers = { authorization: `Bearer ${key}` };
  for (const answer of [
    await running.app.inject({ url: '/api/v2/accounts', headers }),
    await running.app.inject({ url: '/api/v2/accounts' }),
    await running.app.inject({ url: '/api/nowhere', headers }),
    await running.app.inject({ url: '/api/v2/accounts?%zz', headers }),
  ]) {
    assert.deepEqual(
      {
        csp: answer.headers['content-security-policy'],
        hsts: answer.headers['strict-transport-security'],
        type: answer.headers['x-content-type-options'],
        referrer: answer.headers['referrer-policy'],
        resource: answer.headers['cross-origin-resource-policy'],
        cache: answer.headers['cache-control'],
      },
      {
        csp: "default-src 'none'; frame-ancestors 'none'",
        hsts: 'max-age=31536000; includeSubDomains',
        type: 'nosniff',
        referrer: 'no-referrer',
        resource: 'same-origin',
        cache: 'no-store',
      },
    );
    assert.match(String(answer.headers['permissions-policy']), /camera=\(\)/);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  }
});

test('no other site is let in: a preflight is answered without permission', async () => {
  const answer = await running.app.inject({
    method: 'OPTIONS',
    url: '/api/v2/accounts',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
  });
  // It has an answer, and that is all: a browser goes by the headers that are not there.
  assert.equal(answer.statusCode, 204);
  for (const name of Object.keys(answer.headers)) assert.doesNotMatch(name, /^access-control-/);
});

test('no credential is logged, at any level, when a request fails', async () => {
  const superuser = new Client({ connectionString: database.url });
  await superuser.connect();
  await superuser.query('alter table ledger.accounts rename to gone');
  try {
    for (const headers of [
      { authorization: `Bearer ${key}`, cookie: 'other=cookie-secret' },
      { cookie: `financialapi_key=${key}`, 'sec-fetch-site': 'same-origin' },
    ]) {
      const answer = await running.app.inject({
        url: '/api/v2/accounts?q=query-secret',
        headers,
      });
      assert.equal(answer.statusCode, 500);
      assert.ok(!answer.body.includes('gone') && !answer.body.includes('ledger.'), answer.body);
    }
    await running.app.inject({ url: '/api/v2/accounts', headers: { authorization: 'Basic basic-secret' } });
  } finally {
    await superuser.query('alter table ledger.gone rename to accounts');
    await superuser.end();
  }
  const written = lines.join('');
  assert.equal(written.split('a request failed').length - 1, 2);
  for (const secret of [key, key.slice(8), 'cookie-secret', 'query-secret', 'basic-secret']) {
    assert.ok(!written.includes(secret), `${secret} was logged`);
  }
});
