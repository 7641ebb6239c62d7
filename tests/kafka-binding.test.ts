/** Messages of Kafka against the SDK of CloudEvents: it reads what we write, and we read what it writes in the binary mode. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudEvent, Kafka, type KafkaMessage } from 'cloudevents';
import { attributesOf } from '../src/platform/bus/event.ts';
import { contentOf, eventOfContent, headOf } from '../src/platform/bus/kafka-binding.ts';
import { newUuid } from '../src/platform/ids.ts';

const event = {
  id: newUuid(),
  tenant_id: newUuid(),
  environment: 'live' as const,
  sequence: 12,
  // The SDK knows milliseconds only.
  time: '2026-11-25T00:00:00.123Z',
  type: 'ledger.transfer.posted',
  source: '/ledger',
  aggregatetype: 'transfer',
  aggregateid: newUuid(),
  position: 7,
  payload: '{"text":"\\"data\\":","n":1}',
  traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
};
const attributes = { ...attributesOf(event), aggregatetype: event.aggregatetype };

for (const mode of ['binary', 'structured'] as const) {
  test(`the SDK reads what is written ${mode}`, () => {
    const { key, value, headers } = contentOf(event, mode);
    const message: KafkaMessage = {
      headers: Object.fromEntries([...headers].map(([name, text]) => [String(name), String(text)])),
      key: String(key),
      value: String(value),
      body: undefined,
    };
    const read = Kafka.toEvent<unknown>(message);
    assert.ok(!Array.isArray(read));
    assert.ok(read instanceof CloudEvent && read.validate());
    const { data, ...others } = read.toJSON();
    // It gives absent attributes a name.
    const present = Object.fromEntries(Object.entries(others).filter(([, text]) => text !== undefined));
    assert.deepEqual(present, attributes);
    assert.deepEqual(typeof data === 'string' ? JSON.parse(data) : data, JSON.parse(event.payload));
  });
}

test('what the SDK writes is read', () => {
  const written = Kafka.binary(new CloudEvent<unknown>({ ...attributes, data: event.payload }));
  const headers = new Map(
    Object.entries(written.headers)
      .filter(([, text]) => text !== undefined)
      .map(([name, text]) => [Buffer.from(name), Buffer.from(String(text))]),
  );
  assert.deepEqual(eventOfContent({ headers, value: Buffer.from(event.payload) }), event);
});

test('of which type and whose an event is, is told by headers alone, where they tell it', () => {
  assert.deepEqual(headOf(contentOf(event, 'binary')), {
    type: event.type,
    tenantid: attributes.tenantid,
    environment: event.environment,
  });
  assert.equal(headOf(contentOf(event, 'structured')), undefined);
});
