/**
 * Spans, sent to a collector of OpenTelemetry where OTEL_EXPORTER_OTLP_ENDPOINT names one. They are begun by hand at the few
 * places that tell where time goes; libraries that instrument everything cost two thirds of the throughput
 * (docs/decisions/0025-traces.md).
 */
import {
  type Attributes,
  createNoopMeter,
  type Link,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.ts';
import { newUuid } from '../ids.ts';
import type { Metrics } from '../metrics.ts';
import { doAt } from './context.ts';
import { errorTypeOf, type Span, type SpanStart, type Traces } from './span.ts';

/** Spans that wait to be sent; beyond them new ones are dropped. */
const QUEUE_LIMIT = 2_048;
const SENT_EVERY_MS = 2_000;
const SENDING_MS = 5_000;
/** How long the end of a process waits for a collector. */
const STOPPING_MS = 3_000;
/** What OpenTelemetry counts the spans by that its queue is done with. */
const PROCESSED = 'otel.sdk.processor.span.processed';

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, consumer: SpanKind.CONSUMER } as const;

const rootSamplers: Readonly<Record<string, (ratio: number) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
};

function samplerOf({
  otel_traces_sampler: name,
  otel_traces_sampler_arg: ratio,
}: Pick<Config, 'otel_traces_sampler' | 'otel_traces_sampler_arg'>): Sampler {
  const parent_decides = name.startsWith('parentbased_');
  const root = rootSamplers[parent_decides ? name.slice('parentbased_'.length) : name]?.(ratio);
  if (root === undefined) throw new Error(`there is no sampler ${name}`);
  return parent_decides ? new ParentBasedSampler({ root }) : root;
}

function begunBy(tracer: Tracer, name: string, start: SpanStart): Span | undefined {
  const { parent, kind, links, began, attributes } = start;
  const span = tracer.startSpan(
    name,
    {
      kind: kind === undefined ? SpanKind.INTERNAL : kinds[kind],
      ...(links === undefined ? {} : { links: links.map((context): Link => ({ context })) }),
      ...(began === undefined ? {} : { startTime: performance.timeOrigin + began }),
      ...(attributes === undefined ? {} : { attributes: { ...attributes } }),
    },
    parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
  );
  if (!span.isRecording()) return undefined;
  return {
    place: span.spanContext(),
    add: (more) => void span.setAttributes({ ...more }),
    link: (context) => void span.addLink({ context }),
    end: (failure) => {
      if (failure !== undefined) {
        span.setAttribute('error.type', failure);
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

/** Counts what became of spans, and says when they cannot be sent. */
function accountOfSpans(log: FastifyBaseLogger, metrics: Metrics) {
  const spans = metrics.counter(
    'traces_spans_total',
    'Spans by what became of them: sent, failed to be sent, or dropped since too many waited',
    ['outcome'],
  );
  for (const outcome of ['sent', 'failed', 'dropped']) spans.inc({ outcome }, 0);
  let failing = false;
  return (count: number, error: unknown) => {
    if (error === undefined) spans.inc({ outcome: 'sent' }, count);
    else spans.inc({ outcome: error === 'queue_full' ? 'dropped' : 'failed' }, count);
    if (error !== undefined && !failing) {
      log.warn({ error_type: error }, 'spans cannot be sent for now: see OTEL_EXPORTER_OTLP_ENDPOINT');
    }
    failing = error !== undefined;
  };
}

/** Spans of one process, as its settings say. */
export function openTraces(options: {
  /** Of the collector. */
  endpoint: string;
  config: Pick<
    Config,
    'otel_exporter_otlp_headers' | 'otel_service_name' | 'otel_traces_sampler' | 'otel_traces_sampler_arg'
  >;
  log: FastifyBaseLogger;
  metrics: Metrics;
}): Traces {
  const { endpoint, config, log, metrics } = options;
  const account = accountOfSpans(log, metrics);
  const meter = Object.assign(createNoopMeter(), {
    createCounter: (name: string) => ({
      add: (count: number, attributes?: Attributes) => {
        if (name === PROCESSED) account(count, attributes?.['error.type']);
      },
    }),
  });
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': config.otel_service_name,
        'service.instance.id': newUuid(),
      }),
    ),
    sampler: samplerOf(config),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: `${endpoint}/v1/traces`,
          headers: { ...config.otel_exporter_otlp_headers },
          timeoutMillis: SENDING_MS,
        }),
        maxQueueSize: QUEUE_LIMIT,
        scheduledDelayMillis: SENT_EVERY_MS,
        selfObsMeterProvider: { getMeter: () => meter },
      }),
    ],
  });
  const tracer = provider.getTracer('financialapi');
  const begin: Traces['begin'] = (name, start = {}) => begunBy(tracer, name, start);
  return {
    begin,
    async record(name, start, work) {
      const span = begin(name, start);
      try {
        const result = await doAt(span?.place ?? start.parent, work);
        span?.end();
        return result;
      } catch (error) {
        span?.end(errorTypeOf(error));
        throw error;
      }
    },
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const given_up = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOPPING_MS);
      });
      // A collector that is away was complained of, and is no reason to fail.
      await Promise.race([provider.shutdown().catch(() => {}), given_up]);
      clearTimeout(timer);
    },
  };
}
