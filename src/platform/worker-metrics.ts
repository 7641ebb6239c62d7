/**
 * One scrape of one worker tells of all: it asks the primary, which asks every worker and adds up what they say, as each
 * metric is to be added. The library's own way waits for workers that only start, or that have just died.
 */
import cluster, { type Worker } from 'node:cluster';
import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client';

type Measured = MetricObjectWithValues<MetricValue<string>>[];

/** What primary and workers tell each other. `scrape` and `measure` are numbers of questions, which answers repeat. */
interface Messages {
  said: { said: string };
  ready: { ready: true };
  scrape: { scrape: number };
  scraped: { scraped: number; text: string } | { scraped: number; failure: string };
  measure: { measure: number };
  measured: { measured: number; metrics: Measured };
}

export function isMessage<Kind extends keyof Messages>(
  kind: Kind,
  message: unknown,
): message is Messages[Kind] {
  return typeof message === 'object' && message !== null && kind in message;
}

/** A worker that takes longer is left out of a scrape. */
const PATIENCE_MS = 2_000;

/** In the primary: answers the scrapes of workers with what all of these say. */
export function answerScrapes(workers: ReadonlySet<Worker>): void {
  let questions = 0;
  cluster.on('message', (asking: Worker, message: unknown) => {
    if (!isMessage('scrape', message)) return;
    const { scrape } = message;
    void scrapeAll()
      .then((text) => ({ scraped: scrape, text }))
      .catch((error: unknown) => ({ scraped: scrape, failure: String(error) }))
      .then((answer) => asking.isConnected() && asking.send(answer));
  });

  async function scrapeAll(): Promise<string> {
    const answers = await Promise.all([...workers].map((worker) => measure(worker, (questions += 1))));
    return AggregatorRegistry.aggregate(answers.filter((metrics) => metrics !== undefined)).metrics();
  }
}

/** What a worker measures; undefined where it does not say in time. */
function measure(worker: Worker, question: number): Promise<Measured | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => end(undefined), PATIENCE_MS);
    const onExit = () => end(undefined);
    const onMessage = (message: unknown) => {
      if (isMessage('measured', message) && message.measured === question) end(message.metrics);
    };
    function end(metrics: Measured | undefined): void {
      clearTimeout(timer);
      worker.off('message', onMessage);
      worker.off('exit', onExit);
      resolve(metrics);
    }
    worker.on('message', onMessage);
    worker.once('exit', onExit);
    if (worker.isConnected()) worker.send({ measure: question });
    else end(undefined);
  });
}

/** Text of a scrape: of all workers where this is one, else of this process. */
export function openScrape(registry: Registry): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics();
  let questions = 0;
  const waiting = new Map<number, PromiseWithResolvers<string>>();
  process.on('message', (message: unknown) => {
    if (isMessage('scraped', message)) {
      const asked = waiting.get(message.scraped);
      if ('text' in message) asked?.resolve(message.text);
      else asked?.reject(new Error(`the workers could not be asked: ${message.failure}`));
      waiting.delete(message.scraped);
    }
    if (isMessage('measure', message)) {
      const { measure: measured } = message;
      void registry.getMetricsAsJSON().then((metrics) => process.send?.({ measured, metrics }));
    }
  });
  return () => {
    questions += 1;
    const asked = Promise.withResolvers<string>();
    waiting.set(questions, asked);
    process.send?.({ scrape: questions });
    return asked.promise;
  };
}
