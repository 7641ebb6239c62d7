/** Every endpoint of recipients and topics: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Database, Scope } from '../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { wasAttempted } from '../../platform/once.ts';
import type { Secrets } from '../../platform/secret.ts';
import { EffectivePreferences, effectivePreferences } from './preferences.ts';
import {
  EditRecipientRequest,
  editRecipient,
  getRecipient,
  ListRecipientsQuery,
  listRecipients,
  Recipient,
  RecipientRequest,
  registerRecipient,
  removeRecipient,
} from './recipients.ts';
import { ChannelName, topics } from './topics.ts';
import { makeWebhookSecret, NewWebhookSecret } from './webhook-secrets.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const base = '/api/v2/notifications/recipients';
const Params = Type.Object({ recipient_id: Id('rcp') });

const TopicList = Type.Object({
  data: Type.Array(
    Type.Object({
      name: Type.String(),
      meaning: Type.String(),
      channels: Type.Array(ChannelName, { description: 'Those it is told by to who said nothing about it' }),
      mandatory: Type.Boolean({ description: 'Nobody can switch it off or put it off' }),
      urgent: Type.Boolean({ description: 'It does not wait for the end of quiet hours' }),
      variables: Type.Array(
        Type.Object({
          variable: Type.String(),
          meaning: Type.String(),
          sample: Type.Union([Type.String(), Type.Number()]),
          optional: Type.Boolean(),
        }),
      ),
    }),
  ),
});

const allTopics = [...topics].map(([name, { meaning, channels, mandatory, urgent, variables }]) => ({
  name,
  meaning,
  channels: [...channels],
  mandatory: mandatory === true,
  urgent: urgent === true,
  variables: Object.entries(variables).map(([variable, { optional, ...rest }]) => ({
    variable,
    ...rest,
    optional: optional === true,
  })),
}));

export function recipientRoutes(db: Database, secrets: Secrets): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Notifications: recipients'];

    app.get(
      '/api/v2/notifications/topics',
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'What recipients can be told about, and what its templates may name',
          tags,
          response: { 200: TopicList, ...refusals },
        },
      },
      async () => ({ data: allTopics }),
    );

    app.get(
      base,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'List recipients, newest first',
          tags,
          querystring: ListRecipientsQuery,
          response: { 200: Page(Recipient), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listRecipients(tx, caller, query)),
    );

    app.post(
      base,
      {
        config: { permission: 'notifications:write' },
        schema: {
          summary: 'Register a recipient: a person or an organisation that is told things',
          tags,
          headers: IdempotencyHeaders,
          body: RecipientRequest,
          response: { 201: Recipient, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, base);
        const { recipient, version, replayed } = await registerRecipient(
          db,
          request.caller,
          request.body,
          attempt,
        );
        request.audit({ subject: recipient.id, ...(replayed ? {} : { after: recipient }) });
        answerCreated(reply, `${base}/${recipient.id}`, replayed);
        reply.header('etag', etagOf(version));
        return recipient;
      },
    );

    app.get(
      `${base}/:recipient_id`,
      {
        config: { permission: 'notifications:read' },
        schema: { summary: 'A recipient', tags, params: Params, response: { 200: Recipient, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('rcp', params.recipient_id);
        const { recipient, version } = await db.read(caller, (tx) => getRecipient(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return recipient;
      },
    );

    app.patch(
      `${base}/:recipient_id`,
      {
        config: { permission: 'notifications:write' },
        schema: {
          summary: 'Edit a recipient: addresses, language, preferences, quiet hours, subscriptions',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          body: EditRecipientRequest,
          response: { 200: Recipient, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('rcp', params.recipient_id);
        const { before, after, version } = await editRecipient(db, caller, uuid, body, headers['if-match']);
        request.audit({ subject: after.id, before, after });
        reply.header('etag', etagOf(version));
        return after;
      },
    );

    app.delete(
      `${base}/:recipient_id`,
      {
        config: { permission: 'notifications:write' },
        schema: {
          summary: 'Remove a recipient; what messages to them said, and where they went, is forgotten',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, headers } = request;
        const uuid = uuidOf('rcp', params.recipient_id);
        const before = await removeRecipient(db, caller, uuid, headers['if-match']);
        request.audit({ subject: before.id, before });
        return reply.code(204).send(null);
      },
    );

    app.get(
      `${base}/:recipient_id/preferences`,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'How each topic reaches a recipient by each channel, and why',
          tags,
          params: Params,
          response: { 200: EffectivePreferences, ...refusals },
        },
      },
      async ({ caller, params }) => {
        const uuid = uuidOf('rcp', params.recipient_id);
        const { recipient } = await db.read(caller, (tx) => getRecipient(tx, caller, uuid));
        return effectivePreferences(recipient.preferences);
      },
    );

    app.post(
      `${base}/:recipient_id/webhook-secrets`,
      {
        config: {
          permission: 'notifications:write',
          approval: {
            answers_secret: true,
            wasAttempted: (scope: Scope, key: string) => wasAttempted(db, scope, key),
          },
        },
        schema: {
          summary: 'Make the secret that webhooks to a recipient are signed with; it is shown once',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          response: { 201: NewWebhookSecret, ...refusals },
        },
      },
      async (request, reply) => {
        const { recipient_id } = request.params;
        const path = `${base}/${recipient_id}/webhook-secrets`;
        const { before, created, replayed } = await makeWebhookSecret(
          { db, secrets },
          request.caller,
          uuidOf('rcp', recipient_id),
          attemptOf(request, path),
        );
        const { secret: _, ...after } = created;
        request.audit({
          subject: recipient_id,
          ...(replayed ? {} : { ...(before === undefined ? {} : { before }), after }),
        });
        answerCreated(reply, `${base}/${recipient_id}`, replayed);
        return created;
      },
    );
  };
}
