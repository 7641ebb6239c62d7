/**
 * The bus on Kafka. One topic is filled from the log, in the log's order and once every event is on all in-sync replicas;
 * each consumer is a consumer group, whose processes share the partitions. Kafka may be away, at the start too: events
 * wait in the log, and consumers go on where they were.
 */
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import type { Database } from '../db.ts';
import { parseId } from '../ids.ts';
import type { Bus, Subscriber } from './bus.ts';
import { isOfTypes } from './consumer.ts';
import type { Event } from './event.ts';
import { ensureTopic, groupLag, startGroupAtEnd } from './kafka-admin.ts';
import { contentOf, eventOfContent, type Head, headOf } from './kafka-binding.ts';
import type { KafkaSettings } from './kafka-client.ts';
import { openConsumer } from './kafka-consumer.ts';
import { openProducer, type StoredMessage } from './kafka-producer.ts';
import { openPostgresBus } from './postgres.ts';

/** Name of what fills Kafka, among those who consume the log. */
const FILLER = 'kafka';
/** Events of one write: what it costs is waiting for the brokers, not what they are given. */
const FILLED_AT_ONCE = 1_000;

const ScopeRow = Type.Object({ tenant_id: Type.String(), environment: Type.String() });
const wanting = { name: 'wanted-scopes', text: 'select * from platform.wanted_scopes($1, $2, $3)' };

/** @param db of the role `platform`, with a connection for what fills Kafka */
export async function openKafkaBus(options: {
  settings: KafkaSettings;
  db: Database;
  log: FastifyBaseLogger;
}): Promise<Bus> {
  const { settings, db, log } = options;
  const topic = `${settings.prefix}events`;
  const groupOf = (consumer: string) => `${settings.prefix}${consumer}`;
  const consumers = new Set<string>();
  const producer = openProducer(settings);
  const source = openPostgresBus({ db, log });

  let made: Promise<void> | undefined;
  /** The topic is there; asked again after a failure. */
  function topicMade(): Promise<void> {
    made ??= ensureTopic(settings, topic).catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  }

  async function fill(events: readonly Event[]): Promise<void> {
    await topicMade();
    await producer.write(events.map((event) => ({ topic, ...contentOf(event, settings.content_mode) })));
  }

  /** The events of messages; what is none is passed over, since it would be none the next time too. */
  function eventsOf(messages: readonly StoredMessage[]): Event[] {
    return messages.flatMap((message) => {
      try {
        return [eventOfContent(message)];
      } catch (error) {
        const { partition, offset } = message;
        log.error(
          { err: error, topic, partition, offset: String(offset) },
          'a message of Kafka is no event of ours and is passed over',
        );
        return [];
      }
    });
  }

  /**
   * Of which a consumer has a use, as the log itself would have chosen them: most messages are of nobody's who listens, and
   * are not read any further. Of what does not say so by its headers nothing is passed over.
   */
  async function wantedOf(
    messages: readonly StoredMessage[],
    { types, wants }: Pick<Subscriber, 'types' | 'wants'>,
  ): Promise<StoredMessage[]> {
    const ofTypes = messages
      .map((message) => ({ message, head: headOf(message) }))
      .filter(({ head }) => head === undefined || isOfTypes(types, head.type));
    if (wants === undefined || ofTypes.length === 0) return ofTypes.map(({ message }) => message);
    const scopes = new Map<string, { tenant_id: string; environment: string }>();
    const nameOf = ({ tenantid, environment }: Head) => `${tenantid} ${environment}`;
    for (const { head } of ofTypes) {
      const tenant_id = head && parseId('ten', head.tenantid);
      const isOne = head?.environment === 'sandbox' || head?.environment === 'live';
      if (head === undefined || tenant_id === undefined || !isOne) continue;
      scopes.set(nameOf(head), { tenant_id, environment: head.environment });
    }
    const asked = [...scopes.values()];
    const rows = await db.rows(ScopeRow, wanting, [
      wants,
      asked.map(({ tenant_id }) => tenant_id),
      asked.map(({ environment }) => environment),
    ]);
    const wanted = new Set(rows.map(({ tenant_id, environment }) => `${tenant_id} ${environment}`));
    return ofTypes
      .filter(({ head }) => {
        const scope = head && scopes.get(nameOf(head));
        return scope === undefined || wanted.has(`${scope.tenant_id} ${scope.environment}`);
      })
      .map(({ message }) => message);
  }

  // Under the lock of the partition, so that two processes do not fill Kafka with one event and its successor crosswise.
  const filling = await source.subscribe({
    consumer: FILLER,
    from: 'start',
    types: ['*'],
    most: FILLED_AT_ONCE,
    // Most of the time that it takes is the brokers'.
    rest: 1,
    deliver: fill,
  });

  return {
    name: 'kafka',
    async subscribe(subscriber) {
      const { consumer, from, deliver } = subscriber;
      // Known to the platform as any consumer is; how far it has come is what Kafka says.
      await db.run('select platform.register_consumer($1, false)', [consumer]);
      consumers.add(consumer);
      const group = groupOf(consumer);
      const reading = openConsumer(settings, {
        group,
        topic,
        prepare: async () => {
          await topicMade();
          if (from === 'now') await startGroupAtEnd(settings, group, topic);
        },
        deliver: async (messages) => {
          const events = eventsOf(await wantedOf(messages, subscriber));
          if (events.length > 0) await deliver(events);
        },
        onTrouble: (what, error) => log.warn({ err: error, consumer }, what),
      });
      return { stop: reading.close };
    },
    wake: source.wake,
    lag: async () => {
      const unfilled = (await source.lag()).get(FILLER) ?? 0;
      const lags = new Map([[FILLER, unfilled]]);
      for (const consumer of consumers) {
        try {
          lags.set(consumer, await groupLag(settings, groupOf(consumer), topic));
        } catch (error) {
          log.warn({ err: error, consumer }, 'Kafka does not say how far a consumer has come for now');
        }
      }
      return lags;
    },
    stop: async () => {
      await filling.stop();
      await source.stop();
      await producer.close();
    },
  };
}
