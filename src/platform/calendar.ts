/** Business days: those of a week that an institution works on, less its holidays. Days are `YYYY-MM-DD`. */

/** `weekdays`: Monday to Friday. `every_day`: Saturdays and Sundays too, as where payments settle at any time. */
export const WEEKS = ['weekdays', 'every_day'] as const;

export interface BusinessCalendar {
  week: (typeof WEEKS)[number];
  /** Days that are no business days, whatever day of the week they are. */
  holidays: ReadonlySet<string>;
}

function utc(day: string): Date {
  const date = new Date(`${day}T00:00:00Z`);
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 10) === day;
  if (!exists || !/^\d{4}-/.test(day)) {
    throw new RangeError(`${day} is no day of the calendar in the years 0 to 9999`);
  }
  return date;
}

/** Whether a text is a day that exists in the calendar, in the years 1 to 9999. */
export function isDay(text: string): boolean {
  try {
    utc(text);
    return text >= '0001-01-01';
  } catch {
    return false;
  }
}

/** Whether an institution with this calendar works on a day. Throws a RangeError for what is no day. */
export function isBusinessDay(day: string, { week, holidays }: BusinessCalendar): boolean {
  const weekday = utc(day).getUTCDay();
  const isWeekend = weekday === 0 || weekday === 6;
  return !holidays.has(day) && (week === 'every_day' || !isWeekend);
}

/** The first business day after a day. Throws a RangeError where there is none up to the year 9999. */
export function nextBusinessDay(day: string, calendar: BusinessCalendar): string {
  const date = utc(day);
  for (;;) {
    date.setUTCDate(date.getUTCDate() + 1);
    const next = date.toISOString().slice(0, 10);
    if (isBusinessDay(next, calendar)) return next;
  }
}
