/** The walk by sessions of staff, which are good in both environments of a tenant and nowhere else. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatId, newUuid, parseId } from '../src/platform/ids.ts';
import { newPerson, type TestPerson } from '../src/services/identity/people/testing.ts';
import type { TestTenant } from '../src/testing.ts';
import {
  assertFindsNothing,
  assertRefusedEverywhere,
  bearer,
  forEveryCaller,
  openWalk,
  type Route,
  routesOf,
  suspend,
  until,
  type Walk,
} from './access-walk.ts';

let walk: Walk;
before(async () => {
  walk = await openWalk();
});
after(() => walk.close());

/** As a page of this site sends a session. */
const cookie = (token: string) => ({
  cookie: `financialapi_session=${token}`,
  'sec-fetch-site': 'same-origin',
});

function sessionOf({ browser }: TestPerson): string {
  return browser.cookies.get('financialapi_session') ?? assert.fail('there is no session');
}

/** The session of somebody who has just signed in and asked for nothing yet. */
async function staff(
  roles: string[],
  tenant: TestTenant = walk.owner,
): Promise<{ person: TestPerson; session: string }> {
  const person = await newPerson(walk.platform, tenant, { roles });
  return { person, session: sessionOf(person) };
}

/** Sets something of a session as if time had passed. */
async function age(session: string, change: string): Promise<void> {
  const { rowCount } = await walk.superuser.query(
    `update identity.sessions set ${change} where token_hash = sha256(convert_to($1, 'UTF8'))`,
    [session],
  );
  assert.equal(rowCount, 1);
}

test('who has no session that is good is refused on every route', async () => {
  const { platform, owner } = walk;
  const { session: whole } = await staff(['administrator']);
  const { person: leaving, session: ended } = await staff(['administrator']);
  assert.equal((await leaving.browser.ask('POST', '/identity/sign-out')).status, 204);
  const { session: expired } = await staff(['administrator']);
  await age(expired, "expires_at = now() - interval '1 second'");
  const { session: idle } = await staff(['administrator']);
  await age(idle, "last_seen_at = now() - interval '90 days'");
  const { person: sent, session: ofSuspended } = await staff(['administrator']);
  await owner.post(`/api/v2/people/${sent.id}/suspend`);
  const { person: left, session: ofRemoved } = await staff(['administrator']);
  await owner.post(`/api/v2/people/${left.id}/remove`);
  const closed = await platform.newTenant();
  const { session: ofClosed } = await staff(['administrator'], closed);
  const { session: used } = await staff(['administrator'], closed);
  await until(walk, cookie(used), 200);
  await suspend(walk, closed);
  await until(walk, cookie(used), 403);
  const callers: Record<string, [session: string, status: number]> = {
    'an empty session': ['', 401],
    'something that is no session': ['x', 401],
    'half a session': [whole.slice(0, -2), 401],
    'a session that nobody has': [`${whole.slice(0, -10)}AAAAAAAAAA`, 401],
    'who has signed out': [ended, 401],
    'a session that is too old': [expired, 401],
    'a session that was not used for too long': [idle, 401],
    'somebody who is suspended': [ofSuspended, 401],
    'somebody who was removed': [ofRemoved, 401],
    'staff of a suspended tenant': [ofClosed, 403],
    'staff who were signed in when their tenant was suspended': [used, 403],
  };
  for (const [who, [session, status]] of Object.entries(callers)) {
    await assertRefusedEverywhere(walk, who, cookie(session), status);
  }
  await until(walk, cookie(whole), 200);
});

test('a session that other sites use changes nothing, and none is taken for another credential', async () => {
  const { session } = await staff(['administrator']);
  const crossing = { ...cookie(session), 'sec-fetch-site': 'cross-site' };
  const reads = ({ method }: Route) => method === 'GET' || method === 'HEAD';
  await assertRefusedEverywhere(walk, 'another site', crossing, 403, reads);
  for (const authorization of [`Bearer ${session}`, `Device ${session}`, `Service ${session}`]) {
    await assertRefusedEverywhere(walk, authorization, { authorization }, 401);
    await assertRefusedEverywhere(walk, 'both', { ...cookie(session), authorization }, 401);
  }
});

test('a role opens the routes of its permissions, in its environment, and no other', async () => {
  const { session: nobody } = await staff([]);
  const everyCaller = ({ path }: Route) => forEveryCaller.has(path);
  await assertRefusedEverywhere(walk, 'staff without a role', cookie(nobody), 403, everyCaller);

  const role = { name: 'walker', description: 'Reads accounts', permissions: ['accounts:read'] };
  await walk.owner.post('/api/v2/roles', role);
  const { session: reader } = await staff(['walker']);
  await until(walk, cookie(reader), 200);
  // What the reference hides needs permissions, too, of which it does not tell: addresses of v1.
  const may = (route: Route) =>
    everyCaller(route) || route.permission === undefined || role.permissions.includes(route.permission);
  assert.ok(walk.routes.filter(may).length < walk.routes.length / 2, 'most routes need another permission');
  await assertRefusedEverywhere(walk, 'who may read accounts', cookie(reader), 403, may);
  const abroad = { ...cookie(reader), environment: 'live' };
  await assertRefusedEverywhere(walk, 'who has the role in the sandbox', abroad, 403, everyCaller);
});

test('staff of another tenant find nothing, whatever they may do in their own', async () => {
  const stranger = await walk.platform.newTenant();
  const { session } = await staff(['administrator'], stranger);
  await assertFindsNothing(walk, 'an administrator of another tenant', cookie(session));
  // The tenant is no more than what the session says: naming another opens nothing.
  const { session: ours } = await staff(['administrator']);
  const [, secret = ours] = ours.split('.');
  const [theirs = ''] = session.split('.');
  if (theirs !== session)
    await assertRefusedEverywhere(walk, 'a mixture', cookie(`${theirs}.${secret}`), 401);
});

test('what belongs to the sandbox is not there for staff who ask the live environment', async () => {
  const { superuser, owner } = walk;
  const { person, session } = await staff(['administrator']);
  await superuser.query(
    `insert into identity.grants (tenant_id, environment, id, person_id, role, created_by)
     select tenant_id, 'live', $2, person_id, role, created_by from identity.grants
     where tenant_id = $1 and environment = 'sandbox' and role = 'administrator' and person_id = $3`,
    [owner.scope.tenant_id, newUuid(), uuidOfPerson(person)],
  );
  const abroad = { ...cookie(session), environment: 'live' };
  await until(walk, abroad, 200);
  await assertFindsNothing(walk, 'an administrator who asks the live one', abroad, 'the other environment');
});

function uuidOfPerson({ id }: TestPerson): string {
  return parseId('usr', id) ?? assert.fail(`${id} is no person`);
}

/** Bodies without which a route says what it lacks before it asks who is there. */
const ownBodies: Record<string, object> = {
  '/identity/me/environment': { environment: 'live' },
  '/identity/me/password': { current_password: 'x', new_password: 'y' },
  '/identity/me/sessions/end': {},
  '/identity/me/totp/confirm': { code: '123456' },
  '/identity/me/passkeys': {
    label: 'x',
    credential: {
      id: 'AA',
      rawId: 'AA',
      type: 'public-key',
      response: { clientDataJSON: 'AA', attestationObject: 'AA' },
    },
  },
};

test('what is of oneself is refused without a session that is good, and of others nothing is found', async () => {
  const { platform } = walk;
  const { app } = platform.running;
  const own = routesOf(app.printRoutes({ commonPrefix: false }), '/identity/me');
  assert.ok(own.length >= 12, `only ${own.length} routes`);
  const { person: leaving, session: ended } = await staff(['administrator']);
  assert.equal((await leaving.browser.ask('POST', '/identity/sign-out')).status, 204);
  const { session: expired } = await staff(['administrator']);
  await age(expired, "expires_at = now() - interval '1 second'");
  const closed = await platform.newTenant();
  const { session: ofClosed } = await staff(['administrator'], closed);
  await suspend(walk, closed);
  await until(walk, cookie(ofClosed), 403);
  const { session: crossing } = await staff(['administrator']);
  const callers: Record<string, [headers: Record<string, string>, status: number]> = {
    nobody: [{ 'sec-fetch-site': 'same-origin' }, 401],
    'a key, which is no person': [{ ...bearer(walk.owner.key), 'sec-fetch-site': 'same-origin' }, 401],
    'who has signed out': [cookie(ended), 401],
    'a session that is too old': [cookie(expired), 401],
    'staff of a suspended tenant': [cookie(ofClosed), 403],
    'another site': [{ ...cookie(crossing), 'sec-fetch-site': 'cross-site' }, 403],
  };
  for (const [who, [headers, status]] of Object.entries(callers)) {
    for (const { method, path } of own) {
      if (who === 'another site' && (method === 'GET' || method === 'HEAD')) continue;
      const answer = await app.inject({
        method,
        url: path.replace(':passkey_id', formatId('psk', newUuid())),
        headers,
        ...(ownBodies[path] === undefined ? {} : { payload: ownBodies[path] }),
      });
      assert.equal(answer.statusCode, status, `${method} ${path} for ${who}: ${answer.body}`);
    }
  }
  // Sessions of others, of the same tenant and of another.
  const { person: other } = await staff([]);
  const { data } = (await other.browser.ask('GET', '/identity/me/sessions')).body;
  const stranger = await platform.newTenant();
  for (const { person } of [await staff(['administrator']), await staff(['administrator'], stranger)]) {
    const end = await person.browser.ask('POST', '/identity/me/sessions/end', { session_id: data[0].id });
    assert.deepEqual([end.status, end.body.code], [404, 'session_not_found']);
  }
  assert.equal((await other.browser.ask('GET', '/identity/me')).status, 200);
});
