/** An answer of the API as a page: what came back, where it leads, and what can be asked next. */
import { STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import type { Endpoints, Operation } from './endpoints.ts';
import { curlBlock, curlOf, dataLists, type FormContext, operationForm, optionsForm } from './form.ts';
import { type Content, type Html, html } from './html.ts';
import {
  facts,
  isMoney,
  isObject,
  jsonBlock,
  type Links,
  linksOf,
  table,
  textIn,
  withQuery,
} from './json.ts';
import type { Page } from './layout.ts';
import { loginForms } from './login.ts';

export interface ResourceContext {
  endpoints: Endpoints;
  publicUrl: string;
  demoOffered: boolean;
}

/** Headers of an answer that tell a reader something. */
const shownHeaders = [
  'location',
  'etag',
  'ledger-position',
  'idempotent-replayed',
  'allow',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'deprecation',
  'sunset',
  'link',
  'www-authenticate',
  'content-type',
  'request-id',
];

function headerName(name: string): string {
  if (name === 'etag') return 'ETag';
  if (name === 'www-authenticate') return 'WWW-Authenticate';
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()).replace(/^Ratelimit/, 'RateLimit');
}

function headerList(reply: FastifyReply, links: Links): Html {
  const rows = shownHeaders.flatMap((name) => {
    const value = reply.getHeader(name);
    if (value === undefined) return [];
    const text = String(value);
    const href = name === 'location' ? links.of(name, text) : undefined;
    return [
      html`<div><dt>${headerName(name)}</dt><dd>${href === undefined ? text : html`<a href="${href}">${text}</a>`}</dd></div>`,
    ];
  });
  return html`<dl class="headers">${rows}</dl>`;
}

function badgeOf(status: number): Html {
  const tone = status < 300 ? 'good' : status < 500 ? 'warn' : 'bad';
  return html`<span class="badge ${tone}">${status} ${STATUS_CODES[status] ?? ''}</span>`;
}

function methodBadge(method: string): Html {
  return html`<span class="method ${method.toLowerCase()}">${method}</span>`;
}

function breadcrumb(path: string, endpoints: Endpoints): Html {
  const steps = path.split('/').filter((step) => step !== '');
  const isShown = (candidate: string) =>
    endpoints.at(candidate).some(({ endpoint }) => endpoint.method === 'GET' && !endpoint.changes_state);
  const items = steps.map((step, index) => {
    const bare = `/${steps.slice(0, index + 1).join('/')}`;
    const href = [bare, `${bare}/`].find(isShown);
    const name = decode(step);
    if (index === steps.length - 1) return html`<li aria-current="page">${name}</li>`;
    return html`<li>${href === undefined ? name : html`<a href="${href}">${name}</a>`}</li>`;
  });
  return html`<nav aria-label="Breadcrumb"><ol class="breadcrumb"><li><a href="/">start</a></li>${items}</ol></nav>`;
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

function problemText(body: Record<string, unknown>): Content {
  const errors = Array.isArray(body['errors']) ? body['errors'].filter(isObject) : [];
  const code = textIn(body, 'code');
  return html`<div class="problem" role="alert"><p><strong>${textIn(body, 'title')}.</strong> ${textIn(body, 'detail')}</p>
${errors.length === 0 ? '' : html`<ul>${errors.map((error) => html`<li data-pointer="${textIn(error, 'pointer')}"><code>${textIn(error, 'pointer') || 'body'}</code> ${textIn(error, 'detail')}</li>`)}</ul>`}
<p>Code <a href="/errors/${encodeURIComponent(code)}"><code>${code}</code></a>: when it happens and what to do.</p></div>`;
}

/** Cursors as links. */
function pager(url: string, body: Record<string, unknown>): Content {
  const next = body['next_cursor'];
  const isFirst = !new URLSearchParams(url.split('?')[1]).has('cursor');
  if ((next ?? null) === null && isFirst) return '';
  return html`<nav class="pager" aria-label="Pages">${isFirst ? '' : html`<a class="button" href="${withQuery(url, 'cursor', undefined)}">First page</a>`}${
    typeof next === 'string'
      ? html`<a class="button" rel="next" href="${withQuery(url, 'cursor', next)}">Next page</a>`
      : html`<span class="none">last page</span>`
  }</nav>`;
}

/** The lists within a thing, as the entries of a transfer. */
function nestedTables(body: unknown, links: Links): Content {
  if (!isObject(body)) return '';
  return Object.entries(body)
    .filter(([, value]) => Array.isArray(value) && value.length > 0 && value.every(isObject))
    .map(([name, value]) => [
      html`<h3>${name.replaceAll('_', ' ')}</h3>`,
      table(Array.isArray(value) ? value : [], links, () => undefined),
    ]);
}

function answerSection(
  request: FastifyRequest,
  reply: FastifyReply,
  body: unknown,
  { links, isProblem, endpoints }: { links: Links; isProblem: boolean; endpoints: Endpoints },
): Html {
  const path = request.url.split('?')[0] ?? '';
  const items = Array.isArray(body)
    ? body
    : isObject(body) && Array.isArray(body['data'])
      ? body['data']
      : undefined;
  const memberPath = (item: Record<string, unknown>) => {
    const { id } = item;
    return typeof id === 'string' || typeof id === 'number' ? endpoints.pathOfMember(path, id) : undefined;
  };
  return html`<section id="answer" data-status="${reply.statusCode}" aria-label="Answer">
<p class="request">${methodBadge(request.method)} <code>${request.url}</code> ${badgeOf(reply.statusCode)}</p>
${isProblem && isObject(body) ? problemText(body) : ''}
${isObject(body) && !isProblem ? facts(body, links) : ''}
${items === undefined ? (isProblem ? '' : nestedTables(body, links)) : table(items, links, memberPath)}
${items?.length === 0 ? html`<p class="none">Nothing here${request.url.includes('?') ? ' with these options' : ' yet'}.</p>` : ''}
${isObject(body) && request.method === 'GET' ? pager(request.url, body) : ''}
${headerList(reply, links)}
${body === undefined ? '' : jsonBlock(body, links, items !== undefined)}
</section>`;
}

/** The first currency that a body speaks of. */
function currencyIn(body: unknown): string | undefined {
  if (isMoney(body)) return body.currency;
  if (!isObject(body)) return undefined;
  if (typeof body['currency'] === 'string') return body['currency'];
  for (const member of Object.values(body)) {
    const found = Array.isArray(member) ? currencyIn(member[0]) : currencyIn(member);
    if (found !== undefined) return found;
  }
  return undefined;
}

function anchor({ endpoint, path }: Operation): string {
  return `${endpoint.method} ${path}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
}

function operationDetails(operation: Operation, context: FormContext, open: boolean): Html {
  const { endpoint, path } = operation;
  return html`<details class="op" id="${anchor(operation)}"${open ? html` open` : ''}><summary>${methodBadge(endpoint.method)} <span class="what">${endpoint.summary}</span> <code>${path}</code></summary>${operationForm(operation, context)}</details>`;
}

function below(operation: Operation, context: FormContext): Html {
  const { endpoint, path } = operation;
  const options = Object.keys(endpoint.query?.properties ?? {}).filter(
    (name) => name !== 'cursor' && name !== 'limit',
  );
  const mustHave = (endpoint.query?.required ?? []).length > 0;
  const title = html`${methodBadge('GET')} <span class="what">${mustHave ? endpoint.summary : html`<a href="${path}">${endpoint.summary || path}</a>`}</span> <code>${path}</code>`;
  if (options.length === 0) return html`<p class="op">${title}</p>`;
  return html`<details class="op" id="${anchor(operation)}"><summary>${title}</summary>${optionsForm(operation, new URLSearchParams(), context)}</details>`;
}

/** The page for an answer. `body` is what a JSON client would have received, parsed; undefined if there is none. */
export function resourcePage(
  request: FastifyRequest,
  reply: FastifyReply,
  body: unknown,
  isProblem: boolean,
  { endpoints, publicUrl, demoOffered }: ResourceContext,
): Page {
  const { url } = request;
  const [path = '', search] = url.split('?');
  const links = linksOf({ endpoints, publicUrl, url });
  // Before the caller is known, as for a request without a key, there is none.
  const caller: Caller | undefined = request.caller;
  const here = endpoints.at(path);
  const asked = here.find(({ endpoint }) => endpoint.method === request.method);
  let count = 0;
  const etag = reply.getHeader('etag');
  const context: FormContext = {
    endpoints,
    publicUrl,
    etag: typeof etag === 'string' ? etag : undefined,
    currency: isProblem || (isObject(body) && 'data' in body) ? undefined : currencyIn(body),
    shown: isObject(body) && !isProblem ? { path, body } : undefined,
    next: () => {
      count += 1;
      return count;
    },
  };
  const get = here.find(({ endpoint }) => endpoint.method === 'GET' && !endpoint.changes_state);
  const query = new URLSearchParams(search);
  const hasOptions = Object.keys(get?.endpoint.query?.properties ?? {}).length > 0;
  const children = endpoints.below(path);
  const changes = [...here, ...children].filter(({ endpoint }) => endpoint.changes_state);
  const shows = children.filter(({ endpoint }) => !endpoint.changes_state);
  const name = isObject(body) && !isProblem ? (body['name'] ?? body['description']) : undefined;
  const summary = asked?.endpoint.summary || path;
  const title = (isProblem && isObject(body) && textIn(body, 'title')) || summary;
  const isLoggedOut = reply.statusCode === 401;
  // Where the thing itself is not, nothing can be done with it.
  const isAbsent = reply.statusCode === 404;

  const content = html`${dataLists()}${breadcrumb(path, endpoints)}
<h1>${typeof name === 'string' && name !== '' ? name : title}</h1>
${typeof name === 'string' && name !== '' ? html`<p class="lead">${summary}</p>` : ''}
${here.length === 0 ? '' : html`<p class="methods">Methods here: ${here.map((operation) => (isLoggedOut || isAbsent ? html`${methodBadge(operation.endpoint.method)} ` : operation.endpoint.changes_state ? html`<a href="#${anchor(operation)}">${methodBadge(operation.endpoint.method)}</a> ` : html`<a href="${path}">${methodBadge('GET')}</a> `))}</p>`}
${isLoggedOut ? html`<section class="card"><h2>Log in to see this</h2>${loginForms({ next: url, demoOffered, message: undefined })}</section>` : ''}
${get !== undefined && hasOptions && !isLoggedOut ? html`<details class="op"${!isProblem || [...query].length === 0 ? '' : html` open`}><summary>Options and filters</summary>${optionsForm(get, query, context)}</details>` : ''}
${answerSection(request, reply, body, { links, isProblem, endpoints })}
${request.method === 'GET' ? html`<details class="op ascurl"><summary>This request as curl</summary>${curlBlock(curlOf('GET', publicUrl + url, {}))}</details>` : ''}
${isLoggedOut || isAbsent || shows.length === 0 ? '' : html`<h2>See also</h2><div class="ops">${shows.map((operation) => below(operation, context))}</div>`}
${isLoggedOut || isAbsent || changes.length === 0 ? '' : html`<h2>What can be done</h2><div class="ops">${changes.map((operation) => operationDetails(operation, context, get === undefined && changes.length === 1))}</div>`}`;
  return { title: `${title} — ${request.method} ${path}`, caller, url, content };
}
