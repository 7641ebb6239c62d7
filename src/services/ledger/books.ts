import type { Database } from '../../platform/db.ts';
import type { PostingQueue } from './posting.ts';

/** What the ledger's use cases work with. */
export interface Books {
  db: Database;
  posting: PostingQueue;
}
