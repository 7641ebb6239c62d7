/** A collector of OpenTelemetry as far as tests need one: it keeps the spans that it is sent, by OTLP over HTTP as JSON. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

const Attribute = Type.Object({ key: Type.String(), value: Type.Record(Type.String(), Type.Unknown()) });
const Span = Type.Object({
  traceId: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  spanId: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  parentSpanId: Type.Optional(Type.String()),
  name: Type.String(),
  kind: Type.Integer(),
  attributes: Type.Array(Attribute),
  events: Type.Optional(Type.Array(Type.Unknown())),
  links: Type.Optional(Type.Array(Type.Object({ traceId: Type.String(), spanId: Type.String() }))),
  status: Type.Object({ code: Type.Optional(Type.Integer()), message: Type.Optional(Type.String()) }),
});
const Traces = Type.Object({
  resourceSpans: Type.Array(
    Type.Object({
      resource: Type.Object({ attributes: Type.Array(Attribute) }),
      scopeSpans: Type.Array(Type.Object({ spans: Type.Array(Span) })),
    }),
  ),
});

/** A span with its attributes by name. */
interface ReceivedSpan extends Omit<Static<typeof Span>, 'attributes'> {
  attributes: Record<string, unknown>;
  service: unknown;
}

export interface Collector {
  url: string;
  spans: ReceivedSpan[];
  /** All that was sent, as text. */
  texts: string[];
  headers: IncomingHttpHeaders[];
  /** Waits until a span is there; the test's own time limit ends it otherwise. */
  find: (wanted: (span: ReceivedSpan) => boolean) => Promise<ReceivedSpan>;
  close: () => Promise<void>;
}

function valuesOf(attributes: Static<typeof Attribute>[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/** @param answers false for one that takes what it is sent and never says anything */
export async function openCollector(answers = true): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const texts: string[] = [];
  const headers: IncomingHttpHeaders[] = [];
  function keep(text: string, response: ServerResponse): void {
    texts.push(text);
    const { resourceSpans } = Value.Parse(Traces, JSON.parse(text));
    for (const { resource, scopeSpans } of resourceSpans) {
      const { 'service.name': service } = valuesOf(resource.attributes);
      for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
        spans.push({ ...span, attributes: valuesOf(span.attributes), service });
      }
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }
  const server = createServer((request, response) => {
    headers.push(request.headers);
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      if (request.url !== '/v1/traces') response.writeHead(404).end();
      else if (answers) keep(text, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the collector has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    texts,
    headers,
    find: async (wanted) => {
      for (;;) {
        const found = spans.find(wanted);
        if (found !== undefined) return found;
        await sleep(20);
      }
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
