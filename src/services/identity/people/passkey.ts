/**
 * Passkeys (WebAuthn level 3). What an authenticator signs names this site and a challenge that is good once, for five
 * minutes. A passkey stands in for password and second factor, or is the second factor after a password.
 */
import { type Static, Type } from 'typebox';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { Text } from '../../../platform/http.ts';
import { formatId, Id, newUuid } from '../../../platform/ids.ts';
import type { Problem } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import type { SignedIn } from './session.ts';
import { bytesOf, hashOf, uuidsIn } from './token.ts';

/** Loaded when the first passkey is used: with all it reads certificates by it is a sixth of what a start has to load. */
const webauthn = () => import('@simplewebauthn/server');

const CHALLENGE_GOOD_FOR_S = 300;
const MAX_PASSKEYS = 20;

const Base64Url = (max: number) => Type.String({ pattern: '^[A-Za-z0-9_-]+={0,2}$', maxLength: max });
const MAX_ID_CHARACTERS = 1_400;
const MAX_PART_CHARACTERS = 20_000;

/** What browsers add to this in newer versions is let through and not looked at. */
const credential = {
  id: Base64Url(MAX_ID_CHARACTERS),
  rawId: Base64Url(MAX_ID_CHARACTERS),
  type: Type.Literal('public-key'),
  authenticatorAttachment: Type.Optional(
    Type.Union([Type.Literal('platform'), Type.Literal('cross-platform'), Type.Null()]),
  ),
  clientExtensionResults: Type.Optional(Type.Object({}, { additionalProperties: true })),
};

const RegistrationResponse = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64Url(MAX_PART_CHARACTERS),
        attestationObject: Base64Url(MAX_PART_CHARACTERS),
        transports: Type.Optional(Type.Array(Type.String({ pattern: '^[a-z-]{1,32}$' }), { maxItems: 10 })),
      },
      { additionalProperties: true },
    ),
  },
  { description: 'PublicKeyCredential.toJSON() of navigator.credentials.create()' },
);

export const AuthenticationResponse = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64Url(MAX_PART_CHARACTERS),
        authenticatorData: Base64Url(MAX_PART_CHARACTERS),
        signature: Base64Url(MAX_PART_CHARACTERS),
        userHandle: Type.Optional(Type.Union([Base64Url(200), Type.Null()])),
      },
      { additionalProperties: true },
    ),
  },
  { description: 'PublicKeyCredential.toJSON() of navigator.credentials.get()' },
);

export const PasskeyRequest = Type.Object(
  {
    label: Text({ min: 1, max: 255, description: 'Which authenticator it is', examples: ['blue key'] }),
    credential: RegistrationResponse,
  },
  { additionalProperties: false },
);

/** Options for `navigator.credentials`, in the JSON form of the standard. */
export const CeremonyOptions = Type.Object(
  { challenge: Type.String() },
  { additionalProperties: true, description: 'For PublicKeyCredential.parse…OptionsFromJSON()' },
);

export const Passkey = Type.Object({
  id: Id('psk'),
  label: Type.String(),
  is_backed_up: Type.Boolean({ description: 'Whether it is kept by a provider beside the device' }),
  created_at: Type.String(),
  last_used_at: Type.Union([Type.String(), Type.Null()]),
});
export type Passkey = Static<typeof Passkey>;

const Row = Type.Object({ ...Passkey.properties, id: Type.String() });
const columns = 'id, label, is_backed_up, created_at, last_used_at';

interface Person {
  tenant_id: string;
  person_id: string;
}

/** The site as authenticators know it. */
function siteOf(publicUrl: string): { id: string; origin: string } {
  const { hostname, origin } = new URL(publicUrl);
  return { id: hostname, origin };
}

/** Challenges are of no tenant: who will answer is not known yet. `purpose` binds one to what it is for. */
async function keepChallenge(db: Database, challenge: string, purpose: string): Promise<void> {
  await db.run(
    `insert into identity.passkey_challenges (hash, purpose, expires_at)
     values ($1, $2, now() + make_interval(secs => $3))`,
    [hashOf(challenge), purpose, CHALLENGE_GOOD_FOR_S],
  );
}

async function takeChallenge(db: Database, challenge: string, purpose: string): Promise<boolean> {
  const taken = await db.run(
    'delete from identity.passkey_challenges where hash = $1 and purpose = $2 and expires_at > now()',
    [hashOf(challenge), purpose],
  );
  return taken > 0;
}

const SIGN_IN = 'sign in';
const registrationOf = (person: Person) => `register ${person.tenant_id} ${person.person_id}`;

export async function listPasskeys(tx: Transaction, person: Person): Promise<Passkey[]> {
  const rows = await tx.rows(
    Row,
    `select ${columns} from identity.passkeys where tenant_id = $1 and person_id = $2 order by id`,
    [person.tenant_id, person.person_id],
  );
  return rows.map((row) => ({ ...row, id: formatId('psk', row.id) }));
}

const CredentialIdRow = Type.Object({ credential_id: Type.String() });

async function credentialIds(tx: Transaction, person: Person): Promise<{ id: string }[]> {
  const rows = await tx.rows(
    CredentialIdRow,
    'select credential_id from identity.passkeys where tenant_id = $1 and person_id = $2 order by id',
    [person.tenant_id, person.person_id],
  );
  return rows.map(({ credential_id }) => ({ id: credential_id }));
}

interface Passkeys {
  db: Database;
  publicUrl: () => string;
}

/** Options to register a passkey with. It can be found by the authenticator without a name, and knows its owner. */
export async function beginPasskey({ db, publicUrl }: Passkeys, person: SignedIn) {
  const scope: Scope = { tenant_id: person.tenant_id, environment: 'sandbox' };
  const known = await db.read(scope, (tx) => credentialIds(tx, person));
  const { generateRegistrationOptions } = await webauthn();
  const options = await generateRegistrationOptions({
    rpName: person.tenant_name,
    rpID: siteOf(publicUrl()).id,
    userName: person.email,
    userDisplayName: person.name,
    // Says where the person is to be looked for when the passkey alone signs in.
    userID: new Uint8Array(bytesOf(person.tenant_id, person.person_id)),
    timeout: CHALLENGE_GOOD_FOR_S * 1_000,
    excludeCredentials: known,
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  });
  await keepChallenge(db, options.challenge, registrationOf(person));
  return options;
}

/** What a library that checks another's work says is for that other's developers, not for whoever asks. */
async function verdictOf<T>(verifying: Promise<T>): Promise<T | undefined> {
  try {
    return await verifying;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Keeps a passkey that an authenticator made for options of this person. */
export async function addPasskey(
  { db, publicUrl }: Passkeys,
  person: SignedIn,
  { label, credential: given }: Static<typeof PasskeyRequest>,
): Promise<Passkey> {
  const site = siteOf(publicUrl());
  const { authenticatorAttachment: _, clientExtensionResults: __, ...rest } = given;
  let challenge = '';
  const { verifyRegistrationResponse } = await webauthn();
  const verdict = await verdictOf(
    verifyRegistrationResponse({
      response: { ...rest, clientExtensionResults: {} },
      // Whether it is one of ours is asked of the database, outside of what is caught here.
      expectedChallenge: (signedChallenge) => {
        challenge = signedChallenge;
        return true;
      },
      expectedOrigin: site.origin,
      expectedRPID: site.id,
    }),
  );
  const isOurs = await takeChallenge(db, challenge, registrationOf(person));
  if (verdict === undefined || !verdict.verified || !isOurs) {
    throw refuse('passkey_refused', 'What the authenticator answered is not good for this site and person.');
  }
  const { credential: made, credentialBackedUp } = verdict.registrationInfo;
  return db.write({ tenant_id: person.tenant_id, environment: 'sandbox' }, async (tx) => {
    await tx.run('select from identity.people where tenant_id = $1 and id = $2 for no key update', [
      person.tenant_id,
      person.person_id,
    ]);
    const known = await credentialIds(tx, person);
    if (known.length >= MAX_PASSKEYS) {
      throw refuse('passkey_refused', `A person has at most ${MAX_PASSKEYS} passkeys; remove one first.`);
    }
    const [row] = await tx.rows(
      Row,
      `insert into identity.passkeys
         (tenant_id, id, person_id, credential_id, public_key, counter, transports, label, is_backed_up)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       on conflict (tenant_id, credential_id) do nothing returning ${columns}`,
      [
        person.tenant_id,
        newUuid(),
        person.person_id,
        made.id,
        Buffer.from(made.publicKey),
        made.counter,
        given.response.transports ?? [],
        label,
        credentialBackedUp,
      ],
    );
    if (row === undefined) throw refuse('passkey_exists', 'This passkey is registered already.');
    return { ...row, id: formatId('psk', row.id) };
  });
}

export async function removePasskey(tx: Transaction, person: Person, uuid: string): Promise<void> {
  const removed = await tx.run(
    'delete from identity.passkeys where tenant_id = $1 and person_id = $2 and id = $3',
    [person.tenant_id, person.person_id, uuid],
  );
  if (removed === 0) {
    throw refuse(
      'passkey_not_found',
      `${formatId('usr', person.person_id)} has no passkey ${formatId('psk', uuid)}.`,
    );
  }
}

/**
 * Options to sign in with a passkey: any that the authenticator has for this site, or one of those of a person whose
 * password was right.
 */
export async function passkeySignInOptions({ db, publicUrl }: Passkeys, person: Person | undefined) {
  const known =
    person === undefined
      ? []
      : await db.read({ tenant_id: person.tenant_id, environment: 'sandbox' }, (tx) =>
          credentialIds(tx, person),
        );
  const { generateAuthenticationOptions } = await webauthn();
  const options = await generateAuthenticationOptions({
    rpID: siteOf(publicUrl()).id,
    timeout: CHALLENGE_GOOD_FOR_S * 1_000,
    userVerification: person === undefined ? 'required' : 'preferred',
    ...(person === undefined ? {} : { allowCredentials: known }),
  });
  await keepChallenge(db, options.challenge, SIGN_IN);
  return options;
}

const CredentialRow = Type.Object({
  id: Type.String(),
  public_key: Type.Unsafe<Buffer>(Type.Any()),
  counter: Type.BigInt(),
});

/** Whose passkey an answer claims to be of: its user handle was given to the authenticator by `beginPasskey`. */
export function claimedOwner({ response }: Static<typeof AuthenticationResponse>): Person | undefined {
  const [tenant_id, person_id] = uuidsIn(Buffer.from(response.userHandle ?? '', 'base64url'), 2) ?? [];
  return tenant_id === undefined || person_id === undefined ? undefined : { tenant_id, person_id };
}

/**
 * Whether an answer is of a passkey of this person, for a challenge of ours, and newer than the last one. Throws what
 * is refused to signing in.
 *
 * @param alone whether nothing else was shown: then the authenticator must have verified who holds it
 */
export async function assertPasskey(
  { db, publicUrl }: Passkeys,
  person: Person,
  given: Static<typeof AuthenticationResponse>,
  alone: boolean,
  refused: () => Problem,
): Promise<void> {
  const scope: Scope = { tenant_id: person.tenant_id, environment: 'sandbox' };
  const [row] = await db.read(scope, (tx) =>
    tx.rows(
      CredentialRow,
      'select id, public_key, counter from identity.passkeys where tenant_id = $1 and person_id = $2 and credential_id = $3',
      [person.tenant_id, person.person_id, given.id.replaceAll('=', '')],
    ),
  );
  if (row === undefined) throw refused();
  const site = siteOf(publicUrl());
  const { authenticatorAttachment: _, clientExtensionResults: __, response, ...rest } = given;
  const { userHandle: ___, ...signed } = response;
  let challenge = '';
  const { verifyAuthenticationResponse } = await webauthn();
  const verdict = await verdictOf(
    verifyAuthenticationResponse({
      response: { ...rest, response: signed, clientExtensionResults: {} },
      // Whether it is one of ours is asked of the database, outside of what is caught here.
      expectedChallenge: (signedChallenge) => {
        challenge = signedChallenge;
        return true;
      },
      expectedOrigin: site.origin,
      expectedRPID: site.id,
      credential: {
        id: given.id,
        publicKey: new Uint8Array(row.public_key),
        counter: Number(row.counter),
      },
      requireUserVerification: alone,
    }),
  );
  const isOurs = await takeChallenge(db, challenge, SIGN_IN);
  if (verdict === undefined || !verdict.verified || !isOurs) throw refused();
  const { newCounter } = verdict.authenticationInfo;
  // Two answers at once: the later one must still be newer.
  const counted = await db.write(scope, (tx) =>
    tx.run(
      `update identity.passkeys set counter = $3, last_used_at = now(), is_backed_up = $4
       where tenant_id = $1 and id = $2 and (counter < $3 or (counter = 0 and $3 = 0))`,
      [person.tenant_id, row.id, newCounter, verdict.authenticationInfo.credentialBackedUp],
    ),
  );
  if (counted === 0) throw refused();
}
