/** Counts of long windows in the database, which outlive a process and are what several processes share without Redis. */
import { Type } from 'typebox';
import type { Database, Scope } from '../db.ts';
import { addEvent } from '../outbox.ts';
import type { Counter, Limit } from './counter.ts';
import type { Span } from './window.ts';

/** Requests of one window that are to be added to what the database knows. */
export interface Unsaved extends Span {
  counter: Counter;
  requests: number;
}

const Kept = Type.Object({
  subject: Type.String(),
  limit_name: Type.String(),
  starts_at: Type.String(),
  ends_at: Type.String(),
  requests: Type.BigInt(),
});
const Added = Type.Object({ place: Type.Integer(), requests: Type.BigInt() });

const timestamp = (ms: number) => new Date(ms).toISOString();

/** What is known of the windows that go on of counters of one tenant, in their order. */
export async function loadCounts(
  db: Database,
  scope: Scope,
  counters: readonly Counter[],
): Promise<number[]> {
  const wanted = counters.map(({ subject, name, start_ms, end_ms }) => ({
    id: subject.id,
    name,
    start_ms,
    end_ms,
  }));
  const rows = await db.read(scope, (tx) =>
    tx.rows(
      Kept,
      `select subject, limit_name, starts_at, ends_at, requests from platform.request_counts
       where tenant_id = $1 and environment = $2 and (subject, limit_name, starts_at, ends_at) in (
         select * from unnest($3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[]))`,
      [
        scope.tenant_id,
        scope.environment,
        wanted.map(({ id }) => id),
        wanted.map(({ name }) => name),
        wanted.map(({ start_ms }) => timestamp(start_ms)),
        wanted.map(({ end_ms }) => timestamp(end_ms)),
      ],
    ),
  );
  return wanted.map(({ id, name, start_ms, end_ms }) => {
    const row = rows.find(
      ({ subject, limit_name, starts_at, ends_at }) =>
        subject === id &&
        limit_name === name &&
        Date.parse(starts_at) === start_ms &&
        Date.parse(ends_at) === end_ms,
    );
    return row === undefined ? 0 : Number(row.requests);
  });
}

/** Adds what was counted, and returns for each what is counted by all processes now. */
export async function saveCounts(db: Database, unsaved: readonly Unsaved[]): Promise<Map<Unsaved, number>> {
  const ofTenants = unsaved.flatMap((each) => {
    const { scope } = each.counter.subject;
    return scope === undefined ? [] : [{ each, scope }];
  });
  const rows = await db.rows(
    Added,
    'select place, requests from platform.add_request_counts($1, $2, $3, $4, $5, $6, $7)',
    [
      ofTenants.map(({ scope }) => scope.tenant_id),
      ofTenants.map(({ scope }) => scope.environment),
      ofTenants.map(({ each }) => each.counter.subject.id),
      ofTenants.map(({ each }) => each.counter.name),
      ofTenants.map(({ each }) => timestamp(each.start_ms)),
      ofTenants.map(({ each }) => timestamp(each.end_ms)),
      ofTenants.map(({ each }) => each.requests),
    ],
  );
  return new Map(
    rows.flatMap(({ place, requests }) => {
      const each = ofTenants[place - 1]?.each;
      return each === undefined ? [] : [[each, Number(requests)]];
    }),
  );
}

/** A threshold that a count came to. */
export interface Crossing extends Span {
  scope: Scope;
  limit: Limit;
  threshold_percent: 80 | 100;
  requests: number;
}

/** Tells crossings of one tenant by events, each once a window: whichever process is first tells it. */
export async function tellCrossings(
  db: Database,
  scope: Scope,
  crossings: readonly Crossing[],
): Promise<void> {
  await db.write(scope, async (tx) => {
    for (const { limit, start_ms, end_ms, threshold_percent, requests } of crossings) {
      const { subject, name } = limit.counter;
      const told = await tx.run(
        `insert into platform.limits_told
           (tenant_id, environment, subject, limit_name, starts_at, ends_at, threshold_percent)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
        [
          scope.tenant_id,
          scope.environment,
          subject.id,
          name,
          timestamp(start_ms),
          timestamp(end_ms),
          threshold_percent,
        ],
      );
      if (told === 0) continue;
      await addEvent(tx, scope, {
        type: threshold_percent === 80 ? 'platform.limit.near' : 'platform.limit.reached',
        subject: subject.id,
        data: {
          limit: name,
          per: limit.per,
          ...(limit.plan === undefined ? {} : { plan: limit.plan }),
          threshold_percent,
          requests,
          allowed: limit.requests,
          starts_at: timestamp(start_ms),
          ends_at: timestamp(end_ms),
        },
      });
    }
  });
}

export async function forgetCounts(db: Database, before_ms: number): Promise<void> {
  await db.run('select platform.forget_request_counts($1)', [timestamp(before_ms)]);
}
