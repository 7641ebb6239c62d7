/**
 * What a process remembers of each issuer, so that a token is verified without asking the database: the keys, the
 * applications, what was revoked of late, and what people may do. All of it is forgotten when the database tells that
 * something about access changed, and read again by the next request.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Static, Type } from 'typebox';
import type { Database, Scope } from '../../../platform/db.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { type KeptApplication, listAll } from './applications.ts';
import { type KeptKey, listKeys, makeFirstKeys } from './signing-keys.ts';

const Tenant = Type.Object({
  name: Type.String(),
  base_currency: Type.String(),
  kind: Type.Union([Type.Literal('institution'), Type.Literal('installation')]),
  status: Type.Union([Type.Literal('active'), Type.Literal('suspended')]),
});

export interface IssuerState {
  tenant: Static<typeof Tenant>;
  keys: readonly KeptKey[];
  publicKeys: ReadonlyMap<string, KeyObject>;
  applications: ReadonlyMap<string, KeptApplication>;
  /** Ids of grants and of single tokens. */
  revoked: ReadonlySet<string>;
}

export interface IssuerStates {
  /** Undefined where there is no such tenant. */
  of(scope: Scope): Promise<IssuerState | undefined>;
  /** Reads what may have been written since, before the database's word of it has come. */
  readAnew(scope: Scope): Promise<IssuerState | undefined>;
  forget(): void;
}

const REMEMBERED_ISSUERS = 1_000;
/** How long it is believed if the database's word does not come. */
const BELIEVED_FOR_MS = 60_000;

async function readState(db: Database, secrets: Secrets, scope: Scope): Promise<IssuerState | undefined> {
  const found = await db.read(scope, async (tx) => {
    const [tenant] = await tx.rows(
      Tenant,
      'select name, base_currency, kind, status from platform.tenants where tenant_id = $1',
      [scope.tenant_id],
    );
    if (tenant === undefined) return undefined;
    const applications = await listAll(tx, scope);
    const revoked = await tx.rows(
      Type.Object({ id: Type.String() }),
      `select id from identity.oauth_revocations
       where tenant_id = $1 and environment = $2 and expires_at > now()`,
      [scope.tenant_id, scope.environment],
    );
    return { tenant, keys: await listKeys(tx, scope), applications, revoked };
  });
  if (found === undefined) return undefined;
  const keys = found.keys.length > 0 ? found.keys : await makeFirstKeys(db, secrets, scope);
  return {
    tenant: found.tenant,
    keys,
    publicKeys: new Map(
      keys.map(({ kid, public_jwk }) => [kid, createPublicKey({ key: public_jwk, format: 'jwk' })]),
    ),
    applications: new Map(found.applications.map((application) => [application.id, application])),
    revoked: new Set(found.revoked.map(({ id }) => id)),
  };
}

export function openIssuerStates(db: Database, secrets: Secrets): IssuerStates {
  const known = new LRUCache<string, Promise<IssuerState | undefined>>({
    max: REMEMBERED_ISSUERS,
    ttl: BELIEVED_FOR_MS,
  });
  const nameOf = (scope: Scope) => `${scope.tenant_id} ${scope.environment}`;

  function readAnew(scope: Scope): Promise<IssuerState | undefined> {
    const name = nameOf(scope);
    // What is being read when all is forgotten is not found here any more: nobody later is told something older.
    const reading = readState(db, secrets, scope);
    known.set(name, reading);
    reading.catch(() => {
      if (known.peek(name) === reading) known.delete(name);
    });
    return reading;
  }

  return {
    of: (scope) => known.get(nameOf(scope)) ?? readAnew(scope),
    readAnew,
    forget: () => known.clear(),
  };
}
