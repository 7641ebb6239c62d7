/** An authorization server of one tenant and environment: oidc-provider, told what is particular here. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
  Provider,
} from 'oidc-provider';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Database, Scope } from '../../../platform/db.ts';
import { formatId, parseId } from '../../../platform/ids.ts';
import type { fetchThrough } from '../../../platform/outgoing.ts';
import { html, textOf } from '../../../platform/page/html.ts';
import { Problem } from '../../../platform/problem.ts';
import type { Secrets } from '../../../platform/secret.ts';
import type { tokenVerifier } from './access-token.ts';
import { findClient } from './applications.ts';
import { artifacts, revokeTokens } from './artifacts.ts';
import type { FindCertificate } from './certificate.ts';
import { findConsent } from './consents.ts';
import { PROOF_ALGS } from './dpop.ts';
import { ACCESS_TOKEN_TTL_S, audienceOf, CLOCK_TOLERANCE_S, issuerOf, issuerPath } from './issuer.ts';
import type { People, SignedInPerson } from './person.ts';
import type { KeptKey } from './signing-keys.ts';
import { privateJwk, SIGNING_ALG } from './signing-keys.ts';

/** Fetches a document of a partner. Must refuse addresses that are not of the public internet. */
export type Fetch = ReturnType<typeof fetchThrough>;

export interface ProviderOptions {
  db: Database;
  permissions: PermissionCatalogue;
  secrets: Secrets;
  people: People;
  verify: ReturnType<typeof tokenVerifier>;
  findCertificate: FindCertificate;
  publicUrl: () => string;
  fetch: Fetch;
  onError: (error: unknown) => void;
  /** Who is signed in at the browser that sent a request. */
  signedInAt: (request: IncomingMessage) => Promise<SignedInPerson | undefined>;
}

type OidcContext = KoaContextWithOIDC['oidc'];

const DAY_S = 86_400;
const CODE_TTL_S = 60;
const ID_TOKEN_TTL_S = 3_600;
const REFRESH_TTL_S = 30 * DAY_S;
const GRANT_TTL_S = 365 * DAY_S;
const SESSION_TTL_S = 12 * 3_600;
const INTERACTION_TTL_S = 1_800;

const SIGNING_ALGS = ['ES256', 'PS256', 'EdDSA'] as const;

function policy(options: ProviderOptions) {
  const prompts = interactionPolicy.base();
  const { Check } = interactionPolicy;
  prompts.get('login')?.checks.add(
    // The provider's own session must not outlive the person's.
    new Check(
      'signed_out',
      'the person is not signed in any more',
      'login_required',
      async ({ oidc, req }) => {
        const { accountId } = oidc.session ?? {};
        if (accountId === undefined) return Check.NO_NEED_TO_PROMPT;
        const person = await options.signedInAt(req);
        return person === undefined || formatId('usr', person.person_uuid) !== accountId
          ? Check.REQUEST_PROMPT
          : Check.NO_NEED_TO_PROMPT;
      },
    ),
  );
  return prompts;
}

function configurationOf(options: ProviderOptions, scope: Scope, keys: readonly KeptKey[]): Configuration {
  const { db, permissions, secrets, people, findCertificate, publicUrl } = options;
  const audience = audienceOf(publicUrl());
  const names = Object.keys(permissions.types);
  const isPermission = new Set(names);
  const [active] = keys;
  const path = issuerPath(scope);
  const cookie = { httpOnly: true, sameSite: 'lax' as const };
  return {
    adapter: artifacts(db, scope, (id) => findClient(db, permissions, scope, id)),
    jwks: { keys: keys.map((key) => privateJwk(secrets, scope, key)) },
    scopes: ['openid', 'offline_access', ...names],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    // Names and addresses are in the ID token, too: a token for the API is not one for userinfo.
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    clientAuthMethods: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
      'self_signed_tls_client_auth',
      'none',
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: [...SIGNING_ALGS],
      idTokenSigningAlgValues: [SIGNING_ALG],
      userinfoSigningAlgValues: [SIGNING_ALG],
      introspectionSigningAlgValues: [SIGNING_ALG],
      requestObjectSigningAlgValues: [...SIGNING_ALGS],
      authorizationSigningAlgValues: [SIGNING_ALG],
      dPoPSigningAlgValues: [...PROOF_ALGS],
    },
    clientDefaults: { id_token_signed_response_alg: SIGNING_ALG },
    extraClientMetadata: { properties: ['fapi', 'secret_hashes'] },
    clockTolerance: CLOCK_TOLERANCE_S,
    clientBasedCORS: () => false,
    pkce: { required: () => true },
    cookies: { long: { ...cookie, path }, short: cookie },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        getCertificate: ({ req }) => findCertificate(req)?.toString(),
      },
      fapi: { enabled: true, profile: (_ctx, client) => (client?.['fapi'] === true ? '2.0' : undefined) },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: (_ctx, model) => [...model.scopes].some((each) => isPermission.has(each)),
        getResourceServerInfo(_ctx, resource) {
          if (resource !== audience) throw new errors.InvalidTarget();
          return {
            scope: names.join(' '),
            audience,
            accessTokenTTL: ACCESS_TOKEN_TTL_S,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: SIGNING_ALG, ...(active === undefined ? {} : { kid: active.kid }) } },
          };
        },
      },
    },
    ttl: {
      AccessToken: () => ACCESS_TOKEN_TTL_S,
      ClientCredentials: () => ACCESS_TOKEN_TTL_S,
      AuthorizationCode: () => CODE_TTL_S,
      IdToken: () => ID_TOKEN_TTL_S,
      RefreshToken: () => REFRESH_TTL_S,
      Grant: () => GRANT_TTL_S,
      Session: () => SESSION_TTL_S,
      Interaction: () => INTERACTION_TTL_S,
    },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && source.scopes.has('offline_access'),
    extraTokenClaims: (_ctx, token) =>
      'grantId' in token && typeof token.grantId === 'string' ? { grant_id: token.grantId } : undefined,
    formats: {
      customizers: {
        jwt({ oidc }, token, jwt) {
          // An application that asks for nothing in particular gets what it may have (RFC 6749, section 3.3).
          if (token.kind === 'ClientCredentials') jwt.payload['scope'] ??= ownScopes(oidc, isPermission);
        },
      },
    },
    async loadExistingGrant({ oidc }) {
      const { provider, client, session, result } = oidc;
      const account_id = session?.accountId;
      if (client === undefined || account_id === undefined) return undefined;
      const id = result?.consent?.grantId ?? (await findConsent(db, scope, account_id, client.clientId));
      return id === undefined ? undefined : provider.Grant.find(id);
    },
    async findAccount(_ctx, sub) {
      const person = await people.findPerson(scope, parseId('usr', sub) ?? '');
      if (person === undefined) return undefined;
      return { accountId: sub, claims: async () => ({ sub, name: person.name, email: person.email }) };
    },
    interactions: {
      policy: policy(options),
      url: (_ctx, { uid }) => `${path}/interaction/${uid}`,
    },
    fetch: withoutFreshness(options.fetch),
    renderError(ctx, { error, error_description }) {
      ctx.type = 'html';
      ctx.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
      ctx.body =
        textOf(html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${error}</title></head>
<body><h1>The application's request cannot be answered</h1><p><code>${error}</code> ${error_description ?? ''}</p></body></html>`);
    },
  };
}

/**
 * The keys of an application are asked for anew after a minute, whatever is said of how long they are good: else a key that
 * the partner took out, or what its server said in a bad hour, would count for as long (clients.test.ts).
 */
function withoutFreshness(guarded: Fetch): Fetch {
  return async (url, init) => {
    const answer = await guarded(url, init);
    for (const name of ['cache-control', 'expires']) answer.headers.delete(name);
    return answer;
  };
}

/** The permissions that the application of a request may have. */
function ownScopes(oidc: OidcContext, isPermission: ReadonlySet<string>): string {
  const scope = oidc.client?.scope ?? '';
  return scope
    .split(' ')
    .filter((each) => isPermission.has(each))
    .join(' ');
}

function tokenOf(oidc: OidcContext): string {
  const { token } = oidc.params ?? {};
  return typeof token === 'string' ? token : '';
}

/**
 * oidc-provider keeps no JWT access tokens and hence answers `unsupported_token_type`, to a client that it has
 * authenticated by then. Ours can be looked into and taken back all the same.
 */
async function answerForJwt(
  ctx: { status: number; body: unknown },
  oidc: OidcContext,
  options: ProviderOptions,
  scope: Scope,
): Promise<void> {
  const { client, route } = oidc;
  const found = await options.verify(tokenOf(oidc)).catch((error: unknown) => {
    if (error instanceof Problem) return undefined;
    throw error;
  });
  const own =
    found !== undefined &&
    found.scope.tenant_id === scope.tenant_id &&
    found.scope.environment === scope.environment &&
    found.claims.client_id === client?.clientId;
  ctx.status = 200;
  if (route === 'introspection') {
    ctx.body = own
      ? { ...found.claims, active: true, token_type: found.claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP' }
      : { active: false };
  } else {
    if (own) await options.db.write(scope, (tx) => revokeTokens(tx, scope, found.claims.jti));
    ctx.body = '';
  }
}

function errorOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined;
}

export function buildProvider(options: ProviderOptions, scope: Scope, keys: readonly KeptKey[]): Provider {
  const issuer = issuerOf(options.publicUrl(), scope);
  const provider = new Provider(issuer, configurationOf(options, scope, keys));
  // What the proxy headers say is written by mount.ts from the public address, never by a client.
  provider.proxy = true;
  provider.on('server_error', (_ctx, error) => options.onError(error));

  provider.Client.prototype.compareClientSecret = function compareClientSecret(actual: string) {
    const hashes = this['secret_hashes'];
    const given = hash('sha256', actual, 'buffer');
    return (
      Array.isArray(hashes) && hashes.some((kept) => timingSafeEqual(Buffer.from(String(kept), 'hex'), given))
    );
  };

  provider.use(async (ctx, next) => {
    await next();
    // Not there where no route was found.
    const oidc: OidcContext | undefined = ctx['oidc'];
    const { body } = ctx;
    if (oidc?.entities.ClientCredentials !== undefined && typeof body === 'object' && body !== null) {
      ctx.body = { scope: ownScopes(oidc, new Set(Object.keys(options.permissions.types))), ...body };
    }
    if (oidc?.client !== undefined && errorOf(ctx.body) === 'unsupported_token_type') {
      await answerForJwt(ctx, oidc, options, scope);
    }
  });
  return provider;
}
