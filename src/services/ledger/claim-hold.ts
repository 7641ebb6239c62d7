/** Claims on holds: the money that a hold keeps stays where it is while something about it is decided elsewhere. */
import type { Scope, Transaction } from '../../platform/db.ts';
import type { Books } from './books.ts';
import { lockHead } from './once.ts';
import type { Command } from './posting.ts';
import { refusalOf } from './refusal.ts';

/**
 * Claims a hold, as a whole, for a step of it that could be posted now. Throws what the step would be refused for:
 * `hold_reserved` if the hold is claimed for something else.
 *
 * Both are under one lock of the head, which every posting holds. So no step of others comes between, and those that come
 * after find the claim (`ledger.post`).
 */
export async function claimHold(
  { db, posting }: Books,
  scope: Scope,
  uuid: string,
  { reserved_for, step, dry_run }: { reserved_for: string; step: Command; dry_run: boolean },
): Promise<void> {
  const work = async (tx: Transaction): Promise<void> => {
    await lockHead(tx, scope);
    await tx.run('savepoint rehearsal');
    await unclaimWithin(tx, reserved_for, [uuid]);
    const [outcome] = await posting.postWithin(tx, scope, [step]);
    if (outcome === undefined) throw new Error('a command without an outcome');
    if (outcome.code !== null) throw refusalOf(step, outcome);
    await tx.run('rollback to savepoint rehearsal');
    await tx.run(
      `insert into ledger.hold_claims (tenant_id, environment, hold_id, reserved_for) values ($1, $2, $3, $4)
       on conflict do nothing`,
      [scope.tenant_id, scope.environment, uuid, reserved_for],
    );
  };
  await (dry_run ? db.rehearse(scope, work) : db.write(scope, work));
}

/** Takes the claims for something back, in a transaction of their tenant. None is no error. */
export async function unclaimWithin(
  tx: Transaction,
  reserved_for: string,
  holds: readonly string[],
): Promise<void> {
  await tx.run('select ledger.unclaim_holds($1, $2)', [reserved_for, holds]);
}
