/** That nobody gives what they do not have. */
import { Type } from 'typebox';
import { type Caller, may } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue, TenantKind } from '../../../platform/access/permission.ts';
import type { Scope, Transaction } from '../../../platform/db.ts';
import { refuse } from '../errors.ts';

const KindRow = Type.Object({
  kind: Type.Union([Type.Literal('institution'), Type.Literal('installation')]),
});

/** Of which kind the tenant is: what a pattern comes to depends on it. */
export async function tenantKindOf(
  tx: Transaction,
  { tenant_id }: Pick<Scope, 'tenant_id'>,
): Promise<TenantKind> {
  const [row] = await tx.rows(KindRow, 'select kind from platform.tenants where tenant_id = $1', [tenant_id]);
  if (row === undefined) throw new Error(`there is no tenant ${tenant_id}`);
  return row.kind;
}

/**
 * Refuses to give access to somebody who would not be under the monetary limits that the giver is under.
 *
 * @param limits_id the limits that whoever gets access is under, if any
 */
export function assertConfined(caller: Caller, limits_id?: string | null): void {
  if (caller.limits_id === undefined || caller.limits_id === limits_id) return;
  throw refuse('limits_confine', `${caller.principal.name} is under monetary limits.`);
}

/**
 * Refuses to give away permissions that the giver does not have, or that would be free of the giver's limits. What a caller has for certain labels only does not
 * count, since nothing here says that it would be given on for the same ones.
 *
 * @param limits_id as in `assertConfined`
 */
export async function assertHolds(
  tx: Transaction,
  caller: Caller,
  catalogue: PermissionCatalogue,
  patterns: readonly string[],
  limits_id?: string | null,
): Promise<void> {
  assertConfined(caller, limits_id);
  const wanted = catalogue.expand(patterns, await tenantKindOf(tx, caller));
  const missing = [...wanted].filter((permission) => !may(caller, permission));
  if (missing.length > 0) {
    throw refuse('permission_not_held', `${caller.principal.name} lacks: ${missing.join(', ')}.`, {
      permissions: missing,
    });
  }
}
