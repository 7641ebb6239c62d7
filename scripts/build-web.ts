/** Builds the screens of `web/` into a folder, each file beside its compressed forms: see src/web.ts. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { build } from 'vite';

const outDir = process.argv[2];
if (outDir === undefined) throw new Error('usage: node scripts/build-web.ts <folder>');
const configFile = fileURLToPath(new URL('../web/vite.config.ts', import.meta.url));
await build({ configFile, logLevel: 'warn', build: { outDir } });
for (const name of globSync('assets/*.{js,css,svg}', { cwd: outDir })) {
  const file = join(outDir, name);
  const content = readFileSync(file);
  writeFileSync(`${file}.br`, await promisify(brotliCompress)(content));
  writeFileSync(`${file}.gz`, await promisify(gzip)(content));
}
