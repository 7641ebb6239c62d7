/**
 * Writes to Kafka so that what was accepted is on every in-sync replica, and what has one key stays in order.
 *
 * One request carries messages of one partition, and a partition has one request under way: the library looks for the
 * leader of the first message only when it sends a request again, and its sequence numbers are of use only if an earlier
 * request is through before a later one starts.
 */
import { defaultPartitioner, type Message, ProduceAcks, Producer } from '@platformatic/kafka';
import { clientOptions, type KafkaSettings } from './kafka-client.ts';

interface MessageToWrite {
  topic: string;
  key: Buffer;
  value: Buffer;
  headers: Map<Buffer, Buffer>;
}

export type StoredMessage = Message;

export interface KafkaProducer {
  /**
   * Resolves when every message is on all in-sync replicas. When it rejects, some may be there: write the same again, in
   * the same order, before anything later of the same keys.
   */
  write: (messages: readonly MessageToWrite[]) => Promise<void>;
  close: () => Promise<void>;
}

/** Longest that brokers may be away before a write is given up; less than a transaction of the log may wait. */
const patience_ms = 30_000;
/** Well below the 1 MiB that brokers accept by default for one batch. */
const batch_bytes = 512 * 1024;
const batch_messages = 1_000;

interface Lane {
  waiting: { message: MessageToWrite; settle: Settle }[];
  running: boolean;
}
interface Settle {
  done: () => void;
  failed: (error: unknown) => void;
}

export function openProducer(settings: KafkaSettings): KafkaProducer {
  const producer = new Producer({
    ...clientOptions(settings, patience_ms),
    idempotent: true,
    acks: ProduceAcks.ALL,
  });
  // What fails is told to whoever waits for it; an unheard 'error' would end the process.
  producer.on('error', () => {});
  const lanes = new Map<string, Lane>();
  let closing = false;

  async function partitionCounts(topics: ReadonlySet<string>): Promise<Map<string, number>> {
    const { topics: known } = await producer.metadata({ topics: [...topics] });
    return new Map([...topics].map((topic) => [topic, known.get(topic)?.partitionsCount ?? 0]));
  }

  /** The first messages of a lane that fit into one request. */
  function takeBatch(lane: Lane): Lane['waiting'] {
    let bytes = 0;
    let count = 0;
    for (const { message } of lane.waiting) {
      bytes += message.key.length + message.value.length;
      if (count > 0 && (bytes > batch_bytes || count >= batch_messages)) break;
      count += 1;
    }
    return lane.waiting.splice(0, count);
  }

  async function drain(lane: Lane, partition: number): Promise<void> {
    while (lane.waiting.length > 0) {
      const batch = takeBatch(lane);
      try {
        await producer.send({ messages: batch.map(({ message }) => ({ ...message, partition })) });
        for (const { settle } of batch) settle.done();
      } catch (error) {
        // What waits behind it must not be written before it: whoever gave it must give it again, after this.
        for (const { settle } of [...batch, ...lane.waiting.splice(0)]) settle.failed(error);
      }
    }
    lane.running = false;
  }

  async function write(messages: readonly MessageToWrite[]): Promise<void> {
    if (closing) throw new Error('the connection to Kafka is closed');
    const counts = await partitionCounts(new Set(messages.map(({ topic }) => topic)));
    const outcomes = messages.map((message) => {
      const count = counts.get(message.topic) ?? 0;
      if (count === 0) throw new Error(`there is no topic ${message.topic} in Kafka`);
      const partition = defaultPartitioner({ topic: message.topic }, message.key) % count;
      const name = `${message.topic}:${partition}`;
      const lane = lanes.get(name) ?? { waiting: [], running: false };
      lanes.set(name, lane);
      const outcome = new Promise<void>((done, failed) => {
        lane.waiting.push({ message, settle: { done, failed } });
      });
      if (!lane.running) {
        lane.running = true;
        // After this turn, so that what is written together goes together.
        setImmediate(() => void drain(lane, partition));
      }
      return outcome;
    });
    const failed = (await Promise.allSettled(outcomes)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      throw new Error('Kafka did not take all events; they are to be written again', {
        cause: failed.reason,
      });
    }
  }

  return {
    write,
    close: async () => {
      closing = true;
      await producer.close();
    },
  };
}
