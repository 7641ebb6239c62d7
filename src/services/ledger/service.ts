import { defineService } from '../../platform/service.ts';
import { refuse } from './errors.ts';
import { startHoldExpiry } from './expire-holds.ts';
import { holdRoutes } from './hold-routes.ts';
import { openPostingQueue } from './posting.ts';
import { reportRoutes } from './report-routes.ts';
import { routes } from './routes.ts';
import { v1Routes } from './v1/routes.ts';

export const ledger = defineService({
  name: 'ledger',
  migrations: new URL('migrations', import.meta.url).pathname,
  problems: refuse.types,
  start({ db, config, log, publicUrl }) {
    const posting = openPostingQueue(db, {
      queue_limit: config.queue_limit,
      batch_limit: config.batch_limit,
      retry_for_ms: 5_000,
    });
    const books = { db, posting };
    const expiry = startHoldExpiry(books, log);
    return {
      routes: async (app) => {
        await app.register(routes(books, publicUrl));
        await app.register(holdRoutes(books));
        await app.register(reportRoutes(books, publicUrl));
        await app.register(v1Routes(books));
      },
      stop: async () => {
        await expiry.stop();
        await posting.drain();
      },
    };
  },
});
