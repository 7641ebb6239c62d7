/** A server that is ended by `kill -9` has forgotten what it counted since it last wrote usage down, and nothing before. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as SqlClient } from 'pg';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { migratedDatabase } from '../src/testing.ts';
import { openClient } from './client.ts';
import { type ServerProcess, startServer } from './server.ts';

let database: FreshDatabase;
let sql: SqlClient;
let server: ServerProcess;
const start = () => startServer({ DATABASE_URL: database.url, POOL_SIZE: '4' });

before(async () => {
  database = await migratedDatabase();
  sql = new SqlClient({ connectionString: database.url });
  await sql.connect();
  server = await start();
});
after(async () => {
  server?.kill('SIGKILL');
  await server?.exit;
  await sql.end();
  await database.drop();
});

/** Calls of one route that the database knows, in minutes and in hours. */
async function kept(): Promise<[number, number]> {
  const { rows } = await sql.query<{ minutes: number; hours: number }>(
    `select (select coalesce(sum(calls), 0)::int from platform.usage_minutes where route = '/api/v2/holds') as minutes,
            (select coalesce(sum(calls), 0)::int from platform.usage_hours where route = '/api/v2/holds') as hours`,
  );
  return [rows[0]?.minutes ?? -1, rows[0]?.hours ?? -1];
}

async function ask(times: number): Promise<void> {
  const client = openClient(() => ({ url: server.url, key: server.key ?? '' }));
  for (let number = 0; number < times; number += 1) {
    assert.equal((await client.ask('GET', '/api/v2/holds'))?.status, 200);
  }
}

async function keptIs(calls: number): Promise<void> {
  for (let left = 600; (await kept())[0] < calls && left > 0; left -= 1) await sleep(50);
  assert.deepEqual(await kept(), [calls, calls]);
}

test('what was written down survives; what is counted after a start is added to it', async () => {
  await ask(60);
  // Written each second, without anybody asking for it.
  await keptIs(60);
  await ask(40);
  server.kill('SIGKILL');
  await server.exit;
  const [minutes, hours] = await kept();
  assert.ok(minutes >= 60 && minutes <= 100, `${minutes} calls`);
  assert.equal(hours, minutes, 'a minute and its hour are written in one commit');

  server = await start();
  await ask(25);
  await keptIs(minutes + 25);
  await ask(10);
  server.kill('SIGTERM');
  assert.equal((await server.exit).code, 0);
  assert.deepEqual(await kept(), [minutes + 35, minutes + 35]);
  server = await start();
});
