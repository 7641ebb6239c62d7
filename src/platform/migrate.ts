/**
 * Migrations are plain SQL files, applied in order of their names, forward only, each in a transaction of its
 * own, under one lock for the whole run. A file that was applied must not change: its checksum is kept.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { StartupError } from './config.ts';

export interface MigrationSource {
  /** `platform` or the name of a service. */
  name: string;
  folder: string;
}

/** Any constant: one key for all processes that migrate this database. */
const MIGRATION_LOCK = 7_261_001;
/** How long another process is waited for that is migrating the same database, and a migration for a lock. */
const LOCK_TIMEOUT_MS = 300_000;
/** What starts is patient, as in boot.ts; an address where nothing answers is given up after that. */
const CONNECT_TIMEOUT_MS = 30_000;

/** First digits of `server_version_num`. */
const OLDEST_SERVER = 15;

async function assertServerVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; name: string }>(
    `select current_setting('server_version_num')::integer / 10000 as version, current_setting('server_version') as name`,
  );
  const [server] = rows;
  if (server === undefined || server.version < OLDEST_SERVER) {
    throw new StartupError(
      `the database runs PostgreSQL ${server?.name}; PostgreSQL ${OLDEST_SERVER} or newer is needed`,
    );
  }
}

function filesOf(folder: string): { file: string; sql: string; checksum: string }[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const sql = readFileSync(join(folder, file), 'utf8');
      return { file, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });
}

/**
 * Brings the database at `url` up to date and says how many files were applied. The user of `url` must be able
 * to create schemas and roles.
 */
export async function migrate(url: string, sources: readonly MigrationSource[]): Promise<number> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // A connection that is lost fails the statement under way; the event beside it would end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    await assertServerVersion(client);
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]).catch((error: unknown) => {
      throw new StartupError(
        `another process has been migrating the database for ${LOCK_TIMEOUT_MS / 1_000} s: wait for it, or end it`,
        { cause: error },
      );
    });
    await client.query(`
      create table if not exists public.financialapi_migrations (
        source text not null,
        file text not null,
        checksum text not null,
        applied_at timestamptz not null default now(),
        primary key (source, file)
      )`);
    let applied = 0;
    for (const source of sources) {
      for (const { file, sql, checksum } of filesOf(source.folder)) {
        const found = await client.query(
          'select checksum from public.financialapi_migrations where source = $1 and file = $2',
          [source.name, file],
        );
        const before: unknown = found.rows[0]?.checksum;
        if (before === checksum) continue;
        if (before !== undefined) {
          throw new StartupError(
            `migration ${source.name}/${file} was changed after it was applied to this database; restore the file and put the change into a new one`,
          );
        }
        await client.query('begin');
        try {
          await client.query(sql);
          await client.query(
            'insert into public.financialapi_migrations (source, file, checksum) values ($1, $2, $3)',
            [source.name, file, checksum],
          );
          await client.query('commit');
        } catch (error) {
          await client.query('rollback');
          const reason = error instanceof Error ? error.message : String(error);
          throw new StartupError(`migration ${source.name}/${file} failed: ${reason}`, { cause: error });
        }
        applied += 1;
      }
    }
    return applied;
  } finally {
    await client.end();
  }
}
