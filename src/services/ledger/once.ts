/** Creating something other than a posting once for each idempotency key. */
import { Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { keyReused } from '../../platform/idempotency.ts';
import { Problem } from '../../platform/problem.ts';
import { currentTraceparent } from '../../platform/trace/context.ts';
import { type Asker, noteAsker } from './asker.ts';
import { isCode, refusalText, refuse } from './errors.ts';
import { events } from './events.ts';

const Kept = Type.Object({
  operation: Type.String(),
  request: Type.String(),
  result_id: Type.Union([Type.String(), Type.Null()]),
  code: Type.Union([Type.String(), Type.Null()]),
  /** As `createOnce` keeps it; null if a posting was refused. */
  message: Type.Union([Type.String(), Type.Null()]),
  extra: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
});

type Created = { id: string; problem?: undefined } | { problem: Problem };

/** Whether a refusal is kept under the key: one by the rules of the ledger, not one of the form of the request. */
function isKept(error: unknown): error is Problem {
  return error instanceof Problem && isCode(error.code) && [404, 409, 422].includes(error.type.status);
}

/**
 * Locks the head of a tenant's books, opening them if this is their first use. Whoever writes to the ledger holds it,
 * so that what is edited does not move under a posting, and so that numbers and events have an order.
 */
export async function lockHead(tx: Transaction, scope: Scope): Promise<void> {
  await tx.run('insert into ledger.heads (tenant_id, environment) values ($1, $2) on conflict do nothing', [
    scope.tenant_id,
    scope.environment,
  ]);
  await tx.run('select from ledger.heads where tenant_id = $1 and environment = $2 for no key update', [
    scope.tenant_id,
    scope.environment,
  ]);
}

/**
 * Runs `create` and keeps the id it returns under the key, or the refusal it throws, in one commit; or finds what the key
 * came to before. Of what was refused, nothing else is written.
 */
export async function createOnce(
  db: Database,
  scope: Asker,
  attempt: Attempt & { request: string },
  create: (tx: Transaction) => Promise<string>,
): Promise<{ id: string; replayed: boolean }> {
  const { replayed, ...created } = await db.write(
    scope,
    async (tx): Promise<Created & { replayed: boolean }> => {
      await lockHead(tx, scope);
      await noteAsker(tx, scope, attempt);
      const [kept] = await tx.rows(
        Kept,
        `select operation, request, result_ids[1] as result_id, refusals[1] ->> 'code' as code,
         refusals[1] #>> '{detail,message}' as message, refusals[1] #> '{detail,extra}' as extra
       from ledger.attempts
       where tenant_id = $1 and environment = $2 and key = $3`,
        [scope.tenant_id, scope.environment, attempt.key],
      );
      if (kept !== undefined) {
        const { operation, request, result_id, code, message, extra } = kept;
        if (operation !== attempt.operation || request !== attempt.request) {
          throw keyReused(attempt.key, kept, attempt);
        }
        if (result_id !== null) return { id: result_id, replayed: true };
        if (code === null || !isCode(code) || message === null) {
          throw new Error(`what is kept under ${attempt.key} is neither a result nor a refusal`);
        }
        return { problem: refuse(code, message, extra ?? {}), replayed: true };
      }
      const made = await outcomeOf(tx, create);
      await tx.run(
        `insert into ledger.attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions, result_ids,
                                    refusals)
       values ($1, $2, $3, 0, now(), $4, $5, array[null::bigint], array[$6::uuid],
               case when $7::jsonb is not null then array[$7::jsonb] end)`,
        [
          scope.tenant_id,
          scope.environment,
          attempt.key,
          attempt.operation,
          attempt.request,
          made.problem === undefined ? made.id : null,
          made.problem === undefined ? null : refusalText(made.problem),
        ],
      );
      return { ...made, replayed: false };
    },
  );
  if (created.problem === undefined) return { id: created.id, replayed };
  created.problem.replayed = replayed;
  throw created.problem;
}

/** What `create` comes to. What it had written when it refused is undone. */
async function outcomeOf(tx: Transaction, create: (tx: Transaction) => Promise<string>): Promise<Created> {
  await tx.run('savepoint creating');
  try {
    return { id: await create(tx) };
  } catch (error) {
    if (!isKept(error)) throw error;
    await tx.run('rollback to savepoint creating');
    return { problem: error };
  }
}

/**
 * Adds an event that is no posting to the outbox, in the transaction of what it tells of.
 *
 * @throws for a type that the service does not declare
 */
export async function addEvent(
  tx: Transaction,
  scope: Scope,
  event: { id: string; type: keyof typeof events; subject: string; data: unknown },
): Promise<void> {
  if (!Object.hasOwn(events, event.type)) {
    throw new Error(`the ledger declares no event ${event.type}; add it to events.ts`);
  }
  await tx.run(
    `with head as (
       update ledger.heads set outbox_sequence = outbox_sequence + 1
       where tenant_id = $1 and environment = $2 returning outbox_sequence)
     insert into ledger.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload, traceparent)
     select $1, $2, outbox_sequence, $3, now(), $4, '/ledger', split_part($4, '.', 2), $5, $6, $7 from head`,
    [
      scope.tenant_id,
      scope.environment,
      event.id,
      event.type,
      event.subject,
      JSON.stringify(event.data),
      currentTraceparent() ?? null,
    ],
  );
}
