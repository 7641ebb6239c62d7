/** One-time passwords of an authenticator app (RFC 6238). A code is good once, for its half minute and one either side. */
import { Secret, TOTP } from 'otpauth';
import { Type } from 'typebox';
import type { Database, Transaction } from '../../../platform/db.ts';
import { formatId } from '../../../platform/ids.ts';
import type { Secrets } from '../../../platform/secret.ts';
import { refuse } from '../errors.ts';
import type { SignedIn } from './session.ts';

const SECRET_BYTES = 20;
const PERIOD_S = 30;
const WINDOW = 1;

export const TotpEnrolment = Type.Object({
  secret: Type.String({ description: 'In base 32, to be typed in; told this once' }),
  uri: Type.String({ description: 'The same as an otpauth URI, to be shown as a QR code' }),
});

export const TotpCode = Type.String({
  pattern: '^[0-9]{6}$',
  examples: ['492039'],
  description: 'The six digits that the app shows',
});

const Row = Type.Object({ secret: Type.String(), is_confirmed: Type.Boolean() });

interface Person {
  tenant_id: string;
  person_id: string;
}

export const totpContext = ({ tenant_id, person_id }: Person) => `totp ${tenant_id} ${person_id}`;

/** Begins to enrol an app. It counts from when a code of it confirms that it works; until then it can begin anew. */
export async function beginTotp(
  { db, secrets }: { db: Database; secrets: Secrets },
  person: SignedIn,
): Promise<{ secret: string; uri: string }> {
  const secret = new Secret({ size: SECRET_BYTES });
  const changed = await db.write({ tenant_id: person.tenant_id, environment: 'sandbox' }, (tx) =>
    tx.run(
      `insert into identity.totp (tenant_id, person_id, secret) values ($1, $2, $3)
       on conflict (tenant_id, person_id) do update set secret = $3, created_at = now(), last_step = 0
       where totp.confirmed_at is null`,
      [person.tenant_id, person.person_id, secrets.encrypt(secret.base32, totpContext(person))],
    ),
  );
  if (changed === 0) {
    throw refuse('totp_active', `${formatId('usr', person.person_id)} has an authenticator app already.`);
  }
  const totp = new TOTP({ issuer: person.tenant_name, label: person.email, secret, period: PERIOD_S });
  return { secret: secret.base32, uri: totp.toString() };
}

/**
 * Whether a code is right, and of no step that was taken before. Taking it uses it up.
 *
 * @param which `confirmed`: of an app in use; `unconfirmed`: of one that is being enrolled, which it confirms
 */
export async function takeTotpCode(
  tx: Transaction,
  secrets: Secrets,
  person: Person,
  code: string,
  which: 'confirmed' | 'unconfirmed',
): Promise<boolean> {
  const [row] = await tx.rows(
    Row,
    `select secret, confirmed_at is not null as is_confirmed from identity.totp
     where tenant_id = $1 and person_id = $2 for no key update`,
    [person.tenant_id, person.person_id],
  );
  if (row === undefined || row.is_confirmed !== (which === 'confirmed')) return false;
  const secret = Secret.fromBase32(secrets.decrypt(row.secret, totpContext(person)));
  const now = Date.now();
  // Compared in constant time by the library.
  const delta = TOTP.validate({ token: code, secret, period: PERIOD_S, timestamp: now, window: WINDOW });
  if (delta === null) return false;
  const step = TOTP.counter({ period: PERIOD_S, timestamp: now }) + delta;
  const taken = await tx.run(
    `update identity.totp set last_step = $3, confirmed_at = coalesce(confirmed_at, now())
     where tenant_id = $1 and person_id = $2 and last_step < $3`,
    [person.tenant_id, person.person_id, step],
  );
  return taken > 0;
}
