/**
 * `npm run model -- [--runs N] [--minutes M] [--seed S [--path P --replay R]]`: the model test of tests/model, for as
 * long as one likes, on a throw-away PostgreSQL. Without --runs and --minutes it goes on for ten minutes. What it prints
 * of a failure repeats it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../src/platform/postgres.ts';
import { openTestPlatform } from '../src/testing.ts';
import { runModel } from '../tests/model/run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    replay: { type: 'string' },
  },
});
const minutes = Number(values.minutes ?? (values.runs === undefined ? 10 : 60 * 24));

const dir = mkdtempSync(join(tmpdir(), 'financialapi-model-'));
const server = await startEmbeddedPostgres({
  data_dir: dir,
  settings: { fsync: 'off', max_connections: '50', max_wal_size: '1GB' },
});
try {
  process.env['TEST_DATABASE_URL'] = server.url;
  const platform = await openTestPlatform();
  try {
    const began = performance.now();
    let runs = 0;
    let told = began;
    const report = await runModel(platform, {
      runs: Number(values.runs ?? 1_000_000_000),
      time_limit_ms: minutes * 60_000,
      ...(values.seed === undefined ? {} : { seed: Number(values.seed) }),
      ...(values.path === undefined ? {} : { path: values.path }),
      ...(values.replay === undefined ? {} : { replay_path: values.replay }),
      onRun: () => {
        runs += 1;
        if (performance.now() - told < 5_000) return;
        told = performance.now();
        process.stderr.write(`${runs} runs in ${Math.round((told - began) / 1_000)} s\n`);
      },
    });
    for (const [what, count] of [...report.seen].toSorted(([, left], [, right]) => right - left)) {
      console.log(`${String(count).padStart(8)}  ${what}`);
    }
    console.log(
      `seed ${report.seed}: ${report.runs} runs, ${report.failure === undefined ? 'none' : 'one'} failed`,
    );
    if (report.failure !== undefined) {
      console.error(report.failure);
      process.exitCode = 1;
    }
  } finally {
    await platform.close();
  }
} finally {
  await server.stop();
  for (const path of [dir, server.socket_dir]) rmSync(path, { recursive: true, force: true });
}
