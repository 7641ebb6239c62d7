import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { pino } from 'pino';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { createKey } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';
import { openPermissions } from '../access/permission.ts';
import { type Api, buildServer } from '../http.ts';
import { newUuid } from '../ids.ts';
import { openMetrics } from '../metrics.ts';
import { mountAudit } from './record.ts';

let platform: TestPlatform;
let superuser: Client;
before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});

/** What the trail tells of a request. */
async function recordOf(bank: TestTenant, answer: Answer): Promise<Answer['body']> {
  const { data } = await bank.get(`/api/v2/audit?request_id=${answer.headers['request-id']}`);
  assert.equal(data.length, 1, `records of ${answer.headers['request-id']}`);
  return data[0];
}

async function openAccount(bank: TestTenant): Promise<string> {
  await bank.ask('POST', '/api/v2/chart-of-accounts', { code: '1000', name: 'Cash', type: 'asset' });
  const { id } = await bank.post('/api/v2/accounts', {
    name: 'Till',
    currency: 'BRL',
    chart_code: '1000',
  });
  return id;
}

test('what creates leaves a record of who, from where, what and what came of it, without the secret', async () => {
  const bank = await platform.newTenant();
  const body = { label: 'job', scopes: ['accounts:read'] };
  const headers = { 'idempotency-key': 'once', 'request-id': 'my-request-1' };
  const created = await bank.ask('POST', '/api/v2/api-keys', body, headers);
  const { id, occurred_at, recorded_at, principal, after, ...rest } = await recordOf(bank, created);
  assert.match(id, /^aud_/);
  assert.ok(Math.abs(Date.parse(occurred_at) - Date.parse(recorded_at)) < 60_000);
  assert.deepEqual([principal.kind, principal.name], ['key', 'test']);
  assert.deepEqual(rest, {
    address: '127.0.0.1',
    method: 'POST',
    route: '/api/v2/api-keys',
    path: '/api/v2/api-keys',
    permission: 'api_keys:create',
    outcome: 'done',
    status: 201,
    subject: created.body.id,
    request_id: 'my-request-1',
    dry_run: false,
    replayed: false,
  });
  const { key, ...shown } = created.body;
  assert.deepEqual(after, shown);
  const { rows } = await superuser.query('select r::text from platform.audit_records r');
  assert.ok(!JSON.stringify(rows).includes(key.slice(12)));

  const again = await bank.ask('POST', '/api/v2/api-keys', body, { 'idempotency-key': 'once' });
  const repeated = await recordOf(bank, again);
  assert.deepEqual([repeated.replayed, repeated.subject, repeated.after], [true, created.body.id, undefined]);
});

test('what edits leaves a record of before and after', async () => {
  const bank = await platform.newTenant();
  const { id } = await bank.post('/api/v2/api-keys', { label: 'old' });
  const edited = await bank.ask('PATCH', `/api/v2/api-keys/${id}`, { label: 'new' }, { 'if-match': '*' });
  const edit = await recordOf(bank, edited);
  assert.deepEqual(
    [edit.subject, edit.path, edit.route, edit.before.label, edit.after.label],
    [id, `/api/v2/api-keys/${id}`, '/api/v2/api-keys/:key_id', 'old', 'new'],
  );
  const rotated = await bank.ask('POST', `/api/v2/api-keys/${id}/rotations`, {});
  const rotation = await recordOf(bank, rotated);
  assert.deepEqual(
    [rotation.subject, rotation.after.id, 'key' in rotation.after],
    [id, rotated.body.id, false],
  );
  const revoked = await recordOf(bank, await bank.ask('POST', `/api/v2/api-keys/${id}/revoke`));
  assert.deepEqual([revoked.before.status, revoked.after.status], ['active', 'revoked']);

  const account = await openAccount(bank);
  const frozen = await recordOf(bank, await bank.ask('POST', `/api/v2/accounts/${account}/freeze`));
  assert.deepEqual(
    [frozen.subject, frozen.permission, frozen.before.status, frozen.after.status],
    [account, 'accounts:freeze', 'open', 'frozen'],
  );
  const renamed = await recordOf(
    bank,
    await bank.ask('PATCH', `/api/v2/accounts/${account}`, { name: 'Safe' }, { 'if-match': '*' }),
  );
  assert.deepEqual([renamed.before.name, renamed.after.name], ['Till', 'Safe']);
});

test('the older API leaves records, too, of its changes by GET as well', async () => {
  const bank = await platform.newTenant();
  const opened = await bank.ask('POST', '/api/v1/accounts/', { name: 'Ann', balance: 10 });
  const { id } = opened.body;
  const { subject } = await recordOf(bank, opened);
  assert.match(subject, /^acc_/);
  const replaced = await bank.ask('PUT', `/api/v1/accounts/${id}/`, { name: 'Bea', balance: 4 });
  const edit = await recordOf(bank, replaced);
  assert.deepEqual(
    [edit.subject, edit.before.name, edit.before.balance.amount, edit.after.name, edit.after.balance.amount],
    [subject, 'Ann', '10.00', 'Bea', '4.00'],
  );
  const moved = await bank.ask('GET', `/api/v1/transfer/${id}/${id}/1/`);
  const attempt = await recordOf(bank, moved);
  assert.deepEqual([attempt.method, attempt.permission], ['GET', 'transfers:post']);
  const closed = await recordOf(bank, await bank.ask('DELETE', `/api/v1/accounts/${id}/`));
  assert.deepEqual([closed.before.status, closed.after.status], ['open', 'closed']);
});

test('refusals leave a record each: by permission, form, rule, place and for want of a route', async () => {
  const bank = await platform.newTenant();
  const reader = await createKey(platform.running.platform, bank.scope, {
    label: 'reader',
    scopes: ['*:read'],
  });
  const ask = (method: 'POST' | 'GET', url: string, key: string, remoteAddress = '127.0.0.1') =>
    platform.running.app.inject({ method, url, remoteAddress, headers: { authorization: `Bearer ${key}` } });
  const request_ids: unknown[] = [];
  const tell = async (given: { headers: Answer['headers'] }) => {
    request_ids.push(given.headers['request-id']);
  };
  await tell(await bank.ask('POST', '/api/v2/api-keys', { label: '' }));
  await tell(await bank.ask('POST', '/api/v2/api-keys', '{"label":', {}));
  await tell(await bank.ask('POST', '/api/v2/api-keys', { label: 'x' }, { environment: 'live' }));
  await tell(await bank.ask('POST', '/api/v2/nothing', {}));
  const missing = `key_${'0'.repeat(26)}`;
  await tell(await bank.ask('POST', `/api/v2/api-keys/${missing}/revoke`));
  const refused = await ask('POST', '/api/v2/accounts?dry_run=true', reader);
  const { id, key } = await bank.post('/api/v2/api-keys', {
    label: 'office',
    allowed_addresses: ['203.0.113.0/24'],
  });
  await bank.ask('POST', `/api/v2/api-keys/${missing}/rotations`, {});
  const elsewhere = await ask('POST', '/api/v2/accounts', key, '198.51.100.7');
  const { data } = await bank.get('/api/v2/audit?outcome=refused');
  const of = (request_id: unknown) =>
    data
      .filter((record: Answer['body']) => record.request_id === request_id)
      .map(({ status, code, route }: Answer['body']) => [status, code, route]);
  assert.deepEqual(request_ids.map(of), [
    [[400, 'malformed_request', '/api/v2/api-keys']],
    [[400, 'malformed_request', '/api/v2/api-keys']],
    [[403, 'environment_mismatch', '/api/v2/api-keys']],
    [[404, 'not_found', undefined]],
    [[404, 'api_key_not_found', '/api/v2/api-keys/:key_id/revoke']],
  ]);
  const byPermission = await bank.get('/api/v2/audit?code=permission_missing');
  assert.deepEqual(
    byPermission.data.map(({ principal, permission, dry_run, request_id }: Answer['body']) => [
      principal.name,
      permission,
      dry_run,
      request_id,
    ]),
    [['reader', 'accounts:open', true, refused.headers['request-id']]],
  );
  const [{ address, principal }] = (await bank.get(`/api/v2/audit?code=address_not_allowed`)).data;
  assert.deepEqual([elsewhere.statusCode, address, principal.id], [403, '198.51.100.7', id]);
});

test('reads of what is confidential leave a record, others do not', async () => {
  const bank = await platform.newTenant();
  const account = await openAccount(bank);
  const count = async () => {
    const { rows } = await superuser.query<{ count: number }>(
      'select count(*)::integer from platform.audit_records where tenant_id = $1',
      [bank.scope.tenant_id],
    );
    return rows[0]?.count ?? 0;
  };
  const before = await count();
  for (const url of [
    '/api/v2/accounts',
    `/api/v2/accounts/${account}`,
    '/api/v2/transfers',
    '/api/v1/accounts',
  ]) {
    await bank.get(url);
  }
  assert.equal(await count(), before);
  const period = 'from=2026-01-01&to=2026-01-31';
  const statement = await bank.ask('GET', `/api/v2/accounts/${account}/statement?${period}`);
  for (const url of [
    `/api/v2/accounts/${account}/statement?${period}&format=csv`,
    `/api/v2/accounts/${account}/entries`,
    '/api/v2/api-keys',
    '/api/v2/audit',
    '/api/v2/audit/verify',
  ]) {
    await bank.get(url);
  }
  await bank.ask('GET', '/api/v2/attempts/none');
  assert.equal(await count(), before + 7);
  const { subject, path, method } = await recordOf(bank, statement);
  assert.deepEqual([subject, path, method], [account, `/api/v2/accounts/${account}/statement`, 'GET']);
});

test('who is not known stands in no trail, and is counted', async () => {
  const before = await platform.running.app.inject({ url: '/metrics' });
  const countOf = (text: string) => Number(/^http_unauthenticated_total (\d+)$/m.exec(text)?.[1]);
  const refused = await platform.running.app.inject({ method: 'POST', url: '/api/v2/accounts' });
  assert.equal(refused.statusCode, 401);
  const { body } = await platform.running.app.inject({ url: '/metrics' });
  assert.equal(countOf(body), countOf(before.body) + 1);
});

test('a record is there although the client left before its answer', async () => {
  const bank = await platform.newTenant();
  const { port } = new URL(platform.running.url);
  const body = JSON.stringify({ label: 'left behind' });
  // The request waits for the row of this key, and meanwhile its client goes away.
  await superuser.query('begin');
  await superuser.query('lock table platform.api_keys in exclusive mode');
  const socket = connect(Number(port), '127.0.0.1');
  const isWaiting = async () => {
    const { rowCount } = await superuser.query(
      `select from pg_locks where not granted and relation = 'platform.api_keys'::regclass
         and database = (select oid from pg_database where datname = current_database())`,
    );
    return (rowCount ?? 0) > 0;
  };
  try {
    socket.write(
      `POST /api/v2/api-keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bank.key}\r\nIdempotency-Key: left\r\n` +
        `Request-Id: left-behind-1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    while (!(await isWaiting())) await setTimeout(5);
    socket.destroy();
  } finally {
    await superuser.query('commit');
  }
  for (;;) {
    const { data } = await bank.get('/api/v2/audit?request_id=left-behind-1');
    if (data.length === 1) {
      assert.deepEqual([data[0].outcome, data[0].after.label], ['done', 'left behind']);
      break;
    }
    await setTimeout(5);
  }
});

test('the trail is searched, a page at a time, newest first, and nobody sees that of another', async () => {
  const bank = await platform.newTenant();
  const other = await platform.newTenant();
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) {
    ids.push((await bank.post('/api/v2/api-keys', { label: `key ${index}` })).id);
  }
  const first = await bank.get('/api/v2/audit?permission=api_keys:create&limit=2');
  const second = await bank.get(`/api/v2/audit?limit=3&cursor=${first.next_cursor}`);
  assert.deepEqual(
    [...first.data, ...second.data].map(({ subject }) => subject),
    ids.toReversed(),
  );
  assert.equal(second.next_cursor, null);
  const [, { id, occurred_at, principal }] = first.data;
  assert.deepEqual((await bank.get(`/api/v2/audit/${id}`)).id, id);
  const count = async (query: string) =>
    (await bank.get(`/api/v2/audit?permission=api_keys:create&${query}`)).data.length;
  assert.equal(await count(`principal=${principal.id}`), 5);
  assert.equal(await count('principal=key_other'), 0);
  assert.equal(await count(`subject=${ids[2]}`), 1);
  assert.equal(await count('outcome=failed'), 0);
  assert.equal(await count(`q=${ids[2]?.slice(-8).toUpperCase()}`), 1);
  assert.equal(await count(`q=${encodeURIComponent('%')}`), 0);
  const before = await count(`until=${occurred_at}`);
  const from = await count(`from=${occurred_at}`);
  assert.ok(from >= 2 && before + from === 5, `${before} and ${from}`);
  assert.equal(await count('from=1900-01-01T00:00:00Z&until=9999-12-31T23:59:59Z'), 5);

  assert.equal((await other.ask('GET', `/api/v2/audit/${id}`)).status, 404);
  assert.equal((await other.get(`/api/v2/audit?subject=${ids[2]}`)).data.length, 0);
  for (const query of [
    'from=yesterday',
    'permission=x',
    'outcome=good',
    'unknown=1',
    'limit=101',
    'cursor=x',
    'q=%00',
  ]) {
    assert.equal((await bank.ask('GET', `/api/v2/audit?${query}`)).status, 400, query);
  }
  const nosy = await createKey(platform.running.platform, bank.scope, {
    label: 'nosy',
    scopes: ['audit:read'],
  });
  const exported = await platform.running.app.inject({
    url: '/api/v2/audit/export?from=2026-01-01T00:00:00Z',
    headers: { authorization: `Bearer ${nosy}` },
  });
  assert.deepEqual([exported.statusCode, exported.json().permission], [403, 'audit:export']);
});

test('a period is exported as CSV or JSON lines, oldest first, with no formula in it', async () => {
  const bank = await platform.newTenant();
  const began = new Date(Date.now() - 1_000).toISOString();
  const evil = await createKey(platform.running.platform, bank.scope, { label: '=HYPERLINK("http://x")' });
  const ids: string[] = [];
  for (let index = 0; index < 205; index += 1) {
    const answer = await platform.running.app.inject({
      method: 'POST',
      url: '/api/v2/chart-of-accounts',
      headers: { authorization: `Bearer ${evil}`, 'request-id': `request-${index}` },
    });
    ids.push(String(answer.headers['request-id']));
  }
  const lines = await platform.running.app.inject({
    url: `/api/v2/audit/export?format=jsonl&from=${began}`,
    headers: { authorization: `Bearer ${bank.key}` },
  });
  assert.equal(lines.headers['content-type'], 'application/x-ndjson');
  const records = lines.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    records.map(({ request_id }) => request_id),
    ids,
  );
  assert.equal(records[0].principal.name, '=HYPERLINK("http://x")');

  const csv = await bank.ask('GET', `/api/v2/audit/export?from=${began}`);
  assert.match(
    csv.headers['content-disposition'] ?? '',
    /^attachment; filename="audit_sandbox_[\d_-]+\.csv"$/,
  );
  const [header, ...rows] = csv.text.trimEnd().split('\r\n');
  assert.match(header ?? '', /^id,occurred_at,recorded_at,principal_kind,/);
  // The export of the JSON lines stands in it, too.
  assert.equal(rows.length, 206);
  assert.ok(rows[0]?.includes(`"'=HYPERLINK(""http://x"")"`), rows[0]);

  const none = await bank.ask(
    'GET',
    '/api/v2/audit/export?from=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z',
  );
  assert.equal(none.text, `${header}\r\n`);
  const backwards = '/api/v2/audit/export?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z';
  assert.equal((await bank.ask('GET', backwards)).status, 400);
  assert.equal((await bank.ask('GET', '/api/v2/audit/export')).status, 400);
});

test('the trail of a running server is sealed by itself and is whole; what is tampered with is told', async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/api-keys', { label: 'x' });
  for (;;) {
    const report = await bank.get('/api/v2/audit/verify');
    assert.deepEqual(report.findings, []);
    // Each verification is recorded itself.
    if (report.sealed_records > 2) break;
    await setTimeout(50);
  }
  await superuser.query('begin');
  await superuser.query("set local session_replication_role = 'replica'");
  const { rows } = await superuser.query<{ id: string }>(
    `update platform.audit_records set principal_name = 'nobody'
     where tenant_id = $1 and permission = 'api_keys:create' returning id`,
    [bank.scope.tenant_id],
  );
  await superuser.query('commit');
  const report = await bank.get('/api/v2/audit/verify');
  const [record] = (await bank.get('/api/v2/audit?permission=api_keys:create')).data;
  assert.equal(rows.length, 1);
  assert.deepEqual(
    [report.ok, report.findings],
    [false, [{ subject: record.id, detail: 'is not as it was sealed' }]],
  );
});

/** A server whose trail cannot be written. */
async function withoutTrail(isFull: boolean): Promise<Api> {
  const caller: Caller = {
    tenant_id: newUuid(),
    environment: 'live',
    principal: { kind: 'key', id: 'key_1', name: 'test' },
    tenant_name: 'Test',
    base_currency: 'BRL',
    permissions: new Set(['things:read']),
    narrowed: [],
    plan: 'standard',
  };
  const publicUrl = () => 'http://localhost';
  const app = await buildServer({
    access: { identify: () => caller },
    permissions: openPermissions({ 'things:read': { meaning: 'See things' } }),
    log: pino({ level: 'silent' }),
    publicUrl,
  });
  const trail = {
    record: async () => false,
    intend: async () => newUuid(),
    isFull: () => isFull,
    stop: async () => {},
  };
  mountAudit(app, { trail, metrics: openMetrics(), publicUrl });
  const config = { permission: 'things:read' };
  app.post('/api/things', { config }, async () => ({ done: true }));
  app.get('/api/things', { config }, async () => ({ told: 'nothing much' }));
  app.get('/api/secrets', { config: { ...config, sensitive: true } }, async (_request, reply) =>
    reply.header('etag', '"1"').send({ told: 'a secret' }),
  );
  app.get('/api/files', { config: { ...config, sensitive: true } }, async (_request, reply) =>
    reply.type('text/csv').send(Readable.from(['a secret'])),
  );
  return app;
}
const headers = { authorization: 'Bearer fa_x' };

test('where the trail cannot be written, what was done is answered, and what is confidential is not told', async () => {
  const app = await withoutTrail(false);
  const done = await app.inject({ method: 'POST', url: '/api/things', headers });
  assert.deepEqual([done.statusCode, done.json()], [200, { done: true }]);
  assert.equal((await app.inject({ url: '/api/things', headers })).statusCode, 200);
  for (const url of ['/api/secrets', '/api/files']) {
    const kept = await app.inject({ url, headers });
    assert.deepEqual([kept.statusCode, kept.json().code], [503, 'unavailable'], url);
    assert.ok(!kept.body.includes('a secret'));
    assert.deepEqual([kept.headers['retry-after'], kept.headers['etag']], ['1', undefined]);
  }
  await app.close();
});

test('where too much waits for the trail, nothing is begun that needs a record', async () => {
  const app = await withoutTrail(true);
  const refused = await app.inject({ method: 'POST', url: '/api/things', headers });
  assert.deepEqual([refused.statusCode, refused.json().code], [503, 'unavailable']);
  assert.equal((await app.inject({ url: '/api/things', headers })).statusCode, 200);
  await app.close();
});
