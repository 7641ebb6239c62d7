/** The walk by API keys, which are credentials of a tenant in one environment. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createKey } from '../src/platform/access/access.ts';
import { newKey } from '../src/platform/access/key.ts';
import {
  ask,
  assertFindsNothing,
  assertRefusedEverywhere,
  assertTellsNothing,
  bearer,
  documentedPath,
  forEveryCaller,
  ofInstallation,
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

test('the walk knows every route there is', () => {
  const documented = Object.keys(walk.platform.running.app.swagger().paths ?? {}).filter((path) =>
    path.startsWith('/api/'),
  );
  assert.ok(documented.length > 20);
  const walked = new Set(walk.routes.map(({ path }) => documentedPath(path)));
  for (const path of documented) assert.ok(walked.has(path), `${path} is not walked`);
});

test('who is not known, no longer known or not allowed is refused on every route', async () => {
  const { owner, platform } = walk;
  const { key: revoked, id } = await owner.post('/api/v2/api-keys', { label: 'revoked' });
  await owner.post(`/api/v2/api-keys/${id}/revoke`);
  const { key: expired, id: old } = await owner.post('/api/v2/api-keys', { label: 'expired' });
  await owner.post(`/api/v2/api-keys/${old}/rotations`, { overlap_s: 0 });
  const db = platform.running.platform;
  const powerless = await createKey(db, owner.scope, { label: 'powerless', scopes: ['nothing:nothing'] });
  const without = 'a key without permissions';
  const suspended = await platform.newTenant();
  await suspend(walk, suspended);
  const callers: Record<string, [headers: Record<string, string>, status: number]> = {
    nobody: [{}, 401],
    'an empty credential': [{ authorization: '' }, 401],
    'another scheme': [{ authorization: 'Basic YTpi' }, 401],
    'an unknown scheme': [{ authorization: `Magic ${owner.key}` }, 401],
    'half a key': [bearer(owner.key.slice(0, -3)), 401],
    'a key that nobody has': [bearer(newKey('sandbox')), 401],
    'something like a token': [bearer('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.'), 401],
    'a cookie of nobody': [
      { cookie: `financialapi_key=${newKey('live')}`, 'sec-fetch-site': 'same-origin' },
      401,
    ],
    'a log-in used by another site': [
      { cookie: `financialapi_key=${owner.key}`, 'sec-fetch-site': 'cross-site' },
      403,
    ],
    'the other environment': [bearer(owner.key.replace('fa_test_', 'fa_live_')), 403],
    'who means the other environment': [{ ...bearer(owner.key), environment: 'live' }, 403],
    'a revoked key': [bearer(revoked), 401],
    'an expired key': [bearer(expired), 401],
    [without]: [bearer(powerless), 403],
    'a suspended tenant': [bearer(suspended.key), 403],
  };
  await until(walk, bearer(revoked), 401);
  await until(walk, bearer(suspended.key), 403);
  for (const [who, [headers, status]] of Object.entries(callers)) {
    await assertRefusedEverywhere(
      walk,
      who,
      headers,
      status,
      ({ method, path }) =>
        // A browser follows links from other sites to pages that only read.
        (who === 'a log-in used by another site' && (method === 'GET' || method === 'HEAD')) ||
        (who === without && forEveryCaller.has(path)),
    );
  }
});

test('what belongs to another tenant or environment is not there, on any route', async () => {
  const { owner, platform } = walk;
  const scope = { ...owner.scope, environment: 'live' } as const;
  const live = await createKey(platform.running.platform, scope, { label: 'live' });
  const stranger = await platform.newTenant();
  assert.ok(walk.routes.length >= 40, `only ${walk.routes.length} routes`);
  await assertFindsNothing(walk, 'another tenant', bearer(stranger.key));
  await assertFindsNothing(walk, 'the other environment', bearer(live), 'the other environment');
});

test('what was made up is not there either, and is told in the same words', async () => {
  const stranger = await walk.platform.newTenant();
  for (const route of walk.routes.filter(({ path }) => path.includes(':'))) {
    const made_up = await ask(walk, route, 'made_up', bearer(stranger.key));
    const real = await ask(walk, route, 'real', bearer(stranger.key));
    assertTellsNothing(walk, made_up, route, 'another tenant', [ofInstallation.test(route.path) ? 403 : 404]);
    assert.equal(made_up.body?.code, real.body?.code, `${route.method} ${route.path}`);
  }
});
