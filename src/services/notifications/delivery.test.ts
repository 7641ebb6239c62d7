/** That nothing is lost or sent by two: killed processes, two processes, providers that fail, and webhooks. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { Client } from 'pg';
import { Webhook } from 'standardwebhooks';
import { startServer } from '../../../tests/server.ts';
import { boot } from '../../platform/boot.ts';
import { readConfig } from '../../platform/config.ts';
import { parseId } from '../../platform/ids.ts';
import { services } from '../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import {
  eventually,
  type MailServer,
  openNotices,
  reasonsOf,
  smtpError,
  startMailServer,
} from './testing.ts';

const SMTP_FROM = 'no-reply@bank.example';
const TOKEN = 'token-of-the-provider';

let mail: MailServer;
/** A partner's HTTP server: the provider of SMS, and where webhooks go. */
let partner: Server;
let address: string;
let asked: { path: string; headers: IncomingHttpHeaders; body: string }[] = [];
/** What each request is answered with: a status, and a body. */
let answers: [status: number, body?: object][] = [];
let platform: TestPlatform;
let superuser: Client;
let bank: TestTenant;
let notices: ReturnType<typeof openNotices>;

before(async () => {
  mail = await startMailServer();
  partner = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      asked.push({
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(parts).toString(),
      });
      const [status, body = {}] = answers.shift() ?? [200];
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  partner.listen(0, '127.0.0.1');
  await once(partner, 'listening');
  const bound = partner.address();
  address = `http://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`;
  platform = await openTestPlatform({
    SMTP_URL: mail.url,
    SMTP_FROM,
    OUTGOING_ALLOW: '127.0.0.1',
    SMS_PROVIDER_URL: `${address}/sms`,
    SMS_PROVIDER_TOKEN: TOKEN,
  });
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
  partner.closeAllConnections();
  partner.close();
  await mail.close();
});
beforeEach(async () => {
  bank = await platform.newTenant();
  notices = openNotices(bank);
  asked = [];
  answers = [];
  mail.received.length = 0;
  mail.attempts = 0;
  mail.answer = () => undefined;
});

/** Waits until an attempt has failed, and lets the pause after it be over. */
async function failedOnce(id: string): Promise<void> {
  await eventually(async () => ((await notices.get(id)).steps.length >= 2 ? true : undefined));
  await bank.post('/api/v2/sandbox/clock/advance', { seconds: 10 });
}

test('a provider of SMS that fails is asked again with the same id, and what it refuses has failed', async () => {
  const to = await notices.recipient({ phone: '+5511999990000' });
  answers = [[503], [202, { id: 'sms-1' }]];
  const [message] = await notices.send(to, { channels: ['sms'] });
  await failedOnce(message.id);
  const sent = await notices.settled(message.id);
  assert.deepEqual(
    [sent.state, sent.delivered_by, sent.provider_id, sent.attempts],
    ['sent', 'http', 'sms-1', 2],
  );
  assert.deepEqual(reasonsOf(sent), ['due', 'provider_failed', 'sent']);
  assert.match(
    sent.steps[1].detail,
    /^The provider answered 503\. That was attempt 1; the next is in 5 s\.$/,
  );
  assert.equal(asked.length, 2);
  for (const { path, headers, body } of asked) {
    assert.equal(path, '/sms');
    assert.deepEqual(JSON.parse(body), { id: message.id, to: '+5511999990000', text: 'On Friday' });
    assert.deepEqual([headers.authorization, headers['idempotency-key']], [`Bearer ${TOKEN}`, message.id]);
  }
  answers = [[422, { error: 'no such number' }]];
  const [wrong] = await notices.send(to, { channels: ['sms'] });
  const failed = await notices.settled(wrong.id);
  assert.deepEqual([failed.state, reasonsOf(failed)], ['failed', ['due', 'provider_refused']]);

  const metrics = await platform.running.app.inject('/metrics');
  for (const line of [
    'notifications_messages_total{channel="sms",outcome="sent"} 1',
    'notifications_messages_total{channel="sms",outcome="retried"} 1',
    'notifications_messages_total{channel="sms",outcome="failed"} 1',
    'notifications_due 0',
    'notifications_oldest_due_seconds 0',
  ]) {
    assert.ok(
      metrics.body.includes(`${line}\n`),
      `${line} is not in\n${metrics.body.match(/^notifications.*$/gm)?.join('\n')}`,
    );
  }
});

test('a message that failed too often is given up, and says so', async () => {
  const to = await notices.recipient({ phone: '+5511999990000' });
  answers = Array.from({ length: 20 }, () => [500]);
  const [message] = await notices.send(to, { channels: ['sms'] });
  const given = await eventually(async () => {
    const found = await notices.get(message.id);
    if (found.state === 'failed') return found;
    await bank.post('/api/v2/sandbox/clock/advance', { seconds: 3_700 });
    return undefined;
  });
  assert.deepEqual([given.attempts, asked.length, reasonsOf(given).at(-1)], [9, 9, 'given_up']);
});

test('webhooks are signed, and the secret is told once', async () => {
  const webhook_url = `${address}/hook`;
  const to = await notices.recipient({ webhook_url });
  const [unsigned] = await notices.send(to, { channels: ['webhook'] });
  const refused = await notices.settled(unsigned.id);
  assert.deepEqual([refused.state, reasonsOf(refused)], ['failed', ['due', 'no_webhook_secret']]);
  assert.equal(asked.length, 0);

  const path = `/api/v2/notifications/recipients/${to}/webhook-secrets`;
  const headers = { 'idempotency-key': 'secret-1' };
  const { secret } = await bank.post(path, undefined, headers);
  assert.match(secret, /^whsec_/);
  const again = await bank.ask('POST', path, undefined, headers);
  assert.deepEqual([again.headers['idempotent-replayed'], again.body.secret], ['true', undefined]);
  const { rows } = await superuser.query(
    'select secret from notifications.webhook_secrets where recipient_id = $1',
    [parseId('rcp', to)],
  );
  assert.match(rows[0].secret, /^v1\./);
  assert.ok(!rows[0].secret.includes(secret.slice(6)));

  answers = [[404], [200]];
  const [message] = await notices.send(to, { channels: ['webhook'] });
  await failedOnce(message.id);
  const sent = await notices.settled(message.id);
  assert.deepEqual([sent.state, sent.delivered_by, sent.attempts], ['sent', 'webhook', 2]);
  for (const request of asked) {
    const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
    const given = Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
    const body = Object(new Webhook(secret).verify(request.body, given));
    assert.equal(given['webhook-id'], message.id);
    assert.equal(body.type, 'notification.announcement');
    assert.deepEqual(body.data, {
      id: message.id,
      topic: 'announcement',
      language: 'en',
      subject: 'Closed',
      text: 'On Friday',
      data: { title: 'Closed', message: 'On Friday' },
    });
    assert.throws(() => new Webhook(secret).verify(request.body.replace('Friday', 'Monday'), given));
  }
  answers = [[410]];
  const [gone] = await notices.send(to, { channels: ['webhook'] });
  assert.deepEqual(reasonsOf(await notices.settled(gone.id)), ['due', 'provider_refused']);
  // An address within the installation is not asked.
  await notices.edit(to, { webhook_url: 'http://169.254.169.254/latest/meta-data' });
  const [inside] = await notices.send(to, { channels: ['webhook'] });
  const kept = await notices.settled(inside.id);
  assert.deepEqual([kept.state, reasonsOf(kept)], ['failed', ['due', 'address_refused']]);
});

test('of two processes each message is sent by one', async () => {
  const MESSAGES = 60;
  const other = await startMailServer();
  const second = await boot(
    readConfig({
      DATABASE_URL: platform.url,
      PORT: '0',
      DEMO: 'false',
      LOG_LEVEL: 'error',
      SMTP_URL: other.url,
      SMTP_FROM,
    }),
    services,
  );
  try {
    // Slow enough for both to take part.
    const slowly = () => new Promise<undefined>((resolve) => void setTimeout(() => resolve(undefined), 250));
    mail.answer = slowly;
    other.answer = slowly;
    const to = await notices.recipient();
    const made = await Promise.all(Array.from({ length: MESSAGES }, () => notices.send(to)));
    await eventually(async () => {
      const { data } = await bank.get('/api/v2/notifications/messages?limit=100&state=sent');
      return data.length === MESSAGES ? true : undefined;
    });
    const ids = (server: MailServer) => server.received.map((received) => received.mail.messageId ?? '');
    assert.deepEqual(
      [...ids(mail), ...ids(other)].toSorted(),
      made.map(([message]) => `<${message?.id}@bank.example>`).toSorted(),
    );
    assert.ok(ids(mail).length > 0 && ids(other).length > 0, `${ids(mail).length} and ${ids(other).length}`);
  } finally {
    await second.stop();
    await other.close();
  }
});

test('a process that is killed while it sends loses nothing: another sends it when the lease is over', async () => {
  const MESSAGES = 40;
  // Everything but notifications: what sends is another process, which can be killed.
  const bare = await openTestPlatform({ SERVICES: 'identity,ledger' });
  const sql = new Client({ connectionString: bare.url });
  await sql.connect();
  const settings = { DATABASE_URL: bare.url, SMTP_URL: mail.url, SMTP_FROM, DEMO: 'false' };
  const servers: Awaited<ReturnType<typeof startServer>>[] = [];
  try {
    const tenant = await bare.newTenant();
    const { promise: never, resolve: release } = Promise.withResolvers<undefined>();
    // The first ones are sent; then the mail server has the mail and does not say so.
    mail.answer = (attempt) => (attempt <= 5 ? undefined : never);
    const first = await startServer(settings);
    servers.push(first);
    const at = (server: { url: string }) => async (path: string, body?: object) => {
      const answer = await fetch(`${server.url}/api/v2/notifications/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${tenant.key}`,
          'content-type': 'application/json',
          'idempotency-key': crypto.randomUUID(),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      assert.ok(answer.ok, `${path}: ${answer.status}`);
      return Object(await answer.json());
    };
    const before = at(first);
    const { id: recipient_id } = await before('recipients', {
      kind: 'staff',
      name: 'Ana',
      email: 'ana@bank.example',
    });
    const body = {
      recipient_id,
      topic: 'announcement',
      channels: ['email'],
      data: { title: 'x', message: 'x' },
    };
    const made = await Promise.all(Array.from({ length: MESSAGES }, () => before('messages', body)));
    const ids: string[] = made.map(({ messages: [message] }) => message.id);
    await eventually(() => (mail.attempts > 5 ? true : undefined));
    first.kill('SIGKILL');
    assert.equal((await first.exit).signal, 'SIGKILL');
    mail.answer = () => undefined;
    const { rows: left } = await sql.query("select id from notifications.messages where state = 'sending'");
    assert.ok(left.length > 0 && left.length <= 10, `${left.length} messages were under way`);

    const second = await startServer(settings);
    servers.push(second);
    const later = at(second);
    const count = async (state: string) => (await later(`messages?limit=100&state=${state}`)).data.length;
    // What nobody had begun is sent at once; what was under way is somebody's until the lease is over.
    await eventually(async () => ((await count('sent')) === MESSAGES - left.length ? true : undefined));
    assert.equal(await count('sending'), left.length);
    await sql.query("update notifications.messages set lease_until = now() where state = 'sending'");
    await eventually(async () => ((await count('sent')) === MESSAGES ? true : undefined));
    const lost = (await later('messages?limit=100')).data.filter((message: { steps: { reason: string }[] }) =>
      reasonsOf(message).includes('process_lost'),
    );
    assert.equal(lost.length, left.length);
    assert.deepEqual(reasonsOf(lost[0]), ['due', 'process_lost', 'sent']);
    // Of those the mail server has some twice, under the same Message-ID; of all others one.
    release(undefined);
    await eventually(() => (mail.received.length >= MESSAGES ? true : undefined));
    const received = mail.received.map(({ mail: { messageId = '' } }) =>
      messageId.slice(1, messageId.indexOf('@')),
    );
    assert.deepEqual([...new Set(received)].toSorted(), ids.toSorted());
    const twice = received.filter((id, index) => received.indexOf(id) !== index);
    const known = new Set(lost.map(({ id }: { id: string }) => id));
    assert.ok(
      twice.every((id) => known.has(id)),
      twice.join(', '),
    );
  } finally {
    for (const server of servers) server.kill('SIGKILL');
    await Promise.all(servers.map((server) => server.exit));
    await sql.end();
    await bare.close();
  }
});

test('nothing is sent for a tenant that is suspended; what was due is sent once it is resumed', async () => {
  let isSuspended = true;
  mail.answer = () => (isSuspended ? smtpError(451, 'Later') : undefined);
  const [message] = await notices.send(await notices.recipient());
  await eventually(async () => ((await notices.get(message.id)).steps.length >= 2 ? true : undefined));
  const { tenant_id } = bank.scope;
  await superuser.query(
    "update platform.tenants set status = 'suspended', suspended_at = now(), suspended_reason = 'x' where tenant_id = $1",
    [tenant_id],
  );
  // An attempt may have been under way.
  await eventually(async () => {
    const due = await superuser.query(
      "update notifications.messages set due_at = now() - interval '1 minute' where tenant_id = $1 and state = 'waiting'",
      [tenant_id],
    );
    return due.rowCount === 1 ? true : undefined;
  });
  const before = mail.attempts;
  isSuspended = false;
  const other = openNotices(await platform.newTenant());
  const [theirs] = await other.send(await other.recipient());
  assert.equal((await other.settled(theirs.id)).state, 'sent');
  assert.equal(mail.attempts, before + 1);
  await superuser.query(
    "update platform.tenants set status = 'active', suspended_at = null, suspended_reason = null where tenant_id = $1",
    [tenant_id],
  );
  assert.equal((await notices.settled(message.id)).state, 'sent');
  assert.equal(mail.attempts, before + 2);
});

test('of a recipient who is removed nothing personal is left; what waited is sent to nobody', async () => {
  const to = await notices.recipient({
    phone: '+5511999990000',
    reference: 'gone-1',
    webhook_url: `${address}/hook`,
    preferences: { announcement: { email: 'digest' } },
  });
  await bank.post(`/api/v2/notifications/recipients/${to}/webhook-secrets`, {});
  const [sent] = await notices.send(to, { channels: ['sms'] });
  assert.equal((await notices.settled(sent.id)).state, 'sent');
  const [waiting] = await notices.send(to);
  const at = `/api/v2/notifications/recipients/${to}`;
  const { headers } = await bank.ask('GET', at);
  await notices.edit(to, { name: 'Ana S.' });
  const stale = await bank.ask('DELETE', at, undefined, { 'if-match': String(headers.etag) });
  assert.deepEqual([stale.status, stale.body.code], [412, 'precondition_failed']);
  const other = await platform.newTenant();
  assert.equal((await other.ask('DELETE', at, undefined, { 'if-match': '*' })).status, 404);
  assert.equal((await bank.ask('DELETE', at, undefined, { 'if-match': '*' })).status, 204);

  for (const [method, path] of [
    ['GET', at],
    ['DELETE', at],
    ['GET', `${at}/preferences`],
  ] as const) {
    const gone = await bank.ask(method, path, undefined, { 'if-match': '*' });
    assert.deepEqual([gone.status, gone.body.code], [404, 'recipient_not_found'], `${method} ${path}`);
  }
  const body = { recipient_id: to, topic: 'announcement', data: { title: 'x', message: 'x' } };
  const refused = await bank.ask('POST', '/api/v2/notifications/messages', body, {
    'idempotency-key': 'gone',
  });
  assert.equal(refused.body.code, 'recipient_not_found');
  const suppressed = await notices.get(waiting.id);
  assert.deepEqual([suppressed.state, reasonsOf(suppressed)], ['suppressed', ['digest', 'recipient_gone']]);
  for (const message of [suppressed, await notices.get(sent.id)]) {
    assert.deepEqual([message.content, message.address], [undefined, undefined]);
  }
  const { rows } = await superuser.query(
    `select to_jsonb(m)::text as kept from notifications.messages m where tenant_id = $1
     union all select to_jsonb(s)::text from notifications.webhook_secrets s where tenant_id = $1
     union all select to_jsonb(r)::text from notifications.recipients r where tenant_id = $1`,
    [bank.scope.tenant_id],
  );
  assert.equal(rows.length, 2);
  for (const { kept } of rows) assert.doesNotMatch(kept, /Ana|ana@|5511999990000|On Friday/);
  // What it was known by is free again.
  await notices.recipient({ reference: 'gone-1' });
});
