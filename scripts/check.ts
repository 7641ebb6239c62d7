/**
 * `npm run check`: format, lint with type information, types, boundaries, unused code. Every checker must also say that
 * it saw the files there are: one that looks at nothing reports success.
 */
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { writeApiTypes } from './api-types.ts';

const sources = globSync('{src,tests,bench,scripts}/**/*.{ts,mjs}').length;
const screens = globSync('web/**/*.{ts,tsx}').length;

interface Checker {
  name: string;
  command: readonly string[];
  /** Number of files it says it looked at. */
  seen: (output: string) => number;
  /** Number of files that it has to look at. */
  least: number;
}

function numberIn(pattern: RegExp): Checker['seen'] {
  return (output) => Number(pattern.exec(output)?.[1] ?? 0);
}

await writeApiTypes();

const seenByCompiler: Checker['seen'] = (output) =>
  output.split('\n').filter((line) => /\.tsx?$/.test(line) && !line.includes('/node_modules/')).length;
// The .mjs bootstrapper is no input of the compiler.
const least = sources - 1;

const checkers: Checker[] = [
  {
    name: 'format',
    command: ['@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
    seen: numberIn(/Checked (\d+) files/),
    least: least + screens,
  },
  {
    name: 'lint',
    command: ['oxlint/bin/oxlint', '--type-aware', '--deny-warnings'],
    seen: numberIn(/on (\d+) files/),
    least: least + screens,
  },
  {
    name: 'types',
    command: ['typescript/bin/tsc', '--noEmit', '--listFiles'],
    seen: seenByCompiler,
    least,
  },
  {
    name: 'types of the screens',
    command: ['typescript/bin/tsc', '--project', 'web/tsconfig.json', '--listFiles'],
    seen: seenByCompiler,
    least: screens,
  },
  {
    name: 'boundaries',
    command: ['../scripts/boundaries.ts'],
    seen: numberIn(/(\d+) files looked at/),
    least: least + screens,
  },
  {
    name: 'unused code',
    command: [
      'knip/bin/knip.js',
      '--no-progress',
      '--reporter',
      'symbols',
      '--reporter',
      './scripts/knip-count.ts',
    ],
    seen: numberIn(/(\d+) files processed/),
    least: least + screens,
  },
];

const run = promisify(execFile);

interface Finished {
  status: number | null;
  output: string;
}

/** Runs a checker; what it finds is no error of ours. */
async function finish(command: readonly string[]): Promise<Finished> {
  const [program = '', ...options] = command;
  try {
    const { stdout, stderr } = await run(process.execPath, [`node_modules/${program}`, ...options], {
      maxBuffer: 64 * 1024 * 1024,
    });
    return { status: 0, output: `${stdout}\n${stderr}` };
  } catch (error) {
    if (!(error instanceof Error && 'stdout' in error && 'stderr' in error)) throw error;
    // Ended by a signal, it has no number.
    const status = 'code' in error && typeof error.code === 'number' ? error.code : null;
    return { status, output: `${String(error.stdout)}\n${String(error.stderr)}` };
  }
}

/** Takes one checker after the other until there are none left. */
async function work(waiting: Checker[]): Promise<void> {
  for (let checker = waiting.shift(); checker !== undefined; checker = waiting.shift()) {
    const { name, command, seen, least } = checker;
    const began = performance.now();
    const { status, output } = await finish(command);
    const count = seen(output);
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    if (status === 0 && count >= least) {
      console.log(`✔ ${name}: ${count} files, ${seconds} s`);
      continue;
    }
    process.exitCode = 1;
    const found = output
      .split('\n')
      .filter((line) => !/^\/.*\.(d\.)?[cm]?tsx?$/.test(line))
      .join('\n')
      .trim();
    console.error(`✖ ${name}${status === 0 ? `: looked at ${count} files of ${least}` : ''}\n${found}`);
  }
}

await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, () => work(checkers)));
