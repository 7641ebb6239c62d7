/** What webhooks do about an event: a delivery for each endpoint that wants it, in the commit of its receipt. */
import { type Static, Type } from 'typebox';
import type { EventCatalogue } from '../../platform/bus/catalogue.ts';
import type { Consumer } from '../../platform/bus/consumer.ts';
import { type Event, subjectOf } from '../../platform/bus/event.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { newUuid } from '../../platform/ids.ts';

/** Who is shown personal data, and who is not. */
export const viewers = {
  whole: { permissions: new Set(['personal_data:read']), narrowed: [] },
  masked: { permissions: new Set<string>(), narrowed: [] },
} as const;

/** Every filter that a type fits. */
function patternsOf(type: string): string[] {
  const parts = type.split('.');
  const beginnings = parts.slice(0, -1).map((_, index) => `${parts.slice(0, index + 1).join('.')}.*`);
  // What webhooks tell of themselves is for who names it: an endpoint that fails is no news for those that want all else.
  return [...(type.startsWith('webhooks.') ? [] : ['*']), ...beginnings, type];
}

const Wanting = Type.Object({
  id: Type.String(),
  ordered: Type.Boolean(),
  personal_data: Type.Boolean(),
  enabled: Type.Boolean(),
  event_types: Type.Array(Type.String()),
});

/** A delivery to be: the event, for one endpoint. */
interface Enqueued {
  endpoint_id: string;
  personal_data: boolean;
  body: string;
  status: 'pending' | 'missed';
}

const Added = Type.Object({ id: Type.String() });

/** Adds deliveries of an event; where there is one for an endpoint already, no other. Returns the UUIDs of those that were added. */
export async function addDeliveries(
  tx: Transaction,
  scope: Scope,
  event: Event,
  deliveries: readonly Enqueued[],
): Promise<string[]> {
  const added = await tx.rows(
    Added,
    `insert into webhooks.deliveries (tenant_id, environment, id, endpoint_id, event_id, event_time, event_type, subject,
       sequence, body, personal_data, traceparent, is_test, status, finished_at)
     select $1, $2, n.id, n.endpoint_id, $3, $4, $5, $6,
       $7::bigint, n.body, n.personal_data, $8, $7::bigint = 0,
       -- Of an endpoint that wants order, only the first that is not finished goes.
       case when n.status = 'pending' and e.ordered and exists (select from webhooks.deliveries d
         where d.endpoint_id = n.endpoint_id and d.subject = $6 and d.status in ('waiting', 'pending'))
       then 'waiting' else n.status end,
       case when n.status = 'missed' then clock_timestamp() end
     from unnest($9::uuid[], $10::uuid[], $11::text[], $12::boolean[], $13::text[])
       n (id, endpoint_id, body, personal_data, status)
     join webhooks.endpoints e on e.tenant_id = $1 and e.environment = $2 and e.id = n.endpoint_id
     on conflict (tenant_id, environment, event_id, endpoint_id) do nothing
     returning id`,
    [
      scope.tenant_id,
      scope.environment,
      event.id,
      event.time,
      event.type,
      subjectOf(event),
      event.sequence,
      event.traceparent,
      deliveries.map(() => newUuid()),
      deliveries.map(({ endpoint_id }) => endpoint_id),
      deliveries.map(({ body }) => body),
      deliveries.map(({ personal_data }) => personal_data),
      deliveries.map(({ status }) => status),
    ],
  );
  return added.map(({ id }) => id);
}

/** Locks the rows of endpoints that want order, so that no delivery is added while one before it is being finished. */
async function lockOrdered(
  tx: Transaction,
  scope: Scope,
  endpoints: readonly Static<typeof Wanting>[],
): Promise<void> {
  const ids = endpoints.filter(({ ordered, enabled }) => ordered && enabled).map(({ id }) => id);
  if (ids.length === 0) return;
  await tx.run(
    `select from webhooks.endpoints where tenant_id = $1 and environment = $2 and id = any ($3::uuid[])
     order by id for no key update`,
    [scope.tenant_id, scope.environment, ids],
  );
}

/** @param wake tells the sender that there will be something to send */
export function openConsumer(catalogue: EventCatalogue, wake: () => void): Consumer {
  /** Adds a delivery of an event for each of the endpoints that want it. */
  async function enqueue(
    tx: Transaction,
    event: Event,
    endpoints: readonly Static<typeof Wanting>[],
  ): Promise<void> {
    if (endpoints.length === 0) return;
    await lockOrdered(tx, event, endpoints);
    const bodies = new Map<boolean, string>();
    const bodyFor = (personal_data: boolean): string => {
      const known = bodies.get(personal_data);
      if (known !== undefined) return known;
      const made = JSON.stringify(catalogue.show(event, viewers[personal_data ? 'whole' : 'masked']));
      bodies.set(personal_data, made);
      return made;
    };
    await addDeliveries(
      tx,
      event,
      event,
      endpoints.map(({ id, personal_data, enabled }) => ({
        endpoint_id: id,
        personal_data,
        body: bodyFor(personal_data),
        status: enabled ? 'pending' : 'missed',
      })),
    );
    wake();
  }

  /** One look for the endpoints of all: most events of most tenants nobody wants. */
  async function enqueueAll(tx: Transaction, events: readonly Event[]): Promise<void> {
    const [first] = events;
    if (first === undefined) return;
    const patterns = new Map(events.map(({ type }) => [type, patternsOf(type)]));
    const endpoints = await tx.rows(
      Wanting,
      `select id, ordered, personal_data, status = 'enabled' as enabled, event_types from webhooks.endpoints
       where tenant_id = $1 and environment = $2 and event_types && $3 and deleted_at is null`,
      [first.tenant_id, first.environment, [...new Set([...patterns.values()].flat())]],
    );
    if (endpoints.length === 0) return;
    for (const event of events) {
      const wanted = patterns.get(event.type) ?? [];
      await enqueue(
        tx,
        event,
        endpoints.filter(({ event_types }) => event_types.some((pattern) => wanted.includes(pattern))),
      );
    }
  }

  return {
    name: 'webhooks',
    types: ['*'],
    from: 'now',
    wants: 'webhooks.wants_events',
    handle: (tx, event) => enqueueAll(tx, [event]),
    handleMany: enqueueAll,
  };
}
