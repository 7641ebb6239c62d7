/** The event feed: its catalogue, its pages, its stream. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Parser } from '@asyncapi/parser';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Client } from 'pg';
import { Compile } from 'typebox/compile';
import { createKey } from '../src/platform/access/access.ts';
import { eventTypesOf } from '../src/platform/boot.ts';
import { asyncApiOf } from '../src/platform/bus/asyncapi.ts';
import { breakingChanges } from '../src/platform/bus/compatibility.ts';
import { forgetEvents } from '../src/platform/bus/retention.ts';
import { newUuid, parseId } from '../src/platform/ids.ts';
import { addEvent } from '../src/platform/outbox.ts';
import { services } from '../src/services.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

let platform: TestPlatform;
let sql: Client;
before(async () => {
  platform = await openTestPlatform();
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  await platform.close();
});

/** JSON that a test looks into. */
type Json = Answer['body'];

const brl = (amount: string) => ({ amount, currency: 'BRL' });
const types = eventTypesOf(services);

async function openBank() {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  const open = async (chart_code: string, name: string) =>
    (await bank.post('/api/v2/accounts', { name, currency: 'BRL', chart_code, credit_limit: null })).id;
  return { bank, cash: await open('1', 'Cash'), ana: await open('2', 'Ana Souza') };
}

/** Everything that was carried, oldest first, once there are so many. */
async function all(bank: TestTenant, atLeast: number) {
  for (;;) {
    const { data } = await bank.get('/api/v2/events?after=0&limit=100');
    if (data.length >= atLeast) return data;
    await sleep(20);
  }
}

const transfer = (debit_account_id: string, credit_account_id: string, amount = '10.00') => ({
  debit_account_id,
  credit_account_id,
  amount: brl(amount),
});

test('whatever happens in the ledger is told by an event that is as its type says', async () => {
  const { bank, cash, ana } = await openBank();
  const posted = await bank.post('/api/v2/transfers', {
    ...transfer(cash, ana, '100.00'),
    description: 'Pay',
    metadata: { a: 'b' },
  });
  await bank.post(`/api/v2/transfers/${posted.id}/reversals`, { amount: brl('1.00') });
  const hold = async () =>
    (await bank.post('/api/v2/holds', { ...transfer(ana, cash), expires_at: '2099-01-01T00:00:00Z' })).id;
  const [captured, released, expiring] = [await hold(), await hold(), await hold()];
  await bank.post(`/api/v2/holds/${captured}/increments`, { amount: brl('1.00') });
  await bank.post(`/api/v2/holds/${captured}/extensions`, { expires_at: '2099-02-01T00:00:00Z' });
  await bank.post(`/api/v2/holds/${captured}/captures`, { amount: brl('5.00') });
  await bank.post(`/api/v2/holds/${released}/releases`, {});
  const etag = async () => (await bank.ask('GET', `/api/v2/accounts/${ana}`)).headers['etag'] ?? '';
  await bank.ask('PATCH', `/api/v2/accounts/${ana}`, { name: 'Ana Lima' }, { 'if-match': await etag() });
  await bank.post(`/api/v2/accounts/${ana}/freeze`);
  await bank.post(`/api/v2/accounts/${ana}/unfreeze`);
  const empty = await bank.post('/api/v2/accounts', { name: 'Empty', currency: 'BRL', chart_code: '2' });
  await bank.post(`/api/v2/accounts/${empty.id}/close`);
  const closed = await bank.post('/api/v2/period-closes', { through: '2020-12-31' });
  await bank.post(`/api/v2/period-closes/${closed.id}/reopen`, { reason: 'An invoice' });
  await bank.post('/api/v2/sandbox/clock/advance', { to: '2099-03-01T00:00:00Z' });
  for (;;) {
    const { data } = await bank.get('/api/v2/events?type=ledger.hold.expired');
    if (data.length > 0) break;
    await sleep(50);
  }
  const events = await all(bank, 19);
  assert.deepEqual(
    assertDeclared(events),
    Object.keys(types)
      .filter((name) => name.startsWith('ledger.'))
      .toSorted(),
  );
  const expired = events.filter(({ type }: { type: string }) => type === 'ledger.hold.expired');
  assert.deepEqual(
    new Set(expired.map(({ subject }: { subject: string }) => subject)),
    new Set([captured, expiring]),
  );
});

/** Asserts that each event is of a type that is declared, and as that says, and tells which types those are. */
function assertDeclared(events: Json[]): string[] {
  for (const event of events) {
    const type = types[event.type];
    assert.ok(type !== undefined, `${event.type} is in the catalogue`);
    const validator = Compile(type.data);
    assert.ok(
      validator.Check(event.data),
      `${event.type}: ${JSON.stringify(validator.Errors(event.data))} of ${JSON.stringify(event.data)}`,
    );
  }
  return [...new Set<string>(events.map(({ type }) => type))].toSorted();
}

test('whatever becomes of proposals and limits is told by an event that is as its type says', async () => {
  const { bank, ana } = await openBank();
  const second = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  const asSecond = async (url: string, body: object) => {
    const answer = await bank.ask('POST', url, body, { authorization: `Bearer ${second}` });
    assert.equal(answer.status, 200, answer.text);
  };
  const policy = await bank.ask('PUT', '/api/v2/approval-policies/accounts:freeze', {});
  assert.equal(policy.status, 201, policy.text);
  const propose = async (account: string): Promise<string> => {
    const { status, body, text } = await bank.ask('POST', `/api/v2/accounts/${account}/freeze`);
    assert.equal(status, 202, text);
    return `/api/v2/proposals/${body.id}`;
  };
  await asSecond(`${await propose(ana)}/reject`, { reason: 'no' });
  assert.equal((await bank.ask('POST', `${await propose(ana)}/cancel`)).status, 200);
  await asSecond(`${await propose(ana)}/approve`, {});
  const empty = await bank.post('/api/v2/accounts', { name: 'Empty', currency: 'BRL', chart_code: '2' });
  const failing = await propose(empty.id);
  await bank.post(`/api/v2/accounts/${empty.id}/close`);
  await asSecond(`${failing}/approve`, {});
  const late = await bank.post('/api/v2/accounts', { name: 'Late', currency: 'BRL', chart_code: '2' });
  const expiring = await propose(late.id);
  await sql.query(
    `update platform.proposals set expires_at = created_at + interval '1 microsecond', due_at = now() where id = $1`,
    [parseId('prp', expiring.slice(-30))],
  );
  await bank.post('/api/v2/plans', {
    name: 'five',
    windows: [{ name: 'hour', requests: 5, window_s: 3_600, per: 'application' }],
  });
  const { key } = await bank.post('/api/v2/api-keys', { label: 'five', plan: 'five' });
  for (let count = 0; count < 5; count += 1) {
    assert.equal(
      (await bank.ask('GET', '/api/v2/accounts', undefined, { authorization: `Bearer ${key}` })).status,
      200,
    );
  }
  const declared = Object.keys(types).filter((name) => name.startsWith('platform.'));
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { data } = await bank.get('/api/v2/events?after=0&limit=100&type=platform.*');
    const told = assertDeclared(data);
    if (told.length === declared.length) break;
    assert.ok(Date.now() < deadline, `told are ${told.join()}`);
    await sleep(50);
  }
});

test('an event that nothing declares is not taken, and what it would have told of is undone', async () => {
  const { bank } = await openBank();
  const db = platform.running.platform;
  await assert.rejects(
    db.write(bank.scope, (tx) =>
      // As a caller would have to who goes past the types.
      addEvent(tx, bank.scope, { type: Object('platform.nothing'), subject: 'x', data: {} }),
    ),
    /the platform declares no event platform\.nothing/,
  );
  const { rowCount } = await sql.query('select from platform.outbox where tenant_id = $1', [
    bank.scope.tenant_id,
  ]);
  assert.equal(rowCount, 0);
});

test('the catalogue is a valid AsyncAPI document, whose examples are as its schemas say', async () => {
  const served = await platform.running.app.inject({ method: 'GET', url: '/asyncapi.json' });
  const { document, diagnostics } = await new Parser().parse(served.body);
  assert.deepEqual(
    diagnostics
      .filter(({ severity }) => `${severity}` === '0')
      .map(({ message, path }) => `${path.join('/')}: ${message}`),
    [],
  );
  assert.equal(document?.messages().length, Object.keys(types).length);
  for (const [name, { data, example }] of Object.entries(types)) {
    const validator = Compile(data);
    assert.ok(validator.Check(example), `${name}: ${JSON.stringify(validator.Errors(example))}`);
    assert.match(name, /^[a-z_]+\.[a-z_]+\.[a-z_]+$/);
  }
});

test('a change of the catalogue that breaks who reads it is found, unless the version is raised', () => {
  const published: unknown = JSON.parse(
    readFileSync(new URL('../docs/generated/asyncapi.json', import.meta.url), 'utf8'),
  );
  const now: Json = JSON.parse(JSON.stringify(asyncApiOf(types, 'http://localhost:8080')));
  assert.deepEqual(breakingChanges(published, now), []);
  const changed = (change: (message: Json, messages: Json) => void): string[] => {
    const copy = structuredClone(now);
    change(copy.components.messages['ledger.transfer.posted'], copy.components.messages);
    return breakingChanges(now, copy);
  };
  const data = (message: Json) => message.payload.properties.data;
  assert.deepEqual(
    changed((_, messages) => delete messages['ledger.transfer.posted']),
    ['ledger.transfer.posted is gone'],
  );
  assert.deepEqual(
    changed((message) => delete data(message).properties.entries),
    ['ledger.transfer.posted/data/entries is gone'],
  );
  assert.deepEqual(
    changed((message) => (data(message).required = ['id'])),
    ['ledger.transfer.posted/data/entries was always there and may be absent'],
  );
  assert.match(
    changed((message) => (data(message).properties.entries = { type: 'string' })).join(),
    /was "array" and is "string"/,
  );
  assert.match(
    changed(
      (message) => delete data(message).properties.entries.items.properties.amount.properties.currency,
    ).join(),
    /amount\/currency is gone/,
  );
  assert.deepEqual(
    changed((message) => (data(message).properties.more = { type: 'string' })),
    [],
  );
  const account = (change: (properties: Json) => void) =>
    changed((_, messages) => change(data(messages['ledger.account.edited']).properties));
  // A limit that was an amount or none, and a status of three.
  assert.deepEqual(
    account((properties) => properties.credit_limit.anyOf.pop()),
    [],
  );
  assert.match(
    account((properties) => (properties.credit_limit.anyOf[0] = { type: 'string' })).join(),
    /credit_limit may be what it never was/,
  );
  assert.match(
    account((properties) => (properties.name = { anyOf: [{ type: 'string' }, { type: 'null' }] })).join(),
    /name may be what it never was/,
  );
  assert.deepEqual(
    account((properties) => properties.status.anyOf.push({ type: 'string', const: 'dormant' })),
    [],
  );
  assert.deepEqual(
    changed((message) => {
      delete data(message).properties.entries;
      message['x-version'] = 2;
    }),
    [],
  );
});

test('the feed is read by type, by subject, from a place on, and to its end', async () => {
  const { bank, cash, ana } = await openBank();
  const first = await bank.post('/api/v2/transfers', transfer(cash, ana));
  for (let n = 0; n < 4; n += 1) await bank.post('/api/v2/transfers', transfer(cash, ana));
  await all(bank, 7);
  const newest = await bank.get('/api/v2/events?limit=2');
  assert.deepEqual(
    newest.data.map(({ sequence }: { sequence: string }) => sequence),
    ['7', '6'],
  );
  const second = await bank.get(`/api/v2/events?limit=100&cursor=${newest.next_cursor}`);
  assert.deepEqual([second.data.length, second.next_cursor], [5, null]);
  const mine = await bank.get(`/api/v2/events?subject=${first.id}`);
  assert.deepEqual(
    mine.data.map(({ type, subject }: Record<string, string>) => [type, subject]),
    [['ledger.transfer.posted', first.id]],
  );
  assert.equal((await bank.get(`/api/v2/events/${mine.data[0].id}`)).subject, first.id);
  assert.equal((await bank.get('/api/v2/events?type=ledger.account.*')).data.length, 2);
  let page = await bank.get('/api/v2/events?after=2&limit=3');
  assert.deepEqual(
    page.data.map(({ sequence }: { sequence: string }) => sequence),
    ['3', '4', '5'],
  );
  page = await bank.get(`/api/v2/events?limit=3&cursor=${page.next_cursor}`);
  page = await bank.get(`/api/v2/events?limit=3&cursor=${page.next_cursor}`);
  assert.deepEqual(page.data, []);
  await bank.post('/api/v2/transfers', transfer(cash, ana));
  await all(bank, 8);
  assert.equal((await bank.get(`/api/v2/events?cursor=${page.next_cursor}`)).data[0].sequence, '8');
  const other = await platform.newTenant();
  assert.equal((await other.ask('GET', `/api/v2/events/${mine.data[0].id}`)).status, 404);
  assert.deepEqual((await other.get('/api/v2/events?after=0')).data, []);
  for (const bad of ['after=-1', 'after=x', 'type=%25', 'limit=0', 'cursor=x', 'subject=']) {
    assert.equal((await bank.ask('GET', `/api/v2/events?${bad}`)).status, 400, bad);
  }
});

test('whoever may not see personal data sees masks in events, and who may not read them none', async () => {
  const { bank, ana } = await openBank();
  await all(bank, 2);
  const keyWith = async (...scopes: string[]) => {
    const { key } = await bank.post('/api/v2/api-keys', { label: 'k', scopes });
    return { authorization: `Bearer ${key}` };
  };
  const masked = await bank.ask(
    'GET',
    `/api/v2/events?subject=${ana}`,
    undefined,
    await keyWith('events:read'),
  );
  assert.equal(masked.body.data[0].data.name, 'A•••');
  const refused = await bank.ask('GET', '/api/v2/events', undefined, await keyWith('accounts:read'));
  assert.deepEqual([refused.status, refused.body.code], [403, 'permission_missing']);
  assert.equal((await bank.get(`/api/v2/events?subject=${ana}`)).data[0].data.name, 'Ana Souza');
});

test('a place whose events are kept no more is refused, and the oldest is named', async () => {
  const { bank } = await openBank();
  await all(bank, 2);
  await sql.query('update platform.event_heads set forgotten = 2 where tenant_id = $1', [
    bank.scope.tenant_id,
  ]);
  const refused = await bank.ask('GET', '/api/v2/events?after=1');
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.oldest_sequence],
    [410, 'events_forgotten', 3],
  );
});

test('events are forgotten after their time, save what a consumer has yet to receive', async () => {
  const { bank } = await openBank();
  await all(bank, 2);
  const mine = [bank.scope.tenant_id];
  const db = platform.running.platform;
  const signal = new AbortController().signal;
  const before = new Date('2020-01-01T00:00:00Z');
  await sql.query("update platform.events set carried_at = '2019-12-31' where tenant_id = $1", mine);
  // Until those that consume in this process have received them.
  for (;;) {
    const { rows } = await sql.query('select coalesce(sum(lag), 0)::int as lag from platform.consumer_lag()');
    if (rows[0].lag === 0) break;
    await sleep(10);
  }
  await sql.query("insert into platform.consumer_offsets select 'slow', n, 0 from generate_series(0, 15) n");
  assert.equal(await forgetEvents(db, before, signal), 0);
  await sql.query("delete from platform.consumer_offsets where consumer = 'slow'");
  assert.equal(await forgetEvents(db, before, signal), 2);
  assert.equal((await bank.ask('GET', '/api/v2/events?after=1')).body.oldest_sequence, 3);
  assert.deepEqual((await bank.get('/api/v2/events?after=0')).data, []);
});

test('after a sandbox was emptied, whoever goes on from before is told of the gap', async () => {
  const { bank } = await openBank();
  await all(bank, 2);
  await bank.post('/api/v2/sandbox/reset', {});
  const refused = await bank.ask('GET', '/api/v2/events?after=1');
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.oldest_sequence],
    [410, 'events_forgotten', 3],
  );
  assert.deepEqual((await bank.get('/api/v2/events?after=2')).data, []);
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  await bank.post('/api/v2/accounts', { name: 'New', currency: 'BRL', chart_code: '1' });
  const [first] = await all(bank, 1);
  assert.equal(first.sequence, '3');
});

/** Reads a stream until there are so many events, and ends it. */
async function stream(key: string, query: string, wanted: number, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const answer = await fetch(`${platform.running.url}/api/v2/events/stream${query}`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
    signal: abort.signal,
  });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  const seen: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => seen.push(event) });
  const decoder = new TextDecoder();
  for await (const piece of answer.body ?? []) {
    parser.feed(decoder.decode(piece, { stream: true }));
    if (seen.length >= wanted) break;
  }
  abort.abort();
  return seen;
}

test('the stream tells events as they come, and goes on after the last that was seen', async () => {
  const { bank, cash, ana } = await openBank();
  await all(bank, 2);
  const live = stream(bank.key, '?type=ledger.transfer.*', 2);
  await sleep(100);
  await bank.post('/api/v2/transfers', transfer(cash, ana));
  await bank.post('/api/v2/transfers', transfer(cash, ana));
  assert.deepEqual(
    (await live).map(({ id, event }) => [id, event]),
    [
      ['3', 'ledger.transfer.posted'],
      ['4', 'ledger.transfer.posted'],
    ],
  );
  const again = await stream(bank.key, '', 2, { 'last-event-id': '2' });
  assert.deepEqual(
    again.map(({ id }) => id),
    ['3', '4'],
  );
  const whole = await stream(bank.key, '?after=0', 4);
  assert.deepEqual(
    whole.map(({ id }) => id),
    ['1', '2', '3', '4'],
  );
  assert.equal(JSON.parse(whole[0]?.data ?? '{}').subject, cash);
});

test('a stream ends when its key is revoked, and one caller may not open too many', async () => {
  const { bank } = await openBank();
  const created = await bank.post('/api/v2/api-keys', { label: 'streamer', scopes: ['events:read'] });
  const answer = await fetch(`${platform.running.url}/api/v2/events/stream`, {
    headers: { authorization: `Bearer ${created.key}` },
  });
  const ended = answer.text();
  await bank.post(`/api/v2/api-keys/${created.id}/revoke`);
  assert.match(await ended, /events follow/);
  const key = await createKey(platform.running.platform, bank.scope, { label: newUuid() });
  const abort = new AbortController();
  const ask = () =>
    fetch(`${platform.running.url}/api/v2/events/stream`, {
      headers: { authorization: `Bearer ${key}` },
      signal: abort.signal,
    });
  const head = { method: 'HEAD', headers: { authorization: `Bearer ${key}` } };
  // No stream, of which there would be nothing to read; `stream` is then no id of an event either.
  assert.equal((await fetch(`${platform.running.url}/api/v2/events/stream`, head)).status, 400);
  const asked = await Promise.all(Array.from({ length: 14 }, ask));
  assert.equal(asked.filter(({ status }) => status === 200).length, 10);
  assert.equal(asked.filter(({ status }) => status === 429).length, 4);
  const refused = await ask();
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5']);
  abort.abort();
});

test('whoever proves anew with each request keeps the stream that they began', async () => {
  const { bank, cash, ana } = await openBank();
  await all(bank, 2);
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const device = await bank.post('/api/v2/devices', {
    label: 'till',
    public_key: await exportJWK(publicKey),
    permissions: ['events:read'],
  });
  const token = await new SignJWT({ jti: newUuid() })
    .setProtectedHeader({ alg: 'ES256', typ: 'device+jwt' })
    .setSubject(device.id)
    .setAudience(platform.running.url)
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(privateKey);
  const seen = stream('', '', 1, { authorization: `Device ${token}` });
  // Longer than access is believed without asking.
  await sleep(2_500);
  await bank.post('/api/v2/transfers', transfer(cash, ana));
  assert.deepEqual(
    (await seen).map(({ id }) => id),
    ['3'],
  );
  const other = stream('', '?after=0', 99, { authorization: `Device ${token}` });
  await assert.rejects(other, /401/, 'the token itself is good once');
});
