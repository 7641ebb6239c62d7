/**
 * Windows: so many requests in so long. They are fixed and lie on the clock, so that every process, and Redis, means the
 * same one, and so that "once a window" has a name: its beginning.
 */
import { type Static, Type } from 'typebox';

const second_ms = 1_000;
const minute_s = 60;
const hour_s = 3_600;
const day_ms = 86_400_000;
const MAX_WINDOW_S = 31 * 86_400;
/** What a plan may allow at most in a window; RateLimit's integers have 15 digits (RFC 9651). */
const MAX_REQUESTS = 1_000_000_000_000;

const WINDOW_NAME = '^[a-z][a-z0-9_-]{0,31}$';

/** As it is written in plans and quotas, and kept. Exactly one of `window_s` and `period` is there. */
export const Window = Type.Object(
  {
    name: Type.String({ pattern: WINDOW_NAME, examples: ['burst', 'minute', 'month'] }),
    requests: Type.Integer({
      minimum: 0,
      maximum: MAX_REQUESTS,
      description: 'Requests that are answered in one window; 0 allows none',
    }),
    window_s: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_WINDOW_S,
        description: 'Length in seconds. Windows begin at multiples of it since 1970, UTC',
      }),
    ),
    period: Type.Optional(
      Type.Union([Type.Literal('day'), Type.Literal('month')], {
        description: 'A day or month of the calendar, UTC, in place of `window_s`',
      }),
    ),
    per: Type.Optional(
      Type.Union([Type.Literal('caller'), Type.Literal('application'), Type.Literal('plan')], {
        default: 'caller',
        description:
          '`caller`: each key, application, device or person by itself. `application`: the keys and tokens of an application together; who is of none stands for themselves. `plan`: all of them on this plan together',
      }),
    ),
    tells: Type.Optional(
      Type.Boolean({
        description:
          'Whether crossing 80 % and 100 % is told by events. Default: true for a minute and longer',
      }),
    ),
  },
  { additionalProperties: false },
);
export type Window = Static<typeof Window>;

/** When a window begins and ends, in Unix milliseconds; the end is not part of it. */
export interface Span {
  start_ms: number;
  end_ms: number;
}

/** The window that a moment lies in. */
export function spanAt(window: Pick<Window, 'window_s' | 'period'>, now_ms: number): Span {
  if (window.period === 'month') {
    const date = new Date(now_ms);
    const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
    return { start_ms: Date.UTC(year, month, 1), end_ms: Date.UTC(year, month + 1, 1) };
  }
  const length_ms = window.period === 'day' ? day_ms : (window.window_s ?? 1) * second_ms;
  const start_ms = Math.floor(now_ms / length_ms) * length_ms;
  return { start_ms, end_ms: start_ms + length_ms };
}

/** Whether its count is kept in the database: what is shorter is over before a restart is. */
export function isLong(window: Pick<Window, 'window_s' | 'period'>): boolean {
  return window.period !== undefined || (window.window_s ?? 0) >= hour_s;
}

/** Whether crossings are told. A burst's would be an event a second, of what its client is told anyway. */
export function isTold(window: Window): boolean {
  return window.tells ?? (window.period !== undefined || (window.window_s ?? 0) >= minute_s);
}

/** A length as people say it: `in 1 s`, `in a month`. */
export function inWords(window: Pick<Window, 'window_s' | 'period'>): string {
  if (window.period !== undefined) return `in a ${window.period}`;
  return window.window_s === minute_s ? 'in a minute' : `in ${window.window_s ?? 0} s`;
}
