import { fileURLToPath } from 'node:url';
import { defineService } from '../../platform/service.ts';
import { refuse } from './errors.ts';
import { startHoldExpiry } from './expire-holds.ts';
import { holdRoutes } from './hold-routes.ts';
import { openPostingQueue } from './posting.ts';
import { reportRoutes } from './report-routes.ts';
import { routes } from './routes.ts';
import { startSealing } from './seal.ts';
import { v1Routes } from './v1/routes.ts';

export const ledger = defineService({
  name: 'ledger',
  migrations: fileURLToPath(new URL('migrations', import.meta.url)),
  problems: refuse.types,
  start({ db, config, log, metrics, publicUrl }) {
    const posting = openPostingQueue(db, {
      queue_limit: config.queue_limit,
      batch_limit: config.batch_limit,
      retry_for_ms: 5_000,
    });
    metrics.gauge('ledger_posting_queue_depth', 'Postings that wait for a commit', posting.depth);
    const books = { db, posting };
    const expiry = startHoldExpiry(books, log);
    const sealing = startSealing({ db, log, interval_ms: 1_000 });
    return {
      routes: async (app) => {
        await app.register(routes(books, publicUrl));
        await app.register(holdRoutes(books));
        await app.register(reportRoutes(books, publicUrl));
        await app.register(v1Routes(books));
      },
      stop: async () => {
        await Promise.all([expiry.stop(), sealing.stop()]);
        await posting.drain();
      },
    };
  },
});
