import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to do with the audit trail. */
export const permissions = {
  'audit:read': { meaning: 'Search the audit trail, and verify that it is whole' },
  'audit:export': { meaning: 'Export the audit trail' },
} satisfies Permissions;
