/**
 * Secrets that must be read again, as those of one-time passwords: encrypted with AES-256-GCM under a key that is not
 * in the database. A ciphertext names its key, so that keys can rotate: the first encrypts, every other still decrypts.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEncryptionKey, StartupError } from './config.ts';

export interface Secrets {
  /**
   * Encrypts a text. `context` names what the text belongs to, as `totp usr_…`; under another context it cannot be
   * decrypted, so that a ciphertext that was moved to another row is worth nothing.
   */
  encrypt(text: string, context: string): string;
  /** The text. Throws for what was altered, moved, or encrypted under a key that is not there. */
  decrypt(encrypted: string, context: string): string;
  /** Whether it was encrypted under a key other than the first, and should be encrypted anew. */
  isOutdated(encrypted: string): boolean;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

function idOf(key: Buffer): string {
  return hash('sha256', key, 'hex').slice(0, 8);
}

/** The key kept beside the data, made when it is first asked for. */
function keyFromFile(data_dir: string): Buffer {
  const path = join(data_dir, 'encryption-key');
  const read = () => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  };
  let text = read();
  if (text === undefined) {
    mkdirSync(data_dir, { recursive: true });
    // Whole or not at all, and the first of two processes wins.
    const made = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(made, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(made, path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    } finally {
      rmSync(made);
    }
    text = read();
  }
  const key = parseEncryptionKey(text ?? '');
  if (key === undefined) throw new StartupError(`${path} does not hold 32 bytes in base64`);
  return key;
}

/**
 * Secrets under the keys of the setting, or where there are none, under the key kept in the data directory. That one is
 * made on first use: an installation that never encrypts has none to lose.
 */
export function openSecrets(options: { keys: readonly Buffer[]; data_dir: string }): Secrets {
  let known: ReadonlyMap<string, Buffer> | undefined;
  const keys = () => {
    known ??= new Map(
      (options.keys.length > 0 ? options.keys : [keyFromFile(options.data_dir)]).map((key) => [
        idOf(key),
        key,
      ]),
    );
    return known;
  };
  const current = (): [string, Buffer] => {
    const [first] = keys();
    if (first === undefined) throw new Error('there is no encryption key');
    return first;
  };

  return {
    encrypt(text, context) {
      const [id, key] = current();
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(`${id} ${context}`));
      const body = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `v1.${id}.${body.toString('base64url')}`;
    },
    decrypt(encrypted, context) {
      const [version, id = '', body = ''] = encrypted.split('.');
      const key = keys().get(id);
      if (version !== 'v1' || key === undefined) {
        throw new Error(`a secret is encrypted under the key ${id}, which this process does not have`);
      }
      const bytes = Buffer.from(body, 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(`${id} ${context}`));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    },
    isOutdated: (encrypted) => encrypted.split('.')[1] !== current()[0],
  };
}
