/** Streams of events where several processes serve them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { Client } from 'pg';
import { newUuid } from '../src/platform/ids.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../src/testing.ts';
import { type ServerProcess, startServer } from './server.ts';

let platform: TestPlatform;
let other: ServerProcess;
before(async () => {
  platform = await openTestPlatform();
  other = await startServer({ DATABASE_URL: platform.url, DEMO: 'false', POOL_SIZE: '5' });
});
after(async () => {
  other.kill('SIGTERM');
  await other.exit;
  await platform.close();
});

/** An open stream, of which nothing is read until somebody does. */
async function open(url: string, key: string, after: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, 'last-event-id': String(after) };
    const asking = get(`${url}/api/v2/events/stream`, { headers, agent: false }, (answer) => {
      if (answer.statusCode === 200) resolve(answer);
      else reject(new Error(`the stream is answered ${answer.statusCode}`));
    });
    asking.on('error', reject);
  });
}

/** Reads a stream until it has told so many events, and ends it. */
async function read(stream: IncomingMessage, wanted: number): Promise<EventSourceMessage[]> {
  const seen: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => seen.push(event) });
  stream.setEncoding('utf8');
  for await (const piece of stream) {
    parser.feed(String(piece));
    if (seen.length >= wanted) break;
  }
  stream.destroy();
  return seen.slice(0, wanted);
}

const idsOf = (events: readonly EventSourceMessage[]) => events.map(({ id }) => Number(id));

test('a stream at one process tells what was written through another, either way', {
  timeout: 60_000,
}, async () => {
  const bank = await platform.newTenant();
  await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
  const [here, there] = [await open(platform.running.url, bank.key, 0), await open(other.url, bank.key, 0)];
  const both = Promise.all([read(here, 4), read(there, 4)]);
  for (const url of [other.url, platform.running.url, other.url, platform.running.url]) {
    const opened = await fetch(`${url}/api/v2/accounts`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${bank.key}`,
        'content-type': 'application/json',
        'idempotency-key': newUuid(),
      },
      body: JSON.stringify({ name: 'A', currency: 'BRL', chart_code: '1' }),
    });
    assert.equal(opened.status, 201);
  }
  const [seenHere, seenThere] = await both;
  assert.deepEqual(idsOf(seenHere), [1, 2, 3, 4]);
  assert.deepEqual(seenThere, seenHere);
});

const EVENTS = 20_000;
/** Of each event: of all it is more than the kernel takes for a connection that nobody reads. */
const BYTES = 2_000;
/** Some hundred events: those of a look or two. */
const MOST_KEPT = 1_000_000;

/** Carries many events of a tenant, as some service wrote them. */
async function carryMany({ scope }: TestTenant): Promise<void> {
  const client = new Client({ connectionString: platform.url });
  await client.connect();
  try {
    await client.query(
      `with head as (
         insert into platform.outbox_heads as h (tenant_id, environment, sequence) values ($1, $2, $3)
         on conflict (tenant_id, environment) do update set sequence = h.sequence + $3 returning sequence)
       insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
       select $1, $2, sequence - $3 + g, gen_random_uuid(), now(), 'probe.thing.happened', '/probe', 'thing', 'a' || (g % 100),
         jsonb_build_object('text', repeat('x', $4))
       from head, generate_series(1, $3::bigint) g`,
      [scope.tenant_id, scope.environment, EVENTS, BYTES],
    );
  } finally {
    await client.end();
  }
  platform.running.wakeRelay();
}

test('a reader that takes nothing has little kept for it, delays nobody, and goes on without a gap', {
  timeout: 120_000,
}, async () => {
  const bank = await platform.newTenant();
  const { server } = platform.running.app;
  const connected = once(server, 'connection');
  const slow = await open(platform.running.url, bank.key, 0);
  const [atServer] = await connected;
  assert.ok(atServer instanceof Socket);

  await carryMany(bank);
  const quick = await read(await open(platform.running.url, bank.key, 0), EVENTS);
  assert.deepEqual(
    idsOf(quick),
    Array.from({ length: EVENTS }, (_, n) => n + 1),
  );
  // What it was sent lies in the kernel's buffers; what it was not is still in the database.
  const bytes = quick.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(bytes > EVENTS * BYTES, `only ${bytes} bytes were to be told`);
  assert.ok(atServer.bytesWritten < bytes / 2, `${atServer.bytesWritten} of ${bytes} bytes were fetched`);
  assert.ok(atServer.writableLength < MOST_KEPT, `${atServer.writableLength} bytes are kept`);

  // After a minute it would be cut off, and is told only what was on its way.
  assert.equal(atServer.timeout, 60_000);
  atServer.emit('timeout');
  const seen: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => seen.push(event) });
  slow.setEncoding('utf8');
  await assert.rejects(async () => {
    for await (const piece of slow) parser.feed(String(piece));
  }, /aborted/);
  assert.ok(seen.length > 0 && seen.length < EVENTS / 2, `${seen.length} events were told`);
  const rest = await read(await open(platform.running.url, bank.key, seen.length), EVENTS - seen.length);
  assert.deepEqual(
    [...idsOf(seen), ...idsOf(rest)],
    Array.from({ length: EVENTS }, (_, n) => n + 1),
  );
});
