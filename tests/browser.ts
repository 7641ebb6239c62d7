/** A real browser on the pages of a server, for tests that look at them as people do. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from 'playwright-core';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** Why the tests are skipped where there is no browser. In CI there has to be one. */
export const skip =
  process.env['CI'] !== 'true' && !existsSync(executablePath)
    ? `no browser at ${executablePath}: set CHROMIUM to run this`
    : false;

export const desktop = { width: 1280, height: 900 };
export const phone = { width: 390, height: 844 };

/** Starts the browser; it asks nobody for anything by itself. */
export function launchBrowser(): Promise<Browser> {
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ];
  return chromium.launch({ executablePath, args });
}

export interface Visit {
  context: BrowserContext;
  page: Page;
  /** What must not happen: errors of scripts or policy, and requests to others than those allowed. */
  complaints: string[];
}

/** @param options.others sites beside `baseURL` that the visit may lead to */
export async function openVisit(
  browser: Browser,
  baseURL: string,
  options: {
    viewport: { width: number; height: number };
    colorScheme?: 'light' | 'dark';
    others?: readonly string[];
  },
): Promise<Visit> {
  const { viewport, colorScheme = 'light', others = [] } = options;
  // What still fades in cannot be judged.
  const context = await browser.newContext({ viewport, colorScheme, baseURL, reducedMotion: 'reduce' });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // That a refusal was answered with 4xx is what some of these tests are about.
    const isRefusal = /the server responded with a status of 4\d\d/.test(message.text());
    if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const url = request.url();
    const isAllowed = [baseURL, ...others].some((site) => url.startsWith(`${site}/`));
    if (!isAllowed && !/^(data|blob):/.test(url)) complaints.push(`asked ${url}`);
  });
  return { context, page, complaints };
}

export async function assertNoOverflow(page: Page): Promise<void> {
  const { scroll, inner } = await page.evaluate<{ scroll: number; inner: number }>(
    '({ scroll: document.documentElement.scrollWidth, inner: innerWidth })',
  );
  assert.ok(scroll <= inner, `${page.url()} is ${scroll} wide in a window of ${inner}`);
}

export interface Authenticator {
  session: CDPSession;
  id: string;
}

/** An authenticator of the device, which knows whoever holds it. */
export async function addAuthenticator({ context, page }: Visit): Promise<Authenticator> {
  const session = await context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return { session, id: authenticatorId };
}
