/** What the service of webhooks tells is what the service of notifications reads, each by its own schema. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openNotices } from '../src/services/notifications/testing.ts';
import {
  eventually,
  openAccount,
  openReceiver,
  type Receiver,
  settings,
} from '../src/services/webhooks/testing.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';

let receiver: Receiver;
let platform: TestPlatform;
before(async () => {
  receiver = await openReceiver((_received, response) => response.writeHead(410).end());
  platform = await openTestPlatform(settings);
});
after(async () => {
  await platform?.close();
  receiver?.close();
});

test('an endpoint that is gone is disabled, and who subscribed is told of it', async () => {
  const bank = await platform.newTenant();
  const to = await openNotices(bank).recipient({ kind: 'staff', subscriptions: ['webhooks.disabled'] });
  const url = `${receiver.url}/hooks?token=their-own`;
  const { id } = await bank.post('/api/v2/webhooks/endpoints', { url, event_types: ['ledger.account.*'] });
  await openAccount(bank);
  const message = await eventually('the inbox has something', async () => {
    const { data } = await bank.get(`/api/v2/notifications/inbox?recipient_id=${to}`);
    return data[0];
  });
  assert.equal(message.topic, 'webhooks.disabled');
  assert.equal(message.content.subject, `Webhooks to ${receiver.url}/hooks are disabled`);
  assert.match(message.content.text, /answered that it is gone/);
  assert.equal((await bank.get(`/api/v2/webhooks/endpoints/${id}`)).disabled_reason, 'gone');
  const [event] = (await bank.get('/api/v2/events?type=webhooks.endpoint.disabled')).data;
  assert.equal(event.subject, id);
});
