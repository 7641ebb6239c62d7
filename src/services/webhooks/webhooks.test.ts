/** Webhooks from the making of an endpoint to what the receiver gets: signatures, filters, masks, what is listed. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import {
  arrived,
  eventually,
  openAccount,
  openReceiver,
  type Received,
  type Receiver,
  settings,
  settled,
} from './testing.ts';

const at = '/api/v2/webhooks/endpoints';
let platform: TestPlatform;
let receiver: Receiver;
before(async () => {
  platform = await openTestPlatform(settings);
  receiver = await openReceiver();
});
after(async () => {
  receiver.close();
  await platform.close();
});

let paths = 0;
async function newEndpoint(bank: TestTenant, more: object = {}) {
  paths += 1;
  const path = `/hooks/${paths}`;
  const body = { url: `${receiver.url}${path}`, event_types: ['ledger.*'], ...more };
  return { path, ...(await bank.post(at, body)) };
}

const verified = (secret: string, { body, headers }: Received) =>
  new Webhook(secret).verify(body, {
    'webhook-id': String(headers['webhook-id']),
    'webhook-timestamp': String(headers['webhook-timestamp']),
    'webhook-signature': String(headers['webhook-signature']),
  });

test('an event is sent once to each endpoint that wants it, signed so that the library of the specification accepts it', async () => {
  const bank = await platform.newTenant();
  const all = await newEndpoint(bank);
  const one = await newEndpoint(bank, { event_types: ['ledger.account.opened'] });
  const none = await newEndpoint(bank, { event_types: ['ledger.transfer.*'] });
  const account = await openAccount(bank);
  const [first] = await arrived(receiver, 1, all.path);
  await arrived(receiver, 1, one.path);
  assert.ok(first !== undefined);
  const event = Object(verified(all.secret, first));
  assert.deepEqual(
    [event.specversion, event.type, event.subject, event.environment],
    ['1.0', 'ledger.account.opened', account, 'sandbox'],
  );
  assert.equal(first.headers['webhook-id'], event.id);
  assert.match(first.headers['content-type'] ?? '', /^application\/cloudevents\+json/);
  const [fed] = (await bank.get('/api/v2/events?type=ledger.account.opened')).data;
  assert.equal(fed.id, event.id);
  assert.throws(() => verified(one.secret, first), /No matching signature/);
  assert.throws(() => verified(all.secret, { ...first, body: first.body.replace('BRL', 'USD') }));

  const delivery = await settled(bank, `endpoint_id=${all.id}`, 'delivered');
  assert.deepEqual(
    [delivery.event_id, delivery.subject, delivery.attempts, delivery.attempted[0].answer.status],
    [event.id, account, 1, 204],
  );
  assert.equal((await bank.get(`/api/v2/webhooks/deliveries?event_id=${event.id}`)).data.length, 2);
  assert.deepEqual((await bank.get(`/api/v2/webhooks/deliveries?endpoint_id=${none.id}`)).data, []);
  assert.equal(receiver.at(all.path).length, 1);
});

test('while a key rotates both sign, and afterwards the new one alone', async () => {
  const bank = await platform.newTenant();
  const { id, path, secret } = await newEndpoint(bank);
  const { secret: second } = await bank.post(`${at}/${id}/rotations`, { overlap_s: 3_600 });
  await openAccount(bank);
  const [both] = await arrived(receiver, 1, path);
  assert.ok(both !== undefined && second !== secret);
  verified(secret, both);
  verified(second, both);
  assert.equal(String(both.headers['webhook-signature']).split(' ').length, 2);
  const { secret: third } = await bank.post(`${at}/${id}/rotations`, { overlap_s: 0 });
  await openAccount(bank);
  const [, alone] = await arrived(receiver, 2, path);
  assert.ok(alone !== undefined);
  verified(third, alone);
  for (const old of [secret, second]) assert.throws(() => verified(old, alone), /No matching signature/);
  assert.equal((await bank.get(`${at}/${id}`)).signing_keys.length, 1);
  for (let count = 2; count <= 5; count += 1) await bank.post(`${at}/${id}/rotations`, {});
  const refused = await bank.ask('POST', `${at}/${id}/rotations`, {});
  assert.deepEqual([refused.status, refused.body.code], [409, 'too_many_webhook_keys']);
  assert.equal((await bank.get(`${at}/${id}`)).signing_keys.length, 5);
});

test('Ed25519: the receiver needs a public key only, also beside a secret while it changes over', async () => {
  const bank = await platform.newTenant();
  const { id, path, secret } = await newEndpoint(bank, { signature: 'ed25519' });
  assert.equal(secret, undefined);
  const { public_key } = (await bank.get(`${at}/${id}`)).signing_keys[0];
  assert.match(public_key, /^whpk_/);
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(public_key.slice(5), 'base64').toString('base64url') },
    format: 'jwk',
  });
  const isGood = ({ headers, body }: Received) => {
    const signatures = String(headers['webhook-signature']).split(' ');
    const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    return signatures.some((signature) => {
      const [version, text = ''] = signature.split(',');
      return version === 'v1a' && verify(null, Buffer.from(content), key, Buffer.from(text, 'base64'));
    });
  };
  await openAccount(bank);
  const [first] = await arrived(receiver, 1, path);
  assert.ok(first !== undefined && isGood(first));
  assert.ok(!isGood({ ...first, body: `${first.body} ` }));
  const { secret: hmac } = await bank.post(`${at}/${id}/rotations`, { signature: 'hmac' });
  await openAccount(bank);
  const [, second] = await arrived(receiver, 2, path);
  assert.ok(second !== undefined && isGood(second));
  verified(hmac, second);
});

test('personal data is masked unless the endpoint is to have it, which needs the permission', async () => {
  const bank = await platform.newTenant();
  const masked = await newEndpoint(bank);
  const whole = await newEndpoint(bank, { personal_data: true });
  await openAccount(bank, 'Zoraide Quintela');
  const [first] = await arrived(receiver, 1, masked.path);
  const [second] = await arrived(receiver, 1, whole.path);
  assert.deepEqual([first?.event.data.name, second?.event.data.name], ['Z•••', 'Zoraide Quintela']);
  // What was kept for an endpoint that may no longer have it is masked when it is sent again.
  const { id } = await settled(bank, `endpoint_id=${whole.id}`, 'delivered');
  await bank.ask('PATCH', `${at}/${whole.id}`, { personal_data: false }, { 'if-match': '*' });
  await bank.post(`/api/v2/webhooks/deliveries/${id}/resend`);
  const [, again] = await arrived(receiver, 2, whole.path);
  assert.ok(again !== undefined);
  assert.equal(again.event.data.name, 'Z•••');
  verified(whole.secret, again);
});

test('a test event is sent once, and what is asked for again with its key is not', async () => {
  const bank = await platform.newTenant();
  const { id, path, secret } = await newEndpoint(bank);
  const key = { 'idempotency-key': 'test-1' };
  const { id: delivery } = await bank.post(`${at}/${id}/test`, undefined, key);
  assert.equal((await bank.post(`${at}/${id}/test`, undefined, key)).id, delivery);
  const [first] = await arrived(receiver, 1, path);
  assert.ok(first !== undefined);
  assert.equal(Object(verified(secret, first)).type, 'webhooks.endpoint.tested');
  const { is_test, attempted } = await settled(bank, `endpoint_id=${id}`, 'delivered');
  assert.deepEqual([is_test, attempted.length], [true, 1]);
  assert.equal(receiver.at(path).length, 1);
});

test('what an endpoint may be is checked, and said', async () => {
  const bank = await platform.newTenant();
  for (const [body, code] of [
    [{ url: 'ftp://a.example/x' }, 'webhook_url_refused'],
    [{ url: 'not a url' }, 'malformed_request'],
    [{ url: 'https://u:p@a.example/' }, 'webhook_url_refused'],
    [{ url: 'https://a.example/#x' }, 'webhook_url_refused'],
    [{ event_types: ['ledger.nothing.done'] }, 'webhook_event_type_unknown'],
    [{ event_types: [] }, 'malformed_request'],
    [{ event_types: ['ledger.*.posted'] }, 'malformed_request'],
  ] as const) {
    const answer = await bank.ask('POST', at, {
      url: 'https://a.example/x',
      event_types: ['*'],
      ...body,
    });
    assert.equal(answer.body.code, code, JSON.stringify(body));
  }
  const { id } = await newEndpoint(bank);
  assert.equal((await bank.ask('PATCH', `${at}/${id}`, { ordered: true })).status, 428);
  assert.equal(
    (await bank.ask('PATCH', `${at}/${id}`, { ordered: true }, { 'if-match': '"9"' })).status,
    412,
  );
  const edited = await bank.ask('PATCH', `${at}/${id}`, { ordered: true }, { 'if-match': '"1"' });
  assert.deepEqual([edited.status, edited.body.ordered, edited.headers['etag']], [200, true, '"2"']);
});

test('sandbox and live are apart', async () => {
  const bank = await platform.newTenant();
  const live = await platform.newTenant('live');
  const { id, path } = await newEndpoint(live);
  await openAccount(bank);
  const elsewhere = await newEndpoint(bank);
  await openAccount(bank);
  await arrived(receiver, 1, elsewhere.path);
  assert.equal((await bank.ask('GET', `${at}/${id}`)).status, 404);
  assert.equal(receiver.at(path).length, 0);
});

test('a deleted endpoint is gone, and gets nothing more', async () => {
  const bank = await platform.newTenant();
  const gone = await newEndpoint(bank);
  const stays = await newEndpoint(bank);
  assert.equal((await bank.ask('DELETE', `${at}/${gone.id}`)).status, 204);
  await openAccount(bank);
  await arrived(receiver, 1, stays.path);
  for (const [method, url] of [
    ['GET', `${at}/${gone.id}`],
    ['POST', `${at}/${gone.id}/enable`],
    ['DELETE', `${at}/${gone.id}`],
  ] as const) {
    assert.equal((await bank.ask(method, url)).body.code, 'webhook_endpoint_not_found');
  }
  assert.equal(receiver.at(gone.path).length, 0);
  const { data } = await bank.get(at);
  assert.deepEqual(
    data.map((one: { id: string }) => one.id),
    [stays.id],
  );
});

test('an emptied sandbox keeps its endpoints and nothing that was sent', async () => {
  const bank = await platform.newTenant();
  const { id, path } = await newEndpoint(bank);
  await openAccount(bank);
  await settled(bank, `endpoint_id=${id}`, 'delivered');
  await bank.post('/api/v2/sandbox/reset', {});
  assert.deepEqual((await bank.get('/api/v2/webhooks/deliveries')).data, []);
  await openAccount(bank);
  await arrived(receiver, 2, path);
  await eventually('it is listed', async () =>
    (await bank.get('/api/v2/webhooks/deliveries?status=delivered')).data.length === 1 ? true : undefined,
  );
});
