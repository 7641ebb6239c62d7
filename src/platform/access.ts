/**
 * Who is calling. A key belongs to one tenant and one environment; the database keeps only its SHA-256.
 *
 * A key reads `fa_test_` (sandbox) or `fa_live_`, 30 random letters and digits, and six that are their CRC-32, so
 * that secret scanners can tell one from a random string.
 */
import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { Type } from 'typebox';
import type { Database, Scope } from './db.ts';
import { newUuid } from './ids.ts';
import { refuse } from './problem.ts';

/** The authenticated caller of a request. */
export interface Caller extends Scope {
  key_id: string;
  key_label: string;
  tenant_name: string;
  /** Currency of requests that name none, as those of the v1 API. */
  base_currency: string;
}

const KeyRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  key_id: Type.String(),
  label: Type.String(),
  tenant_name: Type.String(),
  base_currency: Type.String(),
});

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 30;
const CHECKSUM_LENGTH = 6;
const keyPattern = /^fa_(test|live)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$/;

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let index = 0; index < CHECKSUM_LENGTH; index += 1) {
    digits = (alphabet[rest % alphabet.length] ?? '') + digits;
    rest = Math.floor(rest / alphabet.length);
  }
  return digits;
}

/** A new key for an environment. It is shown once; only `hashKey` of it is kept. */
export function newKey(environment: Scope['environment']): string {
  let random = '';
  while (random.length < RANDOM_LENGTH) random += alphabet[randomInt(alphabet.length)] ?? '';
  return `fa_${environment === 'live' ? 'live' : 'test'}_${random}${checksum(random)}`;
}

/** Whether a text has the form and checksum of a key: what does not is refused without a look-up. */
export function isWellFormedKey(key: string): boolean {
  const [, , random, check] = keyPattern.exec(key) ?? [];
  return random !== undefined && checksum(random) === check;
}

function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

/** Creates a tenant. Its books are opened by the services, on their first use of it. */
export async function createTenant(
  db: Database,
  tenant: { name: string; base_currency: string },
): Promise<string> {
  const tenant_id = newUuid();
  await db.write({ tenant_id, environment: 'sandbox' }, (tx) =>
    tx.run('insert into platform.tenants (tenant_id, name, base_currency) values ($1, $2, $3)', [
      tenant_id,
      tenant.name,
      tenant.base_currency,
    ]),
  );
  return tenant_id;
}

/** Creates a key and returns it. This is the only time that it is known. */
export async function createKey(db: Database, scope: Scope, label: string): Promise<string> {
  const key = newKey(scope.environment);
  await db.write(scope, (tx) =>
    tx.run(
      'insert into platform.api_keys (tenant_id, environment, id, hash, label) values ($1, $2, $3, $4, $5)',
      [scope.tenant_id, scope.environment, newUuid(), hashKey(key), label],
    ),
  );
  return key;
}

/**
 * Revokes a key. Processes that know it believe it for `BELIEVED_FOR_MS` more at the longest. Throws `unauthenticated`
 * for one that is unknown or revoked already.
 */
export async function revokeKey(db: Database, key: string): Promise<void> {
  const caller = await openAccess(db).identify(key);
  await db.write(caller, (tx) =>
    tx.run(
      'update platform.api_keys set revoked_at = now() where tenant_id = $1 and environment = $2 and id = $3',
      [caller.tenant_id, caller.environment, caller.key_id],
    ),
  );
}

/** Every tenant and environment there is, for work that no caller asked for. */
export async function listScopes(db: Database): Promise<Scope[]> {
  return db.rows(Type.Pick(KeyRow, ['tenant_id', 'environment']), 'select * from platform.list_scopes()');
}

/** How long a key that was found is believed without another look: a revocation acts after this at the latest. */
const BELIEVED_FOR_MS = 5_000;
const REMEMBERED_KEYS = 10_000;

export interface Access {
  /** The caller that a key stands for. Throws `unauthenticated`. */
  identify(key: string): Promise<Caller> | Caller;
}

export function openAccess(db: Database): Access {
  const known = new LRUCache<string, Caller>({ max: REMEMBERED_KEYS, ttl: BELIEVED_FOR_MS });
  return {
    identify(key) {
      // By the key itself: to hash it first for each request took a thirtieth of a posting's time.
      const found = known.get(key);
      if (found !== undefined) return found;
      if (!isWellFormedKey(key)) {
        throw refuse('unauthenticated', 'This is not an API key: they begin with fa_test_ or fa_live_.');
      }
      return db.rows(KeyRow, 'select * from platform.find_api_key($1)', [hashKey(key)]).then(([row]) => {
        if (row === undefined) throw refuse('unauthenticated', 'This API key is unknown or was revoked.');
        const { label, ...rest } = row;
        const caller: Caller = { ...rest, key_label: label };
        known.set(key, caller);
        return caller;
      });
    },
  };
}
