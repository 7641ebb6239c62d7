import { defineService } from '../../platform/service.ts';
import { refuse } from './errors.ts';
import { openPostingQueue } from './posting.ts';
import { routes } from './routes.ts';

export const ledger = defineService({
  name: 'ledger',
  migrations: new URL('migrations', import.meta.url).pathname,
  problems: refuse.types,
  start({ db, config, publicUrl }) {
    const posting = openPostingQueue(db, {
      queue_limit: config.queue_limit,
      batch_limit: config.batch_limit,
      retry_for_ms: 5_000,
    });
    return {
      routes: routes({ db, posting }, publicUrl),
      stop: () => posting.drain(),
    };
  },
});
