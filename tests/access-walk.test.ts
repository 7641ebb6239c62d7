/**
 * Every route under /api/ × every kind of caller who has no business there: refused, and nothing of another tenant told.
 * A new route with a parameter that is not known here fails this test until somebody says what it stands for.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair } from 'jose';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
import { newKey } from '../src/platform/access/key.ts';
import { formatId, newUuid } from '../src/platform/ids.ts';
import { newPerson } from '../src/services/identity/people/testing.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

/** Stands in every text of the tenant and environment whose data nobody else may see. */
const MARK = 'Zimtschnecke';
/** Stands in what belongs to the tenant in both of its environments. */
const TENANT_MARK = 'Mohnkuchen';
const ATTEMPT = 'of-the-owner';
const brl = (amount: string) => ({ amount, currency: 'BRL' });

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
interface Route {
  method: Method;
  path: string;
}

let platform: TestPlatform;
let superuser: Client;
let owner: TestTenant;
let routes: Route[];
/** For each parameter of a path: what names something of the owner, and what names nothing. */
let parameters: Record<string, { real: string; made_up: string }>;

/** Every route of the server, those that the reference hides too, from the tree that Fastify prints. */
function routesOf(tree: string): Route[] {
  const found: Route[] = [];
  const parents: string[] = [];
  for (const line of tree.split('\n')) {
    const at = line.indexOf('── ');
    if (at < 0) continue;
    const [, part = '', methods] = /^── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line.slice(at)) ?? [];
    const depth = (at - 1) / 4;
    parents.splice(depth, Number.POSITIVE_INFINITY, part);
    const path = parents.join('');
    for (const name of methods?.split(', ') ?? []) {
      const method = (['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const).find((m) => m === name);
      if (method !== undefined && path.startsWith('/api/')) found.push({ method, path });
    }
  }
  return found;
}

before(async () => {
  platform = await openTestPlatform();
  superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  owner = await platform.newTenant();
  await superuser.query('update platform.tenants set name = $1 where tenant_id = $2', [
    `${TENANT_MARK} Bank`,
    owner.scope.tenant_id,
  ]);
  for (const [code, type] of [
    ['1', 'asset'],
    ['2', 'liability'],
  ]) {
    await owner.post('/api/v2/chart-of-accounts', { code, type, name: MARK });
  }
  const open = async (chart_code: string, options: object = {}): Promise<string> => {
    const body = { name: MARK, currency: 'BRL', chart_code, metadata: { note: MARK }, ...options };
    return (await owner.post('/api/v2/accounts', body)).id;
  };
  const [cash, account] = [await open('1', { credit_limit: null }), await open('2')];
  const payment = { debit_account_id: cash, credit_account_id: account, amount: brl('100.00') };
  const texts = { description: MARK, metadata: { note: MARK } };
  const transfer = await owner.post(
    '/api/v2/transfers',
    { ...payment, ...texts },
    { 'idempotency-key': ATTEMPT },
  );
  const hold = await owner.post('/api/v2/holds', {
    debit_account_id: account,
    credit_account_id: cash,
    amount: brl('1.00'),
    ...texts,
  });
  const key = await owner.post('/api/v2/api-keys', { label: MARK });
  const invited = { email: `${TENANT_MARK}@bank.example`, name: TENANT_MARK };
  const invitation = await owner.post('/api/v2/invitations', invited);
  const person = await newPerson(platform, owner, { email: `${TENANT_MARK.toLowerCase()}2@bank.example` });
  const role = { name: 'teller_here', description: MARK, permissions: ['accounts:read'] };
  await owner.post('/api/v2/roles', role);
  const grant = await owner.post('/api/v2/grants', { person_id: person.id, role: role.name });
  await owner.ask('PUT', '/api/v2/approval-policies/accounts:close', {});
  const proposal = await owner.post(`/api/v2/accounts/${account}/close`);
  // The audit trail writes a moment later than it answers.
  let record: string | undefined;
  for (let tries = 0; record === undefined; tries += 1) {
    assert.ok(tries < 500, 'nothing was recorded');
    record = (await owner.get('/api/v2/audit?limit=1')).data[0]?.id;
  }
  const device = await owner.post('/api/v2/devices', {
    label: MARK,
    public_key: await exportJWK((await generateKeyPair('ES256')).publicKey),
    permissions: ['accounts:read'],
  });
  const application = await owner.post('/api/v2/applications', {
    name: MARK,
    auth_method: 'client_secret_post',
    grant_types: ['client_credentials'],
    scopes: ['accounts:read'],
  });
  const window = { name: 'minute', requests: 1_000_000, window_s: 60 };
  await owner.post('/api/v2/plans', { name: 'of_the_owner', description: MARK, windows: [window] });
  const held = newUuid();
  await superuser.query(
    `insert into platform.held_events (tenant_id, environment, consumer, event_id, sequence, aggregateid, event, state, reason)
     values ($1, 'sandbox', 'walker', $2, 1, 'it', $3, 'parked', 'It failed')`,
    [
      owner.scope.tenant_id,
      held,
      JSON.stringify({ type: 'ledger.account.opened', aggregatetype: 'thing', note: TENANT_MARK }),
    ],
  );
  await superuser.query(
    `insert into platform.events (tenant_id, environment, sequence, log_offset, partition, id, time, type, source,
       aggregatetype, aggregateid, payload)
     values ($1, 'sandbox', 999999, 0, 0, $2, now(), 'ledger.account.opened', '/ledger', 'thing', 'it', $3)`,
    [owner.scope.tenant_id, held, JSON.stringify({ name: TENANT_MARK })],
  );
  parameters = {
    consumer: { real: 'walker', made_up: 'nobody' },
    event_id: { real: formatId('evt', held), made_up: formatId('evt', newUuid()) },
    device_id: { real: device.id, made_up: formatId('dev', newUuid()) },
    application_id: { real: application.id, made_up: formatId('app', newUuid()) },
    // Consents are a person's own: no key has any.
    consent_id: { real: formatId('con', newUuid()), made_up: formatId('con', newUuid()) },
    tenant_id: { real: formatId('ten', owner.scope.tenant_id), made_up: formatId('ten', newUuid()) },
    environment: { real: 'sandbox', made_up: 'live' },
    name: { real: 'of_the_owner', made_up: 'of_nobody' },
    invitation_id: { real: invitation.id, made_up: formatId('inv', newUuid()) },
    person_id: { real: person.id, made_up: formatId('usr', newUuid()) },
    proposal_id: { real: proposal.id, made_up: formatId('prp', newUuid()) },
    record_id: { real: record, made_up: formatId('aud', newUuid()) },
    grant_id: { real: grant.id, made_up: formatId('grt', newUuid()) },
    role: { real: role.name, made_up: 'made_up' },
    // A job of the system, which institutions do not see. Jobs of tenants have the same names for each of them.
    job: { real: 'platform.forget_request_counts', made_up: 'platform.make_up' },
    action: { real: 'accounts:close', made_up: 'accounts:freeze' },
    account_id: { real: account, made_up: formatId('acc', newUuid()) },
    transfer_id: { real: transfer.id, made_up: formatId('trf', newUuid()) },
    hold_id: { real: hold.id, made_up: formatId('hld', newUuid()) },
    key_id: { real: key.id, made_up: formatId('key', newUuid()) },
    key: { real: ATTEMPT, made_up: newUuid() },
    // Numbers of v1 are each tenant's own. Nobody else here has any.
    number: { real: '2', made_up: '999999' },
    from: { real: '1', made_up: '999998' },
    to: { real: '2', made_up: '999999' },
    amount: { real: '1', made_up: '1' },
  };
  routes = routesOf(platform.running.app.printRoutes({ commonPrefix: false }));
});
after(async () => {
  await superuser.end();
  await platform.close();
});

/** Bodies that would be accepted, by the end of the path. */
const bodies: Record<string, object> = {
  reversals: { amount: brl('1.00') },
  increments: { amount: brl('1.00') },
  extensions: { expires_at: '2199-01-01T00:00:00Z' },
  captures: { amount: brl('1.00') },
  releases: {},
  rotations: {},
  approve: {},
  replay: { from_sequence: 1 },
  end: {},
  reject: { reason: 'mine' },
  'password-resets': {},
  ':role': { description: 'mine' },
  ':person_id': { name: 'mine' },
  ':account_id': { name: 'mine' },
  ':key_id': { label: 'mine' },
  ':device_id': { label: 'mine' },
  ':action': {},
  ':application_id': { name: 'mine' },
  secrets: {},
  ':name': { description: 'mine' },
  ':tenant_id': { name: 'mine' },
  suspend: { reason: 'mine' },
  resume: {},
  ':environment': { windows: [{ name: 'minute', requests: 1, window_s: 60 }] },
  limits: { amounts: [{ currency: 'BRL' }] },
  ':number': { name: 'mine', balance: 1 },
};
/** Routes that tell callers of themselves, whatever they may do. */
const forEveryCaller = new Set(['/api/v2/self']);
/** Parameters of what belongs to the tenant in both of its environments. */
const ofTenant = /:(person_id|invitation_id)/;
/** What only those who operate the installation may ask: an institution is refused, whatever it names. */
const ofInstallation = /^\/api\/v2\/(tenants|system-jobs)\//;
/** Queries without which a route refuses before it looks for anything. */
const queries: Record<string, string> = {
  statement: '?from=2026-01-01&to=2026-12-31',
  // One's own stream does not end: whoever may read it is told that the place is none.
  stream: '?after=-1',
};

/** The last part of a path; addresses of v1 may end with a slash. */
const endOf = (path: string) => path.split('/').findLast((part) => part !== '') ?? '';

function addressOf(path: string, which: 'real' | 'made_up'): string {
  const url = path.replaceAll(/:(\w+)(\([^)]*\))?/g, (_, name: string) => {
    const parameter = parameters[name] ?? assert.fail(`${path}: say what :${name} stands for`);
    return encodeURIComponent(parameter[which]);
  });
  return url + (queries[endOf(path)] ?? '');
}

async function ask(
  { method, path }: Route,
  which: 'real' | 'made_up',
  headers: Record<string, string>,
): Promise<Answer> {
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? bodies[endOf(path)] : undefined;
  const answer = await platform.running.app.inject({
    method,
    url: addressOf(path, which),
    headers: { 'if-match': '*', 'idempotency-key': newUuid(), ...headers },
    ...(body === undefined ? {} : { payload: body }),
  });
  return {
    status: answer.statusCode,
    headers: { 'content-type': String(answer.headers['content-type']) },
    body: answer.body.startsWith('{') ? answer.json() : undefined,
    text: answer.body,
  };
}

/** Asserts that an answer is a refusal of one of these kinds and tells nothing of the owner. */
function assertTellsNothing(answer: Answer, { method, path }: Route, who: string, statuses: number[]): void {
  const shown = `${method} ${path} for ${who}: ${answer.status} ${answer.text.slice(0, 300)}`;
  assert.ok(statuses.includes(answer.status), shown);
  if (method !== 'HEAD') {
    assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json\b/, shown);
    assert.equal(answer.body.status, answer.status, shown);
  }
  assertUnmarked(answer, shown);
}

function assertUnmarked(
  answer: Answer,
  shown: string,
  marks = [MARK, TENANT_MARK, owner.scope.tenant_id],
): void {
  for (const mark of marks) assert.ok(!answer.text.toLowerCase().includes(mark.toLowerCase()), shown);
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

test('the walk knows every route there is', () => {
  const documented = Object.keys(platform.running.app.swagger().paths ?? {}).filter((path) =>
    path.startsWith('/api/'),
  );
  assert.ok(documented.length > 20);
  const walked = new Set(routes.map(({ path }) => path.replaceAll(/:(\w+)(\([^)]*\))?/g, '{$1}')));
  for (const path of documented) assert.ok(walked.has(path), `${path} is not walked`);
});

test('who is not known, no longer known or not allowed is refused on every route', async () => {
  const { app } = platform.running;
  const { key: revoked, id } = await owner.post('/api/v2/api-keys', { label: 'revoked' });
  await owner.post(`/api/v2/api-keys/${id}/revoke`);
  const { key: expired, id: old } = await owner.post('/api/v2/api-keys', { label: 'expired' });
  await owner.post(`/api/v2/api-keys/${old}/rotations`, { overlap_s: 0 });
  const db = platform.running.platform;
  const powerless = await createKey(db, owner.scope, { label: 'powerless', scopes: ['nothing:nothing'] });
  const without = 'a key without permissions';
  const suspended = await platform.newTenant();
  await superuser.query(
    "update platform.tenants set status = 'suspended', suspended_at = now() where tenant_id = $1",
    [suspended.scope.tenant_id],
  );
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
  // What was told to the database reaches the process a moment later.
  for (const key of [revoked, suspended.key]) {
    const deadline = Date.now() + 5_000;
    while ((await app.inject({ url: '/api/v2/accounts', headers: bearer(key) })).statusCode === 200) {
      assert.ok(Date.now() < deadline, 'the key is still believed');
    }
  }
  for (const [who, [headers, status]] of Object.entries(callers)) {
    for (const route of routes) {
      // A browser follows links from other sites to pages that only read.
      const reads =
        who === 'a log-in used by another site' && (route.method === 'GET' || route.method === 'HEAD');
      if (reads || (who === without && forEveryCaller.has(route.path))) continue;
      assertTellsNothing(await ask(route, 'real', headers), route, who, [status]);
    }
  }
});

test('what belongs to another tenant or environment is not there, on any route', async () => {
  const live = await createKey(
    platform.running.platform,
    { ...owner.scope, environment: 'live' },
    { label: 'live' },
  );
  const stranger = await platform.newTenant();
  const before = (await owner.get('/api/v2/accounts')).data;
  let asked = 0;
  for (const [who, key] of [
    ['another tenant', stranger.key],
    ['the other environment', live],
  ] as const) {
    for (const route of routes) {
      const answer = await ask(route, 'real', bearer(key));
      asked += 1;
      const isOwn = who === 'the other environment' && ofTenant.test(route.path);
      // One's own lists are empty and one's own creations malformed; neither shows what is another's.
      if (!route.path.includes(':') || isOwn) {
        const shown = `${route.method} ${route.path} for ${who}: ${answer.text}`;
        assert.ok(answer.status < 500, shown);
        assertUnmarked(answer, shown, who === 'another tenant' ? undefined : [MARK]);
      } else {
        assertTellsNothing(answer, route, who, [ofInstallation.test(route.path) ? 403 : 404]);
      }
    }
  }
  assert.ok(asked >= 80, `only ${asked} requests`);
  assert.deepEqual((await owner.get('/api/v2/accounts')).data, before, 'nothing of it has changed');
});

test('what was made up is not there either, and is told in the same words', async () => {
  const stranger = await platform.newTenant();
  for (const route of routes.filter(({ path }) => path.includes(':'))) {
    const made_up = await ask(route, 'made_up', bearer(stranger.key));
    const real = await ask(route, 'real', bearer(stranger.key));
    assertTellsNothing(made_up, route, 'another tenant', [ofInstallation.test(route.path) ? 403 : 404]);
    assert.equal(made_up.body?.code, real.body?.code, `${route.method} ${route.path}`);
  }
});
