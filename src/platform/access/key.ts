/**
 * API keys as texts. A key reads `fa_test_` (sandbox) or `fa_live_`, 30 random letters and digits, and six that are
 * their CRC-32 in base 62, so that secret scanners can tell one from a random string. The database keeps its SHA-256.
 */
import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Environment } from '../db.ts';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const RANDOM_LENGTH = 30;
const CHECKSUM_LENGTH = 6;
const keyPattern = /^fa_(test|live)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})$/;
const prefixes = { sandbox: 'fa_test_', live: 'fa_live_' } as const;

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let index = 0; index < CHECKSUM_LENGTH; index += 1) {
    digits = (alphabet[rest % alphabet.length] ?? '') + digits;
    rest = Math.floor(rest / alphabet.length);
  }
  return digits;
}

/** A new key for an environment. It is shown once; only `hashKey` of it is kept. */
export function newKey(environment: Environment): string {
  let random = '';
  while (random.length < RANDOM_LENGTH) random += alphabet[randomInt(alphabet.length)] ?? '';
  return `${prefixes[environment]}${random}${checksum(random)}`;
}

/** Whether a text has the form and checksum of a key: what does not is refused without a look-up. */
export function isWellFormedKey(key: string): boolean {
  const [, , random, check] = keyPattern.exec(key) ?? [];
  return random !== undefined && checksum(random) === check;
}

/** The same key as it would read in the other environment, where none of it is known. */
export function inOtherEnvironment(key: string): string {
  return key.startsWith(prefixes.live)
    ? key.replace(prefixes.live, prefixes.sandbox)
    : key.replace(prefixes.sandbox, prefixes.live);
}

/** What is kept of a key. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

/** The first letters of a key, by which its owner tells it from others: 24 bits of its 178 are given away. */
export function hintOf(key: string): string {
  return `${key.slice(0, prefixes.live.length + 4)}…`;
}
