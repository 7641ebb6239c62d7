/**
 * The screens that are built from `web/`: an HTML document for each entry, whose pages are told apart in the browser,
 * and the scripts and styles that it loads, under names that carry their hash.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { Api } from './http.ts';
import { pageHeaders } from './page/layout.ts';

/** What the build writes where a nonce belongs. */
const NONCE = 'CSP-NONCE';
const YEAR_MS = 31_536_000_000;
const ENTRIES = ['console', 'portal'];

/**
 * As for the other pages, except for styles: the component library writes some into the document, by the nonce of the
 * answer, and charts set them on elements. A style runs nothing.
 */
const policyWith = (nonce: string) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "style-src-attr 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

/** Serves what was built into a folder: `/console` and `/portal` with whatever is below them, and the files under `/web/`. */
export async function mountWeb(app: Api, folder: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: join(folder, 'assets'),
    prefix: '/web/assets/',
    decorateReply: false,
    index: false,
    preCompressed: true,
    immutable: true,
    maxAge: YEAR_MS,
  });
  for (const entry of ENTRIES) {
    const file = join(folder, entry, 'index.html');
    if (!existsSync(file)) continue;
    const document = readFileSync(file, 'utf8');
    for (const path of [`/${entry}`, `/${entry}/*`]) {
      app.get(path, { schema: { hide: true } }, async (_request, reply) => {
        const nonce = randomBytes(16).toString('base64');
        return pageHeaders(reply, policyWith(nonce))
          .header('cache-control', 'no-cache')
          .serializer((text: unknown) => String(text))
          .send(document.replaceAll(NONCE, nonce));
      });
    }
  }
}
