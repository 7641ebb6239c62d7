/** Callers by a token that a device signed itself, with the key that it was registered with. */
import { decodeJwt, importJWK, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type Authenticator, suspended } from '../../../platform/access/access.ts';
import type { Caller } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Database } from '../../../platform/db.ts';
import { formatId, parseId } from '../../../platform/ids.ts';
import { type Problem, refuse } from '../../../platform/problem.ts';
import type { UsedProofs } from '../used-proofs.ts';
import { DeviceAlg, DeviceStatus, PublicJwk } from './devices.ts';

const Row = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Enum(['sandbox', 'live']),
  id: Type.String(),
  label: Type.String(),
  alg: DeviceAlg,
  public_jwk: PublicJwk,
  permissions: Type.Array(Type.String()),
  plan: Type.String(),
  status: DeviceStatus,
  expires_at: Type.Union([Type.String(), Type.Null()]),
  tenant_name: Type.String(),
  base_currency: Type.String(),
  tenant_kind: Type.Enum(['institution', 'installation']),
  tenant_status: Type.Enum(['active', 'suspended']),
});

const Claims = Type.Object({
  iat: Type.Integer(),
  exp: Type.Integer(),
  jti: Type.String({ minLength: 8, maxLength: 200 }),
});

interface Known {
  row: Static<typeof Row>;
  key: Awaited<ReturnType<typeof importJWK>>;
  caller: Caller;
}

const credentials = /^Device +(\S+) *$/i;
/** How long a token may be good. */
const TOKEN_LIFE_S = 60;
const CLOCK_TOLERANCE_S = 5;
const REMEMBERED_DEVICES = 10_000;
/** As long as a key is believed if the database's word does not come. */
const BELIEVED_FOR_MS = 5_000;

const bad = (detail: string): Problem => refuse('unauthenticated', detail);
/** One answer for a device that is not there and a signature that is not its own. */
const notGood = () =>
  bad('The token of the device has expired, is for something else, or is not signed by a device known here.');

export interface DeviceAuthenticatorOptions {
  db: Database;
  permissions: PermissionCatalogue;
  usedProofs: UsedProofs;
  publicUrl: () => string;
}

/** Takes each token once, whichever process it is shown to (devices.test.ts). */
export function deviceAuthenticator({
  db,
  permissions,
  usedProofs,
  publicUrl,
}: DeviceAuthenticatorOptions): Authenticator {
  const known = new LRUCache<string, Known>({ max: REMEMBERED_DEVICES, ttl: BELIEVED_FOR_MS });
  /** Increases when devices are forgotten, so that one that was being looked up then is not remembered. */
  let generation = 0;

  /** A device as the database knows it now. */
  async function read(uuid: string): Promise<Known | undefined> {
    const began = generation;
    const [row] = await db.rows(Row, 'select * from identity.find_device($1)', [uuid]);
    if (row === undefined) return undefined;
    const found: Known = {
      row,
      key: await importJWK(row.public_jwk, row.alg),
      caller: {
        tenant_id: row.tenant_id,
        environment: row.environment,
        principal: { kind: 'device', id: formatId('dev', row.id), name: row.label },
        tenant_name: row.tenant_name,
        base_currency: row.base_currency,
        permissions: permissions.expand(row.permissions, row.tenant_kind),
        narrowed: [],
        plan: row.plan,
        ...(row.expires_at === null ? {} : { expires_at_ms: Date.parse(row.expires_at) }),
      },
    };
    if (began === generation) known.set(uuid, found);
    return found;
  }

  async function find(uuid: string): Promise<Known | undefined> {
    return known.get(uuid) ?? read(uuid);
  }

  /** The device that a token says it is of, before that is believed. */
  function claimed(token: string): string | undefined {
    try {
      return parseId('dev', decodeJwt(token).sub ?? '');
    } catch {
      return undefined;
    }
  }

  async function assertSigned(token: string, { row, key, caller }: Known): Promise<void> {
    let claims: unknown;
    try {
      const { payload } = await jwtVerify(token, key, {
        typ: 'device+jwt',
        algorithms: [row.alg],
        audience: publicUrl(),
        subject: caller.principal.id,
        maxTokenAge: TOKEN_LIFE_S,
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ['aud', 'sub', 'iat', 'exp', 'jti'],
      });
      claims = payload;
    } catch {
      throw notGood();
    }
    if (!Check(Claims, claims))
      throw bad('The token needs iat and exp in whole seconds and a jti of 8 characters.');
    if (claims.exp - claims.iat > TOKEN_LIFE_S) {
      throw bad(`The token is good for more than ${TOKEN_LIFE_S} seconds.`);
    }
    if (!(await usedProofs.use(`device ${row.id} ${claims.jti}`, TOKEN_LIFE_S + 2 * CLOCK_TOLERANCE_S))) {
      throw bad('The token was used before: sign one for each request, with a jti of its own.');
    }
  }

  return {
    async identify(request) {
      const [, token] = credentials.exec(request.headers.authorization ?? '') ?? [];
      if (token === undefined) return undefined;
      const uuid = claimed(token);
      const device = uuid === undefined ? undefined : await find(uuid);
      if (device === undefined) throw notGood();
      await assertSigned(token, device);
      if (device.row.status === 'disabled') throw bad('This device is disabled.');
      if (device.row.tenant_status === 'suspended') throw suspended(device.row.tenant_name);
      return device.caller;
    },
    async findPrincipal(scope, principal, on_behalf_of) {
      const uuid = principal.kind === 'device' ? parseId('dev', principal.id) : undefined;
      if (uuid === undefined || on_behalf_of !== undefined) return undefined;
      // A process that has not heard yet of what changed must not act by what it remembers.
      const device = await read(uuid);
      if (device === undefined) return undefined;
      const { row, caller } = device;
      const isGood =
        row.tenant_id === scope.tenant_id &&
        row.environment === scope.environment &&
        row.status === 'active' &&
        row.tenant_status === 'active' &&
        (caller.expires_at_ms === undefined || caller.expires_at_ms > Date.now());
      return isGood ? caller : undefined;
    },
    forget() {
      generation += 1;
      known.clear();
    },
  };
}
