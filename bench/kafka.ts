/** Kafka's own measure of a producer, on the broker that carries our events. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Admin } from '@platformatic/kafka';
import { prepareKafka } from '../scripts/kafka/cluster.ts';

const run = promisify(execFile);

/** As many as the topic of our events has in the benchmark. */
export const PARTITIONS = 6;
/** About what an event of ours is as a message, with its headers. */
const MESSAGE_BYTES = 700;

/** Messages a second of kafka-producer-perf-test, acknowledged by all in-sync replicas. */
export async function measureProducer(brokers: string, messages: number): Promise<number> {
  const topic = `perf-${randomBytes(6).toString('hex')}`;
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: brokers.split(',') });
  admin.on('error', () => {});
  try {
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
  } finally {
    await admin.close();
  }
  const { stdout } = await run('java', [
    '-Xmx256m',
    '-cp',
    prepareKafka(),
    'org.apache.kafka.tools.ProducerPerformance',
    '--topic',
    topic,
    '--num-records',
    String(messages),
    '--record-size',
    String(MESSAGE_BYTES),
    '--throughput',
    '-1',
    '--producer-props',
    `bootstrap.servers=${brokers}`,
    'acks=all',
  ]);
  // The last line is of the whole run.
  const rate = [...stdout.matchAll(/([\d.]+) records\/sec/g)].at(-1)?.[1];
  if (rate === undefined) throw new Error(`kafka-producer-perf-test said nothing of its rate:\n${stdout}`);
  return Number(rate);
}
