/**
 * `npm test`: runs the test files, or those given as arguments, against one throw-away PostgreSQL. Arguments that
 * begin with a dash go to Node's test runner. Set TEST_DATABASE_URL (a superuser's) to use another server.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/platform/postgres.ts';
import { builtWeb } from '../src/web.ts';

const args = process.argv.slice(2);
const options = args.filter((arg) => arg.startsWith('-'));
const given = args.filter((arg) => !arg.startsWith('-'));
const patterns = given.length > 0 ? given : ['src/**/*.test.ts', 'tests/**/*.test.ts'];
const files = [...new Set(patterns.flatMap((pattern) => globSync(pattern)))].toSorted();

// A signal of the terminal reaches the test runner too; we stay to clean up after it.
let interrupted: NodeJS.Signals | undefined;
let runner: ReturnType<typeof spawn> | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted ??= signal;
    if (signal === 'SIGTERM') runner?.kill(signal);
  });
}

// Servers that tests start find it built, and none of them waits for it.
await builtWeb((line) => console.error(`${line} …`));

if (files.length === 0) {
  console.error(`no test file matches ${patterns.join(' ')}`);
  process.exitCode = 1;
} else if (process.env['TEST_DATABASE_URL']) {
  process.exitCode = await runTests(process.env['TEST_DATABASE_URL']);
} else {
  const dir = mkdtempSync(join(tmpdir(), 'financialapi-test-'));
  try {
    const server = await startEmbeddedPostgres({
      data_dir: dir,
      settings: {
        // Nobody cuts the power during a test, and its databases are thrown away: waiting for the disk would prove
        // nothing. What is to survive a crash is tested on servers of its own, with everything on.
        fsync: 'off',
        max_connections: '600',
        max_wal_size: '1GB',
      },
    });
    try {
      process.exitCode = await runTests(server.url);
    } finally {
      await server.stop();
      rmSync(server.socket_dir, { recursive: true, force: true });
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The exit code of Node's test runner. */
async function runTests(url: string): Promise<number> {
  if (interrupted !== undefined) return 128 + constants.signals[interrupted];
  // What a test that failed left open keeps nobody waiting.
  const flags = ['--test', '--test-concurrency=2', '--test-timeout=300000', '--test-force-exit'];
  const child = spawn(process.execPath, [...flags, ...options, ...files], {
    stdio: 'inherit',
    env: { ...process.env, TEST_DATABASE_URL: url },
  });
  runner = child;
  return new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const ended = interrupted ?? signal;
      settle(ended === null ? (code ?? 1) : 128 + constants.signals[ended]);
    });
  });
}
