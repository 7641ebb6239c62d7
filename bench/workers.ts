/** Postings through `npm start -- --workers=…` with one process and with two, on one PostgreSQL, in turns. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Load, LoadResult } from './load.ts';

/** What one and two processes came to with so many connections, transfers a second. */
export interface WorkersFigures {
  connections: number;
  pattern: Load['pattern'];
  one: LoadResult[];
  two: LoadResult[];
}

/** Starts the real program with so many processes that answer. */
async function startWorkers(
  databaseUrl: string,
  data_dir: string,
  count: number,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const child = spawn(process.execPath, [...process.execArgv, main, `--workers=${count}`], {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      DATA_DIR: data_dir,
      PORT: '0',
      LOG_LEVEL: 'error',
      DEMO: 'false',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const endChild = () => child.kill('SIGTERM');
  process.once('exit', endChild);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      process.off('exit', endChild);
      resolve();
    });
  });
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  let port: number | undefined;
  let answering = 0;
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    port ??= Number(/ is ready at http:\S+:(\d+)/.exec(line)?.[1] ?? 0) || undefined;
    if (line.includes('answers requests')) answering += 1;
    if (port !== undefined && (count === 1 || answering === count)) {
      // What it says from now on goes nowhere, and does not hold it up.
      child.stdout.resume();
      return { port, stop };
    }
  }
  throw new Error(`the server with ${count} workers did not start`);
}

/**
 * @param measure puts load on a server, and throws where that refuses some of it
 * @param rest called before each measurement
 */
export async function measureWorkers(options: {
  databaseUrl: string;
  data_dir: string;
  key: string;
  accounts_file: string;
  seconds: number;
  measure: (load: Load) => Promise<LoadResult>;
  rest: () => Promise<void>;
}): Promise<WorkersFigures[]> {
  const { databaseUrl, data_dir, key, accounts_file, seconds, measure, rest } = options;
  const one = await startWorkers(databaseUrl, data_dir, 1);
  const two = await startWorkers(databaseUrl, data_dir, 2);
  try {
    const figures: WorkersFigures[] = [];
    for (const connections of [64, 256]) {
      for (const pattern of ['uniform', 'hot'] as const) {
        const found: WorkersFigures = { connections, pattern, one: [], two: [] };
        // Each begins as often as the other.
        const turns = figures.length % 2 === 0 ? (['one', 'two'] as const) : (['two', 'one'] as const);
        for (const turn of turns) {
          await rest();
          const { port } = turn === 'one' ? one : two;
          found[turn].push(
            await measure({ port, key, connections, seconds, accounts_file, pattern, batch: 1 }),
          );
        }
        figures.push(found);
      }
    }
    return figures;
  } finally {
    await Promise.all([one.stop(), two.stop()]);
  }
}
