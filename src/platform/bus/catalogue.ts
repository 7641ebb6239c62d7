/** The types of events there are: what each tells of, what its data looks like, and an example. */
import type { TSchema } from 'typebox';
import { Type } from 'typebox';
import type { Caller } from '../access/caller.ts';
import { Personal, type Redactor, redactorOf } from '../access/redaction.ts';
import { type CloudEvent, cloudEventOf, type Event } from './event.ts';

export interface EventType {
  /** Raised when a change of the data breaks who reads it. */
  version: number;
  summary: string;
  /** What kind of thing it is about, as `transfer`; its `subject` is the id or name of one. */
  aggregate: string;
  data: TSchema;
  example: unknown;
}

/** Types by name: the service, the kind of thing and what happened to it, as `ledger.transfer.posted`. */
export type EventTypes = Readonly<Record<string, EventType>>;

const Limit = {
  limit: Type.String({ description: 'Name of the limit' }),
  per: Type.String({ description: 'Whose requests it counts' }),
  plan: Type.Optional(Type.String()),
  threshold_percent: Type.Integer(),
  requests: Type.Integer({ minimum: 0 }),
  allowed: Type.Integer({ minimum: 0 }),
  starts_at: Type.String({ format: 'date-time' }),
  ends_at: Type.String({ format: 'date-time' }),
};
const limitExample = {
  limit: 'per_minute',
  per: 'key',
  plan: 'standard',
  threshold_percent: 80,
  requests: 480,
  allowed: 600,
  starts_at: '2026-01-31T12:00:00Z',
  ends_at: '2026-01-31T12:01:00Z',
};

/** What the platform itself tells, whichever services run. */
export const ownEvents: EventTypes = {
  'platform.limit.near': {
    version: 1,
    summary: 'Four fifths of what a limit allows in its window were asked',
    aggregate: 'limit',
    data: Type.Object(Limit),
    example: limitExample,
  },
  'platform.limit.reached': {
    version: 1,
    summary: 'All that a limit allows in its window was asked',
    aggregate: 'limit',
    data: Type.Object(Limit),
    example: { ...limitExample, threshold_percent: 100, requests: 600 },
  },
};

export interface EventCatalogue {
  types: EventTypes;
  /** The event as this caller may see it: in CloudEvents' JSON format, masked as its type says. */
  show: (event: Event, caller: Caller) => CloudEvent;
}

/** @param types of all services there are, whether or not they run in this process: their events are in the log */
export function openCatalogue(types: EventTypes): EventCatalogue {
  const redactors = new Map<string, Redactor>(
    Object.entries(types).map(([name, { data }]) => [name, redactorOf(data)]),
  );
  // Of a type that a newer process wrote and this one does not know, nothing is known to be harmless.
  const unknown = redactorOf(Personal(Type.Unknown()));
  return {
    types,
    show: (event, caller) => {
      const shown = cloudEventOf(event);
      const redact = redactors.get(event.type) ?? unknown;
      return { ...shown, data: redact(shown.data, caller) };
    },
  };
}
