/** What happens elsewhere reaches whoever subscribed to it, over the bus, once. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { eventually, type MailServer, openNotices, startMailServer } from './testing.ts';

let mail: MailServer;
let sql: Client;
let platform: TestPlatform;
let bank: TestTenant;
let notices: ReturnType<typeof openNotices>;
before(async () => {
  mail = await startMailServer();
  const began = Date.now();
  // Requests are counted in one window, however long the test takes.
  platform = await openTestPlatform(
    { SMTP_URL: mail.url, SMTP_FROM: 'no-reply@bank.example' },
    { now: () => began },
  );
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql?.end();
  await platform.close();
  await mail.close();
});
beforeEach(async () => {
  bank = await platform.newTenant();
  notices = openNotices(bank);
  mail.received.length = 0;
});

const list = async (query: string) => (await bank.get(`/api/v2/notifications/messages?${query}`)).data;

/** Tells what the service of webhooks would, in its outbox: sound or not. */
async function tellOfWebhooks(subject: string, data: object): Promise<void> {
  await sql.query(
    `with head as (
       insert into webhooks.outbox_heads as h (tenant_id, environment, sequence) values ($1, $2, 1)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + 1 returning sequence)
     insert into webhooks.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
     select $1, $2, sequence, gen_random_uuid(), now(), 'webhooks.endpoint.disabled', '/webhooks', 'endpoint', $3, $4 from head`,
    [bank.scope.tenant_id, bank.scope.environment, subject, JSON.stringify(data)],
  );
  platform.running.wakeRelay();
}

const disabled = {
  endpoint_id: 'whe_01h455vb4pex5vsknk084sn02q',
  url: 'https://partner.example/hooks',
  application_id: null,
  reason: 'failing',
  failing_since: '2026-01-26T12:00:00Z',
  disabled_at: '2026-01-31T12:00:00Z',
};

test('who crosses a limit of requests is mailed about, to those who subscribed and nobody else', async () => {
  const to = await notices.recipient({
    kind: 'staff',
    email: 'ops@bank.example',
    language: 'pt-BR',
    subscriptions: ['limits.crossed'],
    preferences: { 'limits.crossed': { in_app: 'off' } },
  });
  await notices.recipient({
    kind: 'staff',
    email: 'other@bank.example',
    subscriptions: ['webhooks.disabled'],
  });
  const away = await notices.recipient({ email: 'away@bank.example', subscriptions: ['limits.crossed'] });
  await notices.edit(away, { status: 'disabled' });
  await bank.post('/api/v2/plans', {
    name: 'five',
    windows: [{ name: 'minute', requests: 5, window_s: 60 }],
  });
  const { id, key } = await bank.post('/api/v2/api-keys', { label: 'partner', plan: 'five' });
  for (let count = 0; count < 6; count += 1) {
    await platform.running.app.inject({
      url: '/api/v2/notifications/topics',
      headers: { authorization: `Bearer ${key}` },
    });
  }
  // What was counted is written down, and told, when it is asked for.
  await bank.get(`/api/v2/api-keys/${id}/usage`);
  const mails = await eventually(() => (mail.received.length >= 2 ? mail.received : undefined));
  assert.deepEqual(mails.map(({ mail: { subject = '' } }): string => subject).toSorted(), [
    'Limite minute: 100 % em uso',
    'Limite minute: 80 % em uso',
  ]);
  for (const received of mails) {
    assert.deepEqual(received.to, ['ops@bank.example']);
    assert.match(received.mail.text ?? '', new RegExp(`${id} fez [45] das 5 requisições`));
  }
  const sent = await eventually(async () => {
    const found = await list(`recipient_id=${to}&channel=email&state=sent`);
    return found.length === 2 ? found : undefined;
  });
  const events = (await bank.get('/api/v2/events?type=platform.limit.*')).data;
  assert.equal(events.length, 2);
  assert.deepEqual(
    sent.map(({ cause }: { cause: string }) => cause).toSorted(),
    events.map((event: { id: string }) => event.id).toSorted(),
  );
  assert.equal((await list(`recipient_id=${to}&channel=in_app&state=suppressed`)).length, 2);
  assert.equal((await list('topic=limits.crossed')).length, 4, 'nobody else was told');
});

test('that webhooks to an endpoint are disabled stands in the inbox of who subscribed, once, also when it is replayed', async () => {
  const to = await notices.recipient({
    kind: 'staff',
    email: undefined,
    subscriptions: ['webhooks.disabled'],
  });
  await tellOfWebhooks(disabled.endpoint_id, disabled);
  const [message] = await eventually(async () => {
    const { data } = await bank.get(`/api/v2/notifications/inbox?recipient_id=${to}`);
    return data.length > 0 ? data : undefined;
  });
  assert.equal(message.content.subject, 'Webhooks to https://partner.example/hooks are disabled');
  assert.match(
    message.content.text,
    /disabled at 2026-01-31T12:00:00Z\.\n\nIt failed since 2026-01-26T12:00:00Z\./,
  );
  const [byEmail] = await list(`recipient_id=${to}&channel=email`);
  assert.deepEqual([byEmail.state, byEmail.steps[0].reason], ['suppressed', 'no_address']);

  const { data } = await bank.get('/api/v2/events?type=webhooks.endpoint.disabled');
  await bank.post('/api/v2/consumers/notifications/replay', { from_sequence: Number(data[0].sequence) });
  // Once what comes after it was told, it has been received again.
  await tellOfWebhooks(disabled.endpoint_id, {
    ...disabled,
    reason: 'gone',
    failing_since: null,
  });
  const told = await eventually(async () => {
    const inbox = (await bank.get(`/api/v2/notifications/inbox?recipient_id=${to}`)).data;
    return inbox.length > 1 ? inbox : undefined;
  });
  assert.equal(told.length, 2);
  assert.match(told[0].content.text, /answered that it is gone/);
  await eventually(async () =>
    (await bank.get('/api/v2/held-events')).data.length === 0 ? true : undefined,
  );
  assert.equal((await list(`recipient_id=${to}`)).length, 4);
});

test('an event that is not what its type says is parked for somebody to look at, and holds up no other', async () => {
  const to = await notices.recipient({ email: undefined, subscriptions: ['webhooks.disabled'] });
  await tellOfWebhooks('broken', { url: 7 });
  await tellOfWebhooks(disabled.endpoint_id, disabled);
  await eventually(async () =>
    (await list(`recipient_id=${to}&channel=in_app&state=sent`)).length === 1 ? true : undefined,
  );
  const { data } = await eventually(async () => {
    const held = await bank.get('/api/v2/held-events');
    return held.data.length > 0 ? held : undefined;
  });
  assert.match(data[0].reason, /are not those of webhooks\.endpoint\.disabled/);
});

test('subscribers are told of what happens in their tenant and environment only', async () => {
  const to = await notices.recipient({ email: undefined, subscriptions: ['webhooks.disabled'] });
  const other = await platform.newTenant();
  const theirs = await openNotices(other).recipient({
    email: undefined,
    subscriptions: ['webhooks.disabled'],
  });
  await tellOfWebhooks(disabled.endpoint_id, disabled);
  await eventually(async () => ((await list(`recipient_id=${to}`)).length === 2 ? true : undefined));
  assert.deepEqual((await other.get('/api/v2/notifications/messages')).data, []);
  assert.equal((await other.ask('GET', `/api/v2/notifications/recipients/${to}`)).status, 404);
  const foreign = {
    recipient_id: to,
    topic: 'announcement',
    data: { title: 'x', message: 'x' },
  };
  assert.equal(
    (await other.ask('POST', '/api/v2/notifications/messages', foreign)).body.code,
    'recipient_not_found',
  );
  assert.ok(theirs.startsWith('rcp_'));
});

test('two thousand who subscribed are told of one event, each of them once, also where it comes again', async () => {
  const RECIPIENTS = 2_000;
  await sql.query(
    `insert into notifications.recipients (tenant_id, environment, id, kind, name, language, time_zone, digest_at,
       preferences, subscriptions, created_by)
     select $1, $2, gen_random_uuid(), 'staff', 'Somebody', 'en', 'UTC', '08:00', '{}', '{webhooks.disabled}', 'test'
     from generate_series(1, $3)`,
    [bank.scope.tenant_id, bank.scope.environment, RECIPIENTS],
  );
  await tellOfWebhooks(disabled.endpoint_id, disabled);
  const count = async () => {
    const { rows } = await sql.query(
      `select count(*) filter (where channel = 'in_app' and state = 'sent')::int as told,
         count(distinct recipient_id)::int as recipients, count(distinct cause)::int as causes
       from notifications.messages where tenant_id = $1`,
      [bank.scope.tenant_id],
    );
    return rows[0];
  };
  const all = { told: RECIPIENTS, recipients: RECIPIENTS };
  await eventually(async () => ((await count()).told === RECIPIENTS ? true : undefined));
  assert.deepEqual(await count(), { ...all, causes: 1 });

  const { data } = await bank.get('/api/v2/events?type=webhooks.endpoint.disabled');
  await bank.post('/api/v2/consumers/notifications/replay', { from_sequence: Number(data[0].sequence) });
  // What comes after it is received after it.
  await sql.query('update notifications.recipients set subscriptions = $2 where tenant_id = $1', [
    bank.scope.tenant_id,
    [],
  ]);
  const last = await notices.recipient({ email: undefined, subscriptions: ['webhooks.disabled'] });
  await tellOfWebhooks(disabled.endpoint_id, { ...disabled, reason: 'gone', failing_since: null });
  await eventually(async () =>
    (await list(`recipient_id=${last}&channel=in_app&state=sent`)).length > 0 ? true : undefined,
  );
  assert.equal((await count()).told - (await list(`recipient_id=${last}&channel=in_app`)).length, RECIPIENTS);
});
