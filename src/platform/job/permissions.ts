import type { Permissions } from '../access/permission.ts';

/** What one may be allowed to do with background work. */
export const permissions = {
  'jobs:read': {
    meaning: 'See the jobs of the institution, when they run next and what became of their runs',
  },
  'jobs:run': { meaning: 'Run a job now' },
  'jobs:pause': { meaning: 'Pause and resume a job' },
  'system_jobs:read': {
    meaning: 'See the jobs of the system as a whole, and their runs',
    of: 'installation',
  },
  'system_jobs:run': { meaning: 'Run a job of the system now', of: 'installation' },
  'system_jobs:pause': { meaning: 'Pause and resume a job of the system', of: 'installation' },
} satisfies Permissions;
