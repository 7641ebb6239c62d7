/**
 * Invitations into a community: the staff of the institution that hosts it ask an organisation's first developer in by
 * mail. Who invites has decided, so that nobody has to approve the organisation, and addresses of any domain are admitted.
 */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { assertMay, type Caller } from '../../../platform/access/caller.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../../platform/cursor.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { type Attempt, canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import { once } from '../../../platform/once.ts';
import type { Ask, Call } from '../../../platform/port/port.ts';
import type { notificationsPort } from '../../notifications/contract.ts';
import { refuse } from '../errors.ts';
import { Email, normalizedEmail, PersonName } from '../people/invitation.ts';
import { newToken, readToken } from '../people/token.ts';
import { type FoundCommunity, getCommunity } from './communities.ts';
import { Language, OrganisationName } from './organisations.ts';
import { portalUrl } from './portal-url.ts';

const GOOD_FOR_DAYS = 7;
/** So long it is known of those who never came that they were invited, in days. */
const KEPT_FOR_DAYS = 90;

export const CommunityInvitationRequest = Type.Object(
  {
    email: Email,
    name: Type.Optional(PersonName),
    organisation_name: Type.Optional(OrganisationName),
    language: Type.Optional(Language),
  },
  { additionalProperties: false },
);

const Status = Type.Enum(['pending', 'accepted', 'expired', 'withdrawn'], {
  description: '`pending`: its link is good; `accepted`: there is an organisation of it',
});

export const CommunityInvitation = Type.Object({
  id: Id('cin'),
  community_id: Id('com'),
  email: Personal(Type.String()),
  name: Type.Optional(Personal(Type.String())),
  organisation_name: Type.Optional(Type.String()),
  language: Type.String(),
  status: Status,
  organisation_id: Type.Optional(Id('org', 'The organisation that it came to')),
  created_at: Type.String(),
  created_by: Type.String(),
  mailed_at: Type.Optional(
    Type.String({
      description: 'When its newest link was mailed; absent: it was not, and can be sent again',
    }),
  ),
  expires_at: Type.String(),
  accepted_at: Type.Optional(Type.String()),
  withdrawn_at: Type.Optional(Type.String()),
  withdrawn_by: Type.Optional(Type.String()),
});
export type CommunityInvitation = Static<typeof CommunityInvitation>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  id: Type.String(),
  community_id: Type.String(),
  email: Type.String(),
  name: Nullable,
  organisation_name: Nullable,
  language: Type.Enum(['en', 'pt']),
  status: Status,
  organisation_id: Nullable,
  created_at: Type.String(),
  created_by: Type.String(),
  mailed_at: Nullable,
  expires_at: Type.String(),
  accepted_at: Nullable,
  withdrawn_at: Nullable,
  withdrawn_by: Nullable,
});
const columns = `i.id, i.community_id, i.email, i.name, i.organisation_name, i.language,
  case when i.accepted_at is not null then 'accepted' when i.withdrawn_at is not null then 'withdrawn'
    when i.expires_at <= now() then 'expired' else 'pending' end as status,
  i.organisation_id, i.created_at, i.created_by, i.mailed_at, i.expires_at, i.accepted_at, i.withdrawn_at, i.withdrawn_by`;

function shown(row: Static<typeof Row>): CommunityInvitation {
  const { name, organisation_name, organisation_id, mailed_at, accepted_at, withdrawn_at, withdrawn_by } =
    row;
  return {
    id: formatId('cin', row.id),
    community_id: formatId('com', row.community_id),
    email: row.email,
    language: row.language,
    status: row.status,
    created_at: row.created_at,
    created_by: row.created_by,
    expires_at: row.expires_at,
    ...(name === null ? {} : { name }),
    ...(organisation_name === null ? {} : { organisation_name }),
    ...(organisation_id === null ? {} : { organisation_id: formatId('org', organisation_id) }),
    ...(mailed_at === null ? {} : { mailed_at }),
    ...(accepted_at === null ? {} : { accepted_at }),
    ...(withdrawn_at === null ? {} : { withdrawn_at }),
    ...(withdrawn_by === null ? {} : { withdrawn_by }),
  };
}

/** Which invitation, of which community: UUIDs. */
export interface InvitationPlace {
  community_id: string;
  id: string;
}

export async function getCommunityInvitation(
  tx: Transaction,
  scope: Scope,
  { community_id, id }: InvitationPlace,
): Promise<CommunityInvitation> {
  const [row] = await tx.rows(
    Row,
    `select ${columns} from identity.community_invitations i
     where i.tenant_id = $1 and i.environment = $2 and i.community_id = $3 and i.id = $4`,
    [scope.tenant_id, scope.environment, community_id, id],
  );
  if (row === undefined) {
    throw refuse('invitation_not_found', `There is no invitation ${formatId('cin', id)} to this community.`);
  }
  return shown(row);
}

const Filters = Type.Object({ status: Type.Optional(Status) }, { additionalProperties: false });
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListCommunityInvitationsQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** Invitations into a community, newest first. */
export async function listCommunityInvitations(
  tx: Transaction,
  scope: Scope,
  community_id: string,
  { limit, cursor, ...given }: Static<typeof ListCommunityInvitationsQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const rows = await tx.rows(
    Row,
    `select * from (
       select ${columns} from identity.community_invitations i
       where i.tenant_id = $1 and i.environment = $2 and i.community_id = $3 and ($4::uuid is null or i.id < $4)
     ) i where $5::text is null or status = $5
     order by id desc limit $6`,
    [
      scope.tenant_id,
      scope.environment,
      community_id,
      page.after ?? null,
      page.filters.status ?? null,
      page.limit + 1,
    ],
  );
  return pageOf(rows, page, shown, ({ id }) => id);
}

/** Refuses where a community lets nobody in. */
function assertNotClosed({ community }: FoundCommunity): void {
  if (community.sign_up === 'closed') {
    throw refuse('community_closed', `${community.name} is closed, to those who are invited, too.`);
  }
}

const Known = Type.Object({ person: Type.Boolean(), waits: Nullable, invited: Nullable });

/**
 * Refuses to invite an address by what the institution itself knows of it. That people of others sign in by it is told
 * to nobody but whoever follows the link.
 */
async function assertMayBeInvited(
  tx: Transaction,
  scope: Scope,
  community_id: string,
  email: string,
): Promise<void> {
  const [known] = await tx.rows(
    Known,
    `select
       exists (select from identity.people where tenant_id = $1 and email = $4 and status <> 'removed') as person,
       (select o.id from identity.organisations o where o.tenant_id = $1 and o.environment = $2
          and o.community_id = $3 and o.contact_email = $4 and o.status = 'pending' order by o.id limit 1) as waits,
       (select i.id from identity.community_invitations i where i.tenant_id = $1 and i.environment = $2
          and i.community_id = $3 and i.email = $4 and i.accepted_at is null and i.withdrawn_at is null
          and i.expires_at > now() limit 1) as invited`,
    [scope.tenant_id, scope.environment, community_id, email],
  );
  if (known === undefined) throw new Error('a query of one row found none');
  if (known.person) throw refuse('address_in_use', 'Somebody of yours signs in by this address.');
  if (known.waits !== null) {
    const waits = formatId('org', known.waits);
    throw refuse('organisation_waits', `${waits} signed up by this address: approve it.`);
  }
  if (known.invited !== null) {
    const invited = formatId('cin', known.invited);
    throw refuse('already_invited', `The address is invited by ${invited}: send that again.`);
  }
}

/** Notes that somebody is invited. Its first link is made when it is mailed. */
export async function inviteToCommunity(
  db: Database,
  caller: Caller,
  community_id: string,
  body: Static<typeof CommunityInvitationRequest>,
  attempt: Attempt,
): Promise<{ invitation: CommunityInvitation; replayed: boolean }> {
  // Who may not have it mailed makes none that is never sent.
  assertMay(caller, 'notifications:send', false);
  const email = normalizedEmail(body.email);
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      // One after the other, so that one address is not invited twice at once.
      await tx.run(
        'select from identity.communities where tenant_id = $1 and environment = $2 and id = $3 for no key update',
        [caller.tenant_id, caller.environment, community_id],
      );
      assertNotClosed(await getCommunity(tx, caller, community_id));
      await assertMayBeInvited(tx, caller, community_id, email);
      const uuid = newUuid();
      await tx.run(
        `insert into identity.community_invitations (tenant_id, environment, id, community_id, token_hash, email, name,
           organisation_name, language, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now() + make_interval(days => $11))`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          community_id,
          newToken(caller.tenant_id).hash,
          email,
          body.name ?? null,
          body.organisation_name ?? null,
          body.language ?? 'en',
          caller.principal.id,
          GOOD_FOR_DAYS,
        ],
      );
      return uuid;
    },
  );
  const invitation = await db.read(caller, (tx) => getCommunityInvitation(tx, caller, { community_id, id }));
  return { invitation, replayed };
}

/** Locks an invitation that may still be accepted, or was not in time. */
async function lockOpen(tx: Transaction, scope: Scope, place: InvitationPlace): Promise<CommunityInvitation> {
  await tx.run(
    `select from identity.community_invitations
     where tenant_id = $1 and environment = $2 and id = $3 for no key update`,
    [scope.tenant_id, scope.environment, place.id],
  );
  const invitation = await getCommunityInvitation(tx, scope, place);
  if (invitation.status === 'accepted' || invitation.status === 'withdrawn') {
    throw refuse('invitation_closed', `${invitation.id} is ${invitation.status}.`);
  }
  return invitation;
}

/** Makes another link, good for a week from now; the one before is good no more. */
export function renewLink(
  db: Database,
  caller: Caller,
  place: InvitationPlace,
): Promise<{
  before: CommunityInvitation;
  after: CommunityInvitation;
  token: string;
  community: FoundCommunity;
}> {
  assertMay(caller, 'notifications:send', false);
  const { token, hash } = newToken(caller.tenant_id);
  return db.write(caller, async (tx) => {
    const community = await getCommunity(tx, caller, place.community_id);
    assertNotClosed(community);
    const before = await lockOpen(tx, caller, place);
    await tx.run(
      `update identity.community_invitations
       set token_hash = $4, mailed_at = null, expires_at = now() + make_interval(days => $5)
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, place.id, hash, GOOD_FOR_DAYS],
    );
    return { before, after: await getCommunityInvitation(tx, caller, place), token, community };
  });
}

export interface Inviting {
  db: Database;
  askNotifications: Ask<(typeof notificationsPort)['operations']>;
  publicUrl: () => string;
}

/** Mails the link of an invitation. It leads to the page of sign-up, whose terms have to be accepted first. */
export async function mailInvitation(
  { db, askNotifications, publicUrl }: Inviting,
  call: Call,
  { after: invitation, token, community: found }: Awaited<ReturnType<typeof renewLink>>,
  place: InvitationPlace,
): Promise<CommunityInvitation> {
  const { caller } = call;
  const { id: reference, email, name = email, language, organisation_name, expires_at } = invitation;
  const { community, institution } = found;
  await askNotifications('tell', call, {
    recipient: { reference, kind: 'organisation', name, email, language },
    topic: 'developers.invitation',
    data: {
      community: community.name,
      institution,
      ...(organisation_name === undefined ? {} : { organisation: organisation_name }),
      link: `${portalUrl(publicUrl, `/${community.slug}/sign-up`)}#${token}`,
      expires_at,
    },
    cause: `${reference}/${expires_at}`.replaceAll(':', '.'),
  });
  return db.write(caller, async (tx) => {
    await tx.run(
      `update identity.community_invitations set mailed_at = now()
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, place.id],
    );
    return getCommunityInvitation(tx, caller, place);
  });
}

/** Takes an invitation back: its link is good no more. One that was taken back stays so. */
export function withdrawInvitation(
  db: Database,
  caller: Caller,
  place: InvitationPlace,
): Promise<{ before: CommunityInvitation; after: CommunityInvitation }> {
  return db.write(caller, async (tx) => {
    const found = await getCommunityInvitation(tx, caller, place);
    if (found.status === 'withdrawn') return { before: found, after: found };
    const before = await lockOpen(tx, caller, place);
    await tx.run(
      `update identity.community_invitations set withdrawn_at = now(), withdrawn_by = $4
       where tenant_id = $1 and environment = $2 and id = $3`,
      [caller.tenant_id, caller.environment, place.id, caller.principal.id],
    );
    return { before, after: await getCommunityInvitation(tx, caller, place) };
  });
}

/** What makes a link good: it stays so after the terms were accepted, until somebody has chosen a password. */
const isGood = `i.withdrawn_at is null and i.expires_at > now() and (i.organisation_id is null or i.organisation_id = i.id)`;

export type GoodInvitation = Static<typeof Row> & { scope: Scope; hash: Buffer };

/** The invitation that a token is of, while it is good and the institution is let in; undefined where there is none. */
export async function findCommunityInvitation(
  db: Database,
  token: string,
): Promise<GoodInvitation | undefined> {
  const known = readToken(token);
  if (known === undefined) return undefined;
  for (const environment of ['live', 'sandbox'] as const) {
    const scope = { tenant_id: known.tenant_id, environment };
    const [row] = await db.read(scope, (tx) =>
      tx.rows(
        Row,
        `select ${columns} from identity.community_invitations i
         join platform.tenants t on t.tenant_id = i.tenant_id and t.status = 'active'
         where i.tenant_id = $1 and i.environment = $2 and i.token_hash = $3 and ${isGood}`,
        [scope.tenant_id, environment, known.hash],
      ),
    );
    if (row !== undefined) return { ...row, scope, hash: known.hash };
  }
  return undefined;
}

/** Notes that an invitation was accepted, by the organisation of its id; false where its link is good no more. */
export async function acceptByLink(tx: Transaction, { scope, id, hash }: GoodInvitation): Promise<boolean> {
  const accepted = await tx.run(
    `update identity.community_invitations i set accepted_at = coalesce(accepted_at, now()), organisation_id = id
     where tenant_id = $1 and environment = $2 and id = $3 and token_hash = $4 and ${isGood}`,
    [scope.tenant_id, scope.environment, id, hash],
  );
  return accepted > 0;
}

/**
 * Notes that who was invited signed up by themselves, by an organisation that is about to be made; false where nobody
 * invited them, or the organisation is there already.
 */
export async function acceptBySignUp(
  tx: Transaction,
  scope: Scope,
  { community_id, email, organisation_id }: { community_id: string; email: string; organisation_id: string },
): Promise<boolean> {
  const accepted = await tx.run(
    `update identity.community_invitations set accepted_at = now(), organisation_id = $5
     where tenant_id = $1 and environment = $2 and community_id = $3 and email = $4
       and accepted_at is null and withdrawn_at is null and expires_at > now()
       and not exists (select from identity.organisations where tenant_id = $1 and environment = $2 and id = $5)`,
    [scope.tenant_id, scope.environment, community_id, email, organisation_id],
  );
  return accepted > 0;
}

/** Forgets who was invited and never came, a while after: an address of somebody who is nobody here need not be kept. */
export function removeOldCommunityInvitations(db: Database, scope: Scope): Promise<number> {
  return db.write(scope, (tx) =>
    tx.run(
      `delete from identity.community_invitations
       where tenant_id = $1 and environment = $2 and accepted_at is null
         and expires_at < now() - make_interval(days => $3)`,
      [scope.tenant_id, scope.environment, KEPT_FOR_DAYS],
    ),
  );
}
