/** Which tenants and environments a command of the operator is to look at, by its arguments. */
import { parseArgs } from 'node:util';
import { listScopes } from '../src/platform/access/tenant.ts';
import type { Database, Scope } from '../src/platform/db.ts';
import { formatId, parseId } from '../src/platform/ids.ts';

/** Why nothing could be checked, in one line. */
export class CannotCheck extends Error {}

export function messageOf(error: unknown): string {
  // A host name with several addresses fails with all of their reasons.
  if (error instanceof AggregateError) return messageOf(error.errors[0]);
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}

export const nameOf = ({ tenant_id, environment }: Scope) => `${formatId('ten', tenant_id)} ${environment}`;

export interface Wanted {
  tenant_id: string | undefined;
  environment: string | undefined;
}

/** The options that every such command takes. */
export const SCOPE_OPTIONS = '[--tenant ten_…] [--environment sandbox|live]';

/** @param usage one line that shows the whole command */
export function wantedOf(argv: readonly string[], usage: string): Wanted {
  let values: { tenant?: string; environment?: string };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: { tenant: { type: 'string' }, environment: { type: 'string' } },
    }));
  } catch (error) {
    throw new CannotCheck(`${messageOf(error)}; ${usage}`);
  }
  return wantedScope(values, usage);
}

/** The same of options that a command has read itself. */
export function wantedScope(
  { tenant, environment }: { tenant?: string; environment?: string },
  usage: string,
): Wanted {
  const tenant_id = tenant === undefined ? undefined : parseId('ten', tenant);
  if (tenant !== undefined && tenant_id === undefined) {
    throw new CannotCheck(`${tenant} is not the id of a tenant; ${usage}`);
  }
  if (environment !== undefined && !['sandbox', 'live'].includes(environment)) {
    throw new CannotCheck(`${environment} is not an environment; ${usage}`);
  }
  return { tenant_id, environment };
}

/** The wanted ones of those in the database, of which there is at least one. */
export async function chooseScopes(platform: Database, wanted: Wanted): Promise<Scope[]> {
  const scopes = await listScopes(platform).catch((error: unknown) => {
    throw new CannotCheck(`the tenants cannot be read from the database: ${messageOf(error)}`);
  });
  const chosen = scopes.filter(
    ({ tenant_id, environment }) =>
      tenant_id === (wanted.tenant_id ?? tenant_id) && environment === (wanted.environment ?? environment),
  );
  if (chosen.length === 0) throw new CannotCheck('there is no such tenant in this database');
  return chosen;
}
