/** Releases what remains of holds whose time has come. The work of the system: no caller asks for it. */
import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Scope } from '../../platform/db.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { holdEvent, holdLegs } from './hold-terms.ts';
import type { Command } from './posting.ts';

/** How long nothing is looked for after a pass that expired nothing. */
const PAUSE_MS = 1_000;
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

export interface HoldExpiry {
  /** Resolves when the pass under way, if any, is over; there is none after it. */
  stop: () => Promise<void>;
}

/** Expires holds from now on, within about a second of their time. What fails is logged and tried again. */
export function startHoldExpiry(books: Books, log: FastifyBaseLogger): HoldExpiry {
  const stopping = new AbortController();
  const { signal } = stopping;

  /** Whether the hold has expired. */
  async function expire(scope: Scope, hold: DueRow): Promise<boolean> {
    try {
      const [outcome] = await books.posting.submit(scope, [expireCommand(hold)]);
      if (outcome?.code === null) return true;
      // Captured, released or extended between the look and the posting.
      if (outcome?.code === 'hold_not_due') return false;
      throw new Error(`expiring came to ${outcome?.code}`);
    } catch (error) {
      log.error({ err: error, ...scope, hold_id: formatId('hld', hold.id) }, 'a hold could not be expired');
      return false;
    }
  }

  /** Whether anything was expired: more may be due then than one pass takes. */
  async function pass(): Promise<boolean> {
    const scopes = await books.db.rows(ScopeRow, 'select * from ledger.scopes_with_due_holds($1)', [
      HOLDS_A_PASS,
    ]);
    let expired = false;
    for (const scope of scopes) {
      if (signal.aborted) return false;
      const due = await dueHolds(books, scope);
      // Each for itself, so that one that fails leaves the others alone; the queue gathers them into one commit.
      const done = await Promise.all(due.map((hold) => expire(scope, hold)));
      expired ||= done.some(Boolean);
    }
    return expired;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const expired = await pass().catch((error: unknown) => {
        log.error({ err: error }, 'due holds could not be looked for');
        return false;
      });
      if (expired) continue;
      await setTimeout(PAUSE_MS, undefined, { signal }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  }

  const running = run();
  return {
    stop: () => {
      stopping.abort();
      return running;
    },
  };
}
