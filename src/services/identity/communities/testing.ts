/** Communities, and developers who sign up at them, for tests. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32, deflateSync } from 'node:zlib';
import { Secret, TOTP } from 'otpauth';
import type { Answer, TestPlatform, TestTenant } from '../../../testing.ts';
import { type Browser, GOOD_PASSWORD, newBrowser, signIn } from '../people/testing.ts';

type Json = Answer['body'];

/** Somebody who signed up, confirmed the address and signed in. */
export interface Developer {
  email: string;
  browser: Browser;
}

let count = 0;

export const terms = { version: '2027-01', text: 'Be kind to the API.' };

export async function newCommunity(bank: TestTenant, more: object = {}): Promise<Json> {
  count += 1;
  return bank.post('/api/v2/communities', {
    slug: `partners-${count}`,
    name: 'Partners',
    terms,
    sign_up: 'open',
    live_scopes: ['accounts:read', 'transfers:*'],
    ...more,
  });
}

/** Asks as somebody whom nobody knows. */
export async function anonymously(
  platform: TestPlatform,
  method: 'GET' | 'POST',
  url: string,
  body?: object,
  address?: string,
): Promise<Answer> {
  return newBrowser(platform, address).ask(method, url, body);
}

export function signUpBody(
  community: { slug: string },
  more: object = {},
): { email: string } & Record<string, unknown> {
  count += 1;
  return {
    community: community.slug,
    email: `dev.${count}@partner.example`,
    name: 'Dora Dev',
    organisation_name: 'Ledgerly',
    accepted_terms_version: terms.version,
    ...more,
  };
}

const invitationLink = /https:\/\/bank\.example\/portal\/[\w-]+\/sign-up#([\w-]+)/;

/** The newest mail that the institution’s local outbox has for an address, and that says something. */
export async function mailTo(bank: TestTenant, email: string, says: RegExp): Promise<string> {
  for (;;) {
    const { data } = await bank.get('/api/v2/notifications/outbox?limit=100');
    const mail = data.find(({ address, content }: Json) => address === email && says.test(content.text));
    if (mail !== undefined) return mail.content.text;
    await sleep(20);
  }
}

/** The token of the link that was mailed. */
export async function tokenFor(bank: TestTenant, email: string): Promise<string> {
  const link = /https:\/\/bank\.example\/portal\/verify#([\w-]+)/;
  const [, token] = link.exec(await mailTo(bank, email, link)) ?? [];
  return token ?? assert.fail();
}

/** The token of the newest invitation into a community that was mailed, other than one that is known. */
export async function invitationFor(bank: TestTenant, email: string, known = ''): Promise<string> {
  for (;;) {
    const mail = await mailTo(bank, email, invitationLink);
    const [, token = assert.fail()] = invitationLink.exec(mail) ?? [];
    if (token !== known) return token;
    await sleep(20);
  }
}

export function joinBody(token: string, more: object = {}): Record<string, unknown> {
  return {
    token,
    name: 'Dora Dev',
    organisation_name: 'Ledgerly',
    accepted_terms_version: terms.version,
    ...more,
  };
}

/** Signs up at a community and follows the link that is mailed. */
export async function signUp(
  platform: TestPlatform,
  bank: TestTenant,
  community: Json,
  body = signUpBody(community),
): Promise<Json> {
  assert.equal((await anonymously(platform, 'POST', '/identity/sign-ups', body)).status, 202);
  const token = await tokenFor(bank, body.email);
  const verified = await anonymously(platform, 'POST', '/identity/sign-ups/verify', { token });
  assert.equal(verified.status, 200, verified.text);
  return verified.body;
}

/** A developer with an organisation of their own, at a community where nobody need approve it. */
export async function newDeveloper(
  platform: TestPlatform,
  bank: TestTenant,
  community: Json,
): Promise<Developer> {
  const body = signUpBody(community);
  const { status, invitation_token: token } = await signUp(platform, bank, community, body);
  assert.equal(status, 'ready');
  const browser = newBrowser(platform);
  const accepted = await browser.ask('POST', '/identity/invitations/accept', {
    token,
    name: 'Dora Dev',
    password: GOOD_PASSWORD,
  });
  assert.equal(accepted.status, 201, accepted.text);
  await signIn(browser, body.email);
  return { email: body.email, browser };
}

/** Does what the checklist asks for. */
export async function getReady({ browser }: Developer): Promise<void> {
  const { body } = await browser.ask('POST', '/identity/me/totp');
  const code = TOTP.generate({ secret: Secret.fromBase32(body.secret) });
  const confirmed = await browser.ask('POST', '/identity/me/totp/confirm', { code });
  assert.ok(confirmed.status < 300, confirmed.text);
  const chart = { code: '1', name: 'Cash', type: 'asset' };
  assert.equal((await browser.ask('POST', '/api/v2/chart-of-accounts', chart)).status, 201);
  const [debit, credit] = await Promise.all(
    ['A', 'B'].map(async (name) => {
      const opened = await browser.ask('POST', '/api/v2/accounts', {
        name,
        currency: 'BRL',
        chart_code: '1',
        credit_limit: null,
      });
      return opened.body.id;
    }),
  );
  const moved = await browser.ask('POST', '/api/v2/transfers', {
    debit_account_id: debit,
    credit_account_id: credit,
    amount: { amount: '1.00', currency: 'BRL' },
  });
  assert.equal(moved.status, 201, moved.text);
}

export const liveRequest = {
  name: 'Payments',
  purpose: 'Pays invoices',
  scopes: ['transfers:post', 'accounts:read'],
  contact_email: 'ops@partner.example',
  webhooks: 'not_needed',
};

/** A chunk of a PNG. */
export function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), 8 + data.length);
  return chunk;
}

/** A PNG: a violet disc, transparent around. */
export function png(width = 64, height = width, { before = [], after = [] }: Record<string, Buffer[]> = {}) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  // Eight bits for each of red, green, blue and alpha.
  head.set([8, 6], 8);
  const lines = Array.from({ length: height }, (_, y) => [
    Buffer.of(0),
    ...Array.from({ length: width }, (__, x) => {
      const isInside =
        Math.hypot(x - width / 2 + 0.5, y - height / 2 + 0.5) < Math.min(width, height) / 2 - 1;
      return Buffer.of(122, 31, 162, isInside ? 255 : 0);
    }),
  ]);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', head),
    ...before,
    pngChunk('IDAT', deflateSync(Buffer.concat(lines.flat()))),
    ...after,
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}
