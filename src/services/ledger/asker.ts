/** Whose a request is, where that is asked: of callers who reach accounts with certain labels only. */
import { hash } from 'node:crypto';
import { Type } from 'typebox';
import type { Principal } from '../../platform/access/caller.ts';
import type { Database, Scope, Transaction } from '../../platform/db.ts';
import type { JobHandler } from '../../platform/job/job.ts';

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
     on conflict (tenant_id, environment, key, asker, request_hash) do update set asked_at = excluded.asked_at`,
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

/** Much longer than from the note to what is posted, which is one request. */
const NOTED_FOR_MS = 86_400_000;
/** Most notes that one statement removes, so that it ends soon. */
const BATCH = 10_000;
const GoneRow = Type.Object({ gone: Type.BigInt() });

/** Removes notes of who asked for what never came to an outcome that is kept: the others are as good as their attempts. */
export function askersForgetter(db: Database): JobHandler {
  return {
    run: async ({ scope, signal }) => {
      const before = new Date(Date.now() - NOTED_FOR_MS).toISOString();
      let askers = 0;
      while (!signal.aborted) {
        const [row] = await db.write(scope, (tx) =>
          tx.rows(GoneRow, 'select ledger.forget_askers($1, $2) as gone', [before, BATCH]),
        );
        const gone = Number(row?.gone ?? 0n);
        askers += gone;
        if (gone < BATCH) break;
      }
      return { askers };
    },
  };
}
