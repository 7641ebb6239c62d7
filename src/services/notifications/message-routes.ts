/** Every endpoint of messages, inboxes and the local outbox: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { SELF } from '../../platform/access/permission.ts';
import { Page } from '../../platform/cursor.ts';
import type { Database } from '../../platform/db.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import {
  getMessage,
  Inbox,
  InboxQuery,
  ListMessagesQuery,
  listMessages,
  listOutbox,
  Message,
  MessageRequest,
  markRead,
  Notification,
  OutboxQuery,
  readInbox,
  sendMessage,
} from './messages.ts';
import { markOwnRead, OwnInbox, OwnInboxQuery, OwnMessage, readOwnInbox } from './own-inbox.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const base = '/api/v2/notifications/messages';
const Params = Type.Object({ message_id: Id('msg') });

/** A message as the audit trail tells of it: what it says is forgotten some day, and the trail is not. */
function withoutContent(message: Message): Omit<Message, 'content' | 'data' | 'address'> {
  const { content: _, data: __, address: ___, ...rest } = message;
  return rest;
}

/** @param onMade called when messages were made that may be due */
export function messageRoutes(db: Database, onMade: () => void): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Notifications: messages'];

    app.get(
      base,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'List messages and why each was or was not sent, newest first',
          tags,
          querystring: ListMessagesQuery,
          response: { 200: Page(Message), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listMessages(tx, caller, query)),
    );

    app.post(
      base,
      {
        config: { permission: 'notifications:send' },
        schema: {
          summary: 'Tell a recipient something: a message for each channel',
          tags,
          headers: IdempotencyHeaders,
          body: MessageRequest,
          response: { 201: Notification, ...refusals },
        },
      },
      async (request, reply) => {
        const { notification, replayed } = await sendMessage(
          db,
          request.caller,
          request.body,
          attemptOf(request, base),
        );
        const { id, messages } = notification;
        const after = { id, messages: messages.map(withoutContent) };
        request.audit({ subject: id, ...(replayed ? {} : { after }) });
        onMade();
        answerCreated(reply, `${base}?cause=${id}`, replayed);
        return notification;
      },
    );

    app.get(
      `${base}/:message_id`,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'A message, and why it was or was not sent',
          tags,
          params: Params,
          response: { 200: Message, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getMessage(tx, caller, uuidOf('msg', params.message_id))),
    );

    app.post(
      `${base}/:message_id/read`,
      {
        config: { permission: 'notifications:write' },
        schema: {
          summary: 'Mark a message of an inbox as read',
          tags,
          params: Params,
          response: { 200: Message, ...refusals },
        },
      },
      async (request) => {
        const { before, after } = await markRead(
          db,
          request.caller,
          uuidOf('msg', request.params.message_id),
        );
        request.audit({ subject: after.id, before: withoutContent(before), after: withoutContent(after) });
        return after;
      },
    );

    app.get(
      '/api/v2/notifications/inbox',
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'What a recipient was told in the application, newest first',
          tags,
          querystring: InboxQuery,
          response: { 200: Inbox, ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => readInbox(tx, caller, query)),
    );

    app.get(
      '/api/v2/self/inbox',
      {
        config: { permission: SELF },
        schema: {
          summary: 'What whoever asks was told in the application, newest first',
          description: 'They are the recipient whose `reference` is their id.',
          tags: ['self'],
          querystring: OwnInboxQuery,
          response: { 200: OwnInbox, ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => readOwnInbox(tx, caller, query)),
    );

    app.post(
      '/api/v2/self/inbox/:message_id/read',
      {
        config: { permission: SELF, approval: 'exempt' },
        schema: {
          summary: 'Mark a message of one’s own inbox as read',
          tags: ['self'],
          params: Params,
          response: { 200: OwnMessage, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('msg', request.params.message_id);
        const { before, after } = await markOwnRead(db, request.caller, uuid);
        const whether = ({ read_at }: typeof after) => (read_at === undefined ? {} : { read_at });
        request.audit({ subject: after.id, before: whether(before), after: whether(after) });
        return after;
      },
    );

    app.get(
      '/api/v2/notifications/outbox',
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'What is shown here instead of being sent, where no provider is configured',
          tags,
          querystring: OutboxQuery,
          response: { 200: Page(Message), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listOutbox(tx, caller, query)),
    );
  };
}
