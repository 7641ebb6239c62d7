import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig, StartupError } from './config.ts';
import { openSecrets } from './secret.ts';

const [old, current] = [randomBytes(32), randomBytes(32)];

test('what is encrypted can be read again in its own place, and nowhere else', () => {
  const secrets = openSecrets({ keys: [current], data_dir: '' });
  for (const text of ['', 'a secret', 'ä€😀'.repeat(1_000)]) {
    const encrypted = secrets.encrypt(text, 'here');
    assert.equal(secrets.decrypt(encrypted, 'here'), text);
    assert.throws(() => secrets.decrypt(encrypted, 'there'));
    assert.notEqual(secrets.encrypt(text, 'here'), encrypted);
  }
});

test('what was altered cannot be read', () => {
  const secrets = openSecrets({ keys: [current], data_dir: '' });
  const encrypted = secrets.encrypt('a secret', 'here');
  const [version = '', id = '', body = ''] = encrypted.split('.');
  const bytes = Buffer.from(body, 'base64url');
  for (let index = 0; index < bytes.length; index += 1) {
    const altered = Buffer.from(bytes);
    altered[index] = (altered[index] ?? 0) ^ 1;
    assert.throws(() => secrets.decrypt(`${version}.${id}.${altered.toString('base64url')}`, 'here'));
  }
  for (const bad of ['', 'v1', `v2.${id}.${body}`, `${version}.${id}.`, `v1.00000000.${body}`]) {
    assert.throws(() => secrets.decrypt(bad, 'here'), bad);
  }
});

test('keys rotate: the first encrypts, those before still decrypt, and what is old is told', () => {
  const before = openSecrets({ keys: [old], data_dir: '' });
  const after = openSecrets({ keys: [current, old], data_dir: '' });
  const encrypted = before.encrypt('a secret', 'here');
  assert.equal(after.decrypt(encrypted, 'here'), 'a secret');
  assert.deepEqual([after.isOutdated(encrypted), before.isOutdated(encrypted)], [true, false]);
  assert.throws(() => before.decrypt(after.encrypt('new', 'here'), 'here'), /does not have/);
});

test('without a setting the key is made once, in the data directory, for its owner only', () => {
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-secret-'));
  try {
    const encrypted = openSecrets({ keys: [], data_dir }).encrypt('a secret', 'here');
    assert.equal(openSecrets({ keys: [], data_dir }).decrypt(encrypted, 'here'), 'a secret');
    const path = join(data_dir, 'encryption-key');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(readFileSync(path, 'utf8'), /^[A-Za-z0-9+/]{43}=\n$/);
    writeFileSync(path, 'not a key');
    assert.throws(() => openSecrets({ keys: [], data_dir }).encrypt('x', 'here'), StartupError);
  } finally {
    rmSync(data_dir, { recursive: true });
  }
});

test('the setting takes keys of 32 bytes, and its value is in no message', () => {
  const name = 'IDENTITY_ENCRYPTION_KEY';
  const both = `${current.toString('base64')}, ${old.toString('base64')}`;
  assert.deepEqual(readConfig({ [name]: both }).identity_encryption_keys, [current, old]);
  for (const bad of ['short', `${both},`, randomBytes(31).toString('base64')]) {
    assert.throws(
      () => readConfig({ [name]: bad }),
      (error) => error instanceof StartupError && !error.message.includes(bad),
    );
  }
});
