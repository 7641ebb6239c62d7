import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import type { Caller } from '../../platform/access/caller.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { provide } from '../../platform/port/port.ts';
import { defineService } from '../../platform/service.ts';
import { askersForgetter } from './asker.ts';
import { startAttribution } from './attribution.ts';
import { ledgerPort } from './contract.ts';
import { refuse } from './errors.ts';
import { events } from './events.ts';
import { holdExpiry } from './expire-holds.ts';
import { holdRoutes } from './hold-routes.ts';
import { limitRoutes } from './limit-routes.ts';
import { permissions } from './permissions.ts';
import { plantSeed } from './plant-seed.ts';
import { headPosition } from './position.ts';
import { openPostingQueue, type PostingOptions } from './posting.ts';
import { reportRoutes } from './report-routes.ts';
import { routes } from './routes.ts';
import { startSealing } from './seal.ts';
import { v1Routes } from './v1/routes.ts';

/** What each batch adds to the metrics. One increment for each outcome there was, not for each command. */
function measureBatches(metrics: Metrics): NonNullable<PostingOptions['onBatch']> {
  const sizes = metrics.histogram(
    'ledger_batch_commands',
    'Commands posted in one commit',
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
  );
  const durations = metrics.histogram(
    'ledger_batch_duration_seconds',
    'Time from the call that posts a batch to its commit',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  );
  const commands = metrics.counter(
    'ledger_commands_total',
    'Commands by what they came to: posted, replayed, or the code of their refusal',
    ['outcome'],
  );
  return (outcomes, duration_s) => {
    sizes.observe(outcomes.length);
    durations.observe(duration_s);
    const counts = new Map<string, number>();
    for (const { code, replayed } of outcomes) {
      const outcome = replayed ? 'replayed' : (code ?? 'posted');
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    for (const [outcome, count] of counts) commands.inc({ outcome }, count);
  };
}

export const ledger = defineService({
  name: 'ledger',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  permissions,
  jobs: {
    'ledger.expire_holds': {
      meaning: 'Releases what remains of holds whose time has come',
      per: 'tenant',
      schedule: 'when due',
      retries: 3,
      retry_after_s: 1,
    },
    'ledger.forget_askers': {
      meaning: 'Removes notes of who asked for what never came to an outcome, a day after they were made',
      per: 'tenant',
      schedule: { cron: '20 4 * * *' },
    },
  },
  lock_sandbox: 'ledger.lock_sandbox',
  publishes: events,
  provides: ledgerPort,
  start({ db, config, log, metrics, publicUrl, wakeRelay, traces, seeds, serviceToken }) {
    const measure = measureBatches(metrics);
    const posting = openPostingQueue(db, {
      queue_limit: config.queue_limit,
      batch_limit: config.batch_limit,
      retry_for_ms: 5_000,
      traces,
      onBatch: (outcomes, duration_s) => {
        wakeRelay();
        measure(outcomes, duration_s);
      },
    });
    metrics.gauge('ledger_posting_queue_depth', 'Postings that wait for a commit', posting.depth);
    const books = { db, posting };
    const sealing = startSealing({ db, log, interval_ms: 1_000 });
    const attribution = startAttribution({ db, log, interval_ms: 1_000 });
    const mounted: { app?: FastifyInstance } = {};
    return {
      port: provide(ledgerPort, {
        getPosition: ({ caller }) =>
          db.read(caller, async (tx) => ({ position: await headPosition(tx, caller) })),
        plantSeed: async (asked, input) => {
          if (mounted.app === undefined) throw new Error('the routes of the ledger are not there yet');
          const tokenFor = (caller: Caller) => serviceToken(caller, 'ledger');
          return plantSeed({ app: mounted.app, seeds, tokenFor }, asked, input);
        },
      }),
      routes: async (app) => {
        mounted.app = app;
        await app.register(routes(books, publicUrl));
        await app.register(holdRoutes(books));
        await app.register(reportRoutes(books, publicUrl));
        await app.register(limitRoutes(db));
        await app.register(v1Routes(books));
      },
      jobs: { 'ledger.expire_holds': holdExpiry(books), 'ledger.forget_askers': askersForgetter(db) },
      stop: async () => {
        await Promise.all([sealing.stop(), attribution.stop()]);
        await posting.drain();
      },
    };
  },
});
