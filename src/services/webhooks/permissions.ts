import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about webhooks. */
export const permissions = {
  'webhooks:read': { meaning: 'See the endpoints of webhooks, what was sent to them and what they answered' },
  'webhooks:write': {
    meaning:
      'Make, edit and delete endpoints of webhooks, and send again; to say what one hears needs events:read as well',
  },
} satisfies Permissions;
