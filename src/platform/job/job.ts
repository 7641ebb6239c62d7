/** What a service says of its jobs: work that no request asks for. */
import type { FastifyBaseLogger } from 'fastify';
import type { Scope } from '../db.ts';

/** On which days a schedule runs, by the business calendar of the tenant. */
type Days =
  /** Whatever day it is. */
  | 'every day'
  /** On business days only. */
  | 'business days'
  /** What falls on a day that is none runs on the next one instead, at the same time, and once for several of them. */
  | 'next business day';

export type Schedule =
  /** So many seconds after the last time. */
  | { every_s: number }
  | {
      /** Five fields, or six with seconds, in the time zone of the tenant; of the system: UTC. */
      cron: string;
      days?: Days;
      /**
       * What is done about times that passed while nothing ran, or that the clock of a sandbox jumped over. `once`: one
       * run, for all of them. `each`: one after the other, each told its time by `due_at`.
       */
      missed?: 'once' | 'each';
    }
  /** Whenever the handler's `due` names a tenant; asked every second. Cannot be paused: what is due is due. */
  | 'when due';

export interface JobType {
  /** What it does, for whoever operates it. */
  meaning: string;
  /** `tenant`: a run for each tenant and environment, which sees and steers its own. `system`: one for all of them. */
  per: 'tenant' | 'system';
  schedule: Schedule;
  /** Runs of different tenants at once, in all processes. A tenant has one at a time. 4 if absent. */
  concurrency?: number;
  /** How often it is tried again after it failed. 5 if absent. */
  retries?: number;
  /** Pause before it is tried again; doubles from one attempt to the next. 2 if absent. */
  retry_after_s?: number;
  /** How long an attempt may take. 300 if absent. */
  timeout_s?: number;
}

/** By name: that of the service, a dot, and a verb: `ledger.expire_holds`. */
export type JobTypes = Readonly<Record<string, JobType>>;

/** One attempt at a run. */
export interface JobRun {
  /** Whose run it is. That of a job of the system is of no tenant, and sees nobody's data. */
  scope: Scope;
  /** Aborted when the attempt is to end: the process stops, or may no longer be the only one that runs it. */
  signal: AbortSignal;
  /** What time it is for the tenant. */
  now: Date;
  /** The time it was to run at. */
  due_at: Date;
  log: FastifyBaseLogger;
}

/** What a run came to, in numbers that tell nothing secret: `{ holds: 3 }`. */
export type JobOutcome = Readonly<Record<string, number>>;

export interface JobHandler {
  /** Does the work. Must be safe to do again: a process can end at any moment, and another begins anew. */
  run: (run: JobRun) => Promise<JobOutcome | undefined>;
  /** Whose run is due; of jobs that run when due. */
  due?: () => Promise<Scope[]>;
}

export type JobHandlers = Readonly<Record<string, JobHandler>>;

/** Stands for the system as a whole where a tenant would. No tenant has this id. */
export const SYSTEM: Scope = { tenant_id: '00000000-0000-0000-0000-000000000000', environment: 'live' };

/** A schedule in words that a machine reads, too: `every 600 s`, `30 3 * * * (business days)`. */
export function scheduleText(schedule: Schedule): string {
  if (schedule === 'when due') return schedule;
  if ('every_s' in schedule) return `every ${schedule.every_s} s`;
  return schedule.days === undefined || schedule.days === 'every day'
    ? schedule.cron
    : `${schedule.cron} (${schedule.days})`;
}
