/** When a job runs next: cron in a time zone and by a business calendar. */
import { type CronDate, CronExpressionParser } from 'cron-parser';
import { type BusinessCalendar, isBusinessDay, nextBusinessDay } from '../calendar.ts';
import type { Schedule } from './job.ts';

/** How a tenant counts days. */
export interface Calendar extends BusinessCalendar {
  /** Of the tz database: `America/Sao_Paulo`. */
  time_zone: string;
}

export const SYSTEM_CALENDAR: Calendar = { time_zone: 'UTC', week: 'every_day', holidays: new Set() };

/** More days in a row are hardly closed; a tenant may have a thousand holidays. */
const LONGEST_CLOSURE_DAYS = 1_500;
/** Times of a cron expression that are looked at before it is given up: some tenths of a second. */
const MOST_TIMES = 50_000;

const pad = (number: number, length = 2) => String(number).padStart(length, '0');

/** The day on which a time falls where the expression's time zone is. */
function dayOf(time: CronDate): string {
  return `${pad(time.getFullYear(), 4)}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
}

function timeOf(time: CronDate): { hour: number; minute: number; second: number } {
  return { hour: time.getHours(), minute: time.getMinutes(), second: time.getSeconds() };
}

/** The day on which an instant falls in a time zone. */
function localDay(instant: Date, time_zone: string): string {
  return new Intl.DateTimeFormat('sv-SE', {
    timeZone: time_zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  }).format(instant);
}

function dayAfter(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

/** The instant that clocks in a time zone show a time of day on a day; where they leave that hour out, the next one. */
function instantOf(day: string, time: { hour: number; minute: number; second: number }, tz: string): Date {
  const [, month, date] = day.split('-').map(Number);
  const at = `${time.second} ${time.minute} ${time.hour} ${date} ${month} *`;
  // No time zone is two days apart from UTC.
  const currentDate = new Date(Date.parse(`${dayAfter(day, -2)}T00:00:00Z`));
  return CronExpressionParser.parse(at, { tz, currentDate }).next().toDate();
}

/** Refuses a schedule that no time can be worked out from. */
export function assertSchedule(name: string, schedule: Schedule): void {
  if (schedule === 'when due') return;
  if ('every_s' in schedule) {
    if (!Number.isInteger(schedule.every_s) || schedule.every_s < 1) {
      throw new Error(`the job ${name} runs every ${schedule.every_s} s, which is no number of seconds`);
    }
    return;
  }
  try {
    CronExpressionParser.parse(schedule.cron, { tz: 'UTC' }).next();
  } catch (error) {
    throw new Error(`the job ${name} has the schedule ${schedule.cron}, which never comes`, { cause: error });
  }
}

function nextOnBusinessDay(cron: string, after: Date, calendar: Calendar): Date {
  const tz = calendar.time_zone;
  let times = CronExpressionParser.parse(cron, { tz, currentDate: after });
  for (let looked = 0; looked < LONGEST_CLOSURE_DAYS; looked += 1) {
    const time = times.next();
    const day = dayOf(time);
    if (isBusinessDay(day, calendar)) return time.toDate();
    // On with the first business day, whatever there is on those between.
    const midnight = instantOf(nextBusinessDay(day, calendar), { hour: 0, minute: 0, second: 0 }, tz);
    times = CronExpressionParser.parse(cron, { tz, currentDate: new Date(midnight.getTime() - 1) });
  }
  throw new Error(`no time of ${cron} falls on a business day`);
}

function nextShifted(cron: string, after: Date, calendar: Calendar): Date {
  const tz = calendar.time_zone;
  // What is shifted to a time after this one may have fallen on the closed days right before.
  let first = localDay(after, tz);
  for (let days = 0; days < LONGEST_CLOSURE_DAYS; days += 1) {
    const before = dayAfter(first, -1);
    first = before;
    if (isBusinessDay(before, calendar)) break;
  }
  const currentDate = new Date(Date.parse(`${dayAfter(first, -1)}T00:00:00Z`));
  const times = CronExpressionParser.parse(cron, { tz, currentDate });
  let best: { instant: Date; day: string } | undefined;
  for (let looked = 0; looked < MOST_TIMES; looked += 1) {
    const time = times.next();
    const falls = dayOf(time);
    // Later days are shifted to later days.
    if (best !== undefined && falls > best.day) return best.instant;
    const open = isBusinessDay(falls, calendar);
    const day = open ? falls : nextBusinessDay(falls, calendar);
    const instant = open ? time.toDate() : instantOf(day, timeOf(time), tz);
    if (instant > after && (best === undefined || instant < best.instant)) best = { instant, day };
  }
  throw new Error(`no time of ${cron} can be moved to a business day`);
}

/** The first time after an instant at which a schedule runs. */
export function nextTime(schedule: Exclude<Schedule, 'when due'>, after: Date, calendar: Calendar): Date {
  if ('every_s' in schedule) return new Date(after.getTime() + schedule.every_s * 1_000);
  const { cron, days = 'every day' } = schedule;
  if (days === 'business days') return nextOnBusinessDay(cron, after, calendar);
  if (days === 'next business day') return nextShifted(cron, after, calendar);
  return CronExpressionParser.parse(cron, { tz: calendar.time_zone, currentDate: after }).next().toDate();
}
