/** What recipients want: by which channel, not at all, not at night, or once a day. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Client } from 'pg';
import { createKey } from '../../platform/access/access.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { eventually, openNotices, reasonsOf } from './testing.ts';

const EVERYTHING = { email: 'ana@bank.example', phone: '+5511999990000', push_token: 'd7f1c2' };

let platform: TestPlatform;
let superuser: Client;
let bank: TestTenant;
let notices: ReturnType<typeof openNotices>;
before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
});
after(async () => {
  await superuser.end();
  await platform.close();
});
beforeEach(async () => {
  bank = await platform.newTenant();
  notices = openNotices(bank);
});

const setClock = (to: string) => bank.post('/api/v2/sandbox/clock/advance', { to });

test('without a provider a message is in the local outbox, which says that it has not left', async () => {
  const to = await notices.recipient(EVERYTHING);
  const made = await notices.send(to, { channels: ['email', 'sms', 'push'] });
  assert.deepEqual(
    made.map(({ channel }) => channel),
    ['email', 'sms', 'push'],
  );
  for (const { id, channel } of made) {
    const message = await notices.settled(id);
    assert.deepEqual([message.state, message.delivered_by], ['sent', 'local_outbox'], channel);
    const [, { detail }] = message.steps;
    const setting = { email: 'SMTP_URL', sms: 'SMS_PROVIDER_URL', push: 'PUSH_PROVIDER_URL' }[
      String(channel)
    ];
    assert.match(detail, new RegExp(`has not left the installation: ${setting} is not set`));
  }
  const { data } = await bank.get('/api/v2/notifications/outbox');
  assert.deepEqual(
    data.map(({ channel, address }: { channel: string; address: string }) => [channel, address]),
    [
      ['push', EVERYTHING.push_token],
      ['sms', EVERYTHING.phone],
      ['email', EVERYTHING.email],
    ],
  );
  assert.deepEqual(data[1].content, { text: 'On Friday' });
  assert.equal((await bank.get('/api/v2/notifications/outbox?channel=sms')).data.length, 1);
});

test('what was switched off, has no address or is for one who is disabled is suppressed, and says why', async () => {
  const to = await notices.recipient({ preferences: { announcement: { email: 'off' } } });
  const [off, unreachable] = await notices.send(to, { channels: ['email', 'sms'] });
  assert.deepEqual([off.state, reasonsOf(off)], ['suppressed', ['switched_off']]);
  assert.match(off.steps[0].detail, /switched the topic announcement off by email/);
  assert.deepEqual([unreachable.state, reasonsOf(unreachable)], ['suppressed', ['no_address']]);
  // Another topic, and another channel of this one, are sent.
  const activity = { topic: 'account.activity', data: { account: '··42', activity: 'Payment' } };
  const [other] = await notices.send(to, activity);
  assert.equal((await notices.settled(other.id)).state, 'sent');
  const [inbox] = await notices.send(to, { channels: ['in_app'] });
  assert.equal((await notices.settled(inbox.id)).delivered_by, 'inbox');
  await notices.edit(to, { status: 'disabled' });
  const [disabled] = await notices.send(to, { channels: ['in_app'] });
  assert.deepEqual([disabled.state, reasonsOf(disabled)], ['suppressed', ['recipient_disabled']]);
  assert.equal((await bank.get('/api/v2/notifications/messages?state=suppressed')).data.length, 3);
});

test('a message without channels goes by those of its topic and those that the recipient chose beside them', async () => {
  const to = await notices.recipient({
    ...EVERYTHING,
    preferences: { announcement: { sms: 'on', in_app: 'off' } },
  });
  const made = await notices.send(to, { channels: undefined });
  assert.deepEqual(
    made.map(({ channel, state }) => [channel, state]),
    [
      ['email', 'waiting'],
      ['sms', 'waiting'],
      ['in_app', 'suppressed'],
    ],
  );
  const { data } = await bank.get(`/api/v2/notifications/recipients/${to}/preferences`);
  const shown = (topic: string, channel: string) => {
    const found = data.find(
      (each: { topic: string; channel: string }) => each.topic === topic && each.channel === channel,
    );
    return [found.setting, found.because];
  };
  assert.deepEqual(shown('announcement', 'sms'), ['on', 'recipient']);
  assert.deepEqual(shown('announcement', 'in_app'), ['off', 'recipient']);
  assert.deepEqual(shown('announcement', 'email'), ['on', 'topic']);
  assert.deepEqual(shown('announcement', 'push'), ['off', 'topic']);
  assert.deepEqual(shown('security', 'email'), ['on', 'mandatory']);
});

test('a mandatory topic cannot be switched off or put off, and is told at night', async () => {
  const to = await notices.recipient({
    time_zone: 'America/Sao_Paulo',
    quiet_hours: { from: '22:00', to: '07:00' },
  });
  for (const setting of ['off', 'digest']) {
    const refused = await notices.edit(to, { preferences: { security: { email: setting } } });
    assert.deepEqual([refused.status, refused.body.code], [422, 'topic_mandatory'], setting);
    const body = { kind: 'staff', name: 'x', preferences: { security: { email: setting } } };
    assert.equal((await bank.ask('POST', '/api/v2/notifications/recipients', body)).status, 422);
  }
  assert.equal((await notices.edit(to, { preferences: { security: { email: 'on' } } })).status, 200);
  // However it came to stand in the database, it has no effect.
  await superuser.query(`update notifications.recipients set preferences = '{"security": {"email": "off"}}'
    where tenant_id = '${bank.scope.tenant_id}'`);
  await setClock('2030-06-15T04:00:00Z');
  const security = {
    topic: 'security',
    data: { event: 'A new passkey', occurred_at: '2030-06-15T04:00:00Z' },
  };
  const [told] = await notices.send(to, security);
  const message = await notices.settled(told.id);
  assert.deepEqual([message.state, message.urgent, reasonsOf(message)], ['sent', true, ['due', 'sent']]);
  const [quiet] = await notices.send(to);
  assert.deepEqual(
    [quiet.state, reasonsOf(quiet), quiet.due_at],
    ['waiting', ['quiet_hours'], '2030-06-15T10:00:00Z'],
  );
});

test('what falls within quiet hours waits for their end, on the days that clocks change, too', async () => {
  const to = await notices.recipient({
    time_zone: 'America/New_York',
    quiet_hours: { from: '22:00', to: '07:00' },
  });
  const dueAt = async (clock: string) => {
    await setClock(clock);
    const [message] = await notices.send(to);
    return message;
  };
  const { id, due_at: winter } = await dueAt('2030-03-10T02:30:00Z'); // 21:30 in New York
  assert.equal((await notices.settled(id)).state, 'sent', `it waits until ${winter}`);
  // In the night to March 10 the clocks go forward: the night ends at 7:00 of summer time, which is 11:00 UTC.
  const spring = await dueAt('2030-03-10T06:30:00Z');
  assert.deepEqual([spring.due_at, reasonsOf(spring)], ['2030-03-10T11:00:00Z', ['quiet_hours']]);
  assert.match(spring.steps[0].detail, /end of the recipient's quiet hours, at 2030-03-10T11:00:00Z/);
  await setClock('2030-03-10T10:59:00Z');
  assert.equal((await notices.get(spring.id)).state, 'waiting');
  await setClock('2030-03-10T11:00:01Z');
  const sent = await notices.settled(spring.id);
  assert.deepEqual([sent.state, reasonsOf(sent)], ['sent', ['quiet_hours', 'sent']]);
  assert.ok(sent.sent_at >= '2030-03-10T11:00:00Z', sent.sent_at);
  // In the night to November 3 they go back, and 7:00 is 12:00 UTC.
  const autumn = await dueAt('2030-11-03T05:30:00Z');
  assert.equal(autumn.due_at, '2030-11-03T12:00:00Z');
  // An end that the clock leaves out is as much later.
  await notices.edit(to, { quiet_hours: { from: '22:00', to: '02:30' } });
  assert.equal((await dueAt('2031-03-09T06:00:00Z')).due_at, '2031-03-09T07:30:00Z');
  // By day, within one day.
  await notices.edit(to, { quiet_hours: { from: '12:00', to: '14:00' } });
  assert.equal((await dueAt('2031-07-01T16:30:00Z')).due_at, '2031-07-01T18:00:00Z');
});

test('quiet hours and digests end within a day, at the hour that the clocks of the zone show', async () => {
  // About each day on which the clocks of one of these zones change, and one on which none do.
  const days = ['03-09', '03-30', '04-06', '06-15', '10-05', '10-26', '11-02'].map(
    (day) => `2030-${day}T00:00:00Z`,
  );
  for (const zone of ['America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe']) {
    for (const [from, to] of [
      ['22:00', '07:00'],
      ['23:30', '01:30'],
      ['13:00', '14:00'],
    ]) {
      const { rows } = await superuser.query(
        `select count(*)::int as times, count(*) filter (where quiet)::int as quiet,
           count(*) filter (where quiet <> (until is not null))::int as wrong,
           count(*) filter (where until <= at or until > at + interval '25 hours')::int as far,
           count(*) filter (where (until at time zone $1)::time <> $3::time)::int as shifted,
           count(*) filter (where next <= at or next > at + interval '25 hours')::int as next_far,
           count(*) filter (where (next at time zone $1)::time <> $3::time)::int as next_shifted
         from (
           select at, notifications.quiet_until(at, $1, $2, $3) as until, notifications.next_time(at, $1, $3) as next,
             case when $2::time < $3::time then l.local >= $2::time and l.local < $3::time
               else l.local >= $2::time or l.local < $3::time end as quiet
           from unnest($4::timestamptz[]) day
           cross join lateral generate_series(day, day + interval '3 days', '30 minutes') at
           cross join lateral (select (at at time zone $1)::time as local) l
         ) t`,
        [zone, from, to, days],
      );
      const { times, quiet, ...wrong } = rows[0];
      assert.ok(times > 1_000 && quiet > 30, JSON.stringify(rows[0]));
      assert.deepEqual(
        wrong,
        { wrong: 0, far: 0, shifted: 0, next_far: 0, next_shifted: 0 },
        `${zone} from ${from} to ${to}`,
      );
    }
  }
});

test('a digest tells once a day of what was gathered, and what it tells of says so', async () => {
  const preferences = { announcement: { email: 'digest' }, 'account.activity': { email: 'digest' } };
  const to = await notices.recipient({ time_zone: 'America/Sao_Paulo', digest_at: '09:00', preferences });
  await setClock('2030-06-15T15:00:00Z');
  const items = [
    ...(await notices.send(to, { data: { title: 'One', message: 'First <b>' } })),
    ...(await notices.send(to, { data: { title: 'Two', message: 'Second {{ 7 | times: 6 }}' } })),
  ];
  const [dropped] = await notices.send(to, {
    topic: 'account.activity',
    data: { account: '··42', activity: 'Payment' },
  });
  for (const item of [...items, dropped]) {
    assert.deepEqual(
      [item.state, reasonsOf(item), item.due_at],
      ['waiting', ['digest'], '2030-06-16T12:00:00Z'],
    );
  }
  await notices.edit(to, { preferences: { ...preferences, 'account.activity': { email: 'off' } } });
  await setClock('2030-06-16T11:59:00Z');
  assert.deepEqual((await bank.get('/api/v2/notifications/outbox')).data, []);
  await setClock('2030-06-16T12:00:01Z');
  for (const { id } of items) {
    const item = await notices.settled(id);
    assert.deepEqual([item.state, reasonsOf(item)], ['sent', ['digest', 'gathered', 'digest_settled']]);
    assert.equal(item.delivered_by, undefined);
  }
  const suppressed = await notices.settled(dropped.id);
  assert.deepEqual([suppressed.state, reasonsOf(suppressed)], ['suppressed', ['digest', 'switched_off']]);
  const { data } = await bank.get('/api/v2/notifications/outbox');
  assert.equal(data.length, 1);
  const [digest] = data;
  assert.deepEqual([digest.topic, digest.content.subject], ['digest', '2 notifications']);
  assert.match(digest.content.text, /^One\nFirst <b>\n\nTwo\nSecond \{\{ 7 \| times: 6 \}\}/);
  assert.match(digest.content.html, /First &lt;b&gt;[^]*Second \{\{ 7 \| times: 6 \}\}/);
  const told = await bank.get(`/api/v2/notifications/messages?digest_id=${digest.id}`);
  assert.deepEqual(
    told.data.map(({ id }: { id: string }) => id).toSorted(),
    items.map(({ id }): string => id).toSorted(),
  );
});

test('what was switched off while a message waited is not sent any more', async () => {
  const to = await notices.recipient({ quiet_hours: { from: '00:00', to: '06:00' } });
  await setClock('2030-06-15T01:00:00Z');
  const [message] = await notices.send(to);
  assert.equal(message.state, 'waiting');
  await notices.edit(to, { preferences: { announcement: { email: 'off' } } });
  await setClock('2030-06-15T06:00:01Z');
  assert.deepEqual(reasonsOf(await notices.settled(message.id)), ['quiet_hours', 'switched_off']);
});

test('an inbox has what its owner was told in the application, and what was not read', async () => {
  const to = await notices.recipient();
  const other = await notices.recipient();
  const [first] = await notices.send(to, { channels: ['in_app'] });
  const [second] = await notices.send(to, { channels: ['in_app'] });
  const [foreign] = await notices.send(other, { channels: ['in_app'] });
  for (const { id } of [first, second, foreign]) await notices.settled(id);
  const inbox = `/api/v2/notifications/inbox?recipient_id=${to}`;
  const own = await bank.get(inbox);
  assert.deepEqual([own.recipient_id, own.unread, own.data.length], [to, true, 2]);
  assert.equal(own.data[0].id, second.id);
  const read = await bank.post(`/api/v2/notifications/messages/${second.id}/read`);
  assert.ok(read.read_at !== undefined);
  const again = await bank.post(`/api/v2/notifications/messages/${second.id}/read`);
  assert.equal(again.read_at, read.read_at);
  const unread = await bank.get(`${inbox}&unread=true`);
  assert.deepEqual([unread.data.map(({ id }: { id: string }) => id), unread.unread], [[first.id], true]);
  await bank.post(`/api/v2/notifications/messages/${first.id}/read`);
  assert.equal((await bank.get(inbox)).unread, false);
  const theirs = await bank.get(`/api/v2/notifications/inbox?recipient_id=${other}`);
  assert.deepEqual([theirs.data.length, theirs.unread], [1, true]);

  const page = await bank.get(`${inbox}&limit=1`);
  const next = await bank.get(`${inbox}&limit=1&cursor=${page.next_cursor}`);
  assert.deepEqual([page.data[0].id, next.data[0].id, next.next_cursor], [second.id, first.id, null]);
  const [mail] = await notices.send(to);
  const refused = await bank.ask('POST', `/api/v2/notifications/messages/${mail.id}/read`);
  assert.deepEqual([refused.status, refused.body.code], [409, 'message_not_in_inbox']);
  const stranger = await platform.newTenant();
  assert.equal((await stranger.ask('GET', inbox)).body.code, 'recipient_not_found');
});

test('everybody reads their own inbox, whatever they may do, and nobody else’s', async () => {
  const scope = bank.scope;
  const key = await createKey(platform.running.platform, scope, {
    label: 'clerk',
    scopes: ['accounts:read'],
  });
  const as = (method: 'GET' | 'POST', path: string) =>
    bank.ask(method, `/api/v2/self/inbox${path}`, undefined, { authorization: `Bearer ${key}` });
  const nothing = await as('GET', '');
  assert.deepEqual(nothing.body, { data: [], next_cursor: null, unread: false });
  const self = await bank.ask('GET', '/api/v2/self', undefined, { authorization: `Bearer ${key}` });
  const to = await notices.recipient({ reference: self.body.principal.id });
  const other = await notices.recipient();
  const [first] = await notices.send(to, { channels: ['in_app'] });
  const [second] = await notices.send(to, { channels: ['in_app'] });
  const [mail] = await notices.send(to, { channels: ['email'] });
  const [foreign] = await notices.send(other, { channels: ['in_app'] });
  for (const { id } of [first, second, mail, foreign]) await notices.settled(id);
  const own = await as('GET', '');
  assert.deepEqual(
    [own.body.unread, own.body.data.map(({ id }: { id: string }) => id)],
    [true, [second.id, first.id]],
  );
  // It lacks `personal_data:read`, and reads what it was told all the same.
  assert.equal(own.body.data[0].text, second.content.text);
  const page = await as('GET', '?limit=1');
  const next = await as('GET', `?limit=1&cursor=${page.body.next_cursor}`);
  assert.deepEqual([next.body.data[0].id, next.body.next_cursor], [first.id, null]);

  const read = await as('POST', `/${second.id}/read`);
  assert.deepEqual([read.status, typeof read.body.read_at], [200, 'string'], read.text);
  assert.equal((await as('POST', `/${second.id}/read`)).body.read_at, read.body.read_at);
  assert.deepEqual((await as('GET', '?unread=true')).body.data.length, 1);
  for (const id of [mail.id, foreign.id]) {
    const refused = await as('POST', `/${id}/read`);
    assert.deepEqual([refused.status, refused.body.code], [404, 'message_not_found']);
  }
  assert.equal((await bank.get(`/api/v2/notifications/messages/${foreign.id}`)).read_at, undefined);
  await as('POST', `/${first.id}/read`);
  assert.equal((await as('GET', '')).body.unread, false);
  const stranger = await platform.newTenant();
  assert.equal((await stranger.ask('POST', `/api/v2/self/inbox/${first.id}/read`)).status, 404);
});

test('data that do not fit the topic are refused, each at its place, and nothing is made', async () => {
  const to = await notices.recipient();
  const refused = await bank.ask('POST', '/api/v2/notifications/messages', {
    recipient_id: to,
    topic: 'announcement',
    data: { title: 'x', mesage: 'y' },
  });
  assert.deepEqual([refused.status, refused.body.code], [422, 'data_not_sound']);
  assert.deepEqual(
    refused.body.errors.map(({ pointer }: { pointer: string }) => pointer),
    ['/data/message', '/data/mesage'],
  );
  for (const body of [
    { recipient_id: to, topic: 'digest', data: {} },
    { recipient_id: to, topic: 'announcement', data: { title: { a: 1 }, message: 'x' } },
    { recipient_id: to, topic: 'announcement', data: { title: 'x', message: 'x'.repeat(2_001) } },
  ]) {
    assert.equal((await bank.ask('POST', '/api/v2/notifications/messages', body)).status, 400);
  }
  assert.deepEqual((await bank.get('/api/v2/notifications/messages')).data, []);
  const zone = await bank.ask('POST', '/api/v2/notifications/recipients', {
    kind: 'staff',
    name: 'x',
    time_zone: 'Mars/Base',
  });
  assert.deepEqual([zone.status, zone.body.code], [422, 'recipient_not_sound']);
  const body = { kind: 'staff', name: 'x', reference: 'usr_1' };
  await bank.post('/api/v2/notifications/recipients', body);
  assert.equal(
    (await bank.ask('POST', '/api/v2/notifications/recipients', body)).body.code,
    'recipient_exists',
  );
});

test('what a message said is forgotten after its time, and why it was sent is not', async () => {
  const to = await notices.recipient();
  const [made] = await notices.send(to);
  const [waiting] = await notices.send(to, { topic: 'announcement', channels: ['webhook'] });
  const sent = await notices.settled(made.id);
  assert.ok(sent.content !== undefined && sent.data !== undefined && sent.address !== undefined);
  assert.equal(waiting.state, 'suppressed');
  const forget = async () => {
    const { id } = await bank.post('/api/v2/jobs/notifications.forget_contents/run');
    await eventually(async () => {
      const { data } = await bank.get('/api/v2/jobs/notifications.forget_contents/runs');
      return data.find(
        (run: { id: string; outcome: string }) => run.id === id && run.outcome === 'succeeded',
      );
    });
  };
  await forget();
  assert.deepEqual(await notices.get(made.id), sent);
  await bank.post('/api/v2/sandbox/clock/advance', { seconds: 91 * 86_400 });
  const forgotten = await eventually(async () => {
    const message = await notices.get(made.id);
    return message.content === undefined ? message : undefined;
  });
  const { content: _, data: __, address: ___, ...rest } = sent;
  assert.deepEqual(forgotten, rest);
});

test('who may not see personal data sees masks of names, addresses and what was said', async () => {
  const to = await notices.recipient({ ...EVERYTHING, name: 'Zoraide' });
  const [made] = await notices.send(to, { data: { title: 'Xilofone', message: 'Wanderley' } });
  await notices.settled(made.id);
  const { key } = await bank.post('/api/v2/api-keys', { label: 'blind', scopes: ['notifications:*'] });
  const blind = { authorization: `Bearer ${key}` };
  for (const path of ['recipients', `recipients/${to}`, 'messages', `messages/${made.id}`, 'outbox']) {
    const url = `/api/v2/notifications/${path}`;
    const seen = await bank.ask('GET', url, undefined, blind);
    assert.equal(seen.status, 200, seen.text);
    assert.doesNotMatch(seen.text, /oraide|ilofone|anderley|ana@|na@bank|99999|d7f1c2/, path);
    assert.match((await bank.ask('GET', url)).text, /Zoraide|Xilofone/);
  }
  const { recipient_id, data } = (
    await bank.ask('GET', `/api/v2/notifications/messages/${made.id}`, undefined, blind)
  ).body;
  assert.deepEqual([recipient_id, data], [to, { title: '•••', message: '•••' }]);
});

test('a sandbox that is emptied forgets recipients and messages; live has its own', async () => {
  const to = await notices.recipient();
  await notices.send(to);
  const live = await platform.newTenant('live');
  const kept = await openNotices(live).recipient();
  await bank.post('/api/v2/sandbox/reset', {});
  assert.deepEqual((await bank.get('/api/v2/notifications/recipients')).data, []);
  assert.deepEqual((await bank.get('/api/v2/notifications/messages')).data, []);
  assert.equal((await live.get('/api/v2/notifications/recipients')).data[0].id, kept);
});
