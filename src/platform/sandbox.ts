/**
 * What a sandbox has that live has not: a clock that can be moved forward, and a way to be emptied. Which tables are
 * emptied the migrations say (`platform.make_erasable`); that it can be done to sandboxes only, the database holds.
 */
import { type Static, Type } from 'typebox';
import type { Caller } from './access/caller.ts';
import type { Database, Scope, Transaction } from './db.ts';
import { type Attempt, canonicalRequest } from './idempotency.ts';
import { newUuid } from './ids.ts';
import { once } from './once.ts';
import { refuse } from './problem.ts';

/** First data for a sandbox, asked for like any caller's. */
export interface Seed {
  /** The permissions that its requests need. */
  permissions: readonly string[];
  /** @param post answers the body of a POST that was done, and throws for one that was refused */
  plant(post: (url: string, body: object) => Promise<Record<string, unknown>>): Promise<void>;
}

export type Seeds = Readonly<Record<string, Seed>>;

const Clock = Type.Object({
  now: Type.String(),
  offset_s: Type.BigInt(),
});
export type Clock = Static<typeof Clock>;

const Reset = Type.Object({
  id: Type.String(),
  reset_at: Type.String(),
  rows_erased: Type.BigInt(),
  seed: Type.Union([Type.String(), Type.Null()]),
  seeded_at: Type.Union([Type.String(), Type.Null()]),
});
export type Reset = Static<typeof Reset>;

const Erased = Type.Object({ rows_erased: Type.BigInt() });

/** To delete some hundred thousand rows takes longer than a request's statements may. */
const RESET_TIMEOUT_MS = 300_000;

export interface Sandboxes {
  /** What time it is for a tenant: in its sandbox, what the sandbox's clock shows. */
  now(scope: Scope): Promise<Date>;
  clock(caller: Caller): Promise<Clock>;
  /** Moves the clock forward by seconds, or to a time that it does not show yet. */
  advance(
    caller: Caller,
    by: { seconds: number } | { to: string },
    attempt: Attempt,
  ): Promise<{ before: Clock | undefined; clock: Clock; replayed: boolean }>;
  /** Empties the sandbox, once for each idempotency key, in one transaction. */
  reset(
    caller: Caller,
    seed: string | undefined,
    attempt: Attempt,
  ): Promise<{ reset: Reset; replayed: boolean }>;
  /** Notes that the seed of a reset is planted, and returns the reset. */
  noteSeeded(caller: Caller, id: string): Promise<Reset>;
}

/** Refuses what exists in a sandbox only. */
function assertSandbox({ environment, principal }: Caller): void {
  if (environment === 'sandbox') return;
  throw refuse('sandbox_only', `${principal.name} is of the environment live. Use a key of the sandbox.`);
}

async function readClock(tx: Transaction, scope: Scope): Promise<Clock> {
  const [clock] = await tx.rows(
    Clock,
    `select platform.now_of($1, $2) as now,
       coalesce((select offset_s from platform.clocks where tenant_id = $1 and environment = $2), 0) as offset_s`,
    [scope.tenant_id, scope.environment],
  );
  if (clock === undefined) throw new Error('PostgreSQL does not know the time');
  return clock;
}

/** Seconds that the clock is ahead once it was moved, as the statement that moves it wants them. */
function targetOf(by: { seconds: number } | { to: string }): { seconds: number | null; to: string | null } {
  return 'seconds' in by ? { seconds: by.seconds, to: null } : { seconds: null, to: by.to };
}

/** Moves the clock and returns what it showed before. */
async function moveClock(
  tx: Transaction,
  scope: Scope,
  by: { seconds: number } | { to: string },
): Promise<Clock> {
  const { seconds, to } = targetOf(by);
  await tx.run(
    `insert into platform.clocks (tenant_id, environment, offset_s) values ($1, $2, 0) on conflict do nothing`,
    [scope.tenant_id, scope.environment],
  );
  await tx.run('select from platform.clocks where tenant_id = $1 and environment = $2 for no key update', [
    scope.tenant_id,
    scope.environment,
  ]);
  const before = await readClock(tx, scope);
  const Target = Type.Object({ offset_s: Type.BigInt() });
  const [target] = await tx.rows(
    Target,
    `select coalesce($1::bigint + $2::bigint, ceil(extract(epoch from $3::timestamptz - clock_timestamp()))::bigint)
       as offset_s`,
    [before.offset_s, seconds, to],
  );
  const offset_s = target?.offset_s ?? before.offset_s;
  if (offset_s <= before.offset_s) {
    throw refuse('clock_not_forward', `The clock shows ${before.now}; it can be moved to a later time only.`);
  }
  if (offset_s > MAX_OFFSET_S) {
    throw refuse('clock_not_forward', 'The clock can be at most a hundred years ahead of the time.');
  }
  await tx.run(
    `update platform.clocks set offset_s = $3, updated_at = now() where tenant_id = $1 and environment = $2`,
    [scope.tenant_id, scope.environment, offset_s],
  );
  return before;
}

/** A hundred years, as the table's constraint says. */
const MAX_OFFSET_S = 3_155_760_000n;

async function readReset(tx: Transaction, scope: Scope, id: string): Promise<Reset> {
  const [reset] = await tx.rows(
    Reset,
    `select id, reset_at, rows_erased, seed, seeded_at from platform.sandbox_resets
     where tenant_id = $1 and environment = $2 and id = $3`,
    [scope.tenant_id, scope.environment, id],
  );
  if (reset === undefined) throw new Error(`the reset ${id} was kept as done and is not there`);
  return reset;
}

/**
 * @param db the platform's own database
 * @param locks SQL functions of services that hold up their writers to the sandbox that is emptied
 * @param beforeAdvance notes what is still to come by the clock, in the transaction that moves it
 */
export function openSandboxes(
  db: Database,
  locks: readonly string[],
  beforeAdvance: (tx: Transaction, scope: Scope) => Promise<void> = () => Promise.resolve(),
): Sandboxes {
  return {
    async now(scope) {
      const { now } = await db.read(scope, (tx) => readClock(tx, scope));
      return new Date(now);
    },
    async clock(caller) {
      assertSandbox(caller);
      return db.read(caller, (tx) => readClock(tx, caller));
    },
    async advance(caller, by, attempt) {
      assertSandbox(caller);
      let before: Clock | undefined;
      const { replayed } = await once(
        db,
        caller,
        { ...attempt, request: canonicalRequest(by) },
        refuse,
        async (tx) => {
          await beforeAdvance(tx, caller);
          before = await moveClock(tx, caller, by);
          return newUuid();
        },
      );
      return { before, clock: await db.read(caller, (tx) => readClock(tx, caller)), replayed };
    },
    async reset(caller, seed, attempt) {
      assertSandbox(caller);
      const request = canonicalRequest(seed === undefined ? {} : { seed });
      const { id, replayed } = await once(db, caller, { ...attempt, request }, refuse, async (tx) => {
        await tx.run(`set local statement_timeout = ${RESET_TIMEOUT_MS}`);
        // Names of functions, from the services' manifests.
        for (const lock of locks) await tx.run(`select ${lock}()`);
        const [erased] = await tx.rows(Erased, 'select platform.reset_sandbox() as rows_erased');
        const uuid = newUuid();
        await tx.run(
          `insert into platform.sandbox_resets (tenant_id, environment, id, reset_by, seed, rows_erased)
           values ($1, $2, $3, $4, $5, $6)`,
          [
            caller.tenant_id,
            caller.environment,
            uuid,
            caller.principal.id,
            seed ?? null,
            erased?.rows_erased ?? 0n,
          ],
        );
        return uuid;
      });
      return { reset: await db.read(caller, (tx) => readReset(tx, caller, id)), replayed };
    },
    noteSeeded: (caller, id) =>
      db.write(caller, async (tx) => {
        await tx.run(
          `update platform.sandbox_resets set seeded_at = clock_timestamp()
           where tenant_id = $1 and environment = $2 and id = $3`,
          [caller.tenant_id, caller.environment, id],
        );
        return readReset(tx, caller, id);
      }),
  };
}
