/**
 * `npm run screens -- --figures`: what the first look at the console and at the portal costs, in a real browser on a server
 * with the demo, each time with nothing kept from before. Prints a table for docs/performance.md.
 */
import { cpus } from 'node:os';
import type { Browser, BrowserContext } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { openConsole, screenSizes } from '../tests/console.ts';

const ROUNDS = 3;
/** How long nothing has to happen until a page is taken to be there. */
const SETTLED_MS = 1_500;

const looks = [
  { name: 'console, signed out', path: '/console', who: undefined },
  { name: 'console, home', path: '/console', who: 'alice' },
  { name: 'portal, signed out', path: '/portal', who: undefined },
  { name: 'portal, home', path: '/portal', who: 'alice' },
] as const;
const machines = [
  { name: '1440 px', size: screenSizes.desktop, slower: 1 },
  { name: '390 px, processor 4 × slower', size: screenSizes.phone, slower: 4 },
] as const;

const Painted = Type.Object({
  fcp_ms: Type.Number(),
  lcp_ms: Type.Number(),
  cls: Type.Number(),
  blocked_ms: Type.Number(),
});
type Figures = Type.Static<typeof Painted> & { bytes: number };

/** Notes what the browser tells of itself, from the beginning on. */
const observing = `
  globalThis.figures = { fcp_ms: 0, lcp_ms: 0, cls: 0, blocked_ms: 0 };
  const observe = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  observe('paint', ({ name, startTime }) => {
    if (name === 'first-contentful-paint') figures.fcp_ms = startTime;
  });
  observe('largest-contentful-paint', ({ startTime }) => { figures.lcp_ms = startTime; });
  observe('layout-shift', ({ value, hadRecentInput }) => { if (!hadRecentInput) figures.cls += value; });
  observe('longtask', ({ duration }) => { figures.blocked_ms += duration - 50; });
`;

type State = Awaited<ReturnType<BrowserContext['storageState']>>;

async function lookOnce(
  browser: Browser,
  url: string,
  { size, slower }: (typeof machines)[number],
  state: State | undefined,
): Promise<Figures> {
  const context = await browser.newContext({
    viewport: size,
    ...(state === undefined ? {} : { storageState: state }),
  });
  const page = await context.newPage();
  await context.addInitScript(observing);
  const devtools = await context.newCDPSession(page);
  await devtools.send('Network.enable');
  let bytes = 0;
  devtools.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  if (slower !== 1) await devtools.send('Emulation.setCPUThrottlingRate', { rate: slower });
  await page.goto(url);
  await page.waitForSelector('h1');
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(SETTLED_MS);
  const painted = Value.Parse(Painted, await page.evaluate('figures'));
  await context.close();
  return { ...painted, bytes };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

export async function printFigures(): Promise<void> {
  const screens = await openConsole();
  const { server, browser } = screens;
  try {
    const visit = await screens.signIn('alice');
    const state = await visit.context.storageState();
    await visit.context.close();
    const [processor] = cpus();
    console.log(
      `${cpus().length} processors (${processor?.model.trim()}), Chromium ${browser.version()}, server and browser on the same machine; median of ${ROUNDS}.\n`,
    );
    console.log(
      '| | | kB | first paint ms | largest paint ms | layout shift | blocked ms |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |',
    );
    for (const { name, path, who } of looks) {
      for (const machine of machines) {
        const found: Figures[] = [];
        for (let round = 0; round < ROUNDS; round += 1) {
          const url = `${server.url}${path}`;
          found.push(await lookOnce(browser, url, machine, who === undefined ? undefined : state));
        }
        const of = (figure: keyof Figures) => median(found.map((one) => one[figure]));
        const cells = [
          name,
          machine.name,
          (of('bytes') / 1_000).toFixed(0),
          of('fcp_ms').toFixed(0),
          of('lcp_ms').toFixed(0),
          of('cls').toFixed(3),
          of('blocked_ms').toFixed(0),
        ];
        console.log(`| ${cells.join(' | ')} |`);
      }
    }
  } finally {
    await screens.close();
  }
}
