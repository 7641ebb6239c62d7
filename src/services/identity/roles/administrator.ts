/** Who is the last that can say who may do what: without them a tenant could never change anything again. */
import { Type } from 'typebox';
import type { Scope, Transaction } from '../../../platform/db.ts';
import { formatId } from '../../../platform/ids.ts';
import { refuse } from '../errors.ts';
import { indispensableRoles } from './predefined.ts';

const AloneRow = Type.Object({ environment: Type.String(), role: Type.String() });

/** Whoever takes administrators away waits here for others that do, and then sees how many are left. */
export async function lockAdministrators(tx: Transaction, { tenant_id }: Scope): Promise<void> {
  await tx.run("select pg_advisory_xact_lock(hashtextextended('administrators ' || $1::text, 0))", [
    tenant_id,
  ]);
}

/** Refuses to take away an active person who alone administers an environment. Until the commit nobody else is taken. */
export async function assertNotLastAdministrator(
  tx: Transaction,
  scope: Scope,
  person_uuid: string,
): Promise<void> {
  await lockAdministrators(tx, scope);
  const [only] = await tx.rows(AloneRow, 'select * from identity.administers_alone($1, $2)', [
    person_uuid,
    indispensableRoles,
  ]);
  if (only === undefined) return;
  throw refuse(
    'last_administrator',
    `${formatId('usr', person_uuid)} is the last active person who has the role ${only.role} for everything in ${only.environment}.`,
  );
}
