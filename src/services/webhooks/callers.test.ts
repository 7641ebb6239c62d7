/** Who may make endpoints and see deliveries: applications their own, others what their permissions say. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Caller } from '../../platform/access/caller.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { defineService } from '../../platform/service.ts';
import { services } from '../../services.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../../testing.ts';
import { arrived, openAccount, openReceiver, type Receiver, settings, settled } from './testing.ts';

const at = '/api/v2/webhooks/endpoints';
let platform: TestPlatform;
let receiver: Receiver;
let bank: TestTenant;
const noMigrations = mkdtempSync(join(tmpdir(), 'financialapi-webhooks-'));
const callers = new Map<string, Pick<Caller, 'principal' | 'permissions' | 'narrowed'>>();

/** Takes a header's word for who is calling. */
const doorman = defineService({
  name: 'doorman',
  migrations: noMigrations,
  problems: {},
  permissions: {},
  start: () => ({
    routes: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    authenticators: [
      {
        identify: async (request) => {
          const known = callers.get(request.headers.authorization ?? '');
          if (known === undefined) return undefined;
          return { ...bank.scope, ...known, tenant_name: 'Test', base_currency: 'BRL', plan: 'standard' };
        },
      },
    ],
  }),
});

before(async () => {
  platform = await openTestPlatform(settings, {}, [...services, doorman]);
  receiver = await openReceiver();
  bank = await platform.newTenant();
});
after(async () => {
  receiver.close();
  await platform.close();
  rmSync(noMigrations, { recursive: true });
});

type Method = 'GET' | 'POST' | 'PATCH';
const as = (authorization: string, method: Method, url: string, body?: object): Promise<Answer> =>
  bank.ask(method, url, body, {
    authorization,
    'if-match': '*',
    ...(method === 'POST' ? { 'idempotency-key': newUuid() } : {}),
  });

function newCaller(
  kind: Caller['principal']['kind'],
  permissions: readonly string[],
  narrowed: Caller['narrowed'] = [],
): { authorization: string; id: string } {
  const id = formatId(kind === 'application' ? 'app' : 'usr', newUuid());
  const authorization = `Test ${id}`;
  callers.set(authorization, {
    principal: { kind, id, name: 'somebody' },
    permissions: new Set(permissions),
    narrowed,
  });
  return { authorization, id };
}

const endpoint = (path: string, more: object = {}) => ({
  url: `${receiver.url}${path}`,
  event_types: ['ledger.*'],
  ...more,
});

test('an application sees its own endpoints and deliveries, and makes none for another', async () => {
  const permissions = ['webhooks:read', 'webhooks:write', 'events:read'];
  const one = newCaller('application', permissions);
  const other = newCaller('application', permissions);
  const made = await as(one.authorization, 'POST', at, endpoint('/one'));
  assert.deepEqual([made.status, made.body.application_id], [201, one.id]);
  const refused = await as(one.authorization, 'POST', at, endpoint('/two', { application_id: other.id }));
  assert.deepEqual([refused.status, refused.body.code], [422, 'webhook_application_not_own']);
  await as(other.authorization, 'POST', at, endpoint('/other', { application_id: other.id }));
  await bank.post(at, endpoint('/bank'));
  await openAccount(bank);
  await arrived(receiver, 3);
  const listed = async (authorization: string, url: string) =>
    (await as(authorization, 'GET', url)).body.data;
  for (const { authorization, id } of [one, other]) {
    const [only, ...rest] = await listed(authorization, at);
    assert.deepEqual([only.application_id, rest], [id, []]);
    const found = await listed(authorization, '/api/v2/webhooks/deliveries');
    assert.deepEqual(
      found.map(({ endpoint_id }: { endpoint_id: string }) => endpoint_id),
      [only.id],
    );
  }
  assert.equal((await bank.get(at)).data.length, 3);
  assert.equal((await bank.get(`${at}?application_id=${one.id}`)).data.length, 1);
  const delivery = await settled(bank, `endpoint_id=${made.body.id}`, 'delivered');
  for (const [method, url, body] of [
    ['GET', `${at}/${made.body.id}`, undefined],
    ['PATCH', `${at}/${made.body.id}`, { description: 'mine' }],
    ['POST', `${at}/${made.body.id}/disable`, undefined],
    ['POST', `${at}/${made.body.id}/rotations`, {}],
    ['POST', `${at}/${made.body.id}/test`, undefined],
    ['POST', `${at}/${made.body.id}/resends`, { from: '2020-01-01T00:00:00Z' }],
    ['GET', `/api/v2/webhooks/deliveries/${delivery.id}`, undefined],
    ['POST', `/api/v2/webhooks/deliveries/${delivery.id}/resend`, undefined],
  ] as const) {
    assert.equal((await as(other.authorization, method, url, body)).status, 404, `${method} ${url}`);
  }
});

test('who makes an endpoint must be allowed to read what it hears, all of it', async () => {
  const refusal = async (permissions: string[], body: object, narrowed: Caller['narrowed'] = []) => {
    const answer = await as(newCaller('person', permissions, narrowed).authorization, 'POST', at, body);
    return [answer.status, answer.body.permission];
  };
  const body = endpoint('/any');
  assert.deepEqual(await refusal(['webhooks:write'], body), [403, 'events:read']);
  assert.deepEqual(await refusal(['webhooks:write', 'events:read'], body), [201, undefined]);
  const personal = { ...body, personal_data: true };
  assert.deepEqual(await refusal(['webhooks:write', 'events:read'], personal), [403, 'personal_data:read']);
  const labels = { branch: '7' };
  const some = (...permissions: string[]) => [{ permissions: new Set(permissions), labels }];
  assert.deepEqual(await refusal([], body, some('webhooks:write', 'events:read')), [403, 'webhooks:write']);
  assert.deepEqual(await refusal(['webhooks:write'], body, some('events:read')), [403, 'events:read']);
  assert.deepEqual(await refusal(['webhooks:write', 'events:read'], personal, some('personal_data:read')), [
    403,
    'personal_data:read',
  ]);

  const { authorization } = newCaller('person', ['webhooks:write', 'webhooks:read']);
  const { id } = await bank.post(at, endpoint('/edited', { personal_data: true }));
  for (const [edit, permission] of [
    [{ url: `${receiver.url}/elsewhere` }, 'events:read'],
    [{ event_types: ['*'] }, 'events:read'],
    [{ personal_data: true }, 'events:read'],
    [{ description: 'mine' }, undefined],
    [{ personal_data: false }, undefined],
  ] as const) {
    const answer = await as(authorization, 'PATCH', `${at}/${id}`, edit);
    assert.equal(answer.body.permission, permission, JSON.stringify(edit));
  }
  assert.equal((await as(authorization, 'POST', `${at}/${id}/enable`)).body.permission, 'events:read');
});

test('a delivery shows no more of the event than its reader may see, and of the answer neither', async () => {
  const { id } = await bank.post(at, endpoint('/whole', { personal_data: true }));
  await openAccount(bank, 'Zoraide Quintela');
  const whole = await settled(bank, `endpoint_id=${id}`, 'delivered');
  assert.equal(whole.body.data.name, 'Zoraide Quintela');
  const url = `/api/v2/webhooks/deliveries/${whole.id}`;
  const blind = await as(newCaller('person', ['webhooks:read', 'events:read']).authorization, 'GET', url);
  assert.equal(blind.body.body.data.name, 'Z•••');
  assert.ok(!blind.text.includes('Quintela'));
  const unread = await as(newCaller('person', ['webhooks:read']).authorization, 'GET', url);
  assert.deepEqual([unread.body.body.type, unread.body.body.data], ['ledger.account.opened', undefined]);
});

test('what belongs to another tenant is not there', async () => {
  const { id } = await bank.post(at, endpoint('/ours'));
  const { id: delivery } = await bank.post(`${at}/${id}/test`);
  const stranger = await platform.newTenant();
  for (const url of [`${at}/${id}`, `/api/v2/webhooks/deliveries/${delivery}`]) {
    assert.equal((await stranger.ask('GET', url)).status, 404);
  }
  assert.deepEqual((await stranger.get(`/api/v2/webhooks/deliveries?endpoint_id=${id}`)).data, []);
});
