import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import { newUuid } from '../src/platform/ids.ts';
import { services } from '../src/services.ts';
import { openTestPlatform } from '../src/testing.ts';
import { testBus } from './bus.ts';
import { probeService } from './probe/service.ts';

testBus('PostgreSQL', () => Promise.resolve({}));

test('a process that stops while events come ends what it consumes first, and loses and complains of nothing', async () => {
  const lines: string[] = [];
  const platform = await openTestPlatform(
    { LOG_LEVEL: 'warn' },
    { logStream: { write: (line: string) => lines.push(line) } },
    [...services, probeService(() => false)],
  );
  const sql = new Client({ connectionString: platform.url });
  await sql.connect();
  try {
    const { scope } = await platform.newTenant();
    await sql.query("insert into platform.outbox_heads values ($1, 'sandbox', 3000)", [scope.tenant_id]);
    await sql.query(
      `insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
       select $1, 'sandbox', n, gen_random_uuid(), now(), 'ledger.test.told', '/test', 'test', $2 || (n % 50), '{}'
       from generate_series(1, 3000) n`,
      [scope.tenant_id, newUuid()],
    );
    platform.running.wakeRelay();
    const heard = async () => Number((await sql.query('select count(*) from probe.effects')).rows[0].count);
    while ((await heard()) === 0);
    await platform.running.stop();
    const atStop = await heard();
    assert.ok(atStop < 3000, 'it stopped in the middle');
    assert.deepEqual(lines, []);
    assert.equal(Number((await sql.query('select count(*) from platform.held_events')).rows[0].count), 0);
  } finally {
    await sql.end();
    await platform.close().catch(() => {});
  }
});
