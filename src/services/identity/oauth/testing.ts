/** What tests of OAuth stand on: a platform that listens, people who sign in by a plain cookie, and a small browser. */
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { services } from '../../../services.ts';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { identityWith } from '../service.ts';
import { issuerOf } from './issuer.ts';

export interface TestPerson {
  person_uuid: string;
  tenant_id: string;
  name: string;
  email: string;
  /** May be changed by the test. */
  permissions: Set<string>;
  active: boolean;
}

export interface OAuthPlatform extends TestPlatform {
  newPerson: (tenant: TestTenant, permissions: readonly string[]) => TestPerson;
  issuer: (tenant: TestTenant) => URL;
}

export async function openOAuthPlatform(settings: Record<string, string> = {}): Promise<OAuthPlatform> {
  const people = new Map<string, TestPerson>();
  const identity = identityWith({
    signedInPerson: (request) => Promise.resolve(people.get(request.cookies['person'] ?? '')),
    findPerson: (scope, person_uuid) => {
      const person = people.get(person_uuid);
      return Promise.resolve(
        person?.active === true && person.tenant_id === scope.tenant_id ? person : undefined,
      );
    },
  });
  const platform = await openTestPlatform(
    { IDENTITY_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'), ...settings },
    {},
    services.map((service) => (service.name === identity.name ? identity : service)),
  );
  return {
    ...platform,
    newPerson(tenant, permissions) {
      const person_uuid = newUuid();
      const person: TestPerson = {
        person_uuid,
        tenant_id: tenant.scope.tenant_id,
        name: 'Ana',
        email: 'ana@example.com',
        permissions: new Set(permissions),
        active: true,
      };
      people.set(person_uuid, person);
      return person;
    },
    issuer: (tenant) => new URL(issuerOf(platform.running.url, tenant.scope)),
  };
}

/** A browser with cookies, that follows redirects within a site. */
export class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();
  readonly #signedIn: string;

  /** @param person who is signed in there, or the cookie by which somebody is */
  constructor(person: TestPerson | string) {
    this.#signedIn = typeof person === 'string' ? person : `person=${person.person_uuid}`;
  }

  /** Goes to an address and on to wherever it leads, until a page comes or the site is left. */
  async go(
    address: URL | string,
    form?: Record<string, string>,
  ): Promise<{ left?: URL; page?: string; url: URL }> {
    let url = new URL(address);
    const { origin } = url;
    let body = form === undefined ? undefined : new URLSearchParams(form);
    for (let hops = 0; hops < 12; hops += 1) {
      const answer: Response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        redirect: 'manual',
        headers: { cookie: this.#cookieFor(url), 'sec-fetch-site': 'same-origin', accept: 'text/html' },
        ...(body === undefined ? {} : { body }),
      });
      body = undefined;
      this.#keep(answer);
      const location = answer.headers.get('location');
      if (location === null) return { page: await answer.text(), url };
      url = new URL(location, url);
      if (url.origin !== origin) return { left: url, url };
    }
    return assert.fail(`no end of redirects at ${url.href}`);
  }

  #cookieFor({ pathname }: URL): string {
    return [
      this.#signedIn,
      ...[...this.#cookies]
        .filter(([, { path }]) => pathname.startsWith(path))
        .map(([name, { value }]) => `${name.split(' ')[0] ?? ''}=${value}`),
    ].join('; ');
  }

  #keep({ headers }: Response): void {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ');
      const [name = '', value = ''] = pair.split('=');
      const path = attributes.find((each) => each.toLowerCase().startsWith('path='))?.slice(5) ?? '/';
      if (value === '') this.#cookies.delete(`${name} ${path}`);
      else this.#cookies.set(`${name} ${path}`, { value, path });
    }
  }
}

/** openid-client against an issuer here, over plain HTTP as tests are. */
export function discover(
  issuer: URL,
  client_id: string,
  auth: client.ClientAuth,
  metadata: Partial<client.ClientMetadata> = {},
): Promise<client.Configuration> {
  return client.discovery(issuer, client_id, metadata, auth, {
    execute: [client.allowInsecureRequests],
  });
}

export const REDIRECT_URI = 'https://partner.example/callback';

/** Runs the code flow to the partner's address. The person answers what is asked. */
export async function authorize(
  config: client.Configuration,
  browser: Browser,
  scope: string,
  options: { answer?: 'allow' | 'deny'; par?: boolean; dpop?: client.DPoPHandle } = {},
): Promise<{ left: URL; verifier: string; state: string; page: string | undefined }> {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const parameters = {
    redirect_uri: REDIRECT_URI,
    scope,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...(scope.includes('offline_access') ? { prompt: 'consent' } : {}),
  };
  const to =
    options.par === true
      ? await client.buildAuthorizationUrlWithPAR(
          config,
          parameters,
          options.dpop === undefined ? {} : { DPoP: options.dpop },
        )
      : client.buildAuthorizationUrl(config, parameters);
  let came = await browser.go(to);
  const { page } = came;
  if (page?.includes('name="answer"') === true) {
    came = await browser.go(came.url, { answer: options.answer ?? 'allow' });
  }
  assert.ok(came.left !== undefined, `the application is not reached: ${came.page}`);
  return { left: came.left, verifier, state, page };
}

export const subjectOf = (person: TestPerson): string => formatId('usr', person.person_uuid);
