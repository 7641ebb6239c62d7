/** The same scenario in one process, in two, and in three with Kafka between them: what comes of it is identical. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Cluster, removeKafka, startKafka, whyNoKafka } from '../scripts/kafka/cluster.ts';
import { runScenario } from './scenario.ts';
import { openTopology } from './topology.ts';

// In CI it must be there: what is skipped there is seen by nobody.
const noKafka = process.env['CI'] === 'true' ? false : (whyNoKafka() ?? false);
const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-topologies-'));
let cluster: Cluster | undefined;
after(async () => {
  await cluster?.stop();
  removeKafka(data_dir);
});

/** Runs the scenario with the services of each process. */
async function runIn(layout: readonly (readonly string[])[], settings: Record<string, string> = {}) {
  const topology = await openTopology(settings);
  try {
    await Promise.all(layout.map((services) => topology.start(services)));
    const steps = await runScenario(topology);
    assert.deepEqual(topology.gateway.failures, []);
    return steps;
  } finally {
    await topology.close();
  }
}

const inOne = runIn([['identity', 'ledger', 'webhooks', 'notifications', 'probe']]);
// The tests wait for it, and are told if it fails.
inOne.catch(() => {});

test('in one process the scenario comes to what it should', async () => {
  const steps = await inOne;
  const statuses = Object.fromEntries(
    steps.map(({ what, status, replayed }) => [what, replayed === true ? `${status} replayed` : status]),
  );
  assert.partialDeepStrictEqual(statuses, {
    deposit: 201,
    'deposit again': '201 replayed',
    'deposit more by the same key': 422,
    'too much': 422,
    'more than is left': 422,
    capture: 201,
    'it reads': 200,
    'it pays': 403,
    'it pays within them': 201,
    'it pays beyond them': 422,
    'a large transfer': 202,
    'approved by whoever proposed it': 403,
    'what they were told': 200,
    'sent by webhooks': 200,
    'the sandbox is emptied and filled': 201,
  });
  const heard = steps.find(({ what }) => what === 'heard by the probe')?.body;
  assert.ok(Array.isArray(heard) && heard.length >= 5, JSON.stringify(heard));
  assert.ok(heard.every(({ count, events }) => count === events));
  const trail = steps.find(({ what }) => what === 'the audit trail')?.body;
  assert.ok(Array.isArray(trail) && trail.length >= 15, JSON.stringify(trail));
  const proposal = JSON.stringify(steps.find(({ what }) => what === 'it was carried out')?.body);
  assert.match(proposal, /"status":"executed"/);
});

test('in two processes on the bus of PostgreSQL it comes to the same', async () => {
  const inTwo = await runIn([
    ['identity', 'notifications'],
    ['ledger', 'webhooks', 'probe'],
  ]);
  assert.deepEqual(inTwo, await inOne);
});

test('in three processes with Kafka between them it comes to the same', { skip: noKafka }, async () => {
  cluster = await startKafka({ data_dir, brokers: 1 });
  const inThree = await runIn([['identity', 'webhooks'], ['ledger'], ['ledger', 'notifications', 'probe']], {
    KAFKA_BROKERS: cluster.addresses,
    KAFKA_TOPIC_REPLICATION: '1',
    KAFKA_TOPIC_PARTITIONS: '6',
    KAFKA_TOPIC_PREFIX: `test-${randomBytes(6).toString('hex')}.`,
  });
  assert.deepEqual(inThree, await inOne);
});
