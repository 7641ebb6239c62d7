/** Sending again what was sent, given up or missed: one delivery, or all of an endpoint from a time on. */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import type { Database, Transaction } from '../../platform/db.ts';
import { type Attempt, canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../platform/ids.ts';
import { once } from '../../platform/once.ts';
import { type Delivery, getDelivery } from './deliveries.ts';
import { assertEnabled, lockEndpoint } from './endpoints.ts';
import { refuse } from './errors.ts';
import { arrange } from './order.ts';

/** Deliveries of one request: some hundred milliseconds of work, under the lock on the endpoint. */
const MAX_RESENT = 10_000;

const Finished = Type.Union([Type.Literal('delivered'), Type.Literal('failed'), Type.Literal('missed')]);

export const ResendRequest = Type.Object(
  {
    from: Type.String({ format: 'date-time', description: 'Time of the first event to be sent again' }),
    statuses: Type.Optional(
      Type.Array(Finished, {
        minItems: 1,
        maxItems: 3,
        uniqueItems: true,
        description: 'Which; those that failed or were missed if absent',
      }),
    ),
  },
  { additionalProperties: false },
);

export const Resend = Type.Object({
  id: Id('rsd'),
  endpoint_id: Id('whk'),
  from: Type.String(),
  statuses: Type.Array(Finished),
  resent: Type.Integer({ description: 'How many deliveries are sent again' }),
  continue_from: Type.Optional(
    Type.String({
      description: `There are more than ${MAX_RESENT.toLocaleString('en')}, as many as one request takes: ask again from this time on`,
    }),
  ),
  created_at: Type.String(),
});
export type Resend = Static<typeof Resend>;

const UnderWay = Type.Object({ under_way: Type.Boolean() });

/** Sends a delivery again, whatever came of it; one that is to be sent anyway is sent at once. */
export async function resendDelivery(
  db: Database,
  caller: Caller,
  uuid: string,
  attempt: Attempt,
): Promise<{ before: Delivery; after: Delivery; replayed: boolean }> {
  let before: Delivery | undefined;
  const { replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(null) },
    refuse,
    async (tx) => {
      before = await getDelivery(tx, caller, uuid);
      const endpoint_uuid = uuidOf('whk', before.endpoint_id);
      const { endpoint } = await lockEndpoint(tx, caller, endpoint_uuid);
      assertEnabled(endpoint);
      const key = [caller.tenant_id, caller.environment, uuid];
      const [state] = await tx.rows(
        UnderWay,
        `select claim is not null and next_attempt_at > clock_timestamp() as under_way from webhooks.deliveries
         where tenant_id = $1 and environment = $2 and id = $3 for no key update`,
        key,
      );
      if (state?.under_way === true) {
        throw refuse(
          'webhook_delivery_under_way',
          `The delivery ${formatId('dlv', uuid)} is being sent just now.`,
        );
      }
      await tx.run(
        `update webhooks.deliveries
         set status = 'pending', failures = 0, claim = null, finished_at = null, next_attempt_at = clock_timestamp()
         where tenant_id = $1 and environment = $2 and id = $3`,
        key,
      );
      if (endpoint.ordered) await arrange(tx, caller, endpoint_uuid, true);
      return uuid;
    },
  );
  const after = await db.read(caller, (tx) => getDelivery(tx, caller, uuid));
  return { before: before ?? after, after, replayed };
}

const Resent = Type.Object({
  resent: Type.BigInt(),
  continue_from: Type.Union([Type.String(), Type.Null()]),
});

async function resendFrom(
  tx: Transaction,
  caller: Caller,
  endpoint_uuid: string,
  { from, statuses }: { from: string; statuses: readonly string[] },
): Promise<Static<typeof Resent>> {
  const [row] = await tx.rows(
    Resent,
    `with found as (
       select id, event_time, row_number() over (order by event_time, id) as number from webhooks.deliveries
       where tenant_id = $1 and environment = $2 and endpoint_id = $3 and event_time >= $4 and status = any ($5)
         and not is_test
       order by event_time, id limit $6 + 1
     ), again as (
       update webhooks.deliveries d
       set status = 'pending', failures = 0, claim = null, finished_at = null, next_attempt_at = clock_timestamp()
       from found f where d.tenant_id = $1 and d.environment = $2 and d.id = f.id and f.number <= $6
       returning 1
     )
     select (select count(*) from again) as resent, (select event_time from found where number > $6) as continue_from`,
    [caller.tenant_id, caller.environment, endpoint_uuid, from, statuses, MAX_RESENT],
  );
  return row ?? { resent: 0n, continue_from: null };
}

const Row = Type.Object({
  id: Type.String(),
  endpoint_id: Type.String(),
  from_time: Type.String(),
  statuses: Type.Array(Finished),
  resent: Type.Integer(),
  continue_from: Type.Union([Type.String(), Type.Null()]),
  created_at: Type.String(),
});

async function getResend(tx: Transaction, caller: Caller, uuid: string): Promise<Resend> {
  const [row] = await tx.rows(
    Row,
    `select id, endpoint_id, from_time, statuses, resent, continue_from, created_at from webhooks.resends
     where tenant_id = $1 and environment = $2 and id = $3`,
    [caller.tenant_id, caller.environment, uuid],
  );
  if (row === undefined) throw new Error(`what was asked to be sent again by ${uuid} is not there`);
  const { from_time, continue_from, ...rest } = row;
  return {
    ...rest,
    id: formatId('rsd', row.id),
    endpoint_id: formatId('whk', row.endpoint_id),
    from: from_time,
    ...(continue_from === null ? {} : { continue_from }),
  };
}

/** Sends again what an endpoint was not or is to be sent again, from the time of an event on, oldest first. */
export async function resendSince(
  db: Database,
  caller: Caller,
  endpoint_uuid: string,
  body: Static<typeof ResendRequest>,
  attempt: Attempt,
): Promise<{ resend: Resend; replayed: boolean }> {
  const { id, replayed } = await once(
    db,
    caller,
    { ...attempt, request: canonicalRequest(body) },
    refuse,
    async (tx) => {
      const { endpoint } = await lockEndpoint(tx, caller, endpoint_uuid);
      assertEnabled(endpoint);
      const statuses = body.statuses ?? ['failed', 'missed'];
      const { resent, continue_from } = await resendFrom(tx, caller, endpoint_uuid, {
        from: body.from,
        statuses,
      });
      if (endpoint.ordered) await arrange(tx, caller, endpoint_uuid, true);
      const uuid = newUuid();
      await tx.run(
        `insert into webhooks.resends (tenant_id, environment, id, endpoint_id, from_time, statuses, resent, continue_from)
         values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [
          caller.tenant_id,
          caller.environment,
          uuid,
          endpoint_uuid,
          body.from,
          statuses,
          Number(resent),
          continue_from,
        ],
      );
      return uuid;
    },
  );
  return { resend: await db.read(caller, (tx) => getResend(tx, caller, id)), replayed };
}
