/** Every endpoint of applications, consents and signing keys: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import type { Scope } from '../../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import { wasAttempted } from '../../../platform/once.ts';
import type { Secrets } from '../../../platform/secret.ts';
import {
  Application,
  ApplicationRequest,
  type Applications,
  createApplication,
  EditApplicationRequest,
  editApplication,
  getApplication,
  ListApplicationsQuery,
  listApplications,
  NewApplication,
  rotateSecret,
  SecretRotation,
} from './applications.ts';
import { Consent, ListConsentsQuery, listConsents, revokeConsent } from './consents.ts';
import { keyShown, listKeys, rotateKeys, SigningKey } from './signing-keys.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const Params = Type.Object({ application_id: Id('app') });
const Keys = Type.Object({ data: Type.Array(SigningKey) });

/** An application that was made as the audit trail tells of it. */
function withoutSecret(created: Static<typeof NewApplication>): Static<typeof Application> {
  const { client_secret: _, ...rest } = created;
  return rest;
}

export function applicationRoutes(applications: Applications, secrets: Secrets): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = applications;
    const tags = ['Applications'];
    const approval = {
      answers_secret: true,
      wasAttempted: (scope: Scope, key: string) => wasAttempted(db, scope, key),
    };

    app.get(
      '/api/v2/applications',
      {
        config: { permission: 'applications:read' },
        schema: {
          summary: 'List applications, newest first',
          tags,
          querystring: ListApplicationsQuery,
          response: { 200: Page(Application), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listApplications(tx, caller, query)),
    );

    app.post(
      '/api/v2/applications',
      {
        config: { permission: 'applications:create', approval },
        schema: {
          summary: 'Register an application; its secret is shown once',
          tags,
          headers: IdempotencyHeaders,
          body: ApplicationRequest,
          response: { 201: NewApplication, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/applications');
        const { created, version, replayed } = await createApplication(
          applications,
          request.caller,
          request.body,
          attempt,
        );
        request.audit({ subject: created.id, ...(replayed ? {} : { after: withoutSecret(created) }) });
        answerCreated(reply, `/api/v2/applications/${created.id}`, replayed);
        reply.header('etag', etagOf(version));
        return created;
      },
    );

    app.get(
      '/api/v2/applications/:application_id',
      {
        config: { permission: 'applications:read' },
        schema: {
          summary: 'An application',
          tags,
          params: Params,
          response: { 200: Application, ...refusals },
        },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('app', params.application_id);
        const { application, version } = await db.read(caller, (tx) => getApplication(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return application;
      },
    );

    app.patch(
      '/api/v2/applications/:application_id',
      {
        config: { permission: 'applications:edit' },
        schema: {
          summary: 'Edit, disable or enable an application; it acts at once',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          body: EditApplicationRequest,
          response: { 200: Application, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('app', params.application_id);
        const edited = await editApplication(applications, caller, uuid, body, headers['if-match']);
        request.audit({ before: edited.before, after: edited.application });
        reply.header('etag', etagOf(edited.version));
        return edited.application;
      },
    );

    app.post(
      '/api/v2/applications/:application_id/secrets',
      {
        config: { permission: 'applications:edit', approval },
        schema: {
          summary: 'Replace the secret of an application; both are good for a while',
          tags,
          params: Params,
          headers: IdempotencyHeaders,
          body: SecretRotation,
          response: { 201: NewApplication, ...refusals },
        },
      },
      async (request, reply) => {
        const { application_id } = request.params;
        const { before, created, replayed } = await rotateSecret(
          applications,
          request.caller,
          uuidOf('app', application_id),
          request.body,
          attemptOf(request, `/api/v2/applications/${application_id}/secrets`),
        );
        request.audit({
          subject: created.id,
          ...(replayed ? {} : { before, after: withoutSecret(created) }),
        });
        answerCreated(reply, `/api/v2/applications/${created.id}`, replayed);
        return created;
      },
    );

    app.get(
      '/api/v2/consents',
      {
        config: { permission: 'consents:read' },
        schema: {
          summary: 'List what one has allowed applications to do, newest first',
          tags: ['Consents'],
          querystring: ListConsentsQuery,
          response: { 200: Page(Consent), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listConsents(tx, caller, query)),
    );

    app.post(
      '/api/v2/consents/:consent_id/revoke',
      {
        config: { permission: 'consents:revoke' },
        schema: {
          summary: 'Take back a consent; tokens given for it are no longer good',
          tags: ['Consents'],
          params: Type.Object({ consent_id: Id('con') }),
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const before = await revokeConsent(db, caller, params.consent_id);
        request.audit({ before });
        return reply.code(204).send(null);
      },
    );

    app.get(
      '/api/v2/signing-keys',
      {
        config: { permission: 'signing_keys:read' },
        schema: {
          summary: 'The keys that tokens are signed with, now, next and before',
          tags: ['Signing keys'],
          response: { 200: Keys, ...refusals },
        },
      },
      async ({ caller }) => ({
        data: (await db.read(caller, (tx) => listKeys(tx, caller))).map(keyShown),
      }),
    );

    app.post(
      '/api/v2/signing-keys/rotate',
      {
        config: { permission: 'signing_keys:rotate' },
        schema: {
          summary: 'Let the next key sign; the one before stays published until what it signed has expired',
          tags: ['Signing keys'],
          response: { 200: Keys, ...refusals },
        },
      },
      async (request) => {
        const { before, after } = await rotateKeys(db, secrets, request.caller);
        const data = after.map(keyShown);
        const signs = data.find(({ status }) => status === 'active');
        request.audit({
          ...(signs === undefined ? {} : { subject: signs.kid }),
          before: { data: before.map(keyShown) },
          after: { data },
        });
        return { data };
      },
    );
  };
}
