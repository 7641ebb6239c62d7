/** Forgetting usage after configured times. */
import type { Config } from '../config.ts';
import type { Database } from '../db.ts';
import type { JobRun } from '../job/job.ts';

const DAY_MS = 86_400_000;
/** Rows of one statement, so that it holds few locks and ends soon. */
const BATCH = 5_000;

/** Removes a tenant's usage that is older than it is kept, and says how many rows that were. */
export async function forgetUsage(
  db: Database,
  { scope, signal }: Pick<JobRun, 'scope' | 'signal'>,
  config: Pick<Config, 'usage_minutes_kept_days' | 'usage_hours_kept_days'>,
): Promise<{ rows: number }> {
  const minutes = config.usage_minutes_kept_days;
  let rows = 0;
  for (const [table, column, days] of [
    ['usage_minutes', 'starts_at', minutes],
    ['usage_requests', 'occurred_at', minutes],
    ['usage_hours', 'starts_at', config.usage_hours_kept_days],
  ] as const) {
    for (let removed = BATCH; removed === BATCH && !signal.aborted; rows += removed) {
      removed = await db.write(scope, (tx) =>
        tx.run(
          `delete from platform.${table} where ctid = any (array(select ctid from platform.${table}
             where tenant_id = $1 and environment = $2 and ${column} < $3 limit $4))`,
          [scope.tenant_id, scope.environment, new Date(Date.now() - days * DAY_MS).toISOString(), BATCH],
        ),
      );
    }
  }
  return { rows };
}
