/** Devices whose requests need the approval of a second: it runs for the device as it is then, and is on record as its own. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createKey } from '../../../platform/access/access.ts';
import { newUuid } from '../../../platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
/** Decides. */
let second: { authorization: string };
before(async () => {
  platform = await openTestPlatform({ PUBLIC_URL: 'https://bank.test' });
  bank = await platform.newTenant();
  const key = await createKey(platform.running.platform, bank.scope, { label: 'second' });
  second = { authorization: `Bearer ${key}` };
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  assert.equal((await bank.ask('PUT', '/api/v2/approval-policies/accounts:close', {})).status, 201);
});
after(() => platform.close());

interface Device {
  id: string;
  key: CryptoKey;
}

async function register(permissions = ['accounts:close', 'accounts:read']): Promise<Device> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const { id } = await bank.post('/api/v2/devices', {
    label: 'till',
    public_key: await exportJWK(publicKey),
    permissions,
  });
  return { id, key: privateKey };
}

async function signed({ id, key }: Device): Promise<{ authorization: string }> {
  const token = await new SignJWT({ jti: newUuid() })
    .setProtectedHeader({ alg: 'ES256', typ: 'device+jwt' })
    .setSubject(id)
    .setAudience('https://bank.test')
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(key);
  return { authorization: `Device ${token}` };
}

/** A device proposes to close an account. */
async function propose(device: Device): Promise<{ account: string; proposal: string }> {
  const account = await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '1' });
  const url = `/api/v2/accounts/${account.id}/close`;
  let answer = await bank.ask('POST', url, undefined, await signed(device));
  // The word of the policy, or of the device, is on its way.
  for (let tries = 0; answer.status === 401 && tries < 500; tries += 1) {
    await sleep(5);
    answer = await bank.ask('POST', url, undefined, await signed(device));
  }
  assert.equal(answer.status, 202, answer.text);
  return { account: account.id, proposal: answer.body.id };
}

async function approve(proposal: string) {
  const answer = await bank.ask('POST', `/api/v2/proposals/${proposal}/approve`, {}, second);
  assert.equal(answer.status, 200, answer.text);
  return bank.get(`/api/v2/proposals/${proposal}`);
}

interface Recorded {
  permission: string;
  outcome: string;
  status: number;
  principal: object;
}

/** What is on record as done by a device, newest first, once there is as much of it. */
async function recordsOf({ id }: Device, wanted: number): Promise<Recorded[]> {
  for (let tries = 0; ; tries += 1) {
    const { data } = await bank.get(`/api/v2/audit?principal=${id}`);
    if (data.length >= wanted) return data;
    assert.ok(tries < 500, `only ${JSON.stringify(data)}`);
    await sleep(10);
  }
}

const principalOf = ({ id }: Device) => ({ kind: 'device', id, name: 'till' });

test('what a device proposed runs for the device, and is on record as done by it', async () => {
  const device = await register();
  const { account, proposal } = await propose(device);
  const decided = await approve(proposal);
  assert.equal(decided.status, 'executed');
  assert.equal((await bank.get(`/api/v2/accounts/${account}`)).status, 'closed');
  const [executed, proposed] = await recordsOf(device, 2);
  assert.deepEqual(
    [proposed, executed].map((record) => [record?.permission, record?.status, record?.principal]),
    [
      ['accounts:close', 202, principalOf(device)],
      ['accounts:close', 200, principalOf(device)],
    ],
  );
});

for (const [what, change] of Object.entries({
  'was disabled': { status: 'disabled' },
  'lost the permission': { permissions: ['accounts:read'] },
  'has expired': { expires_at: '2020-01-01T00:00:00Z' },
})) {
  test(`what a device proposed that ${what} meanwhile is not carried out`, async () => {
    const device = await register();
    const { account, proposal } = await propose(device);
    const edited = await bank.ask('PATCH', `/api/v2/devices/${device.id}`, change, { 'if-match': '*' });
    assert.equal(edited.status, 200, edited.text);
    const decided = await approve(proposal);
    assert.equal(decided.status, 'failed', JSON.stringify(decided));
    assert.equal((await bank.get(`/api/v2/accounts/${account}`)).status, 'open');
  });
}

test('who is refused as a device that is known, is on record as that device', async () => {
  const device = await register(['accounts:read']);
  const refused = await bank.ask('GET', '/api/v2/audit', undefined, await signed(device));
  assert.deepEqual([refused.status, refused.body.code], [403, 'permission_missing']);
  const [record] = await recordsOf(device, 1);
  assert.deepEqual(
    [record?.permission, record?.outcome, record?.principal],
    ['audit:read', 'refused', principalOf(device)],
  );
});
