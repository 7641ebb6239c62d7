/** Positions of the ledger: the last one, and which one a reader asked for. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';

const Head = Type.Object({ position: Type.BigInt() });

/** Position of the last transfer or hold step; 0 before the first. */
export async function headPosition(tx: Transaction, scope: Scope): Promise<number> {
  const [head] = await tx.rows(
    Head,
    'select position from ledger.heads where tenant_id = $1 and environment = $2',
    [scope.tenant_id, scope.environment],
  );
  return Number(head?.position ?? 0n);
}
