/**
 * The API in a browser: the same URLs, shown as pages to whoever prefers HTML. Programs that ask for JSON, or for
 * anything, get what they always got.
 */
import type { Access } from './access/access.ts';
import { type Api, isOfApi, isProblemAnswer } from './http.ts';
import { mountAssets } from './page/assets.ts';
import { mountCatalogue } from './page/catalogue.ts';
import { collectEndpoints } from './page/endpoints.ts';
import { mountLanding } from './page/landing.ts';
import { documentOf, pageHeaders, prefersPage } from './page/layout.ts';
import { mountLogin } from './page/login.ts';
import { resourcePage } from './page/resource.ts';
import type { ProblemType } from './problem.ts';
import { mountReference, scalarAsset } from './reference.ts';

export interface PageOptions {
  access: Access;
  catalogue: Record<string, ProblemType>;
  publicUrl: () => string;
  /** The key that one click logs in with; undefined where there is no demo. Asked anew for every page. */
  findDemoKey: () => string | undefined;
  /** Whether the console and the portal are served, too. */
  hasScreens: boolean;
}

/** Mounts the pages. To be called before the routes that they are to show are registered. */
export async function mountPages(app: Api, options: PageOptions): Promise<void> {
  const { publicUrl, findDemoKey } = options;
  const endpoints = collectEndpoints();
  app.addHook('onRoute', (route) => endpoints.add(route));

  app.addHook('onSend', (request, reply, payload, done) => {
    const isApi = isOfApi(request);
    if (isApi) {
      const varies = reply.getHeader('vary');
      reply.header('vary', varies === undefined ? 'Accept' : `${String(varies)}, Accept`);
    }
    if (!prefersPage(request) || !(isApi || isProblemAnswer(request))) {
      done(null, payload);
      return;
    }
    const hasBody = payload !== null && payload !== undefined && payload !== '';
    const type = String(reply.getHeader('content-type') ?? '');
    // A CSV or another file is what was asked for.
    if (hasBody && !(typeof payload === 'string' && /^application\/([a-z.-]+\+)?json\b/.test(type))) {
      done(null, payload);
      return;
    }
    const body: unknown = typeof payload === 'string' && hasBody ? JSON.parse(payload) : undefined;
    if (!hasBody && reply.statusCode === 204) {
      done(null, payload);
      return;
    }
    const page = resourcePage(request, reply, body, isProblemAnswer(request), {
      endpoints,
      publicUrl: publicUrl(),
      demoOffered: findDemoKey() !== undefined,
    });
    reply.removeHeader('content-length');
    pageHeaders(reply);
    done(null, documentOf(page));
  });

  mountAssets(app, () => [scalarAsset()]);
  mountLanding(app, { ...options, endpoints });
  mountCatalogue(app, options);
  await mountLogin(app, options);
  mountReference(app, options);
}
