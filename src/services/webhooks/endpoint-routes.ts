/** Every route of endpoints: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Scope } from '../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { wasAttempted } from '../../platform/once.ts';
import { Delivery } from './deliveries.ts';
import {
  createEndpoint,
  deleteEndpoint,
  EditEndpointRequest,
  Endpoint,
  EndpointRequest,
  type Endpoints,
  editEndpoint,
  getEndpoint,
  ListEndpointsQuery,
  listEndpoints,
  NewEndpoint,
  RotationRequest,
  rotate,
  setEnabled,
} from './endpoints.ts';
import { Resend, ResendRequest, resendSince } from './resend.ts';
import { testEndpoint } from './test-endpoint.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const Params = Type.Object({ endpoint_id: Id('whk') });
const tags = ['Webhooks'];
const path = '/api/v2/webhooks/endpoints';

/** @param wake tells the sender that there is something to send */
export function endpointRoutes(endpoints: Endpoints, wake: () => void): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = endpoints;
    const approval = {
      answers_secret: true,
      wasAttempted: (scope: Scope, key: string) => wasAttempted(db, scope, key),
    };

    app.get(
      path,
      {
        config: { permission: 'webhooks:read' },
        schema: {
          summary: 'List endpoints, newest first',
          tags,
          querystring: ListEndpointsQuery,
          response: { 200: Page(Endpoint), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listEndpoints(tx, caller, query)),
    );

    app.post(
      path,
      {
        config: { permission: 'webhooks:write', approval },
        schema: {
          summary: 'Make an endpoint that events are sent to; its secret is shown once',
          description: 'Needs events:read as well, and personal_data:read where personal data is to be sent.',
          tags,
          headers: IdempotencyHeaders,
          body: EndpointRequest,
          response: { 201: NewEndpoint, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, path);
        const made = await createEndpoint(endpoints, request.caller, request.body, attempt);
        const { endpoint, version, replayed, secret } = made;
        request.audit({ subject: endpoint.id, ...(replayed ? {} : { after: endpoint }) });
        answerCreated(reply, `${path}/${endpoint.id}`, replayed);
        reply.header('etag', etagOf(version));
        return { ...endpoint, ...(secret === undefined ? {} : { secret }) };
      },
    );

    app.get(
      `${path}/:endpoint_id`,
      {
        config: { permission: 'webhooks:read' },
        schema: { summary: 'An endpoint', tags, params: Params, response: { 200: Endpoint, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('whk', params.endpoint_id);
        const { endpoint, version } = await db.read(caller, (tx) => getEndpoint(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return endpoint;
      },
    );

    app.patch(
      `${path}/:endpoint_id`,
      {
        config: { permission: 'webhooks:write' },
        schema: {
          summary: 'Edit where and what is sent; it acts on the next attempt',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          body: EditEndpointRequest,
          response: { 200: Endpoint, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('whk', params.endpoint_id);
        const { before, after, version } = await editEndpoint(
          endpoints,
          caller,
          uuid,
          body,
          headers['if-match'],
        );
        request.audit({ subject: after.id, before, after });
        reply.header('etag', etagOf(version));
        return after;
      },
    );

    app.delete(
      `${path}/:endpoint_id`,
      {
        config: { permission: 'webhooks:write' },
        schema: {
          summary: 'Delete an endpoint with its keys; nothing more is sent to it',
          tags,
          params: Params,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const before = await deleteEndpoint(endpoints, caller, uuidOf('whk', params.endpoint_id));
        request.audit({ subject: before.id, before });
        reply.code(204);
        return null;
      },
    );

    for (const enabled of [true, false]) {
      app.post(
        `${path}/:endpoint_id/${enabled ? 'enable' : 'disable'}`,
        {
          config: { permission: 'webhooks:write' },
          schema: {
            summary: enabled
              ? 'Enable an endpoint: what happens from now on is sent, and what was missed when it is asked for'
              : 'Disable an endpoint: what happens meanwhile is missed, and can be sent later',
            tags,
            params: Params,
            response: { 200: Endpoint, ...refusals },
          },
        },
        async (request, reply) => {
          const { caller, params } = request;
          const uuid = uuidOf('whk', params.endpoint_id);
          const { before, after, version } = await setEnabled(endpoints, caller, uuid, enabled);
          request.audit({ subject: after.id, before, after });
          reply.header('etag', etagOf(version));
          wake();
          return after;
        },
      );
    }

    app.post(
      `${path}/:endpoint_id/rotations`,
      {
        config: { permission: 'webhooks:write', approval },
        schema: {
          summary: 'Replace the key that is signed with; both sign for a while',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          body: RotationRequest,
          response: { 201: NewEndpoint, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const at = `${path}/${params.endpoint_id}`;
        const uuid = uuidOf('whk', params.endpoint_id);
        const rotated = await rotate(endpoints, caller, uuid, body, attemptOf(request, `${at}/rotations`));
        const { before, after, version, secret, replayed } = rotated;
        request.audit({ subject: after.id, ...(replayed ? {} : { before, after }) });
        answerCreated(reply, at, replayed);
        reply.header('etag', etagOf(version));
        return { ...after, ...(secret === undefined ? {} : { secret }) };
      },
    );

    app.post(
      `${path}/:endpoint_id/test`,
      {
        config: { permission: 'webhooks:write' },
        schema: {
          summary: 'Send a test event, once',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          response: { 201: Delivery, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const uuid = uuidOf('whk', params.endpoint_id);
        const attempt = attemptOf(request, `${path}/${params.endpoint_id}/test`);
        const { delivery, replayed } = await testEndpoint(db, caller, uuid, attempt);
        request.audit({ subject: params.endpoint_id, ...(replayed ? {} : { after: delivery }) });
        answerCreated(reply, `/api/v2/webhooks/deliveries/${delivery.id}`, replayed);
        wake();
        return delivery;
      },
    );

    app.post(
      `${path}/:endpoint_id/resends`,
      {
        config: { permission: 'webhooks:write' },
        schema: {
          summary: 'Send again what failed or was missed, from the time of an event on',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          body: ResendRequest,
          response: { 201: Resend, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const at = `${path}/${params.endpoint_id}`;
        const uuid = uuidOf('whk', params.endpoint_id);
        const attempt = attemptOf(request, `${at}/resends`);
        const { resend, replayed } = await resendSince(db, caller, uuid, body, attempt);
        request.audit({ subject: params.endpoint_id, ...(replayed ? {} : { after: resend }) });
        answerCreated(reply, at, replayed);
        wake();
        return resend;
      },
    );
  };
}
