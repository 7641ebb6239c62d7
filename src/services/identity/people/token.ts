/**
 * Opaque tokens: of sessions, invitations, sign-ins under way. A token begins with the tenant that it belongs to, so
 * that it is looked up within that tenant, under its row-level security; whoever alters that part has a token that is
 * known nowhere. The database keeps the SHA-256 of the whole.
 */
import { hash, randomBytes } from 'node:crypto';

const UUID_BYTES = 16;
const RANDOM_BYTES = 32;
/** What every token looks like. */
export const TOKEN_PATTERN = '^[A-Za-z0-9_-]{64}$';
const tokenPattern = new RegExp(TOKEN_PATTERN);

export interface KnownToken {
  tenant_id: string;
  hash: Buffer;
}

function uuidFrom(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The bytes of UUIDs, one after the other. */
export function bytesOf(...uuids: readonly string[]): Buffer {
  return Buffer.from(uuids.join('').replaceAll('-', ''), 'hex');
}

/** The UUIDs in bytes that `bytesOf` made of `count` of them; undefined for what it did not. */
export function uuidsIn(bytes: Buffer, count: number): string[] | undefined {
  if (bytes.length !== count * UUID_BYTES) return undefined;
  return Array.from({ length: count }, (_, index) =>
    uuidFrom(bytes.subarray(index * UUID_BYTES, (index + 1) * UUID_BYTES)),
  );
}

export function hashOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** A new token. It is told once; only its hash is kept. */
export function newToken(tenant_id: string): { token: string; hash: Buffer } {
  const token = Buffer.concat([bytesOf(tenant_id), randomBytes(RANDOM_BYTES)]).toString('base64url');
  return { token, hash: hashOf(token) };
}

/** Where a token would be known, and as what; undefined for what is none. */
export function readToken(token: string): KnownToken | undefined {
  if (!tokenPattern.test(token)) return undefined;
  const tenant_id = uuidFrom(Buffer.from(token, 'base64url').subarray(0, UUID_BYTES));
  return { tenant_id, hash: hashOf(token) };
}
