/** Endpoints of applications: of those that there are, and sent to while they are not disabled. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { createKey } from '../../platform/access/access.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { arrived, eventually, openAccount, openReceiver, type Receiver, settings } from './testing.ts';

const at = '/api/v2/webhooks/endpoints';
let platform: TestPlatform;
let receiver: Receiver;
let sql: Client;
before(async () => {
  platform = await openTestPlatform(settings);
  receiver = await openReceiver();
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql.end();
  receiver.close();
  await platform.close();
});

async function newApplication(bank: TestTenant): Promise<string> {
  const { id } = await bank.post('/api/v2/applications', {
    name: 'Ledgerly',
    auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
  });
  return id;
}

async function setStatus(bank: TestTenant, application: string, status: 'active' | 'disabled') {
  const url = `/api/v2/applications/${application}`;
  assert.equal((await bank.ask('PATCH', url, { status }, { 'if-match': '*' })).status, 200);
}

const bodyOf = (path: string, application_id?: string) => ({
  url: `${receiver.url}${path}`,
  event_types: ['ledger.*'],
  ...(application_id === undefined ? {} : { application_id }),
});

/** The endpoint once it stands so. */
const endpointThatIs = (bank: TestTenant, id: string, status: string): Promise<Answer['body']> =>
  eventually(`an endpoint is ${status}`, async () => {
    const endpoint = await bank.get(`${at}/${id}`);
    return endpoint.status === status ? endpoint : undefined;
  });

test('an endpoint is for an application of the tenant and environment that is not disabled, or refused', async () => {
  const bank = await platform.newTenant();
  const stranger = await platform.newTenant();
  const key = await createKey(
    platform.running.platform,
    { tenant_id: bank.scope.tenant_id, environment: 'live' },
    { label: 'live' },
  );
  const live = { ...bank, scope: { ...bank.scope, environment: 'live' as const } };
  live.post = async (url, body) => {
    const answer = await bank.ask('POST', url, body, { authorization: `Bearer ${key}` });
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  };
  const headers = { 'idempotency-key': 'unknown' };
  const unknown = formatId('app', newUuid());
  for (const application of [unknown, await newApplication(stranger), await newApplication(live)]) {
    const refused = await bank.ask('POST', at, bodyOf('/none', application));
    assert.deepEqual([refused.status, refused.body.code], [422, 'webhook_application_not_found']);
    assert.ok(refused.body.detail.includes(application), refused.body.detail);
  }
  const first = await bank.ask('POST', at, bodyOf('/none', unknown), headers);
  const again = await bank.ask('POST', at, bodyOf('/none', unknown), headers);
  assert.equal(again.headers['idempotent-replayed'], 'true');
  assert.deepEqual([again.status, again.body.code], [first.status, first.body.code]);
  assert.deepEqual((await bank.get(at)).data, []);

  const own = await newApplication(bank);
  const made = await bank.post(at, bodyOf('/own', own), { 'idempotency-key': 'made' });
  assert.equal(made.application_id, own);
  await setStatus(bank, own, 'disabled');
  const refused = await bank.ask('POST', at, bodyOf('/late', own));
  assert.deepEqual([refused.status, refused.body.code], [422, 'webhook_application_not_found']);
  // What was made before is told again as it is.
  const replayed = await bank.ask('POST', at, bodyOf('/own', own), { 'idempotency-key': 'made' });
  assert.deepEqual([replayed.status, replayed.body.id], [201, made.id]);
});

test('with an application its endpoints are disabled and enabled, others and those disabled otherwise are not', async () => {
  const bank = await platform.newTenant();
  const [one, other] = [await newApplication(bank), await newApplication(bank)];
  const [sent, byHand, later, ofOther] = [
    await bank.post(at, bodyOf('/sent', one)),
    await bank.post(at, bodyOf('/by-hand', one)),
    await bank.post(at, bodyOf('/later', one)),
    await bank.post(at, bodyOf('/of-other', other)),
  ];
  await bank.post(`${at}/${byHand.id}/disable`);
  await setStatus(bank, one, 'disabled');
  const disabled = await endpointThatIs(bank, sent.id, 'disabled');
  assert.equal(disabled.disabled_reason, 'application_disabled');
  await endpointThatIs(bank, later.id, 'disabled');
  assert.equal((await bank.post(`${at}/${later.id}/disable`)).disabled_reason, 'by_hand');
  const refused = await bank.ask('POST', `${at}/${sent.id}/enable`);
  assert.deepEqual([refused.status, refused.body.code], [409, 'webhook_application_disabled']);
  const told = await eventually('it is told', async () => {
    const { data } = await bank.get('/api/v2/events?type=webhooks.endpoint.disabled');
    return data.length >= 2 ? data : undefined;
  });
  assert.equal(told.length, 2);
  for (const endpoint_id of [sent.id, later.id]) {
    const event = told.find(({ data }: Answer['body']) => data.endpoint_id === endpoint_id);
    assert.deepEqual([event.data.reason, event.data.application_id], ['application_disabled', one]);
  }

  await openAccount(bank);
  const [sentToOther] = await arrived(receiver, 1, '/of-other');
  assert.equal(sentToOther?.event.type, 'ledger.account.opened');
  assert.equal((await bank.get(`${at}/${ofOther.id}`)).status, 'enabled');
  await eventually('what happens is missed', async () => {
    const { data } = await bank.get(`/api/v2/webhooks/deliveries?status=missed&endpoint_id=${sent.id}`);
    return data.length === 1 ? true : undefined;
  });
  assert.deepEqual(receiver.at('/sent'), []);

  await setStatus(bank, one, 'active');
  const enabled = await endpointThatIs(bank, sent.id, 'enabled');
  assert.equal('disabled_reason' in enabled, false);
  for (const { id } of [byHand, later]) {
    assert.equal((await bank.get(`${at}/${id}`)).disabled_reason, 'by_hand');
  }
  await bank.post(`${at}/${sent.id}/resends`, { from: '2020-01-01T00:00:00Z' });
  await arrived(receiver, 1, '/sent');
});

test('an endpoint made while its application is being disabled is disabled with it, and enabled with it', async () => {
  const bank = await platform.newTenant();
  const application = await newApplication(bank);
  // It is told already, and identity was asked before.
  await sql.query(
    'insert into webhooks.disabled_applications (tenant_id, environment, application_id) values ($1, $2, $3)',
    [bank.scope.tenant_id, bank.scope.environment, application],
  );
  const made = await bank.post(at, bodyOf('/race', application));
  assert.deepEqual([made.status, made.disabled_reason], ['disabled', 'application_disabled']);
  await setStatus(bank, application, 'disabled');
  await setStatus(bank, application, 'active');
  await endpointThatIs(bank, made.id, 'enabled');
});
