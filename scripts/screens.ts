/**
 * `npm run screens -- <folder>`: pictures of every screen of the console and the portal, at desktop and phone width, light and dark, from a server with the
 * demo. The tests of the screens make them: what is seen is what was tested.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';

const folder = resolve(process.argv[2] ?? 'tmp/screens');
mkdirSync(folder, { recursive: true });
const child = spawn(
  process.execPath,
  ['scripts/test.ts', 'tests/console.test.ts', 'tests/portal.test.ts', '--test-name-pattern=can be used'],
  {
    stdio: 'inherit',
    env: { ...process.env, PICTURES: folder },
  },
);
child.once('exit', (code) => {
  if (code === 0) console.log(`The pictures are in ${folder}`);
  process.exitCode = code ?? 1;
});
