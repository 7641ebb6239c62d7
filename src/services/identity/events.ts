/** What identity tells others: every event type, with its data, and how one is added. */
import { type Static, Type } from 'typebox';
import type { EventTypes } from '../../platform/bus/catalogue.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Id, newUuid } from '../../platform/ids.ts';
import { currentTraceparent } from '../../platform/trace/context.ts';

const OfApplication = Type.Object({ application_id: Id('app'), name: Type.String() });
const example = { application_id: 'app_01h455vb4pex5vsknk084sn02q', name: 'Ledgerly' };

export const events = {
  'identity.application.disabled': {
    version: 1,
    summary: 'An application was disabled: its tokens and keys are refused',
    aggregate: 'application',
    data: OfApplication,
    example,
  },
  'identity.application.enabled': {
    version: 1,
    summary: 'An application that was disabled was enabled again',
    aggregate: 'application',
    data: OfApplication,
    example,
  },
} satisfies EventTypes;

/** Adds an event about an application to the outbox, in the transaction of what it tells of. */
export async function addEvent(
  tx: Transaction,
  scope: Scope,
  type: keyof typeof events,
  data: Static<typeof OfApplication>,
): Promise<void> {
  await tx.run(
    `with head as (
       insert into identity.outbox_heads as h (tenant_id, environment, sequence) values ($1, $2, 1)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + 1
       returning sequence)
     insert into identity.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload, traceparent)
     select $1, $2, sequence, $3, now(), $4, '/identity', 'application', $5, $6, $7 from head`,
    [
      scope.tenant_id,
      scope.environment,
      newUuid(),
      type,
      data.application_id,
      JSON.stringify(data),
      currentTraceparent() ?? null,
    ],
  );
}
