import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createKey } from '../src/platform/access/access.ts';
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

test('what nobody has a use for is passed over, and what is wanted among it is not', async () => {
  const platform = await openTestPlatform({}, {}, [...services, probeService(() => false)]);
  const sql = new Client({ connectionString: platform.url });
  await sql.connect();
  try {
    const { scope } = await platform.newTenant();
    const tell = async (count: number, type: string) => {
      await sql.query(
        `with head as (
           insert into platform.outbox_heads as h (tenant_id, environment, sequence) values ($1, 'sandbox', $2)
           on conflict (tenant_id, environment) do update set sequence = h.sequence + $2 returning sequence)
         insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
         select $1, 'sandbox', sequence - $2 + n, gen_random_uuid(), now(), $3, '/test', 'test', 'a' || (n % 50), '{}'
         from head, generate_series(1, $2::bigint) n`,
        [scope.tenant_id, count, type],
      );
      platform.running.wakeRelay();
    };
    const noted = async (consumer: string) =>
      Number(
        (
          await sql.query('select count(*) from platform.inbox where consumer = $1 and tenant_id = $2', [
            consumer,
            scope.tenant_id,
          ])
        ).rows[0].count,
      );
    /** Until all have passed whatever was carried. */
    const passed = async () => {
      for (;;) {
        const { rows } = await sql.query(
          'select ((select events from platform.relay_lag()) + (select coalesce(sum(lag), 0) from platform.consumer_lag()))::int as left',
        );
        if (rows[0].left === 0) return;
        await sleep(10);
      }
    };
    // More than is looked at in one go: those of the probe among many more of nobody's, in every partition.
    for (let round = 0; round < 3; round += 1) {
      await tell(200, 'ledger.test.told');
      await tell(3_000, 'other.test.told');
    }
    await passed();
    assert.equal(await noted('probe'), 600);
    assert.equal(await noted('webhooks'), 0, 'no endpoint wants anything');
    assert.equal(await noted('notifications'), 0);
    // From the moment on at which there is an endpoint, all that comes is looked at.
    const key = await createKey(platform.running.platform, scope, { label: 'webhooks' });
    const { statusCode, body } = await platform.running.app.inject({
      method: 'POST',
      url: '/api/v2/webhooks/endpoints',
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'endpoint' },
      payload: { url: 'https://receiver.invalid/hooks', event_types: ['ledger.account.opened'] },
    });
    assert.equal(statusCode, 201, body);
    await tell(20, 'ledger.test.told');
    await passed();
    assert.deepEqual([await noted('probe'), await noted('webhooks')], [620, 20]);
  } finally {
    await sql.end();
    await platform.close();
  }
});
