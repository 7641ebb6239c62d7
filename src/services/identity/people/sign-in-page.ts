/** Signing in and out in a browser: by plain forms that need no script, and by passkeys, which need one. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { Check } from 'typebox/value';
import { comesFromOwnPage } from '../../../platform/http.ts';
import { formatId, parseId } from '../../../platform/ids.ts';
import { passkeyScript } from '../../../platform/page/assets.ts';
import { html } from '../../../platform/page/html.ts';
import { sendPage } from '../../../platform/page/layout.ts';
import { Problem, refuse as refuseRequest } from '../../../platform/problem.ts';
import { nextOf } from './next.ts';
import { openOwnChanges } from './own-changes.ts';
import { RecoveryCode } from './recovery-code.ts';
import { endSessions, originOf } from './session.ts';
import {
  type Factor,
  factorsOf,
  findPending,
  type SignInOutcome,
  type SigningIn,
  showSecondFactor,
  signInWithPassword,
} from './sign-in.ts';
import { TotpCode } from './totp.ts';

/** Longest form that is read. */
const FORM_LIMIT_BYTES = 10_000;

interface FormState {
  next: string;
  tenant_id: string;
  email?: string;
  message?: string;
}

function problem(message: string | undefined) {
  return message === undefined ? '' : html`<p class="problem" role="alert">${message}</p>`;
}

/**
 * What asks for a passkey. Shown by its script, where the browser can be asked.
 *
 * @param sign_in the sign-in under way that it is the second factor of; absent where it is to stand alone
 */
function passkeySection(next: string, label: string, options: { sign_in?: string; primary?: boolean } = {}) {
  const { sign_in, primary = false } = options;
  return html`<div class="passkey" data-passkey data-next="${next}"${sign_in === undefined ? '' : html` data-sign-in="${sign_in}"`}>
<p class="problem" role="alert" hidden></p>
<p data-can hidden><button type="button"${primary ? html` class="primary"` : ''}>${label}</button></p>
<p data-cannot class="none">${sign_in === undefined ? 'With a script of this site and a recent browser you can sign in with a passkey, too.' : 'A passkey is asked for by a script of this site, which this browser does not run or cannot use.'}</p>
</div><script type="module" src="${passkeyScript.url}"></script>`;
}

function passwordForm({ next, tenant_id, email = '', message }: FormState) {
  return html`<h1>Sign in</h1><section class="card narrow">${problem(message)}
<form method="post" action="/identity/sign-in/form" class="stacked">
<input type="hidden" name="next" value="${next}"><input type="hidden" name="tenant_id" value="${tenant_id}">
<div class="field"><label for="email">E-mail address</label><input id="email" name="email" type="email" required autocomplete="username" maxlength="254" value="${email}"></div>
<div class="field"><label for="password">Password</label><input id="password" name="password" type="password" required autocomplete="current-password" maxlength="1000"></div>
<button class="primary">Sign in</button></form>
${passkeySection(next, 'Sign in with a passkey')}
${tenant_id === '' ? '' : html`<p><a href="/identity/external/${tenant_id}?next=${encodeURIComponent(next)}">Sign in through your institution</a></p>`}
<p class="none">Forgotten your password? Who manages people where you work can send you a link to choose another.</p>
</section>`;
}

function codeForm(sign_in: string, factors: readonly Factor[], { next, tenant_id, message }: FormState) {
  const canType = factors.includes('totp') || factors.includes('recovery_code');
  const withPasskey = factors.includes('passkey');
  return html`<h1>One more step</h1><section class="card narrow">${problem(message)}
${withPasskey ? passkeySection(next, 'Use a passkey', { sign_in, primary: !canType }) : ''}
${
  canType
    ? html`<form method="post" action="/identity/sign-in/form/code" class="stacked">
<input type="hidden" name="next" value="${next}"><input type="hidden" name="tenant_id" value="${tenant_id}"><input type="hidden" name="sign_in" value="${sign_in}">
<div class="field"><label for="code">${factors.includes('totp') ? 'The six digits of your authenticator app, or a recovery code' : 'A recovery code'}</label><input id="code" name="code" required autocomplete="one-time-code" autofocus maxlength="40" class="mono"></div>
<button class="primary">Continue</button></form>`
    : html`<p class="none">You have no recovery code. Without your passkey, ask an administrator.</p>`
}
<p><a href="/identity/sign-in?${new URLSearchParams({ next, ...(tenant_id === '' ? {} : { tenant_id }) }).toString()}">Begin again</a></p>
</section>`;
}

export function signInPages(signingIn: SigningIn): FastifyPluginAsync {
  return async (app) => {
    const { db, sessions, audit } = signingIn;
    const changes = openOwnChanges(audit);
    app.addHook('onSend', changes.record);

    // Of its own, so that forms are read here and nowhere else.
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_LIMIT_BYTES },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    const field = ({ body }: FastifyRequest, name: string): string =>
      body instanceof URLSearchParams ? (body.get(name) ?? '') : '';
    /** The tenant that a link to this page named, if it is a well-formed id. */
    const tenantOf = (given: unknown) =>
      typeof given === 'string' && parseId('ten', given) !== undefined ? given : '';
    const send = (reply: FastifyReply, { next }: FormState, content: ReturnType<typeof passwordForm>) =>
      sendPage(reply, { title: 'Sign in', caller: undefined, url: next, content, plain: true });
    const assertOwnPage = (request: FastifyRequest) => {
      if (!comesFromOwnPage(request)) {
        throw refuseRequest('forbidden', 'This may only be asked by a page of this site.');
      }
    };
    const stateOf = (request: FastifyRequest): FormState => ({
      next: nextOf(field(request, 'next')),
      tenant_id: tenantOf(field(request, 'tenant_id')),
    });
    const goOn = (request: FastifyRequest, reply: FastifyReply, state: FormState, outcome: SignInOutcome) => {
      if (outcome.status === 'second_factor_required') {
        return send(reply, state, codeForm(outcome.sign_in, outcome.second_factors, state));
      }
      sessions.setCookie(request, reply, outcome.token);
      return reply.redirect(state.next, 303);
    };

    app.get<{ Querystring: { next?: string; tenant_id?: string } }>(
      '/identity/sign-in',
      { schema: { hide: true } },
      async ({ query }, reply) => {
        const state = { next: nextOf(query.next), tenant_id: tenantOf(query.tenant_id) };
        return send(reply, state, passwordForm(state));
      },
    );

    app.post('/identity/sign-in/form', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const state = { ...stateOf(request), email: field(request, 'email').slice(0, 254) };
      const tenant_id = parseId('ten', state.tenant_id);
      try {
        const outcome = await signInWithPassword(
          signingIn,
          {
            email: state.email,
            password: field(request, 'password').slice(0, 1_000),
            ...(tenant_id === undefined ? {} : { tenant_id }),
          },
          originOf(request),
        );
        return goOn(request, reply, state, outcome);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        reply.code(error.type.status);
        return send(reply, state, passwordForm({ ...state, message: error.message }));
      }
    });

    app.post('/identity/sign-in/form/code', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const state = stateOf(request);
      const code = field(request, 'code').trim();
      try {
        // What is neither is refused as a code that is not right.
        const shown = Check(TotpCode, code)
          ? { totp: code }
          : { recovery_code: Check(RecoveryCode, code) ? code : '' };
        const outcome = await showSecondFactor(
          signingIn,
          field(request, 'sign_in'),
          shown,
          originOf(request),
        );
        return goOn(request, reply, state, outcome);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        reply.code(error.type.status);
        const refusedState = { ...state, message: error.message };
        // There are some tries before the password is asked for anew.
        const person = await findPending(db, field(request, 'sign_in'));
        if (person === undefined) return send(reply, state, passwordForm(refusedState));
        const factors = await db.read({ tenant_id: person.tenant_id, environment: 'sandbox' }, (tx) =>
          factorsOf(tx, person),
        );
        return send(reply, state, codeForm(field(request, 'sign_in'), factors, refusedState));
      }
    });

    app.post('/identity/sign-out/form', { schema: { hide: true } }, async (request, reply) => {
      assertOwnPage(request);
      const signed = await sessions.find(request);
      if (signed !== undefined) {
        await changes.note(request, signed);
        await db.write({ tenant_id: signed.tenant_id, environment: 'sandbox' }, (tx) =>
          endSessions(tx, signed, { only: signed.session_id }, formatId('usr', signed.person_id)),
        );
        sessions.forget();
      }
      sessions.clearCookie(request, reply);
      return reply.redirect('/identity/sign-in', 303);
    });
  };
}
