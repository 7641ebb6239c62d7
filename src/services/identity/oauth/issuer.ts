/** One issuer for each tenant and environment: what one of them signs is worth nothing at another. */
import type { Scope } from '../../../platform/db.ts';
import { formatId, parseId } from '../../../platform/ids.ts';

export const OAUTH_PREFIX = '/oauth';
/** How long an access token is good. */
export const ACCESS_TOKEN_TTL_S = 300;
/** Clocks may differ by this much. */
export const CLOCK_TOLERANCE_S = 15;

/** Path of an issuer. */
export function issuerPath(scope: Scope): string {
  return `${OAUTH_PREFIX}/${formatId('ten', scope.tenant_id)}/${scope.environment}`;
}

export function issuerOf(publicUrl: string, scope: Scope): string {
  return `${publicUrl}${issuerPath(scope)}`;
}

/** The audience of access tokens to this API. */
export function audienceOf(publicUrl: string): string {
  return `${publicUrl}/api`;
}

/** Whose issuer a path names; undefined for a path that is none. */
export function scopeOfPath(tenant: string, environment: string): Scope | undefined {
  const tenant_id = parseId('ten', tenant);
  if (tenant_id === undefined || (environment !== 'sandbox' && environment !== 'live')) return undefined;
  return { tenant_id, environment };
}

/** Whose issuer this is; undefined for what is none of ours. */
export function scopeOfIssuer(publicUrl: string, issuer: unknown): Scope | undefined {
  const start = `${publicUrl}${OAUTH_PREFIX}/`;
  if (typeof issuer !== 'string' || !issuer.startsWith(start)) return undefined;
  const [tenant = '', environment = '', ...rest] = issuer.slice(start.length).split('/');
  return rest.length === 0 ? scopeOfPath(tenant, environment) : undefined;
}
