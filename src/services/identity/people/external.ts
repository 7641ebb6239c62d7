/**
 * Signing in through the institution's own OpenID Connect provider: authorization code with PKCE, state and nonce. The
 * first time, whoever comes is matched by a verified address of the tenant's domains to a person or an open invitation;
 * from then on by the provider's subject alone.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import {
  authorizationCodeGrant,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  type IDToken,
  randomNonce,
  randomPKCECodeVerifier,
} from 'openid-client';
import { Type } from 'typebox';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { formatId, Id, uuidOf } from '../../../platform/ids.ts';
import { html } from '../../../platform/page/html.ts';
import { sendPage } from '../../../platform/page/layout.ts';
import { acceptInvitation, findInvitationOf, normalizedEmail } from './invitation.ts';
import { nextOf } from './next.ts';
import {
  clientSecretOf,
  discover,
  findProvider,
  IdentityProvider,
  noProvider,
  ProviderRequest,
  type ProviderRow,
  type Providers,
  providerOf,
  redirectUri,
  removeProvider,
  setProvider,
} from './provider.ts';
import { originOf } from './session.ts';
import { refused, type SigningIn, signInFromElsewhere } from './sign-in.ts';
import { hashOf, newToken, readToken } from './token.ts';

/** Cookie that binds a sign-in under way to the browser that began it: nobody is signed in by another's link. */
const BROWSER_COOKIE = 'financialapi_external';
const GOOD_FOR_S = 600;
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

const PersonRow = Type.Object({ person_id: Type.String() });
const UnderWayRow = Type.Object({
  nonce: Type.String(),
  code_verifier: Type.String(),
  next: Type.String(),
  provider_version: Type.Integer(),
});

function scopeOf(tenant_id: string) {
  return { tenant_id, environment: 'sandbox' as const };
}

export const verifierContext = (tenant_id: string) => `external sign-in ${tenant_id}`;

/** The address that the provider vouches for, if it is of a domain that it is believed about. */
function verifiedEmail(claims: IDToken, { email_domains }: ProviderRow): string | undefined {
  const { email, email_verified } = claims;
  if (typeof email !== 'string' || email_verified !== true) return undefined;
  const normalized = normalizedEmail(email);
  return email_domains.includes(normalized.slice(normalized.lastIndexOf('@') + 1)) ? normalized : undefined;
}

/** Whom the provider's claims stand for. Links a person or accepts an invitation the first time. */
async function personOf(
  { db }: Providers,
  tenant_id: string,
  row: ProviderRow,
  claims: IDToken,
): Promise<string> {
  const scope = scopeOf(tenant_id);
  const [linked] = await db.read(scope, (tx) =>
    tx.rows(
      PersonRow,
      'select person_id from identity.external_identities where tenant_id = $1 and issuer = $2 and subject = $3',
      [tenant_id, row.issuer, claims.sub],
    ),
  );
  if (linked !== undefined) return linked.person_id;
  const email = verifiedEmail(claims, row);
  if (email === undefined) throw refused();
  const invitation = await findInvitationOf(db, tenant_id, email);
  return db.write(invitation?.scope ?? scope, async (tx) => {
    const [known] = await tx.rows(
      PersonRow,
      `select id as person_id from identity.people where tenant_id = $1 and email = $2 and status = 'active'`,
      [tenant_id, email],
    );
    if (known === undefined && invitation === undefined) throw refused();
    const name = typeof claims['name'] === 'string' ? claims['name'].trim().slice(0, 255) : '';
    const person_id =
      known?.person_id ??
      (invitation === undefined
        ? undefined
        : await acceptInvitation(tx, invitation, {
            name: name || (invitation.name ?? email),
            password_hash: null,
          }));
    if (person_id === undefined) throw refused();
    const inserted = await tx.run(
      `insert into identity.external_identities (tenant_id, issuer, subject, person_id)
       select $1, $2, $3, $4
       where not exists (select from identity.external_identities
         where tenant_id = $1 and issuer = $2 and person_id = $4)`,
      [tenant_id, row.issuer, claims.sub, person_id],
    );
    // The provider gave the address to somebody else meanwhile: whose account it is, it cannot say any more.
    if (inserted === 0) throw refused();
    return person_id;
  });
}

export function externalRoutes(providers: Providers, signingIn: SigningIn): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db, secrets, publicUrl } = providers;
    const { sessions } = signingIn;
    const tags = ['Identity provider'];
    const cookieOptions = (request: FastifyRequest) => ({
      path: '/identity/external',
      httpOnly: true,
      // The provider sends the browser back here: with Strict the cookie would not come along.
      sameSite: 'lax' as const,
      secure: request.protocol === 'https' || publicUrl().startsWith('https:'),
    });

    app.get(
      '/api/v2/identity-provider',
      {
        config: { permission: 'identity_provider:read' },
        schema: {
          summary: 'The OpenID Connect provider that people may sign in through',
          tags,
          response: { 200: IdentityProvider, ...refusals },
        },
      },
      async ({ caller }, reply) => {
        const row = await db.read(caller, (tx) => findProvider(tx, caller));
        if (row !== undefined) reply.header('etag', etagOf(row.version));
        return providerOf(providers, formatId('ten', caller.tenant_id), row);
      },
    );

    app.put(
      '/api/v2/identity-provider',
      {
        config: { permission: 'identity_provider:edit' },
        schema: {
          summary: 'Set the OpenID Connect provider that people may sign in through',
          tags,
          headers: IfMatchHeaders,
          body: ProviderRequest,
          response: { 200: IdentityProvider, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, body, headers } = request;
        const { before, row } = await setProvider(providers, caller, body, headers['if-match']);
        const tenant = formatId('ten', caller.tenant_id);
        const after = providerOf(providers, tenant, row);
        // The secret is not told, but that it was set is.
        const given = body.client_secret === undefined ? {} : { client_secret: body.client_secret };
        request.audit({
          subject: tenant,
          before: providerOf(providers, tenant, before),
          after: { ...after, ...given },
        });
        reply.header('etag', etagOf(row.version));
        return after;
      },
    );

    app.delete(
      '/api/v2/identity-provider',
      {
        config: { permission: 'identity_provider:edit' },
        schema: {
          summary: 'Remove the OpenID Connect provider',
          tags,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller } = request;
        const tenant = formatId('ten', caller.tenant_id);
        request.audit({
          subject: tenant,
          before: providerOf(providers, tenant, await removeProvider(db, caller)),
        });
        reply.code(204);
        return null;
      },
    );

    app.get(
      '/identity/external/:tenant_id',
      {
        schema: {
          hide: true,
          params: Type.Object({ tenant_id: Id('ten') }),
          querystring: Type.Object({ next: Type.Optional(Type.String({ maxLength: 2_000 })) }),
        },
      },
      async (request, reply) => {
        const tenant_id = uuidOf('ten', request.params.tenant_id);
        const scope = scopeOf(tenant_id);
        const row = await db.read(scope, (tx) => findProvider(tx, scope));
        if (row === undefined) throw noProvider();
        const config = await discover(providers, {
          ...row,
          client_secret: clientSecretOf(providers, tenant_id, row),
        });
        const code_verifier = randomPKCECodeVerifier();
        const nonce = randomNonce();
        const state = newToken(tenant_id);
        const browser = randomBytes(32).toString('base64url');
        await db.write(scope, (tx) =>
          tx.run(
            `insert into identity.external_sign_ins
               (tenant_id, state_hash, browser_hash, nonce, code_verifier, next, provider_version, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8))`,
            [
              tenant_id,
              state.hash,
              hashOf(browser),
              nonce,
              secrets.encrypt(code_verifier, verifierContext(tenant_id)),
              nextOf(request.query.next),
              row.version,
              GOOD_FOR_S,
            ],
          ),
        );
        const url = buildAuthorizationUrl(config, {
          redirect_uri: redirectUri(publicUrl()),
          scope: 'openid email profile',
          code_challenge: await calculatePKCECodeChallenge(code_verifier),
          code_challenge_method: 'S256',
          state: state.token,
          nonce,
        });
        reply.setCookie(BROWSER_COOKIE, browser, { ...cookieOptions(request), maxAge: GOOD_FOR_S });
        return reply.redirect(url.href, 303);
      },
    );

    app.get(
      '/identity/external/callback',
      {
        schema: {
          hide: true,
          querystring: Type.Object({ state: Type.Optional(Type.String({ maxLength: 100 })) }),
        },
      },
      async (request, reply) => {
        const known = readToken(request.query.state ?? '');
        const browser = request.cookies[BROWSER_COOKIE];
        if (known === undefined || browser === undefined) throw refused();
        const { tenant_id } = known;
        const scope = scopeOf(tenant_id);
        reply.clearCookie(BROWSER_COOKIE, cookieOptions(request));
        const [underWay] = await db.write(scope, (tx) =>
          tx.rows(
            UnderWayRow,
            `delete from identity.external_sign_ins
             where tenant_id = $1 and state_hash = $2 and browser_hash = $3 and expires_at > now()
             returning nonce, code_verifier, next, provider_version`,
            [tenant_id, known.hash, hashOf(browser)],
          ),
        );
        const row = await db.read(scope, (tx) => findProvider(tx, scope));
        if (underWay === undefined || row === undefined || row.version !== underWay.provider_version) {
          throw refused();
        }
        const config = await discover(providers, {
          ...row,
          client_secret: clientSecretOf(providers, tenant_id, row),
        });
        let claims: IDToken | undefined;
        try {
          const tokens = await authorizationCodeGrant(config, new URL(request.url, publicUrl()), {
            pkceCodeVerifier: secrets.decrypt(underWay.code_verifier, verifierContext(tenant_id)),
            expectedState: request.query.state ?? '',
            expectedNonce: underWay.nonce,
            idTokenExpected: true,
          });
          claims = tokens.claims();
        } catch (error) {
          request.log.info({ err: error, tenant_id }, "the tenant's identity provider let nobody in");
        }
        if (claims === undefined) throw refused();
        const person_id = await personOf(providers, tenant_id, row, claims);
        const outcome = await signInFromElsewhere(signingIn, { tenant_id, person_id }, originOf(request));
        if (outcome.status !== 'signed_in') throw refused();
        sessions.setCookie(request, reply, outcome.token);
        // A redirect would still be of the navigation that another site began, without the cookie that is Strict.
        reply.header('refresh', `0; url=${underWay.next}`);
        return sendPage(reply, {
          title: 'Signed in',
          caller: undefined,
          url: underWay.next,
          content: html`<h1>Signed in</h1><p><a href="${underWay.next}">Continue</a></p>`,
        });
      },
    );
  };
}
