/** Prometheus metrics of this process, at `/metrics`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Api } from './http.ts';
import { openScrape } from './worker-metrics.ts';

/** Whether each process says something of its own, or every one the same of the whole, as what is in the database. */
type Whose = 'process' | 'installation';

/** Where a service registers what it measures. Names begin with that of the service; units last. */
export interface Metrics {
  /** A number that is read when it is scraped; `NaN` where it cannot be. */
  gauge(name: string, help: string, read: () => number | Promise<number>, whose?: Whose): void;
  /** A number for each value of a label, read when they are scraped; none where they cannot be. */
  gauges(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>,
    whose?: Whose,
  ): void;
  counter<Label extends string>(name: string, help: string, labels: readonly Label[]): Counter<Label>;
  histogram(name: string, help: string, buckets: readonly number[]): Histogram;
}

/** What several workers say is added up, save where all say the same. */
const aggregators = { process: 'sum', installation: 'first' } as const;

/** The metrics of one server, which `mountMetrics` serves. */
export interface MetricsOfServer extends Metrics {
  registry: Registry;
}

/**
 * What is read for a scrape. What cannot be read now, as from a database that is away, is missing from it: the scrape tells
 * everything else all the same.
 */
async function measurable<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

export function openMetrics(): MetricsOfServer {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    gauge(name, help, read, whose = 'process') {
      const measured: Gauge = new Gauge({
        name,
        help,
        registers,
        aggregator: aggregators[whose],
        collect: async () => measured.set((await measurable(read)) ?? Number.NaN),
      });
    },
    gauges(name, help, label, read, whose = 'process') {
      const measured: Gauge = new Gauge({
        name,
        help,
        registers,
        aggregator: aggregators[whose],
        labelNames: [label],
        collect: async () => {
          const numbers = await measurable(read);
          measured.reset();
          for (const [value, number] of Object.entries(numbers ?? {}))
            measured.set({ [label]: value }, number);
        },
      });
    },
    counter: (name, help, labels) => new Counter({ name, help, registers, labelNames: [...labels] }),
    histogram: (name, help, buckets) => new Histogram({ name, help, registers, buckets: [...buckets] }),
  };
}

/** Measures every request and serves the metrics. */
export function mountMetrics(app: Api, { registry }: MetricsOfServer): void {
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its answer, by route',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    requests
      .labels(request.method, request.routeOptions.url ?? 'none', String(reply.statusCode))
      .observe(reply.elapsedTime / 1_000);
    done();
  });
  const scrape = openScrape(registry);
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return scrape();
  });
}
