/**
 * Events as messages of Kafka, after the CloudEvents Kafka protocol binding 1.0: attributes in headers and data in the
 * value (binary), or all of it as JSON in the value (structured). The key is the event's `partitionkey`, its aggregate.
 *
 * The SDK of CloudEvents reads what is written here, and its messages are read here (tests/kafka-binding.test.ts). It does
 * not do the work: it takes twice the time for each event, cuts times to milliseconds, and parses data that is to stay the
 * text that it is.
 */
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { parseId } from '../ids.ts';
import { attributesOf, CloudEvent, type Event } from './event.ts';

export interface KafkaContent {
  key: Buffer;
  value: Buffer;
  headers: Map<Buffer, Buffer>;
}

export interface Head {
  type: string;
  /** As it is public. */
  tenantid: string;
  environment: string;
}

/** On the bus the envelope tells also of what kind the aggregate is, so that the event can be made of it again. */
const Carried = Type.Object({ ...Type.Omit(CloudEvent, ['data']).properties, aggregatetype: Type.String() });
const carried = Compile(Carried);

const prefix = 'ce_';
const structuredType = 'application/cloudevents+json; charset=utf-8';
/** Before the data in the structured mode; within texts the quotes would be escaped. */
const dataMember = ',"data":';

export function contentOf(event: Event, mode: 'binary' | 'structured'): KafkaContent {
  const { datacontenttype, ...others } = attributesOf(event);
  const attributes = { ...others, aggregatetype: event.aggregatetype };
  const headers = new Map<Buffer, Buffer>();
  const add = (name: string, value: string) => headers.set(Buffer.from(name), Buffer.from(value));
  if (mode === 'binary') {
    add('content-type', datacontenttype);
    for (const [name, value] of Object.entries(attributes)) add(`${prefix}${name}`, value);
  } else {
    add('content-type', structuredType);
  }
  // Beside the extension of CloudEvents, under the name that OpenTelemetry's own clients read.
  if (event.traceparent !== null) add('traceparent', event.traceparent);
  const value =
    mode === 'binary'
      ? event.payload
      : `${JSON.stringify({ ...attributes, datacontenttype }).slice(0, -1)}${dataMember}${event.payload}}`;
  return { key: Buffer.from(event.aggregateid), value: Buffer.from(value), headers };
}

/** Of which type and whose an event is, without reading more of it; undefined where only the whole of it tells. */
export function headOf({ headers }: Pick<KafkaContent, 'headers'>): Head | undefined {
  let type: string | undefined;
  let tenantid: string | undefined;
  let environment: string | undefined;
  for (const [key, text] of headers) {
    // By their length first: most are others, and are not read.
    if (key.length === 7 && key.toString() === 'ce_type') type = text.toString();
    else if (key.length === 11 && key.toString() === 'ce_tenantid') tenantid = text.toString();
    else if (key.length === 14 && key.toString() === 'ce_environment') environment = text.toString();
  }
  if (type === undefined || tenantid === undefined || environment === undefined) return undefined;
  return { type, tenantid, environment };
}

/** @throws if the message is no event that we wrote */
export function eventOfContent(content: Pick<KafkaContent, 'value' | 'headers'>): Event {
  const value = content.value.toString();
  let isBinary = false;
  let attributes: Record<string, unknown> = {};
  for (const [key, text] of content.headers) {
    const name = key.toString().toLowerCase();
    if (name.startsWith(prefix)) {
      isBinary = true;
      attributes[name.slice(prefix.length)] = text.toString();
    } else if (name === 'content-type') {
      attributes['datacontenttype'] = text.toString();
    }
  }
  if (!isBinary) {
    const whole: unknown = JSON.parse(value);
    attributes = typeof whole === 'object' && whole !== null ? { ...whole } : {};
  }
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
