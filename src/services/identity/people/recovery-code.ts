/** Recovery codes: ten, shown once, each good once in place of a second factor that was lost. */
import { randomBytes } from 'node:crypto';
import { Type } from 'typebox';
import type { Transaction } from '../../../platform/db.ts';
import { hashOf } from './token.ts';

const CODES = 10;
/** Of Crockford's base 32: without letters that are taken for digits. 80 bits: a fast hash is enough. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const CODE_LETTERS = 16;

export const RecoveryCodes = Type.Object({
  recovery_codes: Type.Array(Type.String(), {
    description: 'Ten codes, each good once; told this once. Those before are good no more',
  }),
});

export const RecoveryCode = Type.String({
  minLength: CODE_LETTERS,
  maxLength: 40,
  pattern: '^[0-9A-Za-z -]+$',
  examples: ['9t4k-2m7x-p0ra-h5wd'],
});

interface Person {
  tenant_id: string;
  person_id: string;
}

function newCode(): string {
  // 256 is a multiple of 32: every letter is as likely.
  const letters = [...randomBytes(CODE_LETTERS)].map((byte) => alphabet[byte % alphabet.length] ?? '');
  return letters.join('').replaceAll(/.{4}(?=.)/g, '$&-');
}

/** Of the code as its owner may have typed it, and of the owner. */
function hashOfCode({ person_id }: Person, code: string): Buffer {
  const plain = code.toLowerCase().replaceAll(/[ -]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1');
  return hashOf(`${person_id} ${plain}`);
}

/** Makes ten codes in place of those there were, and tells them. */
export async function replaceRecoveryCodes(tx: Transaction, person: Person): Promise<string[]> {
  const codes = Array.from({ length: CODES }, newCode);
  await tx.run('delete from identity.recovery_codes where tenant_id = $1 and person_id = $2', [
    person.tenant_id,
    person.person_id,
  ]);
  await tx.run(
    'insert into identity.recovery_codes (tenant_id, person_id, hash) select $1, $2, unnest($3::bytea[])',
    [person.tenant_id, person.person_id, codes.map((code) => hashOfCode(person, code))],
  );
  return codes;
}

/** Whether a code is one of the person's that was not used before. It is used up by this. */
export async function takeRecoveryCode(tx: Transaction, person: Person, code: string): Promise<boolean> {
  const taken = await tx.run(
    `update identity.recovery_codes set used_at = now()
     where tenant_id = $1 and person_id = $2 and hash = $3 and used_at is null`,
    [person.tenant_id, person.person_id, hashOfCode(person, code)],
  );
  return taken > 0;
}
