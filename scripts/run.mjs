/**
 * `node scripts/run.mjs <entry.ts> [arguments]`: runs an entry of the project from a fresh clone, under any Node
 * from 20.19 on. Installs what package-lock.json says if that is not there, then hands over to the Node that the
 * lockfile pins (a package of the registry), which runs TypeScript directly. Needs nothing but Node and npm.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const platform = `${process.platform}-${process.arch}`;
const stampFile = join(root, 'node_modules', '.financialapi-lock-sha256');

const [entry, ...args] = process.argv.slice(2);
if (entry === undefined) stop('usage: node scripts/run.mjs <entry.ts> [arguments]');
await install();
await handOver(entry, args);

/** Makes node_modules what package-lock.json says, unless it is so already. */
async function install() {
  const lock = readText(join(root, 'package-lock.json'));
  if (lock === undefined) stop('package-lock.json is missing: is this a whole checkout?');
  // npm leaves the development dependencies out then, and so must the comparison.
  const omitDev = process.env.NODE_ENV === 'production' || /\bdev\b/.test(process.env.npm_config_omit ?? '');
  const stamp = `${createHash('sha256').update(lock).digest('hex')} ${platform}`;
  const found = readText(stampFile)?.trim();
  if (found === `${stamp} all` || (omitDev && found === `${stamp} production`)) return;

  if (!isInstalled(lock, omitDev)) {
    const began = Date.now();
    process.stderr.write('Installing dependencies (npm ci), once …\n');
    const { code, output } = await npmCi();
    if (code !== 0) {
      process.stderr.write(output);
      stop('npm ci failed: see above; the registry must be reachable for the first start', code);
    }
    process.stderr.write(`Dependencies installed in ${Math.round((Date.now() - began) / 1000)} s\n`);
  }
  try {
    writeFileSync(stampFile, `${stamp} ${omitDev ? 'production' : 'all'}\n`);
  } catch {
    // node_modules may be read-only, in an image for example: then every start compares, in milliseconds.
  }
}

/**
 * Whether npm's record of what it installed (node_modules/.package-lock.json, written last) agrees with the
 * lockfile, for those who ran npm themselves. Of the optional packages only our own for this platform must be there.
 *
 * @param {string} lockText
 * @param {boolean} omitDev
 */
function isInstalled(lockText, omitDev) {
  const recordText = readText(join(root, 'node_modules', '.package-lock.json'));
  if (recordText === undefined) return false;
  try {
    const wanted = JSON.parse(lockText).packages;
    const present = JSON.parse(recordText).packages;
    const ours = Object.keys(wanted[''].optionalDependencies ?? {})
      .filter((name) => name.endsWith(platform))
      .map((name) => `node_modules/${name}`);
    const same = (/** @type {string} */ path) =>
      present[path]?.version === wanted[path]?.version &&
      present[path]?.integrity === wanted[path]?.integrity;
    return (
      Object.keys(present).every(same) &&
      Object.entries(wanted)
        .filter(([path, entry]) => path !== '' && !entry.optional && !(omitDev && entry.dev))
        .every(([path]) => same(path)) &&
      ours.every((path) => same(path) && existsSync(join(root, path, 'package.json')))
    );
  } catch {
    return false;
  }
}

/** @returns {Promise<{ code: number, output: string }>} */
function npmCi() {
  // The level is set since `npm -s start` would keep npm from saying what went wrong.
  const flags = ['ci', '--include=optional', '--no-audit', '--no-fund', '--loglevel=warn'];
  const cli = process.env.npm_execpath ?? '';
  const child = basename(cli).startsWith('npm-cli')
    ? spawn(process.execPath, [cli, ...flags], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    : spawn('npm', flags, {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        shell: process.platform === 'win32',
      });
  passSignals(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  return new Promise((settle) => {
    child.once('error', (error) => settle({ code: 1, output: `npm cannot be run: ${error.message}\n` }));
    child.once('close', (code, signal) => settle({ code: exitCode(code, signal), output }));
  });
}

/**
 * Runs the entry under the right Node and exits as it does.
 *
 * @param {string} entry
 * @param {string[]} args
 */
async function handOver(entry, args) {
  const pinned = join(root, 'node_modules', `node-${platform}`, 'bin', 'node');
  if (existsSync(pinned)) await runNode(pinned, [entry, ...args]);
  // No package for this platform, or one that its C library cannot load.
  if (Number(process.versions.node.split('.')[0]) >= 24) await runNode(process.execPath, [entry, ...args]);
  stop(
    `no Node 24 that runs on ${platform} comes with the project, and this is ${process.versions.node}: install Node 24 and run again with it`,
  );
}

/**
 * Exits as the program does; returns only if it cannot be started.
 *
 * @param {string} node
 * @param {string[]} args
 */
async function runNode(node, args) {
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  const child = spawn(node, args, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: path,
      // Types stripped and code compiled once: a start takes two thirds of the time. Where it cannot be written, nothing is kept.
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.cache', 'compiled'),
    },
  });
  passSignals(child);
  await new Promise((settle) => {
    child.once('error', settle);
    child.once('exit', (code, signal) => process.exit(exitCode(code, signal)));
  });
}

/**
 * Ctrl-C goes to everything in the terminal's foreground, the child included, and npm passes it on to us once more.
 * To pass it on again would interrupt the child twice, which usually means "now, without finishing".
 *
 * @param {import('node:child_process').ChildProcess} child
 */
function passSignals(child) {
  const inTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  /** @type {Map<string, number>} */
  const passedAt = new Map();
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP'])) {
    process.on(signal, () => {
      if (inTerminal && signal !== 'SIGTERM') return;
      const now = performance.now();
      if (now - (passedAt.get(signal) ?? Number.NEGATIVE_INFINITY) < 1_000) return;
      passedAt.set(signal, now);
      child.kill(signal);
    });
  }
}

/**
 * @param {number | null} code
 * @param {keyof typeof constants.signals | null} signal
 */
function exitCode(code, signal) {
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}

/** @param {string} file */
function readText(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * @param {string} message one line
 * @param {number} [code]
 * @returns {never}
 */
function stop(message, code = 1) {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
