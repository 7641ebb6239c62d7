import { Type } from 'typebox';
import type { Scope, Transaction } from '../../../platform/db.ts';

const ThereRow = Type.Object({ is_there: Type.Boolean() });

/** Whether a tenant has somebody with this UUID who was not removed. */
export async function personExists(
  tx: Transaction,
  { tenant_id }: Pick<Scope, 'tenant_id'>,
  uuid: string,
): Promise<boolean> {
  const [row] = await tx.rows(
    ThereRow,
    `select exists (select from identity.people
       where tenant_id = $1 and id = $2 and status <> 'removed') as is_there`,
    [tenant_id, uuid],
  );
  return row?.is_there === true;
}
