/** Devices that sign in with a key of their own, as those who administer them see them. */
import { calculateJwkThumbprint, importJWK } from 'jose';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import { PERMISSION_PATTERN, type PermissionCatalogue } from '../../../platform/access/permission.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { assertMayAssign, PlanName } from '../plans.ts';
import { assertHolds } from '../roles/holding.ts';

const Coordinate = Type.String({
  pattern: '^[A-Za-z0-9_-]{43}$',
  examples: ['f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'],
});
/** Nothing but public members is taken: a private key that is sent by mistake is refused, not kept. */
export const PublicJwk = Type.Object(
  {
    kty: Type.Enum(['EC', 'OKP']),
    crv: Type.Enum(['P-256', 'Ed25519']),
    x: Coordinate,
    y: Type.Optional(Coordinate),
  },
  {
    additionalProperties: false,
    description: 'Its public key (RFC 7517): P-256, which signs with ES256, or Ed25519, with EdDSA',
  },
);
type PublicJwk = Static<typeof PublicJwk>;

export const DeviceAlg = Type.Enum(['ES256', 'EdDSA']);
export const DeviceStatus = Type.Enum(['active', 'disabled']);
const Environment = Type.Enum(['sandbox', 'live']);
const Label = Text({ min: 1, max: 255, description: 'What and where it is', examples: ['till 3'] });
const Patterns = Type.Array(Type.String({ pattern: PERMISSION_PATTERN, examples: ['transfers:post'] }), {
  minItems: 1,
  maxItems: 200,
  uniqueItems: true,
  description: 'Permissions, or patterns of them in which `*` stands for every resource or action',
});
const Expiry = Type.String({ format: 'date-time', description: 'From when on it is no longer good' });

export const DeviceRequest = Type.Object(
  {
    label: Label,
    public_key: PublicJwk,
    permissions: Patterns,
    plan: Type.Optional(PlanName),
    expires_at: Type.Optional(Expiry),
  },
  { additionalProperties: false },
);
export const EditDeviceRequest = Type.Object(
  {
    label: Type.Optional(Label),
    permissions: Type.Optional(Patterns),
    plan: Type.Optional(PlanName),
    expires_at: Type.Optional(Type.Union([Expiry, Type.Null()])),
    status: Type.Optional(DeviceStatus),
  },
  { additionalProperties: false, minProperties: 1 },
);

export const Device = Type.Object({
  id: Id('dev'),
  label: Type.String(),
  environment: Environment,
  alg: DeviceAlg,
  public_key: PublicJwk,
  thumbprint: Type.String({ description: 'Of the public key (RFC 7638)' }),
  permissions: Type.Array(Type.String()),
  plan: Type.String(),
  status: DeviceStatus,
  expires_at: Type.Optional(Type.String()),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
});
export type Device = Static<typeof Device>;

const Row = Type.Object({
  ...Device.properties,
  id: Type.String(),
  expires_at: Type.Union([Type.String(), Type.Null()]),
  version: Type.Integer(),
});

const columns = `id, label, environment, alg, public_jwk as public_key, thumbprint, permissions, plan, status, expires_at,
  created_at, created_by, updated_at, version`;

function shown(row: Static<typeof Row>): Device {
  const { version: _, expires_at, ...rest } = row;
  return { ...rest, id: formatId('dev', rest.id), ...(expires_at === null ? {} : { expires_at }) };
}

export interface Versioned {
  device: Device;
  version: number;
}

export async function getDevice(tx: Transaction, scope: Scope, uuid: string): Promise<Versioned> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.devices where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse('device_not_found', `There is no device ${formatId('dev', uuid)} in ${scope.environment}.`);
  }
  return { device: shown(row), version: row.version };
}

const Filters = Type.Object({ status: Type.Optional(DeviceStatus) }, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListDevicesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Devices, newest first. */
export async function listDevices(tx: Transaction, scope: Scope, query: Static<typeof ListDevicesQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.devices
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::text is null or status = $4)
     order by id desc limit $5`,
    [scope.tenant_id, scope.environment, page.after ?? null, page.filters.status ?? null, page.limit + 1],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

/** The algorithm that a key signs with, and its thumbprint. Refuses what is no point on the curve that it names. */
async function examine(key: PublicJwk): Promise<{ alg: Static<typeof DeviceAlg>; thumbprint: string }> {
  const isEc = key.kty === 'EC' && key.crv === 'P-256' && key.y !== undefined;
  const isOkp = key.kty === 'OKP' && key.crv === 'Ed25519' && key.y === undefined;
  if (!isEc && !isOkp) {
    throw refuse(
      'device_key_not_good',
      'Give an EC key of P-256 with x and y, or an OKP key of Ed25519 with x.',
    );
  }
  const alg = isEc ? 'ES256' : 'EdDSA';
  try {
    await importJWK(key, alg);
  } catch {
    throw refuse('device_key_not_good', `The key is no point on ${key.crv}.`);
  }
  return { alg, thumbprint: await calculateJwkThumbprint(key) };
}

export interface Devices {
  db: Database;
  permissions: PermissionCatalogue;
}

/**
 * Registers a device that may do no more than whoever registers it, and no more often unless who may gives it another
 * plan.
 */
export async function registerDevice(
  { db, permissions }: Devices,
  caller: Caller,
  body: Static<typeof DeviceRequest>,
  attempt: Attempt,
): Promise<Versioned & { replayed: boolean }> {
  const { alg, thumbprint } = await examine(body.public_key);
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await assertHolds(tx, caller, permissions, body.permissions);
      const plan = body.plan ?? caller.plan;
      await assertMayAssign(tx, caller, plan);
      const uuid = newUuid();
      await tx.run(
        `insert into identity.devices (tenant_id, environment, id, label, alg, public_jwk, thumbprint, permissions,
           expires_at, created_by, plan)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          body.label,
          alg,
          JSON.stringify(body.public_key),
          thumbprint,
          body.permissions,
          body.expires_at ?? null,
          caller.principal.id,
          plan,
        ],
      );
      return uuid;
    },
  );
  return { ...(await db.read(caller, (tx) => getDevice(tx, caller, id))), replayed };
}

/** Edits, disables or enables a device. Its key stays: another key is another device. */
export function editDevice(
  { db, permissions }: Devices,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditDeviceRequest>,
  ifMatch: string | undefined,
): Promise<{ before: Device; after: Device; version: number }> {
  return db.write(caller, async (tx) => {
    await tx.run(
      'select from identity.devices where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [caller.tenant_id, caller.environment, uuid],
    );
    const { device: before, version } = await getDevice(tx, caller, uuid);
    assertMatches(ifMatch, version, 'the device');
    // To enable or to prolong is to give, too.
    const prolongs = body.expires_at !== undefined && body.expires_at !== before.expires_at;
    const enables = body.status === 'active' && before.status === 'disabled';
    if (body.permissions !== undefined || prolongs || enables) {
      await assertHolds(tx, caller, permissions, body.permissions ?? before.permissions);
    }
    if (body.plan !== undefined && body.plan !== before.plan) await assertMayAssign(tx, caller, body.plan);
    await tx.run(
      `update identity.devices
       set label = $4, permissions = $5, expires_at = $6, status = $7, plan = $8, version = version + 1, updated_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        body.label ?? before.label,
        body.permissions ?? before.permissions,
        body.expires_at === undefined ? (before.expires_at ?? null) : body.expires_at,
        body.status ?? before.status,
        body.plan ?? before.plan,
      ],
    );
    const edited = await getDevice(tx, caller, uuid);
    return { before, after: edited.device, version: edited.version };
  });
}
