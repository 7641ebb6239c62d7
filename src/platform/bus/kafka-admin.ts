/** Topics and groups of Kafka: made when they are missing, and how far they have come. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Admin, type ClusterPartitionMetadata } from '@platformatic/kafka';
import { clientOptions, type KafkaSettings } from './kafka-client.ts';

const EARLIEST = -2n;
const LATEST = -1n;

async function withAdmin<T>(
  settings: KafkaSettings,
  work: (admin: Admin) => Promise<T>,
  patience_ms = 10_000,
): Promise<T> {
  const admin = new Admin(clientOptions(settings, patience_ms));
  admin.on('error', () => {});
  try {
    return await work(admin);
  } finally {
    await admin.close();
  }
}

function isRefusal(error: unknown, id: string): boolean {
  if (!(error instanceof Error)) return false;
  if ('apiId' in error && error.apiId === id) return true;
  return error instanceof AggregateError && error.errors.some((one: unknown) => isRefusal(one, id));
}

/** Makes the topic if it is missing and waits till each of its partitions has a leader. */
export async function ensureTopic(settings: KafkaSettings, topic: string): Promise<void> {
  await withAdmin(settings, async (admin) => {
    if (!(await admin.listTopics()).includes(topic)) {
      try {
        await admin.createTopics({
          topics: [topic],
          partitions: settings.partitions,
          replicas: settings.replication,
          configs: [
            // What is acknowledged survives the loss of a broker.
            { name: 'min.insync.replicas', value: String(Math.max(1, settings.replication - 1)) },
            // A replica that lags behind never becomes leader: what was acknowledged would be gone.
            { name: 'unclean.leader.election.enable', value: 'false' },
          ],
        });
      } catch (error) {
        // Another process made it in the meantime.
        if (!isRefusal(error, 'TOPIC_ALREADY_EXISTS')) throw error;
      }
    }
    const deadline = Date.now() + 15_000;
    for (;;) {
      const partitions = await partitionsOf(admin, topic).catch((error: unknown) => {
        // A topic that was just made is not known to every broker yet.
        if (Date.now() > deadline) throw error;
        return [];
      });
      if (partitions.length > 0 && partitions.every(({ leader }) => leader >= 0)) return;
      if (Date.now() > deadline) throw new Error(`the topic ${topic} of Kafka has no leader`);
      await sleep(100);
    }
  });
}

async function partitionsOf(admin: Admin, topic: string): Promise<ClusterPartitionMetadata[]> {
  const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
  return topics.get(topic)?.partitions ?? [];
}

/** The offset of every partition at a time in ms, or at one end. */
async function offsetsAt(admin: Admin, topic: string, timestamp: bigint): Promise<Map<number, bigint>> {
  const partitions = (await partitionsOf(admin, topic)).map((_, partitionIndex) => ({
    partitionIndex,
    timestamp,
  }));
  const listed = await admin.listOffsets({ topics: [{ name: topic, partitions }] });
  return new Map(
    listed.flatMap((one) =>
      one.partitions.map(({ partitionIndex, offset }): [number, bigint] => [partitionIndex, offset]),
    ),
  );
}

/** What a group has committed, partition by partition; nothing for those it never committed. */
async function committed(admin: Admin, group: string): Promise<Map<string, bigint>> {
  const groups = await admin.listConsumerGroupOffsets({ groups: [group] });
  return new Map(
    groups.flatMap(({ topics }) =>
      topics.flatMap(({ name, partitions }) =>
        partitions
          .filter(({ committedOffset }) => committedOffset >= 0n)
          .map(({ partitionIndex, committedOffset }): [string, bigint] => [
            `${name}:${partitionIndex}`,
            committedOffset,
          ]),
      ),
    ),
  );
}

/** Lets a group that has committed nothing yet begin with what is written from now on. */
export async function startGroupAtEnd(settings: KafkaSettings, group: string, topic: string): Promise<void> {
  await withAdmin(settings, async (admin) => {
    if ((await committed(admin, group)).size > 0) return;
    try {
      await setGroup(admin, group, topic, await offsetsAt(admin, topic, LATEST));
    } catch (error) {
      // Another process did so in the meantime, and reads already.
      if ((await committed(admin, group)).size === 0) throw error;
    }
  });
}

async function setGroup(
  admin: Admin,
  group: string,
  topic: string,
  offsets: ReadonlyMap<number, bigint>,
): Promise<void> {
  const partitionOffsets = [...offsets].map(([partition, offset]) => ({ partition, offset }));
  await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets }] });
}

/** How many messages a group has yet to read. */
export async function groupLag(settings: KafkaSettings, group: string, topic: string): Promise<number> {
  return withAdmin(
    settings,
    async (admin) => {
      const [starts, ends, done] = await Promise.all([
        offsetsAt(admin, topic, EARLIEST),
        offsetsAt(admin, topic, LATEST),
        committed(admin, group),
      ]);
      let lag = 0n;
      for (const [partition, end] of ends) {
        const from = done.get(`${topic}:${partition}`) ?? starts.get(partition) ?? 0n;
        if (end > from) lag += end - from;
      }
      return Number(lag);
    },
    0,
  );
}
