/**
 * Organisations of developers. Each is a tenant of its own, whose people have roles in its sandbox and nowhere else, so that
 * what isolates institutions isolates partners. Here is what the institution that hosts their community knows of them.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { Personal } from '../../../platform/access/redaction.ts';
import { setSuspension } from '../../../platform/access/tenant.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../../platform/ids.ts';
import { refuse } from '../errors.ts';
import { hashOf, newToken } from '../people/token.ts';

export const Language = Type.Enum(['en', 'pt'], { description: 'Of mail to them' });
export const OrganisationName = Text({ min: 1, max: 255, examples: ['Ledgerly'] });
const Status = Type.Enum(['pending', 'active', 'rejected', 'suspended'], {
  description: '`pending`: somebody of the institution has to decide',
});

export const Organisation = Type.Object({
  id: Id('org'),
  tenant_id: Id('ten', 'The tenant that is its own'),
  community_id: Id('com'),
  name: Type.String(),
  status: Status,
  contact_name: Personal(Type.String()),
  contact_email: Personal(Type.String()),
  language: Type.String(),
  terms_version: Type.String({ description: 'That it accepted last' }),
  terms_accepted_at: Type.String(),
  decided_at: Type.Optional(Type.String()),
  decided_by: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  created_at: Type.String(),
});
export type Organisation = Static<typeof Organisation>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  community_id: Type.String(),
  name: Type.String(),
  status: Status,
  contact_name: Type.String(),
  contact_email: Type.String(),
  language: Type.String(),
  terms_version: Type.String(),
  terms_accepted_at: Type.String(),
  decided_at: Nullable,
  decided_by: Nullable,
  reason: Nullable,
  created_at: Type.String(),
});
const columns = `id, community_id, name, status, contact_name, contact_email, language, terms_version, terms_accepted_at,
  decided_at, decided_by, reason, created_at`;

function shown({
  id,
  community_id,
  decided_at,
  decided_by,
  reason,
  ...rest
}: Static<typeof Row>): Organisation {
  return {
    ...rest,
    id: formatId('org', id),
    tenant_id: formatId('ten', id),
    community_id: formatId('com', community_id),
    ...(decided_at === null ? {} : { decided_at }),
    ...(decided_by === null ? {} : { decided_by }),
    ...(reason === null ? {} : { reason }),
  };
}

export async function getOrganisation(tx: Transaction, scope: Scope, uuid: string): Promise<Organisation> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.organisations where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) {
    throw refuse(
      'organisation_not_found',
      `There is no organisation ${formatId('org', uuid)} in ${scope.environment}.`,
    );
  }
  return shown(row);
}

const Filters = Type.Object(
  { status: Type.Optional(Status), community_id: Type.Optional(Id('com')) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListOrganisationsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Organisations, newest first. */
export async function listOrganisations(
  tx: Transaction,
  scope: Scope,
  { limit, cursor, ...given }: Static<typeof ListOrganisationsQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { status, community_id } = page.filters;
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.organisations
     where tenant_id = $1 and environment = $2 and ($3::uuid is null or id < $3) and ($4::text is null or status = $4)
       and ($5::uuid is null or community_id = $5)
     order by id desc limit $6`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      status ?? null,
      community_id === undefined ? null : uuidOf('com', community_id),
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

interface NewOrganisation {
  id: string;
  community_id: string;
  name: string;
  status: 'pending' | 'active';
  contact_email: string;
  contact_name: string;
  language: string;
  terms_version: string;
  terms_accepted_from: string;
}

/** Notes an organisation at the community that it joins, once. */
export async function insertOrganisation(
  tx: Transaction,
  scope: Scope,
  made: NewOrganisation,
): Promise<Organisation> {
  await tx.run(
    `insert into identity.organisations (tenant_id, environment, id, community_id, name, status, contact_email,
       contact_name, language, terms_version, terms_accepted_at, terms_accepted_by, terms_accepted_from)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now(), $7, $11)
     on conflict do nothing`,
    [
      scope.tenant_id,
      scope.environment,
      made.id,
      made.community_id,
      made.name,
      made.status,
      made.contact_email,
      made.contact_name,
      made.language,
      made.terms_version,
      made.terms_accepted_from,
    ],
  );
  return getOrganisation(tx, scope, made.id);
}

const Host = Type.Object({ base_currency: Type.String(), time_zone: Type.String() });
const Invited = Type.Object({ id: Type.String(), accepted: Type.Boolean() });
const TenantId = Type.Object({ tenant_id: Type.String() });

/** The scope of an organisation's own tenant. Nobody has a role beyond its sandbox. */
function ownScope(uuid: string): Scope {
  return { tenant_id: uuid, environment: 'sandbox' };
}

/**
 * Refuses an address that somebody signs in by in another tenant than that of the organisation. Who signs in by an address
 * that two tenants know has to say which: nobody is to be locked out by having signed up.
 *
 * @returns whether somebody of the organisation itself signs in by it
 */
export async function assertAddressFree(
  db: Database,
  { id, email }: { id: string; email: string },
): Promise<{ isOwn: boolean }> {
  const known = await db.rows(TenantId, 'select tenant_id from identity.tenants_of($1)', [email]);
  if (known.some(({ tenant_id }) => tenant_id !== id)) {
    throw refuse('address_in_use', `Somebody signs in by ${email} here already.`);
  }
  return { isOwn: known.length > 0 };
}

/**
 * Makes the tenant of an organisation, if there is none yet, and an invitation to administer its sandbox. Returns the
 * token of the invitation, in the place of any before; undefined where it was accepted already.
 *
 * @param host where its community is
 */
export async function openOrganisation(
  db: Database,
  host: Scope,
  {
    id,
    email,
    name,
    organisation_name,
  }: { id: string; email: string; name: string; organisation_name: string },
): Promise<string | undefined> {
  await assertAddressFree(db, { id, email });
  const [settings] = await db.read(host, (tx) =>
    tx.rows(Host, 'select base_currency, time_zone from platform.tenants where tenant_id = $1', [
      host.tenant_id,
    ]),
  );
  if (settings === undefined) throw new Error('the tenant of a community is not there');
  const scope = ownScope(id);
  const { token, hash } = newToken(id);
  return db.write(scope, async (tx) => {
    await tx.run("select pg_advisory_xact_lock(hashtextextended('identity/organisation/' || $1, 0))", [id]);
    await tx.run(
      `insert into platform.tenants (tenant_id, name, base_currency, time_zone) values ($1, $2, $3, $4)
       on conflict (tenant_id) do nothing`,
      [id, organisation_name, settings.base_currency, settings.time_zone],
    );
    await tx.run(
      `insert into identity.memberships (tenant_id, environment, host_tenant_id, host_environment)
       values ($1, 'sandbox', $2, $3) on conflict do nothing`,
      [id, host.tenant_id, host.environment],
    );
    const [invited] = await tx.rows(
      Invited,
      `select id, accepted_at is not null as accepted from identity.invitations
       where tenant_id = $1 and environment = 'sandbox' and created_by = $2 order by id limit 1`,
      [id, formatId('org', id)],
    );
    if (invited?.accepted === true) return undefined;
    if (invited === undefined) {
      await tx.run(
        `insert into identity.invitations (tenant_id, environment, id, token_hash, email, name, roles, created_by, expires_at)
         values ($1, 'sandbox', $2, $3, $4, $5, '{administrator}', $6, now() + interval '7 days')`,
        [id, newUuid(), hash, email, name, formatId('org', id)],
      );
    } else {
      await tx.run(
        `update identity.invitations set token_hash = $3, expires_at = now() + interval '7 days'
         where tenant_id = $1 and environment = 'sandbox' and id = $2`,
        [id, invited.id, hash],
      );
    }
    return token;
  });
}

/** What an organisation attempts at its host, under a key that is nobody else's there. */
export function attemptOfOrganisation(organisation: string, { key, operation }: Attempt): Attempt {
  return { key: `portal/${hashOf(`${organisation}/${key}`).toString('hex')}`, operation };
}

const Membership = Type.Object({
  host_tenant_id: Type.String(),
  host_environment: Type.Enum(['sandbox', 'live']),
});

/** Where the community of an organisation is, and the organisation as it stands there. Refuses who belongs to none. */
export async function ownOrganisation(
  db: Database,
  { tenant_id }: Scope,
): Promise<{ host: Scope; organisation: Organisation }> {
  const [membership] = await db.read(ownScope(tenant_id), (tx) =>
    tx.rows(
      Membership,
      `select host_tenant_id, host_environment from identity.memberships
       where tenant_id = $1 and environment = 'sandbox'`,
      [tenant_id],
    ),
  );
  if (membership === undefined) {
    throw refuse('no_community', `${formatId('ten', tenant_id)} is no organisation of a community.`);
  }
  const host: Scope = { tenant_id: membership.host_tenant_id, environment: membership.host_environment };
  return { host, organisation: await db.read(host, (tx) => getOrganisation(tx, host, tenant_id)) };
}

type Decision = 'approve' | 'reject' | 'suspend' | 'resume';

/** What each decision is made about, and what it makes of it. */
const decisions: Readonly<Record<Decision, { from: Organisation['status']; to: Organisation['status'] }>> = {
  approve: { from: 'pending', to: 'active' },
  reject: { from: 'pending', to: 'rejected' },
  suspend: { from: 'active', to: 'suspended' },
  resume: { from: 'suspended', to: 'active' },
};

/** Decides about an organisation. What stands as the decision would have it stays so, for its first reason. */
export function decide(
  db: Database,
  scope: Scope,
  uuid: string,
  { decision, by, reason }: { decision: Decision; by: string; reason: string | undefined },
): Promise<{ before: Organisation; after: Organisation }> {
  return db.write(scope, async (tx) => {
    await tx.run(
      'select from identity.organisations where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [scope.tenant_id, scope.environment, uuid],
    );
    const before = await getOrganisation(tx, scope, uuid);
    const { from, to } = decisions[decision];
    if (before.status === to) return { before, after: before };
    if (before.status !== from) {
      throw refuse('organisation_not_so', `${before.name} is ${before.status}.`, { status: before.status });
    }
    await tx.run(
      `update identity.organisations set status = $4, decided_at = now(), decided_by = $5, reason = $6, version = version + 1
       where tenant_id = $1 and environment = $2 and id = $3`,
      [scope.tenant_id, scope.environment, uuid, to, by, reason ?? null],
    );
    return { before, after: await getOrganisation(tx, scope, uuid) };
  });
}

/** Lets nobody into the own tenant of an organisation, or lets them in again, at once in every process. */
export async function setOwnTenantSuspended(
  db: Database,
  uuid: string,
  reason: string | undefined,
): Promise<void> {
  await db.write(ownScope(uuid), (tx) => setSuspension(tx, uuid, reason));
}

/** Notes that an organisation has accepted the terms as they are now. */
export function acceptTerms(
  db: Database,
  host: Scope,
  uuid: string,
  { version, by, address }: { version: string; by: string; address: string },
): Promise<Organisation> {
  return db.write(host, async (tx) => {
    await tx.run(
      `update identity.organisations
       set terms_version = $4, terms_accepted_at = now(), terms_accepted_by = $5, terms_accepted_from = $6
       where tenant_id = $1 and environment = $2 and id = $3 and terms_version <> $4`,
      [host.tenant_id, host.environment, uuid, version, by, address],
    );
    return getOrganisation(tx, host, uuid);
  });
}
