/**
 * Order of what is sent about one thing, for endpoints that want it: of the deliveries of a subject that are not finished
 * the first is `pending` and the others are `waiting`. Whoever adds, finishes or asks for one again holds the lock on the
 * endpoint's row meanwhile, so that none is forgotten waiting.
 */
import type { Scope, Transaction } from '../../platform/db.ts';

/** Lets the next of a subject be sent, after the one before it is finished. */
export async function promote(
  tx: Transaction,
  scope: Scope,
  endpoint_id: string,
  subject: string,
): Promise<void> {
  await tx.run(
    `update webhooks.deliveries set status = 'pending', next_attempt_at = clock_timestamp()
     where status = 'waiting' and (tenant_id, environment, id) = (
       select tenant_id, environment, id from webhooks.deliveries
       where tenant_id = $1 and environment = $2 and endpoint_id = $3 and subject = $4
         and status in ('waiting', 'pending')
       order by sequence limit 1)`,
    [scope.tenant_id, scope.environment, endpoint_id, subject],
  );
}

/** Puts all that an endpoint has to be sent in order, or, where it wants none, lets all of it go. */
export async function arrange(
  tx: Transaction,
  scope: Scope,
  endpoint_id: string,
  ordered: boolean,
): Promise<void> {
  await tx.run(
    `with place as (
       select id, row_number() over (partition by subject order by sequence) as number from webhooks.deliveries
       where tenant_id = $1 and environment = $2 and endpoint_id = $3 and status in ('waiting', 'pending'))
     update webhooks.deliveries d
     set status = case when p.number = 1 or not $4 then 'pending' else 'waiting' end
     from place p where d.tenant_id = $1 and d.environment = $2 and d.id = p.id and d.claim is null
       and d.status is distinct from case when p.number = 1 or not $4 then 'pending' else 'waiting' end`,
    [scope.tenant_id, scope.environment, endpoint_id, ordered],
  );
}
