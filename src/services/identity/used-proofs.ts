/** What is good for one request only, remembered by all processes together: DPoP proofs and tokens of devices. */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Database } from '../../platform/db.ts';

const REMEMBERED = 100_000;
/** Most rows that one statement removes, so that it holds few locks and ends soon. */
const BATCH = 5_000;

export interface UsedProofs {
  /**
   * Whether something is used for the first time. Throws `unavailable` where the database cannot say.
   *
   * @param name tells it from everything else, whoever made it
   * @param good_for_s how long it could be used otherwise
   */
  use(name: string, good_for_s: number): Promise<boolean>;
}

export function openUsedProofs(db: Database): UsedProofs {
  // What this process knows itself it refuses without asking.
  const seen = new LRUCache<string, true>({ max: REMEMBERED });
  return {
    async use(name, good_for_s) {
      if (seen.has(name)) return false;
      // Two at once: the first one marks it before either waits.
      seen.set(name, true, { ttl: good_for_s * 1_000 });
      const kept = await db.run(
        `insert into identity.used_proofs (hash, expires_at) values ($1, now() + make_interval(secs => $2))
         on conflict (hash) do nothing`,
        [hash('sha256', name, 'buffer'), good_for_s],
      );
      return kept === 1;
    },
  };
}

/** Removes those that could not be used again anyway, and says how many they were. */
export async function removeOldProofs(db: Database): Promise<number> {
  let removed = 0;
  for (;;) {
    const count = await db.run(
      `delete from identity.used_proofs where hash in (
         select hash from identity.used_proofs where expires_at < now() limit $1)`,
      [BATCH],
    );
    removed += count;
    if (count < BATCH) return removed;
  }
}
