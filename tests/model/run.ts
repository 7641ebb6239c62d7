/** Runs the model test: random operations on the model and on the real system, shrunk to the least that differs. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { Client } from 'pg';
import { newUuid, parseId } from '../../src/platform/ids.ts';
import type { TestPlatform } from '../../src/testing.ts';
import { audit } from '../audit.ts';
import type { Books } from './ledger.ts';
import { type Operation, operations } from './operations.ts';
import { compareRecords, type Model, openBooks, returnTime, step, type World } from './steps.ts';

export interface ModelRunOptions {
  /** Absent: another one each time. It is part of what is reported. */
  seed?: number;
  /** Where within a seed a failure was found, and which of its operations had run, as they were printed. */
  path?: string;
  replay_path?: string;
  runs: number;
  /** No run is begun after this. */
  time_limit_ms: number;
  /** Whether a failure is made as small as it can be. */
  shrink?: boolean;
  /** Told after each run. */
  onRun?: () => void;
}

export interface ModelReport {
  /** Undefined if model and system agreed; else seed, path and the least operations at which they did not. */
  failure: string | undefined;
  runs: number;
  seed: number;
  /** How often each outcome was seen. */
  seen: Map<string, number>;
}

const SHRINK_FOR_MS = 60_000;

/** Expires a hold if it is due by the ledger's time, with the command that the expiry job posts. */
const expireIfDue = `
  select p.code from ledger.holds d
  cross join lateral ledger.post($1, $2::platform.environment, array[$4::uuid], array[8::smallint],
    array['expire ' || d.id || ' ' || d.expires_at], array[0::smallint], array['expire'], array['{}'], null,
    array[1, 2], null,
    array[null::uuid], array[null::date], array[null::text], array[null::text], array[null::text], array[d.id],
    array[null::bigint], array[null::timestamptz], array[false],
    array['{"unit": {"amount": "0.01", "currency": "BRL"}}'], array[null::text], array[1, 3],
    array[least(d.debit_account_id, d.credit_account_id), greatest(d.debit_account_id, d.credit_account_id)],
    array[1, 1], array[1::smallint, 2::smallint],
    case when d.debit_account_id < d.credit_account_id then array[1, 2] else array[2, 1] end, array[false, true], array[0::bigint, 0::bigint],
    array[d.currency, d.currency], array[null::smallint, null::smallint]) p
  where d.tenant_id = $1 and d.environment = $2::platform.environment and d.id = $3::uuid
    and d.captured + d.released < d.amount
    and d.expires_at <= (select recorded_at from ledger.heads
                         where tenant_id = $1 and environment = $2::platform.environment)`;

async function newWorld(platform: TestPlatform, sql: Client, seen: Map<string, number>): Promise<World> {
  const bank = await platform.newTenant();
  const { tenant_id, environment } = bank.scope;
  const holds: string[] = [];
  return {
    bank,
    sql,
    accounts: [],
    transfers: [],
    holds,
    async expire() {
      for (const id of holds) {
        const { rows } = await sql.query<{ code: string | null }>(expireIfDue, [
          tenant_id,
          environment,
          parseId('hld', id),
          newUuid(),
        ]);
        for (const { code } of rows) assert.equal(code, null, `hold ${id} is due`);
      }
    },
    tally: (what) => seen.set(what, (seen.get(what) ?? 0) + 1),
  };
}

/** Whether there is what an operation works on; an unknown id is worked on as well, but seldom. */
function means(operation: Operation, { transfers, holds }: Books, attempts: number): boolean {
  switch (operation.does) {
    case 'reverse':
      return transfers.length > 0;
    case 'hold':
      return holds.length > 0;
    case 'repeat':
      return attempts > 0;
    default:
      return true;
  }
}

type Command = fc.AsyncCommand<Model, World>;

function commandOf(operation: Operation): Command {
  return {
    check: ({ books, attempts }) => means(operation, books, attempts.length),
    run: (model, world) => step(model, world, operation),
    toString: () => fc.stringify(operation),
  };
}

/** Runs on tenants of their own on a platform that is open. */
export async function runModel(platform: TestPlatform, options: ModelRunOptions): Promise<ModelReport> {
  const seen = new Map<string, number>();
  const sql = new Client({ connectionString: platform.url });
  await sql.connect();
  try {
    const operation = fc.oneof(...operations.map(([weight, arbitrary]) => ({ weight, arbitrary })));
    const commands = fc.commands([operation.map(commandOf)], {
      maxCommands: 40,
      size: 'max',
      ...(options.replay_path === undefined ? {} : { replayPath: options.replay_path }),
    });
    const property = fc.asyncProperty(commands, async (sequence) => {
      const world = await newWorld(platform, sql, seen);
      const model = await openBooks(world);
      await fc.asyncModelRun(() => ({ model, real: world }), sequence);
      await compareRecords(model, world);
      assert.deepEqual(await audit(sql, world.bank.scope), []);
      await returnTime(world);
      const { ok, checks } = await world.bank.get('/api/v2/integrity');
      assert.ok(ok, JSON.stringify(checks));
      options.onRun?.();
    });
    const found = await fc.check(property, {
      numRuns: options.runs,
      interruptAfterTimeLimit: options.time_limit_ms,
      endOnFailure: true,
      // A seed of fast-check's own may be negative, which a command line takes for an option.
      seed: options.seed ?? randomInt(2 ** 31),
      ...(options.path === undefined ? {} : { path: options.path }),
    });
    // Made as small as it gets in a time of its own: the limit above may have been all but over.
    const { seed, counterexamplePath: path } = found;
    const details =
      found.failed && path !== null && options.shrink !== false
        ? await fc.check(property, { seed, path, interruptAfterTimeLimit: SHRINK_FOR_MS })
        : found;
    const { errorInstance: cause } = details;
    const reason = cause instanceof Error ? cause.stack : String(cause);
    return {
      failure: found.failed ? `${fc.defaultReportMessage(details)}\n\n${reason}` : undefined,
      runs: found.numRuns,
      seed: details.seed,
      seen,
    };
  } finally {
    await sql.end();
  }
}
