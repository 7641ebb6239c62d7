/** Filling the books of a sandbox with a seed: by requests of the public API, of whoever asks for it. */
import type { FastifyInstance } from 'fastify';
import type { Caller } from '../../platform/access/caller.ts';
import type { Asked } from '../../platform/port/port.ts';
import { refuse } from '../../platform/problem.ts';
import type { Seeds } from '../../platform/sandbox.ts';

interface Planting {
  app: Pick<FastifyInstance, 'inject'>;
  seeds: Seeds;
  /** A token with which the ledger asks itself on behalf of a caller. */
  tokenFor: (caller: Caller) => Promise<string>;
}

/** Whether the server takes no more requests of its own: its process stops. */
function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_REOPENED_CLOSE_SERVER';
}

/**
 * Plants a seed. The keys of its requests follow from the given one, so that a second attempt after a failure goes on where
 * the first ended.
 */
export async function plantSeed(
  { app, seeds, tokenFor }: Planting,
  asked: Asked,
  { seed: name, key }: { seed: string; key: string },
): Promise<{ requests: number }> {
  const seed = Object.hasOwn(seeds, name) ? seeds[name] : undefined;
  if (seed === undefined) throw refuse('not_found', `The ledger knows no seed ${name}.`);
  const token = await tokenFor(asked.caller);
  let requests = 0;
  // For now it cannot be done: whoever asks asks again, here or at another process, and it goes on from there.
  const unavailable = () =>
    refuse('unavailable', `The seed ${name} could not be planted whole.`, { retry_after_s: 1 });
  await seed.plant(async (url, body) => {
    // Nobody waits any more. Another attempt goes on from here.
    if (asked.signal.aborted) throw new Error(`the seed ${name} was not planted in time`);
    requests += 1;
    const answer = await app
      .inject({
        method: 'POST',
        url,
        headers: {
          authorization: `Service ${token}`,
          'idempotency-key': `seed-${key}-${requests}`,
          'request-id': asked.request_id,
        },
        payload: body,
      })
      .catch((error: unknown) => {
        throw isClosed(error) ? unavailable() : error;
      });
    if (answer.statusCode === 503) throw unavailable();
    if (answer.statusCode >= 300) {
      throw new Error(`a seed could not ${url}: ${answer.statusCode} ${answer.body}`);
    }
    return answer.json();
  });
  return { requests };
}
