/** Every endpoint of holds: method, path, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { approvalsOf, reservedFor } from './approval.ts';
import { noteWritten, posterOf } from './attribution.ts';
import type { Books } from './books.ts';
import { Hold } from './contract.ts';
import { HoldRequest, placeHold } from './place-hold.ts';
import { headPosition } from './position.ts';

import { getHold, ListHoldsQuery, listHolds } from './read-holds.ts';
import { DryRunQuery } from './routes.ts';
import {
  CaptureRequest,
  CaptureResult,
  captureHold,
  ExtensionRequest,
  extendHold,
  IncrementRequest,
  incrementHold,
  ReleaseRequest,
  releaseHold,
} from './step-hold.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const HoldParams = Type.Object({ hold_id: Id('hld') });
const onHold = {
  tags: ['holds'],
  params: HoldParams,
  headers: IdempotencyHeaders,
  querystring: DryRunQuery,
};

export function holdRoutes(books: Books): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = books;
    const approvals = approvalsOf(books);

    app.get(
      '/api/v2/holds',
      {
        config: { permission: 'holds:read', heeds_labels: true },
        schema: {
          summary: 'List holds, newest first',
          tags: ['holds'],
          querystring: ListHoldsQuery,
          response: { 200: Page(Hold), ...refusals },
        },
      },
      async ({ caller, query }, reply) =>
        db.read(caller, async (tx) => {
          reply.header('ledger-position', await headPosition(tx, caller));
          return listHolds(tx, caller, query);
        }),
    );

    app.post(
      '/api/v2/holds',
      {
        config: {
          permission: 'holds:place',
          approval: approvals.placement,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          summary: 'Place a hold: money that stays, but cannot be spent',
          tags: ['holds'],
          headers: IdempotencyHeaders,
          querystring: DryRunQuery,
          body: HoldRequest,
          response: { 201: Hold, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/holds');
        const options = {
          dry_run: request.query.dry_run ?? false,
          reserved: reservedFor(request.approved),
        };
        const { hold, position, replayed } = await placeHold(
          books,
          posterOf(request, 201),
          request.body,
          attempt,
          options,
        );
        noteWritten(request, replayed, request.query.dry_run ?? false);
        answerCreated(reply, `/api/v2/holds/${hold.id}`, replayed);
        reply.header('ledger-position', position);
        return hold;
      },
    );

    app.get(
      '/api/v2/holds/:hold_id',
      {
        config: { permission: 'holds:read', heeds_labels: true },
        schema: {
          summary: 'A hold with its steps',
          tags: ['holds'],
          params: HoldParams,
          response: { 200: Hold, ...refusals },
        },
      },
      async ({ caller, params }, reply) =>
        db.read(caller, async (tx) => {
          reply.header('ledger-position', await headPosition(tx, caller));
          return getHold(tx, caller, uuidOf('hld', params.hold_id));
        }),
    );

    app.post(
      '/api/v2/holds/:hold_id/increments',
      {
        config: {
          permission: 'holds:place',
          approval: approvals.increment,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          ...onHold,
          summary: 'Hold more',
          body: IncrementRequest,
          response: { 201: Hold, ...refusals },
        },
      },
      async (request, reply) => {
        const { hold_id } = request.params;
        const { answer, position, replayed } = await incrementHold(
          books,
          posterOf(request, 201),
          uuidOf('hld', hold_id),
          request.body,
          attemptOf(request, `/api/v2/holds/${hold_id}/increments`),
          { dry_run: request.query.dry_run ?? false, reserved: reservedFor(request.approved) },
        );
        noteWritten(request, replayed, request.query.dry_run ?? false);
        answerCreated(reply, `/api/v2/holds/${hold_id}`, replayed);
        reply.header('ledger-position', position);
        return answer;
      },
    );

    app.post(
      '/api/v2/holds/:hold_id/extensions',
      {
        config: {
          permission: 'holds:place',
          approval: approvals.extension,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          ...onHold,
          summary: 'Let a hold last longer',
          body: ExtensionRequest,
          response: { 201: Hold, ...refusals },
        },
      },
      async (request, reply) => {
        const { hold_id } = request.params;
        const { answer, position, replayed } = await extendHold(
          books,
          posterOf(request, 201),
          uuidOf('hld', hold_id),
          request.body,
          attemptOf(request, `/api/v2/holds/${hold_id}/extensions`),
          { dry_run: request.query.dry_run ?? false },
        );
        noteWritten(request, replayed, request.query.dry_run ?? false);
        answerCreated(reply, `/api/v2/holds/${hold_id}`, replayed);
        reply.header('ledger-position', position);
        return answer;
      },
    );

    app.post(
      '/api/v2/holds/:hold_id/captures',
      {
        config: {
          permission: 'holds:capture',
          approval: approvals.capture,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          ...onHold,
          summary: 'Capture a hold, in part or whole: the money moves',
          body: CaptureRequest,
          response: { 201: CaptureResult, ...refusals },
        },
      },
      async (request, reply) => {
        const { hold_id } = request.params;
        const { answer, position, replayed } = await captureHold(
          books,
          posterOf(request, 201),
          uuidOf('hld', hold_id),
          request.body,
          attemptOf(request, `/api/v2/holds/${hold_id}/captures`),
          { dry_run: request.query.dry_run ?? false, reserved: reservedFor(request.approved) },
        );
        noteWritten(request, replayed, request.query.dry_run ?? false);
        answerCreated(reply, `/api/v2/transfers/${answer.transfer.id}`, replayed);
        reply.header('ledger-position', position);
        return answer;
      },
    );

    app.post(
      '/api/v2/holds/:hold_id/releases',
      {
        config: { permission: 'holds:release', heeds_labels: true, records_in_commit: true },
        schema: {
          ...onHold,
          summary: 'Release a hold, in part or whole: the money can be spent again',
          body: ReleaseRequest,
          response: { 201: Hold, ...refusals },
        },
      },
      async (request, reply) => {
        const { hold_id } = request.params;
        const { answer, position, replayed } = await releaseHold(
          books,
          posterOf(request, 201),
          uuidOf('hld', hold_id),
          request.body,
          attemptOf(request, `/api/v2/holds/${hold_id}/releases`),
          { dry_run: request.query.dry_run ?? false },
        );
        noteWritten(request, replayed, request.query.dry_run ?? false);
        answerCreated(reply, `/api/v2/holds/${hold_id}`, replayed);
        reply.header('ledger-position', position);
        return answer;
      },
    );
  };
}
