/** The console of a real server with the demo institution, in a real browser, for tests that use it as people do. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { assertNoOverflow, launchBrowser, openVisit, type Visit } from './browser.ts';
import { type ServerProcess, startServer } from './server.ts';

export const screenSizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

/** Where pictures of the screens go, for whoever wants to look at them. */
const pictures = process.env['PICTURES'];

const Findings = Type.Array(
  Type.Object({ id: Type.String(), impact: Type.String(), nodes: Type.Array(Type.String()) }),
);

/** Part of the demo that signs in. */
type DemoPerson = 'alice' | 'otto' | 'audra';

/** An event that a consumer holds, as the server would tell it: nothing that the demo has fails. */
export const heldEvent = {
  consumer: 'webhooks.enqueue',
  event_id: 'evt_01m8bes0wgeq09f5g3f2ra7czq',
  type: 'ledger.transfer.posted',
  subject: 'trf_01m8bes0wgeq09f5g3f2ra7czq',
  sequence: 22,
  state: 'parked',
  attempts: 8,
  next_attempt_at: null,
  reason: 'the table is full',
  held_at: '2026-11-26T08:15:28.658Z',
};

export interface ConsoleTest {
  server: ServerProcess;
  browser: Browser;
  /** A browser of somebody of the demo who is signed in. */
  signIn(
    person: DemoPerson,
    options?: { size?: keyof typeof screenSizes; scheme?: 'light' | 'dark'; language?: 'en' | 'pt' },
  ): Promise<Visit>;
  /** A browser of somebody who operates the installation, and is signed in. */
  signInOperator(options?: { size?: keyof typeof screenSizes }): Promise<Visit>;
  /** Asks the API with the key of the demo, as JSON. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown, key?: string): Promise<unknown>;
  close(): Promise<void>;
}

/** Starts a server with the demo in a folder of its own. */
export async function openConsole(settings: Record<string, string> = {}): Promise<ConsoleTest> {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-console-'));
  const server = await startServer({ DATA_DIR: data_dir, ...settings });
  const browser = await launchBrowser();
  let asked = 0;
  let operators = 0;
  const passwordOf = (person: DemoPerson): { email: string; password: string } => {
    const found = server.lines
      .map((line) => /(\S+@banco-exemplo\.example)\s+(\S+)/.exec(line))
      .find((match) => match?.[1]?.startsWith(`${person}@`) === true);
    const [, email = '', password = ''] = found ?? [];
    assert.notEqual(password, '', `npm start names no password of ${person}`);
    return { email, password };
  };
  return {
    server,
    browser,
    async signIn(person, { size = 'desktop', scheme = 'light', language = 'en' } = {}) {
      const visit = await openVisit(browser, server.url, {
        viewport: screenSizes[size],
        colorScheme: scheme,
      });
      await visit.context.addInitScript(`localStorage.setItem('financialapi.language', '${language}')`);
      const answer = await visit.context.request.post('/identity/sign-in', {
        data: passwordOf(person),
        headers: { origin: server.url },
      });
      assert.equal(answer.status(), 200, await answer.text());
      return visit;
    },
    async signInOperator({ size = 'desktop' } = {}) {
      operators += 1;
      const email = `olga.${operators}@operator.example`;
      const password = 'four words make one';
      const key = server.lines
        .map((line) => /platform key\s+(fa_live_\S+)/.exec(line)?.[1])
        .find((found) => found !== undefined);
      assert.ok(key !== undefined, 'npm start names no platform key');
      const invited = await fetch(`${server.url}/api/v2/invitations`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'idempotency-key': `operator-${operators}`,
        },
        body: JSON.stringify({ email, roles: ['administrator'] }),
      });
      const { token } = Value.Parse(Type.Object({ token: Type.String() }), await invited.json());
      const visit = await openVisit(browser, server.url, { viewport: screenSizes[size] });
      await visit.context.addInitScript(`localStorage.setItem('financialapi.language', 'en')`);
      const send = async (path: string, data: unknown) => {
        const answer = await visit.context.request.post(path, { data, headers: { origin: server.url } });
        assert.ok(answer.ok(), `${path}: ${await answer.text()}`);
      };
      await send('/identity/invitations/accept', { token, name: 'Olga', password });
      await send('/identity/sign-in', { email, password });
      await send('/identity/me/environment', { environment: 'live' });
      return visit;
    },
    async ask(method, path, body, key = `console-test-${asked}`) {
      asked += 1;
      const answer = await fetch(`${server.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${server.key}`,
          ...(method === 'POST' ? { 'idempotency-key': key } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
      return JSON.parse(text);
    },
    async close() {
      await browser.close();
      server.kill('SIGTERM');
      await server.exit;
      rmSync(data_dir, { recursive: true, force: true });
    },
  };
}

/** Opens a page of the console and waits until it has what it shows. */
export async function openPage(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await page.waitForSelector('h1');
  await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
}

/** Goes to another page without loading the screens anew, as a link does. */
export async function goToPage(page: Page, path: string): Promise<void> {
  await page.evaluate(`{
    document.querySelector('h1')?.setAttribute('data-before', '');
    history.pushState({}, '', ${JSON.stringify(path)});
    dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  }`);
  await page.waitForSelector('h1:not([data-before])');
  await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
}

const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What axe finds that is serious or worse. */
async function assertNothingSerious(
  page: Page,
  runOnly: readonly string[],
  within: 'document' | '"main"' = 'document',
): Promise<void> {
  if (await page.evaluate<boolean>("typeof axe === 'undefined'")) await page.evaluate(axe.source);
  const found: unknown = await page.evaluate(`axe.run(${within}, {
    runOnly: ${JSON.stringify(runOnly)},
  }).then(({ violations }) => violations.map(({ id, impact, nodes }) => ({
    id, impact: impact ?? '', nodes: nodes.map(({ target, failureSummary }) => target.join(' ') + ': ' + failureSummary),
  })))`);
  const serious = Value.Parse(Findings, found).filter(({ impact }) =>
    ['serious', 'critical'].includes(impact),
  );
  assert.deepEqual(serious, [], `${page.url()}\n${JSON.stringify(serious, null, 2)}`);
}

/** That nobody is kept from using a page: no finding of axe that is serious or worse, and nothing wider than the window. */
export async function assertUsable(page: Page): Promise<void> {
  await assertNoOverflow(page);
  await assertNothingSerious(page, rules);
}

/** Sees a page in the light or the dark, when its colours have changed. */
async function turn(page: Page, scheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme: scheme });
  await page.locator(`html[data-mantine-color-scheme="${scheme}"]`).waitFor();
  await page.evaluate(`Promise.allSettled(document.getAnimations()
    .filter(({ effect }) => effect?.getComputedTiming().endTime < Infinity)
    .map(({ finished }) => finished))`);
}

/** As what a page was seen last. */
const seenAs = new WeakMap<Page, 'light' | 'dark'>();

/**
 * Opens a page and sees it in the light, and in the dark, where nothing of it is other than its colours. It begins with
 * those that the page before was seen in: to turn takes as long as to open.
 */
export async function lookAt(
  page: Page,
  path: string,
  name: string,
  open: (page: Page, path: string) => Promise<void> = openPage,
): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  // The frame around it is the same on every page.
  const within = seenAs.has(page) ? '"main"' : 'document';
  await open(page, path);
  await assertNoOverflow(page);
  // Colours are those of the wide screen.
  const isInBoth = width >= screenSizes.desktop.width || pictures !== undefined;
  const schemes = isInBoth ? (['light', 'dark'] as const) : (['light'] as const);
  for (const scheme of seenAs.get(page) === 'dark' ? schemes.toReversed() : schemes) {
    if (seenAs.get(page) !== scheme) await turn(page, scheme);
    seenAs.set(page, scheme);
    await picture(page, `${name}-${width}-${scheme}`);
    await assertNothingSerious(
      page,
      scheme === 'light' ? rules : ['color-contrast', 'link-in-text-block'],
      within,
    );
  }
}

export async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}
