/** How staff invite organisations into a community: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import { callOf } from '../../../platform/port/port.ts';
import { getCommunity } from './communities.ts';
import {
  CommunityInvitation,
  CommunityInvitationRequest,
  getCommunityInvitation,
  type InvitationPlace,
  type Inviting,
  inviteToCommunity,
  ListCommunityInvitationsQuery,
  listCommunityInvitations,
  mailInvitation,
  renewLink,
  withdrawInvitation,
} from './invitations.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const CommunityParams = Type.Object({ community_id: Id('com') });
const InvitationParams = Type.Object({ community_id: Id('com'), community_invitation_id: Id('cin') });

function placeOf(params: Static<typeof InvitationParams>): InvitationPlace {
  return {
    community_id: uuidOf('com', params.community_id),
    id: uuidOf('cin', params.community_invitation_id),
  };
}

export function communityInvitationRoutes(inviting: Inviting): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = inviting;
    const tags = ['Communities'];
    const base = '/api/v2/communities/:community_id/invitations';

    app.get(
      base,
      {
        config: { permission: 'organisations:read' },
        schema: {
          summary: 'List invitations into a community, newest first',
          tags,
          params: CommunityParams,
          querystring: ListCommunityInvitationsQuery,
          response: { 200: Page(CommunityInvitation), ...refusals },
        },
      },
      async ({ caller, params, query }) =>
        db.read(caller, async (tx) => {
          const community_id = uuidOf('com', params.community_id);
          await getCommunity(tx, caller, community_id);
          return listCommunityInvitations(tx, caller, community_id, query);
        }),
    );

    app.post(
      base,
      {
        config: { permission: 'organisations:decide' },
        schema: {
          summary: 'Invite the first developer of an organisation, by mail; nobody has to approve it then',
          tags,
          params: CommunityParams,
          headers: IdempotencyHeaders,
          body: CommunityInvitationRequest,
          response: { 201: CommunityInvitation, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body } = request;
        const path = `/api/v2/communities/${params.community_id}/invitations`;
        const community_id = uuidOf('com', params.community_id);
        const made = await inviteToCommunity(db, caller, community_id, body, attemptOf(request, path));
        const { invitation, replayed } = made;
        request.audit({ subject: invitation.id, ...(replayed ? {} : { after: invitation }) });
        answerCreated(reply, `${path}/${invitation.id}`, replayed);
        // A repetition mails what could not be mailed before.
        if (invitation.mailed_at !== undefined || invitation.status !== 'pending') return invitation;
        const place = { community_id, id: uuidOf('cin', invitation.id) };
        return mailInvitation(inviting, callOf(request), await renewLink(db, caller, place), place);
      },
    );

    app.get(
      `${base}/:community_invitation_id`,
      {
        config: { permission: 'organisations:read' },
        schema: {
          summary: 'An invitation into a community',
          tags,
          params: InvitationParams,
          response: { 200: CommunityInvitation, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getCommunityInvitation(tx, caller, placeOf(params))),
    );

    app.post(
      `${base}/:community_invitation_id/withdraw`,
      {
        config: { permission: 'organisations:decide' },
        schema: {
          summary: 'Take back an invitation into a community; its link is good no more',
          tags,
          params: InvitationParams,
          response: { 200: CommunityInvitation, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const { before, after } = await withdrawInvitation(db, caller, placeOf(params));
        request.audit({ subject: after.id, before, after });
        return after;
      },
    );

    app.post(
      `${base}/:community_invitation_id/resend`,
      {
        config: { permission: 'organisations:decide' },
        schema: {
          summary: 'Mail another link of an invitation into a community; the one before is good no more',
          tags,
          params: InvitationParams,
          response: { 200: CommunityInvitation, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const place = placeOf(params);
        const renewed = await renewLink(db, caller, place);
        const { before, after } = renewed;
        request.audit({ subject: after.id, before, after });
        return mailInvitation(inviting, callOf(request), renewed, place);
      },
    );
  };
}
