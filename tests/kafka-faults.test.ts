/** What is written while brokers die arrives, in order, at processes that share the reading. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, removeKafka, startKafka, whyNoKafka } from '../scripts/kafka/cluster.ts';
import { ensureTopic } from '../src/platform/bus/kafka-admin.ts';
import { contentOf, eventOfContent } from '../src/platform/bus/kafka-binding.ts';
import { type KafkaSettings, kafkaSettingsOf } from '../src/platform/bus/kafka-client.ts';
import { type KafkaConsumer, openConsumer } from '../src/platform/bus/kafka-consumer.ts';
import { openProducer } from '../src/platform/bus/kafka-producer.ts';
import { readConfig } from '../src/platform/config.ts';
import { newUuid } from '../src/platform/ids.ts';

const skip = process.env['CI'] === 'true' ? false : (whyNoKafka() ?? false);

function eventOf(aggregateid: string, sequence: number) {
  return {
    id: newUuid(),
    tenant_id: '01a21006-b871-7716-99aa-0121d3b9e0c8',
    environment: 'sandbox' as const,
    sequence,
    time: '2026-11-25T00:00:00.123456Z',
    type: 'ledger.account.edited',
    source: '/ledger',
    aggregatetype: 'account',
    aggregateid,
    position: null,
    payload: '{"amount": 1.10, "big": 12345678901234567890}',
    traceparent: null,
  };
}

/** Whether it is, somewhere below, that the broker did not believe us. */
function isOfAuthentication(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && error.code === 'PLT_KFK_AUTHENTICATION') return true;
  const below: unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...below, error.cause].some(isOfAuthentication);
}

describe('Kafka of three brokers', { timeout: 240_000, skip }, () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-kafka-'));
  let cluster: Cluster;
  before(async () => {
    cluster = await startKafka({ data_dir, brokers: 3 });
  });
  after(async () => {
    await cluster?.stop();
    removeKafka(data_dir);
  });

  test('under load, kill -9 of one broker and then of another: nothing is lost, keys keep their order', async (t) => {
    const settings: KafkaSettings = {
      brokers: cluster.addresses.split(','),
      tls: undefined,
      sasl: undefined,
      prefix: `test-${randomBytes(6).toString('hex')}.`,
      partitions: 6,
      replication: 3,
      content_mode: 'binary',
    };
    const topic = `${settings.prefix}events`;
    await ensureTopic(settings, topic);

    /** The sequences of each key as they came first: what comes again after a failure is known by its id. */
    const received = new Map<string, number[]>();
    const ids = new Set<string>();
    let again = 0;
    const member = (): KafkaConsumer =>
      openConsumer(settings, {
        group: `${settings.prefix}probe`,
        topic,
        prepare: () => Promise.resolve(),
        deliver: async (messages) => {
          for (const message of messages) {
            const event = eventOfContent(message);
            if (ids.has(event.id)) again += 1;
            else
              received.set(event.aggregateid, [...(received.get(event.aggregateid) ?? []), event.sequence]);
            ids.add(event.id);
          }
        },
        onTrouble: (what, error) => t.diagnostic(`${what}: ${String(error)}`),
      });
    const members = [member(), member()];

    const producer = openProducer(settings);
    const keys = Array.from({ length: 20 }, () => newUuid());
    const accepted = new Map<string, number>();
    const stopping = new AbortController();
    /** As what fills Kafka does: the same again after a failure, and nothing later before. */
    async function load(own: readonly string[]): Promise<void> {
      for (let sequence = 1; !stopping.signal.aborted; sequence += 1) {
        const messages = own.map((key) => ({ topic, ...contentOf(eventOf(key, sequence), 'binary') }));
        for (;;) {
          try {
            await producer.write(messages);
            break;
          } catch (error) {
            t.diagnostic(String(error));
          }
        }
        for (const key of own) accepted.set(key, sequence);
        await sleep(10);
      }
    }
    const loads = [load(keys.slice(0, 10)), load(keys.slice(10))];
    const total = () => [...accepted.values()].reduce((sum, one) => sum + one, 0);
    /** Until so many more were accepted. */
    async function progress(events: number): Promise<void> {
      const goal = total() + events;
      while (total() < goal) await sleep(20);
    }

    await progress(1_000);
    const [first, second] = cluster.brokers;
    assert.ok(first !== undefined && second !== undefined);
    await first.kill();
    await progress(1_000);
    await first.start();
    await progress(1_000);
    await second.kill();
    await progress(1_000);
    stopping.abort();
    await Promise.all(loads);
    while (ids.size < total()) await sleep(50);
    await second.start();
    await Promise.all(members.map((one) => one.close()));
    await producer.close();

    t.diagnostic(`${total()} events accepted and received, ${again} of them more than once`);
    for (const key of keys) {
      assert.deepEqual(
        received.get(key),
        Array.from({ length: accepted.get(key) ?? 0 }, (_, n) => n + 1),
      );
    }
  });
});

test('an event is the same after either way through Kafka, its data and times to the letter', () => {
  const whole = {
    ...eventOf(newUuid(), 7),
    position: 3,
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  };
  for (const event of [whole, eventOf('Plan "data":{}', 1)]) {
    for (const mode of ['binary', 'structured'] as const) {
      const content = contentOf(event, mode);
      assert.equal(content.key.toString(), event.aggregateid);
      assert.deepEqual(eventOfContent(content), event);
    }
  }
  const { headers, value } = contentOf(whole, 'binary');
  const text = Object.fromEntries(
    [...headers].map(([name, content]) => [name.toString(), content.toString()]),
  );
  assert.equal(value.toString(), whole.payload);
  assert.equal(text['content-type'], 'application/json');
  assert.equal(text['ce_specversion'], '1.0');
  assert.equal(text['ce_type'], 'ledger.account.edited');
  assert.equal(text['ce_partitionkey'], whole.aggregateid);
  assert.equal(text['ce_traceparent'], whole.traceparent);
  // As whoever knows OpenTelemetry and not CloudEvents looks for it.
  assert.equal(text['traceparent'], whole.traceparent);
  const structured = contentOf(whole, 'structured');
  assert.deepEqual([...structured.headers.keys()].map(String), ['content-type', 'traceparent']);
  assert.match([...structured.headers.values()].join(' '), /^application\/cloudevents\+json/);
  assert.throws(() => eventOfContent({ headers: new Map(), value: Buffer.from('hello') }));
});

test('Kafka by TLS and SASL: who has the password comes in, others do not', {
  timeout: 120_000,
  skip,
}, async () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-kafka-'));
  const cluster = await startKafka({ data_dir, brokers: 1, secure: true });
  try {
    assert.ok(cluster.credentials !== undefined);
    const { ca_file, user, password } = cluster.credentials;
    const settingsOf = (mechanism: string, secret: string) => {
      const settings = kafkaSettingsOf(
        readConfig({
          KAFKA_BROKERS: cluster.addresses,
          KAFKA_TLS_CA_FILE: ca_file,
          KAFKA_SASL_MECHANISM: mechanism,
          KAFKA_SASL_USER: user,
          KAFKA_SASL_PASSWORD: secret,
          KAFKA_TOPIC_REPLICATION: '1',
        }),
      );
      assert.ok(settings !== undefined);
      return settings;
    };
    for (const mechanism of ['SCRAM-SHA-512', 'PLAIN']) {
      await ensureTopic(settingsOf(mechanism, password), `by-${mechanism}`);
    }
    await assert.rejects(ensureTopic(settingsOf('SCRAM-SHA-512', 'wrong'), 'not-made'), isOfAuthentication);
    const producer = openProducer(settingsOf('SCRAM-SHA-512', password));
    await producer.write([{ topic: 'by-PLAIN', ...contentOf(eventOf(newUuid(), 1), 'binary') }]);
    await producer.close();
  } finally {
    await cluster.stop();
    removeKafka(data_dir);
  }
});
