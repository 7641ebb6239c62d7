/** Instants of requests, as the database tells them: in UTC, to the microsecond, without zeros at the end. */
import { refuse as refuseRequest } from '../../platform/problem.ts';

const form = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})$/;

/**
 * `2026-01-31T09:00:00.250-03:00` is `2026-01-31T12:00:00.25Z`. What is finer than a microsecond is cut off. Throws
 * `malformed_request` for what is no RFC 3339 time or lies outside the years 1 to 9999.
 *
 * @param pointer the place in the request, for the refusal
 */
export function instantOf(text: string, pointer: string): string {
  const [, date, time, fraction = '', zone = ''] = form.exec(text) ?? [];
  const instant = new Date(`${date}T${time}${zone.toUpperCase()}`);
  const iso = Number.isNaN(instant.getTime()) ? '' : instant.toISOString();
  if (!/^(?!0000)\d{4}-/.test(iso)) {
    throw refuseRequest('malformed_request', `${text} is no time that can be kept.`, {
      errors: [{ pointer, detail: 'must be an RFC 3339 time in the years 1 to 9999, without leap seconds' }],
    });
  }
  const digits = fraction.slice(0, 6).replace(/0+$/, '');
  return `${iso.slice(0, 19)}${digits === '' ? '' : `.${digits}`}Z`;
}
