import { type Permissions, SELF } from '../access/permission.ts';

/** What one may be allowed to know of how the API is used. */
export const permissions = {
  [SELF]: { meaning: 'See who one is, what one may do and what one asks; everybody may' },
  'usage:read': {
    meaning:
      'See what every caller asks of the API: how often, with what errors, how fast, and its last requests in the sandbox',
  },
} satisfies Permissions;
