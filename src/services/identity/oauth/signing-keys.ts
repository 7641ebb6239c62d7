/**
 * The keys that tokens are signed with. One signs, the next is published beside it before it does, and those that signed
 * are published until what they signed has expired: rotation invalidates no token.
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { type Static, Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import type { Secrets } from '../../../platform/secret.ts';

export const SIGNING_ALG = 'ES256';
/** Longer than any token that a key signs is good: ID tokens are for an hour. */
const RETIRES_AFTER_S = 2 * 3_600;

const Status = Type.Union([Type.Literal('next'), Type.Literal('active'), Type.Literal('retiring')]);
export const SigningKey = Type.Object({
  kid: Type.String(),
  alg: Type.String(),
  status: Status,
  created_at: Type.String(),
  activated_at: Type.Optional(Type.String()),
  retires_at: Type.Optional(Type.String({ description: 'From when on it is no longer published' })),
});

const PublicJwk = Type.Object({
  kty: Type.Literal('EC'),
  crv: Type.Literal('P-256'),
  x: Type.String(),
  y: Type.String(),
});
const Row = Type.Object({
  kid: Type.String(),
  status: Status,
  public_jwk: PublicJwk,
  private_jwk: Type.String(),
  created_at: Type.String(),
  activated_at: Type.Union([Type.String(), Type.Null()]),
  retires_at: Type.Union([Type.String(), Type.Null()]),
});
export type KeptKey = Static<typeof Row>;

/** Every published key, the one that signs first. */
export function listKeys(tx: Transaction, scope: Scope): Promise<KeptKey[]> {
  return tx.rows(
    Row,
    `select kid, status, public_jwk, private_jwk, created_at, activated_at, retires_at
     from identity.oauth_signing_keys
     where tenant_id = $1 and environment = $2 and (retires_at is null or retires_at > now())
     order by array_position('{active,next,retiring}'::text[], status), created_at desc`,
    [scope.tenant_id, scope.environment],
  );
}

export function keyShown(key: KeptKey): Static<typeof SigningKey> {
  const { kid, status, created_at, activated_at, retires_at } = key;
  return {
    kid,
    alg: SIGNING_ALG,
    status,
    created_at,
    ...(activated_at === null ? {} : { activated_at }),
    ...(retires_at === null ? {} : { retires_at }),
  };
}

export const signingKeyContext = (scope: Scope, kid: string) =>
  `signing key ${scope.tenant_id} ${scope.environment} ${kid}`;

/** The private part of a key, as a JWK. */
export function privateJwk(secrets: Secrets, scope: Scope, key: KeptKey): Record<string, unknown> {
  const jwk: Record<string, unknown> = JSON.parse(
    secrets.decrypt(key.private_jwk, signingKeyContext(scope, key.kid)),
  );
  return { ...jwk, kid: key.kid, use: 'sig', alg: SIGNING_ALG };
}

async function addKey(
  tx: Transaction,
  secrets: Secrets,
  scope: Scope,
  status: 'next' | 'active',
): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(SIGNING_ALG, { extractable: true });
  const public_jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(public_jwk);
  await tx.run(
    `insert into identity.oauth_signing_keys
       (tenant_id, environment, kid, status, public_jwk, private_jwk, activated_at)
     values ($1, $2, $3, $4, $5, $6, case when $4 = 'active' then now() end)`,
    [
      scope.tenant_id,
      scope.environment,
      kid,
      status,
      public_jwk,
      secrets.encrypt(JSON.stringify(await exportJWK(privateKey)), signingKeyContext(scope, kid)),
    ],
  );
}

const lock = (tx: Transaction, scope: Scope) =>
  tx.run("select pg_advisory_xact_lock(hashtextextended('signing keys ' || $1 || $2, 0))", [
    scope.tenant_id,
    scope.environment,
  ]);

/** Makes the first keys of an issuer, unless another process just did. */
export async function makeFirstKeys(db: Database, secrets: Secrets, scope: Scope): Promise<KeptKey[]> {
  return db.write(scope, async (tx) => {
    await lock(tx, scope);
    const found = await listKeys(tx, scope);
    if (found.length > 0) return found;
    await addKey(tx, secrets, scope, 'active');
    await addKey(tx, secrets, scope, 'next');
    return listKeys(tx, scope);
  });
}

const ofIssuer = 'tenant_id = $1 and environment = $2';
const idsOf = (scope: Scope) => [scope.tenant_id, scope.environment];
const isOver = `${ofIssuer} and retires_at <= now()`;

async function rotate(tx: Transaction, secrets: Secrets, scope: Scope): Promise<void> {
  await tx.run(`delete from identity.oauth_signing_keys where ${isOver}`, idsOf(scope));
  await tx.run(
    `update identity.oauth_signing_keys
     set status = 'retiring', retires_at = now() + make_interval(secs => $3) where ${ofIssuer} and status = 'active'`,
    [...idsOf(scope), RETIRES_AFTER_S],
  );
  await tx.run(
    `update identity.oauth_signing_keys set status = 'active', activated_at = now()
     where ${ofIssuer} and status = 'next'`,
    idsOf(scope),
  );
  await addKey(tx, secrets, scope, 'next');
}

/** Lets the next key sign, publishes another, and keeps the one that signed until all that it signed has expired. */
export async function rotateKeys(
  db: Database,
  secrets: Secrets,
  scope: Scope,
): Promise<{ before: KeptKey[]; after: KeptKey[] }> {
  await makeFirstKeys(db, secrets, scope);
  return db.write(scope, async (tx) => {
    await lock(tx, scope);
    const before = await listKeys(tx, scope);
    await rotate(tx, secrets, scope);
    return { before, after: await listKeys(tx, scope) };
  });
}

/**
 * Rotates the keys of an issuer if the one that signs is old, and removes those that are no longer published. An issuer
 * that nobody has asked for yet has no keys, and gets none. Of several processes that try at once one does it
 * (signing-keys.test.ts).
 *
 * @returns whether another key signs now
 */
export async function rotateOldKeys(
  db: Database,
  secrets: Secrets,
  scope: Scope,
  lifetime_s: number,
): Promise<boolean> {
  const findOld = (tx: Transaction) =>
    tx.run(
      `select from identity.oauth_signing_keys
       where ${ofIssuer} and status = 'active' and activated_at <= now() - make_interval(secs => $3)`,
      [...idsOf(scope), lifetime_s],
    );
  const { old, over } = await db.read(scope, async (tx) => ({
    old: await findOld(tx),
    over: await tx.run(`select from identity.oauth_signing_keys where ${isOver}`, idsOf(scope)),
  }));
  if (old + over === 0) return false;
  return db.write(scope, async (tx) => {
    await lock(tx, scope);
    await tx.run(`delete from identity.oauth_signing_keys where ${isOver}`, idsOf(scope));
    // Asked again: another process may have done it while this one waited.
    if ((await findOld(tx)) === 0) return false;
    await rotate(tx, secrets, scope);
    return true;
  });
}
