import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to know of the processes of the installation. */
export const permissions = {
  'services:read': {
    meaning: 'See which services there are, which processes run them, and what these cannot reach',
    of: 'installation',
  },
} satisfies Permissions;
