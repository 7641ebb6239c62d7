/** Streams of events where several processes serve them. */
import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { after, before, test } from 'node:test';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { newUuid } from '../src/platform/ids.ts';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';
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
