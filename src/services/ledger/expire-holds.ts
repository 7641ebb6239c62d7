/** Releases what remains of holds whose time has come. The work of the system: no caller asks for it. */
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Scope } from '../../platform/db.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import type { JobHandler } from '../../platform/job/job.ts';
import type { Books } from './books.ts';
import { holdEvent, holdLegs } from './hold-terms.ts';
import type { Command } from './posting.ts';

/** Holds that one pass takes of a tenant at most, and holds that it looks at to see whose are due. */
const HOLDS_A_PASS = 100;

const ScopeRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

const DueRow = Type.Object({
  id: Type.String(),
  debit_account_id: Type.String(),
  credit_account_id: Type.String(),
  currency: Type.String(),
  expires_at: Type.String(),
});
type DueRow = Static<typeof DueRow>;

/**
 * The command that expires a hold. Its key follows from the hold and its time, so that another process, or this one
 * after a crash, repeats it without effect. It has a space in it, which no key of a client can have: none can be
 * taken away from the system.
 */
function expireCommand(hold: DueRow): Command {
  const id = newUuid();
  return {
    id,
    kind: 'expire',
    key: `expire ${hold.id} ${hold.expires_at}`,
    item: 0,
    operation: 'system:expire',
    request: canonicalRequest({ hold_id: formatId('hld', hold.id), expires_at: hold.expires_at }),
    ref: hold.id,
    event: holdEvent(hold, { id, kind: 'expire' }),
    legs: holdLegs(hold, 0n, hold.currency),
  };
}

async function dueHolds(books: Books, scope: Scope): Promise<DueRow[]> {
  return books.db.read(scope, (tx) =>
    tx.rows(
      DueRow,
      `select id, debit_account_id, credit_account_id, currency, expires_at from ledger.holds
       where tenant_id = $1 and environment = $2 and expires_at <= platform.now_of($1, $2) and captured + released < amount
       order by expires_at limit $3`,
      [scope.tenant_id, scope.environment, HOLDS_A_PASS],
    ),
  );
}

/** Whether the hold has expired. Throws where that was refused for another reason than that it is not due. */
async function expire(books: Books, scope: Scope, hold: DueRow): Promise<boolean> {
  const [outcome] = await books.posting.submit(scope, [expireCommand(hold)]);
  if (outcome?.code === null) return true;
  // Captured, released or extended between the look and the posting.
  if (outcome?.code === 'hold_not_due') return false;
  throw new Error(`expiring came to ${outcome?.code}`);
}

/** Tenants and environments with holds whose time has come. */
export function scopesWithDueHolds({ db }: Pick<Books, 'db'>): Promise<Scope[]> {
  return db.rows(ScopeRow, 'select * from ledger.scopes_with_due_holds($1)', [HOLDS_A_PASS]);
}

/** Expires what is due of one tenant and says how many holds that were. What fails is logged, and the first thrown. */
export async function expireDueHolds(
  books: Books,
  scope: Scope,
  { signal, log }: { signal: AbortSignal; log: FastifyBaseLogger },
): Promise<number> {
  let holds = 0;
  while (!signal.aborted) {
    const due = await dueHolds(books, scope);
    // Each for itself, so that one that fails leaves the others alone; the queue gathers them into one commit.
    const done = await Promise.allSettled(due.map((hold) => expire(books, scope, hold)));
    const failures = done.flatMap((outcome, index) => {
      const hold = due[index];
      return outcome.status === 'rejected' && hold !== undefined ? [{ error: outcome.reason, hold }] : [];
    });
    for (const { error, hold } of failures) {
      log.error({ err: error, ...scope, hold_id: formatId('hld', hold.id) }, 'a hold could not be expired');
    }
    const expired = done.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length;
    holds += expired;
    // More may be due than one pass takes.
    if (expired > 0) continue;
    const [first] = failures;
    if (first !== undefined) throw first.error;
    return holds;
  }
  return holds;
}

/** Expires holds, within about a second of their time. */
export function holdExpiry(books: Books): JobHandler {
  return {
    due: () => scopesWithDueHolds(books),
    run: async ({ scope, signal, log }) => ({ holds: await expireDueHolds(books, scope, { signal, log }) }),
  };
}
