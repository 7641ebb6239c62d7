/**
 * Reads from Kafka as a member of a consumer group: the partitions are shared out among the processes of the group, each
 * partition is handled in order, and what was handled is committed. Every message is handled at least once: after the
 * death of a process, or when a partition moves to another, the last ones may come again.
 */
import { type CommitOptionsPartition, Consumer, type MessagesStream } from '@platformatic/kafka';
import { clientOptions, type KafkaSettings } from './kafka-client.ts';
import type { StoredMessage } from './kafka-producer.ts';
import { openWaker } from './wake.ts';

export interface KafkaConsumer {
  /** Resolves when what is being delivered is done with and the group is left. */
  close: () => Promise<void>;
}

export interface ConsumeOptions {
  group: string;
  topic: string;
  /** Before each membership, the first one too. */
  prepare: () => Promise<void>;
  /** Given messages of one partition, in order; those that it throws for are given to it again, after a pause. */
  deliver: (messages: readonly StoredMessage[]) => Promise<void>;
  /** Told of what went wrong and is tried again. */
  onTrouble: (what: string, error: unknown) => void;
}

const patience_ms = 30_000;
const session_ms = 10_000;
const heartbeat_ms = 1_000;
const reopen_ms = 50;
/** Messages of all partitions that wait in memory. */
const read_ahead = 6_000;
/** Messages of one delivery. */
const batch_messages = 1_000;
const backoff_ms = { first: 100, longest: 30_000 };

type Stream = MessagesStream<Buffer, Buffer, Buffer, Buffer>;

export function openConsumer(settings: KafkaSettings, options: ConsumeOptions): KafkaConsumer {
  const { group, topic, prepare, deliver, onTrouble } = options;
  const stopping = new AbortController();

  /** One membership of the group: until we are to stop, or the library cannot go on. */
  async function serve(): Promise<void> {
    await prepare();
    const consumer = new Consumer({
      ...clientOptions(settings, patience_ms),
      groupId: group,
      autocommit: false,
      sessionTimeout: session_ms,
      heartbeatInterval: heartbeat_ms,
      rebalanceTimeout: session_ms,
      maxWaitTime: 500,
      maxBytes: 4 * 1024 * 1024,
    });
    const commits = commitsOf(consumer, onTrouble);
    /** Where each partition goes on, of those that stayed with us. */
    const next = new Map<string, bigint>();
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => {});
    consumer.on('error', (error: Error) => ended.reject(error));
    let reading: Reading | undefined;
    let reopening: Promise<void> | undefined;

    async function open(): Promise<void> {
      // The former stream keeps what it had read before the partitions were shared out anew, and where it stood in those it
      // lost. It is closed after this one is there: the library leaves the group when it has no stream.
      const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
      // Whoever reads it is told by the iterator; an unheard 'error' would end the process.
      stream.on('error', () => {});
      await reading?.close();
      reading = read(stream, { next, deliver, commits, onTrouble, onEnd });
    }

    function reopen(): void {
      reading?.halt();
      reopening = (reopening ?? Promise.resolve())
        .then(() => pause(reopen_ms, stopping.signal))
        .then(() => (stopping.signal.aborted ? undefined : open()))
        .catch((error: unknown) => ended.reject(error));
    }

    /** The library gives a stream up when a broker dies under it; as the same member we go on at once. */
    function onEnd(error: unknown): void {
      onTrouble(`reading as ${group} was interrupted`, error);
      consumer.clearMetadata();
      reopen();
    }

    consumer.on('consumer:group:join', () => {
      const ours = new Set(
        (consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
          partitions.map((partition) => `${topic}:${partition}`),
        ),
      );
      for (const key of next.keys()) if (!ours.has(key)) next.delete(key);
      commits.keepOnly(ours);
      if (reading !== undefined) reopen();
    });

    try {
      await open();
      await Promise.race([ended.promise, aborted(stopping.signal)]);
    } finally {
      reading?.halt();
      await reopening?.catch(() => {});
      await reading?.close();
      await commits.flush();
      await closeInTime(consumer);
    }
  }

  async function run(): Promise<void> {
    let wait_ms = backoff_ms.first;
    while (!stopping.signal.aborted) {
      const began = performance.now();
      try {
        await serve();
      } catch (error) {
        if (stopping.signal.aborted) break;
        onTrouble(`reading as ${group} was interrupted`, error);
      }
      if (performance.now() - began > 60_000) wait_ms = backoff_ms.first;
      await pause(wait_ms, stopping.signal);
      wait_ms = Math.min(2 * wait_ms, 5_000);
    }
  }
  const finished = run();

  return {
    close: async () => {
      stopping.abort();
      await finished;
    },
  };
}

interface Reading {
  /** Nothing more is delivered; what is being delivered comes to its end. */
  halt: () => void;
  close: () => Promise<void>;
}

interface ReadOptions extends Pick<ConsumeOptions, 'deliver' | 'onTrouble'> {
  next: Map<string, bigint>;
  commits: Commits;
  onEnd: (error: unknown) => void;
}

/** Delivers the messages of a stream, each partition in order, different partitions side by side. */
function read(stream: Stream, { next, deliver, commits, onTrouble, onEnd }: ReadOptions): Reading {
  const halted = new AbortController();
  const lanes = new Map<string, { waiting: StoredMessage[]; running: Promise<void> | undefined }>();
  const held = { messages: 0 };
  const room = openWaker();

  async function drain(key: string, messages: StoredMessage[]): Promise<void> {
    let wait_ms = backoff_ms.first;
    while (messages.length > 0 && !halted.signal.aborted) {
      const batch = messages.slice(0, batch_messages);
      const last = batch.at(-1);
      try {
        // What was in hand while the partitions were shared out comes again with the new stream.
        const fresh = batch.filter(({ offset }) => offset >= (next.get(key) ?? 0n));
        if (fresh.length > 0) await deliver(fresh);
      } catch (error) {
        onTrouble('events could not be delivered for now', error);
        await pause(wait_ms, halted.signal);
        wait_ms = Math.min(2 * wait_ms, backoff_ms.longest);
        continue;
      }
      wait_ms = backoff_ms.first;
      messages.splice(0, batch.length);
      held.messages -= batch.length;
      room.wake();
      if (last === undefined || last.offset < (next.get(key) ?? 0n)) continue;
      const { topic, partition, leaderEpoch } = last;
      const offset = last.offset + 1n;
      next.set(key, offset);
      commits.add(key, { topic, partition, offset, leaderEpoch });
    }
  }

  async function pump(): Promise<void> {
    for await (const message of stream) {
      if (halted.signal.aborted) return;
      const key = `${message.topic}:${message.partition}`;
      const lane = lanes.get(key) ?? { waiting: [], running: undefined };
      lanes.set(key, lane);
      lane.waiting.push(message);
      held.messages += 1;
      lane.running ??= turn()
        .then(() => drain(key, lane.waiting))
        .finally(() => {
          lane.running = undefined;
        });
      while (held.messages >= read_ahead && !halted.signal.aborted) await room.wait(1_000);
    }
    if (!halted.signal.aborted) throw new Error('the stream of messages ended');
  }

  const pumped = pump().catch((error: unknown) => {
    if (!halted.signal.aborted) onEnd(error);
  });

  function halt(): void {
    halted.abort();
    room.wake();
  }

  return {
    halt,
    close: async () => {
      halt();
      stream.destroy();
      await pumped;
      await Promise.all([...lanes.values()].map(async ({ running }) => running));
    },
  };
}

interface Commits {
  add: (key: string, offset: CommitOptionsPartition) => void;
  /** Forgets what belongs to partitions that others have now. */
  keepOnly: (keys: ReadonlySet<string>) => void;
  /** Until what was added is committed, or could not be. */
  flush: () => Promise<void>;
}

/** Commits what was handled: one request at a time, each with the latest offset of every partition. */
function commitsOf(consumer: Consumer, onTrouble: ConsumeOptions['onTrouble']): Commits {
  let ours: ReadonlySet<string> | undefined;
  const pending = new Map<string, CommitOptionsPartition>();
  let running: Promise<void> | undefined;

  async function commitPending(): Promise<void> {
    while (pending.size > 0) {
      const offsets = [...pending.values()];
      pending.clear();
      try {
        await consumer.commit({ offsets });
      } catch (error) {
        // They come again to whoever has the partition next; the handler knows what it has handled.
        onTrouble('what was handled could not be committed', error);
      }
    }
  }

  function start(): Promise<void> {
    running ??= commitPending().finally(() => {
      running = undefined;
    });
    return running;
  }

  return {
    add: (key, offset) => {
      if (ours !== undefined && !ours.has(key)) return;
      pending.set(key, offset);
      void start();
    },
    keepOnly: (keys) => {
      ours = keys;
      for (const key of pending.keys()) if (!keys.has(key)) pending.delete(key);
    },
    flush: start,
  };
}

/** Leaves the group; a broker that does not answer is not waited for, the group does without us after a while. */
async function closeInTime(consumer: Consumer): Promise<void> {
  await Promise.race([
    // It fails while the group moves to another broker; left like that it would go on as a member that does nothing.
    consumer.close(true).catch(() => consumer.close(true).catch(() => {})),
    pause(5_000),
  ]);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What a fetch brought is taken together. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Waits, but not longer than until the signal. */
function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    }
  });
}
