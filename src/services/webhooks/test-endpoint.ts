/** A test event: sent once, to one endpoint, like any other; it tells of nothing that happened. */
import type { Caller } from '../../platform/access/caller.ts';
import { cloudEventOf, type Event } from '../../platform/bus/event.ts';
import type { Database } from '../../platform/db.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import { type Delivery, getDelivery } from './deliveries.ts';
import { assertEnabled, lockEndpoint } from './endpoints.ts';
import { addDeliveries } from './enqueue.ts';
import { refuse } from './errors.ts';
import { TESTED } from './events.ts';

export async function testEndpoint(
  db: Database,
  caller: Caller,
  endpoint_uuid: string,
  attempt: Attempt,
): Promise<{ delivery: Delivery; replayed: boolean }> {
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(null) },
    refuse,
    async (tx) => {
      const { endpoint } = await lockEndpoint(tx, caller, endpoint_uuid);
      assertEnabled(endpoint);
      const event: Event = {
        id: newUuid(),
        tenant_id: caller.tenant_id,
        environment: caller.environment,
        sequence: 0,
        time: new Date().toISOString(),
        type: TESTED,
        source: '/webhooks',
        aggregatetype: 'endpoint',
        aggregateid: endpoint.id,
        position: null,
        payload: JSON.stringify({ endpoint_id: formatId('whk', endpoint_uuid), message: 'This is a test.' }),
        traceparent: null,
      };
      const [id] = await addDeliveries(tx, caller, event, [
        {
          endpoint_id: endpoint_uuid,
          personal_data: false,
          body: JSON.stringify(cloudEventOf(event)),
          status: 'pending',
        },
      ]);
      if (id === undefined) throw new Error('a test was not added to what is to be sent');
      return id;
    },
  );
  return { delivery: await db.read(caller, (tx) => getDelivery(tx, caller, id)), replayed };
}
