/** Every endpoint of the event feed: method, path, permission, schema, call. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import { assertMay } from '../access/caller.ts';
import { Page } from '../cursor.ts';
import type { Database } from '../db.ts';
import { identify, ProblemBody } from '../http.ts';
import { Id, uuidOf } from '../ids.ts';
import { asyncApiOf } from './asyncapi.ts';
import type { EventCatalogue } from './catalogue.ts';
import { refuse } from './errors.ts';
import { CloudEvent } from './event.ts';
import { After, filters, getEvent, ListEventsQuery, listEvents, newestSequence } from './feed.ts';
import { streamEvents } from './stream.ts';
import type { Waker } from './wake.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['events'];
const permission = 'events:read';
/** Streams of one process, and of one caller in it. */
const MOST_STREAMS = 1_000;
const MOST_STREAMS_OF_ONE = 10;

/** @param watch a waker that is woken when events were carried, until it is given back */
export function eventRoutes(options: {
  db: Database;
  access: Pick<Access, 'identify'>;
  catalogue: EventCatalogue;
  publicUrl: () => string;
  watch: () => { waker: Waker; close: () => void };
}): FastifyPluginAsyncTypebox {
  const { db, access, catalogue, publicUrl, watch } = options;
  return async (app) => {
    const closing = new AbortController();
    const open = new Map<string, number>();
    let streams = 0;
    app.addHook('preClose', async () => closing.abort());

    app.get('/asyncapi.json', { schema: { hide: true } }, async () =>
      asyncApiOf(catalogue.types, publicUrl()),
    );

    app.get(
      '/api/v2/events',
      {
        config: { permission },
        schema: {
          summary: 'What happened, newest first; with `after`, oldest first from there',
          description:
            'Every event of the tenant in this environment, numbered without gaps by `sequence`. With `after` there is always a `next_cursor`: ask it again for what comes later.',
          tags,
          querystring: ListEventsQuery,
          response: { 200: Page(CloudEvent), ...refusals },
        },
      },
      async ({ caller, query }) => {
        const { data, next_cursor } = await db.read(caller, (tx) => listEvents(tx, caller, query));
        return { data: data.map((event) => catalogue.show(event, caller)), next_cursor };
      },
    );

    app.get(
      '/api/v2/events/stream',
      {
        config: { permission, endless: true },
        schema: {
          summary: 'What happens, as it does: server-sent events',
          description:
            'Begins after `Last-Event-ID`, after `after`, or with what comes from now on. The id of each is its sequence: a client that comes again misses none and sees none twice. Ends when access does.',
          tags,
          headers: Type.Object({
            'last-event-id': Type.Optional(
              Type.String({
                pattern: '^[0-9]{1,15}$',
                description: 'Sequence of the last event that was seen',
              }),
            ),
          }),
          querystring: Type.Object({ ...filters, after: After }, { additionalProperties: false }),
          response: {
            200: {
              description: 'The events',
              content: { 'text/event-stream': { schema: Type.Unsafe<Readable>({ type: 'string' }) } },
            },
            ...refusals,
          },
        },
      },
      async (request, reply) => {
        const { caller, query, headers } = request;
        const own = `${caller.tenant_id} ${caller.principal.id}`;
        if (streams >= MOST_STREAMS || (open.get(own) ?? 0) >= MOST_STREAMS_OF_ONE) {
          throw refuse('too_many_streams', `${caller.principal.name} has as many streams open as it may.`, {
            retry_after_s: 5,
          });
        }
        const last = headers['last-event-id'];
        const after = last === undefined ? (query.after ?? (await newestSequence(db, caller))) : Number(last);
        // Refuses now what would end the stream at once.
        await db.read(caller, (tx) => listEvents(tx, caller, { after, limit: 1 }));
        const ended = new AbortController();
        const { waker, close } = watch();
        const stop = () => {
          ended.abort();
          waker.wake();
        };
        closing.signal.addEventListener('abort', stop);
        streams += 1;
        open.set(own, (open.get(own) ?? 0) + 1);
        const stream = Readable.from(
          streamEvents({
            db,
            log: request.log,
            catalogue,
            caller,
            filters: query,
            after,
            waker,
            recheck: async () => {
              const now = await identify(request, access);
              assertMay(now, permission, false);
              return now;
            },
            signal: ended.signal,
          }),
          { objectMode: false },
        );
        stream.once('close', () => {
          stop();
          close();
          closing.signal.removeEventListener('abort', stop);
          streams -= 1;
          const left = (open.get(own) ?? 1) - 1;
          if (left === 0) open.delete(own);
          else open.set(own, left);
        });
        return reply.type('text/event-stream').header('cache-control', 'no-store').send(stream);
      },
    );

    app.get(
      '/api/v2/events/:event_id',
      {
        config: { permission },
        schema: {
          summary: 'An event',
          tags,
          params: Type.Object({ event_id: Id('evt') }),
          response: { 200: CloudEvent, ...refusals },
        },
      },
      async ({ caller, params }) => {
        const event = await db.read(caller, (tx) => getEvent(tx, caller, uuidOf('evt', params.event_id)));
        return catalogue.show(event, caller);
      },
    );
  };
}
