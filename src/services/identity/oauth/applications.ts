/** Applications: the clients of OAuth, as their owners administer them and as oidc-provider reads them. */
import { hash, randomBytes } from 'node:crypto';
import type { AdapterPayload } from 'oidc-provider';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { PERMISSION_PATTERN, type PermissionCatalogue } from '../../../platform/access/permission.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid, parseId } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { addEvent } from '../events.ts';
import { assertMayAssign, PlanName } from '../plans.ts';
import { assertHolds } from '../roles/holding.ts';
import { SIGNING_ALG } from './signing-keys.ts';

const AuthMethod = Type.Union(
  [
    Type.Literal('private_key_jwt'),
    Type.Literal('self_signed_tls_client_auth'),
    Type.Literal('client_secret_basic'),
    Type.Literal('client_secret_post'),
    Type.Literal('none'),
  ],
  { description: 'How it authenticates; `none` for what cannot keep a secret, as an app on a phone' },
);
const GrantType = Type.Union([
  Type.Literal('authorization_code'),
  Type.Literal('refresh_token'),
  Type.Literal('client_credentials'),
]);
const Binding = Type.Union([Type.Literal('none'), Type.Literal('dpop'), Type.Literal('mtls')], {
  description: 'What its tokens are bound to: a key of its own (DPoP), its certificate, or nothing',
});
const Jwks = Type.Object(
  {
    keys: Type.Array(Type.Record(Type.String({ maxLength: 20 }), Type.Unknown()), {
      minItems: 1,
      maxItems: 10,
    }),
  },
  { additionalProperties: false, description: 'Its public keys (RFC 7517)' },
);
const Scopes = Type.Array(Type.String({ pattern: PERMISSION_PATTERN, examples: ['accounts:read'] }), {
  minItems: 1,
  maxItems: 200,
  uniqueItems: true,
  description: 'Permissions that it may ask for, or patterns of them',
});
const RedirectUris = Type.Array(Type.String({ minLength: 8, maxLength: 2_000 }), {
  maxItems: 20,
  uniqueItems: true,
  description: 'Where a browser may be sent back to: https, or http on the loopback for a native application',
});

const Status = Type.Union([Type.Literal('active'), Type.Literal('disabled')]);
const Name = Text({
  min: 1,
  max: 255,
  description: 'As people are asked to trust it',
  examples: ['Ledgerly'],
});
const JwksUri = Type.String({
  pattern: '^https://',
  maxLength: 2_000,
  description: 'Where its public keys are',
});

export const ApplicationRequest = Type.Object(
  {
    name: Name,
    auth_method: AuthMethod,
    grant_types: Type.Array(GrantType, { minItems: 1, maxItems: 3, uniqueItems: true }),
    scopes: Scopes,
    redirect_uris: Type.Optional(RedirectUris),
    jwks: Type.Optional(Jwks),
    jwks_uri: Type.Optional(JwksUri),
    token_binding: Type.Optional(Binding),
    plan: Type.Optional(PlanName),
    fapi: Type.Optional(
      Type.Boolean({ default: false, description: 'Whether the FAPI 2.0 Security Profile is enforced' }),
    ),
  },
  { additionalProperties: false },
);
export const EditApplicationRequest = Type.Object(
  {
    name: Type.Optional(Name),
    scopes: Type.Optional(Scopes),
    redirect_uris: Type.Optional(RedirectUris),
    jwks: Type.Optional(Jwks),
    jwks_uri: Type.Optional(JwksUri),
    plan: Type.Optional(PlanName),
    status: Type.Optional(Status),
  },
  { additionalProperties: false, minProperties: 1 },
);
export const SecretRotation = Type.Object(
  {
    overlap_s: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30 * 86_400,
        default: 86_400,
        description: 'Seconds that the old secret stays good beside the new one',
      }),
    ),
  },
  { additionalProperties: false },
);

export const Application = Type.Object({
  id: Id('app', 'The client_id'),
  name: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  auth_method: AuthMethod,
  grant_types: Type.Array(GrantType),
  scopes: Type.Array(Type.String()),
  redirect_uris: Type.Array(Type.String()),
  jwks: Type.Optional(Jwks),
  jwks_uri: Type.Optional(Type.String()),
  token_binding: Binding,
  fapi: Type.Boolean(),
  plan: Type.String(),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
});
export const NewApplication = Type.Object({
  ...Application.properties,
  client_secret: Type.Optional(
    Type.String({ description: 'Told this once: a repetition of the request is answered without it' }),
  ),
});

const Row = Type.Object({
  id: Type.String(),
  name: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  auth_method: AuthMethod,
  grant_types: Type.Array(GrantType),
  scopes: Type.Array(Type.String()),
  redirect_uris: Type.Array(Type.String()),
  jwks: Type.Union([Jwks, Type.Null()]),
  jwks_uri: Type.Union([Type.String(), Type.Null()]),
  token_binding: Binding,
  fapi: Type.Boolean(),
  plan: Type.String(),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  version: Type.Integer(),
  secret_hash: Type.Union([Type.String(), Type.Null()]),
  previous_secret_hash: Type.Union([Type.String(), Type.Null()]),
});
export type KeptApplication = Static<typeof Row>;

const columns = `id, name, environment, auth_method, grant_types, scopes, redirect_uris, jwks, jwks_uri, token_binding,
  fapi, plan, status, created_at, created_by, updated_at, version, encode(secret_hash, 'hex') as secret_hash,
  case when previous_secret_expires_at > now() then encode(previous_secret_hash, 'hex') end as previous_secret_hash`;

function shown(row: KeptApplication): Static<typeof Application> {
  const { jwks, jwks_uri, secret_hash: _, previous_secret_hash: __, version: ___, ...rest } = row;
  return {
    ...rest,
    id: formatId('app', row.id),
    ...(jwks === null ? {} : { jwks }),
    ...(jwks_uri === null ? {} : { jwks_uri }),
  };
}

async function findRow(tx: Transaction, scope: Scope, uuid: string): Promise<KeptApplication | undefined> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.applications where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  return row;
}

async function getRow(tx: Transaction, scope: Scope, uuid: string): Promise<KeptApplication> {
  const row = await findRow(tx, scope, uuid);
  if (row === undefined) {
    throw refuse(
      'application_not_found',
      `There is no application ${formatId('app', uuid)} in ${scope.environment}.`,
    );
  }
  return row;
}

export async function getApplication(tx: Transaction, scope: Scope, uuid: string) {
  const row = await getRow(tx, scope, uuid);
  return { application: shown(row), version: row.version };
}

/** Every application of a tenant's environment, for telling whose token may be believed. */
export function listAll(tx: Transaction, scope: Scope): Promise<KeptApplication[]> {
  return tx.rows(
    Row,
    `select ${columns} from identity.applications where tenant_id = $1 and environment = $2`,
    [scope.tenant_id, scope.environment],
  );
}

const Filters = Type.Object({ status: Type.Optional(Status) }, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListApplicationsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Applications, newest first. */
export async function listApplications(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof ListApplicationsQuery>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.applications
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::text is null or status = $4)
     order by id desc limit $5`,
    [scope.tenant_id, scope.environment, page.after ?? null, page.filters.status ?? null, page.limit + 1],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

const isLoopback = (uri: URL) =>
  uri.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(uri.hostname);

type Fitting = Pick<
  KeptApplication,
  'auth_method' | 'grant_types' | 'redirect_uris' | 'jwks' | 'jwks_uri' | 'token_binding' | 'fapi'
>;

/** Refuses what does not fit together. */
function assertSound(application: Fitting): void {
  const { auth_method, grant_types, redirect_uris, jwks, jwks_uri, token_binding, fapi } = application;
  const wrong = (detail: string) => refuse('application_not_sound', detail);
  for (const text of redirect_uris) {
    const uri = URL.parse(text);
    if (
      uri === null ||
      (uri.protocol !== 'https:' && !isLoopback(uri)) ||
      text.includes('#') ||
      uri.username + uri.password !== ''
    ) {
      throw wrong(
        `${text} is no address to send browsers to: use https, or http on the loopback, without fragment.`,
      );
    }
  }
  const withCode = grant_types.includes('authorization_code');
  if (withCode !== redirect_uris.length > 0) {
    throw wrong('The grant authorization_code and redirect_uris are given together, or neither of them.');
  }
  if (grant_types.includes('refresh_token') && !withCode) {
    throw wrong('The grant refresh_token goes with authorization_code only.');
  }
  if (auth_method === 'none' && grant_types.includes('client_credentials')) {
    throw wrong('Who does not authenticate cannot have the grant client_credentials.');
  }
  const withKeys = auth_method === 'private_key_jwt' || auth_method === 'self_signed_tls_client_auth';
  if (withKeys && (jwks === null) === (jwks_uri === null)) {
    throw wrong(`${auth_method} needs the public keys, as jwks or by jwks_uri, and not both.`);
  }
  if (!withKeys && (jwks !== null || jwks_uri !== null)) {
    throw wrong(`${auth_method} uses no keys: leave jwks and jwks_uri away.`);
  }
  if (
    auth_method === 'self_signed_tls_client_auth' &&
    jwks !== null &&
    !jwks.keys.every((key) => 'x5c' in key)
  ) {
    throw wrong('self_signed_tls_client_auth needs the certificate in x5c of each key.');
  }
  if (
    jwks?.keys.some((key) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'priv'].some((secret) => secret in key))
  ) {
    throw wrong('The keys hold private parts. Replace them everywhere, and give the public parts only.');
  }
  if (fapi && !withKeys) {
    throw wrong('FAPI 2.0 needs private_key_jwt or self_signed_tls_client_auth.');
  }
  if (fapi && token_binding === 'none') throw wrong('FAPI 2.0 needs token_binding dpop or mtls.');
}

const newSecret = () => `fas_${randomBytes(32).toString('base64url')}`;
const hashSecret = (secret: string) => hash('sha256', secret, 'buffer');

export interface Applications {
  db: Database;
  permissions: PermissionCatalogue;
}

/**
 * Registers an application that may ask for no more than whoever registers it may do, and no more often unless who may
 * gives it another plan.
 */
export async function createApplication(
  { db, permissions }: Applications,
  caller: Caller,
  body: Static<typeof ApplicationRequest>,
  attempt: Attempt,
): Promise<{ created: Static<typeof NewApplication>; version: number; replayed: boolean }> {
  const usesSecret = body.auth_method === 'client_secret_basic' || body.auth_method === 'client_secret_post';
  const secret = usesSecret ? newSecret() : undefined;
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await assertHolds(tx, caller, permissions, body.scopes);
      const fitting: Fitting = {
        auth_method: body.auth_method,
        grant_types: body.grant_types,
        redirect_uris: body.redirect_uris ?? [],
        jwks: body.jwks ?? null,
        jwks_uri: body.jwks_uri ?? null,
        token_binding: body.token_binding ?? 'none',
        fapi: body.fapi ?? false,
      };
      assertSound(fitting);
      const plan = body.plan ?? caller.plan;
      await assertMayAssign(tx, caller, plan);
      const uuid = newUuid();
      await tx.run(
        `insert into identity.applications (tenant_id, environment, id, name, auth_method, secret_hash, redirect_uris,
           grant_types, scopes, jwks, jwks_uri, token_binding, fapi, created_by, plan)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          body.name,
          fitting.auth_method,
          secret === undefined ? null : hashSecret(secret),
          fitting.redirect_uris,
          fitting.grant_types,
          body.scopes,
          fitting.jwks === null ? null : JSON.stringify(fitting.jwks),
          fitting.jwks_uri,
          fitting.token_binding,
          fitting.fapi,
          caller.principal.id,
          plan,
        ],
      );
      return uuid;
    },
  );
  const { application, version } = await db.read(caller, (tx) => getApplication(tx, caller, id));
  const told = secret !== undefined && !replayed ? { client_secret: secret } : {};
  return { created: { ...application, ...told }, version, replayed };
}

/**
 * Whether an application is active or disabled, which stays so until the transaction ends: a key that is made for it
 * meanwhile is not missed by whoever disables it.
 */
export async function statusForKeys(
  tx: Transaction,
  scope: Scope,
  uuid: string,
): Promise<Static<typeof Status>> {
  await tx.run(
    'select from identity.applications where tenant_id = $1 and environment = $2 and id = $3 for share',
    [scope.tenant_id, scope.environment, uuid],
  );
  return (await getRow(tx, scope, uuid)).status;
}

/** Edits an application. One that is disabled gets no tokens; those it has, and its API keys, are good no longer. */
export function editApplication(
  { db, permissions }: Applications,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditApplicationRequest>,
  ifMatch: string | undefined,
) {
  return db.write(caller, async (tx) => {
    await tx.run(
      'select from identity.applications where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [caller.tenant_id, caller.environment, uuid],
    );
    const before = await getRow(tx, caller, uuid);
    assertMatches(ifMatch, before.version, 'the application');
    if (body.scopes !== undefined) await assertHolds(tx, caller, permissions, body.scopes);
    if (body.plan !== undefined && body.plan !== before.plan) await assertMayAssign(tx, caller, body.plan);
    const keysGiven = body.jwks !== undefined || body.jwks_uri !== undefined;
    const after = {
      ...before,
      redirect_uris: body.redirect_uris ?? before.redirect_uris,
      jwks: keysGiven ? (body.jwks ?? null) : before.jwks,
      jwks_uri: keysGiven ? (body.jwks_uri ?? null) : before.jwks_uri,
    };
    assertSound(after);
    await tx.run(
      `update identity.applications
       set name = $4, scopes = $5, redirect_uris = $6, jwks = $7, jwks_uri = $8, status = $9, plan = $10,
           version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        body.name ?? before.name,
        body.scopes ?? before.scopes,
        after.redirect_uris,
        after.jwks === null ? null : JSON.stringify(after.jwks),
        after.jwks_uri,
        body.status ?? before.status,
        body.plan ?? before.plan,
      ],
    );
    const edited = await getApplication(tx, caller, uuid);
    const { id, name, status } = edited.application;
    if (status !== before.status) {
      await tx.run(
        `update platform.api_keys set disabled_at = case $4 when 'disabled' then now() end
         where tenant_id = $1 and environment = $2 and application_id = $3`,
        [caller.tenant_id, caller.environment, uuid, status],
      );
      const type = status === 'active' ? 'identity.application.enabled' : 'identity.application.disabled';
      await addEvent(tx, caller, type, { application_id: id, name });
    }
    return { before: shown(before), ...edited };
  });
}

/** Replaces the secret. The old one is good for the overlap. */
export async function rotateSecret(
  { db, permissions }: Applications,
  caller: Caller,
  uuid: string,
  body: Static<typeof SecretRotation>,
  attempt: Attempt,
): Promise<{
  before: Static<typeof Application> | undefined;
  created: Static<typeof NewApplication>;
  replayed: boolean;
}> {
  const secret = newSecret();
  let found: KeptApplication | undefined;
  const { replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const before = await getRow(tx, caller, uuid);
      found = before;
      await assertHolds(tx, caller, permissions, before.scopes);
      if (before.secret_hash === null) {
        throw refuse('application_has_no_secret', `${before.name} authenticates by ${before.auth_method}.`);
      }
      await tx.run(
        `update identity.applications
         set previous_secret_hash = secret_hash, previous_secret_expires_at = now() + make_interval(secs => $5),
             secret_hash = $4, version = version + 1, updated_at = now()
         where tenant_id = $1 and environment = $2 and id = $3`,
        [caller.tenant_id, caller.environment, uuid, hashSecret(secret), body.overlap_s ?? 86_400],
      );
      return uuid;
    },
  );
  const { application } = await db.read(caller, (tx) => getApplication(tx, caller, uuid));
  return {
    before: found === undefined ? undefined : shown(found),
    created: replayed ? application : { ...application, client_secret: secret },
    replayed,
  };
}

export const IDENTITY_SCOPES = ['openid', 'offline_access', 'profile', 'email'];

/** What an application may ask for, as OAuth scopes. */
function scopesOf(application: KeptApplication, permissions: PermissionCatalogue): string[] {
  return [...permissions.expand(application.scopes, 'institution')];
}

/** An application as oidc-provider reads it; undefined for one that is disabled or not there. */
export async function findClient(
  db: Database,
  permissions: PermissionCatalogue,
  scope: Scope,
  client_id: string,
): Promise<AdapterPayload | undefined> {
  const uuid = parseId('app', client_id);
  if (uuid === undefined) return undefined;
  const row = await db.read(scope, (tx) => findRow(tx, scope, uuid));
  if (row === undefined || row.status === 'disabled') return undefined;
  const withCode = row.grant_types.includes('authorization_code');
  return {
    client_id,
    client_name: row.name,
    // What is compared is the hash; see compareClientSecret in provider.ts.
    ...(row.secret_hash === null
      ? {}
      : {
          client_secret: row.secret_hash,
          secret_hashes: [row.secret_hash, row.previous_secret_hash].filter((each) => each !== null),
        }),
    redirect_uris: row.redirect_uris,
    grant_types: row.grant_types,
    response_types: withCode ? ['code'] : [],
    application_type: row.redirect_uris.some((uri) => uri.startsWith('http:')) ? 'native' : 'web',
    token_endpoint_auth_method: row.auth_method,
    ...(row.jwks === null ? {} : { jwks: { keys: row.jwks.keys } }),
    ...(row.jwks_uri === null ? {} : { jwks_uri: row.jwks_uri }),
    scope: [...IDENTITY_SCOPES, ...scopesOf(row, permissions)].join(' '),
    id_token_signed_response_alg: SIGNING_ALG,
    require_pushed_authorization_requests: row.fapi,
    dpop_bound_access_tokens: row.token_binding === 'dpop',
    tls_client_certificate_bound_access_tokens: row.token_binding === 'mtls',
    fapi: row.fapi,
  };
}
