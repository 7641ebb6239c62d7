import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Client } from 'pg';
import { createKey } from '../../platform/access/access.ts';
import { createTenant } from '../../platform/access/tenant.ts';
import { boot, type Running } from '../../platform/boot.ts';
import { readConfig } from '../../platform/config.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { services } from '../../services.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';

let platform: TestPlatform;
let superuser: Client;
/** Requests are counted by this clock. */
let clock_ms = Date.UTC(2026, 1, 27, 12, 0, 0);
const minute_ms = 60_000;
before(async () => {
  platform = await openTestPlatform({}, { now: () => clock_ms });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

const askWith = (
  key: string,
  url: string,
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' = 'GET',
  headers = {},
  body?: object,
) =>
  platform.running.app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${key}`, ...headers },
    ...(body === undefined ? {} : { payload: body }),
  });

/** A key of the tenant on a plan of these windows. */
async function keyOn(
  bank: TestTenant,
  plan: string,
  windows: object[],
): Promise<{ id: string; key: string }> {
  await bank.post('/api/v2/plans', { name: plan, windows });
  return bank.post('/api/v2/api-keys', { label: `on ${plan}`, plan, scopes: ['*:*'] });
}

/** Repeats until the notification of a change has come. */
async function eventually(check: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await check())) {
    assert.ok(Date.now() < deadline, 'the change is not heard of');
    await sleep(5);
  }
}

const eventsOf = async (bank: TestTenant) => {
  const { rows } = await superuser.query(
    'select sequence::int, type, aggregateid as subject, source, payload::json as data from platform.outbox where tenant_id = $1 order by sequence',
    [bank.scope.tenant_id],
  );
  return rows;
};

test('several windows hold at once; a refusal names the limit and says exactly how long to wait', async () => {
  const bank = await platform.newTenant();
  const { key } = await keyOn(bank, 'small', [
    { name: 'burst', requests: 2, window_s: 10 },
    { name: 'month', requests: 3, period: 'month' },
  ]);
  const ask = () => askWith(key, '/api/v2/accounts');
  const first = await ask();
  assert.equal(first.statusCode, 200);
  assert.match(
    String(first.headers['ratelimit-policy']),
    /^"burst";q=2;w=10, "month";q=3;w=2419200, "tenant:minute";q=\d+;w=60, "tenant:month";q=\d+;w=2419200$/,
  );
  assert.match(
    String(first.headers['ratelimit']),
    /^"burst";r=1;t=10, "month";r=2;t=129600, "tenant:minute";r=/,
  );
  assert.equal((await ask()).statusCode, 200);
  clock_ms += 3_001;
  const refused = await ask();
  const { request_id: _, detail, type: __, ...problem } = refused.json();
  assert.deepEqual(problem, {
    title: 'Too many requests',
    status: 429,
    code: 'rate_limited',
    limit: 'burst',
    per: 'caller',
    plan: 'small',
    requests: 2,
    window_s: 10,
    resets_at: '2026-02-27T12:00:10.000Z',
  });
  assert.match(
    detail,
    /^on small has used the 2 requests that the limit burst of the plan small allows in 10 s\./,
  );
  assert.equal(refused.headers['retry-after'], '7');
  assert.match(String(refused.headers['ratelimit']), /^"burst";r=0;t=7, "month";r=1;t=/);
  // After as many seconds, and what was refused was not taken from the month.
  clock_ms += 7_000;
  assert.equal((await ask()).statusCode, 200);
  const spent = await ask();
  assert.deepEqual([spent.statusCode, spent.json().limit, spent.json().period], [429, 'month', 'month']);
  assert.equal(
    clock_ms + Number(spent.headers['retry-after']) * 1_000 - Date.UTC(2026, 2, 1) < 1_000 &&
      clock_ms + Number(spent.headers['retry-after']) * 1_000 >= Date.UTC(2026, 2, 1),
    true,
  );
});

test('of many requests at once exactly as many pass as the limit allows', async () => {
  const bank = await platform.newTenant();
  const { key } = await keyOn(bank, 'fifty', [
    { name: 'hour', requests: 50, window_s: 3_600 },
    { name: 'day', requests: 1_000, period: 'day' },
  ]);
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => askWith(key, '/api/v2/accounts?limit=1')),
  );
  assert.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 50);
  assert.equal(answers.filter(({ statusCode }) => statusCode === 429).length, 150);
});

test('a limit of everyone on a plan is shared by its keys, and those on other plans are not touched', async () => {
  const bank = await platform.newTenant();
  const first = await keyOn(bank, 'crowd', [{ name: 'hour', requests: 3, window_s: 3_600, per: 'plan' }]);
  const second = await bank.post('/api/v2/api-keys', { label: 'second', plan: 'crowd' });
  const statuses: number[] = [];
  for (const { key } of [first, second, first, second]) {
    statuses.push((await askWith(key, '/api/v2/accounts')).statusCode);
  }
  assert.deepEqual(statuses, [200, 200, 200, 429]);
  assert.equal((await bank.ask('GET', '/api/v2/accounts')).status, 200);
});

/** An application of the tenant that is registered by whoever has a key. */
async function registered(ask: TestTenant['ask'], more: object = {}): Promise<Answer> {
  return ask('POST', '/api/v2/applications', {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
    ...more,
  });
}

test('keys of one application share its windows, rotated ones too, and each other key has its own', async () => {
  const bank = await platform.newTenant();
  const windows = [
    { name: 'hour', requests: 4, window_s: 3_600, per: 'application' },
    { name: 'own', requests: 3, window_s: 3_600 },
  ];
  await bank.post('/api/v2/plans', { name: 'pool', windows });
  const { body: application } = await registered(bank.ask);
  const make = (label: string, application_id?: string) =>
    bank.post('/api/v2/api-keys', {
      label,
      plan: 'pool',
      ...(application_id === undefined ? {} : { application_id }),
    });
  const [first, second, alone] = [
    await make('first', application.id),
    await make('second', application.id),
    await make('alone'),
  ];
  assert.deepEqual([first.application_id, 'application_id' in alone], [application.id, false]);
  const statuses: number[] = [];
  for (const { key } of [first, second, first, second]) {
    statuses.push((await askWith(key, '/api/v2/accounts')).statusCode);
  }
  assert.deepEqual(statuses, [200, 200, 200, 200]);
  const refused = await askWith(first.key, '/api/v2/accounts');
  const { code, limit, per, detail } = refused.json();
  assert.deepEqual([refused.statusCode, code, limit, per], [429, 'rate_limited', 'hour', 'application']);
  assert.match(
    detail,
    new RegExp(`^The application ${application.id}, with all of its keys and tokens, has used`),
  );
  const successor = await bank.post(`/api/v2/api-keys/${second.id}/rotations`, {});
  assert.equal(successor.application_id, application.id);
  assert.equal((await askWith(successor.key, '/api/v2/accounts')).statusCode, 429);
  assert.equal((await askWith(alone.key, '/api/v2/accounts')).statusCode, 200);

  // What is told of them agrees, and tells the two windows apart.
  const standing = (limits: Answer['body'][]) =>
    limits
      .filter(({ per }) => per !== 'tenant')
      .map(({ limit, per, used, left }) => [limit, per, used, left]);
  const own = await askWith(first.key, '/api/v2/limits');
  const expected = [
    ['hour', 'application', 4, 0],
    ['own', 'caller', 2, 1],
  ];
  assert.deepEqual(standing(own.json().limits), expected);
  assert.deepEqual(standing((await bank.get(`/api/v2/api-keys/${first.id}/usage`)).limits), expected);
});

test('a key is put under an application by whoever may edit that, and under none of another tenant', async () => {
  const bank = await platform.newTenant();
  const other = await platform.newTenant();
  const { body: application } = await registered(bank.ask);
  const { body: foreign } = await registered(other.ask);
  const wanted = { label: 'x', application_id: application.id };
  const clerk = await bank.post('/api/v2/api-keys', {
    label: 'clerk',
    scopes: ['api_keys:create', 'accounts:read'],
  });
  const refused = await askWith(
    clerk.key,
    '/api/v2/api-keys',
    'POST',
    { 'idempotency-key': newUuid() },
    wanted,
  );
  assert.deepEqual([refused.statusCode, refused.json().permission], [403, 'applications:edit']);
  const nowhere = await bank.ask('POST', '/api/v2/api-keys', { ...wanted, application_id: foreign.id });
  assert.deepEqual([nowhere.status, nowhere.body.code], [404, 'application_not_found']);
});

test('the keys of an application that is disabled are refused in every process, and good again when it is enabled', async () => {
  const bank = await platform.newTenant();
  const { body: application } = await registered(bank.ask);
  const forIt = { scopes: ['accounts:read'], application_id: application.id };
  const first = await bank.post('/api/v2/api-keys', { label: 'first', ...forIt });
  const other = await bank.post('/api/v2/api-keys', { label: 'of none', scopes: ['accounts:read'] });
  const elsewhere = await boot(
    readConfig({ DATABASE_URL: platform.url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error', POOL_SIZE: '2' }),
    services,
  );
  const statusIn = async ({ app }: Running, key: string) => {
    const headers = { authorization: `Bearer ${key}` };
    return (await app.inject({ method: 'GET', url: '/api/v2/accounts', headers })).statusCode;
  };
  const everywhere = async (key: string, status: number) =>
    (await statusIn(platform.running, key)) === status && (await statusIn(elsewhere, key)) === status;
  const become = async (status: string) => {
    const edited = await bank.ask(
      'PATCH',
      `/api/v2/applications/${application.id}`,
      { status },
      { 'if-match': '*' },
    );
    assert.equal(edited.status, 200, edited.text);
  };
  try {
    assert.ok(await everywhere(first.key, 200));
    await become('disabled');
    await eventually(() => everywhere(first.key, 401));
    assert.equal((await bank.get(`/api/v2/api-keys/${first.id}`)).status, 'disabled');
    assert.ok(await everywhere(other.key, 200));
    // Neither a new key nor one that an old one is rotated to is a way around it.
    const second = await bank.post('/api/v2/api-keys', { label: 'second', ...forIt });
    const third = await bank.post(`/api/v2/api-keys/${first.id}/rotations`, {});
    for (const { key } of [second, third]) assert.ok(await everywhere(key, 401));
    await become('active');
    for (const { key } of [first, second, third]) await eventually(() => everywhere(key, 200));
    assert.equal((await bank.get(`/api/v2/api-keys/${second.id}`)).status, 'active');
  } finally {
    await elsewhere.stop();
  }
});

test('applications and devices are on the plan of whoever registers them, unless who may says otherwise', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/plans', {
    name: 'small',
    windows: [{ name: 'hour', requests: 2, window_s: 3_600 }],
  });
  await bank.post('/api/v2/plans', { name: 'big', windows: [] });
  const clerk = await bank.post('/api/v2/api-keys', {
    label: 'clerk',
    plan: 'big',
    scopes: ['applications:*', 'devices:*', 'accounts:read'],
  });
  const tag = { 'if-match': '*' };
  // The limit of a plan would stop who registers, too: the clerk is moved once all is made.
  const asClerk = (method: 'POST' | 'PATCH', url: string, body: object) =>
    askWith(clerk.key, url, method, method === 'POST' ? { 'idempotency-key': newUuid() } : tag, body);
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const { kty, crv, x, y } = await exportJWK(publicKey);
  const application = {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
  };
  const device = { label: 'till', permissions: ['accounts:read'], public_key: { kty, crv, x, y } };
  const made = new Map<string, { id: string; plan: string }>();
  for (const [url, body] of [
    ['/api/v2/applications', application],
    ['/api/v2/devices', device],
  ] as const) {
    const own = await asClerk('POST', url, body);
    assert.deepEqual([own.statusCode, own.json().plan], [201, 'big'], own.body);
    made.set(url, own.json());
    for (const refused of [
      await asClerk('POST', url, { ...body, plan: 'standard' }),
      await asClerk('PATCH', `${url}/${own.json().id}`, { plan: 'standard' }),
    ]) {
      assert.deepEqual([refused.statusCode, refused.json().permissions], [422, ['plans:assign']], url);
    }
    const given = await bank.ask('POST', url, { ...body, plan: 'small' });
    assert.deepEqual([given.status, given.body.plan], [201, 'small'], given.text);
    const missing = await bank.ask('POST', url, { ...body, plan: 'none' });
    assert.deepEqual([missing.status, missing.body.code], [404, 'plan_not_found']);
    const moved = await bank.ask('PATCH', `${url}/${own.json().id}`, { plan: 'small' }, tag);
    assert.deepEqual([moved.status, moved.body.plan], [200, 'small'], moved.text);
  }

  // And it binds: of the device's requests the third is refused.
  const till = made.get('/api/v2/devices') ?? assert.fail();
  const token = () =>
    new SignJWT({ jti: newUuid() })
      .setProtectedHeader({ alg: 'ES256', typ: 'device+jwt' })
      .setSubject(till.id)
      .setAudience(platform.running.url)
      .setIssuedAt()
      .setExpirationTime('30s')
      .sign(privateKey);
  const statuses: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    const answer = await platform.running.app.inject({
      url: '/api/v2/accounts',
      headers: { authorization: `Device ${await token()}` },
    });
    statuses.push(answer.statusCode);
  }
  assert.deepEqual(statuses, [200, 200, 429]);
});

test('a tenant has a quota that whoever operates the installation sets, and nobody of the tenant', async () => {
  const bank = await platform.newTenant();
  const other = await bank.post('/api/v2/api-keys', { label: 'other' });
  const url = `/api/v2/tenants/${formatId('ten', bank.scope.tenant_id)}/quotas/sandbox`;
  assert.equal((await bank.ask('GET', url)).body.code, 'permission_missing');
  const tenant_id = await createTenant(platform.running.platform, {
    name: 'Operator',
    base_currency: 'BRL',
    kind: 'installation',
  });
  const operator = await createKey(
    platform.running.platform,
    { tenant_id, environment: 'live' },
    { label: 'operator' },
  );
  const read = await askWith(operator, url);
  assert.deepEqual([read.statusCode, read.json().built_in, read.headers['etag']], [200, true, '"0"']);
  const body = { windows: [{ name: 'hour', requests: 2, window_s: 3_600 }] };
  assert.equal((await askWith(operator, url, 'PUT', {}, body)).statusCode, 428);
  assert.equal((await askWith(operator, url, 'PUT', { 'if-match': '"0"' }, body)).statusCode, 200);
  assert.equal((await askWith(operator, url, 'PUT', { 'if-match': '"0"' }, body)).statusCode, 412);
  const shared = { windows: [{ name: 'hour', requests: 2, window_s: 3_600, per: 'plan' }] };
  assert.equal((await askWith(operator, url, 'PUT', { 'if-match': '*' }, shared)).statusCode, 400);
  const nobody = url.replace(formatId('ten', bank.scope.tenant_id), formatId('ten', newUuid()));
  assert.equal((await askWith(operator, nobody, 'PUT', { 'if-match': '*' }, body)).statusCode, 404);

  await eventually(async () =>
    (await bank.get('/api/v2/limits')).limits.some(({ limit }: { limit: string }) => limit === 'tenant:hour'),
  );
  assert.equal((await askWith(other.key, '/api/v2/accounts')).statusCode, 200);
  assert.equal((await bank.ask('GET', '/api/v2/accounts')).status, 200);
  const refused = await bank.ask('GET', '/api/v2/accounts');
  assert.deepEqual(
    [refused.status, refused.body.limit, refused.body.per, 'plan' in refused.body],
    [429, 'tenant:hour', 'tenant', false],
  );
  assert.match(refused.body.detail, /^The tenant has used the 2 requests/);
});

test('crossing 80 % and 100 % is told by an event each, once a window', async () => {
  const bank = await platform.newTenant();
  const { id, key } = await keyOn(bank, 'five', [{ name: 'minute', requests: 5, window_s: 60 }]);
  clock_ms = Math.ceil(clock_ms / minute_ms) * minute_ms;
  const starts_at = new Date(clock_ms).toISOString();
  for (let count = 0; count < 3; count += 1) await askWith(key, '/api/v2/accounts');
  await bank.get(`/api/v2/api-keys/${id}/usage`);
  assert.deepEqual(await eventsOf(bank), []);
  for (let count = 0; count < 6; count += 1) {
    await askWith(key, '/api/v2/accounts');
    await bank.get(`/api/v2/api-keys/${id}/usage`);
  }
  const ends_at = new Date(clock_ms + minute_ms).toISOString();
  const about = { limit: 'minute', per: 'caller', plan: 'five', allowed: 5, starts_at, ends_at };
  const events = await eventsOf(bank);
  assert.deepEqual(events, [
    {
      sequence: 1,
      type: 'platform.limit.near',
      source: '/platform',
      subject: id,
      data: { ...about, threshold_percent: 80, requests: 4 },
    },
    {
      sequence: 2,
      type: 'platform.limit.reached',
      source: '/platform',
      subject: id,
      data: { ...about, threshold_percent: 100, requests: 5 },
    },
  ]);
  clock_ms += minute_ms;
  for (let count = 0; count < 4; count += 1) await askWith(key, '/api/v2/accounts');
  await bank.get(`/api/v2/api-keys/${id}/usage`);
  assert.deepEqual((await eventsOf(bank)).map(({ sequence, type }) => [sequence, type]).slice(2), [
    [3, 'platform.limit.near'],
  ]);
});

test('what a key has asked can be read, by itself and by who administers keys', async () => {
  const bank = await platform.newTenant();
  const { id, key } = await keyOn(bank, 'read', [
    { name: 'minute', requests: 10, window_s: 60 },
    { name: 'month', requests: 100, period: 'month' },
  ]);
  for (let count = 0; count < 4; count += 1) await askWith(key, '/api/v2/accounts');
  const own = (await askWith(key, '/api/v2/limits')).json();
  assert.equal(own.plan, 'read');
  assert.deepEqual(
    own.limits.map(({ limit, used, left }: Record<string, unknown>) => [limit, used, left]).slice(0, 2),
    [
      ['minute', 4, 6],
      ['month', 4, 96],
    ],
  );
  const usage = await bank.get(`/api/v2/api-keys/${id}/usage`);
  assert.deepEqual(usage.limits.slice(0, 2), own.limits.slice(0, 2));
  assert.deepEqual(usage.history, [
    {
      limit: 'month',
      starts_at: '2026-02-01T00:00:00Z',
      ends_at: '2026-03-01T00:00:00Z',
      requests: 4,
    },
  ]);
  const stranger = await platform.newTenant();
  assert.equal((await stranger.ask('GET', `/api/v2/api-keys/${id}/usage`)).status, 404);
});

test('a plan that is disabled or allows 0 says so, and can still be mended by who is on it', async () => {
  const bank = await platform.newTenant();
  const { key } = await keyOn(bank, 'none', [{ name: 'day', requests: 0, period: 'day' }]);
  const refused = await askWith(key, '/api/v2/accounts');
  assert.deepEqual([refused.statusCode, refused.json().code], [403, 'plan_disabled']);
  assert.equal(refused.json().detail, 'The limit day of the plan none allows no requests.');
  assert.equal(refused.headers['retry-after'], undefined);

  // The built-in plan becomes one of the tenant's own, here one that shuts everyone out.
  const built_in = await bank.ask('GET', '/api/v2/plans/standard');
  assert.deepEqual([built_in.body.built_in, built_in.headers['etag']], [true, '"0"']);
  const edit = (body: object, tag: string) =>
    bank.ask('PATCH', '/api/v2/plans/standard', body, { 'if-match': tag });
  const disabled = await edit({ status: 'disabled' }, '"0"');
  assert.deepEqual([disabled.status, disabled.body.built_in, disabled.headers['etag']], [200, false, '"1"']);
  await eventually(async () => (await bank.ask('GET', '/api/v2/accounts')).status === 403);
  assert.equal((await edit({ status: 'active' }, '"0"')).status, 412);
  assert.equal((await edit({ status: 'active' }, '"1"')).status, 200);
  await eventually(async () => (await bank.ask('GET', '/api/v2/accounts')).status === 200);
});

test('raising a limit lets on whoever had used it up, and what was counted stays counted', async () => {
  const bank = await platform.newTenant();
  const { key } = await keyOn(bank, 'grow', [{ name: 'day', requests: 2, period: 'day' }]);
  const ask = async () => (await askWith(key, '/api/v2/accounts')).statusCode;
  assert.deepEqual([await ask(), await ask(), await ask()], [200, 200, 429]);
  const windows = [{ name: 'day', requests: 4, period: 'day' }];
  await bank.ask('PATCH', '/api/v2/plans/grow', { windows }, { 'if-match': '*' });
  await eventually(async () => (await ask()) === 200);
  assert.deepEqual([await ask(), await ask()], [200, 429]);
});

test('plans are created once for each key, listed by name, and belong to a tenant', async () => {
  const bank = await platform.newTenant();
  const body = {
    name: 'gold',
    description: 'For partners',
    windows: [{ name: 'm', requests: 1, window_s: 60 }],
  };
  const headers = { 'idempotency-key': 'gold' };
  const created = await bank.post('/api/v2/plans', body, headers);
  const again = await bank.ask('POST', '/api/v2/plans', body, headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.deepEqual(again.body, created);
  assert.equal((await bank.ask('POST', '/api/v2/plans', body)).body.code, 'plan_exists');
  assert.equal(
    (await bank.ask('POST', '/api/v2/plans', { ...body, name: 'standard' })).body.code,
    'plan_exists',
  );
  await bank.post('/api/v2/plans', { name: 'zinc', windows: [] });
  const first = await bank.get('/api/v2/plans?limit=2');
  const second = await bank.get(`/api/v2/plans?limit=2&cursor=${first.next_cursor}`);
  assert.deepEqual(
    [...first.data, ...second.data].map(({ name }: { name: string }) => name),
    ['gold', 'standard', 'zinc'],
  );
  assert.equal(second.next_cursor, null);
  const stranger = await platform.newTenant();
  assert.equal((await stranger.ask('GET', '/api/v2/plans/gold')).body.code, 'plan_not_found');
  const refused = await stranger.ask('POST', '/api/v2/api-keys', { label: 'x', plan: 'gold' });
  assert.deepEqual([refused.status, refused.body.code], [404, 'plan_not_found']);
});

test('windows that cannot be are refused, each at its place', async () => {
  const bank = await platform.newTenant();
  const good = { name: 'minute', requests: 1, window_s: 60 };
  for (const [windows, pointer] of [
    [[good, good], '/windows/1/name'],
    [[{ name: 'x', requests: 1 }], '/windows/0'],
    [[{ ...good, period: 'day' }], '/windows/0'],
    [[{ ...good, requests: -1 }], '/windows/0/requests'],
    [[{ ...good, requests: 1.5 }], '/windows/0/requests'],
    [[{ ...good, window_s: 0 }], '/windows/0/window_s'],
    [[{ ...good, name: '"; drop' }], '/windows/0/name'],
  ] as const) {
    const refused = await bank.ask('POST', '/api/v2/plans', { name: 'bad', windows });
    assert.deepEqual(
      [refused.status, refused.body.errors[0].pointer],
      [400, pointer],
      JSON.stringify(windows),
    );
  }
});

test('who may create keys gives no other plan than their own without being allowed to', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/plans', { name: 'small', windows: [] });
  await bank.post('/api/v2/plans', { name: 'big', windows: [] });
  const clerk = await bank.post('/api/v2/api-keys', {
    label: 'clerk',
    plan: 'small',
    scopes: ['api_keys:*'],
  });
  const asClerk = (body: object) =>
    askWith(clerk.key, '/api/v2/api-keys', 'POST', { 'idempotency-key': newUuid() }, body);
  const own = await asClerk({ label: 'x' });
  assert.deepEqual([own.statusCode, own.json().plan], [201, 'small']);
  const other = await asClerk({ label: 'x', plan: 'big' });
  assert.deepEqual([other.statusCode, other.json().permissions], [422, ['plans:assign']]);
  const tag = { 'if-match': '*' };
  const edited = await bank.ask('PATCH', `/api/v2/api-keys/${clerk.id}`, { plan: 'big' }, tag);
  assert.deepEqual([edited.status, edited.body.plan], [200, 'big']);
});
