/** Developers who sign up at a portal, as their browsers do it, for tests of the screens. */
import assert from 'node:assert/strict';
import { Secret, TOTP } from 'otpauth';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { eventually } from '../src/services/webhooks/testing.ts';
import { openVisit, type Visit } from './browser.ts';
import { type ConsoleTest, screenSizes } from './console.ts';

const PASSWORD = 'four words make one';
export const terms = { version: '2027-01', text: 'Be kind to the API.' };

const Outbox = Type.Object({
  data: Type.Array(Type.Object({ address: Type.String(), content: Type.Object({ text: Type.String() }) })),
});
const Verified = Type.Object({ status: Type.String(), invitation_token: Type.Optional(Type.String()) });
const Thing = Type.Object({ id: Type.String() });

interface SigningUp {
  community: string;
  email: string;
  organisation_name: string;
}

/** The path of the newest link that was mailed to somebody, other than one that is known. */
export function mailedPath(test: ConsoleTest, email: string, known = ''): Promise<string> {
  return eventually('a mail with a link', async () => {
    const { data } = Value.Parse(Outbox, await test.ask('GET', '/api/v2/notifications/outbox?limit=100'));
    return data
      .filter(({ address }) => address === email)
      .map(({ content }) => /\/portal\/(?:verify|[\w-]+\/sign-up)#[\w-]+/.exec(content.text)?.[0])
      .find((path) => path !== undefined && path !== known);
  });
}

async function send(test: ConsoleTest, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(`${test.server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: test.server.url },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Follows a link that was mailed: what is left to be done. */
export async function verify(test: ConsoleTest, path: string) {
  const token = path.slice(path.indexOf('#') + 1);
  return Value.Parse(Verified, await send(test, '/identity/sign-ups/verify', { token }));
}

/** Signs up. @returns the path of the link that was mailed */
export async function mailedLink(test: ConsoleTest, who: SigningUp): Promise<string> {
  await send(test, '/identity/sign-ups', {
    ...who,
    name: 'Dora Dev',
    accepted_terms_version: terms.version,
  });
  return mailedPath(test, who.email);
}

/** Comes in by a link that was mailed once nothing is left to be approved, and signs in. */
export async function comeIn(
  test: ConsoleTest,
  email: string,
  path: string,
  size: keyof typeof screenSizes = 'desktop',
): Promise<Visit> {
  const { status, invitation_token: token } = await verify(test, path);
  assert.equal(status, 'ready');
  await send(test, '/identity/invitations/accept', { token, name: 'Dora Dev', password: PASSWORD });
  const visit = await openVisit(test.browser, test.server.url, { viewport: screenSizes[size] });
  await visit.context.addInitScript(`localStorage.setItem('financialapi.language', 'en')`);
  await askAs(visit, test, '/identity/sign-in', { email, password: PASSWORD });
  return visit;
}

let asked = 0;

/** Asks as whoever is signed in by a browser. */
export async function askAs(visit: Visit, test: ConsoleTest, path: string, data?: unknown): Promise<unknown> {
  asked += 1;
  const answer = await visit.context.request.post(path, {
    ...(data === undefined ? {} : { data }),
    headers: { origin: test.server.url, 'idempotency-key': `developer-${asked}` },
  });
  const text = await answer.text();
  assert.ok(answer.ok(), `${path}: ${answer.status()} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Does what has to be done before live access can be asked for. */
export async function getReady(visit: Visit, test: ConsoleTest): Promise<void> {
  const { secret } = Value.Parse(
    Type.Object({ secret: Type.String() }),
    await askAs(visit, test, '/identity/me/totp'),
  );
  await askAs(visit, test, '/identity/me/totp/confirm', {
    code: TOTP.generate({ secret: Secret.fromBase32(secret) }),
  });
  await askAs(visit, test, '/api/v2/chart-of-accounts', { code: '9', name: 'Cash', type: 'asset' });
  const open = async (name: string) =>
    Value.Parse(
      Thing,
      await askAs(visit, test, '/api/v2/accounts', {
        name,
        currency: 'BRL',
        chart_code: '9',
        credit_limit: null,
      }),
    ).id;
  await askAs(visit, test, '/api/v2/transfers', {
    debit_account_id: await open('A'),
    credit_account_id: await open('B'),
    amount: { amount: '1.00', currency: 'BRL' },
  });
}
