/** Every endpoint of monetary limits: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Database } from '../../platform/db.ts';
import { ProblemBody } from '../../platform/http.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { getLimits, Limits, LimitsRequest, removeLimits, setLimits } from './limits.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const path = '/api/v2/api-keys/:key_id/limits';
const common = { tags: ['API keys'], params: Type.Object({ key_id: Id('key') }) };

export function limitRoutes(db: Database): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      path,
      {
        config: { permission: 'limits:read' },
        schema: {
          ...common,
          summary: 'How much a key may move, and how much it has moved today',
          response: { 200: Limits, ...refusals },
        },
      },
      async ({ caller, params }, reply) => {
        const { limits, etag } = await getLimits(db, caller, uuidOf('key', params.key_id));
        reply.header('etag', etag);
        return limits;
      },
    );

    app.put(
      path,
      {
        config: { permission: 'limits:edit' },
        schema: {
          ...common,
          summary: 'Set how much a key may move, at once and in a day, and from which accounts',
          body: LimitsRequest,
          response: { 200: Limits, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const { before, limits, etag } = await setLimits(db, caller, uuidOf('key', params.key_id), body);
        request.audit({ ...(before === undefined ? {} : { before }), after: limits });
        reply.header('etag', etag);
        return limits;
      },
    );

    app.delete(
      path,
      {
        config: { permission: 'limits:edit' },
        schema: {
          ...common,
          summary: 'Free a key of its monetary limits',
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const before = await removeLimits(db, caller, uuidOf('key', params.key_id));
        request.audit(before === undefined ? {} : { before });
        reply.code(204);
        return null;
      },
    );
  };
}
