/** Mail by a real SMTP server, from the request to what the receiver reads. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { AddressObject } from 'mailparser';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { PLATFORM_NUMBER } from './platform-templates.ts';
import { eventually, type MailServer, smtpError, startMailServer } from './testing.ts';

const FROM = 'Banco Exemplo <no-reply@bank.example>';

let mail: MailServer;
let platform: TestPlatform;
let bank: TestTenant;
before(async () => {
  mail = await startMailServer();
  platform = await openTestPlatform({ SMTP_URL: mail.url, SMTP_FROM: FROM });
});
after(async () => {
  await platform.close();
  await mail.close();
});
beforeEach(async () => {
  bank = await platform.newTenant();
  mail.received.length = 0;
  mail.attempts = 0;
  mail.answer = () => undefined;
});

async function recipient(options: object = {}): Promise<string> {
  const body = { kind: 'customer', name: 'Ana Souza', email: 'ana@bank.example', ...options };
  return (await bank.post('/api/v2/notifications/recipients', body)).id;
}

const announcement = (title: string, message: string) => ({
  topic: 'announcement',
  data: { title, message },
});

async function send(recipient_id: string, options: object) {
  const { messages } = await bank.post('/api/v2/notifications/messages', {
    recipient_id,
    channels: ['email'],
    ...options,
  });
  return messages[0];
}

const get = (id: string) => bank.get(`/api/v2/notifications/messages/${id}`);
const settled = (id: string) =>
  eventually(async () => {
    const message = await get(id);
    return message.state === 'waiting' || message.state === 'sending' ? undefined : message;
  });
const reasons = ({ steps }: { steps: { reason: string }[] }) => steps.map(({ reason }) => reason);
const addresses = (to: AddressObject | AddressObject[] | undefined) =>
  [to ?? []].flat().flatMap(({ value }) => value.map(({ address }) => address));

test('a message is sent as text and HTML, and says so', async () => {
  const to = await recipient({ name: 'Ana Conceição', language: 'pt-BR' });
  const made = await send(to, announcement('Fechado na sexta – São João', 'Voltamos na segunda. <b>&'));
  assert.deepEqual([made.state, reasons(made)], ['waiting', ['due']]);
  const message = await settled(made.id);
  assert.deepEqual([message.state, message.delivered_by, message.attempts], ['sent', 'smtp', 1]);
  assert.deepEqual(reasons(message), ['due', 'sent']);
  assert.ok(message.sent_at >= message.created_at);
  assert.equal(message.address, 'ana@bank.example');

  const [received] = mail.received;
  assert.ok(received !== undefined && mail.received.length === 1);
  assert.deepEqual([received.to, received.from], [['ana@bank.example'], 'no-reply@bank.example']);
  const { subject, text = '', html, messageId, headers, to: shown } = received.mail;
  assert.equal(subject, 'Fechado na sexta – São João');
  assert.match(text, /^Voltamos na segunda\. <b>&\s*$/);
  assert.match(String(html), /<p [^>]*>Voltamos na segunda\. &lt;b&gt;&amp;<\/p>/);
  assert.match(String(html), /<html lang="pt">/);
  assert.equal(messageId, `<${made.id}@bank.example>`);
  assert.equal(headers.get('auto-submitted'), 'auto-generated');
  assert.equal([shown ?? []].flat()[0]?.value[0]?.name, 'Ana Conceição');
  assert.deepEqual(message.content, { subject, text: message.content.text, html: message.content.html });
  assert.deepEqual(message.template, { number: PLATFORM_NUMBER, language: 'pt' });
});

test('what would begin another header or another address does neither', async () => {
  const to = await recipient({ name: 'Ana\r\nBcc: thief@evil.example' });
  const injected = announcement('Hello\r\nBcc: thief@evil.example\r\n\r\nBody', 'Text');
  const { id } = await send(to, injected);
  const { state } = await settled(id);
  assert.equal(state, 'sent');
  const [received] = mail.received;
  assert.ok(received !== undefined);
  assert.deepEqual(received.to, ['ana@bank.example']);
  assert.deepEqual([received.mail.bcc, received.mail.cc], [undefined, undefined]);
  assert.deepEqual(addresses(received.mail.to), ['ana@bank.example']);
  assert.equal(received.mail.subject, 'Hello Bcc: thief@evil.example Body');
  const [head = ''] = received.raw.split('\r\n\r\n');
  assert.match(head, /^to: /im);
  assert.doesNotMatch(head, /^bcc:/im);

  for (const email of [
    'ana@bank.example\r\nBcc: thief@evil.example',
    'ana@bank.example, thief@evil.example',
    'Ana <ana@bank.example>',
    'ana@bank.example>\nRCPT TO:<thief@evil.example',
    'ana bank.example',
    '"a b"@bank.example',
  ]) {
    const body = { kind: 'customer', name: 'x', email };
    const refused = await bank.ask('POST', '/api/v2/notifications/recipients', body);
    assert.deepEqual([refused.status, refused.body.errors[0].pointer], [400, '/email'], email);
  }
  const template = { topic: 'announcement', channel: 'email', language: 'en', text: 'x' };
  const lines = await bank.ask('POST', '/api/v2/notifications/templates', {
    ...template,
    subject: 'a\nBcc: b',
  });
  assert.deepEqual([lines.status, lines.body.code], [422, 'template_not_sound']);
});

test('what the server refuses for now is sent later, with the same Message-ID; what it refuses for good has failed', async () => {
  mail.answer = (attempt) => (attempt === 1 ? smtpError(451, 'greylisted, ana@bank.example') : undefined);
  const to = await recipient();
  const { id } = await send(to, announcement('One', 'x'));
  const waiting = await eventually(async () => {
    const message = await get(id);
    return message.steps.length === 2 ? message : undefined;
  });
  assert.deepEqual([waiting.state, reasons(waiting)], ['waiting', ['due', 'provider_failed']]);
  assert.match(waiting.steps[1].detail, /451|greylisted/);
  assert.doesNotMatch(waiting.steps[1].detail, /ana@/);
  assert.match(waiting.steps[1].detail, /attempt 1; the next is in 5 s/);
  // Before the pause is over nothing is tried.
  await bank.post('/api/v2/sandbox/clock/advance', { seconds: 10 });
  const sent = await settled(id);
  assert.deepEqual([sent.state, sent.attempts, reasons(sent).at(-1)], ['sent', 2, 'sent']);
  assert.deepEqual(
    mail.received.map((received) => received.mail.messageId),
    [`<${id}@bank.example>`],
  );

  mail.answer = () => smtpError(550, 'No such user here');
  const { id: refused } = await send(to, announcement('Two', 'x'));
  const failed = await settled(refused);
  assert.deepEqual([failed.state, reasons(failed)], ['failed', ['due', 'provider_refused']]);
  assert.match(failed.steps[1].detail, /550 No such user here/);
});

test('a request that is repeated makes no second message, and another body is refused', async () => {
  const body = { recipient_id: await recipient(), channels: ['email'], ...announcement('Once', 'x') };
  const headers = { 'idempotency-key': 'once' };
  const url = '/api/v2/notifications/messages';
  const first = await bank.ask('POST', url, body, headers);
  await settled(first.body.messages[0].id);
  const again = await bank.ask('POST', url, body, headers);
  assert.deepEqual([again.status, again.headers['idempotent-replayed']], [201, 'true']);
  assert.deepEqual([again.body.id, again.body.messages[0].id], [first.body.id, first.body.messages[0].id]);
  assert.equal(again.body.messages[0].state, 'sent');
  const other = await bank.ask('POST', url, { ...body, ...announcement('Twice', 'x') }, headers);
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);
  assert.equal((await bank.get(url)).data.length, 1);
  assert.equal(mail.received.length, 1);
});
