import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about who may do what. */
export const permissions = {
  'api_keys:read': { meaning: 'See API keys, though never the keys themselves' },
  'api_keys:create': { meaning: 'Create and rotate API keys, with no more permissions than one has oneself' },
  'api_keys:edit': { meaning: 'Edit the label, addresses and expiry of API keys' },
  'api_keys:revoke': { meaning: 'Revoke API keys' },
  'applications:read': {
    meaning: 'See the applications that may ask for tokens, though never their secrets',
  },
  'applications:create': { meaning: 'Register applications, with no more permissions than one has oneself' },
  'applications:edit': { meaning: 'Edit applications, replace their secrets, disable and enable them' },
  'consents:read': { meaning: 'See what one has allowed applications to do on one’s behalf' },
  'consents:revoke': { meaning: 'Take back what one has allowed an application' },
  'signing_keys:read': { meaning: 'See the public keys that tokens are signed with' },
  'signing_keys:rotate': { meaning: 'Replace the key that tokens are signed with' },
} satisfies Permissions;
