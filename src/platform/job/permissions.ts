import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to do with background work. */
export const permissions = {
  'jobs:read': {
    meaning: 'See the jobs of the institution, when they run next and what became of their runs',
  },
  'jobs:run': { meaning: 'Run a job now' },
  'jobs:pause': { meaning: 'Pause and resume a job' },
  'system_jobs:operate': {
    meaning: 'See, run and pause the jobs of the system as a whole, beside those of one’s own tenant',
    of: 'installation',
  },
} satisfies Permissions;
