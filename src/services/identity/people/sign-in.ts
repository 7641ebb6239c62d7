/**
 * Signing in. What is refused is refused with the same words after the same work, whether the address is unknown, the
 * password wrong, the account suspended or throttled: an attacker learns nothing (sign-in.test.ts, "tells nothing").
 */
import { type Static, Type } from 'typebox';
import type { AuditTrail } from '../../../platform/audit/write.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { newUuid } from '../../../platform/ids.ts';
import type { Problem } from '../../../platform/problem.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { refuse } from '../errors.ts';
import { normalizedEmail } from './invitation.ts';
import { type AuthenticationResponse, assertPasskey, claimedOwner } from './passkey.ts';
import type { Passwords } from './password.ts';
import { takeRecoveryCode } from './recovery-code.ts';
import { type Method, type Origin, Session, type Sessions } from './session.ts';
import {
  accountThrottle,
  admit,
  factorThrottle,
  forgive,
  giveBack,
  networkThrottle,
  type Throttle,
} from './throttle.ts';
import { newToken, readToken } from './token.ts';
import { takeTotpCode } from './totp.ts';

/** An attempt to sign in, for a trail. Where nobody has the address, no tenant is known. */
export interface SignInAttempt {
  tenant_id?: string;
  person_id?: string;
  method: Method;
  outcome: 'signed_in' | 'second_factor_required' | 'refused';
  origin: Origin;
}

/** What signing in stands on. */
export interface SigningIn {
  db: Database;
  passwords: Passwords;
  secrets: Secrets;
  sessions: Sessions;
  publicUrl: () => string;
  /** Told of every attempt. Who is let in gets no session before that is on record; nobody else waits. */
  onSignIn?: (attempt: SignInAttempt) => Promise<void>;
  /** Where what people change themselves is recorded. */
  audit: Pick<AuditTrail, 'record' | 'intend'>;
}

const Factor = Type.Union([Type.Literal('totp'), Type.Literal('passkey'), Type.Literal('recovery_code')]);
export type Factor = Static<typeof Factor>;

/** What is answered to who signs in: the session, or what is asked beside the password. */
export const SignInAnswer = Type.Object({
  status: Type.Union([Type.Literal('signed_in'), Type.Literal('second_factor_required')]),
  session: Type.Optional(Session),
  second_factors: Type.Optional(
    Type.Array(Factor, { description: 'What can be shown beside the password; any one of them is enough' }),
  ),
  sign_in: Type.Optional(
    Type.String({ description: 'Names this sign-in under way, to be sent with the second factor' }),
  ),
  expires_at: Type.Optional(Type.String({ description: 'Until when the second factor is awaited' })),
});

export type SignInOutcome =
  | { status: 'signed_in'; token: string; session: Session }
  | { status: 'second_factor_required'; second_factors: Factor[]; sign_in: string; expires_at: string };

/** How long a second factor is awaited. */
const PENDING_FOR_S = 300;
/** Wrong second factors after which the password is asked anew. */
const MAX_TRIES = 5;

/** The one refusal there is. */
export function refused(): Problem {
  return refuse('sign_in_refused', 'Signing in was refused. Check what you gave, or try again later.');
}

const TenantRow = Type.Object({ tenant_id: Type.String() });
const PersonRow = Type.Object({
  person_id: Type.String(),
  password_hash: Type.Union([Type.String(), Type.Null()]),
  may_enter: Type.Boolean(),
});

const mayEnter = "p.status = 'active' and t.status = 'active'";

/** The tenant in which an address is known: the one that is named, or the only one. */
async function tenantOf(db: Database, email: string, named: string | undefined): Promise<string | undefined> {
  const rows = await db.rows(TenantRow, 'select tenant_id from identity.tenants_of($1)', [email]);
  if (named !== undefined) return named;
  return rows.length === 1 ? rows[0]?.tenant_id : undefined;
}

const FactorsRow = Type.Object({
  has_totp: Type.Boolean(),
  has_passkey: Type.Boolean(),
  has_recovery_codes: Type.Boolean(),
});

interface Person {
  tenant_id: string;
  person_id: string;
}

/** The second factors of a person; recovery codes count beside another only. */
export async function factorsOf(tx: Transaction, { tenant_id, person_id }: Person): Promise<Factor[]> {
  const [row] = await tx.rows(
    FactorsRow,
    `select
       exists (select from identity.totp
         where tenant_id = $1 and person_id = $2 and confirmed_at is not null) as has_totp,
       exists (select from identity.passkeys where tenant_id = $1 and person_id = $2) as has_passkey,
       exists (select from identity.recovery_codes
         where tenant_id = $1 and person_id = $2 and used_at is null) as has_recovery_codes`,
    [tenant_id, person_id],
  );
  if (row === undefined || !(row.has_totp || row.has_passkey)) return [];
  return [
    ...(row.has_totp ? (['totp'] as const) : []),
    ...(row.has_passkey ? (['passkey'] as const) : []),
    ...(row.has_recovery_codes ? (['recovery_code'] as const) : []),
  ];
}

function scopeOf({ tenant_id }: { tenant_id: string }): Scope {
  return { tenant_id, environment: 'sandbox' };
}

async function begin(
  { db, sessions, onSignIn }: SigningIn,
  person: Person,
  methods: readonly Method[],
  origin: Origin,
): Promise<SignInOutcome> {
  const begun = await db.write(scopeOf(person), (tx) => sessions.begin(tx, person, methods, origin));
  await onSignIn?.({ ...person, method: methods.at(-1) ?? 'password', outcome: 'signed_in', origin });
  return { status: 'signed_in', ...begun };
}

/** Begins a session of somebody whom the tenant's own provider vouches for, if they may enter. */
export async function signInFromElsewhere(
  signingIn: SigningIn,
  person: Person,
  origin: Origin,
): Promise<SignInOutcome> {
  const entering = await findPerson(signingIn.db, person.tenant_id, { person_id: person.person_id });
  if (entering?.may_enter !== true) throw refused();
  return begin(signingIn, person, ['external'], origin);
}

async function findPerson(
  db: Database,
  tenant_id: string,
  by: { email?: string; person_id?: string },
): Promise<Static<typeof PersonRow> | undefined> {
  const [row] = await db.read(scopeOf({ tenant_id }), (tx) =>
    tx.rows(
      PersonRow,
      `select p.id as person_id, p.password_hash, ${mayEnter} as may_enter
       from identity.people p join platform.tenants t on t.tenant_id = p.tenant_id
       where p.tenant_id = $1 and p.status <> 'removed'
         and ($2::text is null or p.email = $2) and ($3::uuid is null or p.id = $3)
         and num_nonnulls($2::text, $3::uuid) = 1`,
      [tenant_id, by.email ?? null, by.person_id ?? null],
    ),
  );
  return row;
}

/** Counts the attempt against the network, and against the account where the network may try at all. */
async function admitted(db: Database, network: Throttle, account: Throttle): Promise<boolean> {
  const isNetworkAdmitted = await admit(db, network);
  // A network that must wait shall not be able to make an account wait. Something is counted all the same, since a
  // statement less would be noticed.
  const isAccountAdmitted = await admit(db, isNetworkAdmitted ? account : accountThrottle(newUuid()));
  return isNetworkAdmitted && isAccountAdmitted;
}

/**
 * Signs in by e-mail address and password. Who has a second factor is asked for it.
 *
 * @param credentials `tenant_id`, a UUID, where the address is known to several institutions
 */
export async function signInWithPassword(
  signingIn: SigningIn,
  credentials: { email: string; password: string; tenant_id?: string },
  origin: Origin,
): Promise<SignInOutcome> {
  const { db, passwords, onSignIn } = signingIn;
  const email = normalizedEmail(credentials.email);
  const network = networkThrottle(origin.address);
  const account = accountThrottle(email);
  const isAdmitted = await admitted(db, network, account);
  const tenant_id = await tenantOf(db, email, credentials.tenant_id);
  // Where nobody is known, nobody is looked up, so that it takes as long.
  const found = await findPerson(db, tenant_id ?? newUuid(), { email });
  const isRight = await passwords.verify(found?.password_hash ?? null, credentials.password);
  if (!isAdmitted || !isRight || tenant_id === undefined || found === undefined || !found.may_enter) {
    void onSignIn?.({
      ...(tenant_id === undefined || found === undefined ? {} : { tenant_id, person_id: found.person_id }),
      method: 'password',
      outcome: 'refused',
      origin,
    });
    throw refused();
  }
  const person = { tenant_id, person_id: found.person_id };
  await forgive(db, account);
  await giveBack(db, network);
  if (found.password_hash !== null && passwords.isOutdated(found.password_hash)) {
    const hashed = await passwords.hash(credentials.password);
    await db.write(scopeOf(person), (tx) =>
      tx.run(
        `update identity.people set password_hash = $3
         where tenant_id = $1 and id = $2 and password_hash = $4`,
        [tenant_id, person.person_id, hashed, found.password_hash],
      ),
    );
  }
  const second_factors = await db.read(scopeOf(person), (tx) => factorsOf(tx, person));
  if (second_factors.length === 0) return begin(signingIn, person, ['password'], origin);

  const { token, hash } = newToken(tenant_id);
  const expires_at = new Date(Date.now() + PENDING_FOR_S * 1_000).toISOString();
  await db.write(scopeOf(person), (tx) =>
    tx.run(
      `insert into identity.pending_sign_ins (tenant_id, token_hash, person_id, expires_at)
       values ($1, $2, $3, $4)`,
      [tenant_id, hash, person.person_id, expires_at],
    ),
  );
  void onSignIn?.({ ...person, method: 'password', outcome: 'second_factor_required', origin });
  return { status: 'second_factor_required', second_factors, sign_in: token, expires_at };
}

const PendingRow = Type.Object({ person_id: Type.String() });

/** Whose sign-in is under way; undefined where none is, or no more. */
export async function findPending(db: Database, sign_in: string): Promise<Person | undefined> {
  const known = readToken(sign_in);
  if (known === undefined) return undefined;
  const [row] = await db.read(scopeOf(known), (tx) =>
    tx.rows(
      PendingRow,
      `select person_id from identity.pending_sign_ins
       where tenant_id = $1 and token_hash = $2 and expires_at > now() and tries < $3`,
      [known.tenant_id, known.hash, MAX_TRIES],
    ),
  );
  return row === undefined ? undefined : { tenant_id: known.tenant_id, person_id: row.person_id };
}

/** What is shown beside a password. */
export type ShownFactor =
  | { totp: string }
  | { recovery_code: string }
  | { passkey: Static<typeof AuthenticationResponse> };

async function isFactorRight(
  { db, secrets, publicUrl }: SigningIn,
  person: Person,
  shown: ShownFactor,
): Promise<boolean> {
  if ('passkey' in shown) {
    const problem = refused();
    try {
      await assertPasskey({ db, publicUrl }, person, shown.passkey, false, () => problem);
      return true;
    } catch (error) {
      if (error === problem) return false;
      throw error;
    }
  }
  return db.write(scopeOf(person), async (tx) => {
    if ('totp' in shown) return takeTotpCode(tx, secrets, person, shown.totp, 'confirmed');
    // Where no factor is left to stand in for, codes are worth nothing.
    const factors = await factorsOf(tx, person);
    return factors.length > 0 && takeRecoveryCode(tx, person, shown.recovery_code);
  });
}

/** Completes a sign-in that awaits a second factor. */
export async function showSecondFactor(
  signingIn: SigningIn,
  sign_in: string,
  shown: ShownFactor,
  origin: Origin,
): Promise<SignInOutcome> {
  const { db, onSignIn } = signingIn;
  const method: Method = 'totp' in shown ? 'totp' : 'passkey' in shown ? 'passkey' : 'recovery_code';
  const known = readToken(sign_in);
  if (known === undefined) throw refused();
  // Counted before it is looked at: many at once count as many.
  const [pending] = await db.write(scopeOf(known), (tx) =>
    tx.rows(
      PendingRow,
      `update identity.pending_sign_ins set tries = tries + 1
       where tenant_id = $1 and token_hash = $2 and expires_at > now() and tries < $3 returning person_id`,
      [known.tenant_id, known.hash, MAX_TRIES],
    ),
  );
  if (pending === undefined) throw refused();
  const person = { tenant_id: known.tenant_id, person_id: pending.person_id };
  const throttle = factorThrottle(person.person_id);
  const isAdmitted = await admit(db, throttle);
  const found = await findPerson(db, person.tenant_id, { person_id: person.person_id });
  const isRight = isAdmitted && found?.may_enter === true && (await isFactorRight(signingIn, person, shown));
  if (!isRight) {
    void onSignIn?.({ ...person, method, outcome: 'refused', origin });
    throw refused();
  }
  await forgive(db, throttle);
  const used = await db.write(scopeOf(person), (tx) =>
    tx.run('delete from identity.pending_sign_ins where tenant_id = $1 and token_hash = $2', [
      person.tenant_id,
      known.hash,
    ]),
  );
  // Another factor completed the same sign-in at the same time.
  if (used === 0) throw refused();
  return begin(signingIn, person, ['password', method], origin);
}

/** Signs in with a passkey alone, which says itself whose it is. */
export async function signInWithPasskey(
  signingIn: SigningIn,
  given: Static<typeof AuthenticationResponse>,
  origin: Origin,
): Promise<SignInOutcome> {
  const { db, publicUrl, onSignIn } = signingIn;
  const network = networkThrottle(origin.address);
  const isAdmitted = await admit(db, network);
  const person = claimedOwner(given);
  const refusedAttempt = () => {
    void onSignIn?.({ ...person, method: 'passkey', outcome: 'refused', origin });
    return refused();
  };
  if (!isAdmitted || person === undefined) throw refusedAttempt();
  const found = await findPerson(db, person.tenant_id, { person_id: person.person_id });
  if (found?.may_enter !== true) throw refusedAttempt();
  await assertPasskey({ db, publicUrl }, person, given, true, refusedAttempt);
  await giveBack(db, network);
  return begin(signingIn, person, ['passkey'], origin);
}
