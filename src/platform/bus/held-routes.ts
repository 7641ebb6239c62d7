/** Every endpoint of events that consumers hold: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../cursor.ts';
import type { Database } from '../db.ts';
import { ProblemBody } from '../http.ts';
import { attemptOf, canonicalRequest, IdempotencyHeaders } from '../idempotency.ts';
import { Id, newUuid, uuidOf } from '../ids.ts';
import { once } from '../once.ts';
import { refuse } from './errors.ts';
import {
  ConsumerName,
  DiscardRequest,
  discard,
  getHeld,
  HeldEvent,
  ListHeldQuery,
  listHeld,
  ReplayRequest,
  redrive,
  replay,
} from './held.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['event consumers'];
const HeldParams = Type.Object({ consumer: ConsumerName, event_id: Id('evt') });

/** @param wake tells the consumers of this process that held events may be due */
export function heldRoutes({ db, wake }: { db: Database; wake: () => void }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/api/v2/held-events',
      {
        config: { permission: 'held_events:read' },
        schema: {
          summary: 'Events that consumers could not take yet, newest first',
          description:
            'Tried again, waiting behind one of their aggregate, or parked until somebody redrives them.',
          tags,
          querystring: ListHeldQuery,
          response: { 200: Page(HeldEvent), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listHeld(tx, caller, query)),
    );

    app.get(
      '/api/v2/consumers/:consumer/held-events/:event_id',
      {
        config: { permission: 'held_events:read' },
        schema: {
          summary: 'An event that a consumer holds, and why',
          tags,
          params: HeldParams,
          response: { 200: HeldEvent, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getHeld(tx, caller, params.consumer, uuidOf('evt', params.event_id))),
    );

    app.post(
      '/api/v2/consumers/:consumer/held-events/:event_id/redrive',
      {
        config: { permission: 'held_events:redrive' },
        schema: {
          summary: 'Let a held event be tried again at once',
          description: 'Repeating the request does nothing more.',
          tags,
          params: HeldParams,
          response: { 200: HeldEvent, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const uuid = uuidOf('evt', params.event_id);
        const { before, after } = await db.write(caller, async (tx) => ({
          before: await getHeld(tx, caller, params.consumer, uuid),
          after: await redrive(tx, caller, params.consumer, uuid),
        }));
        request.audit({ subject: params.event_id, before, after });
        wake();
        return after;
      },
    );

    app.post(
      '/api/v2/consumers/:consumer/held-events/:event_id/discard',
      {
        config: { permission: 'held_events:discard' },
        schema: {
          summary: 'Give up an event that a consumer could not take',
          description:
            'It never takes effect there, and those that wait behind it go on. For one that failed, parked or not; one that only waits is refused. Answers the event as it was held; the reason stands in the audit trail. Done again, the event is not found.',
          tags,
          params: HeldParams,
          body: DiscardRequest,
          response: { 200: HeldEvent, ...refusals },
        },
      },
      async (request) => {
        const { caller, params, body } = request;
        const held = await db.write(caller, (tx) =>
          discard(tx, caller, params.consumer, uuidOf('evt', params.event_id)),
        );
        request.audit({ subject: params.event_id, before: held, after: { discarded: true, ...body } });
        wake();
        return held;
      },
    );

    app.post(
      '/api/v2/consumers/:consumer/replay',
      {
        config: { permission: 'held_events:redrive' },
        schema: {
          summary: 'Let a consumer receive events again',
          description:
            'From a place or a time on, although they have taken effect; what the consumer makes of them must bear it. They queue behind what it holds of the same aggregate.',
          tags,
          headers: IdempotencyHeaders,
          params: Type.Object({ consumer: ConsumerName }),
          body: ReplayRequest,
          response: { 200: Type.Object({ id: Type.String(), consumer: ConsumerName }), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const attempt = attemptOf(request, `/api/v2/consumers/${params.consumer}/replay`);
        const { id, replayed } = await once(
          db,
          caller,
          { ...attempt, request: canonicalRequest({ consumer: params.consumer, ...body }) },
          refuse,
          async (tx) => {
            await replay(tx, caller, params.consumer, body);
            return newUuid();
          },
        );
        request.audit({ after: { consumer: params.consumer, ...body } });
        wake();
        if (replayed) reply.header('idempotent-replayed', 'true');
        return { id, consumer: params.consumer };
      },
    );
  };
}
