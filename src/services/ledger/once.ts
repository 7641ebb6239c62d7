/** Creating something other than a posting once for each idempotency key. */
import { Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import { keyReused } from '../../platform/idempotency.ts';
import type { Attempt } from './books.ts';

const Kept = Type.Object({
  operation: Type.String(),
  request: Type.String(),
  result_id: Type.Union([Type.String(), Type.Null()]),
});

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
 * Runs `create` and keeps the id it returns under the key, in one commit; or finds what the key created before.
 * A refusal thrown by `create` is not kept: it is decided anew each time.
 */
export async function createOnce(
  db: Database,
  scope: Scope,
  attempt: Attempt & { request: string },
  create: (tx: Transaction) => Promise<string>,
): Promise<{ id: string; replayed: boolean }> {
  return db.write(scope, async (tx) => {
    await lockHead(tx, scope);
    const [kept] = await tx.rows(
      Kept,
      `select operation, request, result_ids[1] as result_id from ledger.attempts
       where tenant_id = $1 and environment = $2 and key = $3`,
      [scope.tenant_id, scope.environment, attempt.key],
    );
    if (kept !== undefined) {
      if (
        kept.operation !== attempt.operation ||
        kept.request !== attempt.request ||
        kept.result_id === null
      ) {
        throw keyReused(attempt.key, kept, attempt);
      }
      return { id: kept.result_id, replayed: true };
    }
    const id = await create(tx);
    await tx.run(
      `insert into ledger.attempts (tenant_id, environment, key, first_item, created_at, operation, request, positions, result_ids)
       values ($1, $2, $3, 0, now(), $4, $5, array[null::bigint], array[$6::uuid])`,
      [scope.tenant_id, scope.environment, attempt.key, attempt.operation, attempt.request, id],
    );
    return { id, replayed: false };
  });
}

/** Adds an event that is no posting to the outbox, in the transaction of what it tells of. */
export async function addEvent(
  tx: Transaction,
  scope: Scope,
  event: { id: string; type: string; subject: string; data: unknown },
): Promise<void> {
  await tx.run(
    `with head as (
       update ledger.heads set outbox_sequence = outbox_sequence + 1
       where tenant_id = $1 and environment = $2 returning outbox_sequence)
     insert into ledger.outbox (tenant_id, environment, sequence, id, time, type, source, subject, data)
     select $1, $2, outbox_sequence, $3, now(), $4, '/ledger', $5, $6 from head`,
    [scope.tenant_id, scope.environment, event.id, event.type, event.subject, JSON.stringify(event.data)],
  );
}
