/** How somebody joins whom staff invited: the link shows that the address is theirs, so that no other mail is needed. */
import { type Static, Type } from 'typebox';
import { Personal } from '../../../platform/access/redaction.ts';
import type { Database } from '../../../platform/db.ts';
import type { Problem } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import { PersonName } from '../people/invitation.ts';
import { type FoundCommunity, getCommunity } from './communities.ts';
import { acceptByLink, findCommunityInvitation, type GoodInvitation } from './invitations.ts';
import {
  acceptTerms,
  assertAddressFree,
  insertOrganisation,
  Language,
  OrganisationName,
  openOrganisation,
} from './organisations.ts';
import { assertTermsCurrent, TermsVersion, type Verified } from './sign-up.ts';

export const InvitedRequest = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 100, description: 'Of the link that was mailed' }) },
  { additionalProperties: false },
);

export const Invited = Type.Object({
  community: Type.String({ description: 'The `slug` of the community' }),
  email: Personal(Type.String({ description: 'That was invited, and is signed in by' })),
  name: Type.Optional(Personal(Type.String())),
  organisation_name: Type.Optional(Type.String()),
  expires_at: Type.String(),
});

export const JoinRequest = Type.Object(
  {
    ...InvitedRequest.properties,
    name: PersonName,
    organisation_name: OrganisationName,
    accepted_terms_version: TermsVersion,
    language: Type.Optional(Language),
  },
  { additionalProperties: false },
);

function notGood(): Problem {
  return refuse(
    'invitation_not_good',
    'This link is good no more. Ask whoever invited you for another; where you chose a password already, sign in.',
  );
}

function assertNotClosed({ community }: FoundCommunity): void {
  if (community.sign_up === 'closed') {
    throw refuse('sign_up_closed', `${community.name} lets nobody in for now.`);
  }
}

/** The invitation of a link that is good, of an address that nobody signs in by. */
async function goodInvitation(db: Database, token: string): Promise<GoodInvitation> {
  const invitation = await findCommunityInvitation(db, token);
  if (invitation === undefined) throw notGood();
  const { isOwn } = await assertAddressFree(db, invitation);
  if (isOwn) throw notGood();
  return invitation;
}

/** What whoever follows the link of an invitation is asked to. */
export async function seeInvitation(
  db: Database,
  { token }: Static<typeof InvitedRequest>,
): Promise<Static<typeof Invited>> {
  const { scope, community_id, email, name, organisation_name, expires_at } = await goodInvitation(db, token);
  const found = await db.read(scope, (tx) => getCommunity(tx, scope, community_id));
  assertNotClosed(found);
  return {
    community: found.community.slug,
    email,
    expires_at,
    ...(name === null ? {} : { name }),
    ...(organisation_name === null ? {} : { organisation_name }),
  };
}

/**
 * Accepts an invitation, and the terms with it. As often as that is done until somebody has chosen a password there is one
 * organisation, and of the invitations to its sandbox the last one is good.
 *
 * @param address where the terms are accepted from
 */
export async function joinByInvitation(
  db: Database,
  address: string,
  { token, name, organisation_name, accepted_terms_version: version, language }: Static<typeof JoinRequest>,
): Promise<Static<typeof Verified>> {
  const invitation = await goodInvitation(db, token);
  const { scope, id, community_id, email } = invitation;
  const organisation = await db.write(scope, async (tx) => {
    const found = await getCommunity(tx, scope, community_id);
    assertNotClosed(found);
    assertTermsCurrent(found, version);
    if (!(await acceptByLink(tx, invitation))) throw notGood();
    return insertOrganisation(tx, scope, {
      id,
      community_id,
      name: organisation_name,
      status: 'active',
      contact_email: email,
      contact_name: name,
      language: language ?? invitation.language,
      terms_version: version,
      terms_accepted_from: address,
    });
  });
  if (organisation.status !== 'active') throw notGood();
  // Whoever comes again may have other terms before them than the first time.
  if (organisation.terms_version !== version) {
    await acceptTerms(db, scope, id, { version, by: email, address });
  }
  const own = { id, email, name, organisation_name: organisation.name };
  const invitation_token = await openOrganisation(db, scope, own);
  if (invitation_token === undefined) throw notGood();
  return { status: 'ready', organisation_name: organisation.name, email, name, invitation_token };
}
