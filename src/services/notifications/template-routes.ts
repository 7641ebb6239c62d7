/** Every endpoint of templates: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Database } from '../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import {
  createTemplate,
  EditTemplateRequest,
  editTemplate,
  getTemplate,
  ListTemplatesQuery,
  listTemplates,
  Preview,
  PreviewQuery,
  previewTemplate,
  previewTopic,
  publishTemplate,
  Template,
  TemplateRequest,
} from './templates.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const base = '/api/v2/notifications/templates';
const Params = Type.Object({ template_id: Id('tpl') });

export function templateRoutes(db: Database): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Notifications: templates'];

    app.get(
      base,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'List templates, drafts and published ones, newest first',
          tags,
          querystring: ListTemplatesQuery,
          response: { 200: Page(Template), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listTemplates(tx, caller, query)),
    );

    app.post(
      base,
      {
        config: { permission: 'notifications:templates' },
        schema: {
          summary: 'Write the draft of a template for a topic, channel and language',
          tags,
          headers: IdempotencyHeaders,
          body: TemplateRequest,
          response: { 201: Template, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, base);
        const { template, version, replayed } = await createTemplate(
          db,
          request.caller,
          request.body,
          attempt,
        );
        request.audit({ subject: template.id, ...(replayed ? {} : { after: template }) });
        answerCreated(reply, `${base}/${template.id}`, replayed);
        reply.header('etag', etagOf(version));
        return template;
      },
    );

    app.get(
      `${base}/:template_id`,
      {
        config: { permission: 'notifications:read' },
        schema: { summary: 'A template', tags, params: Params, response: { 200: Template, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('tpl', params.template_id);
        const { template, version } = await db.read(caller, (tx) => getTemplate(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return template;
      },
    );

    app.patch(
      `${base}/:template_id`,
      {
        config: { permission: 'notifications:templates' },
        schema: {
          summary: 'Edit a draft',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          body: EditTemplateRequest,
          response: { 200: Template, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('tpl', params.template_id);
        const { before, template, version } = await editTemplate(db, caller, uuid, body, headers['if-match']);
        request.audit({ subject: template.id, before, after: template });
        reply.header('etag', etagOf(version));
        return template;
      },
    );

    app.post(
      `${base}/:template_id/publish`,
      {
        config: { permission: 'notifications:templates' },
        schema: {
          summary: 'Publish a draft: messages are made by it from now on, and it stays as it is',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          response: { 200: Template, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, headers } = request;
        const uuid = uuidOf('tpl', params.template_id);
        const { before, template, version } = await publishTemplate(db, caller, uuid, headers['if-match']);
        request.audit({ subject: template.id, before, after: template });
        reply.header('etag', etagOf(version));
        return template;
      },
    );

    app.get(
      `${base}/:template_id/preview`,
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'What a template comes to with sample data; nothing is sent',
          tags,
          params: Params,
          response: { 200: Preview, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => previewTemplate(tx, caller, uuidOf('tpl', params.template_id))),
    );

    app.get(
      '/api/v2/notifications/preview',
      {
        config: { permission: 'notifications:read' },
        schema: {
          summary: 'What a message of a topic says now, with sample data; nothing is sent',
          tags,
          querystring: PreviewQuery,
          response: { 200: Preview, ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => previewTopic(tx, caller, query)),
    );
  };
}
