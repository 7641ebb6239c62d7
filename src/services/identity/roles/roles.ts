/** Roles: those that every institution has, and those that one makes for an environment of its own. */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import {
  PERMISSION_PATTERN,
  type PermissionCatalogue,
  type TenantKind,
} from '../../../platform/access/permission.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { assertHolds, tenantKindOf } from './holding.ts';
import { predefinedRoles, predefinedRolesOf } from './predefined.ts';

export const RoleName = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,62}$',
  description: 'Name of a role',
  examples: ['branch_cashier'],
});
const Description = Text({ min: 1, max: 500, examples: ['Takes and pays out cash at a branch'] });
const Patterns = Type.Array(
  Type.String({ pattern: PERMISSION_PATTERN, maxLength: 130, examples: ['accounts:read', 'transfers:*'] }),
  {
    minItems: 1,
    maxItems: 200,
    uniqueItems: true,
    description: 'Permissions, or patterns of them in which `*` stands for every resource or action',
  },
);

export const RoleRequest = Type.Object(
  { name: RoleName, description: Description, permissions: Patterns },
  { additionalProperties: false },
);
export const EditRoleRequest = Type.Object(
  { description: Type.Optional(Description), permissions: Type.Optional(Patterns) },
  { additionalProperties: false, minProperties: 1 },
);

export const Role = Type.Object({
  name: Type.String(),
  description: Type.String(),
  predefined: Type.Boolean({
    description: 'Whether every institution has it; such a role cannot be changed',
  }),
  permissions: Type.Array(Type.String(), { description: 'Permissions, or patterns of them' }),
  includes: Type.Array(Type.String(), { description: 'The permissions that these come to now' }),
  created_at: Type.Optional(Type.String()),
  created_by: Type.Optional(Type.String({ description: 'Who made it' })),
  updated_at: Type.Optional(Type.String()),
});
export type Role = Static<typeof Role>;

const Row = Type.Object({
  id: Type.String(),
  name: Type.String(),
  description: Type.String(),
  permissions: Type.Array(Type.String()),
  created_at: Type.String(),
  created_by: Type.String(),
  updated_at: Type.String(),
  version: Type.Integer(),
});
const columns = 'id, name, description, permissions, created_at, created_by, updated_at, version';
const own = `select ${columns} from identity.roles where tenant_id = $1 and environment = $2`;

/** Custom roles of one environment; a list of them is shown whole. */
const MAX_ROLES = 200;

export interface Roles {
  db: Database;
  permissions: PermissionCatalogue;
}

function noRole(name: string) {
  return refuse('role_not_found', `There is no role ${name}.`);
}

/** What a name of a role stands for; `id` where the tenant made it itself. Throws `role_not_found`. */
export async function resolveRole(
  tx: Transaction,
  scope: Scope,
  name: string,
): Promise<{ name: string; id: string | null; permissions: readonly string[] }> {
  const predefined = predefinedRoles.get(name);
  if (predefined !== undefined) {
    if (predefined.of !== undefined && predefined.of !== (await tenantKindOf(tx, scope))) throw noRole(name);
    return { name, id: null, permissions: predefined.permissions };
  }
  const [row] = await tx.rows(Row, `${own} and name = $3`, [scope.tenant_id, scope.environment, name]);
  if (row === undefined) throw noRole(name);
  return row;
}

function includesOf(expanded: ReadonlySet<string>): string[] {
  return [...expanded].toSorted();
}

function roleOf(row: Static<typeof Row>, catalogue: PermissionCatalogue, kind: TenantKind): Role {
  const { id: _id, version: _version, ...shown } = row;
  return { ...shown, predefined: false, includes: includesOf(catalogue.expand(row.permissions, kind)) };
}

async function customRole(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  scope: Scope,
  row: Static<typeof Row>,
): Promise<{ role: Role; version: number }> {
  return { role: roleOf(row, catalogue, await tenantKindOf(tx, scope)), version: row.version };
}

/** Every role of an environment: the predefined ones, then its own by name. */
export async function listRoles(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  scope: Scope,
): Promise<Role[]> {
  const kind = await tenantKindOf(tx, scope);
  const rows = await tx.rows(Row, `${own} order by name collate "C"`, [scope.tenant_id, scope.environment]);
  return [
    ...predefinedRolesOf(kind).map(([name, { description, permissions }]) => ({
      name,
      description,
      predefined: true,
      permissions: [...permissions],
      includes: includesOf(catalogue.expand(permissions, kind)),
    })),
    ...rows.map((row) => roleOf(row, catalogue, kind)),
  ];
}

/** A role and the version that its ETag carries; a predefined one has the version 0. Throws `role_not_found`. */
export async function getRole(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  scope: Scope,
  name: string,
): Promise<{ role: Role; version: number }> {
  if (predefinedRoles.has(name)) {
    const role = (await listRoles(tx, catalogue, scope)).find(
      (each) => each.predefined && each.name === name,
    );
    if (role === undefined) throw noRole(name);
    return { role, version: 0 };
  }
  const [row] = await tx.rows(Row, `${own} and name = $3`, [scope.tenant_id, scope.environment, name]);
  if (row === undefined) throw noRole(name);
  return customRole(tx, catalogue, scope, row);
}

function assertOwn(name: string): void {
  if (predefinedRoles.has(name)) {
    throw refuse(
      'role_predefined',
      `${name} is a role of every institution. Make one of your own beside it.`,
    );
  }
}

const CountRow = Type.Object({ roles: Type.BigInt(), same: Type.BigInt() });

/** Makes a role of no more permissions than its maker has. */
export async function createRole(
  { db, permissions: catalogue }: Roles,
  caller: Caller,
  body: Static<typeof RoleRequest>,
  attempt: Attempt,
): Promise<{ role: Role; version: number; replayed: boolean }> {
  const scope = [caller.tenant_id, caller.environment];
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const [count] = await tx.rows(
        CountRow,
        `select count(*) as roles, count(*) filter (where name = $3) as same
         from identity.roles where tenant_id = $1 and environment = $2`,
        [...scope, body.name],
      );
      if (predefinedRoles.has(body.name) || count?.same !== 0n) {
        throw refuse('role_name_taken', `There is a role ${body.name} already.`);
      }
      if (count.roles >= MAX_ROLES) {
        throw refuse('too_many_roles', `There are ${count.roles} roles in ${caller.environment} already.`);
      }
      await assertHolds(tx, caller, catalogue, body.permissions);
      const uuid = newUuid();
      const made = await tx.run(
        `insert into identity.roles (tenant_id, environment, id, name, description, permissions, created_by)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (tenant_id, environment, name) do nothing`,
        [...scope, uuid, body.name, body.description, body.permissions, caller.principal.id],
      );
      // Somebody else made it meanwhile.
      if (made === 0) throw refuse('role_name_taken', `There is a role ${body.name} already.`);
      return uuid;
    },
  );
  return db.read(caller, async (tx) => {
    const [row] = await tx.rows(Row, `${own} and id = $3`, [...scope, id]);
    if (row === undefined) throw noRole(body.name);
    return { ...(await customRole(tx, catalogue, caller, row)), replayed };
  });
}

/** Edits a role that the tenant made. It is given no permission that its editor lacks; what it had may stay. */
export function editRole(
  { db, permissions: catalogue }: Roles,
  caller: Caller,
  name: string,
  body: Static<typeof EditRoleRequest>,
  ifMatch: string | undefined,
): Promise<{ before: Role; role: Role; version: number }> {
  return db.write(caller, async (tx) => {
    assertOwn(name);
    const key = [caller.tenant_id, caller.environment, name];
    const [before] = await tx.rows(Row, `${own} and name = $3 for no key update`, key);
    if (before === undefined) throw noRole(name);
    assertMatches(ifMatch, before.version, 'the role');
    if (body.permissions !== undefined) {
      // A pattern is more than what it comes to now, so that one counts as kept only where it stood before.
      const added = body.permissions.filter((pattern) => !before.permissions.includes(pattern));
      await assertHolds(tx, caller, catalogue, added);
    }
    const [after] = await tx.rows(
      Row,
      `update identity.roles set description = coalesce($4, description), permissions = coalesce($5, permissions),
         updated_at = now(), version = version + 1
       where tenant_id = $1 and environment = $2 and name = $3 returning ${columns}`,
      [...key, body.description ?? null, body.permissions ?? null],
    );
    if (after === undefined) throw noRole(name);
    const { role } = await customRole(tx, catalogue, caller, before);
    return { before: role, ...(await customRole(tx, catalogue, caller, after)) };
  });
}

/** Deletes a role that nobody has, and returns what it was. */
export async function deleteRole(
  { db, permissions: catalogue }: Roles,
  scope: Scope,
  name: string,
): Promise<Role> {
  assertOwn(name);
  return db
    .write(scope, async (tx) => {
      const [deleted] = await tx.rows(
        Row,
        `delete from identity.roles where tenant_id = $1 and environment = $2 and name = $3 returning ${columns}`,
        [scope.tenant_id, scope.environment, name],
      );
      if (deleted === undefined) throw noRole(name);
      return (await customRole(tx, catalogue, scope, deleted)).role;
    })
    .catch((error: unknown) => {
      if (error instanceof Error && 'constraint' in error && error.constraint === 'grants_of_role') {
        throw refuse('role_granted', `Somebody has the role ${name}: revoke its grants first.`);
      }
      throw error;
    });
}
