import type { Permissions } from '../../platform/access/permission.ts';

/** What one may be allowed to do about notifications. */
export const permissions = {
  'notifications:read': {
    meaning: 'See recipients, templates and messages, and why each was sent or not',
  },
  'notifications:write': {
    meaning: 'Register, edit and remove recipients, their preferences and secrets, and mark messages as read',
  },
  'notifications:send': { meaning: 'Send messages to recipients' },
  'notifications:templates': { meaning: 'Write, edit and publish templates' },
} satisfies Permissions;
