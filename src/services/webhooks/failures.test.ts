/** Endpoints that fail: tried again, given up, disabled with a notice, sent again; and addresses that are not asked. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { Check } from 'typebox/value';
import { parseId } from '../../platform/ids.ts';
import { services } from '../../services.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { EndpointDisabled } from './events.ts';
import { webhooksWith } from './service.ts';
import {
  arrived,
  eventually,
  openAccount,
  openReceiver,
  type Received,
  type Receiver,
  settled,
} from './testing.ts';

const at = '/api/v2/webhooks/endpoints';
const deliveries = '/api/v2/webhooks/deliveries';
type Json = Answer['body'];

let platform: TestPlatform;
let receiver: Receiver;
let sql: Client;
/** How requests to a path are answered; with 204 where nothing is said. */
const answers = new Map<string, (response: ServerResponse, received: Received) => void>();
/** What was asked about waits: after how many failures, and what the endpoint wanted. */
const asked: [failures: number, retry_after_ms: number | undefined][] = [];

before(async () => {
  const webhooks = webhooksWith({
    timeout_ms: 4_000,
    attempts: 3,
    wait_ms: (failures, retry_after_ms) => {
      asked.push([failures, retry_after_ms]);
      return 5;
    },
  });
  receiver = await openReceiver((received, response) => {
    const answer = answers.get(received.path);
    if (answer === undefined) response.writeHead(204).end();
    else answer(response, received);
  });
  platform = await openTestPlatform({ OUTGOING_ALLOW: '127.0.0.1/32' }, {}, [
    ...services.filter(({ name }) => name !== 'webhooks'),
    webhooks,
  ]);
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  receiver.close();
  await platform.close();
});

let paths = 0;
async function newEndpoint(bank: TestTenant, more: object = {}): Promise<Json> {
  paths += 1;
  const path = `/hooks/${paths}`;
  const body = { url: `${receiver.url}${path}`, event_types: ['ledger.*'], ...more };
  return { path, ...(await bank.post(at, body)) };
}

const uuidOf = (id: string) => parseId('dlv', id) ?? parseId('whk', id) ?? assert.fail(id);
const status =
  (code: number, headers: Record<string, string> = {}, body = '') =>
  (response: ServerResponse) =>
    void response.writeHead(code, headers).end(body);

test('what fails is tried again and given up; every attempt is listed, and it can be sent again', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank);
  answers.set(
    path,
    status(500, { 'content-type': 'text/plain', 'set-cookie': 'a=b' }, `no ${'x'.repeat(5_000)}`),
  );
  await openAccount(bank);
  const failed = await settled(bank, `endpoint_id=${id}`, 'failed');
  assert.equal(failed.attempts, 3);
  assert.deepEqual(
    failed.attempted.map(({ number, failure }: Json) => [number, failure]),
    [1, 2, 3].map((number) => [number, 'It answered 500.']),
  );
  const [{ answer, request }] = failed.attempted;
  assert.deepEqual(
    [answer.status, answer.headers['content-type'], answer.body.length],
    [500, 'text/plain', 1_024],
  );
  assert.equal(answer.headers['set-cookie'], undefined);
  assert.equal(request.url, `${receiver.url}${path}`);
  assert.equal(request.headers['webhook-id'], failed.event_id);
  assert.equal(request.headers['webhook-signature'], undefined);
  assert.equal(failed.body.id, failed.event_id);
  // The same event each time, signed anew.
  const sent = receiver.at(path);
  assert.equal(new Set(sent.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.ok((await bank.get(`${at}/${id}`)).failing_since !== undefined);

  answers.delete(path);
  const again = await bank.ask('POST', `${deliveries}/${failed.id}/resend`, undefined, {
    'idempotency-key': 'again',
  });
  assert.deepEqual([again.status, again.body.id], [200, failed.id]);
  const delivered = await settled(bank, `endpoint_id=${id}`, 'delivered');
  assert.deepEqual([delivered.id, delivered.attempts], [failed.id, 4]);
  assert.equal((await bank.get(`${at}/${id}`)).failing_since, undefined);
  const repeated = await bank.ask('POST', `${deliveries}/${failed.id}/resend`, undefined, {
    'idempotency-key': 'again',
  });
  assert.equal(repeated.headers['idempotent-replayed'], 'true');
  assert.equal(receiver.at(path).length, 4);
});

test('Retry-After is heeded', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank);
  let times = 0;
  answers.set(path, (response) => {
    times += 1;
    status(times === 1 ? 429 : 204, { 'retry-after': '7321' })(response);
  });
  await openAccount(bank);
  const { attempted } = await settled(bank, `endpoint_id=${id}`, 'delivered');
  assert.equal(attempted[0].answer.headers['retry-after'], '7321');
  assert.ok(asked.some(([failures, wait_ms]) => failures === 1 && wait_ms === 7_321_000));
});

test('410 disables at once, which is told; what is missed meanwhile is sent when it is asked for', async () => {
  const bank = await platform.newTenant();
  const gone = await newEndpoint(bank, { url: `${receiver.url}/gone?token=of-theirs` });
  const told = await newEndpoint(bank, { event_types: ['webhooks.*'] });
  const all = await newEndpoint(bank, { event_types: ['*'] });
  answers.set('/gone?token=of-theirs', status(410));
  const first = await openAccount(bank);
  const disabled = await eventually('it is disabled', async () => {
    const found = await bank.get(`${at}/${gone.id}`);
    return found.status === 'disabled' ? found : undefined;
  });
  assert.equal(disabled.disabled_reason, 'gone');
  const event = await eventually('it is told', async () => {
    return (await bank.get('/api/v2/events?type=webhooks.endpoint.disabled')).data[0];
  });
  assert.equal(event.subject, gone.id);
  assert.ok(Check(EndpointDisabled, event.data), JSON.stringify(event.data));
  assert.deepEqual(event.data, {
    endpoint_id: gone.id,
    url: `${receiver.url}/gone`,
    application_id: null,
    reason: 'gone',
    failing_since: disabled.failing_since,
    disabled_at: disabled.disabled_at,
  });
  const [heard] = await arrived(receiver, 1, told.path);
  assert.equal(heard?.event.id, event.id);

  const second = await openAccount(bank);
  await arrived(receiver, 2, all.path);
  const refused = await bank.ask('POST', `${at}/${gone.id}/test`);
  assert.deepEqual([refused.status, refused.body.code], [409, 'webhook_endpoint_disabled']);
  answers.delete('/gone?token=of-theirs');
  const enabled = await bank.post(`${at}/${gone.id}/enable`);
  assert.deepEqual(
    [enabled.status, enabled.disabled_reason, enabled.failing_since],
    ['enabled', undefined, undefined],
  );
  const key = { 'idempotency-key': 'since' };
  const resend = await bank.post(`${at}/${gone.id}/resends`, { from: disabled.failing_since }, key);
  // The first is older than the first failure.
  assert.equal(resend.resent, 1);
  const whole = await bank.post(`${at}/${gone.id}/resends`, { from: '2020-01-01T00:00:00Z' });
  assert.equal(whole.resent, 1);
  const sent = await arrived(receiver, 3, '/gone?token=of-theirs');
  assert.deepEqual(new Set(sent.slice(1).map((one) => one.event.subject)), new Set([first, second]));
  assert.equal(
    (await bank.post(`${at}/${gone.id}/resends`, { from: disabled.failing_since }, key)).id,
    resend.id,
  );
  // All that happened but what webhooks tell of themselves.
  assert.deepEqual(
    receiver.at(all.path).map((one) => one.event.type),
    ['ledger.account.opened', 'ledger.account.opened'],
  );
});

test('an endpoint that did nothing but fail for five days is disabled, which is told', async () => {
  const bank = await platform.newTenant();
  const failing = async (since: string) => {
    const { id, path } = await newEndpoint(bank);
    answers.set(path, status(503));
    await sql.query(
      `update webhooks.endpoints set failing_since = now() - $2::interval where url like '%' || $1`,
      [path, since],
    );
    return id;
  };
  const [long, short] = [await failing('121 hours'), await failing('119 hours')];
  await openAccount(bank);
  await settled(bank, `endpoint_id=${short}`, 'failed');
  const event = await eventually('it is told', async () => {
    return (await bank.get('/api/v2/events?type=webhooks.endpoint.disabled')).data[0];
  });
  assert.deepEqual([event.data.endpoint_id, event.data.reason], [long, 'failing']);
  assert.equal((await bank.get('/api/v2/events?type=webhooks.endpoint.disabled')).data.length, 1);
  assert.equal((await bank.get(`${at}/${long}`)).disabled_reason, 'failing');
  assert.equal((await bank.get(`${at}/${short}`)).status, 'enabled');
});

test('in order: what is about one thing waits for what was before it, and nothing else does', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank, { ordered: true, event_types: ['ledger.account.*'] });
  let stuck = true;
  const first = await openAccount(bank);
  await arrived(receiver, 1, path);
  answers.set(path, (response, { event }) => {
    status(stuck && event.subject === first ? 500 : 204)(response);
  });
  const rename = (account: string, name: string) =>
    bank.ask('PATCH', `/api/v2/accounts/${account}`, { name }, { 'if-match': '*' });
  for (const name of ['A', 'B', 'C']) await rename(first, name);
  const other = await openAccount(bank);
  await eventually('the other arrives', () => receiver.at(path).find(({ event }) => event.subject === other));
  const failed = await settled(bank, `endpoint_id=${id}`, 'failed');
  // The second goes as soon as the first is given up, and the third as soon as the second is.
  await eventually('all are given up', async () =>
    (await bank.get(`${deliveries}?endpoint_id=${id}&status=failed`)).data.length === 3 ? true : undefined,
  );
  const tried = () => receiver.at(path).filter(({ event }) => event.subject === first);
  assert.deepEqual(
    tried().map(({ event }) => event.data.name),
    ['A•••', ...['A', 'B', 'C'].flatMap((name) => Array.from({ length: 3 }, () => `${name}•••`))],
  );
  stuck = false;
  const { resent } = await bank.post(`${at}/${id}/resends`, { from: failed.event_time });
  assert.ok(resent >= 2);
  await bank.post(`${at}/${id}/resends`, { from: '2020-01-01T00:00:00Z' });
  await eventually('all are delivered', async () =>
    (await bank.get(`${deliveries}?endpoint_id=${id}&status=delivered`)).data.length === 5 ? true : undefined,
  );
  const order = tried()
    .slice(10)
    .map(({ event }) => Number(event.sequence));
  assert.equal(order.length, 3);
});

test('in order: what happens to three things at once arrives in its order, though every third fails at first', async () => {
  const bank = await platform.newTenant();
  const { path } = await newEndpoint(bank, { ordered: true, event_types: ['ledger.account.edited'] });
  const got = new Map<string, number[]>();
  const failed = new Set<string>();
  answers.set(path, (response, { event }) => {
    if (Number(event.sequence) % 3 === 0 && !failed.has(event.id)) {
      failed.add(event.id);
      status(500)(response);
      return;
    }
    const own = got.get(event.subject) ?? [];
    got.set(event.subject, own);
    const sequence = Number(event.sequence);
    if (own.at(-1) !== sequence) own.push(sequence);
    status(204)(response);
  });
  const accounts = [await openAccount(bank), await openAccount(bank), await openAccount(bank)];
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(
      accounts.map((account) =>
        bank.ask('PATCH', `/api/v2/accounts/${account}`, { name: `N${round}` }, { 'if-match': '*' }),
      ),
    );
  }
  await eventually('all arrive', () =>
    accounts.every((account) => got.get(account)?.length === 20) ? true : undefined,
  );
  for (const own of got.values())
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
    );
});

test('addresses within our network are not asked, nor redirects followed; the attempt says why', async () => {
  const bank = await platform.newTenant();
  const { path } = await newEndpoint(bank);
  answers.set('/redirects', status(302, { location: `${receiver.url}${path}` }));
  answers.set('/silent', () => {});
  const reasons = new Map<string, RegExp>([
    ['https://127.0.0.2/x', /^127\.0\.0\.2 does not lie in the public Internet\.$/],
    ['https://[::1]/x', /does not lie in the public Internet/],
    ['https://169.254.169.254/latest/meta-data', /does not lie in the public Internet/],
    ['https://10.0.0.1:22/', /^Port 22 is not asked/],
    ['http://127.0.0.2/x', /is asked over https only/],
    [`${receiver.url}/redirects`, /^It answered 302; redirects are not followed\.$/],
    [`${receiver.url}/silent`, /^No answer came within 4 seconds\.$/],
    [receiver.url.replace('http:', 'https:'), /^TLS failed/],
  ]);
  for (const [url, reason] of reasons) {
    const { id } = await bank.post(at, { url, event_types: ['*'] });
    await bank.post(`${at}/${id}/test`);
    const { attempted } = await settled(bank, `endpoint_id=${id}`, 'failed');
    assert.match(attempted[0].failure, reason, url);
    // A test is not tried again.
    assert.equal(attempted.length, 1);
  }
  assert.equal(receiver.at(path).length, 0);
});

test('order that is wanted while something is under way is kept from then on, and nothing waits for ever', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank, { event_types: ['ledger.account.*'] });
  const held: ServerResponse[] = [];
  answers.set(path, (response) => void held.push(response));
  const account = await openAccount(bank);
  await eventually('the first is under way', () => (held.length === 1 ? true : undefined));
  const edit = (body: object) => bank.ask('PATCH', `${at}/${id}`, body, { 'if-match': '*' });
  assert.equal((await edit({ ordered: true })).status, 200);
  for (const name of ['A', 'B']) {
    await bank.ask('PATCH', `/api/v2/accounts/${account}`, { name }, { 'if-match': '*' });
  }
  await eventually('two wait', async () =>
    (await bank.get(`${deliveries}?endpoint_id=${id}&status=waiting`)).data.length === 2 ? true : undefined,
  );
  answers.delete(path);
  for (const response of held) response.writeHead(204).end();
  await eventually('all are delivered', async () =>
    (await bank.get(`${deliveries}?endpoint_id=${id}&status=delivered`)).data.length === 3 ? true : undefined,
  );
});

test('the trace of what caused an event goes out with it', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank);
  await openAccount(bank);
  const { id: delivery } = await settled(bank, `endpoint_id=${id}`, 'delivered');
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await sql.query('update webhooks.deliveries set traceparent = $2 where id = $1', [
    uuidOf(delivery),
    traceparent,
  ]);
  await bank.post(`${deliveries}/${delivery}/resend`);
  const [first, again] = await arrived(receiver, 2, path);
  assert.deepEqual([first?.headers['traceparent'], again?.headers['traceparent']], [undefined, traceparent]);
});

test('what was sent is forgotten after a month, and a deleted endpoint with the last of it', async () => {
  const bank = await platform.newTenant();
  const { id } = await newEndpoint(bank);
  const deleted = await newEndpoint(bank);
  await openAccount(bank);
  await openAccount(bank);
  const both = async (of: string) => {
    const { data } = await bank.get(`${deliveries}?endpoint_id=${of}&status=delivered`);
    return data.length === 2 ? data : undefined;
  };
  const [, older] = await eventually('both are delivered', () => both(id));
  await eventually('both are delivered', () => both(deleted.id));
  await bank.ask('DELETE', `${at}/${deleted.id}`);
  const ids = [uuidOf(older.id), uuidOf(deleted.id)];
  await sql.query(
    `update webhooks.deliveries set finished_at = now() - interval '31 days' where id = $1 or endpoint_id = $2`,
    ids,
  );
  await sql.query("update webhooks.endpoints set deleted_at = now() - interval '2 days' where id = $1", [
    ids[1],
  ]);
  await bank.post('/api/v2/jobs/webhooks.remove_old_deliveries/run');
  const run = await eventually('the job has run', async () => {
    const { data } = await bank.get('/api/v2/jobs/webhooks.remove_old_deliveries/runs?outcome=succeeded');
    return data[0];
  });
  assert.deepEqual(run.did, { deliveries: 3 });
  const { data } = await bank.get(deliveries);
  assert.equal(data.length, 1);
  assert.notEqual(data[0].id, older.id);
  const { rows } = await sql.query(
    `select (select count(*)::int from webhooks.attempts where tenant_id = $1) as attempts,
       (select count(*)::int from webhooks.endpoints where tenant_id = $1) as endpoints`,
    [bank.scope.tenant_id],
  );
  assert.deepEqual(rows, [{ attempts: 1, endpoints: 1 }]);
});

test('how sending stands is measured', async () => {
  const bank = await platform.newTenant();
  const { id } = await newEndpoint(bank);
  const read = async (name: string) => {
    const { text } = await bank.ask('GET', '/metrics');
    return Number(new RegExp(`^webhooks_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  };
  const before = await read('endpoints_disabled');
  await bank.post(`${at}/${id}/disable`);
  assert.equal(await read('endpoints_disabled'), before + 1);
  assert.equal(await read('deliveries_due'), 0);
  assert.equal(await read('oldest_due_seconds'), 0);
  for (const outcome of ['delivered', 'retrying', 'given_up']) {
    assert.ok(
      (await read(`deliveries_total{outcome="${outcome}"}`.replaceAll(/[{}"]/g, '\\$&'))) > 0,
      outcome,
    );
  }
});

test('nothing is sent for a tenant that is suspended; what was due is sent once it is resumed', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank);
  const { tenant_id } = bank.scope;
  // Its next attempt is due when it is suspended already.
  answers.set(path, (response) => {
    void sql
      .query(
        "update platform.tenants set status = 'suspended', suspended_at = now(), suspended_reason = 'x' where tenant_id = $1",
        [tenant_id],
      )
      .finally(() => response.writeHead(500).end());
  });
  await openAccount(bank);
  await eventually('the attempt has failed', async () => {
    const { rows } = await sql.query(
      "select from webhooks.deliveries where tenant_id = $1 and attempts = 1 and status = 'pending' and next_attempt_at < now()",
      [tenant_id],
    );
    return rows.length === 1 ? true : undefined;
  });
  const other = await platform.newTenant();
  const theirs = await newEndpoint(other);
  await openAccount(other);
  await settled(other, `endpoint_id=${theirs.id}`, 'delivered');
  assert.equal(receiver.at(path).length, 1);
  answers.delete(path);
  await sql.query(
    "update platform.tenants set status = 'active', suspended_at = null, suspended_reason = null where tenant_id = $1",
    [tenant_id],
  );
  const delivered = await settled(bank, `endpoint_id=${id}`, 'delivered');
  assert.deepEqual([delivered.attempts, receiver.at(path).length], [2, 2]);
});
