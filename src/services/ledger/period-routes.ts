/** Every endpoint of closing the books: method, path, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import {
  CloseRequest,
  closePeriod,
  getPeriodClose,
  ListPeriodClosesQuery,
  listPeriodCloses,
  PeriodCloseInFull,
  ReopenRequest,
  reopenPeriod,
} from './close-period.ts';
import { PeriodClose } from './contract.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['periods'];
const path = '/api/v2/period-closes';
const Params = Type.Object({ period_close_id: Id('pcl') });

export function periodRoutes(books: Books): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      path,
      {
        config: { permission: 'periods:read' },
        schema: {
          summary: 'List closings of the books, newest first',
          tags,
          querystring: ListPeriodClosesQuery,
          response: { 200: Page(PeriodClose), ...refusals },
        },
      },
      async ({ caller, query }) => books.db.read(caller, (tx) => listPeriodCloses(tx, caller, query)),
    );

    app.post(
      path,
      {
        config: { permission: 'periods:close', approval: { shows_answer: true } },
        schema: {
          summary: 'Close the books up to a day',
          description:
            'From then on a posting that would be effective on that day or before is refused with `period_closed`. The trial balance of the day is kept with it.',
          tags,
          headers: IdempotencyHeaders,
          body: CloseRequest,
          response: { 201: PeriodClose, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, path);
        const { close, replayed } = await closePeriod(books, request.caller, request.body, attempt);
        request.audit({ subject: close.id, ...(replayed ? {} : { after: close }) });
        answerCreated(reply, `${path}/${close.id}`, replayed);
        return close;
      },
    );

    app.get(
      `${path}/:period_close_id`,
      {
        config: { permission: 'periods:read' },
        schema: {
          summary: 'A closing with its trial balance, and whether that is still the same',
          description: 'Computes the trial balance of the day anew from all entries.',
          tags,
          params: Params,
          response: { 200: PeriodCloseInFull, ...refusals },
        },
      },
      async ({ caller, params }) => getPeriodClose(books, caller, uuidOf('pcl', params.period_close_id)),
    );

    app.post(
      `${path}/:period_close_id/reopen`,
      {
        config: { permission: 'periods:reopen', approval: { shows_answer: true } },
        schema: {
          summary: 'Reopen the last period that was closed',
          tags,
          params: Params,
          body: ReopenRequest,
          response: { 200: PeriodClose, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('pcl', request.params.period_close_id);
        const { before, after } = await reopenPeriod(books, request.caller, uuid, request.body);
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );
  };
}
