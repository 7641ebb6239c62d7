/** The guide to writing a service is right: the files that it shows are put together, checked, started and used. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Service } from '../src/platform/service.ts';
import { services } from '../src/services.ts';
import { openTestPlatform } from '../src/testing.ts';

const root = new URL('..', import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), 'financialapi-write-a-service-'));
const folder = join(directory, 'src/services/tallies');

before(() => {
  const guide = readFileSync(join(root, 'docs/guides/write-a-service.md'), 'utf8');
  const files = [...guide.matchAll(/^```(?:ts|sql) file=(\S+)\n([\s\S]*?)^```$/gm)];
  assert.equal(files.length, 5);
  mkdirSync(join(folder, 'none'), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
  symlinkSync(join(root, 'src/platform'), join(directory, 'src/platform'));
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
  for (const [, name = '', text = ''] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));

test('its types are right', async () => {
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { noEmit: true, typeRoots: [join(root, 'node_modules/@types')] },
      // Requests have members that are declared beside what sets them.
      include: ['src/services', 'src/platform/approvals/route.ts'],
    }),
  );
  const compile = promisify(execFile)(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '--project', directory, '--listFiles'],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const { stdout } = await compile.catch((error: unknown) => {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    // But not the list of files.
    assert.fail(output.replaceAll(/^\/.*\.(d\.)?[cm]?ts\n/gm, ''));
  });
  for (const name of ['contract', 'get-tally', 'service', 'asking']) {
    assert.ok(stdout.includes(join(folder, `${name}.ts`)), `${name}.ts was looked at`);
  }
});

function isService(value: unknown): value is Service {
  return typeof value === 'object' && value !== null && 'start' in value && 'migrations' in value;
}

/** The services that a file of the guide declares. */
async function load(name: string): Promise<Service[]> {
  const module: unknown = await import(join(folder, name));
  return typeof module === 'object' && module !== null ? Object.values(module).filter(isService) : [];
}

test('it hears, keeps, shows and answers', async () => {
  const own = [...(await load('service.ts')), ...(await load('asking.ts'))];
  assert.deepEqual(
    own.map(({ name }) => name),
    ['tallies', 'asking'],
  );
  const platform = await openTestPlatform({}, {}, [...services, ...own]);
  try {
    const [bank, other] = [await platform.newTenant(), await platform.newTenant()];
    await bank.post('/api/v2/chart-of-accounts', { code: '1', name: 'Cash', type: 'asset' });
    for (let n = 0; n < 3; n += 1) {
      await bank.post('/api/v2/accounts', { name: 'A', currency: 'BRL', chart_code: '1' });
    }
    while ((await bank.get('/api/v2/tally')).accounts_opened < 3) await sleep(20);
    assert.deepEqual(await bank.get('/api/v2/tally'), { accounts_opened: 3 });
    assert.deepEqual(await bank.get('/api/v2/asking'), { accounts_opened: 3 });
    assert.deepEqual(await other.get('/api/v2/asking'), { accounts_opened: 0 });
    await bank.post('/api/v2/sandbox/reset', {});
    assert.deepEqual(await bank.get('/api/v2/tally'), { accounts_opened: 0 });
  } finally {
    await platform.close();
  }
});
