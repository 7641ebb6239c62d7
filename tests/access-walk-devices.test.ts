/** The walk by tokens that devices sign themselves, each good for one request. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createKey } from '../src/platform/access/access.ts';
import { newUuid } from '../src/platform/ids.ts';
import type { TestTenant } from '../src/testing.ts';
import {
  assertFindsNothing,
  assertRefusedEverywhere,
  type Credential,
  forEveryCaller,
  openWalk,
  suspend,
  until,
  type Walk,
} from './access-walk.ts';

let walk: Walk;
before(async () => {
  walk = await openWalk();
});
after(() => walk.close());

interface Device {
  id: string;
  key: CryptoKey;
}

async function register(tenant: TestTenant, more: object = {}): Promise<Device> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const { id } = await tenant.post('/api/v2/devices', {
    label: 'till',
    public_key: await exportJWK(publicKey),
    permissions: ['*:*'],
    ...more,
  });
  return { id, key: privateKey };
}

interface Token {
  aud?: string;
  typ?: string;
  jti?: string;
  age_s?: number;
}

/** Headers with a token of its own for each request, unless it says which. */
function by({ id, key }: Device, { aud, typ = 'device+jwt', jti, age_s = 0 }: Token = {}): Credential {
  return async () => {
    const now_s = Math.floor(Date.now() / 1_000) - age_s;
    const token = await new SignJWT({ jti: jti ?? newUuid() })
      .setProtectedHeader({ alg: 'ES256', typ })
      .setSubject(id)
      .setAudience(aud ?? walk.platform.running.url)
      .setIssuedAt(now_s)
      .setExpirationTime(now_s + 60)
      .sign(key);
    return { authorization: `Device ${token}` };
  };
}

const abroad =
  (credential: Credential): Credential =>
  async () => ({
    ...(typeof credential === 'function' ? await credential() : credential),
    environment: 'live',
  });

test('a device that is not good, or no longer, or whose token is not its own, opens no route', async () => {
  const { owner, platform } = walk;
  const good = await register(owner);
  await until(walk, by(good), 200);
  const disabled = await register(owner);
  await until(walk, by(disabled), 200);
  const off = await owner.ask(
    'PATCH',
    `/api/v2/devices/${disabled.id}`,
    { status: 'disabled' },
    { 'if-match': '*' },
  );
  assert.equal(off.status, 200);
  await until(walk, by(disabled), 401);
  const expired = await register(owner, { expires_at: '2020-01-01T00:00:00Z' });
  const closed = await platform.newTenant();
  const [used, unused] = [await register(closed), await register(closed)];
  await until(walk, by(used), 200);
  await suspend(walk, closed);
  await until(walk, by(used), 403);
  const { key: foreign } = await register(await platform.newTenant());
  const once = { jti: newUuid() };
  await until(walk, by(good, once), 200);
  const callers: Record<string, [credential: Credential, status: number]> = {
    'a device that is disabled': [by(disabled), 401],
    'a device that has expired': [by(expired), 401],
    'a device that another signs for': [by({ ...good, key: foreign }), 401],
    'a device that is not there': [by({ ...good, id: 'dev_01h455vb4pex5vsknk084sn02q' }), 401],
    'a token that was used before': [by(good, once), 401],
    'a token that is old': [by(good, { age_s: 120 }), 401],
    'a token of the future': [by(good, { age_s: -600 }), 401],
    'a token for another server': [by(good, { aud: 'https://elsewhere.example' }), 401],
    'a token of another kind': [by(good, { typ: 'at+jwt' }), 401],
    'a device of a suspended tenant': [by(unused), 403],
    'a device that was in use when its tenant was suspended': [by(used), 403],
    'a device that means the other environment': [abroad(by(good)), 403],
  };
  for (const [who, [credential, status]] of Object.entries(callers)) {
    await assertRefusedEverywhere(walk, who, credential, status);
  }
});

test('a device may ask what it was given, and finds nothing of another tenant or environment', async () => {
  const { owner, platform } = walk;
  const reader = await register(owner, { permissions: ['accounts:read'] });
  await until(walk, by(reader), 200);
  // What the reference hides needs permissions, too, of which it does not tell: addresses of v1.
  await assertRefusedEverywhere(
    walk,
    'a device that may read accounts',
    by(reader),
    403,
    ({ path, permission }) =>
      forEveryCaller.has(path) || permission === undefined || permission === 'accounts:read',
  );
  const stranger = await platform.newTenant();
  await assertFindsNothing(walk, 'a device of another tenant', by(await register(stranger)));
  const live = await createKey(
    platform.running.platform,
    { ...owner.scope, environment: 'live' },
    { label: 'live' },
  );
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const { body, status } = await owner.ask(
    'POST',
    '/api/v2/devices',
    { label: 'till', public_key: await exportJWK(publicKey), permissions: ['*:*'] },
    { authorization: `Bearer ${live}` },
  );
  assert.equal(status, 201);
  const ofLive = by({ id: body.id, key: privateKey });
  await assertFindsNothing(walk, 'a device of the other environment', ofLive, 'the other environment');
});
