/**
 * Slowing down whoever guesses. Failures are counted in the database, so that every process shares the count: after
 * some that are free, each makes the next attempt wait twice as long. An attempt is counted before it is looked at and
 * given back if it was right, so that many at once count as many.
 */
import ipaddr from 'ipaddr.js';
import { Type } from 'typebox';
import type { Database } from '../../../platform/db.ts';
import { hashOf } from './token.ts';

export interface Throttle {
  /** What is counted: an account, a network, a person's second factor. */
  key: Buffer;
  /** Failures before the first wait. */
  free: number;
}

/** Longest wait, in seconds. */
const MAX_WAIT_S = 900;
/** After so long without a failure the count begins anew, in seconds. */
const FORGOTTEN_AFTER_S = 3_600;

/** By address alone, whether or not anybody has it: what is unknown is throttled like what is known. */
export function accountThrottle(email: string): Throttle {
  return { key: hashOf(`account ${email}`), free: 5 };
}

/** An IPv6 customer has a /64 to choose addresses from. Many people may share an IPv4 address. */
export function networkThrottle(address: string): Throttle {
  const parsed = ipaddr.isValid(address) ? ipaddr.process(address) : undefined;
  const network = parsed instanceof ipaddr.IPv6 ? parsed.parts.slice(0, 4).join(':') : parsed?.toString();
  return { key: hashOf(`network ${network ?? address}`), free: 20 };
}

export function factorThrottle(person_uuid: string): Throttle {
  return { key: hashOf(`factor ${person_uuid}`), free: 5 };
}

const Admitted = Type.Object({ failures: Type.Integer() });

/** Counts an attempt as failed, unless it must wait: then false, and it counts for nothing. */
export async function admit(db: Database, { key, free }: Throttle): Promise<boolean> {
  const rows = await db.rows(
    Admitted,
    `insert into identity.sign_in_throttles as t (key, failures, blocked_until, last_failure_at)
     values ($1, 1, now(), now())
     on conflict (key) do update set
       failures = case when t.last_failure_at < now() - make_interval(secs => $4) then 1 else t.failures + 1 end,
       blocked_until = case
         when t.last_failure_at < now() - make_interval(secs => $4) or t.failures + 1 < $2 then now()
         else now() + make_interval(secs => least(power(2, least(t.failures + 1 - $2, 20)), $3)) end,
       last_failure_at = now()
     where t.blocked_until <= now()
     returning failures`,
    [key, free, MAX_WAIT_S, FORGOTTEN_AFTER_S],
  );
  return rows.length > 0;
}

/** The attempt was right: nothing counts against the account any more. */
export async function forgive(db: Database, { key }: Throttle): Promise<void> {
  await db.run('delete from identity.sign_in_throttles where key = $1', [key]);
}

/** The attempt was right: it is not counted, but failures before it are. */
export async function giveBack(db: Database, { key }: Throttle): Promise<void> {
  await db.run(
    'update identity.sign_in_throttles set failures = greatest(failures - 1, 0), blocked_until = now() where key = $1',
    [key],
  );
}

/** Removes counts that mean nothing any more, a bounded number at a time. */
export async function removeOldThrottles(db: Database): Promise<void> {
  await db.run(
    `delete from identity.sign_in_throttles where key in (
       select key from identity.sign_in_throttles
       where last_failure_at < now() - make_interval(secs => $1) and blocked_until < now() limit 10000)`,
    [FORGOTTEN_AFTER_S],
  );
}
