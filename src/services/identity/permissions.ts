import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about who may do what. */
export const permissions = {
  'self:read': { meaning: 'See who one is and what one may do', implied: true },
  'api_keys:read': { meaning: 'See API keys, though never the keys themselves' },
  'api_keys:create': { meaning: 'Create and rotate API keys, with no more permissions than one has oneself' },
  'api_keys:edit': { meaning: 'Edit the label, addresses and expiry of API keys' },
  'api_keys:revoke': { meaning: 'Revoke API keys' },
  'roles:read': { meaning: 'See roles and what they may do' },
  'roles:edit': { meaning: 'Make, edit and delete roles, with no more permissions than one has oneself' },
  'grants:read': { meaning: 'See who has which roles' },
  'grants:edit': { meaning: 'Grant roles that may do no more than one may oneself, and revoke grants' },
} satisfies Permissions;
