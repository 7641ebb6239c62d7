/**
 * Passwords: argon2id with the parameters that OWASP recommends (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1
 * lane). What is asked of a new one is what NIST SP 800-63B-4 asks: a length, and to be none of the commonest.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { hash, type Options, parseOptions, verify } from '@node-rs/argon2';
import { type Problem, refuse as refuseRequest } from '../../../platform/problem.ts';
import { refuse } from '../errors.ts';

/** argon2id is what the library does unless told otherwise. */
const parameters = {
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
  outputLen: 32,
} as const satisfies Options;

const PASSWORD_MIN_CHARACTERS = 8;
/** Long enough for any phrase; what is longer would be hashed for nothing. */
export const PASSWORD_MAX_CHARACTERS = 1_000;

/** Lower case, one a line, the commonest in the lists of what was breached that have the length at all. */
const commonest: ReadonlySet<string> = new Set(
  readFileSync(new URL('common-passwords.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter(Boolean),
);

/** The same password, whichever way a keyboard composes its characters (NIST SP 800-63B-4, section 3.1.1.2). */
function normalized(password: string): string {
  return password.normalize('NFKC');
}

function notGood(pointer: string, detail: string): Problem {
  return refuse('password_not_good', `The password ${detail}.`, { errors: [{ pointer, detail }] });
}

/**
 * Refuses a new password that is too short, too common or says who its owner is.
 *
 * @param pointer where in the body it stands
 */
export function assertGoodPassword(
  password: string,
  owner: { email: string; name: string },
  pointer: string,
): void {
  const plain = normalized(password);
  if (Array.from(plain).length < PASSWORD_MIN_CHARACTERS) {
    throw notGood(pointer, `must have at least ${PASSWORD_MIN_CHARACTERS} characters`);
  }
  const lower = plain.toLowerCase();
  if (commonest.has(lower)) throw notGood(pointer, 'is one of the commonest, which attackers try first');
  const bare = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s/g, '');
  const own = [owner.email, owner.email.split('@')[0] ?? '', owner.name].map(bare);
  if (own.includes(bare(plain)))
    throw notGood(pointer, 'must not be the e-mail address or name of its owner');
}

export interface Passwords {
  hash(password: string): Promise<string>;
  /** Whether it is the password. Without a hash it takes the same time and is not. */
  verify(hashed: string | null, password: string): Promise<boolean>;
  /** Whether a hash was made with other parameters than would be used now. */
  isOutdated(hashed: string): boolean;
}

/** How many may wait to be hashed: at some 20 ms each, longer queues would only be answered too late. */
const MAX_WAITING = 100;

/**
 * Hashing, on the threads that Node has for such work, of which it leaves some, and bounded: each hash takes a core and
 * 19 MiB for its time, which an attacker could otherwise ask of us without end.
 */
export async function openPasswords(
  concurrency = Math.max(1, Math.min(3, availableParallelism() - 1)),
): Promise<Passwords> {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function bounded<T>(work: () => Promise<T>): Promise<T> {
    if (running >= concurrency) {
      if (waiting.length >= MAX_WAITING) {
        throw refuseRequest('overloaded', 'Too many people sign in at this moment; nothing was done.', {
          retry_after_s: 2,
        });
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // Whoever is next takes over the place; it is never free in between.
      if (next === undefined) running -= 1;
      else next();
    }
  }

  const nobodys = await hash(randomBytes(32), parameters);
  return {
    hash: (password) => bounded(() => hash(normalized(password), parameters)),
    async verify(hashed, password) {
      const isRight = await bounded(() => verify(hashed ?? nobodys, normalized(password)));
      return hashed !== null && isRight;
    },
    isOutdated(hashed) {
      const { memoryCost, timeCost, parallelism, outputLen } = parseOptions(hashed);
      return (
        !hashed.startsWith('$argon2id$') ||
        memoryCost !== parameters.memoryCost ||
        timeCost !== parameters.timeCost ||
        parallelism !== parameters.parallelism ||
        outputLen !== parameters.outputLen
      );
    },
  };
}
