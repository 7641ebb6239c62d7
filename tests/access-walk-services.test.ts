/** The walk by service tokens, with which a process of the installation calls another for whoever called it. */
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { SignJWT } from 'jose';
import type { Caller } from '../src/platform/access/caller.ts';
import { openServiceTokens } from '../src/platform/access/service-token.ts';
import type { Scope } from '../src/platform/db.ts';
import { newUuid } from '../src/platform/ids.ts';
import {
  assertFindsNothing,
  assertRefusedEverywhere,
  openWalk,
  SERVICE_TOKEN_KEY,
  suspend,
  until,
  type Walk,
} from './access-walk.ts';

let walk: Walk;
/** All that an institution may do. */
let everything: string[];
before(async () => {
  walk = await openWalk();
  everything = (await walk.owner.get('/api/v2/self')).permissions;
});
after(() => walk.close());

const tokens = openServiceTokens([SERVICE_TOKEN_KEY]);
const service = (token: string) => ({ authorization: `Service ${token}` });

/** Somebody whom a service calls for, who may do everything unless it is said otherwise. */
function callerOf(scope: Scope, more: Partial<Caller> = {}): Caller {
  return {
    ...scope,
    principal: { kind: 'person', id: 'usr_01h455vb4pex5vsknk084sn02q', name: 'Ana' },
    tenant_name: 'Test',
    base_currency: 'BRL',
    permissions: new Set(everything),
    narrowed: [],
    plan: 'standard',
    ...more,
  };
}

test('a service token that is forged, old, for another service or of a suspended tenant opens no route', async () => {
  const { owner, platform } = walk;
  const caller = callerOf(owner.scope);
  const good = await tokens.serviceToken('cards', caller, 'ledger');
  await until(walk, service(good), 200);
  const [header = '', payload = '', signature = ''] = good.split('.');
  const claims: Record<string, unknown> = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const heading: Record<string, unknown> = JSON.parse(Buffer.from(header, 'base64url').toString());
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sign = (changes: Record<string, unknown>, head: object = {}) =>
    new SignJWT({ ...claims, ...changes })
      .setProtectedHeader({ alg: 'HS256', ...heading, ...head })
      .sign(SERVICE_TOKEN_KEY);
  const now_s = Math.floor(Date.now() / 1_000);

  const closed = await platform.newTenant();
  const ofClosed = await tokens.serviceToken('cards', callerOf(closed.scope), 'ledger');
  await until(walk, service(ofClosed), 200);
  await suspend(walk, closed);
  await until(walk, service(ofClosed), 403);

  const callers: Record<string, [token: string, status: number]> = {
    'one signed with another key': [
      await openServiceTokens([randomBytes(32)]).serviceToken('cards', caller, 'ledger'),
      401,
    ],
    'one that is altered': [`${header}.${encode({ ...claims, environment: 'live' })}.${signature}`, 401],
    'one without a signature': [`${encode({ ...heading, alg: 'none' })}.${payload}.`, 401],
    'one that has expired': [await sign({ iat: now_s - 120, exp: now_s - 60 }), 401],
    'one that was made long ago': [await sign({ iat: now_s - 3_600, exp: now_s + 60 }), 401],
    'one that ends with its expired credential': [
      await tokens.serviceToken('cards', { ...caller, expires_at_ms: Date.now() - 60_000 }, 'ledger'),
      401,
    ],
    'one for a service that is not here': [await tokens.serviceToken('cards', caller, 'elsewhere'), 401],
    'one for nobody': [await sign({ aud: undefined }), 401],
    'one of another issuer': [await sign({ iss: 'https://elsewhere.example' }), 401],
    'a token of another kind': [await sign({}, { typ: 'at+jwt' }), 401],
    'one that says whom it is for in part': [await sign({ on_behalf_of: undefined }), 401],
    'one of a tenant that is not there': [
      await tokens.serviceToken(
        'cards',
        callerOf({ tenant_id: newUuid(), environment: 'sandbox' }),
        'ledger',
      ),
      401,
    ],
    'one of a suspended tenant': [ofClosed, 403],
  };
  for (const [who, [token, status]] of Object.entries(callers)) {
    await assertRefusedEverywhere(walk, who, service(token), status);
  }
  await assertRefusedEverywhere(walk, 'one sent as a key', { authorization: `Bearer ${good}` }, 401);
  const abroad = { ...service(good), environment: 'live' };
  await assertRefusedEverywhere(walk, 'who means the other environment', abroad, 403);
});

test('a service may do what whoever called it may, in their tenant and environment', async () => {
  const { owner, platform } = walk;
  const only = callerOf(owner.scope, { permissions: new Set(['accounts:read']) });
  const reader = service(await tokens.serviceToken('cards', only, 'ledger'));
  await until(walk, reader, 200);
  // What the reference hides needs permissions, too, of which it does not tell: addresses of v1.
  await assertRefusedEverywhere(walk, 'who may read accounts', reader, 403, ({ permission }) =>
    [undefined, 'accounts:read', 'self:read'].includes(permission),
  );
  const stranger = await platform.newTenant();
  // Walking takes a while: a token is good for a minute, so each request has its own.
  const by = (caller: Caller) => async () => service(await tokens.serviceToken('cards', caller, 'identity'));
  await assertFindsNothing(walk, 'another tenant', by(callerOf(stranger.scope)));
  const live = callerOf({ ...owner.scope, environment: 'live' });
  await assertFindsNothing(walk, 'the other environment', by(live), 'the other environment');
});
