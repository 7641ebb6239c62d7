/**
 * Choosing a new password without the one before: an administrator hands out a token for it, good once and for a day.
 * A second factor is asked as before, so that the token alone lets nobody in who has one.
 */
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Scope } from '../../../platform/db.ts';
import { formatId, Id } from '../../../platform/ids.ts';
import type { Problem } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';
import { assertGoodPassword, type Passwords } from './password.ts';
import { type Administering, assertNotAbove, assertOther, getPerson } from './person.ts';
import { endSessions } from './session.ts';
import { newToken, readToken } from './token.ts';

const GOOD_FOR_S = 86_400;

export const PasswordReset = Type.Object({
  person_id: Id('usr'),
  token: Type.String({
    description: 'To be handed to the person; told this once. Those before are good no more',
  }),
  expires_at: Type.String(),
});

const ExpiryRow = Type.Object({ expires_at: Type.String() });
const PersonRow = Type.Object({ person_id: Type.String(), email: Type.String(), name: Type.String() });

/** Makes a token for a person who may do no more than the caller; `before` is the one that it takes the place of. */
export async function beginPasswordReset(
  administering: Administering,
  caller: Caller,
  uuid: string,
): Promise<{
  before: { expires_at: string } | undefined;
  reset: Static<typeof PasswordReset>;
}> {
  assertOther(caller, uuid);
  await assertNotAbove(administering, caller, uuid);
  const { token, hash } = newToken(caller.tenant_id);
  return administering.db.write(caller, async (tx) => {
    const { person } = await getPerson(tx, caller, uuid);
    if (person.status === 'removed') throw refuse('person_removed', `${person.id} was removed.`);
    const [before] = await tx.rows(
      ExpiryRow,
      'delete from identity.password_resets where tenant_id = $1 and person_id = $2 returning expires_at',
      [caller.tenant_id, uuid],
    );
    const [row] = await tx.rows(
      ExpiryRow,
      `insert into identity.password_resets (tenant_id, token_hash, person_id, created_by, expires_at)
       values ($1, $2, $3, $4, now() + make_interval(secs => $5)) returning expires_at`,
      [caller.tenant_id, hash, uuid, caller.principal.id, GOOD_FOR_S],
    );
    if (row === undefined) throw new Error('a password reset that was inserted is not there');
    return { before, reset: { person_id: person.id, token, expires_at: row.expires_at } };
  });
}

function notGood(): Problem {
  return refuse('password_reset_not_good', 'No password can be reset with this token, or no more.');
}

/**
 * Sets the password that the owner of a token chose, and ends every session of theirs.
 *
 * @param begin told whose it is before anything is changed
 */
export async function completePasswordReset(
  { db, passwords }: { db: Administering['db']; passwords: Passwords },
  token: string,
  password: string,
  begin: (who: { tenant_id: string; person_id: string; name: string }) => Promise<void>,
): Promise<void> {
  const known = readToken(token);
  if (known === undefined) throw notGood();
  const scope: Scope = { tenant_id: known.tenant_id, environment: 'sandbox' };
  const [person] = await db.read(scope, (tx) =>
    tx.rows(
      PersonRow,
      `select r.person_id, p.email, p.name from identity.password_resets r
       join identity.people p on p.tenant_id = r.tenant_id and p.id = r.person_id
       where r.tenant_id = $1 and r.token_hash = $2 and r.expires_at > now() and p.status = 'active'`,
      [known.tenant_id, known.hash],
    ),
  );
  if (person === undefined) throw notGood();
  assertGoodPassword(password, person, '/password');
  const hashed = await passwords.hash(password);
  await begin({ tenant_id: known.tenant_id, person_id: person.person_id, name: person.name });
  await db.write(scope, async (tx) => {
    const used = await tx.run(
      'delete from identity.password_resets where tenant_id = $1 and token_hash = $2 and expires_at > now()',
      [known.tenant_id, known.hash],
    );
    if (used === 0) throw notGood();
    await tx.run(
      `update identity.people set password_hash = $3, password_changed_at = now()
       where tenant_id = $1 and id = $2 and status = 'active'`,
      [known.tenant_id, person.person_id, hashed],
    );
    await tx.run('delete from identity.pending_sign_ins where tenant_id = $1 and person_id = $2', [
      known.tenant_id,
      person.person_id,
    ]);
    await endSessions(
      tx,
      { tenant_id: known.tenant_id, person_id: person.person_id },
      {},
      formatId('usr', person.person_id),
    );
  });
}
