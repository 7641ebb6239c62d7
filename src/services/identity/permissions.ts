import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about who may do what. */
export const permissions = {
  'api_keys:read': { meaning: 'See API keys, though never the keys themselves' },
  'api_keys:create': { meaning: 'Create and rotate API keys, with no more permissions than one has oneself' },
  'api_keys:edit': { meaning: 'Edit the label, addresses and expiry of API keys' },
  'api_keys:revoke': { meaning: 'Revoke API keys' },
  'plans:read': { meaning: 'See plans and how much each allows' },
  'plans:edit': { meaning: 'Create and edit plans' },
  'plans:assign': { meaning: 'Put API keys on another plan than the one that one is on oneself' },
  'limits:read': { meaning: 'See the limits that one has oneself, and what is left of them' },
  'quotas:read': { meaning: 'See what all callers of a tenant may ask together', of: 'installation' },
  'quotas:edit': { meaning: 'Set what all callers of a tenant may ask together', of: 'installation' },
} satisfies Permissions;
