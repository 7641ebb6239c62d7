/**
 * `npm run kafka`: Apache Kafka on this machine, for development: fetches it with Maven the first time, starts one
 * broker, or three, on free ports of loopback, says with which settings the server uses it, and stops them at Ctrl-C.
 *
 *   npm run kafka -- [--brokers 1|3] [--data DIR] [--secure]
 *   npm run kafka -- --prepare       fetches what is needed, for the tests with Debezium too, and ends
 */
import { once } from 'node:events';
import { delimiter, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { prepareKafka, startKafka, whyNoKafka } from './kafka/cluster.ts';
import { prepareConnect } from './kafka/connect.ts';

const usage = 'usage: npm run kafka -- [--brokers 1|3] [--data DIR] [--secure] | --prepare';

function argumentsOf() {
  try {
    return parseArgs({
      options: {
        brokers: { type: 'string', default: '1' },
        data: { type: 'string', default: '.data/kafka' },
        secure: { type: 'boolean', default: false },
        prepare: { type: 'boolean', default: false },
      },
    }).values;
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const values = argumentsOf();
  if (values === undefined || (values.brokers !== '1' && values.brokers !== '3')) {
    console.error(usage);
    return 2;
  }
  const reason = whyNoKafka();
  if (reason !== undefined) {
    console.error(reason);
    return 1;
  }
  const onProgress = (line: string) => console.log(line);
  if (values.prepare) {
    const classpath = prepareKafka(onProgress);
    const connect = prepareConnect(onProgress);
    const count = (list: string) => list.split(delimiter).length;
    console.log(
      `Kafka is here: ${count(classpath)} artifacts, and ${count(connect)} of Kafka Connect with Debezium`,
    );
    return 0;
  }
  const brokers = values.brokers === '1' ? 1 : 3;
  const cluster = await startKafka({
    data_dir: resolve(values.data),
    brokers,
    secure: values.secure,
    onProgress,
  });
  console.log('\nThe server uses it with:\n');
  console.log(`  KAFKA_BROKERS=${cluster.addresses}`);
  if (brokers === 1) console.log('  KAFKA_TOPIC_REPLICATION=1');
  if (cluster.credentials !== undefined) {
    console.log(`  KAFKA_TLS_CA_FILE=${cluster.credentials.ca_file}`);
    console.log('  KAFKA_SASL_MECHANISM=SCRAM-SHA-512');
    console.log(`  KAFKA_SASL_USER=${cluster.credentials.user}`);
    console.log(`  KAFKA_SASL_PASSWORD=${cluster.credentials.password}`);
  }
  console.log('\nCtrl-C stops it.');
  // Signals alone do not keep a process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  await Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)));
  clearInterval(alive);
  console.log('stopping …');
  await cluster.stop();
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
