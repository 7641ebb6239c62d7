/** Days of queries. Those of postings are stricter, and refused with a code of their own: see `terms.ts`. */
import { refuse as refuseRequest } from '../../platform/problem.ts';

/**
 * A `YYYY-MM-DD` that exists in the calendar. Throws `malformed_request` for any other, and for the year 0.
 *
 * @param pointer the place in the request, for the refusal
 */
export function dayOf(text: string, pointer: string): string {
  const date = new Date(`${text}T00:00:00Z`);
  const exists = !Number.isNaN(date.getTime()) && date.toISOString().slice(0, 10) === text;
  if (!exists || text < '0001-01-01') {
    throw refuseRequest('malformed_request', `${pointer} ${text} is not a day of the calendar.`, {
      errors: [{ pointer, detail: 'must be a day that exists, in the years 1 to 9999' }],
    });
  }
  return text;
}

/** The next day, as PostgreSQL reads it: after 9999-12-31 comes 10000-01-01. */
export function dayAfter(day: string): string {
  const next = new Date(`${day}T00:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  const [date = ''] = next.toISOString().split('T');
  return date.replace(/^\+0/, '');
}
