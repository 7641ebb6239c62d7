/** The frame around every page, and the headers that every page is sent with. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { icon, pageScript, styleSheet } from './assets.ts';
import { type Content, type Html, html, textOf } from './html.ts';

/** Nothing from another host, nothing inline, no frame around us: what was injected into a page could not run. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface Page {
  title: string;
  /** Who is logged in. */
  caller: Caller | undefined;
  /** Where the log-in leads back to. */
  url: string;
  content: Content;
  /** A page that signs somebody in or asks them something: it offers no log-in, and its forms need no script. */
  plain?: true;
}

/** The log-in state and a way to change it. */
function session({ caller, url }: Page): Html {
  if (caller === undefined) {
    return html`<a class="button quiet" href="/login?next=${encodeURIComponent(url)}">Log in</a>`;
  }
  return html`<span class="caller" title="Logged in as ${caller.principal.name}"
      >${caller.tenant_name} <span class="badge">${caller.environment}</span></span
    ><form method="post" action="${caller.principal.kind === 'person' ? '/identity/sign-out/form' : '/logout'}"><button class="quiet">Log out</button></form>`;
}

export function documentOf(page: Page): string {
  return textOf(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · financialapi</title>
<link rel="icon" href="${icon.url}" type="image/svg+xml">
<link rel="stylesheet" href="${styleSheet.url}">
<script type="module" src="${pageScript.url}"></script>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header class="bar"><div class="width">
<a class="brand" href="/"><img src="${icon.url}" alt="" width="24" height="24">financialapi</a>
<nav aria-label="Site"><a href="/docs">Reference</a><a href="/errors">Errors</a></nav>
${page.plain === true ? '' : html`<div class="session">${session(page)}</div>`}
</div></header>
<main id="content" class="width">${page.content}</main>
${page.plain === true ? '' : html`<noscript><p class="width notice">Forms are sent by a script of this site. Without scripts, use the curl lines.</p></noscript>`}
</body>
</html>
`);
}

/** Sets the headers of a page; its text is to be sent as the body. */
export function pageHeaders(reply: FastifyReply, policy = CONTENT_SECURITY_POLICY): FastifyReply {
  return (
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', policy)
      .header('x-content-type-options', 'nosniff')
      .header('x-frame-options', 'DENY')
      .header('cross-origin-opener-policy', 'same-origin')
      // Not `no-referrer`: it would make the Origin of our own forms `null`.
      .header('referrer-policy', 'same-origin')
      .header('vary', 'Accept')
  );
}

export function sendPage(reply: FastifyReply, page: Page): FastifyReply {
  return pageHeaders(reply)
    .serializer((text: unknown) => String(text))
    .send(documentOf(page));
}

/** Whether whoever asks would rather have a page than JSON. The first look is all that other clients cost. */
export function prefersPage(request: FastifyRequest): boolean {
  if (request.headers.accept?.includes('text/html') !== true) return false;
  return request.accepts().type(['application/json', 'text/html']) === 'text/html';
}
