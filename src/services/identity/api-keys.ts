/** API keys as their owners see them. The key itself is told once, when it is made. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { assertMay, type Caller } from '../../platform/access/caller.ts';
import { hashKey, hintOf, newKey } from '../../platform/access/key.ts';
import { PERMISSION_PATTERN, type PermissionCatalogue } from '../../platform/access/permission.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import { refuse } from './errors.ts';
import { statusForKeys } from './oauth/applications.ts';
import { assertMayAssign, PlanName } from './plans.ts';
import { assertHolds } from './roles/holding.ts';

const Scopes = Type.Array(
  Type.String({
    pattern: PERMISSION_PATTERN,
    examples: ['accounts:read', 'transfers:*', '*:read'],
  }),
  {
    minItems: 1,
    maxItems: 200,
    uniqueItems: true,
    description: 'Permissions, or patterns of them in which `*` stands for every resource or action',
  },
);
const Label = Text({ min: 1, max: 255, description: 'What the key is for', examples: ['settlement job'] });
const Addresses = Type.Array(
  Type.String({
    pattern: '^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$',
    examples: ['203.0.113.0/24', '2001:db8::7'],
  }),
  { minItems: 1, maxItems: 100, description: 'Networks or addresses that it may be used from' },
);
const Origins = Type.Array(
  Type.String({
    pattern:
      '^(https://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?|http://localhost:([0-9]{1,5}|\\*))$',
    examples: ['https://app.example.com', 'http://localhost:*'],
  }),
  {
    minItems: 1,
    maxItems: 50,
    uniqueItems: true,
    description: 'Origins whose pages may use it from a browser; without any, none may',
  },
);
const Expiry = Type.String({ format: 'date-time', description: 'From when on it is no longer good' });

export const ApiKeyRequest = Type.Object(
  {
    label: Label,
    scopes: Type.Optional(Scopes),
    plan: Type.Optional(PlanName),
    application_id: Type.Optional(
      Id('app', 'The application it is of, with which it is counted; needs applications:edit'),
    ),
    expires_at: Type.Optional(Expiry),
    allowed_addresses: Type.Optional(Addresses),
    allowed_origins: Type.Optional(Origins),
  },
  { additionalProperties: false },
);
export type ApiKeyRequest = Static<typeof ApiKeyRequest>;

export const EditApiKeyRequest = Type.Object(
  {
    label: Type.Optional(Label),
    plan: Type.Optional(PlanName),
    expires_at: Type.Optional(Type.Union([Expiry, Type.Null()])),
    allowed_addresses: Type.Optional(Type.Union([Addresses, Type.Null()])),
    allowed_origins: Type.Optional(Type.Union([Origins, Type.Null()])),
  },
  { additionalProperties: false, minProperties: 1 },
);

const MAX_OVERLAP_S = 30 * 86_400;
export const RotationRequest = Type.Object(
  {
    overlap_s: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_OVERLAP_S,
        default: 86_400,
        description: 'Seconds that the old key stays good beside the new one',
      }),
    ),
  },
  { additionalProperties: false },
);

const Status = Type.Union(
  [Type.Literal('active'), Type.Literal('expired'), Type.Literal('revoked'), Type.Literal('disabled')],
  { description: 'disabled: refused for as long as the application that it is of is disabled' },
);

export const ApiKey = Type.Object({
  id: Id('key'),
  label: Type.String(),
  hint: Type.String({ description: 'The first letters of the key' }),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  scopes: Type.Array(Type.String()),
  status: Status,
  plan: Type.String(),
  application_id: Type.Optional(Id('app', 'The application it is of')),
  has_limits: Type.Boolean({ description: 'Whether monetary limits are kept for it' }),
  allowed_addresses: Type.Optional(Type.Array(Type.String())),
  allowed_origins: Type.Optional(Type.Array(Type.String())),
  created_at: Type.String(),
  created_by: Type.Optional(Type.String({ description: 'Who created it; absent for the operator' })),
  expires_at: Type.Optional(Type.String()),
  last_used_at: Type.Optional(Type.String({ description: 'To within a minute' })),
  replaced_by: Type.Optional(Id('key', 'The key that it was rotated to')),
  revoked_at: Type.Optional(Type.String()),
});
export type ApiKey = Static<typeof ApiKey>;

export const NewApiKey = Type.Object({
  ...ApiKey.properties,
  key: Type.Optional(
    Type.String({
      description: 'The key itself, told this once: a repetition of the request is answered without it',
    }),
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  label: Type.String(),
  hint: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  scopes: Type.Array(Type.String()),
  status: Status,
  plan: Type.String(),
  application_id: Nullable,
  has_limits: Type.Boolean(),
  allowed_addresses: Type.Union([Type.Array(Type.String()), Type.Null()]),
  allowed_origins: Type.Union([Type.Array(Type.String()), Type.Null()]),
  created_at: Type.String(),
  created_by: Nullable,
  expires_at: Nullable,
  last_used_at: Nullable,
  replaced_by: Nullable,
  revoked_at: Nullable,
});

const LimitsRow = Type.Object({ limits_id: Nullable });

const columns = `id, label, hint, environment, scopes,
  case when revoked_at is not null then 'revoked' when expires_at <= now() then 'expired'
    when disabled_at is not null then 'disabled' else 'active' end as status,
  plan, application_id, limits_id is not null as has_limits, allowed_addresses::text[], allowed_origins,
  created_at, created_by, expires_at, last_used_at, replaced_by, revoked_at`;

function keyOf(row: Static<typeof Row>): ApiKey {
  const {
    application_id,
    allowed_addresses,
    allowed_origins,
    created_by,
    expires_at,
    last_used_at,
    replaced_by,
    revoked_at,
    ...rest
  } = row;
  return {
    ...rest,
    id: formatId('key', row.id),
    ...(application_id === null ? {} : { application_id: formatId('app', application_id) }),
    ...(allowed_addresses === null ? {} : { allowed_addresses }),
    ...(allowed_origins === null ? {} : { allowed_origins }),
    ...(created_by === null ? {} : { created_by }),
    ...(expires_at === null ? {} : { expires_at }),
    ...(last_used_at === null ? {} : { last_used_at }),
    ...(replaced_by === null ? {} : { replaced_by: formatId('key', replaced_by) }),
    ...(revoked_at === null ? {} : { revoked_at }),
  };
}

/** The ETag of a key: a digest of what can be edited would say no more than the whole of it. */
export function versionOf(key: ApiKey): string {
  const { last_used_at: _, ...rest } = key;
  return hashKey(canonicalRequest(rest)).toString('base64url').slice(0, 22);
}

export async function getApiKey(tx: Transaction, scope: Scope, uuid: string): Promise<ApiKey> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined)
    throw refuse(
      'api_key_not_found',
      `There is no API key ${formatId('key', uuid)} in ${scope.environment}.`,
    );
  return keyOf(row);
}

const Filters = Type.Object(
  {
    status: Type.Optional(Status),
    q: Type.Optional(Text({ min: 1, max: 255, description: 'Part of the label' })),
    application_id: Type.Optional(Id('app', 'Those of an application')),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListApiKeysQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** API keys, newest first. */
export async function listApiKeys(tx: Transaction, scope: Scope, query: Static<typeof ListApiKeysQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select * from (
       select ${columns} from platform.api_keys
       where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
         and ($4::text is null or strpos(lower(label), lower($4)) > 0) and ($7::uuid is null or application_id = $7)
     ) k where $5::text is null or status = $5
     order by id desc limit $6`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      page.filters.q ?? null,
      page.filters.status ?? null,
      page.limit + 1,
      page.filters.application_id === undefined ? null : uuidOf('app', page.filters.application_id),
    ],
  );
  return pageOf(rows, page, keyOf, ({ id }) => id);
}

/** Refuses networks that PostgreSQL would not take, naming the first. */
function assertNetworks(networks: readonly string[] | null | undefined): void {
  for (const [index, network] of (networks ?? []).entries()) {
    const [address = '', bits] = network.split('/');
    const isV6 = address.includes(':');
    const isAddress =
      URL.canParse(isV6 ? `http://[${address}]/` : `http://${address}/`) &&
      (isV6 || /^(\d{1,3}\.){3}\d{1,3}$/.test(address));
    const width = isV6 ? 128 : 32;
    if (!isAddress || (bits !== undefined && Number(bits) > width)) {
      throw refuseRequest('malformed_request', `${network} is no network.`, {
        errors: [
          {
            pointer: `/allowed_addresses/${index}`,
            detail: 'must be an address or a network in CIDR notation',
          },
        ],
      });
    }
  }
}

/** Networks as PostgreSQL's cidr wants them: without bits of a host. */
const asNetworks = (parameter: string) =>
  `(select array_agg(network(a::inet)) from unnest(${parameter}::text[]) a)`;

export interface Keys {
  db: Database;
  permissions: PermissionCatalogue;
}

/** Creates a key that may do no more than its creator. It is told once; a repetition gets the rest. */
export async function createApiKey(
  { db, permissions }: Keys,
  caller: Caller,
  body: ApiKeyRequest,
  attempt: Attempt,
): Promise<{ created: Static<typeof NewApiKey>; replayed: boolean }> {
  const scopes = body.scopes ?? [...caller.permissions];
  assertNetworks(body.allowed_addresses);
  const key = newKey(caller.environment);
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await assertHolds(tx, caller, permissions, scopes, caller.limits_id);
      const plan = body.plan ?? caller.plan;
      await assertMayAssign(tx, caller, plan);
      const application = body.application_id === undefined ? null : uuidOf('app', body.application_id);
      let isDisabled = false;
      if (application !== null) {
        // What the key asks is taken from what the application may ask.
        assertMay(caller, 'applications:edit', false);
        isDisabled = (await statusForKeys(tx, caller, application)) === 'disabled';
      }
      const uuid = newUuid();
      await tx.run(
        `insert into platform.api_keys (tenant_id, environment, id, hash, hint, label, scopes, expires_at,
           allowed_addresses, created_by, limits_id, plan, allowed_origins, application_id,
           disabled_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, ${asNetworks('$9')}, $10, $11, $12, $13, $14,
           case when $15 then now() end)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          hashKey(key),
          hintOf(key),
          body.label,
          scopes,
          body.expires_at ?? null,
          body.allowed_addresses ?? null,
          caller.principal.id,
          // Nobody leaves their limits behind by way of another key.
          caller.limits_id ?? null,
          plan,
          body.allowed_origins ?? null,
          application,
          isDisabled,
        ],
      );
      return uuid;
    },
  );
  const created = await db.read(caller, (tx) => getApiKey(tx, caller, id));
  return { created: replayed ? created : { ...created, key }, replayed };
}

/** A thing as it was and as it is. */
interface Changed {
  before: ApiKey;
  after: ApiKey;
}

/** Edits what a key is called, its plan, and where and how long it is good. */
export function editApiKey(
  { db }: Keys,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditApiKeyRequest>,
  ifMatch: string | undefined,
): Promise<Changed> {
  assertNetworks(body.allowed_addresses);
  return db.write(caller, async (tx) => {
    await tx.run(
      'select from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [caller.tenant_id, caller.environment, uuid],
    );
    const before = await getApiKey(tx, caller, uuid);
    if (before.status === 'revoked') throw refuse('api_key_revoked', `${before.id} is revoked.`);
    assertMatches(ifMatch, versionOf(before), 'the API key');
    if (body.plan !== undefined && body.plan !== before.plan) await assertMayAssign(tx, caller, body.plan);
    await tx.run(
      `update platform.api_keys set label = coalesce($4, label),
         expires_at = case when $5 then $6 else expires_at end,
         allowed_addresses = case when $7 then ${asNetworks('$8')} else allowed_addresses end,
         plan = coalesce($9, plan),
         allowed_origins = case when $10 then $11 else allowed_origins end
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        body.label ?? null,
        body.expires_at !== undefined,
        body.expires_at ?? null,
        body.allowed_addresses !== undefined,
        body.allowed_addresses ?? null,
        body.plan ?? null,
        body.allowed_origins !== undefined,
        body.allowed_origins ?? null,
      ],
    );
    return { before, after: await getApiKey(tx, caller, uuid) };
  });
}

/** Makes another key of the same kind and lets the old one expire after the overlap. */
export async function rotateApiKey(
  { db, permissions }: Keys,
  caller: Caller,
  uuid: string,
  body: Static<typeof RotationRequest>,
  attempt: Attempt,
): Promise<{ before: ApiKey | undefined; created: Static<typeof NewApiKey>; replayed: boolean }> {
  const key = newKey(caller.environment);
  let before: ApiKey | undefined;
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await tx.run(
        'select from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3 for no key update',
        [caller.tenant_id, caller.environment, uuid],
      );
      const old = await getApiKey(tx, caller, uuid);
      if (old.status === 'revoked') throw refuse('api_key_revoked', `${old.id} is revoked.`);
      before = old;
      const [limits] = await tx.rows(
        LimitsRow,
        'select limits_id from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3',
        [caller.tenant_id, caller.environment, uuid],
      );
      await assertHolds(tx, caller, permissions, old.scopes, limits?.limits_id);
      const next = newUuid();
      const isDisabled =
        old.application_id !== undefined &&
        (await statusForKeys(tx, caller, uuidOf('app', old.application_id))) === 'disabled';
      await tx.run(
        `insert into platform.api_keys (tenant_id, environment, id, hash, hint, label, scopes, plan, limits_id,
           allowed_addresses, allowed_origins, application_id, created_by, disabled_at)
         select tenant_id, environment, $4, $5, $6, label, scopes, plan, limits_id, allowed_addresses, allowed_origins, application_id, $7,
           case when $8 then now() end
         from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          next,
          hashKey(key),
          hintOf(key),
          caller.principal.id,
          isDisabled,
        ],
      );
      await tx.run(
        `update platform.api_keys set replaced_by = $4,
           expires_at = least(expires_at, now() + make_interval(secs => $5))
         where tenant_id = $1 and environment = $2 and id = $3`,
        [caller.tenant_id, caller.environment, uuid, next, body.overlap_s ?? 86_400],
      );
      return next;
    },
  );
  const created = await db.read(caller, (tx) => getApiKey(tx, caller, id));
  return { before, created: replayed ? created : { ...created, key }, replayed };
}

/**
 * Revokes a key, in every process at once. One that is revoked stays so.
 *
 * @param by public id of who revokes it
 */
export function revokeApiKey(
  { db }: Pick<Keys, 'db'>,
  scope: Scope,
  uuid: string,
  by: string,
): Promise<Changed> {
  return db.write(scope, async (tx) => {
    await tx.run(
      'select from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [scope.tenant_id, scope.environment, uuid],
    );
    const before = await getApiKey(tx, scope, uuid);
    await tx.run(
      `update platform.api_keys set revoked_at = now(), revoked_by = $4
       where tenant_id = $1 and environment = $2 and id = $3 and revoked_at is null`,
      [scope.tenant_id, scope.environment, uuid, by],
    );
    return { before, after: await getApiKey(tx, scope, uuid) };
  });
}
