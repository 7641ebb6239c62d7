/** When the jobs of a tenant run next: kept in the database, so that it survives the processes that heed it. */
import { Type } from 'typebox';
import { WEEKS } from '../calendar.ts';
import type { Scope, Transaction } from '../db.ts';
import { type JobType, type JobTypes, type Schedule, SYSTEM, scheduleText } from './job.ts';
import { type Calendar, nextTime, SYSTEM_CALENDAR } from './schedule.ts';

const Settings = Type.Object({
  time_zone: Type.String(),
  week: Type.Union([Type.Literal(WEEKS[0]), Type.Literal(WEEKS[1])]),
  holidays: Type.Array(Type.String()),
  now: Type.String(),
});

const BasisRow = Type.Object({ job: Type.String(), basis: Type.String() });

/** What time it is for a tenant, and how it counts days. */
interface Circumstances {
  now: Date;
  calendar: Calendar;
}

export function isSystem({ tenant_id }: Scope): boolean {
  return tenant_id === SYSTEM.tenant_id;
}

/** The jobs that have a time of their own, of the system or of each tenant. */
export function timed(types: JobTypes, per: JobType['per']): [string, Exclude<Schedule, 'when due'>][] {
  return Object.entries(types).flatMap(([name, type]) =>
    type.per === per && type.schedule !== 'when due' ? [[name, type.schedule]] : [],
  );
}

const Now = Type.Object({ now: Type.String() });

export async function readCircumstances(tx: Transaction, scope: Scope): Promise<Circumstances> {
  if (isSystem(scope)) {
    const [row] = await tx.rows(Now, 'select clock_timestamp() as now');
    if (row === undefined) throw new Error('PostgreSQL does not know the time');
    return { now: new Date(row.now), calendar: SYSTEM_CALENDAR };
  }
  const [settings] = await tx.rows(
    Settings,
    `select time_zone, business_calendar as week, holidays::text[] as holidays, platform.now_of($1, $2) as now
     from platform.tenants where tenant_id = $1`,
    [scope.tenant_id, scope.environment],
  );
  if (settings === undefined) throw new Error(`there is no tenant ${scope.tenant_id}`);
  const { time_zone, week, holidays, now } = settings;
  return { now: new Date(now), calendar: { time_zone, week, holidays: new Set(holidays) } };
}

/** Says when the jobs of a tenant run next, where that is not said or no longer so. */
export async function planJobs(tx: Transaction, types: JobTypes, scope: Scope): Promise<void> {
  const jobs = timed(types, isSystem(scope) ? 'system' : 'tenant');
  if (jobs.length === 0) return;
  const { now, calendar } = await readCircumstances(tx, scope);
  const names = jobs.map(([name]) => name);
  const wanted = await tx.rows(
    BasisRow,
    isSystem(scope)
      ? `select job, platform.job_basis(schedule, 'UTC', 'every_day', '{}') as basis
         from unnest($1::text[], $2::text[]) j (job, schedule)`
      : `select job, platform.job_basis(schedule, t.time_zone, t.business_calendar, t.holidays) as basis
         from unnest($1::text[], $2::text[]) j (job, schedule), platform.tenants t where t.tenant_id = $3`,
    [
      names,
      jobs.map(([, schedule]) => scheduleText(schedule)),
      ...(isSystem(scope) ? [] : [scope.tenant_id]),
    ],
  );
  const bases = new Map(wanted.map(({ job, basis }) => [job, basis]));
  await tx.run(
    `insert into platform.job_schedules as s (tenant_id, environment, job, basis, next_at)
     select $1, $2, j.job, j.basis, j.next_at
     from unnest($3::text[], $4::text[], $5::timestamptz[]) j (job, basis, next_at) order by j.job
     on conflict (tenant_id, environment, job) do update set basis = excluded.basis, next_at = excluded.next_at
     where s.basis <> excluded.basis`,
    [
      scope.tenant_id,
      scope.environment,
      names,
      names.map((name) => bases.get(name) ?? ''),
      jobs.map(([, schedule]) => nextTime(schedule, now, calendar).toISOString()),
    ],
  );
}

const NextRow = Type.Object({ next_at: Type.String() });

/**
 * Moves the next time of a job past the one that has come, and says which that was. Undefined where none has come, or
 * another process is at it.
 */
export async function takeTurn(
  tx: Transaction,
  scope: Scope,
  job: string,
  schedule: Exclude<Schedule, 'when due'>,
): Promise<Date | undefined> {
  const key = [scope.tenant_id, scope.environment, job];
  const [due] = await tx.rows(
    NextRow,
    `select next_at from platform.job_schedules where tenant_id = $1 and environment = $2 and job = $3
     for no key update skip locked`,
    key,
  );
  if (due === undefined) return undefined;
  const { now, calendar } = await readCircumstances(tx, scope);
  const due_at = new Date(due.next_at);
  if (due_at > now) return undefined;
  const isEach = 'cron' in schedule && schedule.missed === 'each';
  await tx.run(
    'update platform.job_schedules set next_at = $4 where tenant_id = $1 and environment = $2 and job = $3',
    [...key, nextTime(schedule, isEach ? due_at : now, calendar).toISOString()],
  );
  return due_at;
}
