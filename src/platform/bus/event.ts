/**
 * An event as it is carried, and as CloudEvents 1.0 tell of it. Beside the context attributes of the specification it has
 * the extensions `tenantid`, `environment`, `sequence`, `partitionkey`, `ledgerposition` and `traceparent`.
 */
import { type Static, Type } from 'typebox';
import type { Scope } from '../db.ts';
import { formatId, type IdPrefix } from '../ids.ts';

/** A row of `platform.events`: what the relay carried. */
export const EventRow = Type.Object({
  tenant_id: Type.String(),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  sequence: Type.BigInt(),
  log_offset: Type.BigInt(),
  partition: Type.Integer(),
  id: Type.String(),
  time: Type.String(),
  type: Type.String(),
  source: Type.String(),
  aggregatetype: Type.String(),
  aggregateid: Type.String(),
  position: Type.Union([Type.BigInt(), Type.Null()]),
  payload: Type.String(),
  traceparent: Type.Union([Type.String(), Type.Null()]),
});
export type EventRow = Static<typeof EventRow>;

/** An event as consumers receive it. */
export interface Event {
  /** UUID. Publicly `evt_…`. */
  id: string;
  tenant_id: string;
  environment: Scope['environment'];
  /** Place among the events of the tenant's environment. */
  sequence: number;
  /** RFC 3339. */
  time: string;
  type: string;
  source: string;
  aggregatetype: string;
  /** What it is about: the UUID of the thing, or a name. Events of one aggregate are received in their order. */
  aggregateid: string;
  /** Place in the tenant's ledger, if it tells of one. */
  position: number | null;
  /** JSON text, as it was written. */
  payload: string;
  traceparent: string | null;
}

export function eventOf(row: EventRow): Event {
  return {
    id: row.id,
    tenant_id: row.tenant_id,
    environment: row.environment,
    sequence: Number(row.sequence),
    time: row.time,
    type: row.type,
    source: row.source,
    aggregatetype: row.aggregatetype,
    aggregateid: row.aggregateid,
    position: row.position === null ? null : Number(row.position),
    payload: row.payload,
    traceparent: row.traceparent,
  };
}

/** The prefix of public ids, for aggregates that are known by a UUID inside. */
export const prefixOfAggregate: Readonly<Record<string, IdPrefix>> = {
  account: 'acc',
  transfer: 'trf',
  hold: 'hld',
  period: 'pcl',
};

/** What the event is about, by its public id or name. */
export function subjectOf({
  aggregatetype,
  aggregateid,
}: Pick<Event, 'aggregatetype' | 'aggregateid'>): string {
  const prefix = prefixOfAggregate[aggregatetype];
  return prefix === undefined ? aggregateid : formatId(prefix, aggregateid);
}

/** JSON format of CloudEvents 1.0. */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({
      description: 'Id of the event; one that comes twice has the same',
      examples: ['evt_01h455vb4pex5vsknk084sn02q'],
    }),
    source: Type.String({ examples: ['/ledger'] }),
    type: Type.String({ examples: ['ledger.transfer.posted'] }),
    subject: Type.String({ description: 'What it is about', examples: ['trf_01h455vb4pex5vsknk084sn02q'] }),
    time: Type.String({ format: 'date-time' }),
    datacontenttype: Type.Literal('application/json'),
    tenantid: Type.String({ examples: ['ten_01h455vb4pex5vsknk084sn02q'] }),
    environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
    sequence: Type.String({
      description:
        "Place among all events of the tenant's environment, without gaps: a decimal number as text, as the CloudEvents extension has it",
      examples: ['1042'],
    }),
    partitionkey: Type.String({ description: 'Events with the same are in order on every bus' }),
    ledgerposition: Type.Optional(Type.String({ description: "Place in the tenant's ledger" })),
    traceparent: Type.Optional(Type.String({ description: 'W3C trace context of what caused it' })),
    data: Type.Unknown(),
  },
  { description: 'CloudEvents 1.0' },
);
export type CloudEvent = Static<typeof CloudEvent>;

/** The event without its data, which stays the text it was written as. */
export function attributesOf(event: Event): Omit<CloudEvent, 'data'> {
  return {
    specversion: '1.0',
    id: formatId('evt', event.id),
    source: event.source,
    type: event.type,
    subject: subjectOf(event),
    time: event.time,
    datacontenttype: 'application/json',
    tenantid: formatId('ten', event.tenant_id),
    environment: event.environment,
    sequence: String(event.sequence),
    partitionkey: event.aggregateid,
    ...(event.position === null ? {} : { ledgerposition: String(event.position) }),
    ...(event.traceparent === null ? {} : { traceparent: event.traceparent }),
  };
}

/** The event in CloudEvents' JSON format. */
export function cloudEventOf(event: Event): CloudEvent {
  const data: unknown = JSON.parse(event.payload);
  return { ...attributesOf(event), data };
}
