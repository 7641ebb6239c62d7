/** People of a tenant, as those who administer them see them. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type Caller, may } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { Text } from '../../../platform/http.ts';
import { formatId, Id } from '../../../platform/ids.ts';
import { refuse } from '../errors.ts';
import { assertNotLastAdministrator } from '../roles/administrator.ts';
import { grantsOf } from '../roles/grants.ts';
import { assertConfined } from '../roles/holding.ts';
import { assertEmailFree, Email, normalizedEmail, PersonName } from './invitation.ts';
import { endSessions } from './session.ts';

const Status = Type.Union([Type.Literal('active'), Type.Literal('suspended'), Type.Literal('removed')]);

export const Person = Type.Object({
  id: Id('usr'),
  email: Personal(Type.String()),
  name: Personal(Type.String()),
  status: Status,
  has_password: Type.Boolean(),
  has_second_factor: Type.Boolean({ description: 'Whether an authenticator app or a passkey is enrolled' }),
  created_at: Type.String(),
  created_by: Type.String({ description: 'Who invited the person' }),
  updated_at: Type.String(),
  last_signed_in_at: Type.Optional(Type.String()),
});
export type Person = Static<typeof Person>;

export const EditPersonRequest = Type.Object(
  { name: Type.Optional(PersonName), email: Type.Optional(Email) },
  { additionalProperties: false, minProperties: 1 },
);

const Row = Type.Object({
  ...Person.properties,
  id: Type.String(),
  last_signed_in_at: Type.Union([Type.String(), Type.Null()]),
  version: Type.Integer(),
});

const columns = `p.id, p.email, p.name, p.status, p.password_hash is not null as has_password,
  (exists (select from identity.totp t
     where t.tenant_id = p.tenant_id and t.person_id = p.id and t.confirmed_at is not null)
   or exists (select from identity.passkeys k
     where k.tenant_id = p.tenant_id and k.person_id = p.id)) as has_second_factor,
  p.created_at, p.created_by, p.updated_at, p.last_signed_in_at, p.version`;

function personOf(row: Static<typeof Row>): Person {
  const { version: _, last_signed_in_at, ...rest } = row;
  return {
    ...rest,
    id: formatId('usr', row.id),
    ...(last_signed_in_at === null ? {} : { last_signed_in_at }),
  };
}

/** A person and the version of what can be edited. */
export async function getPerson(
  tx: Transaction,
  { tenant_id }: Scope,
  uuid: string,
): Promise<{ person: Person; version: number }> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.people p where p.tenant_id = $1 and p.id = $2`,
    [tenant_id, uuid],
  );
  if (row === undefined)
    throw refuse('person_not_found', `There is nobody with the id ${formatId('usr', uuid)}.`);
  return { person: personOf(row), version: row.version };
}

const Filters = Type.Object(
  {
    status: Type.Optional(Status),
    q: Type.Optional(Text({ min: 1, max: 255, description: 'Part of the name or e-mail address' })),
  },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListPeopleQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** People, newest first. Those who were removed are listed where they are asked for. */
export async function listPeople(
  tx: Transaction,
  { tenant_id }: Scope,
  { limit, cursor, ...given }: Static<typeof ListPeopleQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.people p
     where p.tenant_id = $1 and ($2::uuid is null or p.id < $2)
       and ($3::text is null or strpos(lower(p.name), lower($3)) > 0 or strpos(p.email, lower($3)) > 0)
       and (p.status = $4 or ($4::text is null and p.status <> 'removed'))
     order by p.id desc limit $5`,
    [tenant_id, page.after ?? null, page.filters.q ?? null, page.filters.status ?? null, page.limit + 1],
  );
  return pageOf(rows, page, personOf, ({ id }) => id);
}

async function lock(tx: Transaction, scope: Scope, uuid: string) {
  await tx.run('select from identity.people where tenant_id = $1 and id = $2 for no key update', [
    scope.tenant_id,
    uuid,
  ]);
  const found = await getPerson(tx, scope, uuid);
  if (found.person.status === 'removed') throw refuse('person_removed', `${found.person.id} was removed.`);
  return found;
}

/** Refuses to do to oneself what only somebody else may do. */
export function assertOther(caller: Caller, uuid: string): void {
  const id = formatId('usr', uuid);
  if ([caller.principal.id, caller.on_behalf_of?.id].includes(id)) {
    throw refuse('own_account', `${id} is who asks.`);
  }
}

export interface Administering {
  db: Database;
  permissions: PermissionCatalogue;
}

/**
 * Refuses to take hold of an account that may do more than the caller: through its e-mail address, or without its
 * second factors, it could be entered.
 */
export async function assertNotAbove(
  { db, permissions }: Administering,
  caller: Caller,
  uuid: string,
): Promise<void> {
  assertConfined(caller);
  for (const environment of ['sandbox', 'live'] as const) {
    const scope = { tenant_id: caller.tenant_id, environment };
    // As of an institution: what only the installation's people have is asked of the tenant, not of the role.
    const { permissions: held, narrowed } = await db.read(scope, (tx) =>
      grantsOf(tx, permissions, scope, uuid, 'institution'),
    );
    const all = [...held, ...narrowed.flatMap((grant) => [...grant.permissions])];
    const missing = [...new Set(all)].filter((permission) => !may(caller, permission));
    if (missing.length > 0) {
      throw refuse(
        'permission_not_held',
        `${formatId('usr', uuid)} may do what ${caller.principal.name} may not.`,
        {
          permissions: missing,
        },
      );
    }
  }
}

/** A person before and after a change. */
export interface ChangedPerson {
  before: Person;
  person: Person;
  version: number;
}

/** Edits name and e-mail address. With another address the person has to sign in anew. */
export async function editPerson(
  administering: Administering,
  caller: Caller,
  uuid: string,
  body: Static<typeof EditPersonRequest>,
  ifMatch: string | undefined,
): Promise<ChangedPerson> {
  const email = body.email === undefined ? undefined : normalizedEmail(body.email);
  if (email !== undefined) await assertNotAbove(administering, caller, uuid);
  return administering.db.write(caller, async (tx) => {
    const { person: before, version } = await lock(tx, caller, uuid);
    assertMatches(ifMatch, version, 'the person');
    if (email !== undefined && email !== before.email) {
      await assertEmailFree(tx, caller.tenant_id, email);
      await endSessions(tx, { tenant_id: caller.tenant_id, person_id: uuid }, {}, caller.principal.id);
    }
    await tx.run(
      `update identity.people set name = coalesce($3, name), email = coalesce($4, email), updated_at = now(),
         version = version + 1
       where tenant_id = $1 and id = $2`,
      [caller.tenant_id, uuid, body.name ?? null, email ?? null],
    );
    return { before, ...(await getPerson(tx, caller, uuid)) };
  });
}

/** Suspends a person, whose sessions end, or lets them in again. */
export function setSuspended(
  db: Database,
  caller: Caller,
  uuid: string,
  isSuspended: boolean,
): Promise<ChangedPerson> {
  assertOther(caller, uuid);
  return db.write(caller, async (tx) => {
    const { person: before, version } = await lock(tx, caller, uuid);
    const status = isSuspended ? 'suspended' : 'active';
    if (before.status === status) return { before, person: before, version };
    if (isSuspended) await assertNotLastAdministrator(tx, caller, uuid);
    await tx.run(
      `update identity.people set status = $3, updated_at = now(), version = version + 1
       where tenant_id = $1 and id = $2`,
      [caller.tenant_id, uuid, status],
    );
    if (isSuspended) {
      await endSessions(tx, { tenant_id: caller.tenant_id, person_id: uuid }, {}, caller.principal.id);
    }
    return { before, ...(await getPerson(tx, caller, uuid)) };
  });
}

/** Everything that a person could sign in with beside the password. */
const factorTables = ['totp', 'passkeys', 'recovery_codes', 'pending_sign_ins', 'password_resets'] as const;

async function removeFactors(tx: Transaction, { tenant_id }: Scope, uuid: string): Promise<void> {
  for (const table of factorTables) {
    await tx.run(`delete from identity.${table} where tenant_id = $1 and person_id = $2`, [tenant_id, uuid]);
  }
}

/** Removes a person for good: nothing is left to sign in with. Who did what stays on record. */
export function removePerson(db: Database, caller: Caller, uuid: string): Promise<ChangedPerson> {
  assertOther(caller, uuid);
  return db.write(caller, async (tx) => {
    const { person: before } = await lock(tx, caller, uuid);
    // Who is suspended administers nothing already.
    if (before.status === 'active') await assertNotLastAdministrator(tx, caller, uuid);
    await endSessions(tx, { tenant_id: caller.tenant_id, person_id: uuid }, {}, caller.principal.id);
    await removeFactors(tx, caller, uuid);
    await tx.run('select identity.remove_grants($1)', [uuid]);
    await tx.run('delete from identity.external_identities where tenant_id = $1 and person_id = $2', [
      caller.tenant_id,
      uuid,
    ]);
    await tx.run(
      `update identity.people set status = 'removed', password_hash = null, updated_at = now(), version = version + 1
       where tenant_id = $1 and id = $2`,
      [caller.tenant_id, uuid],
    );
    return { before, ...(await getPerson(tx, caller, uuid)) };
  });
}

/** Takes the second factors of a person away who lost them, and ends their sessions. The password is asked as before. */
export async function resetFactors(
  administering: Administering,
  caller: Caller,
  uuid: string,
): Promise<ChangedPerson> {
  assertOther(caller, uuid);
  await assertNotAbove(administering, caller, uuid);
  return administering.db.write(caller, async (tx) => {
    const { person: before } = await lock(tx, caller, uuid);
    await endSessions(tx, { tenant_id: caller.tenant_id, person_id: uuid }, {}, caller.principal.id);
    await removeFactors(tx, caller, uuid);
    return { before, ...(await getPerson(tx, caller, uuid)) };
  });
}
