/**
 * What carries events from the log to those who consume them. There are two, chosen by configuration: PostgreSQL, which
 * reads the log itself, and Kafka, which is filled from it. Both deliver each event at least once, those of an aggregate
 * in order; what makes it once is the consumer's inbox (consumer.ts).
 */
import type { Event } from './event.ts';

/** Who consumes, under a name that all its processes share: each event goes to one of them. */
export interface Subscriber {
  /** As `webhooks`; letters, digits and dashes. */
  consumer: string;
  /** Whether it begins with the oldest event there is, or with those that come after it first subscribed. */
  from: 'start' | 'now';
  /** Types it wants, as of a consumer. It may be given others all the same. */
  types: readonly string[];
  /** As of a consumer. */
  wants?: string;
  /** Most events of one delivery; absent: some hundred. */
  most?: number;
  /** How many times as long as a delivery took is rested then, so that events share deliveries; absent: as the bus has it. */
  rest?: number;
  /**
   * Given some events of one partition, in order. When it resolves they have taken effect or are held for later, and are
   * not delivered again save after a crash; when it throws they are delivered again after a pause.
   */
  deliver: (events: readonly Event[]) => Promise<void>;
}

interface Subscription {
  /** Resolves when what is being delivered is done with; nothing is delivered after it. */
  stop: () => Promise<void>;
}

export interface Bus {
  /** As `postgresql` or `kafka`, for metrics and pages. */
  name: string;
  subscribe: (subscriber: Subscriber) => Promise<Subscription>;
  /** Told when the log has grown, or may have. */
  wake: () => void;
  /** Events that each consumer has yet to receive. */
  lag: () => Promise<ReadonlyMap<string, number>>;
  /** Ends the bus's own work; subscriptions are stopped before. */
  stop: () => Promise<void>;
}
