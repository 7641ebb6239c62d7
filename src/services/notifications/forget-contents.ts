/** Forgets what messages said when it is old. That they were sent, and why, stays. */
import type { Database } from '../../platform/db.ts';
import type { JobRun } from '../../platform/job/job.ts';

/** Most rows that one statement changes, so that it holds few locks and ends soon. */
const BATCH = 5_000;

/** Takes away contents, data and addresses of messages that were settled so many days ago, and says of how many. */
export async function forgetContents(
  db: Database,
  { scope, signal }: Pick<JobRun, 'scope' | 'signal'>,
  kept_days: number,
): Promise<number> {
  let messages = 0;
  while (!signal.aborted) {
    const forgotten = await db.write(scope, (tx) =>
      tx.run(
        `update notifications.messages
         set data = null, subject = null, text = null, html = null, address = null, forgotten_at = platform.now_of($1, $2)
         where tenant_id = $1 and environment = $2 and id in (
           select id from notifications.messages where tenant_id = $1 and environment = $2 and forgotten_at is null
             and settled_at < (select platform.now_of($1, $2)) - make_interval(days => $3) limit $4)`,
        [scope.tenant_id, scope.environment, kept_days, BATCH],
      ),
    );
    messages += forgotten;
    if (forgotten < BATCH) break;
  }
  return messages;
}
