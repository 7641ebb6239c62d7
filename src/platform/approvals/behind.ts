/** Who is behind a caller: nobody approves their own by another key. */
import { Type } from 'typebox';
import type { Caller } from '../access/caller.ts';
import type { Scope, Transaction } from '../db.ts';
import { formatId, parseId } from '../ids.ts';

const CreatorRow = Type.Object({ id: Type.String(), created_by: Type.Union([Type.String(), Type.Null()]) });
/** Longest chain of keys that create keys which is followed at once; there is no end to how long one can be. */
const MAX_BEHIND = 1_000;

/**
 * Public ids of the principal, of whom it acts for, and, where these are keys, of whoever created them or the keys that
 * they were rotated from, and so on.
 */
export async function behind(
  tx: Transaction,
  scope: Scope,
  caller: Pick<Caller, 'principal' | 'on_behalf_of'>,
): Promise<string[]> {
  const found = new Set([caller.principal.id]);
  if (caller.on_behalf_of !== undefined) found.add(caller.on_behalf_of.id);
  // The set grows while it is gone through.
  for (const id of found) {
    const uuid = parseId('key', id);
    if (uuid === undefined || found.size > MAX_BEHIND) continue;
    const rows = await tx.rows(
      CreatorRow,
      `select id, created_by from platform.api_keys
       where tenant_id = $1 and environment = $2 and (id = $3 or replaced_by = $3)`,
      [scope.tenant_id, scope.environment, uuid],
    );
    for (const row of rows) {
      found.add(formatId('key', row.id));
      if (row.created_by !== null) found.add(row.created_by);
    }
  }
  return [...found];
}
