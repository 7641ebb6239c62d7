/** Every endpoint of API keys: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Scope } from '../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { wasAttempted } from '../../platform/once.ts';
import {
  ApiKey,
  ApiKeyRequest,
  createApiKey,
  EditApiKeyRequest,
  editApiKey,
  getApiKey,
  type Keys,
  ListApiKeysQuery,
  listApiKeys,
  NewApiKey,
  RotationRequest,
  revokeApiKey,
  rotateApiKey,
  versionOf,
} from './api-keys.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

/** A new key as the audit trail tells of it. */
function withoutKey(created: Static<typeof NewApiKey>): ApiKey {
  const { key: _, ...rest } = created;
  return rest;
}

const KeyParams = Type.Object({ key_id: Id('key') });

export function apiKeyRoutes(keys: Keys): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = keys;
    const tags = ['API keys'];
    const approval = {
      answers_secret: true,
      wasAttempted: (scope: Scope, key: string) => wasAttempted(db, scope, key),
    };

    app.get(
      '/api/v2/api-keys',
      {
        config: { permission: 'api_keys:read', sensitive: true },
        schema: {
          summary: 'List API keys, newest first',
          tags,
          querystring: ListApiKeysQuery,
          response: { 200: Page(ApiKey), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listApiKeys(tx, caller, query)),
    );

    app.post(
      '/api/v2/api-keys',
      {
        config: { permission: 'api_keys:create', approval },
        schema: {
          summary: 'Create an API key; it is shown once',
          tags,
          headers: IdempotencyHeaders,
          body: ApiKeyRequest,
          response: { 201: NewApiKey, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/api-keys');
        const { created, replayed } = await createApiKey(keys, request.caller, request.body, attempt);
        request.audit({ subject: created.id, ...(replayed ? {} : { after: withoutKey(created) }) });
        answerCreated(reply, `/api/v2/api-keys/${created.id}`, replayed);
        return created;
      },
    );

    app.get(
      '/api/v2/api-keys/:key_id',
      {
        config: { permission: 'api_keys:read', sensitive: true },
        schema: { summary: 'An API key', tags, params: KeyParams, response: { 200: ApiKey, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const key = await db.read(caller, (tx) => getApiKey(tx, caller, uuidOf('key', params.key_id)));
        reply.header('etag', etagOf(versionOf(key)));
        return key;
      },
    );

    app.patch(
      '/api/v2/api-keys/:key_id',
      {
        config: { permission: 'api_keys:edit' },
        schema: {
          summary: 'Edit the label, the plan, the addresses or the expiry of an API key',
          tags,
          params: KeyParams,
          headers: IfMatchHeaders,
          body: EditApiKeyRequest,
          response: { 200: ApiKey, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const { before, after } = await editApiKey(
          keys,
          caller,
          uuidOf('key', params.key_id),
          body,
          headers['if-match'],
        );
        request.audit({ before, after });
        reply.header('etag', etagOf(versionOf(after)));
        return after;
      },
    );

    app.post(
      '/api/v2/api-keys/:key_id/rotations',
      {
        config: { permission: 'api_keys:create', approval },
        schema: {
          summary: 'Replace an API key by another of the same kind; both are good for a while',
          tags,
          params: KeyParams,
          headers: IdempotencyHeaders,
          body: RotationRequest,
          response: { 201: NewApiKey, ...refusals },
        },
      },
      async (request, reply) => {
        const { key_id } = request.params;
        const { before, created, replayed } = await rotateApiKey(
          keys,
          request.caller,
          uuidOf('key', key_id),
          request.body,
          attemptOf(request, `/api/v2/api-keys/${key_id}/rotations`),
        );
        request.audit({ subject: key_id, ...(replayed ? {} : { before, after: withoutKey(created) }) });
        answerCreated(reply, `/api/v2/api-keys/${created.id}`, replayed);
        return created;
      },
    );

    app.post(
      '/api/v2/api-keys/:key_id/revoke',
      {
        config: { permission: 'api_keys:revoke' },
        schema: {
          summary: 'Revoke an API key for good, in every process at once',
          tags,
          params: KeyParams,
          response: { 200: ApiKey, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const { before, after } = await revokeApiKey(
          keys,
          caller,
          uuidOf('key', params.key_id),
          caller.principal.id,
        );
        request.audit({ before, after });
        reply.header('etag', etagOf(versionOf(after)));
        return after;
      },
    );
  };
}
