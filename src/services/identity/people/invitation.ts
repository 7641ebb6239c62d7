/** Invitations: how people come in. Whoever has the link chooses a password, once, before it expires. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Caller } from '../../../platform/access/caller.ts';
import type { PermissionCatalogue } from '../../../platform/access/permission.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import type { Problem } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import { assertMayGrant, grantRoles } from '../roles/grants.ts';
import { newToken, readToken } from './token.ts';

export const Email = Type.String({
  format: 'email',
  maxLength: 254,
  description: 'Compared without regard to case',
  examples: ['ana.souza@bank.example'],
});

/** An address as it is kept and compared. */
export function normalizedEmail(email: string): string {
  return email.trim().normalize('NFC').toLowerCase();
}

export const PersonName = Text({ min: 1, max: 255, description: 'Name', examples: ['Ana Souza'] });
const DAY_S = 86_400;

export const InvitationRequest = Type.Object(
  {
    email: Email,
    name: Type.Optional(PersonName),
    roles: Type.Optional(
      Type.Array(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$', examples: ['auditor'] }), {
        maxItems: 50,
        uniqueItems: true,
        default: [],
        description: 'Roles that the person has in this environment from the beginning',
      }),
    ),
    expires_in_s: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: 30 * DAY_S,
        default: 7 * DAY_S,
        description: 'Seconds it is good',
      }),
    ),
  },
  { additionalProperties: false },
);

const Status = Type.Union([
  Type.Literal('open'),
  Type.Literal('accepted'),
  Type.Literal('expired'),
  Type.Literal('revoked'),
]);

export const Invitation = Type.Object({
  id: Id('inv'),
  email: Personal(Type.String()),
  name: Type.Optional(Personal(Type.String())),
  roles: Type.Array(Type.String()),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  expires_at: Type.String(),
  accepted_at: Type.Optional(Type.String()),
  accepted_by: Type.Optional(Id('usr')),
  revoked_at: Type.Optional(Type.String()),
});
export type Invitation = Static<typeof Invitation>;

export const NewInvitation = Type.Object({
  ...Invitation.properties,
  token: Type.Optional(
    Type.String({
      description:
        'To be handed to whoever is invited; told this once. A repetition of the request is answered without it',
    }),
  ),
});

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  email: Type.String(),
  name: Nullable,
  roles: Type.Array(Type.String()),
  status: Status,
  created_at: Type.String(),
  created_by: Type.String(),
  expires_at: Type.String(),
  accepted_at: Nullable,
  accepted_by: Nullable,
  revoked_at: Nullable,
});

const columns = `id, email, name, roles,
  case when accepted_at is not null then 'accepted' when revoked_at is not null then 'revoked'
    when expires_at <= now() then 'expired' else 'open' end as status,
  created_at, created_by, expires_at, accepted_at, accepted_by, revoked_at`;

function invitationOf(row: Static<typeof Row>): Invitation {
  const { name, accepted_at, accepted_by, revoked_at, ...rest } = row;
  return {
    ...rest,
    id: formatId('inv', row.id),
    ...(name === null ? {} : { name }),
    ...(accepted_at === null ? {} : { accepted_at }),
    ...(accepted_by === null ? {} : { accepted_by: formatId('usr', accepted_by) }),
    ...(revoked_at === null ? {} : { revoked_at }),
  };
}

export async function getInvitation(tx: Transaction, scope: Scope, uuid: string): Promise<Invitation> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.invitations where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse(
      'invitation_not_found',
      `There is no invitation ${formatId('inv', uuid)} in ${scope.environment}.`,
    );
  }
  return invitationOf(row);
}

const Filters = Type.Object(
  { status: Type.Optional(Status), email: Type.Optional(Email) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);

export const ListInvitationsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Invitations of an environment, newest first. */
export async function listInvitations(
  tx: Transaction,
  scope: Scope,
  { limit, cursor, ...given }: Static<typeof ListInvitationsQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { email, status } = page.filters;
  const rows = await tx.rows(
    Row,
    `select * from (
       select ${columns} from identity.invitations
       where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3) and ($4::text is null or email = $4)
     ) i where $5::text is null or status = $5
     order by id desc limit $6`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      email === undefined ? null : normalizedEmail(email),
      status ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, invitationOf, ({ id }) => id);
}

/** Refuses an address that a person of the tenant has already. */
export async function assertEmailFree(tx: Transaction, tenant_id: string, email: string): Promise<void> {
  const taken = await tx.run(
    "select from identity.people where tenant_id = $1 and email = $2 and status <> 'removed'",
    [tenant_id, email],
  );
  if (taken > 0) throw refuse('person_exists', `Somebody has the e-mail address ${email} already.`);
}

interface Inviting {
  db: Database;
  permissions: PermissionCatalogue;
}

/** Invites somebody. The token is told once; a repetition gets the rest. */
export async function invite(
  { db, permissions }: Inviting,
  caller: Caller,
  body: Static<typeof InvitationRequest>,
  attempt: Attempt,
): Promise<{ created: Static<typeof NewInvitation>; replayed: boolean }> {
  const email = normalizedEmail(body.email);
  const roles = body.roles ?? [];
  const { token, hash } = newToken(caller.tenant_id);
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      await assertMayGrant(tx, permissions, caller, roles);
      await assertEmailFree(tx, caller.tenant_id, email);
      const uuid = newUuid();
      await tx.run(
        `insert into identity.invitations
           (tenant_id, environment, id, token_hash, email, name, roles, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          hash,
          email,
          body.name ?? null,
          roles,
          caller.principal.id,
          body.expires_in_s ?? 7 * DAY_S,
        ],
      );
      return uuid;
    },
  );
  const created = await db.read(caller, (tx) => getInvitation(tx, caller, id));
  return { created: replayed ? created : { ...created, token }, replayed };
}

async function lockOpen(tx: Transaction, scope: Scope, uuid: string): Promise<Invitation> {
  await tx.run(
    'select from identity.invitations where tenant_id = $1 and environment = $2 and id = $3 for no key update',
    [scope.tenant_id, scope.environment, uuid],
  );
  const invitation = await getInvitation(tx, scope, uuid);
  if (invitation.status === 'accepted' || invitation.status === 'revoked') {
    throw refuse('invitation_closed', `${invitation.id} is ${invitation.status}.`);
  }
  return invitation;
}

/** Revokes an invitation. One that is revoked stays so. */
export function revokeInvitation(
  db: Database,
  scope: Scope,
  uuid: string,
): Promise<{ before: Invitation; after: Invitation }> {
  return db.write(scope, async (tx) => {
    const found = await getInvitation(tx, scope, uuid);
    if (found.status === 'revoked') return { before: found, after: found };
    const before = await lockOpen(tx, scope, uuid);
    await tx.run(
      'update identity.invitations set revoked_at = now() where tenant_id = $1 and environment = $2 and id = $3',
      [scope.tenant_id, scope.environment, uuid],
    );
    return { before, after: await getInvitation(tx, scope, uuid) };
  });
}

/** Makes another link, good as long as a new invitation; the one before is good no more. */
export function resendInvitation(
  { db, permissions }: Inviting,
  caller: Caller,
  uuid: string,
): Promise<{ before: Invitation; after: Invitation; token: string }> {
  const { token, hash } = newToken(caller.tenant_id);
  return db.write(caller, async (tx) => {
    const before = await lockOpen(tx, caller, uuid);
    await assertMayGrant(tx, permissions, caller, before.roles);
    await tx.run(
      `update identity.invitations set token_hash = $4, expires_at = now() + make_interval(secs => $5)
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, uuid, hash, 7 * DAY_S],
    );
    return { before, after: await getInvitation(tx, caller, uuid), token };
  });
}

const OpenRow = Type.Object({
  id: Type.String(),
  email: Type.String(),
  name: Nullable,
  roles: Type.Array(Type.String()),
  created_by: Type.String(),
});
export type OpenInvitation = Static<typeof OpenRow> & { scope: Scope };

const openColumns = 'id, email, name, roles, created_by';
const isOpen = 'accepted_at is null and revoked_at is null and expires_at > now()';

export function notGood(): Problem {
  return refuse('invitation_not_good', 'This invitation cannot be accepted, or no more.');
}

/** The environments in which an invitation may stand: it is looked for in one after the other. */
const environments = ['sandbox', 'live'] as const;

/** The open invitation that a token is of; undefined where there is none. */
export async function findInvitation(db: Database, token: string): Promise<OpenInvitation | undefined> {
  const known = readToken(token);
  if (known === undefined) return undefined;
  for (const environment of environments) {
    const scope = { tenant_id: known.tenant_id, environment };
    const [row] = await db.read(scope, (tx) =>
      tx.rows(
        OpenRow,
        `select ${openColumns} from identity.invitations
         where tenant_id = $1 and environment = $2 and token_hash = $3 and ${isOpen}`,
        [scope.tenant_id, environment, known.hash],
      ),
    );
    if (row !== undefined) return { ...row, scope };
  }
  return undefined;
}

/** The newest open invitation of an address; undefined where there is none. */
export async function findInvitationOf(
  db: Database,
  tenant_id: string,
  email: string,
): Promise<OpenInvitation | undefined> {
  for (const environment of environments) {
    const scope = { tenant_id, environment };
    const [row] = await db.read(scope, (tx) =>
      tx.rows(
        OpenRow,
        `select ${openColumns} from identity.invitations
         where tenant_id = $1 and environment = $2 and email = $3 and ${isOpen} order by id desc limit 1`,
        [tenant_id, environment, email],
      ),
    );
    if (row !== undefined) return { ...row, scope };
  }
  return undefined;
}

/**
 * Makes a person of an invitation, with its roles. Throws `invitation_not_good` if it was accepted or revoked
 * meanwhile, or the address is somebody's by now.
 */
export async function acceptInvitation(
  tx: Transaction,
  invitation: OpenInvitation,
  person: { name: string; password_hash: string | null },
): Promise<string> {
  const { scope } = invitation;
  const person_uuid = newUuid();
  const accepted = await tx.run(
    `update identity.invitations set accepted_at = now(), accepted_by = $4
     where tenant_id = $1 and environment = $2 and id = $3 and ${isOpen}`,
    [scope.tenant_id, scope.environment, invitation.id, person_uuid],
  );
  if (accepted === 0) throw notGood();
  const inserted = await tx.run(
    `insert into identity.people
       (tenant_id, id, email, name, password_hash, password_changed_at, created_by)
     values ($1, $2, $3, $4, $5::text, case when $5::text is null then null else now() end, $6)
     on conflict (tenant_id, email) where status <> 'removed' do nothing`,
    [
      scope.tenant_id,
      person_uuid,
      invitation.email,
      person.name,
      person.password_hash,
      invitation.created_by,
    ],
  );
  if (inserted === 0) throw notGood();
  await grantRoles(tx, scope, person_uuid, invitation.roles, invitation.created_by);
  return person_uuid;
}
