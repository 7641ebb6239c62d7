/** Every endpoint of the event feed: method, path, permission, schema, call. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import { assertMay, type Caller } from '../access/caller.ts';
import { Page } from '../cursor.ts';
import type { Database } from '../db.ts';
import { identify, ProblemBody } from '../http.ts';
import { Id, uuidOf } from '../ids.ts';
import { refuse as refuseRequest } from '../problem.ts';
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
/** How long a stream is kept whose reader takes nothing: four times as long as what is silent gets a comment. */
const STALLED_MS = 60_000;

/** @param watch a waker that is woken when events were carried, until it is given back */
export function eventRoutes(options: {
  db: Database;
  access: Pick<Access, 'identify' | 'findPrincipal'>;
  catalogue: EventCatalogue;
  publicUrl: () => string;
  watch: () => { waker: Waker; close: () => void };
}): FastifyPluginAsyncTypebox {
  const { db, access, catalogue, publicUrl, watch } = options;
  return async (app) => {
    const closing = new AbortController();
    const open = new Map<string, number>();
    let streams = 0;

    /** Counts a stream of the caller, or refuses it; returns what takes it off the count. */
    function enter({ tenant_id, principal }: Caller): () => void {
      const own = `${tenant_id} ${principal.id}`;
      const before = open.get(own) ?? 0;
      if (streams >= MOST_STREAMS || before >= MOST_STREAMS_OF_ONE) {
        throw refuse('too_many_streams', `${principal.name} has as many streams open as it may.`, {
          retry_after_s: 5,
        });
      }
      streams += 1;
      open.set(own, before + 1);
      return () => {
        streams -= 1;
        const left = (open.get(own) ?? 1) - 1;
        if (left === 0) open.delete(own);
        else open.set(own, left);
      };
    }

    /** The caller as they are now. Throws when they may no longer read. */
    async function recheck(request: FastifyRequest, caller: Caller): Promise<Caller> {
      const { principal, on_behalf_of, expires_at_ms } = caller;
      // A proof is good for one request, and this one has had it: of its bearer is asked, as the database knows them.
      const isGoodOnce = request.headers['dpop'] !== undefined || principal.kind === 'device';
      const now = isGoodOnce
        ? await access.findPrincipal(caller, principal, on_behalf_of)
        : await identify(request, access);
      if (now === undefined || (expires_at_ms !== undefined && expires_at_ms <= Date.now())) {
        throw refuseRequest('unauthenticated', 'The credential is no longer good.');
      }
      assertMay(now, permission, false);
      return isGoodOnce ? caller : now;
    }
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
        exposeHeadRoute: false,
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
        const leave = enter(caller);
        let source: { waker: Waker; close: () => void } | undefined;
        const ended = new AbortController();
        const stop = () => {
          ended.abort();
          source?.waker.wake();
        };
        function end(): void {
          stop();
          source?.close();
          closing.signal.removeEventListener('abort', stop);
          leave();
        }
        let stream: Readable;
        try {
          const last = headers['last-event-id'];
          const after =
            last === undefined ? (query.after ?? (await newestSequence(db, caller))) : Number(last);
          // Refuses now what would end the stream at once.
          await db.read(caller, (tx) => listEvents(tx, caller, { after, limit: 1 }));
          source = watch();
          closing.signal.addEventListener('abort', stop);
          stream = Readable.from(
            streamEvents({
              db,
              log: request.log,
              catalogue,
              caller,
              filters: query,
              after,
              waker: source.waker,
              recheck: () => recheck(request, caller),
              signal: ended.signal,
            }),
            { objectMode: false },
          );
        } catch (error) {
          end();
          throw error;
        }
        stream.once('close', end);
        // Without a listener of its own the server closes the connection then.
        reply.raw.setTimeout(STALLED_MS);
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
