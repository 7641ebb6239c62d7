/** Log-in of a browser: the key becomes a cookie that no script can read and no other site's request carries. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access } from '../access/access.ts';
import type { Caller } from '../access/caller.ts';
import { type Api, comesFromOwnPage, KEY_COOKIE } from '../http.ts';
import { Problem, refuse } from '../problem.ts';
import { type Html, html } from './html.ts';
import { sendPage } from './layout.ts';

export interface LoginOptions {
  access: Access;
  publicUrl: () => string;
  /** The demo's key, where there is one to offer. */
  findDemoKey: () => string | undefined;
}

/** Longest log-in form that is read. */
const FORM_LIMIT_BYTES = 10_000;

/** Who the cookies of a request stand for; undefined without one, or if what they hold is no longer good. */
export async function findCaller(request: FastifyRequest, access: Access): Promise<Caller | undefined> {
  if (request.headers.cookie === undefined) return undefined;
  try {
    return await access.identify(request, request.cookies[KEY_COOKIE]);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** The forms to log in with. */
export function loginForms({
  next,
  demoOffered,
  message,
}: {
  next: string;
  demoOffered: boolean;
  message: string | undefined;
}): Html {
  return html`${message === undefined ? '' : html`<p class="problem" role="alert">${message}</p>`}
${demoOffered ? html`<form method="post" action="/login/demo" class="login"><input type="hidden" name="next" value="${next}"><button class="primary">Log in to the demo</button> <span>one click, sandbox money</span></form>` : ''}
<form method="post" action="/login" class="login"><input type="hidden" name="next" value="${next}">
<div class="field"><label for="key">API key</label><input id="key" name="key" type="password" required autocomplete="current-password" maxlength="200" placeholder="fa_test_…" class="mono"></div>
<button${demoOffered ? '' : html` class="primary"`}>Log in with a key</button></form>`;
}

/** A path of this site to go on to: whatever else was given leads to the start. */
function nextOf(given: unknown): string {
  return typeof given === 'string' && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(given) ? given : '/';
}

/**
 * Refuses what a page of another site sent. Browsers say where a request comes from (Fetch Metadata); those that do
 * not, and all of them over plain HTTP from another machine, still send Origin with a POST.
 */
function assertOwnPage(request: FastifyRequest): void {
  if (!comesFromOwnPage(request)) throw refuse('forbidden', 'This may only be asked by a page of this site.');
}

function field(request: FastifyRequest, name: string): string | undefined {
  const { body } = request;
  return body instanceof URLSearchParams ? (body.get(name) ?? undefined) : undefined;
}

export async function mountLogin(root: Api, options: LoginOptions): Promise<void> {
  const { access, publicUrl, findDemoKey } = options;

  const cookieOptions = (request: FastifyRequest) => ({
    path: '/',
    httpOnly: true,
    sameSite: 'strict' as const,
    secure: request.protocol === 'https' || publicUrl().startsWith('https:'),
  });
  const logIn = (request: FastifyRequest, reply: FastifyReply, key: string) =>
    reply.setCookie(KEY_COOKIE, key, cookieOptions(request)).redirect(nextOf(field(request, 'next')), 303);
  const sendLoginPage = (
    reply: FastifyReply,
    caller: Caller | undefined,
    next: string,
    message: string | undefined,
  ) =>
    sendPage(reply, {
      title: 'Log in',
      caller,
      url: next,
      content: html`<h1>Log in</h1><section class="card">${loginForms({ next, message, demoOffered: findDemoKey() !== undefined })}</section>
<p>The key is kept in a cookie that scripts cannot read, until the browser is closed. It is the same key that API clients send as <code>Authorization: Bearer …</code></p>
<p><a href="/identity/sign-in?next=${encodeURIComponent(next)}">Sign in as a person</a></p>`,
    });

  // Of its own, so that forms are read here and nowhere under /api/.
  await root.register(async (app) => {
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_LIMIT_BYTES },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    app.get<{ Querystring: { next?: string } }>(
      '/login',
      { schema: { hide: true } },
      async (request, reply) =>
        sendLoginPage(reply, await findCaller(request, access), nextOf(request.query.next), undefined),
    );

    app.post('/login', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const key = field(request, 'key')?.trim() ?? '';
      try {
        await access.identifyKey(key);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        reply.code(401);
        return sendLoginPage(reply, undefined, nextOf(field(request, 'next')), error.message);
      }
      return logIn(request, reply, key);
    });

    app.post('/login/demo', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const key = findDemoKey();
      if (key === undefined) throw refuse('not_found', 'There is no demo here.');
      await access.identifyKey(key);
      return logIn(request, reply, key);
    });

    app.post('/logout', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      return reply.clearCookie(KEY_COOKIE, cookieOptions(request)).redirect('/', 303);
    });
  });
}
