/** People for tests: invited, signed in, with a browser that keeps its cookie. */
import assert from 'node:assert/strict';
import { newUuid } from '../../../platform/ids.ts';
import type { Answer, TestPlatform, TestTenant } from '../../../testing.ts';

export const GOOD_PASSWORD = 'correct horse battery';

export interface Browser {
  /** A request as a page of this site would send it, with the cookies that came before. */
  ask: (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: object,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  cookies: Map<string, string>;
}

/** A browser without cookies at an address of its own. */
export function newBrowser({ running }: TestPlatform, remoteAddress = '127.0.0.1'): Browser {
  const cookies = new Map<string, string>();
  return {
    cookies,
    async ask(method, url, body, headers = {}) {
      const answer = await running.app.inject({
        method,
        url,
        remoteAddress,
        headers: {
          'sec-fetch-site': 'same-origin',
          ...(cookies.size === 0
            ? {}
            : { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }),
          ...(method === 'POST' && url.startsWith('/api/') ? { 'idempotency-key': newUuid() } : {}),
          ...headers,
        },
        ...(body === undefined ? {} : { payload: body }),
      });
      for (const { name, value } of answer.cookies) {
        if (value === '') cookies.delete(name);
        else cookies.set(name, value);
      }
      const isJson = (answer.headers['content-type'] ?? '').includes('json');
      return {
        status: answer.statusCode,
        headers: Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
        ),
        body: isJson ? answer.json() : undefined,
        text: answer.body,
      };
    },
  };
}

export interface TestPerson {
  id: string;
  email: string;
  browser: Browser;
}

let count = 0;

/** Somebody who was invited, accepted and signed in. */
export async function newPerson(
  platform: TestPlatform,
  tenant: TestTenant,
  { roles = [], email }: { roles?: string[]; email?: string } = {},
): Promise<TestPerson> {
  count += 1;
  const address = email ?? `person.${count}@bank.example`;
  const { token } = await tenant.post('/api/v2/invitations', { email: address, roles });
  const browser = newBrowser(platform);
  const accepted = await browser.ask('POST', '/identity/invitations/accept', {
    token,
    name: `Person ${count}`,
    password: GOOD_PASSWORD,
  });
  assert.equal(accepted.status, 201, accepted.text);
  await signIn(browser, address);
  return { id: accepted.body.person_id, email: address, browser };
}

/** Signs in where no second factor is asked. */
export async function signIn(browser: Browser, email: string, password = GOOD_PASSWORD): Promise<void> {
  const answer = await browser.ask('POST', '/identity/sign-in', { email, password });
  assert.equal(answer.body.status, 'signed_in', answer.text);
}
