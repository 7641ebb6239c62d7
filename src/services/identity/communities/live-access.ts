/** Access beyond an organisation's own sandbox: asked for by developers, given or refused by the institution. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { PERMISSION_PATTERN, type PermissionCatalogue } from '../../../platform/access/permission.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../../platform/ids.ts';
import type { ReadLimits } from '../../../platform/limits/limits.ts';
import { once } from '../../../platform/once.ts';
import type { ServiceContext } from '../../../platform/service.ts';
import { createApiKey, getApiKey, listApiKeys, NewApiKey, revokeApiKey } from '../api-keys.ts';
import { refuse } from '../errors.ts';
import { createApplication, editApplication, getApplication } from '../oauth/applications.ts';
import { Email } from '../people/invitation.ts';
import { hashOf } from '../people/token.ts';
import { type KeyUsage, PlanName, readKeyUsage } from '../plans.ts';
import { getCommunity } from './communities.ts';
import { attemptOfOrganisation } from './organisations.ts';

const Scopes = Type.Array(Type.String({ pattern: PERMISSION_PATTERN, examples: ['accounts:read'] }), {
  minItems: 1,
  maxItems: 200,
  uniqueItems: true,
  description: 'Permissions, or patterns of them, out of those that the community offers',
});
const Status = Type.Enum(['pending', 'approved', 'rejected']);
const Webhooks = Type.Enum(['used', 'not_needed'], { description: 'Whether the application gets webhooks' });

export const LiveRequestBody = Type.Object(
  {
    name: Text({ min: 1, max: 255, description: 'What the application is called', examples: ['Ledgerly'] }),
    purpose: Text({ min: 1, max: 2_000, description: 'What it does, and for whom' }),
    scopes: Scopes,
    contact_email: Personal(Email),
    webhooks: Webhooks,
  },
  { additionalProperties: false },
);
export const ApprovalRequest = Type.Object(
  {
    scopes: Type.Optional(Scopes),
    plan: Type.Optional(PlanName),
    reason: Type.Optional(Text({ min: 1, max: 1_000, description: 'Told to the organisation' })),
  },
  { additionalProperties: false },
);

export const LiveRequest = Type.Object({
  id: Id('lrq'),
  organisation_id: Id('org'),
  organisation_name: Type.String(),
  name: Type.String(),
  purpose: Type.String(),
  scopes: Type.Array(Type.String()),
  contact_email: Personal(Type.String()),
  webhooks: Webhooks,
  status: Status,
  requested_by: Type.String(),
  created_at: Type.String(),
  decided_at: Type.Optional(Type.String()),
  decided_by: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  application_id: Type.Optional(Id('app', 'What it came to')),
});
export type LiveRequest = Static<typeof LiveRequest>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  organisation_id: Type.String(),
  organisation_name: Type.String(),
  name: Type.String(),
  purpose: Type.String(),
  scopes: Type.Array(Type.String()),
  contact_email: Type.String(),
  webhooks: Webhooks,
  status: Status,
  requested_by: Type.String(),
  created_at: Type.String(),
  decided_at: Nullable,
  decided_by: Nullable,
  reason: Nullable,
  application_id: Nullable,
});
const columns = `r.id, r.organisation_id, o.name as organisation_name, r.name, r.purpose, r.scopes, r.contact_email, r.webhooks,
  r.status, r.requested_by, r.created_at, r.decided_at, r.decided_by, r.reason, r.application_id`;
const from = `from identity.live_requests r
  join identity.organisations o on (o.tenant_id, o.environment, o.id) = (r.tenant_id, r.environment, r.organisation_id)`;

function shown(row: Static<typeof Row>): LiveRequest {
  const { id, organisation_id, decided_at, decided_by, reason, application_id, ...rest } = row;
  return {
    ...rest,
    id: formatId('lrq', id),
    organisation_id: formatId('org', organisation_id),
    ...(decided_at === null ? {} : { decided_at }),
    ...(decided_by === null ? {} : { decided_by }),
    ...(reason === null ? {} : { reason }),
    ...(application_id === null ? {} : { application_id: formatId('app', application_id) }),
  };
}

/** @param organisation UUID of the one that asks, which sees no other's; undefined for the institution */
export async function getLiveRequest(
  tx: Transaction,
  scope: Scope,
  uuid: string,
  organisation?: string,
): Promise<LiveRequest> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} ${from} where r.tenant_id = $1 and r.environment = $2 and r.id = $3
       and ($4::uuid is null or r.organisation_id = $4)`,
    [scope.tenant_id, scope.environment, uuid, organisation ?? null],
  );
  if (row === undefined) {
    throw refuse('live_request_not_found', `There is no request ${formatId('lrq', uuid)}.`);
  }
  return shown(row);
}

const Filters = Type.Object(
  { status: Type.Optional(Status), organisation_id: Type.Optional(Id('org')) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListLiveRequestsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/**
 * Requests, newest first.
 *
 * @param organisation UUID of the one that asks, which sees no other's; undefined for the institution
 */
export async function listLiveRequests(
  tx: Transaction,
  scope: Scope,
  { limit, cursor, ...given }: Static<typeof ListLiveRequestsQuery>,
  organisation?: string,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { status, organisation_id } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} ${from}
     where r.tenant_id = $1 and r.environment = $2 and ($3::uuid is null or r.id < $3)
       and ($4::text is null or r.status = $4) and ($5::uuid is null or r.organisation_id = $5)
       and ($6::uuid is null or r.organisation_id = $6)
     order by r.id desc limit $7`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      status ?? null,
      organisation ?? null,
      organisation_id === undefined ? null : uuidOf('org', organisation_id),
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

export interface LiveAccess {
  db: Database;
  permissions: PermissionCatalogue;
  findPrincipal: ServiceContext['findPrincipal'];
}

/** What patterns come to beyond what others come to. */
function beyond(
  permissions: PermissionCatalogue,
  asked: readonly string[],
  offered: readonly string[],
): string[] {
  const known = permissions.expand(offered, 'institution');
  return [...permissions.expand(asked, 'institution')].filter((permission) => !known.has(permission));
}

interface Asking {
  host: Scope;
  /** UUID. */
  organisation: string;
  community_id: string;
}

/** Asks for access, of an organisation that is ready for it. */
export async function requestLiveAccess(
  { db, permissions }: LiveAccess,
  caller: Caller,
  { host, organisation, community_id }: Asking,
  body: Static<typeof LiveRequestBody>,
  attempt: Attempt,
): Promise<{ request: LiveRequest; replayed: boolean }> {
  const { community } = await db.read(host, (tx) => getCommunity(tx, host, community_id));
  const missing = beyond(permissions, body.scopes, community.live_scopes);
  const own = attemptOfOrganisation(organisation, attempt);
  const { id, replayed } = await once(
    db,
    host,
    { ...own, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      if (missing.length > 0 || permissions.expand(body.scopes, 'institution').size === 0) {
        throw refuse(
          'scopes_not_offered',
          missing.length > 0
            ? `${community.name} does not offer ${missing.join(', ')}.`
            : 'These come to no permission at all.',
          { permissions: missing },
        );
      }
      const uuid = newUuid();
      await tx.run(
        `insert into identity.live_requests (tenant_id, environment, id, organisation_id, name, purpose, scopes,
           contact_email, webhooks, requested_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          host.tenant_id,
          host.environment,
          uuid,
          organisation,
          body.name,
          body.purpose,
          body.scopes,
          body.contact_email,
          body.webhooks,
          caller.principal.id,
        ],
      );
      return uuid;
    },
  );
  return { request: await db.read(host, (tx) => getLiveRequest(tx, host, id, organisation)), replayed };
}

async function lockPending(tx: Transaction, scope: Scope, uuid: string): Promise<LiveRequest> {
  await tx.run(
    'select from identity.live_requests where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, uuid],
  );
  return getLiveRequest(tx, scope, uuid);
}

function assertPending(request: LiveRequest): void {
  if (request.status !== 'pending') {
    throw refuse('live_request_decided', `${request.id} is ${request.status}.`, { status: request.status });
  }
}

export interface Decided {
  before: LiveRequest;
  after: LiveRequest;
}

/**
 * Approves a request: registers an application with what is granted, which is no more than was asked for and than who
 * approves may do. A crash midway leaves an application of which nobody has a key; approving again goes on with it.
 */
export async function approveLiveAccess(
  access: LiveAccess,
  caller: Caller,
  uuid: string,
  body: Static<typeof ApprovalRequest>,
): Promise<Decided> {
  const { db, permissions } = access;
  const asked = await db.read(caller, (tx) => getLiveRequest(tx, caller, uuid));
  if (asked.status === 'approved') return { before: asked, after: asked };
  assertPending(asked);
  const { scopes = asked.scopes } = body;
  const missing = beyond(permissions, scopes, asked.scopes);
  if (missing.length > 0) {
    throw refuse('scopes_not_offered', `${asked.name} did not ask for ${missing.join(', ')}.`, {
      permissions: missing,
    });
  }
  const { live_plan } = await db.read(caller, async (tx) => {
    const [row] = await tx.rows(
      Type.Object({ live_plan: Type.String() }),
      `select c.live_plan from identity.organisations o join identity.communities c
         on (c.tenant_id, c.environment, c.id) = (o.tenant_id, o.environment, o.community_id)
       where o.tenant_id = $1 and o.environment = $2 and o.id = $3 and o.status = 'active'`,
      [caller.tenant_id, caller.environment, uuidOf('org', asked.organisation_id)],
    );
    if (row === undefined) {
      throw refuse('organisation_not_so', `${asked.organisation_name} is not active.`);
    }
    return row;
  });
  const application = {
    name: asked.name,
    auth_method: 'client_secret_basic' as const,
    grant_types: ['client_credentials' as const],
    scopes,
    plan: body.plan ?? live_plan,
  };
  // What comes of it is kept for whoever tries, and for what they would give.
  const attempt = hashOf(canonicalRequest({ request: asked.id, by: caller.principal.id, application }));
  const { created } = await createApplication(access, caller, application, {
    key: `live-request/${attempt.toString('hex')}`,
    operation: 'approve live access',
  });
  const decided = await db.write(caller, async (tx): Promise<Decided> => {
    const before = await lockPending(tx, caller, uuid);
    if (before.status !== 'pending') return { before, after: before };
    await tx.run(
      `update identity.live_requests
       set status = 'approved', application_id = $4, decided_at = now(), decided_by = $5, reason = $6
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        uuidOf('app', created.id),
        caller.principal.id,
        body.reason ?? null,
      ],
    );
    return { before, after: await getLiveRequest(tx, caller, uuid) };
  });
  if (decided.after.application_id !== created.id) {
    // Somebody else decided meanwhile: what was registered here is nobody's.
    await editApplication(access, caller, uuidOf('app', created.id), { status: 'disabled' }, '*');
    if (decided.after.status !== 'approved') assertPending(decided.after);
  }
  return decided;
}

export function rejectLiveAccess(
  { db }: LiveAccess,
  caller: Caller,
  uuid: string,
  reason: string,
): Promise<Decided> {
  return db.write(caller, async (tx) => {
    const before = await lockPending(tx, caller, uuid);
    if (before.status === 'rejected') return { before, after: before };
    assertPending(before);
    await tx.run(
      `update identity.live_requests set status = 'rejected', decided_at = now(), decided_by = $4, reason = $5
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, caller.principal.id, reason],
    );
    return { before, after: await getLiveRequest(tx, caller, uuid) };
  });
}

const Granted = Type.Object({ application_id: Type.String() });

/** UUIDs of the applications that an organisation was given. */
async function applicationsOf(tx: Transaction, host: Scope, organisation: string): Promise<string[]> {
  const rows = await tx.rows(
    Granted,
    `select application_id from identity.live_requests
     where tenant_id = $1 and environment = $2 and organisation_id = $3 and application_id is not null
     order by id desc`,
    [host.tenant_id, host.environment, organisation],
  );
  return rows.map(({ application_id }) => application_id);
}

const Key = Type.Object({
  id: Id('key'),
  label: Type.String(),
  hint: Type.String({ description: 'The first letters of the key' }),
  status: Type.Enum(['active', 'expired', 'revoked', 'disabled']),
  created_at: Type.String(),
  last_used_at: Type.Optional(Type.String()),
});

/** What an organisation is told of a key. */
const keyOf = ({ id, label, hint, status, created_at }: Static<typeof Key>): Static<typeof Key> => ({
  id,
  label,
  hint,
  status,
  created_at,
});
const LiveApplication = Type.Object({
  id: Id('app'),
  name: Type.String(),
  environment: Type.Enum(['sandbox', 'live']),
  scopes: Type.Array(Type.String()),
  plan: Type.String(),
  status: Type.Enum(['active', 'disabled']),
  created_at: Type.String(),
  keys: Type.Array(Key),
});
export const LiveApplications = Type.Object({ data: Type.Array(LiveApplication) });
const KEYS_SHOWN = 100;

/** What an organisation was given, with the newest keys of each. */
export async function listLiveApplications(
  tx: Transaction,
  host: Scope,
  organisation: string,
): Promise<Static<typeof LiveApplications>> {
  const data: Static<typeof LiveApplication>[] = [];
  for (const uuid of await applicationsOf(tx, host, organisation)) {
    const { application } = await getApplication(tx, host, uuid);
    const { id, name, environment, scopes, plan, status, created_at } = application;
    const keys = await listApiKeys(tx, host, { application_id: id, limit: KEYS_SHOWN });
    data.push({
      id,
      name,
      environment,
      scopes,
      plan,
      status,
      created_at,
      keys: keys.data.map((key) => ({
        id: key.id,
        label: key.label,
        hint: key.hint,
        status: key.status,
        created_at: key.created_at,
        ...(key.last_used_at === undefined ? {} : { last_used_at: key.last_used_at }),
      })),
    });
  }
  return { data };
}

export const LiveKeyRequest = Type.Object(
  {
    label: Text({ min: 1, max: 255, description: 'What the key is for', examples: ['server in production'] }),
  },
  { additionalProperties: false },
);
export const LiveKey = Type.Object({ ...Key.properties, key: NewApiKey.properties.key });

/** Refuses an application that an organisation was not given: whose it is is not told. */
export async function assertGiven(
  tx: Transaction,
  host: Scope,
  organisation: string,
  application_id: string,
): Promise<void> {
  const own = await applicationsOf(tx, host, organisation);
  if (!own.includes(uuidOf('app', application_id))) {
    throw refuse('application_not_found', `There is no application ${application_id}.`);
  }
}

/** What a key of an application that an organisation was given has asked, and what it may still ask. */
export async function readLiveKeyUsage(
  db: Database,
  limits: ReadLimits,
  host: Scope,
  organisation: string,
  { application_id, key_id }: { application_id: string; key_id: string },
): Promise<Static<typeof KeyUsage>> {
  const key = await db.read(host, async (tx) => {
    await assertGiven(tx, host, organisation, application_id);
    return getApiKey(tx, host, uuidOf('key', key_id));
  });
  if (key.application_id !== application_id) {
    throw refuse('api_key_not_found', `${application_id} has no key ${key_id}.`);
  }
  return readKeyUsage(db, limits, host, key);
}

/** The application of an organisation as a caller, with what it takes to look after its own keys. */
async function applicationCaller(
  { db, findPrincipal }: LiveAccess,
  host: Scope,
  organisation: string,
  application_id: string,
): Promise<Caller> {
  await db.read(host, (tx) => assertGiven(tx, host, organisation, application_id));
  const principal = { kind: 'application', id: application_id, name: application_id } as const;
  const caller = await findPrincipal(host, principal, undefined);
  if (caller === undefined) throw refuse('application_disabled', `${application_id} is disabled.`);
  return { ...caller, permissions: new Set([...caller.permissions, 'applications:edit']) };
}

/** Makes a key of an application, which may do what the application may. */
export async function createLiveKey(
  access: LiveAccess,
  host: Scope,
  organisation: string,
  application_id: string,
  { label }: Static<typeof LiveKeyRequest>,
  attempt: Attempt,
): Promise<{ created: Static<typeof LiveKey>; replayed: boolean }> {
  const caller = await applicationCaller(access, host, organisation, application_id);
  const { application } = await access.db.read(host, (tx) =>
    getApplication(tx, host, uuidOf('app', application_id)),
  );
  const { created, replayed } = await createApiKey(
    access,
    caller,
    { label, application_id, scopes: application.scopes },
    attemptOfOrganisation(organisation, attempt),
  );
  const { id, hint, status, created_at, key } = created;
  return {
    created: { id, label: created.label, hint, status, created_at, ...(key === undefined ? {} : { key }) },
    replayed,
  };
}

export async function revokeLiveKey(
  access: LiveAccess,
  host: Scope,
  organisation: string,
  { application_id, key_id, by }: { application_id: string; key_id: string; by: string },
): Promise<{ before: Static<typeof Key>; after: Static<typeof Key> }> {
  const uuid = uuidOf('key', key_id);
  const keys = await access.db.read(host, async (tx) => {
    const own = await applicationsOf(tx, host, organisation);
    if (!own.includes(uuidOf('app', application_id))) return [];
    return (await listApiKeys(tx, host, { application_id, limit: KEYS_SHOWN })).data;
  });
  if (!keys.some(({ id }) => id === key_id)) {
    throw refuse('api_key_not_found', `${application_id} has no key ${key_id}.`);
  }
  const { before, after } = await revokeApiKey(access, host, uuid, by);
  return { before: keyOf(before), after: keyOf(after) };
}

/** Disables or enables all that an organisation was given. */
export async function setLiveApplications(
  access: LiveAccess,
  caller: Caller,
  organisation: string,
  status: 'active' | 'disabled',
): Promise<void> {
  const own = await access.db.read(caller, (tx) => applicationsOf(tx, caller, organisation));
  for (const uuid of own) await editApplication(access, caller, uuid, { status }, '*');
}
