/** Prometheus metrics of this process, at `/metrics`. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Api } from './http.ts';

export const registry = new Registry();

const requests = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Time from the first byte of a request to the end of its answer, by route',
  labelNames: ['method', 'route', 'status'],
  buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  registers: [registry],
});

/** A number that is read when it is scraped. */
export function gauge(name: string, help: string, read: () => number): void {
  const measured: Gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect: () => measured.set(read()),
  });
}

export function counter(name: string, help: string): Counter {
  return new Counter({ name, help, registers: [registry] });
}

/** Measures every request and serves the registry. */
export function mountMetrics(app: Api): void {
  collectDefaultMetrics({ register: registry });
  app.addHook('onResponse', (request, reply, done) => {
    requests
      .labels(request.method, request.routeOptions.url ?? 'none', String(reply.statusCode))
      .observe(reply.elapsedTime / 1_000);
    done();
  });
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });
}
