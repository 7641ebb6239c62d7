/**
 * `npm run docs`: writes what is generated from the code to `docs/generated/`. With `--check` it writes nothing and
 * fails if a file is not as it would be written. Needs a PostgreSQL to boot on; takes one of its own and throws it away.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { generatedOpenApi } from '../src/platform/openapi.ts';
import { services } from '../src/services.ts';

const folder = new URL('../docs/generated/', import.meta.url).pathname;
const isCheck = process.argv.includes('--check');

const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-docs-'));
try {
  const config = readConfig({ DATA_DIR: data_dir, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error' });
  const running = await boot(config, services);
  const files = { 'openapi.json': generatedOpenApi(running.app) };
  await running.stop();
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    if (!isCheck) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(path, text);
      console.log(`wrote docs/generated/${name}`);
    } else if (readFileSync(path, 'utf8') !== text) {
      console.error(`docs/generated/${name} is not what the code says: run \`npm run docs\` and commit it`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(data_dir, { recursive: true, force: true });
}
