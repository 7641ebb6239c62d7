/** The real server as a process of its own, for tests that end it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const main = new URL('../src/main.ts', import.meta.url).pathname;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ServerProcess {
  url: string;
  pid: number;
  /** Key of the demo institution; undefined where there is none. */
  key: string | undefined;
  /** What it wrote, a line each. */
  lines: string[];
  kill: (signal: NodeJS.Signals) => void;
  exit: Promise<Exit>;
}

/**
 * Starts `src/main.ts`, or a program that says the same when it is ready, and resolves once it answers requests.
 *
 * @param settings what it finds in its environment, beside PATH
 */
export async function startServer(
  settings: Record<string, string>,
  program: string = main,
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      PORT: '0',
      LOG_LEVEL: 'error',
      ...settings,
    },
  });
  // A test that fails or is interrupted leaves no server behind.
  const endChild = () => child.kill('SIGKILL');
  process.once('exit', endChild);
  const lines: string[] = [];
  const exit = exitOf(child).finally(() => process.off('exit', endChild));
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => lines.push(line));
  }
  const found = (pattern: RegExp) =>
    lines.map((line) => pattern.exec(line)?.[1]).find((match) => match !== undefined);
  const state: { ended: Exit | undefined } = { ended: undefined };
  void exit.then((how) => {
    state.ended = how;
  });
  const isReady = () => {
    // The key, where there is one, comes before the next empty line.
    const line = lines.findIndex((text) => / is ready at http/.test(text));
    return line >= 0 && lines.slice(line).includes('');
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!isReady()) {
    if (state.ended !== undefined || performance.now() > deadline) {
      child.kill('SIGKILL');
      const how =
        state.ended === undefined
          ? 'is not ready yet'
          : `ended with ${state.ended.signal ?? state.ended.code}`;
      throw new Error(`the server ${how}:\n${lines.join('\n')}`);
    }
    await sleep(20);
  }
  if (child.pid === undefined) throw new Error('the server has no process id');
  return {
    url: found(/ is ready at (http\S+)/) ?? '',
    pid: child.pid,
    key: found(/demo key\s+(\S+)/),
    lines,
    kill: (signal) => child.kill(signal),
    exit,
  };
}

const START_TIMEOUT_MS = 180_000;

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => settle({ code, signal }));
  });
}

/** Process id of the PostgreSQL that runs on a data directory, and where its socket is; undefined if none does. */
export function findPostmaster(data_dir: string): { pid: number; socket_dir: string } | undefined {
  const file = join(data_dir, 'postgres', 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const [pid = '', , , , socket_dir = ''] = readFileSync(file, 'utf8').split('\n');
  return isAlive(Number(pid)) ? { pid: Number(pid), socket_dir } : undefined;
}

/** Processes of a postmaster that serve a client each. Linux only. */
export function backendsOf(postmaster: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const parent = / [A-Z] (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1];
      const title = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      return Number(parent) === postmaster && title.startsWith('postgres: postgres financialapi ')
        ? [Number(name)]
        : [];
    } catch {
      // It ended meanwhile.
      return [];
    }
  });
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie answers to signals.
    if (existsSync('/proc/self/stat')) return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export async function until(what: string, timeout_ms: number, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + timeout_ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${timeout_ms} ms until ${what}`);
    await sleep(20);
  }
}
