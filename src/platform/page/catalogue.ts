/** The catalogue of refusals: what each code means, where the `type` of every problem points. */
import { Type } from 'typebox';
import type { Access } from '../access/access.ts';
import type { Api } from '../http.ts';
import { type ProblemType, refuse } from '../problem.ts';
import { html, prose } from './html.ts';
import { prefersPage, sendPage } from './layout.ts';
import { findCaller } from './login.ts';

export interface CatalogueOptions {
  access: Access;
  catalogue: Record<string, ProblemType>;
  publicUrl: () => string;
}

const Params = Type.Object({ code: Type.String({ maxLength: 100 }) });

export function mountCatalogue(app: Api, { access, catalogue, publicUrl }: CatalogueOptions): void {
  const entryOf = (code: string, type: ProblemType) => ({
    code,
    type: `${publicUrl()}/errors/${code}`,
    ...type,
  });
  const all = () =>
    Object.entries(catalogue)
      .map(([code, type]) => entryOf(code, type))
      .toSorted((a, b) => a.status - b.status || a.code.localeCompare(b.code));

  app.get('/errors', { schema: { hide: true } }, async (request, reply) => {
    if (!prefersPage(request)) return reply.header('vary', 'Accept').send({ data: all() });
    return sendPage(reply, {
      title: 'Errors',
      caller: await findCaller(request, access),
      url: request.url,
      content: html`<h1>Errors</h1>
<p class="lead">Whatever is refused is answered with problem details (<a href="https://www.rfc-editor.org/rfc/rfc9457" rel="noreferrer">RFC 9457</a>). <code>code</code> is stable: programs decide by it.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Codes"><table class="codes"><thead><tr><th scope="col">status</th><th scope="col">code</th><th scope="col">title</th></tr></thead>
<tbody>${all().map(({ code, status, title }) => html`<tr><td>${status}</td><td><a href="/errors/${code}"><code>${code}</code></a></td><td>${title}</td></tr>`)}</tbody></table></div>`,
    });
  });

  app.get('/errors/:code', { schema: { hide: true, params: Params } }, async (request, reply) => {
    const { code } = request.params;
    const type = Object.hasOwn(catalogue, code) ? catalogue[code] : undefined;
    if (type === undefined) throw refuse('not_found', `No error has the code ${code}. /errors lists them.`);
    const entry = entryOf(code, type);
    if (!prefersPage(request)) return reply.header('vary', 'Accept').send(entry);
    return sendPage(reply, {
      title: code,
      caller: await findCaller(request, access),
      url: request.url,
      content: html`<nav aria-label="Breadcrumb"><ol class="breadcrumb"><li><a href="/">start</a></li><li><a href="/errors">errors</a></li><li aria-current="page">${code}</li></ol></nav>
<h1>${entry.title}</h1>
<p class="methods"><span class="badge ${entry.status < 500 ? 'warn' : 'bad'}">${entry.status}</span> <code>${code}</code></p>
<p class="lead">${prose(entry.meaning)}</p>
<pre class="json" tabindex="0" aria-label="JSON">${JSON.stringify({ type: entry.type, title: entry.title, status: entry.status, detail: '…', code, request_id: '…' }, undefined, 2)}</pre>`,
    });
  });
}
