/**
 * Where in a trace something is done: what a caller said by `traceparent`, or the span that is recorded. It is known by
 * the asynchronous context, so that what a request writes, tells and asks for can name it without being handed it.
 *
 * Source: W3C Trace Context. Its `tracestate` is not carried: what is written of a request is kept for months, and that
 * header may hold whatever the systems before us put there.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isSpanContextValid, type SpanContext } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';

const places = new AsyncLocalStorage<SpanContext | undefined>();

/** Bits of the flags that are defined: sampled, and a trace id that is random. */
const KNOWN_FLAGS = 0x03;

/** The place that a `traceparent` names; undefined where there is none, or one that is not of the form. */
export function readTraceparent(
  text: string | readonly string[] | null | undefined,
): SpanContext | undefined {
  if (typeof text !== 'string') return undefined;
  const place = parseTraceParent(text);
  return place !== null && isSpanContextValid(place) ? { ...place, isRemote: true } : undefined;
}

/** The `traceparent` that names a place. */
export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${traceFlags & KNOWN_FLAGS}`;
}

/** Where in a trace we are; undefined outside of any. */
export function currentPlace(): SpanContext | undefined {
  return places.getStore();
}

/** The `traceparent` of what is done now, for what is written because of it. */
export function currentTraceparent(): string | undefined {
  const place = places.getStore();
  return place === undefined ? undefined : traceparentOf(place);
}

/** Does some work at a place of a trace; with undefined, outside of any. */
export function doAt<T>(place: SpanContext | undefined, work: () => T): T {
  // Nearly always there is no trace, and then nothing is paid for it.
  return place === places.getStore() ? work() : places.run(place, work);
}
