/** What a span is, and who begins one. */
import type { SpanContext } from '@opentelemetry/api';
import { Problem } from '../problem.ts';
import { doAt } from './context.ts';

/**
 * All that a span may say, for a collector may be anybody's: numbers, routes, codes, ids of tenants, events and runs. Never
 * an address with its query, a header, a body, the message of an error or anything that a client wrote.
 */
interface SpanAttributes {
  'http.request.method'?: string;
  /** The pattern of the path, never the path. */
  'http.route'?: string;
  'http.response.status_code'?: number;
  'server.address'?: string;
  /** A code of the catalogue, an SQLSTATE, or the name of a class of errors. */
  'error.type'?: string;
  'db.system.name'?: 'postgresql';
  'messaging.consumer.group.name'?: string;
  'messaging.message.id'?: string;
  'financialapi.tenant_id'?: string;
  'financialapi.environment'?: string;
  'financialapi.commands'?: number;
  'financialapi.requests'?: number;
  'financialapi.events'?: number;
  'financialapi.event_type'?: string;
  'financialapi.job'?: string;
  'financialapi.run_id'?: string;
  'financialapi.attempt'?: number;
}

export interface SpanStart {
  /** What it is part of; absent: a trace of its own. */
  parent?: SpanContext | undefined;
  /** Who asked, who is asked, who takes what was told; `internal` if absent. */
  kind?: 'server' | 'client' | 'consumer';
  /** Other places that it is about. */
  links?: readonly SpanContext[];
  /** When it began, as `performance.now()`; now if absent. */
  began?: number;
  attributes?: SpanAttributes;
}

/** A span that is recorded. */
export interface Span {
  place: SpanContext;
  add(attributes: SpanAttributes): void;
  link(place: SpanContext): void;
  /** @param failure the kind of error it failed with, as `errorTypeOf` tells it; absent: it did not fail */
  end(failure?: string): void;
}

export interface Traces {
  /** Begins a span; undefined where none is recorded, which is nearly always. */
  begin(name: string, start?: SpanStart): Span | undefined;
  /** Does some work within a span, or, where none is recorded, at the place of its parent. */
  record<T>(name: string, start: SpanStart, work: () => Promise<T>): Promise<T>;
  /** Sends what was recorded, for a few seconds at most. */
  stop(): Promise<void>;
}

/** Records nothing; places of callers are carried all the same. */
export const untraced: Traces = {
  begin: () => undefined,
  record: (_name, { parent }, work) => doAt(parent, work),
  stop: () => Promise.resolve(),
};

/** What kind of error it is, and nothing else of it: its message may hold data. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof Problem) return error.code;
  if (!(error instanceof Error)) return 'unknown';
  const code = 'code' in error ? String(error.code) : '';
  return /^[A-Z0-9_]{3,40}$/.test(code) ? code : error.name;
}
