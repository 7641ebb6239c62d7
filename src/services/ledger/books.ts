import type { Database } from '../../platform/db.ts';
import type { PostingQueue } from './posting.ts';

/** What the ledger's use cases work with. */
export interface Books {
  db: Database;
  posting: PostingQueue;
}

/** An attempt as the client named it: with `operation` and `request`, a repetition is told from another request. */
export interface Attempt {
  key: string;
  operation: string;
}
