/**
 * Identifying who is calling. A credential is an API key, or whatever the authenticators of services know: a person's
 * session, an access token. Callers are remembered, and forgotten in every process when the database tells that
 * something about access changed.
 */
import { BlockList, isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Static, Type } from 'typebox';
import type { Database, Scope } from '../db.ts';
import { formatId, newUuid, parseId } from '../ids.ts';
import { type Problem, refuse } from '../problem.ts';
import type { Caller, Principal } from './caller.ts';
import { hashKey, hintOf, inOtherEnvironment, isWellFormedKey, newKey } from './key.ts';
import type { PermissionCatalogue } from './permission.ts';

/** A way to know a caller by something other than an API key. */
export interface Authenticator {
  /**
   * The caller that a request's credentials stand for; undefined where they are of another kind. Throws
   * `unauthenticated` where they are of this kind and no good.
   */
  identify(request: FastifyRequest): Promise<Caller | undefined> | Caller | undefined;
  /**
   * The caller that a principal is now, whatever credential it has; undefined where it is of another kind, or may do
   * nothing any more. What was approved is carried out for whom this finds.
   */
  findPrincipal?(
    scope: Scope,
    principal: Principal,
    on_behalf_of: Principal | undefined,
  ): Promise<Caller | undefined>;
  /** Called when something about access changed: what is remembered may be wrong now. */
  forget?(): void;
}

const HashRow = Type.Object({ hash: Type.Unsafe<Buffer>({}) });

const KeyRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  key_id: Type.String(),
  label: Type.String(),
  scopes: Type.Array(Type.String()),
  plan: Type.String(),
  application_id: Type.Union([Type.String(), Type.Null()]),
  limits_id: Type.Union([Type.String(), Type.Null()]),
  allowed_addresses: Type.Union([Type.Array(Type.String()), Type.Null()]),
  expires_at: Type.Union([Type.String(), Type.Null()]),
  tenant_name: Type.String(),
  base_currency: Type.String(),
  tenant_kind: Type.Union([Type.Literal('institution'), Type.Literal('installation')]),
  tenant_status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
});

export interface NewKey {
  label: string;
  /** Patterns of permissions; absent means all. */
  scopes?: readonly string[];
}

/** Creates a key on behalf of the operator and returns it. This is the only time that it is known. */
export async function createKey(
  db: Database,
  scope: Scope,
  { label, scopes = ['*:*'] }: NewKey,
): Promise<string> {
  const key = newKey(scope.environment);
  await db.write(scope, (tx) =>
    tx.run(
      `insert into platform.api_keys (tenant_id, environment, id, hash, hint, label, scopes)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [scope.tenant_id, scope.environment, newUuid(), hashKey(key), hintOf(key), label, scopes],
    ),
  );
  return key;
}

/** Revokes a key on behalf of the operator. Throws `unauthenticated` for one that is unknown or revoked already. */
export async function revokeKey(db: Database, key: string): Promise<void> {
  const [row] = isWellFormedKey(key)
    ? await db.rows(KeyRow, 'select * from platform.find_api_key($1)', [hashKey(key)])
    : [];
  if (row === undefined) throw unknownKey();
  await db.write(row, (tx) =>
    tx.run(
      'update platform.api_keys set revoked_at = now() where tenant_id = $1 and environment = $2 and id = $3',
      [row.tenant_id, row.environment, row.key_id],
    ),
  );
}

/** Whether a key is known and not revoked, for the operator. */
export async function isGoodKey(db: Database, key: string): Promise<boolean> {
  const rows = await db.rows(KeyRow, 'select * from platform.find_api_key($1)', [hashKey(key)]);
  return rows.length > 0;
}

function unknownKey(): Problem {
  return refuse('unauthenticated', 'This API key is unknown or was revoked.');
}

/** What a tenant's people and keys are told while it is suspended. */
export function suspended(tenant_name: string): Problem {
  return refuse('tenant_suspended', `${tenant_name} is suspended.`);
}

/** Networks in CIDR notation as a list to check addresses against. */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function callerOf(row: Static<typeof KeyRow>, permissions: ReadonlySet<string>): Caller {
  return {
    tenant_id: row.tenant_id,
    environment: row.environment,
    principal: { kind: 'key', id: formatId('key', row.key_id), name: row.label },
    tenant_name: row.tenant_name,
    base_currency: row.base_currency,
    permissions,
    narrowed: [],
    ...(row.limits_id === null ? {} : { limits_id: row.limits_id }),
    plan: row.plan,
    ...(row.application_id === null ? {} : { application_id: formatId('app', row.application_id) }),
    ...(row.expires_at === null ? {} : { expires_at_ms: Date.parse(row.expires_at) }),
    ...(row.allowed_addresses === null ? {} : { allowed_addresses: blockListOf(row.allowed_addresses) }),
  };
}

/** How long a key that was found is believed if the database's word that it is revoked does not come. */
const BELIEVED_FOR_MS = 5_000;
const REMEMBERED_KEYS = 10_000;
/** How often it is written down which keys were used. */
const USE_NOTED_EVERY_MS = 30_000;

export interface Access {
  /** The caller that a key stands for, wherever it is used from. Throws `unauthenticated`. */
  identifyKey(key: string): Promise<Caller> | Caller;
  /**
   * The caller of a request by the credentials that it carries: the key given, or what an authenticator knows. Throws
   * `unauthenticated`, or `address_not_allowed` where the credential is bound to other addresses.
   */
  identify(request: FastifyRequest, key: string | undefined): Promise<Caller> | Caller;
  /** The caller that a principal is now, without its credential; undefined where it is none any more. */
  findPrincipal(
    scope: Scope,
    principal: Principal,
    on_behalf_of: Principal | undefined,
  ): Promise<Caller | undefined>;
  addAuthenticator(authenticator: Authenticator): void;
  /** Forgets every caller: something about access changed. */
  forget(): void;
  /** Writes down which keys were used and ends. */
  stop(): Promise<void>;
}

/** Refuses what holds for a credential at one moment or place only. */
function assertGood(caller: Caller, address: string): void {
  if (caller.expires_at_ms !== undefined && caller.expires_at_ms <= Date.now()) {
    throw refuse('unauthenticated', 'This credential has expired.');
  }
  const { allowed_addresses } = caller;
  if (allowed_addresses === undefined) return;
  // An IPv4 client of a server that listens on :: has a mapped address.
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!allowed_addresses.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')) {
    throw refuse('address_not_allowed', `${caller.principal.name} may not be used from ${plain}.`);
  }
}

export interface AccessOptions {
  permissions: PermissionCatalogue;
  /** Told of what fails beside the requests. */
  onError?: (error: unknown) => void;
}

export function openAccess(db: Database, { permissions, onError = () => {} }: AccessOptions): Access {
  const known = new LRUCache<string, Caller>({ max: REMEMBERED_KEYS, ttl: BELIEVED_FOR_MS });
  /** Increases when callers are forgotten, so that one who was being looked up then is not remembered. */
  let generation = 0;
  /** When each key was used last, since that was noted. */
  let used = new Map<string, number>();
  const authenticators: Authenticator[] = [];

  async function lookUp(key: string): Promise<Caller> {
    const began = generation;
    const [row] = await db.rows(KeyRow, 'select * from platform.find_api_key($1)', [hashKey(key)]);
    if (row === undefined) {
      const [other] = await db.rows(KeyRow, 'select * from platform.find_api_key($1)', [
        hashKey(inOtherEnvironment(key)),
      ]);
      if (other === undefined) throw unknownKey();
      throw refuse('environment_mismatch', `This key is of the environment ${other.environment}.`);
    }
    if (row.tenant_status === 'suspended') throw suspended(row.tenant_name);
    const caller = callerOf(row, permissions.expand(row.scopes, row.tenant_kind));
    if (began === generation) known.set(key, caller);
    return caller;
  }

  function identifyKey(key: string): Promise<Caller> | Caller {
    // By the key itself: to hash it first for each request took a thirtieth of a posting's time.
    const found = known.get(key);
    if (found !== undefined) return found;
    if (!isWellFormedKey(key)) {
      throw refuse(
        'unauthenticated',
        'This is neither an API key, which begins with fa_test_ or fa_live_, nor an access token.',
      );
    }
    return lookUp(key);
  }

  /** The caller of a key that is good now, by its id. */
  async function callerOfKey(scope: Scope, id: string): Promise<Caller | undefined> {
    const [kept] = await db.read(scope, (tx) =>
      tx.rows(
        HashRow,
        'select hash from platform.api_keys where tenant_id = $1 and environment = $2 and id = $3',
        [scope.tenant_id, scope.environment, parseId('key', id)],
      ),
    );
    if (kept === undefined) return undefined;
    const [row] = await db.rows(KeyRow, 'select * from platform.find_api_key($1)', [kept.hash]);
    if (row === undefined || row.tenant_status === 'suspended') return undefined;
    const caller = callerOf(row, permissions.expand(row.scopes, row.tenant_kind));
    return caller.expires_at_ms !== undefined && caller.expires_at_ms <= Date.now() ? undefined : caller;
  }

  function accept(caller: Caller, request: FastifyRequest): Caller {
    // Who is refused for where they ask from is known: the audit trail names them.
    request.caller = caller;
    assertGood(caller, request.ip);
    if (caller.principal.kind === 'key') used.set(caller.principal.id, Date.now());
    return caller;
  }

  async function noteUse(): Promise<void> {
    if (used.size === 0) return;
    const noted = used;
    used = new Map();
    await db
      .run('select platform.note_use($1, $2)', [
        [...noted.keys()].map((id) => parseId('key', id)),
        [...noted.values()].map((at_ms) => new Date(at_ms).toISOString()),
      ])
      .catch(onError);
  }
  const noting = setInterval(() => void noteUse(), USE_NOTED_EVERY_MS);
  noting.unref();

  async function byAuthenticators(request: FastifyRequest): Promise<Caller> {
    for (const authenticator of authenticators) {
      const caller = await authenticator.identify(request);
      if (caller !== undefined) return accept(caller, request);
    }
    throw refuse('unauthenticated', 'No credential came with the request.');
  }

  const findPrincipal: Access['findPrincipal'] = async (scope, principal, on_behalf_of) => {
    if (principal.kind === 'key' && on_behalf_of === undefined) return callerOfKey(scope, principal.id);
    if (principal.kind === 'service') {
      // A service has nothing of its own. For an application its token did not say on whose behalf that one acts.
      if (on_behalf_of?.kind !== 'key' && on_behalf_of?.kind !== 'person') return undefined;
      const found = await findPrincipal(scope, on_behalf_of, undefined);
      return found === undefined ? undefined : { ...found, principal, on_behalf_of: found.principal };
    }
    for (const authenticator of authenticators) {
      const caller = await authenticator.findPrincipal?.(scope, principal, on_behalf_of);
      if (caller !== undefined) return caller;
    }
    return undefined;
  };

  return {
    identifyKey,
    identify(request, key) {
      if (key === undefined) return byAuthenticators(request);
      const caller = identifyKey(key);
      if (caller instanceof Promise) return caller.then((found) => accept(found, request));
      return accept(caller, request);
    },
    findPrincipal,
    addAuthenticator: (authenticator) => authenticators.push(authenticator),
    forget() {
      generation += 1;
      known.clear();
      for (const authenticator of authenticators) authenticator.forget?.();
    },
    async stop() {
      clearInterval(noting);
      await noteUse();
    },
  };
}
