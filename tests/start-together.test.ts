/** Several processes that start at the same time on one database, as a deployment with several replicas does. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'pg';
import { migrationSources } from '../src/platform/boot.ts';
import { type MigrationSource, migrate } from '../src/platform/migrate.ts';
import { freshDatabase } from '../src/platform/testing.ts';
import { services } from '../src/services.ts';
import { startServer } from './server.ts';

const PROCESSES = 3;

/** Migrations as a version before had them: without the last of each service. */
function sourcesBefore(folder: string): MigrationSource[] {
  return migrationSources(services).map(({ name, folder: whole }) => {
    const older = join(folder, name);
    cpSync(whole, older, { recursive: true });
    const newest = readdirSync(older)
      .filter((file) => file.endsWith('.sql'))
      .toSorted()
      .at(-1);
    if (newest !== undefined) rmSync(join(older, newest));
    return { name, folder: older };
  });
}

/** Files there are, as they are applied: of each source in the order of their names. */
const files = migrationSources(services).flatMap(({ name, folder }) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => `${name}/${file}`),
);

async function startTogether(url: string): Promise<void> {
  const settings = { DATABASE_URL: url, DEMO: 'false', POOL_SIZE: '3' };
  const outcomes = await Promise.allSettled(Array.from({ length: PROCESSES }, () => startServer(settings)));
  const servers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  try {
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    for (const server of servers) {
      const answer = await fetch(`${server.url}/readyz`);
      assert.equal(answer.status, 200, await answer.text());
    }
    const applied = servers.flatMap(({ lines }) =>
      lines.filter((line) => /applied \d+ migrations/.test(line)),
    );
    assert.equal(applied.length, 1, applied.join('\n'));
  } finally {
    for (const server of servers) server.kill('SIGTERM');
    const ends = await Promise.all(servers.map(({ exit }) => exit));
    assert.deepEqual(
      ends.map(({ code }) => code),
      servers.map(() => 0),
    );
  }
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    // Each by one process, once: one that was applied twice would have failed, or changed its time.
    const { rows } = await client.query<{ name: string }>(
      "select source || '/' || file as name from public.financialapi_migrations",
    );
    assert.deepEqual(
      rows.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b)),
      files.toSorted((a, b) => a.localeCompare(b)),
    );
  } finally {
    await client.end();
  }
}

test('on a new, empty database all come up, and each migration is applied once', {
  timeout: 240_000,
}, async () => {
  const database = await freshDatabase();
  try {
    await startTogether(database.url);
  } finally {
    await database.drop();
  }
});

test('on a database of a version before all come up, and what is new is applied once', {
  timeout: 240_000,
}, async () => {
  const database = await freshDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'financialapi-before-'));
  try {
    const before = await migrate(database.url, sourcesBefore(folder));
    assert.ok(before > 0 && before < files.length, `${before} of ${files.length}`);
    await startTogether(database.url);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await database.drop();
  }
});
