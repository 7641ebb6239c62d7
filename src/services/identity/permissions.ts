import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about who may do what. */
export const permissions = {
  'api_keys:read': { meaning: 'See API keys, though never the keys themselves' },
  'api_keys:create': { meaning: 'Create and rotate API keys, with no more permissions than one has oneself' },
  'api_keys:edit': { meaning: 'Edit the label, addresses and expiry of API keys' },
  'api_keys:revoke': { meaning: 'Revoke API keys' },
  'people:read': { meaning: 'See people, and where they are signed in' },
  'people:edit': { meaning: 'Edit the name and e-mail address of people' },
  'people:suspend': { meaning: 'Suspend people and let them in again' },
  'people:remove': { meaning: 'Remove people for good' },
  'people:sign_out': { meaning: "End people's sessions" },
  'people:reset_password': { meaning: 'Let people choose a new password who forgot theirs' },
  'people:reset_factors': { meaning: 'Take away the second factors of people who lost them' },
  'invitations:read': { meaning: 'See invitations' },
  'invitations:create': {
    meaning: 'Invite people, into roles with no more permissions than one has oneself',
  },
  'invitations:revoke': { meaning: 'Revoke invitations' },
  'identity_provider:read': { meaning: 'See through which OpenID Connect provider people may sign in' },
  'identity_provider:edit': {
    meaning: 'Set or remove the OpenID Connect provider that people may sign in through',
  },
  'communities:read': { meaning: 'See communities of developers and their settings' },
  'communities:edit': {
    meaning: 'Make and edit communities, which offer no more than one may oneself',
  },
  'organisations:read': {
    meaning: 'See the organisations that joined a community or are invited, and who to ask there',
  },
  'organisations:decide': { meaning: 'Invite, approve, reject, suspend and resume organisations' },
  'live_access:read': { meaning: 'See what organisations ask to do beyond their own sandbox' },
  'live_access:decide': {
    meaning: 'Give organisations access or refuse it, with no more permissions than one has oneself',
  },
  'questions:answer': { meaning: 'Answer questions of communities for the institution' },
  'questions:moderate': { meaning: 'Hide questions and answers from communities' },
  'limit_notices:choose': { meaning: 'Choose whether and how one is told of limits that are nearly used up' },
  'portal:ask': { meaning: 'Ask and answer in the community that one is a developer of' },
  'portal:read': {
    meaning: 'See the community that one is a developer of, and what one’s organisation was given',
  },
  'portal:request_live_access': { meaning: 'Accept the terms of the community and ask for live access' },
  'portal:make_keys': { meaning: 'Make and revoke keys of what one’s organisation was given' },
  'roles:read': { meaning: 'See roles and what they may do' },
  'roles:edit': { meaning: 'Make, edit and delete roles, with no more permissions than one has oneself' },
  'grants:read': { meaning: 'See who has which roles' },
  'grants:edit': { meaning: 'Grant roles that may do no more than one may oneself, and revoke grants' },
  'plans:read': { meaning: 'See plans and how much each allows' },
  'plans:edit': { meaning: 'Create and edit plans' },
  'plans:assign': {
    meaning: 'Put API keys, applications and devices on another plan than the one that one is on oneself',
  },
  'limits:read': { meaning: 'See the limits that one has oneself, and what is left of them' },
  'quotas:read': { meaning: 'See what all callers of a tenant may ask together', of: 'installation' },
  'quotas:edit': { meaning: 'Set what all callers of a tenant may ask together', of: 'installation' },
  'tenant:read': { meaning: 'See the settings of the institution' },
  'tenant:edit': {
    meaning: 'Edit the name, base currency, time zone, business calendar and brand of the institution',
  },
  'tenants:read': {
    meaning: 'See all institutions of the installation and their settings',
    of: 'installation',
  },
  'tenants:create': {
    meaning: 'Create institutions, each with a first key for its sandbox',
    of: 'installation',
  },
  'tenants:edit': { meaning: 'Edit the settings of any institution', of: 'installation' },
  'tenants:suspend': { meaning: 'Suspend institutions and resume them', of: 'installation' },
  'sandbox:read': { meaning: 'See what time the clock of the sandbox shows' },
  'sandbox:reset': { meaning: 'Empty the sandbox' },
  'sandbox:advance_clock': { meaning: 'Move the clock of the sandbox forward' },
  'applications:read': {
    meaning: 'See the applications that may ask for tokens, though never their secrets',
  },
  'applications:create': { meaning: 'Register applications, with no more permissions than one has oneself' },
  'applications:edit': { meaning: 'Edit applications, replace their secrets, disable and enable them' },
  'devices:read': { meaning: 'See devices and their public keys' },
  'devices:edit': {
    meaning: 'Register, edit, disable and enable devices, with no more permissions than one has oneself',
  },
  'consents:read': { meaning: 'See what one has allowed applications to do on one’s behalf' },
  'consents:revoke': { meaning: 'Take back what one has allowed an application' },
  'signing_keys:read': { meaning: 'See the public keys that tokens are signed with' },
  'signing_keys:rotate': { meaning: 'Replace the key that tokens are signed with' },
} satisfies Permissions;
