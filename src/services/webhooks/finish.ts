/** What came of an attempt: kept with its delivery, which is delivered then, tried again later, or given up. */
import { type Static, Type } from 'typebox';
import type { Database, Transaction } from '../../platform/db.ts';
import { disable, withoutQuery } from './disable.ts';
import { promote } from './order.ts';
import { retryAfterOf } from './retry.ts';
import type { Attempted, Claimed } from './send.ts';

/** What became of a delivery by an attempt. `lost`: another process has it by now, or it is gone. */
export type Outcome = 'delivered' | 'retrying' | 'given_up' | 'missed' | 'lost';

export interface Terms {
  /** Attempts before a delivery is given up. */
  attempts: number;
  /** Wait in milliseconds after so many failures, and no shorter than the endpoint asked for. */
  wait_ms: (failures: number, retry_after_ms: number | undefined) => number;
  /** How long an endpoint may do nothing but fail. */
  disable_after_ms: number;
}

const GONE = 410;

const State = Type.Object({
  enabled: Type.Boolean(),
  ordered: Type.Boolean(),
  failing_for_ms: Type.Union([Type.Number(), Type.Null()]),
});

/** How the endpoint stands, which stays so until the commit. Locked before its deliveries, here as everywhere. */
async function lock(
  tx: Transaction,
  { tenant_id, environment, endpoint_id }: Claimed,
  mode: 'no key update' | 'share',
): Promise<Static<typeof State>> {
  const [state] = await tx.rows(
    State,
    `select status = 'enabled' as enabled, ordered,
       (extract(epoch from clock_timestamp() - failing_since) * 1000)::double precision as failing_for_ms
     from webhooks.endpoints where tenant_id = $1 and environment = $2 and id = $3 for ${mode}`,
    [tenant_id, environment, endpoint_id],
  );
  if (state === undefined) throw new Error('the endpoint of a delivery is not there');
  return state;
}

/** Closes the claim on a delivery. False where it is no longer this one's. */
async function close(
  tx: Transaction,
  { tenant_id, environment, id }: Claimed,
  claim: string,
  next: { status: 'delivered' | 'failed' | 'missed' } | { status: 'pending'; wait_ms: number },
): Promise<boolean> {
  const closed = await tx.run(
    `update webhooks.deliveries
     set status = $5, claim = null, attempts = attempts + 1,
       failures = failures + case when $5 = 'delivered' then 0 else 1 end,
       next_attempt_at = clock_timestamp() + $6::double precision * interval '1 millisecond',
       finished_at = case when $5 = 'pending' then null else clock_timestamp() end
     where tenant_id = $1 and environment = $2 and id = $3 and claim = $4`,
    [tenant_id, environment, id, claim, next.status, next.status === 'pending' ? next.wait_ms : 0],
  );
  return closed > 0;
}

async function note(tx: Transaction, delivery: Claimed, done: Attempted): Promise<void> {
  await tx.run(
    `insert into webhooks.attempts (tenant_id, environment, delivery_id, number, started_at, took_ms, url,
       request_headers, status, answer_headers, answer_body, failure)
     select $1, $2, $3, d.attempts, $4, $5, $6, $7, $8, $9, $10, $11 from webhooks.deliveries d
     where d.tenant_id = $1 and d.environment = $2 and d.id = $3`,
    [
      delivery.tenant_id,
      delivery.environment,
      delivery.id,
      done.started_at.toISOString(),
      done.took_ms,
      withoutQuery(delivery.url),
      JSON.stringify(done.request_headers),
      done.status ?? null,
      done.answer_headers === undefined ? null : JSON.stringify(done.answer_headers),
      done.answer_body ?? null,
      done.failure ?? null,
    ],
  );
}

async function succeed(tx: Transaction, delivery: Claimed, claim: string, done: Attempted): Promise<Outcome> {
  const { tenant_id, environment, endpoint_id } = delivery;
  await tx.run(
    `update webhooks.endpoints set failing_since = null
     where tenant_id = $1 and environment = $2 and id = $3 and failing_since is not null`,
    [tenant_id, environment, endpoint_id],
  );
  // Many may succeed at once where there is no order to be kept. It may have become wanted since the claim.
  const { ordered } = await lock(tx, delivery, delivery.ordered ? 'no key update' : 'share');
  if (ordered && !delivery.ordered) await lock(tx, delivery, 'no key update');
  if (!(await close(tx, delivery, claim, { status: 'delivered' }))) return 'lost';
  await note(tx, delivery, done);
  if (ordered) await promote(tx, delivery, endpoint_id, delivery.subject);
  return 'delivered';
}

/** What is to become of a delivery that failed. */
function next(
  delivery: Claimed,
  done: Attempted,
  state: Static<typeof State>,
  terms: Terms,
): { status: 'failed' | 'missed' } | { status: 'pending'; wait_ms: number } {
  const failures = delivery.failures + 1;
  if (done.status === GONE || delivery.is_test || failures >= terms.attempts) return { status: 'failed' };
  // It was disabled while this was under way.
  if (!state.enabled) return { status: 'missed' };
  const asked = retryAfterOf(done.retry_after ?? null, Date.now());
  return { status: 'pending', wait_ms: terms.wait_ms(failures, asked) };
}

async function fail(
  tx: Transaction,
  delivery: Claimed,
  claim: string,
  done: Attempted,
  terms: Terms,
): Promise<Outcome> {
  const state = await lock(tx, delivery, 'no key update');
  const then = next(delivery, done, state, terms);
  if (!(await close(tx, delivery, claim, then))) return 'lost';
  await note(tx, delivery, done);
  const { endpoint_id } = delivery;
  await tx.run(
    `update webhooks.endpoints set failing_since = $4
     where tenant_id = $1 and environment = $2 and id = $3 and failing_since is null and status = 'enabled'`,
    [delivery.tenant_id, delivery.environment, endpoint_id, done.started_at.toISOString()],
  );
  if (done.status === GONE) await disable(tx, delivery, endpoint_id, 'gone');
  else if ((state.failing_for_ms ?? 0) > terms.disable_after_ms) {
    await disable(tx, delivery, endpoint_id, 'failing');
  }
  if (state.ordered && then.status !== 'pending') {
    await promote(tx, delivery, endpoint_id, delivery.subject);
  }
  if (then.status === 'pending') return 'retrying';
  return then.status === 'failed' ? 'given_up' : 'missed';
}

/** Keeps what came of an attempt, in one commit with what follows from it. */
export function finish(
  db: Database,
  delivery: Claimed,
  claim: string,
  done: Attempted,
  terms: Terms,
): Promise<Outcome> {
  return db.write(delivery, (tx) =>
    done.failure === undefined ? succeed(tx, delivery, claim, done) : fail(tx, delivery, claim, done, terms),
  );
}

/** Gives a claim back, of a delivery of which nothing came: it is due at once. */
export async function release(db: Database, delivery: Claimed, claim: string): Promise<void> {
  await db.write(delivery, (tx) =>
    tx.run(
      `update webhooks.deliveries set claim = null, next_attempt_at = clock_timestamp()
       where tenant_id = $1 and environment = $2 and id = $3 and claim = $4`,
      [delivery.tenant_id, delivery.environment, delivery.id, claim],
    ),
  );
}
