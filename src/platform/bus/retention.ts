/** Forgetting events after a configured time, once every consumer has received them. */
import { Type } from 'typebox';
import type { Database } from '../db.ts';

/** Events of one statement: some tens of milliseconds of work. */
const BATCH = 2_000;
const Gone = Type.Object({ gone: Type.BigInt() });

/** Takes away what was carried before a time and says how many events that were. */
export async function forgetEvents(db: Database, before: Date, signal: AbortSignal): Promise<number> {
  let total = 0;
  for (;;) {
    const [row] = await db.rows(Gone, 'select platform.forget_events($1, $2) as gone', [
      before.toISOString(),
      BATCH,
    ]);
    const gone = Number(row?.gone ?? 0n);
    total += gone;
    if (gone < BATCH || signal.aborted) return total;
  }
}
