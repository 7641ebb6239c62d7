/**
 * Style sheet, scripts and icon of the pages: a handful of files, kept in memory and served under a name that carries
 * their hash, so that browsers never ask twice and never see an old one.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Api } from '../http.ts';
import { refuse } from '../problem.ts';

export interface Asset {
  url: string;
  type: string;
  body: Buffer;
}

const types = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const;
const YEAR_S = 31_536_000;
const compress = promisify(gzip);

export function makeAsset(name: string, extension: keyof typeof types, body: Buffer): Asset {
  const digest = hash('sha256', body, 'hex').slice(0, 12);
  return { url: `/assets/${name}-${digest}.${extension}`, type: `${types[extension]}; charset=utf-8`, body };
}

function read(file: string, name: string, extension: keyof typeof types): Asset {
  return makeAsset(name, extension, readFileSync(new URL(file, import.meta.url)));
}

export const styleSheet = read('./page.css', 'page', 'css');
export const pageScript = read('./page.js', 'page', 'js');
export const passkeyScript = read('./passkey.js', 'passkey', 'js');
export const referenceScript = read('./reference.js', 'reference', 'js');
export const referenceStyleSheet = read('./reference.css', 'reference', 'css');
export const icon = read('./icon.svg', 'icon', 'svg');

/** Serves assets. Those that take time to make are made when they are first asked for. */
export function mountAssets(app: Api, later: () => Promise<Asset>[]): void {
  const compressed = new Map<string, Promise<Buffer>>();
  const known = [styleSheet, pageScript, passkeyScript, referenceScript, referenceStyleSheet, icon];
  app.get<{ Params: { name: string } }>(
    '/assets/:name',
    { schema: { hide: true } },
    async (request, reply) => {
      const path = `/assets/${request.params.name}`;
      const all = [...known, ...(await Promise.all(later()))];
      const asset = all.find(({ url }) => url === path);
      if (asset === undefined) throw refuse('not_found', `Nothing is at ${path}.`);
      reply
        .type(asset.type)
        .header('cache-control', `public, max-age=${YEAR_S}, immutable`)
        .header('vary', 'Accept-Encoding');
      if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return asset.body;
      const body = compressed.get(path) ?? compress(asset.body);
      compressed.set(path, body);
      return reply.header('content-encoding', 'gzip').send(await body);
    },
  );
}
