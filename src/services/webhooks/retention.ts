/** Forgetting what was sent after a month, with what hangs on it: expired keys, and endpoints that were deleted. */
import type { Database } from '../../platform/db.ts';
import type { JobHandler } from '../../platform/job/job.ts';

const KEPT_DAYS = 30;
/** Rows of one statement, so that it holds few locks and ends soon. */
const BATCH = 5_000;

export function retention(db: Database): JobHandler {
  return {
    run: async ({ scope, signal }) => {
      const own = [scope.tenant_id, scope.environment];
      let deliveries = 0;
      while (!signal.aborted) {
        const removed = await db.write(scope, (tx) =>
          tx.run(
            `delete from webhooks.deliveries where tenant_id = $1 and environment = $2 and id in (
               select id from webhooks.deliveries
               where tenant_id = $1 and environment = $2 and finished_at < clock_timestamp() - make_interval(days => $3)
               limit $4)`,
            [...own, KEPT_DAYS, BATCH],
          ),
        );
        deliveries += removed;
        if (removed < BATCH) break;
      }
      await db.write(scope, async (tx) => {
        await tx.run(
          `delete from webhooks.signing_keys
           where tenant_id = $1 and environment = $2 and expires_at < clock_timestamp() - interval '1 day'`,
          own,
        );
        await tx.run(
          `delete from webhooks.resends
           where tenant_id = $1 and environment = $2 and created_at < clock_timestamp() - make_interval(days => $3)`,
          [...own, KEPT_DAYS],
        );
        await tx.run(
          `delete from webhooks.endpoints e
           where e.tenant_id = $1 and e.environment = $2 and e.deleted_at < clock_timestamp() - interval '1 day'
             and not exists (select from webhooks.deliveries d
               where d.tenant_id = $1 and d.environment = $2 and d.endpoint_id = e.id)`,
          own,
        );
      });
      return { deliveries };
    },
  };
}
