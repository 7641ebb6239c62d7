/**
 * Events as messages of Kafka, after the CloudEvents Kafka protocol binding 1.0: attributes in headers and data in the
 * value (binary), or all of it as JSON in the value (structured). The key is the event's `partitionkey`, its aggregate.
 */
import { CloudEvent as Envelope, Kafka } from 'cloudevents';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseId } from '../ids.ts';
import { attributesOf, CloudEvent, type Event } from './event.ts';

export interface KafkaContent {
  key: Buffer;
  value: Buffer;
  headers: Map<Buffer, Buffer>;
}

/** On the bus the envelope tells also of what kind the aggregate is, so that the event can be made of it again. */
const Carried = Type.Object({ ...Type.Omit(CloudEvent, ['data']).properties, aggregatetype: Type.String() });
const carried = Compile(Carried);

export function contentOf(event: Event, mode: 'binary' | 'structured'): KafkaContent {
  const attributes = { ...attributesOf(event), aggregatetype: event.aggregatetype };
  const binding = mode === 'binary' ? Kafka.binary : Kafka.structured;
  const { headers } = binding(new Envelope<unknown>(attributes));
  // The data stays the text that it was written as, and times keep their microseconds, which the library cuts.
  const value =
    mode === 'binary'
      ? event.payload
      : `${JSON.stringify(attributes).slice(0, -1)}${dataMember}${event.payload}}`;
  const present = Object.entries(headers).filter(
    // The library repeats what `content-type` says, and gives absent attributes a header.
    ([name, content]) => content !== undefined && name !== 'ce_datacontenttype',
  );
  return {
    key: Buffer.from(event.aggregateid),
    value: Buffer.from(value),
    headers: new Map(
      // Beside the extension of CloudEvents, under the name that OpenTelemetry's own clients read.
      [...present, ...(event.traceparent === null ? [] : [['traceparent', event.traceparent] as const])].map(
        ([name, content]) => [Buffer.from(name), Buffer.from(String(content))],
      ),
    ),
  };
}

/** Before the data in the structured mode; within texts the quotes would be escaped. */
const dataMember = ',"data":';

/** @throws if the message is no event that we wrote */
export function eventOfContent(content: Pick<KafkaContent, 'value' | 'headers'>): Event {
  const headers = Object.fromEntries(
    [...content.headers].map(([name, value]) => [name.toString().toLowerCase(), value.toString()]),
  );
  const value = content.value.toString();
  const isBinary = headers['ce_id'] !== undefined;
  const message = { headers, value, key: headers['ce_partitionkey'] ?? '', body: undefined };
  const read = Kafka.toEvent<unknown>(message);
  if (Array.isArray(read)) throw new Error('a batch of events is not what this topic carries');
  const whole: unknown = isBinary ? {} : JSON.parse(value);
  const written = typeof whole === 'object' && whole !== null ? whole : {};
  // What the library changes is taken as it was written.
  const attributes = isBinary ? { ...read, time: headers['ce_time'] } : { ...read, ...written };
  if (!carried.Check(attributes)) throw new Error('its attributes are not those of an event of ours');
  const id = parseId('evt', attributes.id);
  const tenant_id = parseId('ten', attributes.tenantid);
  if (id === undefined || tenant_id === undefined) throw new Error('its id, or that of its tenant, is none');
  return {
    id,
    tenant_id,
    environment: attributes.environment,
    sequence: Number(attributes.sequence),
    time: attributes.time,
    type: attributes.type,
    source: attributes.source,
    aggregatetype: attributes.aggregatetype,
    aggregateid: attributes.partitionkey,
    position: attributes.ledgerposition === undefined ? null : Number(attributes.ledgerposition),
    payload: isBinary ? value : value.slice(value.indexOf(dataMember) + dataMember.length, -1),
    traceparent: attributes.traceparent ?? null,
  };
}
