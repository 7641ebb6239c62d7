import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to do with events that a consumer could not take. */
export const permissions = {
  'events:read': { meaning: 'Read what happened: the event feed and its stream' },
  'held_events:read': { meaning: 'See which events consumers hold back or have parked, and why' },
  'held_events:redrive': { meaning: 'Let a parked event be tried again, and replay events into a consumer' },
  'held_events:discard': { meaning: 'Give up an event that a consumer could not take, for good' },
} satisfies Permissions;
