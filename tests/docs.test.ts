/**
 * The documentation is true: its links lead somewhere, the files, commands and dependencies it names exist, what is
 * generated is what the code says, and the commands that README and guides show do what is shown.
 *
 * A fence ```` ```sh run ```` is run, all of one document in one shell, in a directory whose `.data` is that of a
 * fresh demo. A fence marked `output` is what the block before it prints, up to white space; `…` stands for anything,
 * the commas beside it included. One ```` ```sh apart ```` is run in the repository, where it starts processes.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { openDemo } from '../src/demo.ts';
import { boot, type Running } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import type { FreshDatabase } from '../src/platform/testing.ts';
import { seeds } from '../src/seeds.ts';
import { services } from '../src/services.ts';
import { migratedDatabase } from '../src/testing.ts';

const root = new URL('..', import.meta.url).pathname;
const documents = ['README.md', ...globSync('docs/**/*.md', { cwd: root }).toSorted()];
const packageJson: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function read(document: string): string {
  return readFileSync(join(root, document), 'utf8');
}

interface Fence {
  language: string;
  mark: string;
  text: string;
}

function fencesOf(text: string): Fence[] {
  return [...text.matchAll(/^```(\w*) *(.*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', mark = '', content = '']) => ({ language, mark, text: content }),
  );
}

/** The text without what stands in fences, where nothing is a link. */
function proseOf(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** Anchors of the headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const seen = new Map<string, number>();
  return new Set(
    [...proseOf(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) => {
      const anchor = heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-');
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    }),
  );
}

function keysOf(member: 'scripts' | 'dependencies' | 'devDependencies' | 'optionalDependencies'): string[] {
  assert.ok(typeof packageJson === 'object' && packageJson !== null && member in packageJson);
  const value: unknown = Object.entries(packageJson).find(([name]) => name === member)?.[1];
  assert.ok(typeof value === 'object' && value !== null);
  return Object.keys(value);
}

test('every link within the repository leads to a file and a heading', () => {
  const broken: string[] = [];
  let count = 0;
  for (const document of documents) {
    for (const [, link = ''] of proseOf(read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      count += 1;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? document : normalize(join(dirname(document), path));
      if (target.startsWith('..') || !existsSync(join(root, target))) broken.push(`${document}: ${link}`);
      else if (anchor !== undefined && !anchorsOf(read(target)).has(anchor)) {
        broken.push(`${document}: ${link} (no such heading)`);
      }
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(count > 50, `${count} links were looked at`);
});

test('every document is reached from docs/README.md', () => {
  const linked = new Set(
    [...read('docs/README.md').matchAll(/\]\(([^)\s#]+)/g)].map(([, path = '']) =>
      normalize(join('docs', path)),
    ),
  );
  const unreached = documents.filter((document) => document !== 'docs/README.md' && !linked.has(document));
  assert.deepEqual(unreached, []);
});

test('every file and command that a document names exists', () => {
  const scripts = new Set(keysOf('scripts'));
  const missing: string[] = [];
  let count = 0;
  for (const document of documents) {
    const text = read(document);
    for (const [, path = ''] of text.matchAll(
      /`((?:src|scripts|tests|bench|docs|\.ci)\/[\w./-]*\w|package(?:-lock)?\.json)`/g,
    )) {
      count += 1;
      if (!existsSync(join(root, path))) missing.push(`${document}: ${path}`);
    }
    for (const [, script = ''] of text.matchAll(/\bnpm run ([a-z][a-z:-]*)/g)) {
      count += 1;
      if (!scripts.has(script)) missing.push(`${document}: npm run ${script}`);
    }
  }
  assert.deepEqual(missing, []);
  assert.ok(count > 50, `${count} names were looked at`);
});

test('every dependency is named with its reason, and none that is not there', () => {
  const document = 'docs/decisions/dependencies.md';
  const named = [...read(document).matchAll(/^\| `([^`]+)`((?:, `[^`]+`)*) \|/gm)].flatMap(
    ([, first = '', more = '']) => [first, ...[...more.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)],
  );
  const present = (['dependencies', 'devDependencies', 'optionalDependencies'] as const).flatMap(keysOf);
  assert.deepEqual(named.toSorted(), present.toSorted());
});

test('what is generated is what the code says', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, 'scripts/generate-docs.ts'), '--check'],
    { cwd: root },
  ).catch((error: unknown) => {
    assert.fail(error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error));
  });
  assert.match(stdout, /is up to date/);
});

const curl = spawnSync('curl', ['--version']).status === 0 && spawnSync('bash', ['--version']).status === 0;
const skip = curl ? false : 'the guides are run with curl and bash, which are not here';
const python = spawnSync('python3', ['--version']).status === 0;
const noPython = 'the guide runs Python, which is not here';
/** Where the documents say that the server is. */
const shownUrl = 'http://localhost:8000';
const marker = '\u{1e}';

const directory = mkdtempSync(join(tmpdir(), 'financialapi-guides-'));
let database: FreshDatabase;
let running: Running;

before(async () => {
  database = await migratedDatabase();
  const config = readConfig({
    DATABASE_URL: database.url,
    DATA_DIR: join(directory, '.data'),
    PORT: '0',
    LOG_LEVEL: 'error',
    POOL_SIZE: '5',
    // Receivers of webhooks that guides run.
    OUTGOING_ALLOW: '127.0.0.0/8',
  });
  running = await boot(config, services, { seeds });
  assert.ok((await openDemo(running, config, () => {})) !== undefined);
});
after(async () => {
  await running.stop();
  await database.drop();
  rmSync(directory, { recursive: true, force: true });
});

/** What the fence says the block before it prints, as an expression that matches it. */
function patternOf(expected: string): RegExp {
  const parts = expected
    .replaceAll(/\s+/g, '')
    .split(/,?…,?/)
    .map((part) => RegExp.escape(part));
  return new RegExp(`^${parts.join('.*')}$`, 'u');
}

/**
 * What each of the scripts printed, all run in one shell. Fails with what the shell said if one of them fails.
 *
 * @param cwd where they are run
 */
async function runInShell(scripts: readonly string[], cwd = directory): Promise<string[]> {
  const text = scripts.map((script) => `${script}\nprintf '${marker}'\n`).join('');
  // Whatever it came to, what was started in the background is ended, and waited for.
  const ending = `trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\ntrap 'exit 1' TERM\n`;
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', ending + text], {
    cwd,
    env: { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`, HOME: directory },
    maxBuffer: 32 * 1024 * 1024,
    timeout: 280_000,
  });
  return stdout.split(marker).slice(0, -1);
}

/** Asserts that the blocks with this mark printed what the fences after them show. */
function assertShown(fences: readonly Fence[], mark: string, printed: readonly string[]): void {
  const blocks = fences.filter((fence) => fence.mark === mark);
  assert.equal(printed.length, blocks.length);
  let shown = 0;
  for (const [index, fence] of fences.entries()) {
    if (fence.mark !== 'output') continue;
    const block = fences[index - 1];
    assert.ok(
      block !== undefined && block.mark === mark,
      `no ${mark} block before the output\n${fence.text}`,
    );
    const actual = printed[blocks.indexOf(block)] ?? '';
    const compact = actual.replaceAll(/\s+/g, '');
    assert.match(compact, patternOf(fence.text), `${block.text}printed\n${actual}\nand not\n${fence.text}`);
    shown += 1;
  }
  assert.ok(shown > 0, 'it shows no output at all');
}

for (const document of documents) {
  const fences = fencesOf(read(document));
  const blocks = fences.filter(({ mark }) => mark === 'run');
  if (blocks.length === 0) continue;
  const lacksPython = !python && blocks.some(({ text }) => text.includes('python3'));
  test(`the commands of ${document} do what it shows`, { skip: lacksPython ? noPython : skip }, async () => {
    const printed = await runInShell(
      blocks.map(({ text }) => text.replaceAll(shownUrl, running.url).replaceAll('localhost', '127.0.0.1')),
    );
    assertShown(
      fences,
      'run',
      printed.map((text) => text.replaceAll(running.url, shownUrl)),
    );
  });
}

/** Ports of loopback that nobody listens at. */
async function freePorts(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? String(address.port) : '';
  });
  await Promise.all(servers.map((server) => new Promise((settle) => server.close(settle))));
  return ports;
}

test('the commands of docs/guides/run-apart.md start processes that work together', { skip }, async (t) => {
  const apart = await migratedDatabase();
  t.after(() => apart.drop());
  const fences = fencesOf(read('docs/guides/run-apart.md'));
  const shownPorts = ['8001', '8002', '8003', '8004'];
  const ports = await freePorts(shownPorts.length);
  const here = (text: string) =>
    shownPorts
      .reduce((changed, port, index) => changed.replaceAll(port, ports[index] ?? ''), text)
      .replaceAll('localhost', '127.0.0.1')
      .replaceAll(/[\w-]+\.log/g, (name) => join(directory, name))
      .replace(/(?<=DATABASE_URL=)\S+/, `'${apart.url}'`);
  const blocks = fences.filter(({ mark }) => mark === 'apart');
  const printed = await runInShell(
    blocks.map(({ text }) => here(text)),
    root,
  ).catch((error: unknown) => {
    const logs = globSync('*.log', { cwd: directory }).map((name) =>
      readFileSync(join(directory, name), 'utf8'),
    );
    throw new Error(logs.join('\n'), { cause: error });
  });
  assertShown(
    fences,
    'apart',
    printed.map((text) =>
      shownPorts.reduce((changed, port, index) => changed.replaceAll(ports[index] ?? '', port), text),
    ),
  );
});

test('the check of shown output is one', () => {
  assert.match('{"a":1,"id":"x"}', patternOf('{\n  "a": 1,\n  "id": "…"\n}\n'));
  assert.doesNotMatch('{"a":2,"id":"x"}', patternOf('{ "a": 1, "id": "…" }'));
  assert.doesNotMatch('{"a":1}', patternOf('{ "a": 1, … "b": 2 }'));
});
