/**
 * What a client is told of its limits: `RateLimit-Policy` and `RateLimit` as structured fields (RFC 9651).
 *
 * Source: draft-ietf-httpapi-ratelimit-headers-10.
 */
import type { Limits } from './counter.ts';

const second_ms = 1_000;

/** Seconds until a moment, rounded up: after as many it has come. At least 1. */
export function secondsUntil(moment_ms: number, now_ms: number): number {
  return Math.max(1, Math.ceil((moment_ms - now_ms) / second_ms));
}

/** `"burst";q=100;w=1, "month";q=1000000;w=2678400`. Names need no escape: their pattern allows none that would. */
export function policyOf(limits: Limits): string {
  return limits
    .map(({ counter, requests }) => {
      const { name, start_ms, end_ms } = counter;
      return `"${name}";q=${requests};w=${(end_ms - start_ms) / second_ms}`;
    })
    .join(', ');
}

/** `"burst";r=99;t=1, "month";r=999999;t=86400`: what is left, and for how many seconds that holds. */
export function rateLimitOf(limits: Limits, now_ms: number): string {
  let text = '';
  for (const { counter, requests } of limits) {
    const left = Math.max(0, requests - counter.requests);
    if (text !== '') text += ', ';
    text += `"${counter.name}";r=${left};t=${secondsUntil(counter.end_ms, now_ms)}`;
  }
  return text;
}
