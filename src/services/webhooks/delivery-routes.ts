/** Every route of deliveries: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { EventCatalogue } from '../../platform/bus/catalogue.ts';
import { Page } from '../../platform/cursor.ts';
import type { Database } from '../../platform/db.ts';
import { ProblemBody } from '../../platform/http.ts';
import { attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import {
  Delivery,
  DeliveryInFull,
  getDeliveryInFull,
  ListDeliveriesQuery,
  listDeliveries,
} from './deliveries.ts';
import { resendDelivery } from './resend.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const Params = Type.Object({ delivery_id: Id('dlv') });
const tags = ['Webhooks'];
const path = '/api/v2/webhooks/deliveries';

/** @param wake tells the sender that there is something to send */
export function deliveryRoutes(
  db: Database,
  catalogue: EventCatalogue,
  wake: () => void,
): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      path,
      {
        config: { permission: 'webhooks:read' },
        schema: {
          summary: 'List deliveries, newest first',
          tags,
          querystring: ListDeliveriesQuery,
          response: { 200: Page(Delivery), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listDeliveries(tx, caller, query)),
    );

    app.get(
      `${path}/:delivery_id`,
      {
        config: { permission: 'webhooks:read' },
        schema: {
          summary: 'A delivery: what was sent, and every attempt with its answer',
          description: 'The data of the event is told to who has events:read, too.',
          tags,
          params: Params,
          response: { 200: DeliveryInFull, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getDeliveryInFull(tx, catalogue, caller, uuidOf('dlv', params.delivery_id))),
    );

    app.post(
      `${path}/:delivery_id/resend`,
      {
        config: { permission: 'webhooks:write' },
        schema: {
          summary: 'Send a delivery again, at once',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          response: { 200: Delivery, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const attempt = attemptOf(request, `${path}/${params.delivery_id}/resend`);
        const uuid = uuidOf('dlv', params.delivery_id);
        const { before, after, replayed } = await resendDelivery(db, caller, uuid, attempt);
        request.audit({ subject: after.id, ...(replayed ? {} : { before, after }) });
        if (replayed) reply.header('idempotent-replayed', 'true');
        wake();
        return after;
      },
    );
  };
}
