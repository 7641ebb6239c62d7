import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import type { Subscriber } from '../src/platform/bus/bus.ts';
import { type Consumer, type Consuming, startConsumer } from '../src/platform/bus/consumer.ts';
import type { Event } from '../src/platform/bus/event.ts';
import { type Database, openDatabase } from '../src/platform/db.ts';
import { newUuid } from '../src/platform/ids.ts';
import { openLog } from '../src/platform/log.ts';
import { untraced } from '../src/platform/trace/span.ts';
import { services } from '../src/services.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';
import { probeService } from './probe/service.ts';

let platform: TestPlatform;
let db: Database;
let sql: Client;

before(async () => {
  platform = await openTestPlatform({}, {}, [...services, probeService(() => false)]);
  db = openDatabase({
    url: platform.url,
    role: 'probe',
    pool_size: 4,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 5_000,
    onError: () => {},
  });
  sql = new Client({ connectionString: platform.url });
  await sql.connect();
});
after(async () => {
  await sql?.end();
  await db?.close();
  await platform?.close();
});

/** A consumer that is given what the test delivers, as a bus would give it. */
async function consume(
  consumer: Omit<Consumer, 'types' | 'from'>,
): Promise<Consuming & Pick<Subscriber, 'deliver'>> {
  let subscriber: Subscriber | undefined;
  const consuming = await startConsumer({
    consumer: { types: ['*'], from: 'start', ...consumer },
    bus: {
      name: 'test',
      subscribe: (given) => {
        subscriber = given;
        return Promise.resolve({ stop: () => Promise.resolve() });
      },
      wake: () => {},
      lag: () => Promise.resolve(new Map()),
      stop: () => Promise.resolve(),
    },
    db,
    platform: platform.running.platform,
    log: openLog('silent'),
    traces: untraced,
  });
  assert.ok(subscriber !== undefined);
  return { ...consuming, deliver: subscriber.deliver };
}

let sequence = 0;
function eventOf(tenant_id: string, aggregateid: string): Event {
  sequence += 1;
  return {
    id: newUuid(),
    tenant_id,
    environment: 'sandbox',
    sequence,
    time: '2026-01-31T12:00:00Z',
    type: 'test.thing.told',
    source: '/test',
    aggregatetype: 'thing',
    aggregateid,
    position: null,
    payload: '{}',
    traceparent: null,
  };
}

async function heldOf(consumer: string): Promise<{ event_id: string; state: string; attempts: number }[]> {
  const { rows } = await sql.query(
    'select event_id, state, attempts from platform.held_events where consumer = $1 order by sequence',
    [consumer],
  );
  return rows;
}

test('an event that comes twice in one delivery takes effect once', async () => {
  const { scope } = await platform.newTenant();
  const seen: string[] = [];
  const consumer = await consume({
    name: 'twice',
    handle: async (_tx, { id }) => {
      seen.push(id);
    },
  });
  const [one, other] = [eventOf(scope.tenant_id, 'a'), eventOf(scope.tenant_id, 'b')];
  await consumer.deliver([one, other, one]);
  await consumer.deliver([other]);
  assert.deepEqual(seen, [one.id, other.id]);
  await consumer.stop();
});

test('what comes of several tenants mixed is one call for each, in order', async () => {
  const [a, b] = [await platform.newTenant(), await platform.newTenant()];
  const calls: string[][] = [];
  const consumer = await consume({
    name: 'mixed',
    handle: () => Promise.reject(new Error('there is more than one of each')),
    handleMany: async (_tx, events) => {
      calls.push(events.map(({ id }) => id));
    },
  });
  const events = [1, 2, 3, 4, 5, 6].map((n) => eventOf((n % 2 === 0 ? a : b).scope.tenant_id, 'same'));
  await consumer.deliver(events);
  const ids = (of: string) => events.filter(({ tenant_id }) => tenant_id === of).map(({ id }) => id);
  assert.deepEqual(calls, [ids(b.scope.tenant_id), ids(a.scope.tenant_id)]);
  await consumer.stop();
});

test('where many fail nothing of them is kept: each goes by itself, and the one that fails holds back its own aggregate', async () => {
  const { scope } = await platform.newTenant();
  const poisoned = eventOf(scope.tenant_id, 'poisoned');
  const events = [eventOf(scope.tenant_id, 'sound'), poisoned, eventOf(scope.tenant_id, 'sound')];
  const behind = eventOf(scope.tenant_id, 'poisoned');
  const note = `insert into probe.effects (tenant_id, environment, event_id, sequence, type, aggregateid)
    values ($1, $2, $3, $4, $5, $6)`;
  const effectOf = (event: Event) => [
    event.tenant_id,
    event.environment,
    event.id,
    event.sequence,
    event.type,
    event.aggregateid,
  ];
  let many = 0;
  const consumer = await consume({
    name: 'many',
    retry: { attempts: 1, first_wait_ms: 1 },
    handle: async (tx, event) => {
      await tx.run(note, effectOf(event));
      if (event.id === poisoned.id) throw new Error('poisoned');
    },
    handleMany: async (tx, all) => {
      many += 1;
      for (const event of all) await tx.run(note, effectOf(event));
      if (all.some(({ id }) => id === poisoned.id)) throw new Error('one of them is poisoned');
    },
  });
  await consumer.deliver([...events, behind]);
  // Once more, as after a crash: what is parked stays parked, and nothing takes effect again.
  await consumer.deliver([...events, behind]);
  const { rows } = await sql.query(
    'select event_id from probe.effects where tenant_id = $1 order by sequence',
    [scope.tenant_id],
  );
  assert.deepEqual(
    rows.map(({ event_id }) => event_id),
    [events[0]?.id, events[2]?.id],
  );
  assert.deepEqual(await heldOf('many'), [
    { event_id: poisoned.id, state: 'parked', attempts: 1 },
    { event_id: behind.id, state: 'waiting', attempts: 0 },
  ]);
  assert.equal(many, 1, 'the second time there was nothing new');
  await consumer.stop();
});
