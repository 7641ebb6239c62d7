import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about who may do what. */
export const permissions = {
  'api_keys:read': { meaning: 'See API keys, though never the keys themselves' },
  'api_keys:create': { meaning: 'Create and rotate API keys, with no more permissions than one has oneself' },
  'api_keys:edit': { meaning: 'Edit the label, addresses and expiry of API keys' },
  'api_keys:revoke': { meaning: 'Revoke API keys' },
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
} satisfies Permissions;
