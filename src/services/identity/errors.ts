/** Everything the service identity refuses. */
import { defineProblems } from '../../platform/problem.ts';

export const refuse = defineProblems({
  api_key_not_found: {
    status: 404,
    title: 'No such API key',
    meaning: 'The tenant has no API key with this id in this environment.',
  },
  api_key_revoked: {
    status: 409,
    title: 'The API key is revoked',
    meaning: 'A revoked key stays so. Create another.',
  },
  person_not_found: {
    status: 404,
    title: 'No such person',
    meaning: 'The tenant has nobody with this id.',
  },
  person_exists: {
    status: 409,
    title: 'Somebody has this e-mail address',
    meaning: 'An e-mail address belongs to one person of a tenant. Find that person, or use another address.',
  },
  person_removed: {
    status: 409,
    title: 'The person was removed',
    meaning: 'Whoever was removed stays so. Invite the e-mail address again; it becomes another person.',
  },
  own_account: {
    status: 409,
    title: 'Not to oneself',
    meaning: 'Nobody suspends or removes themselves. Somebody else with the permission can.',
  },
  invitation_not_found: {
    status: 404,
    title: 'No such invitation',
    meaning: 'The tenant has no invitation with this id in this environment.',
  },
  invitation_closed: {
    status: 409,
    title: 'The invitation is closed',
    meaning: 'It was accepted, revoked or withdrawn and stays so. Invite again.',
  },
  invitation_not_good: {
    status: 404,
    title: 'The invitation cannot be accepted',
    meaning:
      'The link is unknown, has expired, or was used, revoked or replaced by a newer one. Ask whoever invited you for another.',
  },
  community_not_found: {
    status: 404,
    title: 'No such community',
    meaning: 'There is no community of developers with this id or name here.',
  },
  community_name_taken: {
    status: 422,
    title: 'The name is taken by a page',
    meaning: 'The portal has a page at this address whatever communities there are. Take another `slug`.',
  },
  community_exists: {
    status: 409,
    title: 'The name of the community is taken',
    meaning:
      'The `slug` of a community is in the address of its portal, hence unique in the whole installation.',
  },
  logo_not_found: {
    status: 404,
    title: 'No logo',
    meaning: 'The community has no logo.',
  },
  logo_not_good: {
    status: 422,
    title: 'The file is no logo',
    meaning:
      'A logo is one whole PNG or WebP, of the type that is said, in base64. It is not animated, not cut off, and nothing is behind its end. Save it anew as PNG or WebP and send it again. SVG is not taken, since it can hold scripts.',
  },
  logo_size_not_good: {
    status: 422,
    title: 'The logo is too large or too small',
    meaning:
      'A logo has at most 65,536 bytes and 1024×1024 pixels, and at least 16×16. Make it smaller or larger and send it again.',
  },
  no_community: {
    status: 404,
    title: 'Of no community',
    meaning: 'Whoever asks belongs to no organisation of a community of developers.',
  },
  sign_up_closed: {
    status: 403,
    title: 'Nobody signs up here by themselves',
    meaning: 'The community takes no sign-ups. Ask the institution.',
  },
  sign_up_by_invitation: {
    status: 403,
    title: 'By invitation only',
    meaning:
      'Only those whom the institution invited join the community, by the link of the mail that they got. Ask the institution.',
  },
  community_closed: {
    status: 409,
    title: 'The community is closed',
    meaning:
      'Nobody joins a closed community, not by invitation either. Edit its `sign_up` first: `invitation` lets in those who are invited and nobody else.',
  },
  already_invited: {
    status: 409,
    title: 'Invited already',
    meaning:
      'The address has an invitation into the community that is not accepted yet. Send that again, or withdraw it first.',
  },
  organisation_waits: {
    status: 409,
    title: 'An organisation waits to be decided about',
    meaning:
      'Whoever has the address signed up by themselves, and their organisation is `pending`. Approve it in the place of inviting them.',
  },
  sign_up_unavailable: {
    status: 503,
    title: 'No sign-ups for now',
    meaning:
      'What nobody is signed in for, as the mail of a sign-up, is done for whoever of the staff edited the community last, and they may not send notifications any more. Somebody who may has to edit it.',
  },
  sign_up_too_often: {
    status: 429,
    title: 'Too many sign-ups',
    meaning: 'Many sign-ups came from the same network of late. Wait some minutes.',
  },
  sign_up_not_good: {
    status: 404,
    title: 'The link is good no more',
    meaning:
      'The link is unknown, has expired, was replaced by a newer one, or was used. Sign up again, or sign in.',
  },
  email_domain_not_admitted: {
    status: 422,
    title: 'Addresses of this domain are not admitted',
    meaning: 'The community admits addresses of certain domains only, which it names.',
  },
  terms_not_current: {
    status: 409,
    title: 'The terms are others by now',
    meaning:
      'What was accepted is not the version of the terms that holds. Show the current one and accept it.',
  },
  address_in_use: {
    status: 409,
    title: 'The address is in use',
    meaning:
      'Somebody signs in to this installation by the address already. An organisation of developers needs an address of its own: use another.',
  },
  organisation_not_found: {
    status: 404,
    title: 'No such organisation',
    meaning: 'No community of the environment has an organisation with this id.',
  },
  organisation_not_so: {
    status: 409,
    title: 'The organisation does not stand so',
    meaning:
      '`status` says how it stands: one that is pending is approved or rejected, one that is active suspended.',
  },
  live_request_not_found: {
    status: 404,
    title: 'No such request',
    meaning: 'There is no request for live access with this id.',
  },
  live_request_decided: {
    status: 409,
    title: 'It is decided already',
    meaning: 'A request for live access is decided once. Ask again by another.',
  },
  live_access_not_ready: {
    status: 409,
    title: 'Not ready for live access',
    meaning:
      'The checklist of the organisation has open items, which `items` names. `GET /api/v2/portal/self` shows it.',
  },
  scopes_not_offered: {
    status: 422,
    title: 'More than is offered',
    meaning:
      'An organisation asks for permissions that its community offers, and is granted no more than it asked for. `permissions` names what is beyond.',
  },
  announcement_not_found: {
    status: 404,
    title: 'No such announcement',
    meaning: 'The community has no announcement with this id.',
  },
  question_not_found: {
    status: 404,
    title: 'No such question',
    meaning: 'The community has no question with this id, or it is hidden.',
  },
  answer_not_found: {
    status: 404,
    title: 'No such answer',
    meaning: 'The question has no answer with this id.',
  },
  question_not_own: {
    status: 403,
    title: 'Asked by somebody else',
    meaning: 'Which answer helped is said by the organisation that asked.',
  },
  question_hidden: {
    status: 409,
    title: 'The question is hidden',
    meaning: 'The institution hid it from the community. It is not answered any more.',
  },
  question_full: {
    status: 409,
    title: 'Many answers already',
    meaning: 'A question takes a bounded number of answers. Ask another.',
  },
  application_disabled: {
    status: 409,
    title: 'The application is disabled',
    meaning: 'It gets no keys until the institution enables it again.',
  },
  password_not_good: {
    status: 422,
    title: 'This password is not good enough',
    meaning:
      'A password has at least 8 characters, is none of the commonest that attackers try first, and is not the e-mail address or name of its owner. Nothing else is asked of it; a few words in a row are best.',
  },
  password_reset_not_good: {
    status: 404,
    title: 'The password cannot be reset with this',
    meaning:
      'The token is unknown, has expired, was used, or another was made since. Ask an administrator for another.',
  },
  sign_in_refused: {
    status: 401,
    title: 'Signing in was refused',
    meaning:
      'What was given does not let anybody in now. For the sake of those who have an account, nothing more is said: it may be unknown, suspended, wrong, expired, or tried too often in a short time. Wait some minutes before you try again, or ask an administrator.',
  },
  session_required: {
    status: 401,
    title: 'Nobody is signed in',
    meaning: 'This is for people who are signed in, by the cookie of a session. Sign in.',
  },
  session_not_fresh: {
    status: 403,
    title: 'Sign in again for this',
    meaning:
      'What changes how one signs in needs a session that began within the last 15 minutes, so that a stolen one cannot. Sign in again and repeat it.',
  },
  session_not_found: {
    status: 404,
    title: 'No such session',
    meaning: 'The person has no session with this id.',
  },
  totp_active: {
    status: 409,
    title: 'One-time passwords are in use already',
    meaning: 'A person has one authenticator app. Remove it first.',
  },
  totp_not_enrolled: {
    status: 409,
    title: 'No authenticator app is enrolled',
    meaning: 'Begin with `POST /identity/me/totp` and confirm it with a code of the app.',
  },
  code_refused: {
    status: 422,
    title: 'The code is not right',
    meaning:
      'A code of an authenticator app is good for about a minute, and once. Wait for the next one; check that the clock of the device is right.',
  },
  second_factor_required: {
    status: 409,
    title: 'There is no second factor to recover from',
    meaning: 'Recovery codes stand in for an authenticator app or a passkey. Enrol one first.',
  },
  passkey_refused: {
    status: 422,
    title: 'The passkey could not be registered',
    meaning:
      'The answer of the authenticator does not fit the options that were given: they are good once, for five minutes, and for the address of this site. Ask for options anew.',
  },
  passkey_exists: {
    status: 409,
    title: 'The passkey is registered already',
    meaning: 'A passkey belongs to one person. Use another authenticator.',
  },
  passkey_not_found: {
    status: 404,
    title: 'No such passkey',
    meaning: 'The person has no passkey with this id.',
  },
  identity_provider_not_found: {
    status: 404,
    title: 'There is no identity provider',
    meaning: 'The tenant has named no OpenID Connect provider of its own.',
  },
  identity_provider_not_good: {
    status: 422,
    title: 'The identity provider cannot be used',
    meaning:
      'The issuer is to be an https URL whose discovery document can be read and names that very issuer. `detail` says what was wrong.',
  },
  role_not_found: {
    status: 404,
    title: 'No such role',
    meaning:
      'The tenant has no role of this name in this environment. The list of roles shows those there are.',
  },
  role_name_taken: {
    status: 409,
    title: 'The name of the role is taken',
    meaning: 'A role is known by its name, and those of every institution have theirs. Choose another.',
  },
  role_predefined: {
    status: 409,
    title: 'The role is of every institution',
    meaning: 'Predefined roles can be neither edited nor deleted. Make a role of your own.',
  },
  role_granted: {
    status: 409,
    title: 'Somebody has the role',
    meaning:
      'A role is deleted when nobody has it any more. Revoke its grants first; the list of grants finds them.',
  },
  too_many_roles: {
    status: 409,
    title: 'There are too many roles',
    meaning: 'An environment has up to 200 roles of its own. Delete those that nobody has.',
  },
  grantee_not_found: {
    status: 404,
    title: 'No such person to grant it to',
    meaning: 'The tenant has nobody with this id.',
  },
  grant_not_found: {
    status: 404,
    title: 'No such grant',
    meaning: 'The tenant has no grant with this id in this environment, or it was revoked.',
  },
  grant_exists: {
    status: 409,
    title: 'The person has the role already',
    meaning: 'A role is granted to a person once for everything, and once for the same labels.',
  },
  last_administrator: {
    status: 409,
    title: 'Somebody must administer',
    meaning:
      'The last grant of the administrator that reaches everything cannot be revoked: nobody could grant it again. Grant it to somebody else first.',
  },
  plan_not_found: {
    status: 404,
    title: 'No such plan',
    meaning: 'The tenant has no plan of this name in this environment.',
  },
  plan_exists: {
    status: 409,
    title: 'There is a plan of this name',
    meaning:
      'The name of a plan is used once in an environment. Edit the plan that is there, or choose another name.',
  },
  limits_confine: {
    status: 403,
    title: 'Limits are not left behind',
    meaning:
      'A key that is under monetary limits gives access only by keys that share them: neither to people, applications or devices, nor by keys that are under other limits or none.',
  },
  permission_not_held: {
    status: 422,
    title: 'Nobody gives what they do not have',
    meaning:
      'Keys, roles and tokens can be given permissions that their creator has, no others. `permissions` names those that are too many.',
  },
  tenant_not_found: {
    status: 404,
    title: 'No such tenant',
    meaning: 'The installation has no tenant with this id.',
  },
  tenant_operates_installation: {
    status: 409,
    title: 'This tenant operates the installation',
    meaning: 'Nobody could resume the tenant whose people operate the installation; it cannot be suspended.',
  },
  base_currency_in_use: {
    status: 409,
    title: 'The base currency is in use',
    meaning:
      'The numbers of the v1 API are in the base currency, so that it cannot change once the tenant has an account in either environment. An emptied sandbox has none.',
  },
  unknown_base_currency: {
    status: 422,
    title: 'No such currency',
    meaning: 'The base currency must be an active ISO 4217 currency.',
  },
  unknown_time_zone: {
    status: 422,
    title: 'No such time zone',
    meaning: 'The time zone must be a name of the IANA time zone database, as `America/Sao_Paulo` or `UTC`.',
  },
  unknown_seed: {
    status: 422,
    title: 'No such seed',
    meaning:
      'A sandbox can be filled with what this installation knows; `seeds` names it. Nothing was emptied.',
  },
  application_not_found: {
    status: 404,
    title: 'No such application',
    meaning: 'The tenant has no application with this id in this environment.',
  },
  application_not_sound: {
    status: 422,
    title: 'The application cannot be registered so',
    meaning:
      'What was given does not fit together: an application with a redirect address needs the grant authorization_code and the other way round, one that signs its requests needs keys, and one of the FAPI 2.0 profile needs both keys and tokens bound to a key. The detail says which.',
  },
  device_not_found: {
    status: 404,
    title: 'No such device',
    meaning: 'The tenant has no device with this id in this environment.',
  },
  device_key_not_good: {
    status: 422,
    title: 'The key of the device cannot be used',
    meaning:
      'A device has a public key of the curve P-256, with x and y, or of Ed25519, with x alone. Give the public part only.',
  },
  application_has_no_secret: {
    status: 409,
    title: 'The application has no secret',
    meaning: 'It authenticates by a key, or not at all. Replace its keys instead.',
  },
  consent_not_found: {
    status: 404,
    title: 'No such consent',
    meaning: 'Whoever asks has given no consent with this id, or has taken it back.',
  },
});
