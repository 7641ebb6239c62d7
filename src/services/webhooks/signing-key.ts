/**
 * Keys that what is sent is signed with. An endpoint has one, and while it rotates those before it too: each signs, so
 * that the receiver changes over when it likes.
 *
 * Source: Standard Webhooks 1.0.0, "Signature scheme".
 */
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { newUuid } from '../../platform/ids.ts';
import type { Secrets } from '../../platform/secret.ts';

export const Scheme = Type.Union([Type.Literal('hmac'), Type.Literal('ed25519')], {
  description:
    'hmac: HMAC-SHA256 with a secret that the receiver has, too; ed25519: a signature that the receiver checks with a public key',
});
export type Scheme = 'hmac' | 'ed25519';

const SECRET_BYTES = 32;

/** A key as it signs: the secret of HMAC as `whsec_…`, that of Ed25519 as `whsk_…`, which never leaves. */
export interface SigningKey {
  scheme: Scheme;
  secret: string;
}

/** What a stored secret belongs to: moved to another row it cannot be decrypted. */
export const signingKeyContext = ({ tenant_id, environment }: Scope, id: string) =>
  `webhook signing key ${tenant_id} ${environment} ${id}`;

/** The 32 bytes of an Ed25519 key behind what PKCS #8 and SPKI put before them (RFC 8410). */
const RAW_BYTES = 32;
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

function newEd25519(): { secret: string; public_key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-RAW_BYTES);
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-RAW_BYTES);
  return {
    // As libraries of NaCl have it: the seed, then the public key.
    secret: `whsk_${Buffer.concat([seed, raw]).toString('base64')}`,
    public_key: `whpk_${raw.toString('base64')}`,
  };
}

/** Makes a key for an endpoint and keeps it encrypted. Returns what the receiver needs of it. */
export async function addSigningKey(
  tx: Transaction,
  secrets: Secrets,
  scope: Scope,
  endpoint_id: string,
  scheme: Scheme,
): Promise<{ secret?: string; public_key?: string }> {
  const id = newUuid();
  const made =
    scheme === 'ed25519'
      ? newEd25519()
      : { secret: `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`, public_key: null };
  await tx.run(
    `insert into webhooks.signing_keys (tenant_id, environment, id, endpoint_id, scheme, secret, public_key)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      scope.tenant_id,
      scope.environment,
      id,
      endpoint_id,
      scheme,
      secrets.encrypt(made.secret, signingKeyContext(scope, id)),
      made.public_key,
    ],
  );
  return made.public_key === null ? { secret: made.secret } : { public_key: made.public_key };
}

function signatureBy({ scheme, secret }: SigningKey, content: string): string {
  const key = Buffer.from(secret.slice(secret.indexOf('_') + 1), 'base64');
  if (scheme === 'hmac') return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_HEAD, key.subarray(0, RAW_BYTES)]),
    format: 'der',
    type: 'pkcs8',
  });
  return `v1a,${sign(null, Buffer.from(content), privateKey).toString('base64')}`;
}

/** The header `webhook-signature`: a signature by each key, the newest first. */
export function signatureOf(
  keys: readonly SigningKey[],
  message: { id: string; timestamp: number; body: string },
): string {
  const content = `${message.id}.${message.timestamp}.${message.body}`;
  return keys.map((key) => signatureBy(key, content)).join(' ');
}
