/** Which roles people have in an environment, and what these come to. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller, NarrowedGrant } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue, TenantKind } from '../../../platform/access/permission.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import { refuse } from '../errors.ts';
import { lockAdministrators } from './administrator.ts';
import { assertHolds } from './holding.ts';
import { indispensableRoles, predefinedRoles } from './predefined.ts';
import { RoleName, resolveRole } from './roles.ts';

const Labels = Personal(
  Type.Record(Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' }), Text({ min: 1, max: 500 }), {
    additionalProperties: false,
    minProperties: 1,
    maxProperties: 10,
    description:
      'Labels (`metadata`) that an account or customer must all carry for the grant to reach it; absent: it reaches everything',
    examples: [{ branch: '0042' }],
  }),
);

export const GrantRequest = Type.Object(
  { person_id: Id('usr'), role: RoleName, labels: Type.Optional(Labels) },
  { additionalProperties: false },
);

export const Grant = Type.Object({
  id: Id('grt'),
  person_id: Id('usr'),
  role: Type.String(),
  labels: Type.Optional(Labels),
  created_at: Type.String(),
  created_by: Type.String({ description: 'Who granted it' }),
});
export type Grant = Static<typeof Grant>;

const Row = Type.Object({
  id: Type.String(),
  person_id: Type.String(),
  role: Type.String(),
  labels: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  created_at: Type.String(),
  created_by: Type.String(),
});
const columns = 'id, person_id, role, labels, created_at, created_by';

function grantOf({ id, person_id, labels, ...row }: Static<typeof Row>): Grant {
  return {
    id: formatId('grt', id),
    person_id: formatId('usr', person_id),
    ...row,
    ...(labels === null ? {} : { labels }),
  };
}

/** Refuses roles that there are not, and those that can do more than the caller who wants to give them. */
export async function assertMayGrant(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  caller: Caller,
  roles: readonly string[],
): Promise<void> {
  for (const role of roles) {
    const { permissions } = await resolveRole(tx, caller, role);
    await assertHolds(tx, caller, catalogue, permissions);
  }
}

interface NewGrant {
  person_uuid: string;
  role: string;
  labels: Readonly<Record<string, string>> | null;
  granted_by: string;
}

/** The UUID of the new grant; undefined where the person has the same already. */
async function insertGrant(
  tx: Transaction,
  scope: Scope,
  { person_uuid, role, labels, granted_by }: NewGrant,
): Promise<string | undefined> {
  const { id: role_id } = await resolveRole(tx, scope, role);
  const uuid = newUuid();
  const made = await tx.run(
    `insert into identity.grants (tenant_id, environment, id, person_id, role, role_id, labels, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict on constraint grants_once do nothing`,
    [
      scope.tenant_id,
      scope.environment,
      uuid,
      person_uuid,
      role,
      role_id,
      labels === null ? null : JSON.stringify(labels),
      granted_by,
    ],
  );
  return made === 0 ? undefined : uuid;
}

/**
 * Gives a person roles for everything in the environment of the scope. One that the person has already stays. Whether
 * whoever gives them may is for `assertMayGrant`, when they decide it.
 *
 * @param granted_by public id of who gives them
 */
export async function grantRoles(
  tx: Transaction,
  scope: Scope,
  person_uuid: string,
  roles: readonly string[],
  granted_by: string,
): Promise<void> {
  for (const role of roles) await insertGrant(tx, scope, { person_uuid, role, labels: null, granted_by });
}

const HeldRow = Type.Object({
  role: Type.String(),
  labels: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  permissions: Type.Union([Type.Array(Type.String()), Type.Null()]),
});

/** What a person may do in the environment of the scope: to everything, and to what carries labels. */
export async function grantsOf(
  tx: Transaction,
  catalogue: PermissionCatalogue,
  scope: Scope,
  person_uuid: string,
  tenant_kind: TenantKind,
): Promise<{ permissions: ReadonlySet<string>; narrowed: readonly NarrowedGrant[] }> {
  const rows = await tx.rows(
    HeldRow,
    `select g.role, g.labels, r.permissions from identity.grants g
     left join identity.roles r
       on r.tenant_id = g.tenant_id and r.environment = g.environment and r.id = g.role_id
     where g.tenant_id = $1 and g.environment = $2 and g.person_id = $3
     order by g.role, g.id`,
    [scope.tenant_id, scope.environment, person_uuid],
  );
  const held = rows.map(({ role, labels, permissions }) => ({
    labels,
    patterns: permissions ?? predefinedRoles.get(role)?.permissions ?? [],
  }));
  const everywhere = held.filter(({ labels }) => labels === null).flatMap(({ patterns }) => patterns);
  return {
    permissions: catalogue.expand(everywhere, tenant_kind),
    narrowed: held.flatMap(({ labels, patterns }) =>
      labels === null ? [] : [{ labels, permissions: catalogue.expand(patterns, tenant_kind) }],
    ),
  };
}

/** Whether the tenant has somebody with this UUID, to whom something can be granted. */
type PersonExists = (tx: Transaction, scope: Scope, uuid: string) => Promise<boolean>;

export interface Grants {
  db: Database;
  permissions: PermissionCatalogue;
  personExists: PersonExists;
}

/** A grant. Throws `grant_not_found`. */
export async function getGrant(tx: Transaction, scope: Scope, uuid: string): Promise<Grant> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.grants where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse('grant_not_found', `There is no grant ${formatId('grt', uuid)} in ${scope.environment}.`);
  }
  return grantOf(row);
}

const Filters = Type.Object(
  { person_id: Type.Optional(Id('usr')), role: Type.Optional(RoleName) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListGrantsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Grants, newest first. */
export async function listGrants(tx: Transaction, scope: Scope, query: Static<typeof ListGrantsQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { person_id, role } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.grants
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3)
       and ($4::uuid is null or person_id = $4) and ($5::text is null or role = $5)
     order by id desc limit $6`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      person_id === undefined ? null : uuidOf('usr', person_id),
      role ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, grantOf, ({ id }) => id);
}

/** Grants a role to a person: no more than the caller has. */
export async function createGrant(
  { db, permissions, personExists }: Grants,
  caller: Caller,
  body: Static<typeof GrantRequest>,
  attempt: Attempt,
): Promise<{ grant: Grant; replayed: boolean }> {
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const person_uuid = uuidOf('usr', body.person_id);
      if (!(await personExists(tx, caller, person_uuid))) {
        throw refuse('grantee_not_found', `There is no person ${body.person_id}.`);
      }
      await assertMayGrant(tx, permissions, caller, [body.role]);
      const uuid = await insertGrant(tx, caller, {
        person_uuid,
        role: body.role,
        labels: body.labels ?? null,
        granted_by: caller.principal.id,
      });
      if (uuid === undefined) {
        throw refuse('grant_exists', `${body.person_id} has the role ${body.role} for the same already.`);
      }
      return uuid;
    },
  );
  return { grant: await db.read(caller, (tx) => getGrant(tx, caller, id)), replayed };
}

const ActiveHolderRow = Type.Object({ is_same: Type.Boolean() });

/** Takes a role from a person, in every process at once. The last who administers everything keeps theirs. */
export function revokeGrant({ db }: Pick<Grants, 'db'>, scope: Scope, uuid: string): Promise<void> {
  return db.write(scope, async (tx) => {
    const { role, labels, person_id } = await getGrant(tx, scope, uuid);
    if (labels === undefined && indispensableRoles.includes(role)) {
      await lockAdministrators(tx, scope);
      // Who is suspended is nobody to fall back on, and can be gone without being missed.
      const others = await tx.rows(
        ActiveHolderRow,
        `select g.person_id = $4 as is_same from identity.grants g
         join identity.people p on p.tenant_id = g.tenant_id and p.id = g.person_id
         where g.tenant_id = $1 and g.environment = $2 and g.role = $3 and g.labels is null
           and p.status = 'active'`,
        [scope.tenant_id, scope.environment, role, uuidOf('usr', person_id)],
      );
      if (others.length === 1 && others[0]?.is_same === true) {
        throw refuse(
          'last_administrator',
          `${person_id} is the last active person who has the role ${role} for everything.`,
        );
      }
    }
    const revoked = await tx.run(
      'delete from identity.grants where tenant_id = $1 and environment = $2 and id = $3',
      [scope.tenant_id, scope.environment, uuid],
    );
    if (revoked === 0)
      throw refuse('grant_not_found', `The grant ${formatId('grt', uuid)} was revoked already.`);
  });
}
