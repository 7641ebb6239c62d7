/** Claims on holds: the money that a hold keeps stays where it is while something about it is decided elsewhere. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { refuse } from './errors.ts';
import { lockHead } from './once.ts';

const ClaimRow = Type.Object({ reserved_for: Type.String() });

export function holdReserved(uuid: string, reserved_for: string) {
  return refuse('hold_reserved', `${formatId('hld', uuid)} stands for ${reserved_for}.`, { reserved_for });
}

/** Claims a hold, as a whole. Throws `hold_reserved` if it is claimed for something else. */
export async function claimHold(
  { db }: Books,
  scope: Scope,
  uuid: string,
  { reserved_for, dry_run }: { reserved_for: string; dry_run: boolean },
): Promise<void> {
  const work = async (tx: Transaction): Promise<void> => {
    await lockHead(tx, scope);
    const parameters = [scope.tenant_id, scope.environment, uuid];
    await tx.run(
      `insert into ledger.hold_claims (tenant_id, environment, hold_id, reserved_for) values ($1, $2, $3, $4)
       on conflict do nothing`,
      [...parameters, reserved_for],
    );
    const [claim] = await tx.rows(
      ClaimRow,
      'select reserved_for from ledger.hold_claims where tenant_id = $1 and environment = $2 and hold_id = $3',
      parameters,
    );
    if (claim?.reserved_for !== reserved_for)
      throw holdReserved(uuid, claim?.reserved_for ?? 'something else');
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
