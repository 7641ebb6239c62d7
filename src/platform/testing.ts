/** What test files stand on: a database of their own on the server that `npm test` started. */
import { createHash, randomBytes } from 'node:crypto';
import { Client } from 'pg';

export interface FreshDatabase {
  /** Connection string, as superuser. */
  url: string;
  /** Removes the database, ending whatever is still connected to it. */
  drop(): Promise<void>;
}

function serverUrl(): string {
  const server = process.env['TEST_DATABASE_URL'];
  if (server === undefined || server === '') {
    throw new Error(
      'TEST_DATABASE_URL is not set: run tests with `npm test`, or one with `npm test -- <file>`',
    );
  }
  return server;
}

function urlOf(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

/** Creates a database with a name of its own: an empty one, or a copy of `template`. */
export async function freshDatabase(template?: string): Promise<FreshDatabase> {
  const server = serverUrl();
  const name = `test_${randomBytes(8).toString('hex')}`;
  await execute(server, `create database ${name}${template === undefined ? '' : ` template ${template}`}`);
  return { url: urlOf(server, name), drop: () => execute(server, `drop database ${name} with (force)`) };
}

/** Any constant: one key for all processes that want a database to copy. */
const TEMPLATE_LOCK = 7_261_099;

/**
 * The name of a database to copy, filled by whoever needs it first: to copy takes a tenth of the time that to migrate does.
 * On a server that is not thrown away with the run it stays, for the next one.
 *
 * @param content what tells it from another one: it is filled anew for other content
 */
export async function templateDatabase(
  content: string,
  fill: (url: string) => Promise<unknown>,
): Promise<string> {
  const server = serverUrl();
  const name = `test_template_${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) {
      // Under another name until it is whole, should we be killed.
      const half = `${name}_half`;
      await client.query(`drop database if exists ${half} with (force)`);
      await client.query(`create database ${half}`);
      await fill(urlOf(server, half));
      await client.query(`alter database ${half} rename to ${name}`);
    }
    return name;
  } finally {
    await client.end();
  }
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
