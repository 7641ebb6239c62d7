/**
 * What a walk of every route under /api/ stands on: the routes, a tenant that owns something at each of them, and what a
 * refusal must not tell. Who walks stands in the tests named access-walk-….test.ts, one for each kind of credential.
 * A new route with a parameter that is not known here fails them until somebody says what it stands for.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair } from 'jose';
import { Client } from 'pg';
import { formatId, newUuid, parseId } from '../src/platform/ids.ts';
import { png } from '../src/services/identity/communities/testing.ts';
import { newPerson } from '../src/services/identity/people/testing.ts';
import { type Answer, openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';

/** Stands in every text of the tenant and environment whose data nobody else may see. */
const MARK = 'Zimtschnecke';
/** Stands in what belongs to the tenant in both of its environments. */
const TENANT_MARK = 'Mohnkuchen';
const ATTEMPT = 'of-the-owner';
const brl = (amount: string) => ({ amount, currency: 'BRL' });

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export interface Route {
  method: Method;
  path: string;
  /** What it needs, as the reference says; absent for what the reference hides. */
  permission?: string;
}

export interface Walk {
  platform: TestPlatform;
  superuser: Client;
  /** Whose things are asked for. Nobody who walks may see any. */
  owner: TestTenant;
  routes: Route[];
  /** For each parameter of a path: what names something of the owner, and what names nothing. */
  parameters: Record<string, { real: string; made_up: string }>;
  close: () => Promise<void>;
}

/** Headers of a request, or what makes them for each, where a credential is good for one. */
export type Credential = Record<string, string> | (() => Promise<Record<string, string>>);

/** The environment of secrets that these tests may decrypt, to sign what nobody else can. */
export const ENCRYPTION_KEY = Buffer.alloc(32, 7);
export const SERVICE_TOKEN_KEY = Buffer.alloc(32, 9);

/** A route's path as the reference writes it. */
export const documentedPath = (path: string) => path.replaceAll(/:(\w+)(\([^)]*\))?/g, '{$1}');

/** Says of each route what permission the reference says that it needs. */
function withPermissions(routes: Route[], paths: object): Route[] {
  const documented: Record<string, Record<string, { 'x-permission'?: string }>> = JSON.parse(
    JSON.stringify(paths),
  );
  return routes.map((route) => {
    const method = route.method === 'HEAD' ? 'get' : route.method.toLowerCase();
    const permission = documented[documentedPath(route.path)]?.[method]?.['x-permission'];
    return permission === undefined ? route : { ...route, permission };
  });
}

/** Every route under a prefix, those that the reference hides too, from the tree that Fastify prints. */
export function routesOf(tree: string, prefix = '/api/'): Route[] {
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
      if (method !== undefined && path.startsWith(prefix)) found.push({ method, path });
    }
  }
  return found;
}

export async function openWalk(): Promise<Walk> {
  const platform = await openTestPlatform({
    IDENTITY_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64'),
    SERVICE_TOKEN_KEY: SERVICE_TOKEN_KEY.toString('base64'),
  });
  const superuser = new Client({ connectionString: platform.url });
  await superuser.connect();
  const owner = await platform.newTenant();
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
  const closing = await owner.post('/api/v2/period-closes', { through: '2001-01-31' });
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
  const endpoint = await owner.post('/api/v2/webhooks/endpoints', {
    url: 'https://receiver.invalid/hooks',
    event_types: ['*'],
    description: MARK,
  });
  const delivery = await owner.post(`/api/v2/webhooks/endpoints/${endpoint.id}/test`);
  const window = { name: 'minute', requests: 1_000_000, window_s: 60 };
  await owner.post('/api/v2/plans', { name: 'of_the_owner', description: MARK, windows: [window] });
  const notified = await owner.post('/api/v2/notifications/recipients', { kind: 'staff', name: MARK });
  const template = await owner.post('/api/v2/notifications/templates', {
    topic: 'announcement',
    channel: 'sms',
    language: 'en',
    text: MARK,
  });
  const { messages } = await owner.post('/api/v2/notifications/messages', {
    recipient_id: notified.id,
    topic: 'announcement',
    data: { title: MARK, message: MARK },
    channels: ['in_app'],
  });
  const community = await owner.post('/api/v2/communities', {
    slug: 'walked',
    name: MARK,
    terms: { version: '1', text: MARK },
    sign_up: 'invitation',
  });
  const guest = await owner.post(`/api/v2/communities/${community.id}/invitations`, {
    email: 'x@guest.example',
    name: MARK,
  });
  const said = { title: MARK, text: MARK };
  const announcement = await owner.post(`/api/v2/communities/${community.id}/announcements`, said);
  const logo = { content_type: 'image/png', data: png(32).toString('base64') };
  await owner.ask('PUT', `/api/v2/communities/${community.id}/logo`, logo, { 'if-match': '*' });
  const joined = { organisation: newUuid(), question: newUuid(), live_request: newUuid() };
  const at = [owner.scope.tenant_id, parseId('com', community.id), joined.organisation, MARK];
  await superuser.query(
    `insert into identity.organisations (tenant_id, environment, community_id, id, name, status, contact_email,
       contact_name, language, terms_version, terms_accepted_at, terms_accepted_by, terms_accepted_from)
     values ($1, 'sandbox', $2, $3, $4, 'pending', 'x@y.example', $4, 'en', '1', now(), 'x', '127.0.0.1')`,
    at,
  );
  await superuser.query(
    `insert into identity.questions (tenant_id, environment, community_id, organisation_id, title, text, asked_by,
       asked_by_name, id)
     values ($1, 'sandbox', $2, $3, $4, $4, 'x', $4, $5)`,
    [...at, joined.question],
  );
  await superuser.query(
    `insert into identity.live_requests (tenant_id, environment, organisation_id, name, purpose, scopes, contact_email,
       webhooks, requested_by, id)
     values ($1, 'sandbox', $2, $3, $3, '{accounts:read}', 'x@y.example', 'used', 'x', $4)`,
    [owner.scope.tenant_id, joined.organisation, MARK, joined.live_request],
  );
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
  const parameters: Walk['parameters'] = {
    consumer: { real: 'walker', made_up: 'nobody' },
    event_id: { real: formatId('evt', held), made_up: formatId('evt', newUuid()) },
    endpoint_id: { real: endpoint.id, made_up: formatId('whk', newUuid()) },
    delivery_id: { real: delivery.id, made_up: formatId('dlv', newUuid()) },
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
    period_close_id: { real: closing.id, made_up: formatId('pcl', newUuid()) },
    hold_id: { real: hold.id, made_up: formatId('hld', newUuid()) },
    key_id: { real: key.id, made_up: formatId('key', newUuid()) },
    key: { real: ATTEMPT, made_up: newUuid() },
    recipient_id: { real: notified.id, made_up: formatId('rcp', newUuid()) },
    template_id: { real: template.id, made_up: formatId('tpl', newUuid()) },
    message_id: { real: messages[0].id, made_up: formatId('msg', newUuid()) },
    community_id: { real: community.id, made_up: formatId('com', newUuid()) },
    community_invitation_id: { real: guest.id, made_up: formatId('cin', newUuid()) },
    announcement_id: { real: announcement.id, made_up: formatId('ann', newUuid()) },
    organisation_id: {
      real: formatId('org', joined.organisation),
      made_up: formatId('org', newUuid()),
    },
    question_id: { real: formatId('que', joined.question), made_up: formatId('que', newUuid()) },
    live_request_id: {
      real: formatId('lrq', joined.live_request),
      made_up: formatId('lrq', newUuid()),
    },
    // Numbers of v1 are each tenant's own. Nobody else here has any.
    number: { real: '2', made_up: '999999' },
    from: { real: '1', made_up: '999998' },
    to: { real: '2', made_up: '999999' },
    amount: { real: '1', made_up: '1' },
  };
  return {
    platform,
    superuser,
    owner,
    routes: withPermissions(
      routesOf(platform.running.app.printRoutes({ commonPrefix: false })),
      platform.running.app.swagger().paths ?? {},
    ),
    parameters,
    close: async () => {
      await superuser.end();
      await platform.close();
    },
  };
}

/** Bodies that would be accepted, by the end of the path. */
const bodies: Record<string, object> = {
  reversals: { amount: brl('1.00') },
  increments: { amount: brl('1.00') },
  extensions: { expires_at: '2199-01-01T00:00:00Z' },
  captures: { amount: brl('1.00') },
  releases: {},
  rotations: {},
  approve: {},
  discard: { reason: 'mine' },
  replay: { from_sequence: 1 },
  end: {},
  reopen: { reason: 'mine' },
  reject: { reason: 'mine' },
  'password-resets': {},
  ':role': { description: 'mine' },
  ':person_id': { name: 'mine' },
  ':account_id': { name: 'mine' },
  ':key_id': { label: 'mine' },
  ':device_id': { label: 'mine' },
  ':endpoint_id': { description: 'mine' },
  resends: { from: '2020-01-01T00:00:00Z' },
  ':action': {},
  ':application_id': { name: 'mine' },
  secrets: {},
  ':name': { description: 'mine' },
  ':tenant_id': { name: 'mine' },
  suspend: { reason: 'mine' },
  resume: { reason: 'mine' },
  ':environment': { windows: [{ name: 'minute', requests: 1, window_s: 60 }] },
  limits: { amounts: [{ currency: 'BRL' }] },
  ':number': { name: 'mine', balance: 1 },
  ':recipient_id': { name: 'mine' },
  ':template_id': { text: 'mine' },
  ':community_id': { description: 'mine' },
  announcements: { title: 'mine', text: 'mine' },
  invitations: { email: 'mine@guest.example' },
  answers: { text: 'mine' },
  accept: { answer_id: formatId('ans', newUuid()) },
  hide: { reason: 'mine' },
  keys: { label: 'mine' },
  logo: { content_type: 'image/png', data: png(16).toString('base64') },
};
/** Routes that tell callers of themselves, whatever they may do. */
export const forEveryCaller = new Set([
  '/api/v2/self',
  '/api/v2/limits/notices',
  '/api/v2/self/approvals',
  '/api/v2/self/inbox',
  '/api/v2/self/inbox/:message_id/read',
  '/api/v2/self/usage',
  '/api/v2/self/usage/requests',
]);
/** Parameters of what belongs to the tenant in both of its environments. */
const ofTenant = /:(person_id|invitation_id)/;
/** What only those who operate the installation may ask: an institution is refused, whatever it names. */
export const ofInstallation = /^\/api\/v2\/(tenants|system-jobs)\//;
/** Queries without which a route refuses before it looks for anything. */
const queries: Record<string, string> = {
  statement: '?from=2026-01-01&to=2026-12-31',
  // One's own stream does not end: whoever may read it is told that the place is none.
  stream: '?after=-1',
};

/** The last part of a path; addresses of v1 may end with a slash. */
const endOf = (path: string) => path.split('/').findLast((part) => part !== '') ?? '';

function addressOf({ parameters }: Walk, path: string, which: 'real' | 'made_up'): string {
  const url = path.replaceAll(/:(\w+)(\([^)]*\))?/g, (_, name: string) => {
    const parameter = parameters[name] ?? assert.fail(`${path}: say what :${name} stands for`);
    return encodeURIComponent(parameter[which]);
  });
  return url + (queries[endOf(path)] ?? '');
}

export async function ask(
  walk: Walk,
  { method, path }: Route,
  which: 'real' | 'made_up',
  credential: Credential,
): Promise<Answer> {
  const headers = typeof credential === 'function' ? await credential() : credential;
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? bodies[endOf(path)] : undefined;
  const answer = await walk.platform.running.app.inject({
    method,
    url: addressOf(walk, path, which),
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
export function assertTellsNothing(
  walk: Walk,
  answer: Answer,
  { method, path }: Route,
  who: string,
  statuses: number[],
): void {
  const shown = `${method} ${path} for ${who}: ${answer.status} ${answer.text.slice(0, 300)}`;
  assert.ok(statuses.includes(answer.status), shown);
  if (method !== 'HEAD') {
    assert.match(answer.headers['content-type'] ?? '', /^application\/problem\+json\b/, shown);
    assert.equal(answer.body.status, answer.status, shown);
  }
  assertUnmarked(walk, answer, shown);
}

function assertUnmarked(
  { owner }: Walk,
  answer: Answer,
  shown: string,
  marks = [MARK, TENANT_MARK, owner.scope.tenant_id],
): void {
  for (const mark of marks) assert.ok(!answer.text.toLowerCase().includes(mark.toLowerCase()), shown);
}

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

/** Asserts that a caller is refused in one way on every route, but for those that it may ask. */
export async function assertRefusedEverywhere(
  walk: Walk,
  who: string,
  credential: Credential,
  status: number,
  mayAsk: (route: Route) => boolean = () => false,
): Promise<void> {
  let asked = 0;
  for (const route of walk.routes) {
    if (mayAsk(route)) continue;
    asked += 1;
    assertTellsNothing(walk, await ask(walk, route, 'real', credential), route, who, [status]);
  }
  assert.ok(asked >= 40, `only ${asked} requests for ${who}`);
}

/**
 * Asserts that a caller who may do everything, but is of another tenant or environment, finds nothing of the owner, and
 * that nothing of it has changed then.
 */
export async function assertFindsNothing(
  walk: Walk,
  who: string,
  credential: Credential,
  of: 'another tenant' | 'the other environment' = 'another tenant',
): Promise<void> {
  const before = (await walk.owner.get('/api/v2/accounts')).data;
  for (const route of walk.routes) {
    const answer = await ask(walk, route, 'real', credential);
    const isOwn = of === 'the other environment' && ofTenant.test(route.path);
    // One's own lists are empty and one's own creations malformed; neither shows what is another's.
    if (!route.path.includes(':') || isOwn) {
      const shown = `${route.method} ${route.path} for ${who}: ${answer.text}`;
      assert.ok(answer.status < 500, shown);
      assert.notEqual(answer.status, 401, shown);
      assertUnmarked(walk, answer, shown, of === 'another tenant' ? undefined : [MARK]);
    } else {
      assertTellsNothing(walk, answer, route, who, [ofInstallation.test(route.path) ? 403 : 404]);
    }
  }
  assert.deepEqual((await walk.owner.get('/api/v2/accounts')).data, before, 'nothing of it has changed');
}

/** Waits until a credential gets this status: what was told to the database reaches the process a moment later. */
export async function until(walk: Walk, credential: Credential, status: number): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const route = { method: 'GET', path: '/api/v2/self' } as const;
    const answer = await ask(walk, route, 'real', credential);
    if (answer.status === status) return;
    assert.ok(tries < 5_000, `it stays ${answer.status} ${answer.text}`);
    // What comes from the database is heard between requests only.
    await sleep(1);
  }
}

/** A tenant that is suspended, of which nobody knows yet who uses it. */
export async function suspend({ superuser }: Walk, { scope }: TestTenant): Promise<void> {
  await superuser.query(
    "update platform.tenants set status = 'suspended', suspended_at = now() where tenant_id = $1",
    [scope.tenant_id],
  );
}
