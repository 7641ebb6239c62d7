/** Events of one process: its relay, its bus, and who consumes. */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Config } from '../config.ts';
import type { Database } from '../db.ts';
import { listen } from '../listen.ts';
import type { Metrics } from '../metrics.ts';
import type { Traces } from '../trace/span.ts';
import type { Bus } from './bus.ts';
import { type Consumer, type Consuming, startConsumer } from './consumer.ts';
import { type KafkaSettings, kafkaSettingsOf } from './kafka-client.ts';
import { openPostgresBus } from './postgres.ts';
import { startRelay } from './relay.ts';
import { openWaker, type Waker } from './wake.ts';

export interface Events {
  /** Something was written into an outbox. */
  wakeRelay: () => void;
  /** Held events were redriven, or replayed. */
  wakeConsumers: () => void;
  /** A waker that is woken when events were carried, until it is closed. */
  watch: () => { waker: Waker; close: () => void };
  /**
   * Consumes until it is stopped, which it has to be before its database is closed.
   *
   * @param db the service's own database
   */
  consume: (consumer: Consumer, db: Database) => Promise<Pick<Consuming, 'stop'>>;
  stop: () => Promise<void>;
}

const LagRow = Type.Object({
  consumer: Type.String(),
  lag: Type.BigInt(),
  retrying: Type.BigInt(),
  parked: Type.BigInt(),
});
const RelayLagRow = Type.Object({ events: Type.BigInt(), oldest_s: Type.Number() });

/** Asks once for all who ask while the answer is awaited. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}

/** Kafka's client is loaded only where there is a Kafka: it takes as long to load as a third of everything else. */
async function openKafka(
  settings: KafkaSettings,
  { db, log }: { db: Database; log: FastifyBaseLogger },
): Promise<Bus> {
  const { openKafkaBus } = await import('./kafka.ts');
  return openKafkaBus({ settings, db, log });
}

/**
 * @param options.db of the role `platform`, with a connection for each consumer and one for the relay
 */
export async function openEvents(options: {
  url: string;
  db: Database;
  config: Config;
  log: FastifyBaseLogger;
  metrics: Metrics;
  traces: Traces;
}): Promise<Events> {
  const { url, db, config, log, metrics, traces } = options;
  const kafka = kafkaSettingsOf(config);
  const bus = kafka === undefined ? openPostgresBus({ db, log }) : await openKafka(kafka, { db, log });
  const consuming = new Set<Consuming>();
  const watching = new Set<Waker>();
  const relay = startRelay({ db, log, traces, onCarried: bus.wake });
  const listening = await listen({
    url,
    role: 'platform',
    channel: 'platform_events',
    onNotice: () => {
      bus.wake();
      for (const waker of watching) waker.wake();
    },
    onError: (error) => log.warn({ err: error }, 'news of events is not heard for now'),
  });
  // All that is measured at one scrape is of one look.
  const consumers = shared(() => db.rows(LagRow, 'select * from platform.consumer_lag()'));
  const waiting = shared(() => db.rows(RelayLagRow, 'select * from platform.relay_lag()'));
  metrics.gauges(
    'events_consumer_lag',
    'Events that a consumer has yet to receive',
    'consumer',
    async () => Object.fromEntries(await bus.lag()),
    'installation',
  );
  for (const [state, meaning] of [
    ['retrying', 'Events held by a consumer that are to be tried again, or wait behind one'],
    ['parked', 'Events that a consumer failed at too often, until they are redriven'],
  ] as const) {
    metrics.gauges(
      `events_${state}`,
      meaning,
      'consumer',
      async () => {
        const rows = await consumers();
        return Object.fromEntries(rows.map((row) => [row.consumer, Number(row[state])]));
      },
      'installation',
    );
  }
  metrics.gauge(
    'events_relay_lag',
    'Events in the outboxes that were not carried yet',
    async () => {
      const [row] = await waiting();
      return Number(row?.events ?? 0n);
    },
    'installation',
  );
  metrics.gauge(
    'events_relay_oldest_seconds',
    'Age of the oldest event that was not carried yet',
    async () => {
      const [row] = await waiting();
      return row?.oldest_s ?? 0;
    },
    'installation',
  );

  return {
    wakeRelay: relay.wake,
    watch: () => {
      const waker = openWaker();
      watching.add(waker);
      return { waker, close: () => watching.delete(waker) };
    },
    wakeConsumers: () => {
      for (const one of consuming) one.wake();
    },
    consume: async (consumer, own) => {
      const one = await startConsumer({ consumer, bus, db: own, platform: db, log, traces });
      consuming.add(one);
      return {
        stop: async () => {
          consuming.delete(one);
          await one.stop();
        },
      };
    },
    stop: async () => {
      await relay.stop();
      await listening.stop();
      await bus.stop();
    },
  };
}
