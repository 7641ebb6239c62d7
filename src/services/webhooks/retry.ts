/**
 * When a delivery that failed is tried again: at a time chosen at random up to a bound that grows sixfold with each
 * failure, so that endpoints which failed together do not come back together. The waits come to three days on average.
 *
 * Source: M. Brooker, Exponential Backoff And Jitter (full jitter).
 */

const FIRST_BOUND_MS = 10_000;
const GROWTH = 6;
const LONGEST_MS = 86_400_000;
/** Attempts before a delivery is given up. */
export const ATTEMPTS = 12;

/** Longest wait after so many failures, in milliseconds. */
export function waitBound(failures: number): number {
  return Math.min(FIRST_BOUND_MS * GROWTH ** (failures - 1), LONGEST_MS);
}

/** What `Retry-After` asks for, in milliseconds: seconds or a date (RFC 9110, section 10.2.3). Undefined for neither. */
export function retryAfterOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000;
  const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} /.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0);
}

/**
 * The wait after so many failures, in milliseconds: by chance, but no shorter than the endpoint asked for. It may ask for
 * a day at most, so that nobody holds on to deliveries for ever.
 *
 * @param chance from 0 to 1
 */
export function waitAfter(failures: number, chance: number, retry_after_ms: number | undefined): number {
  return Math.max(chance * waitBound(failures), Math.min(retry_after_ms ?? 0, LONGEST_MS));
}
