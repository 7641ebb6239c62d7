/** The authorization servers over HTTP, below `/oauth/<tenant>/<environment>`, and the page that asks for consent. */
import type { IncomingMessage } from 'node:http';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { errors, type InteractionResults, type Provider } from 'oidc-provider';
import type { Scope } from '../../../platform/db.ts';
import { comesFromOwnPage } from '../../../platform/http.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { type Content, html } from '../../../platform/page/html.ts';
import { documentOf, pageHeaders } from '../../../platform/page/layout.ts';
import { refuse } from '../../../platform/problem.ts';
import { IDENTITY_SCOPES } from './applications.ts';
import { consentPage, meaningOf } from './consent-page.ts';
import { audienceOf, issuerPath, OAUTH_PREFIX, scopeOfPath } from './issuer.ts';
import type { IssuerState, IssuerStates } from './issuer-state.ts';
import type { SignedInPerson } from './person.ts';
import { buildProvider, type ProviderOptions } from './provider.ts';

/** Where people sign in; `next` says where to go on. */
const SIGN_IN_PATH = '/identity/sign-in';
const REMEMBERED_PROVIDERS = 200;
const FORM_LIMIT_BYTES = 10_000;

interface Found {
  scope: Scope;
  state: IssuerState;
  provider: Provider;
  handle: ReturnType<Provider['callback']>;
}

type Params = { tenant: string; environment: string };

/** As layout.ts has it, but for where the answer to the form leads: browsers hold redirects against form-action, too. */
function policyWith(redirectUri: string): string {
  const uri = URL.parse(redirectUri);
  const back = uri === null || uri.origin === 'null' ? '' : ` ${uri.origin}`;
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `form-action 'self'${back}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const words = (text: unknown): string[] => (typeof text === 'string' ? text.split(' ').filter(Boolean) : []);

export function oauthRoutes(
  options: Omit<ProviderOptions, 'signedInAt'>,
  states: IssuerStates,
): FastifyPluginAsync {
  const { publicUrl, people, permissions } = options;
  /** The request as Fastify has it, for what is asked within oidc-provider. */
  const requests = new WeakMap<IncomingMessage, FastifyRequest>();
  const signedInAt = async (raw: IncomingMessage): Promise<SignedInPerson | undefined> => {
    const request = requests.get(raw);
    return request === undefined ? undefined : people.signedInPerson(request);
  };
  const providers = new LRUCache<string, Pick<Found, 'provider' | 'handle'>>({ max: REMEMBERED_PROVIDERS });

  async function find({ params }: { params: Params }): Promise<Found> {
    const scope = scopeOfPath(params.tenant, params.environment);
    const state = scope === undefined ? undefined : await states.of(scope);
    if (scope === undefined || state === undefined) {
      throw refuse('not_found', `There is no issuer ${params.tenant}/${params.environment}.`);
    }
    if (state.tenant.status === 'suspended') {
      throw refuse('tenant_suspended', `${state.tenant.name} is suspended.`);
    }
    // With other keys it is another one.
    const name = `${issuerPath(scope)} ${state.keys.map(({ kid }) => kid).join(' ')}`;
    let found = providers.get(name);
    if (found === undefined) {
      const provider = buildProvider({ ...options, signedInAt }, scope, state.keys);
      found = { provider, handle: provider.callback() };
      providers.set(name, found);
    }
    return { scope, state, ...found };
  }

  /** Hands a request on, with what its proxy headers may say: the public address, whoever sent them. */
  function prepare(request: FastifyRequest): void {
    const { protocol, host } = new URL(publicUrl());
    const { headers } = request.raw;
    headers['x-forwarded-proto'] = protocol.slice(0, -1);
    headers['x-forwarded-host'] = host;
    delete headers['x-forwarded-for'];
    requests.set(request.raw, request);
  }

  function sendQuestion(
    request: FastifyRequest,
    reply: FastifyReply,
    redirectUri: string,
    title: string,
    content: Content,
  ): FastifyReply {
    return pageHeaders(reply, policyWith(redirectUri))
      .serializer((text: unknown) => String(text))
      .send(documentOf({ title, caller: undefined, url: request.url, content, plain: true }));
  }

  async function interactionOf({ provider }: Found, request: FastifyRequest, reply: FastifyReply) {
    try {
      return await provider.interactionDetails(request.raw, reply.raw);
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
      throw refuse('not_found', 'This request to sign in has expired. Start again at the application.');
    }
  }

  /** What is asked for that the person can give, and what they cannot. */
  async function questionOf(
    { scope, provider }: Found,
    person: SignedInPerson,
    params: Record<string, unknown>,
  ) {
    const client = await provider.Client.find(String(params['client_id']));
    const may = await people.findPerson(scope, person.person_uuid);
    if (client === undefined || may === undefined) {
      throw refuse('forbidden', 'You or the application may not do anything here.');
    }
    const allowed = new Set(words(client.scope));
    const requested = words(params['scope']).filter((each) => allowed.has(each));
    const identity = requested.filter((each) => IDENTITY_SCOPES.includes(each));
    const asked = requested.filter((each) => !IDENTITY_SCOPES.includes(each));
    return {
      client,
      identity,
      given: asked.filter((each) => may.permissions.has(each)),
      withheld: asked.filter((each) => !may.permissions.has(each)),
    };
  }

  return async (root) => {
    await root.register(async (app) => {
      // oidc-provider reads the bodies itself.
      app.removeAllContentTypeParsers();
      app.addContentTypeParser('*', (_request, _payload, done) => done(null));
      app.all<{ Params: Params }>(
        `${OAUTH_PREFIX}/:tenant/:environment/*`,
        { schema: { hide: true } },
        async (request, reply) => {
          const { scope, handle } = await find(request);
          prepare(request);
          // From both it takes where it is mounted, as under Express.
          const { url = '' } = request.raw;
          Object.assign(request.raw, { originalUrl: url, url: url.slice(issuerPath(scope).length) });
          reply.hijack();
          for (const [name, value] of Object.entries(reply.getHeaders())) {
            if (value !== undefined) reply.raw.setHeader(name, value);
          }
          await handle(request.raw, reply.raw);
        },
      );
    });

    await root.register(async (app) => {
      app.addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'string', bodyLimit: FORM_LIMIT_BYTES },
        (_request, body, done) => done(null, new URLSearchParams(String(body))),
      );
      const path = `${OAUTH_PREFIX}/:tenant/:environment/interaction/:uid`;

      app.get<{ Params: Params & { uid: string } }>(
        path,
        { schema: { hide: true } },
        async (request, reply) => {
          prepare(request);
          const found = await find(request);
          const { provider, scope, state } = found;
          const { prompt, params, uid, session } = await interactionOf(found, request, reply);
          const person = await people.signedInPerson(request);
          if (person === undefined && request.headers['sec-fetch-site'] === 'cross-site') {
            // The application's page began this navigation, in which the cookie of a session, being Strict, does not come.
            // One that our own page begins has it.
            reply.header('refresh', `0; url=${request.url}`);
            const onward = html`<h1>One moment</h1><p><a href="${request.url}">Continue</a></p>`;
            return sendQuestion(request, reply, String(params['redirect_uri']), 'One moment', onward);
          }
          if (person === undefined) {
            return reply.redirect(`${SIGN_IN_PATH}?next=${encodeURIComponent(request.url)}`, 303);
          }
          if (person.tenant_id !== scope.tenant_id) {
            throw refuse('forbidden', `You are signed in to another institution than ${state.tenant.name}.`);
          }
          const accountId = formatId('usr', person.person_uuid);
          if (prompt.name === 'login') {
            const result = { login: { accountId, remember: true } };
            return reply.redirect(await provider.interactionResult(request.raw, reply.raw, result), 303);
          }
          if (session?.accountId !== accountId) {
            throw refuse('forbidden', 'Somebody else signed in meanwhile. Start again at the application.');
          }
          const { client, identity, given, withheld } = await questionOf(found, person, params);
          const question = consentPage({
            application: client.clientName ?? client.clientId,
            tenant: state.tenant.name,
            environment: scope.environment,
            person: { name: person.name, email: person.email },
            returns_to: URL.parse(String(params['redirect_uri']))?.host ?? '',
            asked: [...identity, ...given].map((each) => ({
              scope: each,
              meaning: meaningOf(each, permissions.types),
            })),
            withheld: withheld.map((each) => ({ scope: each, meaning: meaningOf(each, permissions.types) })),
            action: `${issuerPath(scope)}/interaction/${uid}`,
          });
          return sendQuestion(
            request,
            reply,
            String(params['redirect_uri']),
            'Allow an application',
            question,
          );
        },
      );

      app.post<{ Params: Params & { uid: string } }>(
        path,
        { schema: { hide: true } },
        async (request, reply) => {
          if (!comesFromOwnPage(request)) {
            throw refuse('forbidden', 'This may only be asked by a page of this site.');
          }
          prepare(request);
          const found = await find(request);
          const { provider } = found;
          const { prompt, params, session, grantId } = await interactionOf(found, request, reply);
          const person = await people.signedInPerson(request);
          const accountId = person === undefined ? undefined : formatId('usr', person.person_uuid);
          if (person === undefined || accountId !== session?.accountId || prompt.name !== 'consent') {
            throw refuse(
              'forbidden',
              'This is not the question that was asked of you. Start again at the application.',
            );
          }
          const answer = request.body instanceof URLSearchParams ? request.body.get('answer') : undefined;
          let result: InteractionResults = {
            error: 'access_denied',
            error_description: 'the person did not allow it',
          };
          if (answer === 'allow') {
            const { client, identity, given, withheld } = await questionOf(found, person, params);
            const audience = audienceOf(publicUrl());
            const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
            const grant = known ?? new provider.Grant({ accountId, clientId: client.clientId });
            if (known === undefined) grant.jti = formatId('con', newUuid());
            // A permission is a scope of the issuer, since discovery names it, and of the API.
            const openid = [...identity, ...given];
            if (openid.length > 0) grant.addOIDCScope(openid);
            if (given.length > 0) grant.addResourceScope(audience, given);
            // As answered: else the same would be asked again at once.
            if (withheld.length > 0) {
              grant.rejectOIDCScope(withheld);
              grant.rejectResourceScope(audience, withheld);
            }
            result = { consent: { grantId: await grant.save() } };
          }
          return reply.redirect(await provider.interactionResult(request.raw, reply.raw, result), 303);
        },
      );
    });
  };
}
