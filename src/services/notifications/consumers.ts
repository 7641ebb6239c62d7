/** What happens elsewhere and is told to whoever subscribed to its topic, in the commit that notes the event. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Consumer } from '../../platform/bus/consumer.ts';
import type { Event } from '../../platform/bus/event.ts';
import type { Transaction } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { compose } from './compose.ts';
import { listSubscribed } from './recipients.ts';

/** Of the data of an event as much as is told: what else a later version has is left alone. */
const Crossing = Type.Object({
  limit: Type.String(),
  per: Type.String(),
  threshold_percent: Type.Integer(),
  requests: Type.Integer(),
  allowed: Type.Integer(),
  starts_at: Type.String(),
  ends_at: Type.String(),
});
const Disabled = Type.Object({
  endpoint_id: Type.String(),
  url: Type.String(),
  reason: Type.String(),
  disabled_at: Type.String(),
  failing_since: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  application_id: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

interface Told {
  topic: string;
  data: Readonly<Record<string, unknown>>;
}

/** The data as a schema knows them. What is not so is no event of this type: it is held, for somebody to look at. */
function dataOf<S extends typeof Crossing | typeof Disabled>(schema: S, event: Event): Static<S> {
  const data: unknown = JSON.parse(event.payload);
  if (!Check(schema, data)) {
    throw new Error(`the data of ${formatId('evt', event.id)} are not those of ${event.type}`);
  }
  return data;
}

function limitCrossed(event: Event): Told {
  const { limit, per, threshold_percent, requests, allowed, starts_at, ends_at } = dataOf(Crossing, event);
  return {
    topic: 'limits.crossed',
    data: {
      whom: event.aggregateid,
      limit,
      per,
      threshold_percent,
      requests,
      allowed,
      starts_at,
      ends_at,
    },
  };
}

function webhookDisabled(event: Event): Told {
  const { endpoint_id, url, reason, disabled_at, failing_since, application_id } = dataOf(Disabled, event);
  return {
    topic: 'webhooks.disabled',
    data: {
      endpoint_id,
      url,
      reason,
      disabled_at,
      failing_since: failing_since ?? null,
      application_id: application_id ?? null,
    },
  };
}

const toldBy: Readonly<Record<string, (event: Event) => Told>> = {
  'platform.limit.near': limitCrossed,
  'platform.limit.reached': limitCrossed,
  // Of the service webhooks. Its events are known by their name, so that either service runs without the other.
  'webhooks.endpoint.disabled': webhookDisabled,
};

async function tell(tx: Transaction, event: Event): Promise<void> {
  const told = toldBy[event.type]?.(event);
  if (told === undefined) return;
  const subscribed = await listSubscribed(tx, event, told.topic);
  const topics = new Map(subscribed.map((recipient) => [recipient, told.topic]));
  if (event.type === 'platform.limit.reached') {
    const others = await listSubscribed(tx, event, 'limits.reached');
    // Who subscribed to both is told once.
    for (const recipient of others) {
      if (!recipient.subscriptions.includes(told.topic)) topics.set(recipient, 'limits.reached');
    }
  }
  for (const [recipient, topic] of topics) {
    await compose(tx, event, {
      data: told.data,
      topic,
      recipient,
      cause: formatId('evt', event.id),
      created_by: 'notifications',
    });
  }
}

/** @param onTold called when messages may have been made; their commit follows at once */
export function subscriptionConsumer(onTold: () => void): Consumer {
  return {
    name: 'notifications',
    types: Object.keys(toldBy),
    // Nobody wants to be told of what was long ago when the service is first started.
    from: 'now',
    handle: async (tx, event) => {
      await tell(tx, event);
      onTold();
    },
  };
}
