/** Reading usage: calls, errors and latency of a period, by caller, route or status, and over time. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../db.ts';
import { Text } from '../http.ts';
import { Id } from '../ids.ts';
import { refuse } from '../problem.ts';
import { BUCKETS, percentileOf } from './histogram.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const steps = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const;
type Granularity = keyof typeof steps;
const Granularity = Type.Union([Type.Literal('minute'), Type.Literal('hour'), Type.Literal('day')]);

/** Points of a series: a day of minutes, two months of hours, four years of days. */
const MOST_POINTS = 1_500;
/** Groups that are told each by itself. */
const MOST_GROUPS = 100;

const Grouping = Type.Union([
  Type.Literal('application'),
  Type.Literal('principal'),
  Type.Literal('route'),
  Type.Literal('status'),
]);
type Grouping = Static<typeof Grouping>;

const StatusClass = Type.Union(
  [
    Type.Literal('2xx'),
    Type.Literal('3xx'),
    Type.Literal('4xx'),
    Type.Literal('5xx'),
    Type.Literal('errors'),
  ],
  { description: 'errors: 4xx and 5xx' },
);

const Method = Type.Enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** What calls are looked at; the same of sums and of single requests. */
export const callFilters = {
  method: Type.Optional(Method),
  route: Type.Optional(
    Text({
      min: 1,
      max: 500,
      description: 'Pattern of the path, as the reference writes it; none: what no route takes',
      examples: ['/api/v2/accounts/{account_id}'],
    }),
  ),
  status: Type.Optional(Type.Integer({ minimum: 100, maximum: 999 })),
  status_class: Type.Optional(StatusClass),
};

/** Whose calls are looked at. */
export const callerFilters = {
  application_id: Type.Optional(Id('app', 'Its keys and tokens together')),
  principal_id: Type.Optional(
    Text({ min: 1, max: 300, description: 'Id of a key, application, device or person' }),
  ),
};

export type CallFilters = Partial<
  Record<'application_id' | 'principal_id' | 'method' | 'route', string> & {
    status: number;
    status_class: Static<typeof StatusClass>;
  }
>;

const period = {
  from: Type.Optional(
    Type.String({
      format: 'date-time',
      description: 'Beginning of the period; a day before its end if absent',
    }),
  ),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'End of the period; now if absent' })),
  granularity: Type.Optional(Granularity),
  group_by: Type.Optional(Grouping),
};

export const UsageQuery = Type.Object(
  { ...period, ...callerFilters, ...callFilters },
  { additionalProperties: false },
);
export const OwnUsageQuery = Type.Object({ ...period, ...callFilters }, { additionalProperties: false });

const Latency = (description: string) => Type.Union([Type.Number({ description }), Type.Null()]);
const figures = {
  calls: Type.Integer(),
  errors: Type.Integer({ description: 'Answered with a status of 400 or higher' }),
  server_errors: Type.Integer({ description: 'Of these, with 500 or higher' }),
  p50_ms: Latency('Half of the answers took no longer; null where none was timed'),
  p90_ms: Latency('Nine of ten answers took no longer'),
  p99_ms: Latency('99 of 100 answers took no longer'),
};

const Point = Type.Object({ starts_at: Type.String(), ...figures });
const Group = Type.Object({
  application_id: Type.Optional(
    Type.Union([Type.String(), Type.Null()], { description: 'Null: of none. With group_by=application' }),
  ),
  principal: Type.Optional(
    Type.Object(
      {
        kind: Type.String({
          description: 'key, person, application, service, device, or other: there were too many',
        }),
        id: Type.String(),
        name: Type.Optional(Type.String({ description: 'Not of people' })),
      },
      { description: 'With group_by=principal' },
    ),
  ),
  method: Type.Optional(Type.String({ description: 'With group_by=route' })),
  route: Type.Optional(
    Type.String({
      description: 'With group_by=route; none: what no route takes, other: there were too many',
    }),
  ),
  status: Type.Optional(Type.Integer({ description: 'With group_by=status' })),
  ...figures,
});

export const UsageReport = Type.Object({
  from: Type.String({ description: 'Beginning of the first point' }),
  to: Type.String({ description: 'End of the last point, not within it' }),
  granularity: Granularity,
  totals: Type.Object(figures),
  groups: Type.Array(Group, { description: `The ${MOST_GROUPS} with most calls; none without group_by` }),
  groups_left_out: Type.Integer({ description: 'How many more there are' }),
  series: Type.Array(Point, { description: 'Every point of the period, also those without calls' }),
});
export type UsageReport = Static<typeof UsageReport>;

const Nullable = Type.Union([Type.String(), Type.Null()]);
const Row = Type.Object({
  /** Which of the groupings the row is of: by time, by what was asked for, or neither. */
  by: Type.Integer(),
  starts_at: Nullable,
  key: Nullable,
  key_2: Nullable,
  name: Nullable,
  calls: Type.BigInt(),
  errors: Type.BigInt(),
  server_errors: Type.BigInt(),
  latency: Type.Array(Type.BigInt()),
});
type Row = Static<typeof Row>;

/** Columns that a group has in common, as texts. */
const groupColumns: Record<Grouping, [string, string]> = {
  application: ["coalesce(application_id, '')", 'null::text'],
  principal: ['principal_id', 'principal_kind'],
  route: ['route', 'method'],
  status: ['status::text', 'null::text'],
};

/** A route as the reference writes it. */
export function documentedRoute(route: string): string {
  return route.replaceAll(/:(\w+)(\([^)]*\))?/g, '{$1}');
}

/** Conditions of SQL for what is filtered by, their values added to the parameters. */
export function conditionsOf(filters: CallFilters, parameters: unknown[]): string[] {
  const conditions: string[] = [];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    parameters.push(value);
    conditions.push(condition(`$${parameters.length}`));
  };
  add(filters.application_id, (it) => `application_id = ${it}`);
  add(filters.principal_id, (it) => `principal_id = ${it}`);
  add(filters.method, (it) => `method = ${it}`);
  const route = filters.route === undefined ? undefined : documentedRoute(filters.route);
  add(route, (it) => `regexp_replace(route, ':(\\w+)(\\([^)]*\\))?', '{\\1}', 'g') = ${it}`);
  add(filters.status, (it) => `status = ${it}::int`);
  const { status_class } = filters;
  if (status_class === 'errors') conditions.push('status >= 400');
  else
    add(
      status_class === undefined ? undefined : Number(status_class[0]),
      (it) => `status / 100 = ${it}::int`,
    );
  return conditions;
}

interface Period {
  from_ms: number;
  to_ms: number;
  granularity: Granularity;
}

const timestamp = (ms: number) => new Date(ms).toISOString();

/** The period that is asked for, in whole steps. Throws `malformed_request` for one that is none, or has too many steps. */
function periodOf(query: { from?: string; to?: string; granularity?: Granularity }, now_ms: number): Period {
  const timeOf = (name: 'from' | 'to', absent_ms: number): number => {
    const given = query[name];
    const ms = given === undefined ? absent_ms : Date.parse(given);
    // A leap second is a time by RFC 3339, and none that a computer counts.
    if (!Number.isNaN(ms)) return ms;
    throw refuse('malformed_request', `${given ?? ''} is no time that can be counted from.`, {
      errors: [{ pointer: `?${name}`, detail: 'must not be a leap second' }],
    });
  };
  const to_ms = timeOf('to', now_ms);
  const from_ms = timeOf('from', to_ms - DAY_MS);
  if (from_ms >= to_ms) {
    throw refuse(
      'malformed_request',
      `The period begins at ${timestamp(from_ms)} and ends at ${timestamp(to_ms)}.`,
      { errors: [{ pointer: '?to', detail: 'must be after from' }] },
    );
  }
  const length_ms = to_ms - from_ms;
  const { granularity = length_ms <= 6 * HOUR_MS ? 'minute' : length_ms <= 31 * DAY_MS ? 'hour' : 'day' } =
    query;
  const step = steps[granularity];
  if (length_ms / step > MOST_POINTS) {
    throw refuse(
      'malformed_request',
      `From ${timestamp(from_ms)} to ${timestamp(to_ms)} are more than ${MOST_POINTS} times a ${granularity}.`,
      { errors: [{ pointer: '?granularity', detail: 'must be coarser, or the period shorter' }] },
    );
  }
  return {
    from_ms: Math.floor(from_ms / step) * step,
    to_ms: Math.ceil(to_ms / step) * step,
    granularity,
  };
}

function figuresOf(row: Row | undefined): Static<typeof UsageReport>['totals'] {
  const latency = row?.latency.map(Number) ?? [];
  // To a microsecond: there is no more in them.
  const told = (share: number) => {
    const ms = percentileOf(latency, share);
    return ms === undefined ? null : Math.round(ms * 1_000) / 1_000;
  };
  return {
    calls: Number(row?.calls ?? 0n),
    errors: Number(row?.errors ?? 0n),
    server_errors: Number(row?.server_errors ?? 0n),
    p50_ms: told(0.5),
    p90_ms: told(0.9),
    p99_ms: told(0.99),
  };
}

function groupOf(grouping: Grouping, row: Row): Static<typeof Group> {
  const { key, key_2, name } = row;
  const id = key ?? '';
  const named = {
    application: { application_id: id === '' ? null : id },
    principal: { principal: { kind: key_2 ?? '', id, ...(name === null ? {} : { name }) } },
    route: { method: key_2 ?? '', route: documentedRoute(id) },
    status: { status: Number(id) },
  };
  return { ...named[grouping], ...figuresOf(row) };
}

/** Sums of each bucket, in one array. Element by element: a sum of arrays would call a function for each row. */
const summedLatency = `array[${Array.from({ length: BUCKETS }, (_, bucket) => `coalesce(sum(latency[${bucket + 1}]), 0)::bigint`).join(', ')}]`;

/** Reads usage for services, which do not see its tables. */
export interface ReadUsage {
  read(scope: Scope, query: Static<typeof UsageQuery>): Promise<UsageReport>;
}

/** The usage of a tenant in an environment, as far as it is asked for. */
export async function readUsage(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof UsageQuery>,
  now_ms = Date.now(),
): Promise<UsageReport> {
  const { from, to, granularity: asked, group_by, ...filters } = query;
  const { from_ms, to_ms, granularity } = periodOf(
    {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(asked === undefined ? {} : { granularity: asked }),
    },
    now_ms,
  );
  const parameters: unknown[] = [scope.tenant_id, scope.environment, timestamp(from_ms), timestamp(to_ms)];
  const conditions = conditionsOf(filters, parameters);
  const [key, key_2] = group_by === undefined ? ['null::text', 'null::text'] : groupColumns[group_by];
  const table = granularity === 'minute' ? 'usage_minutes' : 'usage_hours';
  const rows = await tx.rows(
    Row,
    `with seen as (
       select ${granularity === 'day' ? "date_trunc('day', starts_at, 'UTC')" : 'starts_at'} as starts_at, ${key} as key, ${key_2} as key_2,
         principal_name, status, calls, latency
       from platform.${table}
       where ${['tenant_id = $1', 'environment = $2', 'starts_at >= $3', 'starts_at < $4', ...conditions].join(' and ')}
     )
     select grouping(starts_at, key)::int as by, starts_at, key, key_2, max(principal_name) as name,
       coalesce(sum(calls), 0)::bigint as calls, coalesce(sum(calls) filter (where status >= 400), 0)::bigint as errors,
       coalesce(sum(calls) filter (where status >= 500), 0)::bigint as server_errors, ${summedLatency} as latency
     from seen group by grouping sets ((), (starts_at), (key, key_2))`,
    parameters,
  );
  const of = (by: number) => rows.filter((row) => row.by === by);
  const points = new Map(of(BY_TIME).map((row) => [Date.parse(row.starts_at ?? ''), row]));
  const groups = of(BY_KEY).toSorted(
    (a, b) => Number(b.calls - a.calls) || (a.key ?? '').localeCompare(b.key ?? ''),
  );
  const step = steps[granularity];
  return {
    from: timestamp(from_ms),
    to: timestamp(to_ms),
    granularity,
    totals: figuresOf(of(BY_NOTHING)[0]),
    groups: group_by === undefined ? [] : groups.slice(0, MOST_GROUPS).map((row) => groupOf(group_by, row)),
    groups_left_out: group_by === undefined ? 0 : Math.max(groups.length - MOST_GROUPS, 0),
    series: Array.from({ length: (to_ms - from_ms) / step }, (_, index) => {
      const at_ms = from_ms + index * step;
      return { starts_at: timestamp(at_ms), ...figuresOf(points.get(at_ms)) };
    }),
  };
}

/** What `grouping(starts_at, key)` says: a bit for each that the row is not grouped by, the first one highest. */
const BY_TIME = 0b01;
const BY_KEY = 0b10;
const BY_NOTHING = 0b11;
