/** Endpoints of webhooks as their owners see them. A secret is told once, when it is made. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { assertMay, type Caller } from '../../platform/access/caller.ts';
import type { EventCatalogue } from '../../platform/bus/catalogue.ts';
import { isOfTypes } from '../../platform/bus/consumer.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Database, Transaction } from '../../platform/db.ts';
import { assertMatches } from '../../platform/etag.ts';
import { Text } from '../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../platform/ids.ts';
import { once, wasAttempted } from '../../platform/once.ts';
import type { Secrets } from '../../platform/secret.ts';
import type { ServiceContext } from '../../platform/service.ts';
import { SignatureScheme } from '../../platform/webhook-signature.ts';
import { assertApplicationActive, findRefusal, isDisabled } from './applications.ts';
import { disable } from './disable.ts';
import { refuse } from './errors.ts';
import { arrange } from './order.ts';
import { addSigningKey } from './signing-key.ts';

const MAX_ENDPOINTS = 1_000;
/** Keys that sign at a time: each is a signature in every request. */
const MAX_KEYS = 5;

const Url = Type.String({
  minLength: 8,
  maxLength: 2_000,
  pattern: '^[\\x21-\\x7e]+$',
  description: 'Where events are sent to: https',
  examples: ['https://partner.example/hooks'],
});
const Description = Text({ max: 1_000, description: 'What it is for' });
const EventTypes = Type.Array(
  Type.String({
    pattern: '^(\\*|[a-z_]+(\\.[a-z_]+){0,4}(\\.\\*)?)$',
    maxLength: 100,
    examples: ['ledger.transfer.posted', 'ledger.*', '*'],
  }),
  {
    minItems: 1,
    maxItems: 100,
    uniqueItems: true,
    description:
      'Types in full, all that begin alike, or all. What webhooks tell of themselves is sent to who names it, not by `*`',
  },
);
const Ordered = Type.Boolean({
  description:
    'Whether events about one thing are sent one after the other, each when the one before it was delivered or given up',
});
const PersonalData = Type.Boolean({
  description:
    'Whether personal data is sent; otherwise masks stand in its place. Needs the permission personal_data:read',
});

export const EndpointRequest = Type.Object(
  {
    url: Url,
    event_types: EventTypes,
    description: Type.Optional(Description),
    application_id: Type.Optional(Id('app', 'The application whose endpoint it is')),
    ordered: Type.Optional(Ordered),
    personal_data: Type.Optional(PersonalData),
    signature: Type.Optional(SignatureScheme),
  },
  { additionalProperties: false },
);
export const EditEndpointRequest = Type.Object(
  {
    url: Type.Optional(Url),
    event_types: Type.Optional(EventTypes),
    description: Type.Optional(Description),
    ordered: Type.Optional(Ordered),
    personal_data: Type.Optional(PersonalData),
  },
  { additionalProperties: false, minProperties: 1 },
);
export const RotationRequest = Type.Object(
  {
    overlap_s: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30 * 86_400,
        default: 86_400,
        description: 'Seconds that the keys before it go on signing beside the new one',
      }),
    ),
    signature: Type.Optional(SignatureScheme),
  },
  { additionalProperties: false },
);

const Status = Type.Union([Type.Literal('enabled'), Type.Literal('disabled')]);
const Reason = Type.Union([
  Type.Literal('by_hand'),
  Type.Literal('gone'),
  Type.Literal('failing'),
  Type.Literal('application_disabled'),
]);
const Environment = Type.Union([Type.Literal('sandbox'), Type.Literal('live')]);

export const Endpoint = Type.Object({
  id: Id('whk'),
  environment: Environment,
  url: Type.String(),
  event_types: Type.Array(Type.String()),
  description: Type.String(),
  application_id: Type.Optional(Type.String()),
  ordered: Type.Boolean(),
  personal_data: Type.Boolean(),
  status: Status,
  disabled_reason: Type.Optional(Reason),
  disabled_at: Type.Optional(Type.String()),
  failing_since: Type.Optional(
    Type.String({ description: 'Time of the first failure since the last success' }),
  ),
  signing_keys: Type.Array(
    Type.Object({
      scheme: SignatureScheme,
      public_key: Type.Optional(Type.String({ description: 'Of Ed25519, as `whpk_…`' })),
      created_at: Type.String(),
      expires_at: Type.Optional(Type.String({ description: 'Until when it signs beside the newest' })),
    }),
    { description: 'Those that sign now, the newest first' },
  ),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
});
export type Endpoint = Static<typeof Endpoint>;

export const NewEndpoint = Type.Object({
  ...Endpoint.properties,
  secret: Type.Optional(
    Type.String({
      description:
        'The secret of HMAC as `whsec_…`, told this once: a repetition of the request is answered without it',
    }),
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  environment: Environment,
  url: Type.String(),
  event_types: Type.Array(Type.String()),
  description: Type.String(),
  application_id: Nullable,
  ordered: Type.Boolean(),
  personal_data: Type.Boolean(),
  status: Status,
  disabled_reason: Type.Union([Reason, Type.Null()]),
  disabled_at: Nullable,
  failing_since: Nullable,
  signing_keys: Type.Array(
    Type.Object({
      scheme: SignatureScheme,
      public_key: Nullable,
      created_at: Type.String(),
      expires_at: Nullable,
    }),
  ),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  version: Type.Integer(),
});

const utc = (column: string) => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const columns = `e.id, e.environment, e.url, e.event_types, e.description, e.application_id, e.ordered, e.personal_data,
  e.status, e.disabled_reason, e.disabled_at, e.failing_since, e.created_at, e.created_by, e.updated_at, e.version,
  (select coalesce(jsonb_agg(jsonb_build_object('scheme', k.scheme, 'public_key', k.public_key,
     'created_at', ${utc('k.created_at')}, 'expires_at', ${utc('k.expires_at')}) order by k.created_at desc), '[]')
   from webhooks.signing_keys k where k.endpoint_id = e.id and k.tenant_id = e.tenant_id
     and k.environment = e.environment and (k.expires_at is null or k.expires_at > now())) as signing_keys`;

function shown(row: Static<typeof Row>): Endpoint {
  const {
    version: _,
    application_id,
    disabled_reason,
    disabled_at,
    failing_since,
    signing_keys,
    ...rest
  } = row;
  return {
    ...rest,
    id: formatId('whk', row.id),
    ...(application_id === null ? {} : { application_id }),
    ...(disabled_reason === null ? {} : { disabled_reason }),
    ...(disabled_at === null ? {} : { disabled_at }),
    ...(failing_since === null ? {} : { failing_since }),
    signing_keys: signing_keys.map(({ scheme, public_key, created_at, expires_at }) => ({
      scheme,
      ...(public_key === null ? {} : { public_key }),
      created_at,
      ...(expires_at === null ? {} : { expires_at }),
    })),
  };
}

export interface Versioned {
  endpoint: Endpoint;
  version: number;
}

/** The application to whose endpoints a caller is confined: an application sees its own only. Null: to none. */
export function confinedTo({ principal }: Caller): string | null {
  return principal.kind === 'application' ? principal.id : null;
}

export async function getEndpoint(tx: Transaction, caller: Caller, uuid: string): Promise<Versioned> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from webhooks.endpoints e
     where e.tenant_id = $1 and e.environment = $2 and e.id = $3 and e.deleted_at is null
       and ($4::text is null or e.application_id = $4)`,
    [caller.tenant_id, caller.environment, uuid, confinedTo(caller)],
  );
  if (row === undefined) {
    throw refuse(
      'webhook_endpoint_not_found',
      `There is no endpoint ${formatId('whk', uuid)} in ${caller.environment}.`,
    );
  }
  return { endpoint: shown(row), version: row.version };
}

/** The endpoint, which nobody else changes until the transaction ends. */
export async function lockEndpoint(tx: Transaction, caller: Caller, uuid: string): Promise<Versioned> {
  await tx.run(
    'select from webhooks.endpoints where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [caller.tenant_id, caller.environment, uuid],
  );
  return getEndpoint(tx, caller, uuid);
}

export function assertEnabled({ id, status }: Endpoint): void {
  if (status === 'enabled') return;
  throw refuse('webhook_endpoint_disabled', `The endpoint ${id} is disabled; enable it first.`);
}

const Filters = Type.Object(
  { status: Type.Optional(Status), application_id: Type.Optional(Id('app')) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListEndpointsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Endpoints, newest first. */
export async function listEndpoints(
  tx: Transaction,
  caller: Caller,
  query: Static<typeof ListEndpointsQuery>,
) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} from webhooks.endpoints e
     where e.tenant_id = $1 and e.environment = $2 and e.deleted_at is null
       and ($3::uuid is null or e.id < $3) and ($4::text is null or e.status = $4)
       and ($5::text is null or e.application_id = $5) and ($6::text is null or e.application_id = $6)
     order by e.id desc limit $7`,
    [
      caller.tenant_id,
      caller.environment,
      page.after ?? null,
      page.filters.status ?? null,
      page.filters.application_id ?? null,
      confinedTo(caller),
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

export interface Endpoints {
  db: Database;
  findPrincipal: ServiceContext['findPrincipal'];
  secrets: Secrets;
  catalogue: EventCatalogue;
  /** Whether the operator allowed networks that are asked over plain HTTP. */
  allowsHttp: boolean;
}

function assertUrl(text: string, allowsHttp: boolean): void {
  const url = URL.parse(text);
  const problem = (detail: string) => refuse('webhook_url_refused', detail);
  if (url === null || !/^https?:$/.test(url.protocol)) throw problem('The url is no absolute https URL.');
  if (url.protocol === 'http:' && !allowsHttp) throw problem('The url must begin with https://.');
  if (url.username !== '' || url.password !== '') {
    throw problem('The url has a user name or password in it; what is sent is signed instead.');
  }
  if (url.hash !== '') throw problem('The url has a fragment, which is never sent.');
}

function assertTypes(patterns: readonly string[], { types }: EventCatalogue): void {
  const names = Object.keys(types);
  const unknown = patterns.find((pattern) => !names.some((name) => isOfTypes([pattern], name)));
  if (unknown !== undefined) {
    throw refuse('webhook_event_type_unknown', `No type of event is or begins with ${unknown}.`);
  }
}

/**
 * Whoever says what is sent must be allowed to read it: what an endpoint is sent is every event of the tenant that fits,
 * hence more than a grant for certain labels reaches.
 */
function assertMayHear(caller: Caller, personal_data: boolean): void {
  assertMay(caller, 'events:read', false);
  if (personal_data) assertMay(caller, 'personal_data:read', false);
}

/** Refuses an application that asks for an endpoint of another. */
function assertOwn(caller: Caller, asked: string | undefined): void {
  const own = confinedTo(caller);
  if (own !== null && asked !== undefined && asked !== own) {
    throw refuse('webhook_application_not_own', `${caller.principal.name} is not ${asked}.`);
  }
}

const Count = Type.Object({ count: Type.BigInt() });

/** Makes an endpoint. Its secret is told once; a repetition gets the rest. */
export async function createEndpoint(
  { db, findPrincipal, secrets, catalogue, allowsHttp }: Endpoints,
  caller: Caller,
  body: Static<typeof EndpointRequest>,
  attempt: Attempt,
): Promise<Versioned & { secret?: string; replayed: boolean }> {
  assertMayHear(caller, body.personal_data ?? false);
  const application_id = body.application_id ?? confinedTo(caller);
  // An application is there itself. And what came of a request stands, whatever became of the application since.
  const asked = confinedTo(caller) === null ? body.application_id : undefined;
  const refusal =
    asked === undefined || (await wasAttempted(db, caller, attempt.key))
      ? undefined
      : await findRefusal(findPrincipal, caller, asked);
  let made: { secret?: string } = {};
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      assertUrl(body.url, allowsHttp);
      assertTypes(body.event_types, catalogue);
      assertOwn(caller, body.application_id);
      if (refusal !== undefined) throw refusal;
      const [there] = await tx.rows(
        Count,
        'select count(*) from webhooks.endpoints where tenant_id = $1 and environment = $2 and deleted_at is null',
        [caller.tenant_id, caller.environment],
      );
      if (Number(there?.count ?? 0n) >= MAX_ENDPOINTS) {
        throw refuse('too_many_webhook_endpoints', `There are ${MAX_ENDPOINTS} endpoints already.`);
      }
      const uuid = newUuid();
      await tx.run(
        `insert into webhooks.endpoints (tenant_id, environment, id, application_id, url, description, event_types,
           ordered, personal_data, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          application_id,
          body.url,
          body.description ?? '',
          body.event_types,
          body.ordered ?? false,
          body.personal_data ?? false,
          caller.principal.id,
        ],
      );
      const { secret } = await addSigningKey(tx, secrets, caller, uuid, body.signature ?? 'hmac');
      made = secret === undefined ? {} : { secret };
      // It was disabled since it was asked for.
      if (application_id !== null && (await isDisabled(tx, caller, application_id))) {
        await disable(tx, caller, uuid, 'application_disabled');
      }
      return uuid;
    },
  );
  const versioned = await db.read(caller, (tx) => getEndpoint(tx, caller, id));
  return { ...versioned, ...(replayed ? {} : made), replayed };
}

/** An endpoint as it was and as it is. */
export interface Changed {
  before: Endpoint;
  after: Endpoint;
  version: number;
}

/** Edits where what is sent, and how. */
export function editEndpoint(
  { db, catalogue, allowsHttp }: Endpoints,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditEndpointRequest>,
  ifMatch: string | undefined,
): Promise<Changed> {
  return db.write(caller, async (tx) => {
    const { endpoint: before, version } = await lockEndpoint(tx, caller, uuid);
    assertMatches(ifMatch, version, 'the endpoint');
    const { url, event_types, description, ordered, personal_data } = { ...before, ...body };
    if (url !== before.url || body.event_types !== undefined || body.personal_data === true) {
      assertMayHear(caller, personal_data);
    }
    assertUrl(url, allowsHttp);
    if (body.event_types !== undefined) assertTypes(event_types, catalogue);
    await tx.run(
      `update webhooks.endpoints
       set url = $4, event_types = $5, description = $6, ordered = $7, personal_data = $8, version = version + 1,
         updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, url, event_types, description, ordered, personal_data],
    );
    if (ordered !== before.ordered) await arrange(tx, caller, uuid, ordered);
    const edited = await getEndpoint(tx, caller, uuid);
    return { before, after: edited.endpoint, version: edited.version };
  });
}

/** Enables an endpoint, from a clean slate, or disables it. One that is so already stays as it is. */
export function setEnabled(
  { db }: Endpoints,
  caller: Caller,
  uuid: string,
  enabled: boolean,
): Promise<Changed> {
  return db.write(caller, async (tx) => {
    if (enabled) {
      // Before the endpoint is locked, as what is told of the application does it.
      const { endpoint } = await getEndpoint(tx, caller, uuid);
      await assertApplicationActive(tx, caller, endpoint.application_id);
    }
    const { endpoint: before } = await lockEndpoint(tx, caller, uuid);
    if (enabled) {
      assertMayHear(caller, before.personal_data);
      await tx.run(
        `update webhooks.endpoints
         set status = 'enabled', disabled_reason = null, disabled_at = null, failing_since = null, version = version + 1,
           updated_at = now()
         where tenant_id = $1 and environment = $2 and id = $3 and status = 'disabled'`,
        [caller.tenant_id, caller.environment, uuid],
      );
    } else {
      // Of what was disabled with its application: it stays so when that one is enabled.
      await tx.run(
        `update webhooks.endpoints set disabled_reason = 'by_hand', version = version + 1, updated_at = now()
         where tenant_id = $1 and environment = $2 and id = $3 and disabled_reason = 'application_disabled'`,
        [caller.tenant_id, caller.environment, uuid],
      );
      await disable(tx, caller, uuid, 'by_hand');
    }
    const { endpoint: after, version } = await getEndpoint(tx, caller, uuid);
    return { before, after, version };
  });
}

/** Deletes an endpoint with its keys. What was sent to it can be seen as long as deliveries are kept. */
export function deleteEndpoint({ db }: Endpoints, caller: Caller, uuid: string): Promise<Endpoint> {
  return db.write(caller, async (tx) => {
    const { endpoint } = await lockEndpoint(tx, caller, uuid);
    await disable(tx, caller, uuid, 'by_hand');
    const key = [caller.tenant_id, caller.environment, uuid];
    await tx.run(
      'delete from webhooks.signing_keys where tenant_id = $1 and environment = $2 and endpoint_id = $3',
      key,
    );
    await tx.run(
      'update webhooks.endpoints set deleted_at = now() where tenant_id = $1 and environment = $2 and id = $3',
      key,
    );
    return endpoint;
  });
}

/**
 * Replaces the key of an endpoint. Those before it go on signing beside it for so long, so that the receiver changes over
 * in the meantime.
 */
export async function rotate(
  { db, secrets }: Endpoints,
  caller: Caller,
  uuid: string,
  body: Static<typeof RotationRequest>,
  attempt: Attempt,
): Promise<Changed & { secret?: string; replayed: boolean }> {
  let made: { secret?: string } = {};
  let before: Endpoint | undefined;
  const { replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      ({ endpoint: before } = await lockEndpoint(tx, caller, uuid));
      const scheme = body.signature ?? before.signing_keys[0]?.scheme ?? 'hmac';
      const key = [caller.tenant_id, caller.environment, uuid];
      await tx.run(
        `update webhooks.signing_keys
         set expires_at = least(expires_at, clock_timestamp() + $4::integer * interval '1 second')
         where tenant_id = $1 and environment = $2 and endpoint_id = $3`,
        [...key, body.overlap_s ?? 86_400],
      );
      const { endpoint: rotating } = await getEndpoint(tx, caller, uuid);
      if (body.overlap_s !== 0 && rotating.signing_keys.length >= MAX_KEYS) {
        throw refuse(
          'too_many_webhook_keys',
          `${rotating.signing_keys.length} keys sign for ${rotating.id} already.`,
        );
      }
      const { secret } = await addSigningKey(tx, secrets, caller, uuid, scheme);
      made = secret === undefined ? {} : { secret };
      await tx.run(
        `update webhooks.endpoints set version = version + 1, updated_at = now()
         where tenant_id = $1 and environment = $2 and id = $3`,
        key,
      );
      return uuid;
    },
  );
  const { endpoint: after, version } = await db.read(caller, (tx) => getEndpoint(tx, caller, uuid));
  return { before: before ?? after, after, version, ...(replayed ? {} : made), replayed };
}
