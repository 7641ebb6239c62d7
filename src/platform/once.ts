/** Creating something once for each idempotency key. Postings have a way of their own, in the ledger. */
import { Type } from 'typebox';
import type { Database, Scope, Transaction } from './db.ts';
import { type Attempt, keyReused } from './idempotency.ts';
import { Problem, type ProblemExtra, type ProblemType } from './problem.ts';

const Refusal = Type.Object({
  code: Type.String(),
  message: Type.String(),
  extra: Type.Record(Type.String(), Type.Unknown()),
});

const Kept = Type.Object({
  operation: Type.String(),
  request: Type.String(),
  result_id: Type.Union([Type.String(), Type.Null()]),
  refusal: Type.Union([Refusal, Type.Null()]),
});

/** Whether anything is kept under a key that `once` was given: it then tells what came of it, or refuses. */
export async function wasAttempted(db: Database, scope: Scope, key: string): Promise<boolean> {
  const found = await db.read(scope, (tx) =>
    tx.run('select from platform.attempts where tenant_id = $1 and environment = $2 and key = $3', [
      scope.tenant_id,
      scope.environment,
      key,
    ]),
  );
  return found > 0;
}

type Made = { id: string; problem?: undefined } | { problem: Problem };

/** Makes the refusals of a service; `defineProblems` does. */
interface Refuse<Code extends string> {
  (code: Code, detail: string, extra?: ProblemExtra): Problem;
  types: Record<Code, ProblemType>;
}

/**
 * Runs `create` and keeps the UUID it returns under the key, or the refusal by a rule of the service (404, 409, 422) that
 * it throws, in one commit; or finds what the key came to before. Of what was refused nothing else is written. A
 * second request with a key that is in use waits for the first and is told the same.
 */
export async function once<Code extends string>(
  db: Database,
  scope: Scope,
  attempt: Attempt & { request: string },
  refuse: Refuse<Code>,
  create: (tx: Transaction) => Promise<string>,
): Promise<{ id: string; replayed: boolean }> {
  const isCode = (code: string): code is Code => Object.hasOwn(refuse.types, code);
  const outcome = await db.write(scope, async (tx): Promise<Made & { replayed: boolean }> => {
    await tx.run("select pg_advisory_xact_lock(hashtextextended($1 || '/' || $2 || '/' || $3, 0))", [
      scope.tenant_id,
      scope.environment,
      attempt.key,
    ]);
    const [kept] = await tx.rows(
      Kept,
      `select operation, request, result_id, refusal from platform.attempts
       where tenant_id = $1 and environment = $2 and key = $3`,
      [scope.tenant_id, scope.environment, attempt.key],
    );
    if (kept !== undefined) {
      if (kept.operation !== attempt.operation || kept.request !== attempt.request) {
        throw keyReused(attempt.key, kept, attempt);
      }
      const { result_id, refusal } = kept;
      if (result_id !== null) return { id: result_id, replayed: true };
      if (refusal === null || !isCode(refusal.code)) {
        throw new Error(`what is kept under ${attempt.key} is neither a result nor a refusal`);
      }
      return { problem: refuse(refusal.code, refusal.message, refusal.extra), replayed: true };
    }
    let made: Made;
    await tx.run('savepoint creating');
    try {
      made = { id: await create(tx) };
    } catch (error) {
      const isKept =
        error instanceof Problem && isCode(error.code) && [404, 409, 422].includes(error.type.status);
      if (!isKept) throw error;
      await tx.run('rollback to savepoint creating');
      made = { problem: error };
    }
    await tx.run(
      `insert into platform.attempts (tenant_id, environment, key, operation, request, result_id, refusal)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [
        scope.tenant_id,
        scope.environment,
        attempt.key,
        attempt.operation,
        attempt.request,
        made.problem === undefined ? made.id : null,
        made.problem === undefined
          ? null
          : JSON.stringify({
              code: made.problem.code,
              message: made.problem.message,
              extra: made.problem.extra,
            }),
      ],
    );
    return { ...made, replayed: false };
  });
  if (outcome.problem === undefined) return { id: outcome.id, replayed: outcome.replayed };
  outcome.problem.replayed = outcome.replayed;
  throw outcome.problem;
}
