import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Secret, TOTP } from 'otpauth';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform, type TestTenant } from '../../../testing.ts';
import { type Browser, GOOD_PASSWORD, newBrowser, newPerson, signIn, type TestPerson } from './testing.ts';

let platform: TestPlatform;
let bank: TestTenant;
let operator: Client;
const ORIGIN = 'https://bank.example';
before(async () => {
  platform = await openTestPlatform({
    PUBLIC_URL: ORIGIN,
    IDENTITY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  });
  bank = await platform.newTenant();
  operator = new Client({ connectionString: platform.url });
  await operator.connect();
});
after(async () => {
  await operator.end();
  await platform.close();
});

const codeAt = (secret: string, steps: number) =>
  TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() + steps * 30_000 });

/** Forgets which codes were taken, as if an hour had passed. */
const forgetSteps = () => operator.query('update identity.totp set last_step = 0');
const forgetFailures = () => operator.query('delete from identity.sign_in_throttles');

async function enrol({ browser }: TestPerson): Promise<{ secret: string; codes: string[] }> {
  const { secret, uri } = (await browser.ask('POST', '/identity/me/totp')).body;
  assert.match(uri, /^otpauth:\/\/totp\/Test:person/);
  const confirmed = await browser.ask('POST', '/identity/me/totp/confirm', { code: codeAt(secret, 0) });
  assert.equal(confirmed.status, 200, confirmed.text);
  await forgetSteps();
  return { secret, codes: confirmed.body.recovery_codes };
}

const begin = async (browser: Browser, email: string) =>
  (await browser.ask('POST', '/identity/sign-in', { email, password: GOOD_PASSWORD })).body;

test('an authenticator app is enrolled with a code of it and asked from then on; a code is good once', async () => {
  const person = await newPerson(platform, bank);
  const first = (await person.browser.ask('POST', '/identity/me/totp')).body;
  const wrong = await person.browser.ask('POST', '/identity/me/totp/confirm', {
    code: codeAt(first.secret, 40),
  });
  assert.equal(wrong.body.code, 'code_refused');
  // Not confirmed, it is not asked for.
  await signIn(newBrowser(platform), person.email);
  const { secret } = await enrol(person);
  assert.notEqual(secret, first.secret);
  assert.equal((await person.browser.ask('POST', '/identity/me/totp')).body.code, 'totp_active');

  const browser = newBrowser(platform);
  const code = codeAt(secret, 0);
  const { status, second_factors, sign_in } = await begin(browser, person.email);
  assert.deepEqual([status, second_factors], ['second_factor_required', ['totp', 'recovery_code']]);
  assert.equal(browser.cookies.size, 0);
  const shown = await browser.ask('POST', '/identity/sign-in/totp', { sign_in, code });
  assert.deepEqual([shown.body.status, shown.body.session.methods], ['signed_in', ['password', 'totp']]);
  const replayed = await browser.ask('POST', '/identity/sign-in/totp', { sign_in, code });
  assert.equal(replayed.body.code, 'sign_in_refused');
  const again = await begin(newBrowser(platform), person.email);
  const reused = await browser.ask('POST', '/identity/sign-in/totp', { sign_in: again.sign_in, code });
  assert.equal(reused.body.code, 'sign_in_refused');
});

test('codes of the half minute before and after are taken, no others', async () => {
  const person = await newPerson(platform, bank);
  const { secret } = await enrol(person);
  for (const [steps, expected] of [
    [-1, 200],
    [1, 200],
    [-3, 401],
    [3, 401],
  ] as const) {
    // Again where a half minute ended in the middle.
    for (;;) {
      await forgetSteps();
      const { sign_in } = await begin(newBrowser(platform), person.email);
      const before = TOTP.counter();
      const code = codeAt(secret, steps);
      const shown = await newBrowser(platform).ask('POST', '/identity/sign-in/totp', { sign_in, code });
      if (TOTP.counter() !== before) continue;
      assert.equal(shown.status, expected, String(steps));
      break;
    }
  }
});

test('second factors cannot be guessed: five tries a sign-in, then the person waits', async () => {
  const person = await newPerson(platform, bank);
  const { secret } = await enrol(person);
  const { sign_in } = await begin(newBrowser(platform), person.email);
  const show = (code: string) =>
    newBrowser(platform).ask('POST', '/identity/sign-in/totp', { sign_in, code });
  const wrong = codeAt(secret, 100);
  for (let tries = 0; tries < 5; tries += 1) assert.equal((await show(wrong)).status, 401);
  assert.equal((await show(codeAt(secret, 0))).status, 401);
  const { rowCount } = await operator.query('select from identity.sign_in_throttles where failures = 5');
  assert.equal(rowCount, 1);
  await forgetFailures();
});

test('the secret of an app is encrypted in the database, and bound to its person', async () => {
  const [one, other] = [await newPerson(platform, bank), await newPerson(platform, bank)];
  const { secret } = await enrol(one);
  await enrol(other);
  const { rows } = await operator.query('select secret from identity.totp');
  assert.ok(
    rows.length >= 2 && rows.every((row) => !row.secret.includes(secret) && row.secret.startsWith('v1.')),
  );
});

test('a recovery code stands in once; new ones replace them all', async () => {
  const person = await newPerson(platform, bank);
  const { codes } = await enrol(person);
  assert.equal(new Set(codes).size, 10);
  const show = async (code: string) => {
    const { sign_in } = await begin(newBrowser(platform), person.email);
    return (await newBrowser(platform).ask('POST', '/identity/sign-in/recovery-code', { sign_in, code }))
      .status;
  };
  const [first = '', second = '', third = ''] = codes;
  assert.equal(await show(first), 200);
  assert.equal(await show(first), 401);
  assert.equal(await show(second.toUpperCase().replaceAll('-', ' ')), 200);
  const renewed = await person.browser.ask('POST', '/identity/me/recovery-codes');
  assert.equal(await show(third), 401);
  assert.equal(await show(renewed.body.recovery_codes[0]), 200);
  const { rows } = await operator.query('select * from identity.recovery_codes');
  assert.equal(JSON.stringify(rows).includes(renewed.body.recovery_codes[1]), false);
  await forgetFailures();
});

test('an administrator takes lost factors away; the sessions end and the password is asked as before', async () => {
  const person = await newPerson(platform, bank);
  await enrol(person);
  const reset = await bank.post(`/api/v2/people/${person.id}/reset-factors`);
  assert.equal(reset.has_second_factor, false);
  assert.equal((await person.browser.ask('GET', '/identity/me')).status, 401);
  await signIn(newBrowser(platform), person.email);
});

test('how one signs in is changed by a fresh session only', async () => {
  const { browser, email } = await newPerson(platform, bank);
  await operator.query(
    `update identity.sessions set created_at = now() - interval '16 minutes'
     where person_id = (select id from identity.people where email = $1)`,
    [email],
  );
  for (const url of ['/identity/me/totp', '/identity/me/recovery-codes', '/identity/me/passkeys/options']) {
    assert.equal((await browser.ask('POST', url)).body.code, 'session_not_fresh', url);
  }
});

/** The part of CBOR (RFC 8949) that an attestation is made of. */
function cbor(value: unknown): Buffer {
  const head = (major: number, length: number) =>
    length < 24
      ? Buffer.from([(major << 5) | length])
      : length < 256
        ? Buffer.from([(major << 5) | 24, length])
        : Buffer.from([(major << 5) | 25, length >> 8, length & 255]);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string')
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  assert.ok(value instanceof Map);
  return Buffer.concat([
    head(5, value.size),
    ...[...value].flatMap(([name, item]) => [cbor(name), cbor(item)]),
  ]);
}

const base64url = (bytes: Buffer) => bytes.toString('base64url');
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();

/** A software authenticator with one ES256 credential. */
class Authenticator {
  readonly id = randomBytes(32);
  readonly #key: KeyObject;
  readonly #jwk: { x?: string | undefined; y?: string | undefined };
  userHandle = '';
  counter = 0;

  constructor() {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = privateKey;
    this.#jwk = publicKey.export({ format: 'jwk' });
  }

  #clientData(type: string, challenge: string, origin: string): Buffer {
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
  }

  #data(rpId: string, flags: number, more = Buffer.alloc(0)): Buffer {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.counter);
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), counter, more]);
  }

  create(options: { challenge: string; rp: { id: string }; user: { id: string } }, origin = ORIGIN) {
    this.userHandle = options.user.id;
    const key = new Map<unknown, unknown>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, Buffer.from(this.#jwk.x ?? '', 'base64url')],
      [-3, Buffer.from(this.#jwk.y ?? '', 'base64url')],
    ]);
    const credential = Buffer.concat([
      Buffer.alloc(16),
      Buffer.from([0, this.id.length]),
      this.id,
      cbor(key),
    ]);
    const attestation = new Map<unknown, unknown>([
      ['fmt', 'none'],
      ['attStmt', new Map()],
      ['authData', this.#data(options.rp.id, 0x45, credential)],
    ]);
    return {
      id: base64url(this.id),
      rawId: base64url(this.id),
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults: { credProps: { rk: true } },
      response: {
        clientDataJSON: base64url(this.#clientData('webauthn.create', options.challenge, origin)),
        attestationObject: base64url(cbor(attestation)),
        transports: ['internal'],
      },
    };
  }

  get(
    options: { challenge: string; rpId: string },
    { origin = ORIGIN, isVerified = true, count = true } = {},
  ) {
    if (count) this.counter += 1;
    const clientData = this.#clientData('webauthn.get', options.challenge, origin);
    const data = this.#data(options.rpId, isVerified ? 0x05 : 0x01);
    return {
      id: base64url(this.id),
      rawId: base64url(this.id),
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: base64url(clientData),
        authenticatorData: base64url(data),
        signature: base64url(sign('sha256', Buffer.concat([data, sha256(clientData)]), this.#key)),
        userHandle: this.userHandle,
      },
    };
  }
}

async function register({ browser }: TestPerson): Promise<Authenticator> {
  const authenticator = new Authenticator();
  const options = (await browser.ask('POST', '/identity/me/passkeys/options')).body;
  assert.deepEqual(options.rp, { name: 'Test', id: 'bank.example' });
  const added = await browser.ask('POST', '/identity/me/passkeys', {
    label: 'laptop',
    credential: authenticator.create(options),
  });
  assert.equal(added.status, 201, added.text);
  return authenticator;
}

const optionsOf = async (sign_in?: string) =>
  (
    await newBrowser(platform).ask(
      'POST',
      '/identity/sign-in/passkey/options',
      sign_in === undefined ? {} : { sign_in },
    )
  ).body;

const show = (credential: object, sign_in?: string, browser = newBrowser(platform)) =>
  browser.ask('POST', '/identity/sign-in/passkey', {
    credential,
    ...(sign_in === undefined ? {} : { sign_in }),
  });

test('a passkey alone signs in, once for each challenge', async () => {
  const person = await newPerson(platform, bank);
  const authenticator = await register(person);
  const browser = newBrowser(platform);
  const answer = authenticator.get(await optionsOf());
  const shown = await show(answer, undefined, browser);
  assert.deepEqual(shown.body.session?.methods, ['passkey'], shown.text);
  assert.equal((await browser.ask('GET', '/identity/me')).body.email, person.email);
  assert.equal((await show(answer)).body.code, 'sign_in_refused');
});

test('a passkey is the second factor after a password, of its own person only', async () => {
  const [person, other] = [await newPerson(platform, bank), await newPerson(platform, bank)];
  const [authenticator, theirs] = [await register(person), await register(other)];
  const { second_factors, sign_in } = await begin(newBrowser(platform), person.email);
  assert.deepEqual(second_factors, ['passkey']);
  const options = await optionsOf(sign_in);
  assert.deepEqual(
    options.allowCredentials.map(({ id }: { id: string }) => id),
    [base64url(authenticator.id)],
  );
  assert.equal((await show(theirs.get(await optionsOf(sign_in)), sign_in)).status, 401);
  const shown = await show(authenticator.get(options, { isVerified: false }), sign_in);
  assert.deepEqual(shown.body.session?.methods, ['password', 'passkey'], shown.text);
});

test('a passkey is refused for another site, another challenge, unverified, cloned or removed', async () => {
  const person = await newPerson(platform, bank);
  const authenticator = await register(person);
  const refusedFor = async (why: string, credential: object) =>
    assert.equal((await show(credential)).body.code, 'sign_in_refused', why);
  await refusedFor('site', authenticator.get(await optionsOf(), { origin: 'https://bank.example.evil' }));
  await refusedFor('party', authenticator.get({ ...(await optionsOf()), rpId: 'evil' }));
  await refusedFor(
    'challenge',
    authenticator.get({ challenge: base64url(randomBytes(32)), rpId: 'bank.example' }),
  );
  await refusedFor('unverified', authenticator.get(await optionsOf(), { isVerified: false }));
  const expired = await optionsOf();
  await operator.query('update identity.passkey_challenges set expires_at = now()');
  await refusedFor('expired', authenticator.get(expired));
  assert.equal((await show(authenticator.get(await optionsOf()))).status, 200);
  await refusedFor('counter', authenticator.get(await optionsOf(), { count: false }));
  const altered = authenticator.get(await optionsOf());
  altered.response.signature = base64url(randomBytes(70));
  await refusedFor('signature', altered);
  const stranger = new Authenticator();
  stranger.userHandle = authenticator.userHandle;
  await refusedFor('stranger', stranger.get(await optionsOf()));
  await bank.post(`/api/v2/people/${person.id}/suspend`);
  await refusedFor('suspended', authenticator.get(await optionsOf()));
  await bank.post(`/api/v2/people/${person.id}/resume`);

  await show(authenticator.get(await optionsOf()), undefined, person.browser);
  const { data } = (await person.browser.ask('GET', '/identity/me/passkeys')).body;
  assert.deepEqual(
    data.map(({ label }: { label: string }) => label),
    ['laptop'],
  );
  const removal = `/identity/me/passkeys/${data[0].id}/remove`;
  assert.equal((await person.browser.ask('POST', removal)).status, 204);
  assert.equal((await person.browser.ask('POST', removal)).body.code, 'passkey_not_found');
  await refusedFor('removed', authenticator.get(await optionsOf()));
  await forgetFailures();
});

test('a passkey is registered for options of the same person, this site, and once', async () => {
  const [person, other] = [await newPerson(platform, bank), await newPerson(platform, bank)];
  const optionsFor = async ({ browser }: TestPerson) =>
    (await browser.ask('POST', '/identity/me/passkeys/options')).body;
  const add = ({ browser }: TestPerson, credential: object) =>
    browser.ask('POST', '/identity/me/passkeys', { label: 'x', credential });
  const authenticator = new Authenticator();
  const options = await optionsFor(person);
  assert.equal((await add(other, authenticator.create(options))).body.code, 'passkey_refused');
  const elsewhere = authenticator.create(options, 'https://evil.example');
  assert.equal((await add(person, elsewhere)).body.code, 'passkey_refused');
  assert.equal((await add(person, authenticator.create(await optionsFor(person)))).status, 201);
  const twice = await add(person, authenticator.create(await optionsFor(person)));
  assert.equal(twice.body.code, 'passkey_exists');
  const stolen = await add(other, authenticator.create(await optionsFor(other)));
  assert.equal(stolen.body.code, 'passkey_exists');
});
