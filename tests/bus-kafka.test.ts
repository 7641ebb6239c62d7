import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type Cluster, removeKafka, startKafka, whyNoKafka } from '../scripts/kafka/cluster.ts';
import { testBus } from './bus.ts';

// In CI it must be there: what is skipped there is seen by nobody.
const skip = process.env['CI'] === 'true' ? false : (whyNoKafka() ?? false);

const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-kafka-'));
let cluster: Cluster | undefined;
after(async () => {
  await cluster?.stop();
  removeKafka(data_dir);
});

testBus(
  'Kafka',
  async () => {
    cluster = await startKafka({ data_dir, brokers: 1 });
    return {
      KAFKA_BROKERS: cluster.addresses,
      KAFKA_TOPIC_REPLICATION: '1',
      KAFKA_TOPIC_PARTITIONS: '6',
      KAFKA_TOPIC_PREFIX: `test-${randomBytes(6).toString('hex')}.`,
    };
  },
  skip,
);
