/** What a developer does at the community of their organisation: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { AuditTrail } from '../../../platform/audit/write.ts';
import { Page } from '../../../platform/cursor.ts';
import type { Scope } from '../../../platform/db.ts';
import { ProblemBody, Text } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import type { ReadLimits } from '../../../platform/limits/limits.ts';
import { callOf } from '../../../platform/port/port.ts';
import { OwnUsageQuery, type ReadUsage, UsageReport } from '../../../platform/usage/read.ts';
import { refuse } from '../errors.ts';
import { KeyUsage } from '../plans.ts';
import { type Checking, Checklist, checklistOf } from './checklist.ts';
import { getCommunity, PublicCommunity, publicView } from './communities.ts';
import {
  assertGiven,
  createLiveKey,
  ListLiveRequestsQuery,
  type LiveAccess,
  LiveApplications,
  LiveKey,
  LiveKeyRequest,
  LiveRequest,
  LiveRequestBody,
  listLiveApplications,
  listLiveRequests,
  readLiveKeyUsage,
  requestLiveAccess,
  revokeLiveKey,
} from './live-access.ts';
import { acceptTerms, Organisation, ownOrganisation } from './organisations.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const PortalSelf = Type.Object({
  organisation: Organisation,
  community: PublicCommunity,
  terms_current: Type.Boolean({ description: 'Whether the organisation accepted the terms as they are now' }),
  checklist: Checklist,
});
const ApplicationParams = Type.Object({ application_id: Id('app') });
const KeyParams = Type.Object({ application_id: Id('app'), key_id: Id('key') });

type Portal = LiveAccess &
  Checking & { audit: Pick<AuditTrail, 'record'>; limits: ReadLimits; usage: ReadUsage };

export function portalRoutes(portal: Portal): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db, audit, limits, usage } = portal;
    const tags = ['Portal'];

    /** The organisation of whoever asks, and its community. */
    async function standing({ caller }: FastifyRequest) {
      const { host, organisation } = await ownOrganisation(db, caller);
      const found = await db.read(host, (tx) =>
        getCommunity(tx, host, uuidOf('com', organisation.community_id)),
      );
      return { host, organisation, found, uuid: uuidOf('org', organisation.id) };
    }

    /** What a partner did about access to an institution is on the institution's record, too. */
    async function recordAtHost(
      request: FastifyRequest,
      host: Scope,
      change: { subject: string; before?: object; after: object },
    ): Promise<void> {
      const { caller, method, url, ip, routeOptions, id } = request;
      await audit.record({
        tenant_id: host.tenant_id,
        environment: host.environment,
        principal: caller.principal,
        address: ip,
        method,
        ...(routeOptions.url === undefined ? {} : { route: routeOptions.url }),
        path: url.split('?')[0] ?? '',
        request_id: id,
        outcome: 'done',
        status: 200,
        ...change,
      });
    }

    app.get(
      '/api/v2/portal/self',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary:
            'The organisation that one develops for, its community, and what is to be done before live access',
          tags,
          response: { 200: PortalSelf, ...refusals },
        },
      },
      async (request) => {
        const { organisation, found } = await standing(request);
        const { community } = found;
        return {
          organisation,
          community: publicView(found),
          terms_current: organisation.terms_version === community.terms.version,
          checklist: await checklistOf(portal, callOf(request), { organisation, community }),
        };
      },
    );

    app.post(
      '/api/v2/portal/terms/accept',
      {
        config: { permission: 'portal:request_live_access' },
        schema: {
          summary: 'Accept the terms of the community as they are now',
          tags,
          body: Type.Object(
            { version: Text({ min: 1, max: 64, description: 'That was shown' }) },
            { additionalProperties: false },
          ),
          response: { 200: Organisation, ...refusals },
        },
      },
      async (request) => {
        const { host, organisation: before, found, uuid } = await standing(request);
        const { version } = request.body;
        if (version !== found.community.terms.version) {
          throw refuse(
            'terms_not_current',
            `The terms are of version ${found.community.terms.version} by now.`,
          );
        }
        const by = request.caller.principal.id;
        const after = await acceptTerms(db, host, uuid, { version, by, address: request.ip });
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );

    app.get(
      '/api/v2/portal/live-requests',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'List what the own organisation asked for, newest first',
          tags,
          querystring: ListLiveRequestsQuery,
          response: { 200: Page(LiveRequest), ...refusals },
        },
      },
      async (request) => {
        const { host, uuid } = await standing(request);
        return db.read(host, (tx) => listLiveRequests(tx, host, request.query, uuid));
      },
    );

    app.post(
      '/api/v2/portal/live-requests',
      {
        config: { permission: 'portal:request_live_access' },
        schema: {
          summary: 'Ask for access beyond the own sandbox, for an application',
          tags,
          headers: IdempotencyHeaders,
          body: LiveRequestBody,
          response: { 201: LiveRequest, ...refusals },
        },
      },
      async (request, reply) => {
        const path = '/api/v2/portal/live-requests';
        const { host, organisation, found, uuid } = await standing(request);
        const { community } = found;
        const checklist = await checklistOf(portal, callOf(request), { organisation, community });
        const open = checklist.filter(({ done }) => !done).map(({ item }) => item);
        if (open.length > 0) {
          throw refuse('live_access_not_ready', `To be done before: ${open.join(', ')}.`, { items: open });
        }
        const asking = { host, organisation: uuid, community_id: uuidOf('com', organisation.community_id) };
        const { request: made, replayed } = await requestLiveAccess(
          portal,
          request.caller,
          asking,
          request.body,
          attemptOf(request, path),
        );
        request.audit({ subject: made.id, ...(replayed ? {} : { after: made }) });
        answerCreated(reply, path, replayed);
        return made;
      },
    );

    app.get(
      '/api/v2/portal/live-applications',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'What the own organisation was given, with its keys',
          tags,
          response: { 200: LiveApplications, ...refusals },
        },
      },
      async (request) => {
        const { host, uuid } = await standing(request);
        return db.read(host, (tx) => listLiveApplications(tx, host, uuid));
      },
    );

    app.get(
      '/api/v2/portal/live-applications/:application_id/usage',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'Calls, errors and latency of an application that the own organisation was given',
          tags,
          params: ApplicationParams,
          querystring: OwnUsageQuery,
          response: { 200: UsageReport, ...refusals },
        },
      },
      async (request) => {
        const { application_id } = request.params;
        const { host, uuid } = await standing(request);
        await db.read(host, (tx) => assertGiven(tx, host, uuid, application_id));
        return usage.read(host, { ...request.query, application_id });
      },
    );

    app.get(
      '/api/v2/portal/live-applications/:application_id/keys/:key_id/usage',
      {
        config: { permission: 'portal:read' },
        schema: {
          summary: 'What a key of such an application has asked, and what it may still ask',
          tags,
          params: KeyParams,
          response: { 200: KeyUsage, ...refusals },
        },
      },
      async (request) => {
        const { host, uuid } = await standing(request);
        return readLiveKeyUsage(db, limits, host, uuid, request.params);
      },
    );

    app.post(
      '/api/v2/portal/live-applications/:application_id/keys',
      {
        config: { permission: 'portal:make_keys' },
        schema: {
          summary: 'Make a key of an application that the own organisation was given; it is told once',
          tags,
          params: ApplicationParams,
          headers: IdempotencyHeaders,
          body: LiveKeyRequest,
          response: { 201: LiveKey, ...refusals },
        },
      },
      async (request, reply) => {
        const { application_id } = request.params;
        const path = `/api/v2/portal/live-applications/${application_id}/keys`;
        const { host, uuid } = await standing(request);
        const { created, replayed } = await createLiveKey(
          portal,
          host,
          uuid,
          application_id,
          request.body,
          attemptOf(request, path),
        );
        const { key: _, ...after } = created;
        request.audit({ subject: created.id, ...(replayed ? {} : { after }) });
        if (!replayed) await recordAtHost(request, host, { subject: created.id, after });
        answerCreated(reply, '/api/v2/portal/live-applications', replayed);
        return created;
      },
    );

    app.post(
      '/api/v2/portal/live-applications/:application_id/keys/:key_id/revoke',
      {
        config: { permission: 'portal:make_keys' },
        schema: {
          summary: 'Revoke a key of an application that the own organisation was given',
          tags,
          params: KeyParams,
          response: { 200: LiveKey, ...refusals },
        },
      },
      async (request) => {
        const { host, uuid } = await standing(request);
        const by = request.caller.principal.id;
        const { before, after } = await revokeLiveKey(portal, host, uuid, { ...request.params, by });
        request.audit({ subject: after.id, before, after });
        await recordAtHost(request, host, { subject: after.id, before, after });
        return after;
      },
    );
  };
}
