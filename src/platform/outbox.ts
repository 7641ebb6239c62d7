/** Events of the platform itself, kept with the change they tell of until they are carried. */
import { ownEvents } from './bus/catalogue.ts';
import type { Scope, Transaction } from './db.ts';
import { newUuid } from './ids.ts';
import { currentTraceparent } from './trace/context.ts';

export interface PlatformEvent {
  /** As the catalogue declares it. */
  type: keyof typeof ownEvents;
  /** Public id or name of what it is about. */
  subject: string;
  data: unknown;
}

/**
 * Adds an event to the outbox, in the transaction of what it tells of. Whoever adds one holds the head of the tenant's
 * events until it commits: sequences have no gaps, and their order is that of the commits.
 *
 * @throws for a type that is not declared: nobody would know what it says, and which of it is personal
 */
export async function addEvent(tx: Transaction, scope: Scope, event: PlatformEvent): Promise<void> {
  if (!Object.hasOwn(ownEvents, event.type)) {
    throw new Error(`the platform declares no event ${event.type}; add it to bus/catalogue.ts`);
  }
  await tx.run(
    `with head as (
       insert into platform.outbox_heads as h (tenant_id, environment, sequence) values ($1, $2, 1)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + 1
       returning sequence)
     insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload, traceparent)
     select $1, $2, sequence, $3, now(), $4, '/platform', split_part($4, '.', 2), $5, $6, $7 from head`,
    [
      scope.tenant_id,
      scope.environment,
      newUuid(),
      event.type,
      event.subject,
      JSON.stringify(event.data),
      currentTraceparent() ?? null,
    ],
  );
}
