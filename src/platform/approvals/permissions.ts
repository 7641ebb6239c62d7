import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to do about actions that need a second person. */
export const permissions = {
  'approval_policies:read': { meaning: 'See which actions need a second person' },
  'approval_policies:edit': { meaning: 'Say which actions need a second person' },
  'proposals:read': { meaning: 'See proposals, and with them every request that waits for a second person' },
  'proposals:approve': {
    meaning: 'Approve and reject proposals of others, of actions that one has the permission for oneself',
  },
  'proposals:cancel': { meaning: 'Cancel proposals of one’s own' },
} satisfies Permissions;
