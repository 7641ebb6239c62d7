/**
 * The screens, built from `web/` when it is first needed and kept until a file of it changes: whoever starts the
 * project needs no step before that.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const kept = join(root, 'node_modules', '.cache', 'web');

/** What is built from the files that there are now has this name. */
function stamp(): string {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')));
  for (const file of globSync(['web/**/*.*', 'docs/changelog.md'], { cwd: root }).toSorted()) {
    hash.update(`\0${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder of what was built; builds it, which takes some seconds, if it is not there.
 *
 * @param say told that it is being built
 * @throws Error with what the build said
 */
export async function builtWeb(say: (line: string) => void): Promise<string> {
  const folder = join(kept, stamp());
  if (existsSync(folder)) return folder;
  say('building the screens, once');
  await mkdir(kept, { recursive: true });
  const fresh = mkdtempSync(join(kept, 'new-'));
  try {
    await build(fresh);
    // Several processes may have begun at once: what any of them built is the same.
    if (!existsSync(folder)) renameSync(fresh, folder);
    for (const other of globSync('*', { cwd: kept }).filter((name) => /^[0-9a-f]{16}$/.test(name))) {
      if (join(kept, other) !== folder) rmSync(join(kept, other), { recursive: true, force: true });
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}

/** Builds in a process of its own, whose memory ends with it. */
function build(folder: string): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'scripts', 'build-web.ts'), folder], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`the console could not be built:\n${output.trim()}`));
    });
  });
}
