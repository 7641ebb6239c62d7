/** What is asked before anybody is signed in: which communities there are, and to join one. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { etagOf } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { currentTraceparent } from '../../../platform/trace/context.ts';
import { refuse } from '../errors.ts';
import { findCommunity, listedCommunities, logoVersion, PublicCommunity, publicView } from './communities.ts';
import { Invited, InvitedRequest, JoinRequest, joinByInvitation, seeInvitation } from './invited.ts';
import { getServedLogo } from './logo.ts';
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

const Slug = Type.Object({ slug: Type.String({ minLength: 1, maxLength: 63 }) });
// A text to the client; handed to Fastify as bytes.
const File = Type.Unsafe<Buffer>({ type: 'string', format: 'binary' });
/** Of an address that names the picture; the other one may show another picture soon. */
const [FOREVER, A_WHILE] = ['public, max-age=31536000, immutable', 'public, max-age=300'];

/** Whether the client has it (RFC 9110, section 13.1.2). */
const hasIt = (ifNoneMatch: string | undefined, etag: string) =>
  ifNoneMatch?.split(',').some((tag) => ['*', etag].includes(tag.trim().replace(/^W\//, ''))) === true;

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
          params: Slug,
          response: { 200: PublicCommunity, ...refusals },
        },
      },
      async ({ params }) => {
        const found = await findCommunity(db, params.slug);
        if (found === undefined) throw refuse('community_not_found', `There is no community ${params.slug}.`);
        return publicView(found);
      },
    );

    app.get(
      '/identity/communities/:slug/logo',
      {
        schema: {
          summary: 'The logo of a community, as a picture',
          tags,
          security,
          params: Slug,
          headers: Type.Object({
            'if-none-match': Type.Optional(
              Type.String({
                maxLength: 1_000,
                description: 'ETags of what one has: 304 where it is still the same',
              }),
            ),
          }),
          querystring: Type.Object({
            v: Type.Optional(
              Type.String({
                maxLength: 64,
                description: 'First twelve digits of its SHA-256: the answer may be kept for good then',
              }),
            ),
          }),
          response: {
            200: {
              description: 'The picture',
              content: { 'image/png': { schema: File }, 'image/webp': { schema: File } },
            },
            304: Type.Null({ description: 'The one that one has' }),
            ...refusals,
          },
        },
      },
      async ({ params, query, headers }, reply) => {
        const { content_type, sha256, read } = await getServedLogo(db, params.slug);
        const etag = etagOf(sha256);
        const isSame = hasIt(headers['if-none-match'], etag);
        const picture = isSame ? null : await read();
        reply
          .header('etag', etag)
          .header('cache-control', query.v === logoVersion(sha256) ? FOREVER : A_WHILE)
          // Whoever opens it by itself gets a picture and nothing that could run.
          .header('content-security-policy', "default-src 'none'; sandbox");
        if (picture === null) return reply.code(304).send(null);
        return reply.type(content_type).send(picture);
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
            202: Type.Object({
              status: Type.Enum(['mailed', 'kept'], {
                description:
                  '`kept`: this installation sends no mail (`SMTP_URL`). The link lies in its outbox, where the institution finds it',
              }),
            }),
            ...refusals,
          },
        },
      },
      async (request, reply) => {
        const status = await signUp(signingUp, originOf(request), request.body);
        reply.code(202);
        return { status };
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
