/** Disabling endpoints: by hand, or because they fail or their application is disabled, which is told by an event. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import type { EndpointDisabled } from './events.ts';

/** An address without what may be a credential in it, as it is told to others. */
export function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

async function addEvent(
  tx: Transaction,
  scope: Scope,
  subject: string,
  data: EndpointDisabled,
): Promise<void> {
  await tx.run(
    `with head as (
       insert into webhooks.outbox_heads as h (tenant_id, environment, sequence) values ($1, $2, 1)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + 1
       returning sequence)
     insert into webhooks.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
     select $1, $2, sequence, $3, now(), 'webhooks.endpoint.disabled', '/webhooks', 'endpoint', $4, $5 from head`,
    [scope.tenant_id, scope.environment, newUuid(), subject, JSON.stringify(data)],
  );
}

const Disabled = Type.Object({
  url: Type.String(),
  application_id: Type.Union([Type.String(), Type.Null()]),
  failing_since: Type.Union([Type.String(), Type.Null()]),
  disabled_at: Type.String(),
});

/**
 * Disables an endpoint, whose row the transaction has locked. What was still to be sent counts as missed, to be sent again
 * when it is asked for; what is under way is left to whoever sends it.
 */
export async function disable(
  tx: Transaction,
  scope: Scope,
  endpoint_id: string,
  reason: 'by_hand' | 'gone' | 'failing' | 'application_disabled',
): Promise<void> {
  const key = [scope.tenant_id, scope.environment, endpoint_id];
  const [disabled] = await tx.rows(
    Disabled,
    `update webhooks.endpoints
     set status = 'disabled', disabled_reason = $4, disabled_at = clock_timestamp(), version = version + 1
     where tenant_id = $1 and environment = $2 and id = $3 and status = 'enabled'
     returning url, application_id, failing_since, disabled_at`,
    [...key, reason],
  );
  if (disabled === undefined) return;
  await tx.run(
    `update webhooks.deliveries set status = 'missed', finished_at = clock_timestamp()
     where tenant_id = $1 and environment = $2 and endpoint_id = $3 and status in ('waiting', 'pending') and claim is null`,
    key,
  );
  if (reason === 'by_hand') return;
  const id = formatId('whk', endpoint_id);
  await addEvent(tx, scope, id, {
    endpoint_id: id,
    url: withoutQuery(disabled.url),
    application_id: disabled.application_id,
    reason,
    failing_since: disabled.failing_since ?? disabled.disabled_at,
    disabled_at: disabled.disabled_at,
  });
}
