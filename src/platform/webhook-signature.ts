/**
 * How what is posted to others is signed, so that they know that it is ours: by HMAC with a secret that both have, or by
 * Ed25519 with a key of which the receiver has the public half.
 *
 * Source: Standard Webhooks 1.0.0, "Signature scheme". Its own library signs by HMAC alone, with one secret; the tests
 * verify with it what is signed here.
 */
import { createHmac, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { Type } from 'typebox';

export const SignatureScheme = Type.Union([Type.Literal('hmac'), Type.Literal('ed25519')], {
  description:
    'hmac: HMAC-SHA256 with a secret that the receiver has, too; ed25519: a signature that the receiver checks with a public key',
});
export type SignatureScheme = 'hmac' | 'ed25519';

const SECRET_BYTES = 32;

/** A key as it signs: the secret of HMAC as `whsec_…`, that of Ed25519 as `whsk_…`, which never leaves. */
export interface SigningKey {
  scheme: SignatureScheme;
  secret: string;
}

/** The 32 bytes of an Ed25519 key behind what PKCS #8 and SPKI put before them (RFC 8410). */
const RAW_BYTES = 32;
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A secret as receivers are given it. */
export function newHmacSecret(): string {
  return `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
}

/** A key pair: the secret half stays here, the public one is what receivers are given. */
export function newEd25519Key(): { secret: string; public_key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-RAW_BYTES);
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-RAW_BYTES);
  return {
    // As libraries of NaCl have it: the seed, then the public key.
    secret: `whsk_${Buffer.concat([seed, raw]).toString('base64')}`,
    public_key: `whpk_${raw.toString('base64')}`,
  };
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

/**
 * The header `webhook-signature`: a signature by each key, the newest first. While a key rotates those before it sign, too,
 * so that the receiver changes over when it likes.
 */
export function signatureOf(
  keys: readonly SigningKey[],
  message: { id: string; timestamp: number; body: string },
): string {
  const content = `${message.id}.${message.timestamp}.${message.body}`;
  return keys.map((key) => signatureBy(key, content)).join(' ');
}
