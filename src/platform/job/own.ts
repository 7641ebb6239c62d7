/** The platform's own jobs, and how long what became of runs is kept. */
import { forgetEvents } from '../bus/retention.ts';
import type { Config } from '../config.ts';
import type { Database } from '../db.ts';
import { forgetOldCounts } from '../limits/limits.ts';
import { forgetUsage } from '../usage/retention.ts';
import type { JobHandlers, JobRun, JobTypes } from './job.ts';

/** Runs that succeeded are soon of no interest, and there may be one a second; those that failed are looked into. */
const SUCCEEDED_KEPT_DAYS = 7;
const FAILED_KEPT_DAYS = 92;
/** Most rows that one statement removes, so that it holds few locks and ends soon. */
const BATCH = 10_000;

export const ownJobs = {
  'platform.forget_request_counts': {
    meaning: 'Removes counts of requests three months after their window',
    per: 'system',
    schedule: { cron: '10 3 * * *' },
  },
  'platform.forget_events': {
    meaning: 'Removes events that every consumer has received, EVENTS_KEPT_DAYS after they were carried',
    per: 'system',
    schedule: { cron: '50 3 * * *' },
  },
  'platform.remove_old_usage': {
    meaning:
      'Removes usage by the minute and last requests after USAGE_MINUTES_KEPT_DAYS, by the hour after USAGE_HOURS_KEPT_DAYS',
    per: 'tenant',
    schedule: { cron: '20 3 * * *' },
  },
  'platform.remove_old_runs': {
    meaning:
      'Removes what became of runs of jobs: a week after those that succeeded, three months after others',
    per: 'tenant',
    schedule: { cron: '30 3 * * *' },
  },
  'platform.remove_old_system_runs': {
    meaning: 'The same, for runs of jobs of the system',
    per: 'system',
    schedule: { cron: '40 3 * * *' },
  },
} as const satisfies JobTypes;

const DAY_MS = 86_400_000;

async function removeOldRuns(db: Database, { scope, signal }: JobRun): Promise<{ runs: number }> {
  let runs = 0;
  while (!signal.aborted) {
    const removed = await db.write(scope, (tx) =>
      tx.run(
        `delete from platform.job_runs where tenant_id = $1 and environment = $2 and id in (
           select id from platform.job_runs where tenant_id = $1 and environment = $2
             and ended_at < clock_timestamp() - make_interval(days => case outcome when 'succeeded' then $3::int else $4::int end)
           limit $5)`,
        [scope.tenant_id, scope.environment, SUCCEEDED_KEPT_DAYS, FAILED_KEPT_DAYS, BATCH],
      ),
    );
    runs += removed;
    if (removed < BATCH) break;
  }
  return { runs };
}

/** What does the work of those that need nothing but the platform's database. */
export function ownHandlers(
  db: Database,
  config: Pick<Config, 'events_kept_days' | 'usage_minutes_kept_days' | 'usage_hours_kept_days'>,
): JobHandlers {
  return {
    'platform.forget_events': {
      run: async ({ signal }) => {
        const before = new Date(Date.now() - config.events_kept_days * DAY_MS);
        return { events: await forgetEvents(db, before, signal) };
      },
    },
    'platform.forget_request_counts': {
      run: async () => {
        await forgetOldCounts(db);
        return undefined;
      },
    },
    'platform.remove_old_usage': { run: (run) => forgetUsage(db, run, config) },
    'platform.remove_old_runs': { run: (run) => removeOldRuns(db, run) },
    'platform.remove_old_system_runs': { run: (run) => removeOldRuns(db, run) },
  };
}
