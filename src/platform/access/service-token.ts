/**
 * Service tokens: how a process of this installation calls another on behalf of whoever called it. A token says which
 * service calls which, and carries the original caller with what it may do, never more; it is good for a minute.
 *
 * Source: JSON Web Token Best Current Practices (RFC 8725): one algorithm, a type and an audience of its own.
 */
import { hash } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { newUuid } from '../ids.ts';
import { refuse } from '../problem.ts';
import type { Authenticator } from './access.ts';
import type { Caller } from './caller.ts';
import type { Suspensions } from './suspension.ts';

const ALGORITHM = 'HS256';
const TYPE = 'service+jwt';
const ISSUER = 'financialapi';
const LIFETIME_S = 60;
/** Between the clocks of two machines. */
const TOLERANCE_S = 5;
const scheme = /^Service +([\w.-]+) *$/i;

const Claims = Type.Object({
  sub: Type.String({ pattern: '^service:[a-z][a-z0-9-]*$' }),
  exp: Type.Integer(),
  jti: Type.String(),
  tenant_id: Type.String({ format: 'uuid' }),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  tenant_name: Type.String(),
  base_currency: Type.String(),
  plan: Type.String(),
  limits_id: Type.Optional(Type.String({ format: 'uuid' })),
  permissions: Type.Array(Type.String()),
  narrowed: Type.Array(
    Type.Object({
      permissions: Type.Array(Type.String()),
      labels: Type.Record(Type.String(), Type.String()),
    }),
  ),
  on_behalf_of: Type.Object({
    kind: Type.Union([
      Type.Literal('key'),
      Type.Literal('person'),
      Type.Literal('application'),
      Type.Literal('service'),
      Type.Literal('device'),
    ]),
    id: Type.String(),
    name: Type.String(),
  }),
});

type Claims = Static<typeof Claims>;

export interface ServiceTokens {
  /** A token with which `service` calls the service `audience` for a caller. */
  serviceToken(service: string, caller: Caller, audience: string): Promise<string>;
  /** The caller that such a token stands for, without the way through a token: both services are in this process. */
  actingFor(service: string, caller: Caller): Caller;
  /** Knows the callers of `Authorization: Service …` that are meant for one of the services of this process. */
  authenticator(services: readonly string[], tenants: Suspensions): Authenticator;
}

/** What a service may do for a caller: all that the caller may, for as long as a token is good. */
function claimsFor(service: string, caller: Caller): Omit<Claims, 'jti'> {
  const until_s = Math.floor(Date.now() / 1_000) + LIFETIME_S;
  const ends_s = Math.floor((caller.expires_at_ms ?? Number.POSITIVE_INFINITY) / 1_000);
  const { tenant_id, environment, tenant_name, base_currency, plan, limits_id } = caller;
  return {
    sub: `service:${service}`,
    exp: Math.min(until_s, ends_s),
    tenant_id,
    environment,
    tenant_name,
    base_currency,
    plan,
    ...(limits_id === undefined ? {} : { limits_id }),
    permissions: [...caller.permissions],
    narrowed: caller.narrowed.map(({ permissions, labels }) => ({
      permissions: [...permissions],
      labels,
    })),
    // Of a service that was called itself, whoever began it.
    on_behalf_of: (caller.principal.kind === 'service' ? caller.on_behalf_of : undefined) ?? caller.principal,
  };
}

function callerOf(claims: Omit<Claims, 'jti'>): Caller {
  return {
    tenant_id: claims.tenant_id,
    environment: claims.environment,
    principal: { kind: 'service', id: claims.sub, name: claims.sub.slice('service:'.length) },
    on_behalf_of: claims.on_behalf_of,
    tenant_name: claims.tenant_name,
    base_currency: claims.base_currency,
    permissions: new Set(claims.permissions),
    narrowed: claims.narrowed.map(({ permissions, labels }) => ({
      permissions: new Set(permissions),
      labels,
    })),
    ...(claims.limits_id === undefined ? {} : { limits_id: claims.limits_id }),
    plan: claims.plan,
    expires_at_ms: (claims.exp + TOLERANCE_S) * 1_000,
  };
}

/** The parameters of an internal route. */
const OfPort = Type.Object({ service: Type.String() });

/** Names a key without telling anything of it. */
const idOf = (key: Buffer) => hash('sha256', key, 'hex').slice(0, 8);

/**
 * @param keys of 32 bytes each, the same in every process: the first signs, all verify, so that a new one is put first
 *   only when every process knows it
 */
export function openServiceTokens(keys: readonly [Buffer, ...Buffer[]]): ServiceTokens {
  const [signing] = keys;
  const known = new Map(keys.map((key) => [idOf(key), key]));

  async function claimsOf(token: string, services: readonly string[]): Promise<Claims> {
    let payload: unknown;
    try {
      ({ payload } = await jwtVerify(
        token,
        ({ kid = '' }) => {
          const key = known.get(kid);
          if (key === undefined) throw new Error('the key is not known');
          return key;
        },
        {
          algorithms: [ALGORITHM],
          typ: TYPE,
          issuer: ISSUER,
          audience: [...services],
          maxTokenAge: LIFETIME_S,
          clockTolerance: TOLERANCE_S,
          requiredClaims: ['exp', 'iat', 'jti', 'sub'],
        },
      ));
    } catch (error) {
      // Why a token is no good is no business of whoever made it.
      throw Object.assign(refuse('unauthenticated', 'This service token is not good.'), { cause: error });
    }
    if (!Check(Claims, payload)) throw refuse('unauthenticated', 'This service token is not good.');
    return payload;
  }

  return {
    serviceToken(service, caller, audience) {
      const { sub, exp, ...claims } = claimsFor(service, caller);
      return new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: idOf(signing) })
        .setIssuer(ISSUER)
        .setSubject(sub)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(exp)
        .setJti(newUuid())
        .sign(signing);
    },
    actingFor: (service, caller) => callerOf(claimsFor(service, caller)),
    authenticator: (services, tenants) => ({
      async identify({ headers, params, routeOptions }) {
        const [, token] = scheme.exec(headers.authorization ?? '') ?? [];
        if (token === undefined) return undefined;
        // What is asked of a port is meant for the service whose port it is, and for no other of this process.
        const meant =
          routeOptions.config.internal === true
            ? services.filter((name) => Check(OfPort, params) && params.service === name)
            : services;
        const claims = await claimsOf(token, meant);
        // It was active when the token was made.
        await tenants.assertActive(claims.tenant_id);
        return callerOf(claims);
      },
      forget: () => tenants.forget(),
    }),
  };
}
