/**
 * How developers come in by themselves: whoever shows that an address is theirs gets an organisation, which is a tenant of
 * its own, and an invitation to administer its sandbox. Until then there is nothing but a row that is forgotten in a day.
 */
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import { Personal } from '../../../platform/access/redaction.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import type { Ask, Call } from '../../../platform/port/port.ts';
import type { Problem } from '../../../platform/problem.ts';
import type { ServiceContext } from '../../../platform/service.ts';
import type { notificationsPort } from '../../notifications/contract.ts';
import { refuse } from '../errors.ts';
import { Email, normalizedEmail, PersonName } from '../people/invitation.ts';
import { admit, type Throttle } from '../people/throttle.ts';
import { hashOf, newToken, readToken } from '../people/token.ts';
import { type FoundCommunity, findCommunity, getCommunity } from './communities.ts';
import { acceptBySignUp } from './invitations.ts';
import {
  assertAddressFree,
  insertOrganisation,
  Language,
  type Organisation,
  OrganisationName,
  openOrganisation,
} from './organisations.ts';
import { portalUrl } from './portal-url.ts';

const GOOD_FOR_S = 86_400;

export const TermsVersion = Text({
  min: 1,
  max: 64,
  description: 'The version of the terms that was shown and accepted',
});
export const SignUpRequest = Type.Object(
  {
    community: Type.String({ minLength: 1, maxLength: 63, examples: ['partners'] }),
    email: Email,
    name: PersonName,
    organisation_name: OrganisationName,
    accepted_terms_version: TermsVersion,
    language: Type.Optional(Language),
  },
  { additionalProperties: false },
);

export const VerifyRequest = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 100 }) },
  { additionalProperties: false },
);

export const Verified = Type.Object({
  status: Type.Enum(['ready', 'pending'], {
    description:
      '`ready`: the invitation can be accepted; `pending`: the institution has to approve first, and mails then',
  }),
  organisation_name: Type.String(),
  email: Personal(Type.String()),
  name: Personal(Type.String()),
  invitation_token: Type.Optional(
    Type.String({ description: 'For `POST /identity/invitations/accept`, by which a password is chosen' }),
  ),
});

export interface SigningUp {
  db: Database;
  log: FastifyBaseLogger;
  findPrincipal: ServiceContext['findPrincipal'];
  askNotifications: Ask<(typeof notificationsPort)['operations']>;
  publicUrl: () => string;
}

/** Where a request came from. */
export type Origin = Omit<Call, 'caller'>;

/** Sign-ups of one network, and to one address: they are few where somebody wants in, and many where somebody is a nuisance. */
function throttlesOf(address: string, email: string): { network: Throttle; mailbox: Throttle } {
  return {
    network: { key: hashOf(`sign-up from ${address}`), free: 20 },
    mailbox: { key: hashOf(`sign-up of ${email}`), free: 5 },
  };
}

/** Who answers for a community: nobody is signed in who could. */
async function authorityOf(
  { findPrincipal, log }: Pick<SigningUp, 'findPrincipal' | 'log'>,
  scope: Scope,
  { authority, community }: FoundCommunity,
): Promise<Caller> {
  const caller = await findPrincipal(scope, authority, undefined);
  if (caller?.permissions.has('notifications:send') === true) return caller;
  log.warn(
    { community: community.slug, authority: authority.id },
    'nobody answers for a community: whoever edited it last may not send notifications any more',
  );
  throw refuse(
    'sign_up_unavailable',
    `${community.name} takes no sign-ups for now: somebody of ${community.slug} has to edit the community.`,
  );
}

/** Refuses what was accepted of terms that are others by now. */
export function assertTermsCurrent({ community }: FoundCommunity, version: string): void {
  if (version !== community.terms.version) {
    throw refuse(
      'terms_not_current',
      `The terms of ${community.name} are of version ${community.terms.version} by now.`,
    );
  }
}

function assertAdmitted(found: FoundCommunity, email: string, terms: string): void {
  const { community } = found;
  if (community.sign_up === 'invitation') {
    throw refuse('sign_up_by_invitation', `${community.name} is joined by the link of an invitation only.`);
  }
  if (community.sign_up === 'closed') {
    throw refuse('sign_up_closed', `Nobody signs up to ${community.name} by themselves.`);
  }
  const domain = email.slice(email.lastIndexOf('@') + 1);
  if (community.email_domains.length > 0 && !community.email_domains.includes(domain)) {
    throw refuse('email_domain_not_admitted', `${community.name} admits no addresses of ${domain}.`);
  }
  assertTermsCurrent(found, terms);
}

/**
 * Mails a link to whoever wants in. The answer is the same whoever has the address; what is refused follows from what
 * everybody can see of the community.
 *
 * @returns `kept` where the installation sends no mail, and the institution has to pass the link on
 */
export async function signUp(
  signingUp: SigningUp,
  origin: Origin,
  body: Static<typeof SignUpRequest>,
): Promise<'mailed' | 'kept'> {
  const { db, log, askNotifications } = signingUp;
  const email = normalizedEmail(body.email);
  const { network, mailbox } = throttlesOf(origin.address, email);
  if (!(await admit(db, network))) throw refuse('sign_up_too_often', 'Many sign-ups came from here of late.');
  const found = await findCommunity(db, body.community);
  if (found === undefined) throw refuse('community_not_found', `There is no community ${body.community}.`);
  assertAdmitted(found, email, body.accepted_terms_version);
  const caller = await authorityOf(signingUp, found.scope, found);
  const { email: mail } = await askNotifications('getWaysOut', { ...origin, caller }, {});
  const outcome = mail === 'sent' ? 'mailed' : 'kept';
  // Whose mailbox is flooded is not told from here.
  if (!(await admit(db, mailbox))) return outcome;
  const { scope, uuid: community_id } = found;
  const id = newUuid();
  const { token, hash } = newToken(scope.tenant_id);
  const expires_at = new Date(Date.now() + GOOD_FOR_S * 1_000).toISOString();
  const language = body.language ?? 'en';
  await db.write(scope, (tx) =>
    tx.run(
      `insert into identity.sign_ups (tenant_id, environment, id, community_id, token_hash, email, name,
         organisation_name, language, terms_version, address, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
      [
        scope.tenant_id,
        scope.environment,
        id,
        community_id,
        hash,
        email,
        body.name,
        body.organisation_name,
        language,
        body.accepted_terms_version,
        origin.address,
        expires_at,
      ],
    ),
  );
  await mailLink(signingUp, { ...origin, caller }, found, {
    id,
    name: body.name,
    email,
    language,
    organisation: body.organisation_name,
    token,
    expires_at,
  });
  log.info({ community: found.community.slug, sign_up: formatId('sgn', id) }, 'somebody wants to sign up');
  return outcome;
}

interface Invited {
  /** UUID of the sign-up. */
  id: string;
  name: string;
  email: string;
  language: string;
  organisation: string;
  token: string;
  expires_at: string;
}

/** Mails the link by which somebody shows that an address is theirs. */
async function mailLink(
  { askNotifications, publicUrl }: Pick<SigningUp, 'askNotifications' | 'publicUrl'>,
  call: Call,
  { community, institution }: FoundCommunity,
  { id, name, email, language, organisation, token, expires_at }: Invited,
): Promise<void> {
  await askNotifications('tell', call, {
    recipient: { reference: formatId('sgn', id), kind: 'organisation', name, email, language },
    topic: 'developers.sign_up',
    data: {
      community: community.name,
      institution,
      organisation,
      link: `${portalUrl(publicUrl, '/verify')}#${token}`,
      expires_at,
    },
    cause: `${formatId('sgn', id)}/${expires_at}`.replaceAll(':', '.'),
  });
}

const Row = Type.Object({
  id: Type.String(),
  community_id: Type.String(),
  email: Type.String(),
  name: Type.String(),
  organisation_name: Type.String(),
  language: Type.String(),
  terms_version: Type.String(),
  address: Type.String(),
});
type SignUp = Static<typeof Row>;
const columns = 'id, community_id, email, name, organisation_name, language, terms_version, address';

function notGood(): Problem {
  return refuse('sign_up_not_good', 'This link is good no more.');
}

async function findSignUp(db: Database, token: string): Promise<{ scope: Scope; found: SignUp } | undefined> {
  const known = readToken(token);
  if (known === undefined) return undefined;
  for (const environment of ['live', 'sandbox'] as const) {
    const scope = { tenant_id: known.tenant_id, environment };
    const [found] = await db.read(scope, (tx) =>
      tx.rows(
        Row,
        `select ${columns} from identity.sign_ups
         where tenant_id = $1 and environment = $2 and token_hash = $3 and expires_at > now()`,
        [scope.tenant_id, environment, known.hash],
      ),
    );
    if (found !== undefined) return { scope, found };
  }
  return undefined;
}

/** The organisation of a sign-up, which there is from now on. */
async function verifiedOrganisation(tx: Transaction, scope: Scope, found: SignUp): Promise<Organisation> {
  const { community } = await getCommunity(tx, scope, found.community_id);
  if (community.sign_up === 'closed') {
    throw refuse('sign_up_closed', `Nobody signs up to ${community.name} by themselves.`);
  }
  const { id: organisation_id, community_id, email } = found;
  const isInvited = await acceptBySignUp(tx, scope, { community_id, email, organisation_id });
  await tx.run(
    `update identity.sign_ups set verified_at = coalesce(verified_at, now())
     where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, found.id],
  );
  return insertOrganisation(tx, scope, {
    id: found.id,
    community_id: found.community_id,
    name: found.organisation_name,
    // Whoever signed up before they had to be invited is decided about.
    status: community.sign_up === 'open' || isInvited ? 'active' : 'pending',
    contact_email: found.email,
    contact_name: found.name,
    language: found.language,
    terms_version: found.terms_version,
    terms_accepted_from: found.address,
  });
}

/**
 * Follows the link of a mail. As often as it is followed while it is good there is one organisation, and of its
 * invitations the last one is good.
 */
export async function verify(
  db: Database,
  { token }: Static<typeof VerifyRequest>,
): Promise<Static<typeof Verified>> {
  const known = await findSignUp(db, token);
  if (known === undefined) throw notGood();
  const { scope, found } = known;
  const { email, name, organisation_name } = found;
  // Before there is an organisation that nobody could come into.
  await assertAddressFree(db, found);
  const organisation = await db.write(scope, (tx) => verifiedOrganisation(tx, scope, found));
  if (organisation.status === 'rejected' || organisation.status === 'suspended') throw notGood();
  if (organisation.status === 'pending') return { status: 'pending', organisation_name, email, name };
  const invitation_token = await openOrganisation(db, scope, found);
  if (invitation_token === undefined) throw notGood();
  return { status: 'ready', organisation_name, email, name, invitation_token };
}

/** Makes another link for a sign-up that was approved, good for a week, and mails it. */
export async function mailApproval(
  signingUp: Pick<SigningUp, 'db' | 'askNotifications' | 'publicUrl'>,
  call: Call,
  community: FoundCommunity,
  uuid: string,
): Promise<void> {
  const scope: Scope = { tenant_id: call.caller.tenant_id, environment: call.caller.environment };
  const { token, hash } = newToken(scope.tenant_id);
  const expires_at = new Date(Date.now() + 7 * GOOD_FOR_S * 1_000).toISOString();
  const [found] = await signingUp.db.write(scope, (tx) =>
    tx.rows(
      Row,
      `update identity.sign_ups set token_hash = $4, expires_at = $5
       where tenant_id = $1 and environment = $2 and id = $3 returning ${columns}`,
      [scope.tenant_id, scope.environment, uuid, hash, expires_at],
    ),
  );
  if (found === undefined) throw new Error('the sign-up of an organisation is not there');
  const { id, name, email, language, organisation_name: organisation } = found;
  await mailLink(signingUp, call, community, { id, name, email, language, organisation, token, expires_at });
}

/** Forgets sign-ups whose links are good no more, save those that somebody has yet to decide about. */
export function removeOldSignUps(db: Database, scope: Scope): Promise<number> {
  return db.write(scope, (tx) =>
    tx.run(
      `delete from identity.sign_ups s where s.tenant_id = $1 and s.environment = $2 and s.expires_at < now()
         and not exists (select from identity.organisations o
           where o.tenant_id = $1 and o.environment = $2 and o.id = s.id and o.status = 'pending')`,
      [scope.tenant_id, scope.environment],
    ),
  );
}
