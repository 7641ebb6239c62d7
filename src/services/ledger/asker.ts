/** Whose a request is, where that is asked: of callers who reach accounts with certain labels only. */
import { hash } from 'node:crypto';
import type { Principal } from '../../platform/access/caller.ts';
import type { Scope, Transaction } from '../../platform/db.ts';

/** Whoever asks; the system has no principal. */
export interface Asker extends Scope {
  principal?: Pick<Principal, 'id'>;
  on_behalf_of?: Pick<Principal, 'id'>;
}

interface Asked {
  key: string;
  operation: string;
  request: string;
}

function nameOf({ principal, on_behalf_of }: Asker): string | undefined {
  if (principal === undefined) return undefined;
  return on_behalf_of === undefined ? principal.id : `${principal.id} for ${on_behalf_of.id}`;
}

function hashOf({ operation, request }: Asked): Buffer {
  return hash('sha256', JSON.stringify([operation, request]), 'buffer');
}

/** Whether it has to be noted who asks. */
export function isNoted(asker: Asker): boolean {
  return asker.reach !== undefined && asker.principal !== undefined;
}

/** Notes who asks, at the latest in the commit of what is asked. */
export async function noteAsker(tx: Transaction, asker: Asker, asked: Asked): Promise<void> {
  const name = nameOf(asker);
  if (asker.reach === undefined || name === undefined) return;
  await tx.run(
    `insert into ledger.askers (tenant_id, environment, key, asker, request_hash) values ($1, $2, $3, $4, $5)
     on conflict do nothing`,
    [asker.tenant_id, asker.environment, asked.key, name, hashOf(asked)],
  );
}

/** Whether what is kept under a key may be told: to whoever reaches everything, and to whoever asked just that. */
export async function isToldTo(tx: Transaction, asker: Asker, asked: Asked): Promise<boolean> {
  if (asker.reach === undefined) return true;
  const found = await tx.run(
    `select from ledger.askers
     where tenant_id = $1 and environment = $2 and key = $3 and asker = $4 and request_hash = $5`,
    [asker.tenant_id, asker.environment, asked.key, nameOf(asker) ?? null, hashOf(asked)],
  );
  return found > 0;
}
