/** `/openapi.json` and `/docs`, the reference in which requests can be sent: Scalar, served from its package. */
import Fastify from 'fastify';
import type { Access } from './access/access.ts';
import { type Api, KEY_COOKIE } from './http.ts';
import { openApiDocument } from './openapi.ts';
import { type Asset, icon, makeAsset, referenceScript, referenceStyleSheet } from './page/assets.ts';
import { html, textOf } from './page/html.ts';
import { pageHeaders } from './page/layout.ts';
import { findCaller } from './page/login.ts';

/**
 * Looser than that of our own pages by what Scalar needs: it sets style attributes and adds style sheets as it runs.
 * Scripts are still ours only, and nothing is asked of another host. Proven by tests/browser.test.ts.
 */
const REFERENCE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

let scalar: Promise<Asset> | undefined;

/**
 * Scalar's script: four megabytes, hence only loaded when somebody reads the reference. Its package has it within a
 * plugin, which is mounted on a server of its own, never listening, for that one file.
 */
export function scalarAsset(): Promise<Asset> {
  scalar ??= (async () => {
    const { default: plugin } = await import('@scalar/fastify-api-reference');
    const holder = Fastify();
    await holder.register(plugin, { routePrefix: '/docs', configuration: { url: '/openapi.json' } });
    const answer = await holder.inject('/docs/js/scalar.js');
    await holder.close();
    if (answer.statusCode !== 200)
      throw new Error(`Scalar's script is not at its place: ${answer.statusCode}`);
    return makeAsset('scalar', 'js', answer.rawPayload);
  })();
  return scalar;
}

export interface ReferenceOptions {
  access: Access;
  publicUrl: () => string;
  findDemoKey: () => string | undefined;
}

export function mountReference(app: Api, { access, publicUrl, findDemoKey }: ReferenceOptions): void {
  app.get('/openapi.json', { schema: { hide: true } }, async () => openApiDocument(app, publicUrl()));

  app.get('/docs', { schema: { hide: true } }, async (request, reply) => {
    const key = request.cookies[KEY_COOKIE];
    const demoKey = findDemoKey();
    const caller = await findCaller(request, access);
    const isDemo = caller !== undefined && key !== undefined && key === demoKey;
    const login = html`<a href="/login?next=%2Fdocs">Log in</a>`;
    const state = isDemo
      ? 'Requests are sent with the demo key'
      : caller !== undefined
        ? html`Logged in to ${caller.tenant_name}`
        : html`${login} to send requests${demoKey === undefined ? '' : ' with the demo key'}`;
    // The reference shows the key it sends. The demo's is no secret to who logged in with it; any other stays hidden.
    const token = isDemo ? key : '';
    const { url } = await scalarAsset();
    return pageHeaders(reply, REFERENCE_POLICY).send(
      textOf(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reference · financialapi</title>
<link rel="icon" href="${icon.url}" type="image/svg+xml">
<link rel="stylesheet" href="${referenceStyleSheet.url}">
</head>
<body>
<header class="bar"><a class="brand" href="/">financialapi</a><a href="/errors">Errors</a><span class="state">${state}</span></header>
<div id="reference" data-token="${token}"></div>
<script src="${url}"></script>
<script src="${referenceScript.url}"></script>
</body>
</html>
`),
    );
  });
}
