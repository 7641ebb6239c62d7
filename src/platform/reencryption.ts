/**
 * Secrets at rest after the encryption key rotated: what is still encrypted under an older key is encrypted anew, so that
 * the older key can be taken away. Done by `npm run secrets` while the server goes on working.
 */
import { type Static, Type } from 'typebox';
import type { Database, Scope } from './db.ts';
import type { Secrets } from './secret.ts';

/** A column of ciphertexts, as a service declares it. */
export interface EncryptedColumn {
  table: string;
  column: string;
  /** Whether a row is of the tenant as a whole or of one of its environments. */
  of: 'tenant' | 'environment';
  /** What tells the rows of a tenant or environment apart; undefined where there is one at most. */
  key?: { column: string; type: 'uuid' | 'text' | 'bytea' };
  /** The context that a row's secret was encrypted in (`Secrets.encrypt`). */
  context: (scope: Scope, key: string) => string;
}

export interface Reencryption {
  /** Secrets that were looked at. */
  seen: number;
  /** Those of them that were encrypted anew. */
  changed: number;
  /** What could not be decrypted, as the table and key of each: under a key that is not there, or altered. */
  unreadable: string[];
}

/** Rows of one transaction: a few milliseconds, in which they cannot be changed otherwise. */
const BATCH = 100;

const Row = Type.Object({ key: Type.String(), secret: Type.String() });

interface Batch {
  rows: Static<typeof Row>[];
  changed: number;
  unreadable: string[];
}

/**
 * Encrypts anew what a column holds in a tenant's environment under another than the current key, a batch at a time. May
 * be stopped and begun again at any time. What others write meanwhile stays.
 */
export async function reencrypt(
  db: Database,
  secrets: Secrets,
  scope: Scope,
  { table, column, of, key, context }: EncryptedColumn,
): Promise<Reencryption> {
  const result: Reencryption = { seen: 0, changed: 0, unreadable: [] };
  // What is of the tenant is seen from both of its environments.
  if (of === 'tenant' && scope.environment !== 'sandbox') return result;
  const own = `tenant_id = $1${of === 'environment' ? ' and environment = $2' : ' and $2::text is not null'}`;
  let after: string | null = null;
  for (;;) {
    const from: string | null = after;
    const batch: Batch = await db.write(scope, async (tx): Promise<Batch> => {
      const rows = await tx.rows(
        Row,
        `select ${key === undefined ? "''" : `${key.column}::text`} as key, ${column} as secret from ${table}
         where ${own} and ${key === undefined ? '$3::text is null' : `($3::${key.type} is null or ${key.column} > $3::${key.type})`}
         ${key === undefined ? '' : `order by ${key.column}`} limit ${BATCH} for no key update`,
        [scope.tenant_id, scope.environment, from],
      );
      const unreadable: string[] = [];
      let changed = 0;
      for (const row of rows.filter(({ secret }) => secrets.isOutdated(secret))) {
        const where = context(scope, row.key);
        let text: string;
        try {
          text = secrets.decrypt(row.secret, where);
        } catch {
          unreadable.push(`${table} ${row.key}`.trim());
          continue;
        }
        changed += await tx.run(
          `update ${table} set ${column} = $4
           where ${own} and ${key === undefined ? '$3::text is not null' : `${key.column} = $3::${key.type}`}`,
          [scope.tenant_id, scope.environment, row.key, secrets.encrypt(text, where)],
        );
      }
      return { rows, changed, unreadable };
    });
    result.seen += batch.rows.length;
    result.changed += batch.changed;
    result.unreadable.push(...batch.unreadable);
    after = batch.rows.at(-1)?.key ?? null;
    if (key === undefined || batch.rows.length < BATCH) return result;
  }
}
