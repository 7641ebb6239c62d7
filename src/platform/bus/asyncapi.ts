/** The event catalogue as an AsyncAPI 3 document. Source: AsyncAPI specification 3.0.0. */
import type { EventType, EventTypes } from './catalogue.ts';
import { CloudEvent } from './event.ts';

function messageOf(name: string, { version, summary, aggregate, data, example }: EventType) {
  return {
    name,
    title: summary,
    summary: `${summary}. About: ${aggregate}. Version ${version} of the data.`,
    contentType: 'application/cloudevents+json',
    'x-version': version,
    payload: {
      ...CloudEvent,
      properties: { ...CloudEvent.properties, type: { type: 'string', const: name }, data },
    },
    examples: [
      {
        name: 'example',
        payload: {
          specversion: '1.0',
          id: 'evt_01h455vb4pex5vsknk084sn02q',
          source: `/${name.split('.')[0]}`,
          type: name,
          subject: subjectIn(example) ?? 'example',
          time: '2026-01-31T12:00:00Z',
          datacontenttype: 'application/json',
          tenantid: 'ten_01h455vb4pex5vsknk084sn02q',
          environment: 'sandbox',
          sequence: '1042',
          partitionkey: '01890a5d-ac96-774b-bcce-b302099a8057',
          data: example,
        },
      },
    ],
  };
}

function subjectIn(example: unknown): string | undefined {
  return typeof example === 'object' && example !== null && 'id' in example ? String(example.id) : undefined;
}

/** @param url where the event feed is reached */
export function asyncApiOf(types: EventTypes, url: string): object {
  const names = Object.keys(types).toSorted();
  const { host, protocol } = new URL(url === '' ? 'http://localhost' : url);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Events of financialapi',
      version: '2.0.0',
      description:
        'What happens, told in CloudEvents 1.0: by the event feed and its stream, by webhooks, and on Kafka where it is configured. Events with one `partitionkey` come in their order; each may come more than once, with the same `id`.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/cloudevents+json',
    servers: { api: { host, protocol: protocol.slice(0, -1), description: 'The event feed' } },
    channels: {
      events: {
        address: '/api/v2/events/stream',
        description: 'All events of a tenant and environment, in one order without gaps',
        messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
      },
    },
    operations: {
      hear: {
        action: 'send',
        channel: { $ref: '#/channels/events' },
        summary: 'Events are told to whoever listens',
      },
    },
    components: {
      messages: Object.fromEntries(
        Object.entries(types).map(([name, type]) => [name, messageOf(name, type)]),
      ),
    },
  };
}
