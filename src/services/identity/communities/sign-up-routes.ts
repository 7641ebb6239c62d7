/** What is asked before anybody is signed in: which communities there are, and to join one. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { ProblemBody } from '../../../platform/http.ts';
import { currentTraceparent } from '../../../platform/trace/context.ts';
import { refuse } from '../errors.ts';
import { findCommunity, listedCommunities, PublicCommunity, publicView } from './communities.ts';
import { Invited, InvitedRequest, JoinRequest, joinByInvitation, seeInvitation } from './invited.ts';
import {
  type Origin,
  type SigningUp,
  SignUpRequest,
  signUp,
  Verified,
  VerifyRequest,
  verify,
} from './sign-up.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

/** Longest body of a sign-up. */
const LIMIT_BYTES = 20_000;

function originOf({ id, ip }: FastifyRequest): Origin {
  const traceparent = currentTraceparent();
  return { request_id: id, address: ip, ...(traceparent === undefined ? {} : { traceparent }) };
}

export function signUpRoutes(signingUp: SigningUp): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = signingUp;
    const tags = ['Portal'];
    // Nobody is known yet.
    const security: [] = [];

    app.get(
      '/identity/communities',
      {
        schema: {
          summary: 'Communities of developers that can be joined',
          tags,
          security,
          response: { 200: Type.Object({ data: Type.Array(PublicCommunity) }), ...refusals },
        },
      },
      async () => ({ data: await listedCommunities(db) }),
    );

    app.get(
      '/identity/communities/:slug',
      {
        schema: {
          summary: 'A community of developers, with its terms',
          tags,
          security,
          params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: 63 }) }),
          response: { 200: PublicCommunity, ...refusals },
        },
      },
      async ({ params }) => {
        const found = await findCommunity(db, params.slug);
        if (found === undefined) throw refuse('community_not_found', `There is no community ${params.slug}.`);
        return publicView(found);
      },
    );

    app.post(
      '/identity/sign-ups',
      {
        bodyLimit: LIMIT_BYTES,
        schema: {
          summary: 'Join a community: a link is mailed by which the address is confirmed',
          tags,
          security,
          body: SignUpRequest,
          response: {
            202: Type.Object({ status: Type.Literal('mailed') }),
            ...refusals,
          },
        },
      },
      async (request, reply) => {
        await signUp(signingUp, originOf(request), request.body);
        reply.code(202);
        return { status: 'mailed' } as const;
      },
    );

    app.post(
      '/identity/sign-ups/verify',
      {
        bodyLimit: LIMIT_BYTES,
        schema: {
          summary: 'Confirm the address by the token of the link, and get an invitation to the own sandbox',
          tags,
          security,
          body: VerifyRequest,
          response: { 200: Verified, ...refusals },
        },
      },
      async ({ body }) => verify(db, body),
    );

    app.post(
      '/identity/sign-ups/invitation',
      {
        bodyLimit: LIMIT_BYTES,
        schema: {
          summary: 'What one is invited to, by the token of the link',
          tags,
          security,
          body: InvitedRequest,
          response: { 200: Invited, ...refusals },
        },
      },
      async ({ body }) => seeInvitation(db, body),
    );

    app.post(
      '/identity/sign-ups/accept',
      {
        bodyLimit: LIMIT_BYTES,
        schema: {
          summary: 'Join a community by the token of an invitation, and get an invitation to the own sandbox',
          tags,
          security,
          body: JoinRequest,
          response: { 200: Verified, ...refusals },
        },
      },
      async ({ ip, body }) => joinByInvitation(db, ip, body),
    );
  };
}
