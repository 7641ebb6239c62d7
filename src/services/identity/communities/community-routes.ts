/** What the staff of an institution does about communities of developers: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody, Text } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import { callOf } from '../../../platform/port/port.ts';
import {
  Community,
  CommunityRequest,
  createCommunity,
  EditCommunityRequest,
  editCommunity,
  type FoundCommunity,
  getCommunity,
  ListCommunitiesQuery,
  listCommunities,
} from './communities.ts';
import {
  ApprovalRequest,
  approveLiveAccess,
  type Decided,
  getLiveRequest,
  ListLiveRequestsQuery,
  type LiveAccess,
  LiveRequest,
  listLiveRequests,
  rejectLiveAccess,
  setLiveApplications,
} from './live-access.ts';
import { LogoRequest, putLogo, removeLogo } from './logo.ts';
import {
  decide,
  getOrganisation,
  ListOrganisationsQuery,
  listOrganisations,
  Organisation,
  setOwnTenantSuspended,
} from './organisations.ts';
import { portalUrl } from './portal-url.ts';
import { mailApproval, type SigningUp } from './sign-up.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const CommunityParams = Type.Object({ community_id: Id('com') });
const OrganisationParams = Type.Object({ organisation_id: Id('org') });
const RequestParams = Type.Object({ live_request_id: Id('lrq') });
const Reason = Type.Object(
  { reason: Text({ min: 1, max: 1_000, description: 'Told to the organisation' }) },
  { additionalProperties: false },
);

type Deciding = LiveAccess & Pick<SigningUp, 'askNotifications' | 'publicUrl'>;

export function communityRoutes(deciding: Deciding): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db, askNotifications, publicUrl } = deciding;
    const tags = ['Communities'];

    app.get(
      '/api/v2/communities',
      {
        config: { permission: 'communities:read' },
        schema: {
          summary: 'List communities of developers, newest first',
          tags,
          querystring: ListCommunitiesQuery,
          response: { 200: Page(Community), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listCommunities(tx, caller, query)),
    );

    app.post(
      '/api/v2/communities',
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Make a community of developers',
          tags,
          headers: IdempotencyHeaders,
          body: CommunityRequest,
          response: { 201: Community, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/communities');
        const { community, version, replayed } = await createCommunity(
          deciding,
          request.caller,
          request.body,
          attempt,
        );
        request.audit({ subject: community.id, ...(replayed ? {} : { after: community }) });
        answerCreated(reply, `/api/v2/communities/${community.id}`, replayed);
        reply.header('etag', etagOf(version));
        return community;
      },
    );

    app.get(
      '/api/v2/communities/:community_id',
      {
        config: { permission: 'communities:read' },
        schema: {
          summary: 'A community of developers',
          tags,
          params: CommunityParams,
          response: { 200: Community, ...refusals },
        },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('com', params.community_id);
        const { community, version } = await db.read(caller, (tx) => getCommunity(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return community;
      },
    );

    app.patch(
      '/api/v2/communities/:community_id',
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Edit a community of developers; whoever edits it answers for it',
          tags,
          params: CommunityParams,
          headers: IfMatchHeaders,
          body: EditCommunityRequest,
          response: { 200: Community, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('com', params.community_id);
        const { before, after, version } = await editCommunity(
          deciding,
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

    app.put(
      '/api/v2/communities/:community_id/logo',
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Give a community a logo, which is stored here and served to everybody',
          description:
            'In the place of the one that it has. Who answers for the community stays who they are, since nothing is offered by it.',
          tags,
          params: CommunityParams,
          headers: IfMatchHeaders,
          body: LogoRequest,
          response: { 200: Community, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('com', params.community_id);
        const { before, after, community, version } = await putLogo(
          db,
          caller,
          uuid,
          body,
          headers['if-match'],
        );
        request.audit({ subject: community.id, before, after });
        reply.header('etag', etagOf(version));
        return community;
      },
    );

    app.delete(
      '/api/v2/communities/:community_id/logo',
      {
        config: { permission: 'communities:edit' },
        schema: {
          summary: 'Take the logo of a community away; its pages show a letter then',
          tags,
          params: CommunityParams,
          headers: IfMatchHeaders,
          response: { 200: Community, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, headers } = request;
        const uuid = uuidOf('com', params.community_id);
        const { before, after, community, version } = await removeLogo(db, caller, uuid, headers['if-match']);
        request.audit({ subject: community.id, before, after });
        reply.header('etag', etagOf(version));
        return community;
      },
    );

    app.get(
      '/api/v2/organisations',
      {
        config: { permission: 'organisations:read' },
        schema: {
          summary: 'List organisations of developers, newest first',
          tags,
          querystring: ListOrganisationsQuery,
          response: { 200: Page(Organisation), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listOrganisations(tx, caller, query)),
    );

    app.get(
      '/api/v2/organisations/:organisation_id',
      {
        config: { permission: 'organisations:read' },
        schema: {
          summary: 'An organisation of developers',
          tags,
          params: OrganisationParams,
          response: { 200: Organisation, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getOrganisation(tx, caller, uuidOf('org', params.organisation_id))),
    );

    /** Tells the organisation what was decided. It stands, whether or not it can be told. */
    async function tellDecision(
      request: Parameters<typeof callOf>[0],
      organisation: Organisation,
      about: { subject: string; decision: string; reason: string | undefined; cause: string },
    ): Promise<void> {
      const { community, institution } = await communityOf(request, organisation);
      const { contact_name: name, contact_email: email, language, id: reference } = organisation;
      const { subject, decision, reason, cause } = about;
      await askNotifications('tell', callOf(request), {
        recipient: { reference, kind: 'organisation', name, email, language },
        topic: 'developers.decision',
        data: {
          community: community.name,
          institution,
          subject,
          decision,
          ...(reason === undefined ? {} : { reason }),
          link: portalUrl(publicUrl, ''),
        },
        cause,
      }).catch((error: unknown) =>
        request.log.warn({ err: error, organisation: reference }, 'a decision could not be told by mail'),
      );
    }

    function communityOf(
      { caller }: Parameters<typeof callOf>[0],
      { community_id }: Organisation,
    ): Promise<FoundCommunity> {
      return db.read(caller, (tx) => getCommunity(tx, caller, uuidOf('com', community_id)));
    }

    app.post(
      '/api/v2/organisations/:organisation_id/approve',
      {
        config: { permission: 'organisations:decide' },
        schema: {
          summary: 'Let an organisation in; a link to go on is mailed to it',
          tags,
          params: OrganisationParams,
          response: { 200: Organisation, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('org', request.params.organisation_id);
        const by = request.caller.principal.id;
        const decision = { decision: 'approve', by, reason: undefined } as const;
        const { before, after } = await decide(db, request.caller, uuid, decision);
        request.audit({ subject: after.id, before, after });
        // Once more where it was approved and the mail did not go out.
        await mailApproval(deciding, callOf(request), await communityOf(request, after), uuid);
        return after;
      },
    );

    for (const [decision, decided, summary, status] of [
      ['reject', 'rejected', 'Refuse an organisation', undefined],
      ['suspend', 'suspended', 'Suspend an organisation, with its sandbox and its keys, at once', 'disabled'],
      ['resume', 'resumed', 'Let a suspended organisation in again', 'active'],
    ] as const) {
      app.post(
        `/api/v2/organisations/:organisation_id/${decision}`,
        {
          config: { permission: 'organisations:decide' },
          schema: {
            summary,
            tags,
            params: OrganisationParams,
            body: Reason,
            response: { 200: Organisation, ...refusals },
          },
        },
        async (request) => {
          const { caller, params, body } = request;
          const uuid = uuidOf('org', params.organisation_id);
          const by = caller.principal.id;
          const { before, after } = await decide(db, caller, uuid, { decision, by, reason: body.reason });
          request.audit({ subject: after.id, before, after });
          if (status !== undefined) {
            await setOwnTenantSuspended(db, uuid, status === 'disabled' ? body.reason : undefined);
            await setLiveApplications(deciding, caller, uuid, status);
          }
          const cause = `${after.id}/${decided}/${after.decided_at ?? ''}`.replaceAll(':', '.');
          const told = { subject: after.name, decision: decided, reason: after.reason, cause };
          await tellDecision(request, after, told);
          return after;
        },
      );
    }

    app.get(
      '/api/v2/live-requests',
      {
        config: { permission: 'live_access:read' },
        schema: {
          summary: 'List what organisations ask to do beyond their own sandbox, newest first',
          tags,
          querystring: ListLiveRequestsQuery,
          response: { 200: Page(LiveRequest), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listLiveRequests(tx, caller, query)),
    );

    app.get(
      '/api/v2/live-requests/:live_request_id',
      {
        config: { permission: 'live_access:read' },
        schema: {
          summary: 'What an organisation asks to do beyond its own sandbox',
          tags,
          params: RequestParams,
          response: { 200: LiveRequest, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getLiveRequest(tx, caller, uuidOf('lrq', params.live_request_id))),
    );

    async function tellOf(request: Parameters<typeof callOf>[0], { after }: Decided): Promise<void> {
      const { caller } = request;
      const organisation = await db.read(caller, (tx) =>
        getOrganisation(tx, caller, uuidOf('org', after.organisation_id)),
      );
      await tellDecision(request, organisation, {
        subject: `${after.organisation_name}: ${after.name}`,
        decision: after.status,
        reason: after.reason,
        cause: `${after.id}/${after.status}`,
      });
    }

    app.post(
      '/api/v2/live-requests/:live_request_id/approve',
      {
        config: { permission: 'live_access:decide' },
        schema: {
          summary: 'Give what an organisation asked for, or some of it, to an application of its own',
          tags,
          params: RequestParams,
          body: ApprovalRequest,
          response: { 200: LiveRequest, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('lrq', request.params.live_request_id);
        const decided = await approveLiveAccess(deciding, request.caller, uuid, request.body);
        request.audit({ subject: decided.after.id, ...decided });
        await tellOf(request, decided);
        return decided.after;
      },
    );

    app.post(
      '/api/v2/live-requests/:live_request_id/reject',
      {
        config: { permission: 'live_access:decide' },
        schema: {
          summary: 'Refuse what an organisation asked for',
          tags,
          params: RequestParams,
          body: Reason,
          response: { 200: LiveRequest, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('lrq', request.params.live_request_id);
        const decided = await rejectLiveAccess(deciding, request.caller, uuid, request.body.reason);
        request.audit({ subject: decided.after.id, ...decided });
        await tellOf(request, decided);
        return decided.after;
      },
    );
  };
}
