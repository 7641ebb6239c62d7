/** Callers by access token (RFC 9068): verified with the issuer's public keys in memory, bound to a key where it says so. */
import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { decodeJwt, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type Authenticator, suspended } from '../../../platform/access/access.ts';
import type { Caller, Principal } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import type { Database, Scope } from '../../../platform/db.ts';
import { parseId } from '../../../platform/ids.ts';
import { type Problem, refuse } from '../../../platform/problem.ts';
import type { UsedProofs } from '../used-proofs.ts';
import type { KeptApplication } from './applications.ts';
import type { FindCertificate } from './certificate.ts';
import { consentedScopes } from './consents.ts';
import { proofChecker, sameText } from './dpop.ts';
import { audienceOf, CLOCK_TOLERANCE_S, issuerOf, scopeOfIssuer } from './issuer.ts';
import type { IssuerState, IssuerStates } from './issuer-state.ts';
import type { People } from './person.ts';
import { SIGNING_ALG } from './signing-keys.ts';

const Claims = Type.Object({
  iss: Type.String(),
  sub: Type.String(),
  jti: Type.String(),
  client_id: Type.String(),
  exp: Type.Integer(),
  iat: Type.Integer(),
  scope: Type.Optional(Type.String()),
  grant_id: Type.Optional(Type.String()),
  cnf: Type.Optional(
    Type.Object({ jkt: Type.Optional(Type.String()), 'x5t#S256': Type.Optional(Type.String()) }),
  ),
});
type AccessTokenClaims = Static<typeof Claims>;

export interface Verified {
  scope: Scope;
  state: IssuerState;
  application: KeptApplication;
  claims: AccessTokenClaims;
}

const isJwt = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const credentials = /^(Bearer|DPoP) +(\S+) *$/i;

/** The refusal of a token. */
const bad = (detail: string): Problem => refuse('unauthenticated', detail);

/** Verifies an access token of any issuer here. Throws `unauthenticated` for one that is no good or no longer. */
export function tokenVerifier(states: IssuerStates, publicUrl: () => string) {
  return async (token: string): Promise<Verified> => {
    let issuer: unknown;
    try {
      issuer = decodeJwt(token).iss;
    } catch {
      throw bad('The access token cannot be read.');
    }
    const scope = scopeOfIssuer(publicUrl(), issuer);
    const state = scope === undefined ? undefined : await states.of(scope);
    if (scope === undefined || state === undefined) throw bad('The access token is of another issuer.');
    let claims: unknown;
    try {
      const { payload } = await jwtVerify(
        token,
        ({ kid = '' }) => {
          const key = state.publicKeys.get(kid);
          if (key === undefined) throw new Error('unknown key');
          return key;
        },
        {
          algorithms: [SIGNING_ALG],
          typ: 'at+jwt',
          issuer: issuerOf(publicUrl(), scope),
          audience: audienceOf(publicUrl()),
          clockTolerance: CLOCK_TOLERANCE_S,
          requiredClaims: ['exp', 'iat', 'jti', 'client_id', 'sub'],
        },
      );
      claims = payload;
    } catch {
      throw bad('The access token has expired, is for something else, or was not signed here.');
    }
    if (!Check(Claims, claims)) throw bad('The access token lacks claims.');
    const uuid = parseId('app', claims.client_id) ?? '';
    // What was signed here and is not known yet was registered a moment ago.
    const application =
      state.applications.get(uuid) ?? (await states.readAnew(scope))?.applications.get(uuid);
    if (application === undefined || application.status === 'disabled') {
      throw bad('The application that the access token was given to is disabled.');
    }
    if (
      state.revoked.has(claims.jti) ||
      (claims.grant_id !== undefined && state.revoked.has(claims.grant_id))
    ) {
      throw bad('The access token was revoked.');
    }
    return { scope, state, application, claims };
  };
}

export interface TokenAuthenticatorOptions {
  db: Database;
  states: IssuerStates;
  people: People;
  permissions: PermissionCatalogue;
  findCertificate: FindCertificate;
  usedProofs: UsedProofs;
  publicUrl: () => string;
}

const REMEMBERED_PEOPLE = 10_000;
/** As long as a key is believed if the database's word does not come. */
const BELIEVED_FOR_MS = 5_000;

export function tokenAuthenticator(options: TokenAuthenticatorOptions): Authenticator {
  const { db, states, people, permissions, findCertificate, publicUrl } = options;
  const verify = tokenVerifier(states, publicUrl);
  const wrongWith = proofChecker(options.usedProofs);
  const knownPeople = new LRUCache<string, ReturnType<People['findPerson']>>({
    max: REMEMBERED_PEOPLE,
    ttl: BELIEVED_FOR_MS,
  });

  function findPerson(scope: Scope, uuid: string): ReturnType<People['findPerson']> {
    const name = `${scope.tenant_id} ${scope.environment} ${uuid}`;
    const known = knownPeople.get(name);
    if (known !== undefined) return known;
    const reading = people.findPerson(scope, uuid);
    knownPeople.set(name, reading);
    reading.catch(() => knownPeople.delete(name));
    return reading;
  }

  /** Refuses a token that is bound to a key, unless whoever sends it shows that they have it. */
  async function assertBound(
    request: FastifyRequest,
    scheme: string,
    token: string,
    cnf: AccessTokenClaims['cnf'],
  ): Promise<void> {
    const jkt = cnf?.jkt;
    const thumbprint = cnf?.['x5t#S256'];
    if ((scheme === 'dpop') !== (jkt !== undefined)) {
      throw bad(
        jkt === undefined
          ? 'The access token is not bound to a key: send it as Bearer.'
          : 'The access token is bound to a key: send it as DPoP, with a proof.',
      );
    }
    if (jkt !== undefined) {
      const { dpop } = request.headers;
      if (typeof dpop !== 'string' || dpop === '') throw bad('A DPoP proof must come with the access token.');
      const [path = ''] = request.url.split('?');
      const wrong = await wrongWith(dpop, {
        method: request.method,
        url: `${publicUrl()}${path}`,
        access_token: token,
        jkt,
      });
      if (wrong !== undefined) throw bad(wrong);
    }
    if (thumbprint !== undefined) {
      const certificate = findCertificate(request.raw);
      if (certificate === undefined || !sameText(hash('sha256', certificate.raw, 'base64url'), thumbprint)) {
        throw bad('The access token is bound to a client certificate that did not come with the request.');
      }
    }
  }

  async function callerOf({ scope, state, application, claims }: Verified): Promise<Caller> {
    const { tenant } = state;
    if (tenant.status === 'suspended') throw suspended(tenant.name);
    const asked = new Set((claims.scope ?? '').split(' '));
    const allowed = permissions.expand(application.scopes, tenant.kind);
    const caller: Caller = {
      ...scope,
      principal: { kind: 'application', id: claims.client_id, name: application.name },
      tenant_name: tenant.name,
      base_currency: tenant.base_currency,
      permissions: new Set([...allowed].filter((permission) => asked.has(permission))),
      narrowed: [],
      plan: application.plan,
      expires_at_ms: (claims.exp + CLOCK_TOLERANCE_S) * 1_000,
    };
    if (claims.sub === claims.client_id) return caller;
    const person = await findPerson(scope, parseId('usr', claims.sub) ?? '');
    if (person === undefined) throw bad('The person that the access token stands for is not active.');
    return {
      ...caller,
      on_behalf_of: { kind: 'person', id: claims.sub, name: person.name },
      permissions: new Set(
        [...caller.permissions].filter((permission) => person.permissions.has(permission)),
      ),
    };
  }

  /** What an application may do now, by itself or for somebody who allows it still. No token says less. */
  async function callerWithoutToken(
    scope: Scope,
    principal: Principal,
    on_behalf_of: Principal | undefined,
  ): Promise<Caller | undefined> {
    // A process that has not heard yet of what changed must not act by what it remembers.
    const state = await states.readAnew(scope);
    const application = state?.applications.get(parseId('app', principal.id) ?? '');
    if (state === undefined || state.tenant.status === 'suspended') return undefined;
    if (application === undefined || application.status === 'disabled') return undefined;
    const { tenant } = state;
    const allowed = permissions.expand(application.scopes, tenant.kind);
    const caller: Caller = {
      ...scope,
      principal: { kind: 'application', id: principal.id, name: application.name },
      tenant_name: tenant.name,
      base_currency: tenant.base_currency,
      permissions: allowed,
      narrowed: [],
      plan: application.plan,
    };
    if (on_behalf_of === undefined) return caller;
    const person = await people.findPerson(scope, parseId('usr', on_behalf_of.id) ?? '');
    const consented = await consentedScopes(db, scope, on_behalf_of.id, principal.id);
    if (person === undefined || consented === undefined) return undefined;
    return {
      ...caller,
      on_behalf_of: { kind: 'person', id: on_behalf_of.id, name: person.name },
      permissions: new Set(
        [...allowed].filter((permission) => consented.has(permission) && person.permissions.has(permission)),
      ),
    };
  }

  return {
    async findPrincipal(scope, principal, on_behalf_of) {
      if (principal.kind !== 'application') return undefined;
      if (on_behalf_of !== undefined && on_behalf_of.kind !== 'person') return undefined;
      return callerWithoutToken(scope, principal, on_behalf_of);
    },
    async identify(request) {
      const [, scheme = '', token = ''] = credentials.exec(request.headers.authorization ?? '') ?? [];
      if (!isJwt.test(token)) return undefined;
      const verified = await verify(token);
      await assertBound(request, scheme.toLowerCase(), token, verified.claims.cnf);
      return callerOf(verified);
    },
    forget() {
      states.forget();
      knownPeople.clear();
    },
  };
}
