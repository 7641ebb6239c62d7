/** Roles that people have in an environment, and what they come to. */
import { Type } from 'typebox';
import type { Caller, NarrowedGrant } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue, TenantKind } from '../../../platform/access/permission.ts';
import type { Scope, Transaction } from '../../../platform/db.ts';
import { assertHolds } from '../api-keys.ts';
import { refuse } from '../errors.ts';

/** Patterns of permissions that each role comes to. */
const roles: ReadonlyMap<string, readonly string[]> = new Map([
  ['administrator', ['*:*']],
  ['auditor', ['*:read']],
]);

const GrantRow = Type.Object({ role: Type.String() });

/** Refuses roles that there are not, and those that can do more than the caller who wants to give them. */
export async function assertMayGrant(
  _tx: Transaction,
  catalogue: PermissionCatalogue,
  caller: Caller,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    const patterns = roles.get(name);
    if (patterns === undefined) throw refuse('invitation_role_unknown', `There is no role ${name}.`);
    assertHolds(caller, catalogue, patterns);
  }
}

/** Gives a person roles in the environment of the scope. One that the person has already stays. */
export async function grantRoles(
  tx: Transaction,
  scope: Scope,
  person_uuid: string,
  names: readonly string[],
  granted_by: string,
): Promise<void> {
  await tx.run(
    `insert into identity.grants (tenant_id, environment, person_id, role, created_by)
     select $1, $2, $3, unnest($4::text[]), $5 on conflict do nothing`,
    [scope.tenant_id, scope.environment, person_uuid, names, granted_by],
  );
}

/** What a person may do in the environment of the scope. */
export async function grantsOf(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  scope: Scope,
  person_uuid: string,
  tenant_kind: TenantKind,
): Promise<{ permissions: ReadonlySet<string>; narrowed: readonly NarrowedGrant[] }> {
  const rows = await tx.rows(
    GrantRow,
    'select role from identity.grants where tenant_id = $1 and environment = $2 and person_id = $3 order by role',
    [scope.tenant_id, scope.environment, person_uuid],
  );
  const patterns = rows.flatMap(({ role }) => roles.get(role) ?? []);
  return { permissions: catalogue.expand(patterns, tenant_kind), narrowed: [] };
}
