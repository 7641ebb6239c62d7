/**
 * `npm run screens -- <folder>`: pictures of every screen of the console and the portal, at desktop and phone width, light and dark, from a server with the
 * demo. The tests of the screens make them: what is seen is what was tested. With `--figures` it measures what the first
 * look at them costs instead.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { builtWeb } from '../src/web.ts';
import { printFigures } from './screen-figures.ts';

if (process.argv[2] === '--figures') {
  await builtWeb((line) => console.error(`${line} …`));
  await printFigures();
} else {
  takePictures(resolve(process.argv[2] ?? 'tmp/screens'));
}

function takePictures(folder: string): void {
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
}
