import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig, StartupError, settings } from './config.ts';

test('with nothing set, every setting has its documented default', () => {
  assert.deepEqual(readConfig({}), {
    port: 8000,
    host: '127.0.0.1',
    data_dir: '.data',
    database_url: undefined,
    demo: true,
    log_level: 'info',
    services: 'all',
    pool_size: 10,
    queue_limit: 10_000,
    batch_limit: 1_000,
    statement_timeout_ms: 10_000,
    lock_timeout_ms: 5_000,
    drain_timeout_ms: 10_000,
    public_url: undefined,
    identity_encryption_keys: [],
    trusted_proxy: [],
  });
});

test('the documentation of a setting with a plain default names the value that is used', () => {
  const config = new Map<string, unknown>(Object.entries(readConfig({})));
  const plain = Object.entries(settings).filter(
    ([key]) =>
      !['database_url', 'demo', 'public_url', 'identity_encryption_keys', 'trusted_proxy'].includes(key),
  );
  assert.equal(plain.length, 11);
  for (const [key, setting] of plain) assert.equal(setting.default, String(config.get(key)), setting.name);
});

test('values are taken from the environment', () => {
  const config = readConfig({
    PORT: '0',
    HOST: '::',
    DATA_DIR: '/srv/books',
    DATABASE_URL: 'postgres://app:secret@db.internal:5432/books',
    DEMO: '0',
    LOG_LEVEL: 'DEBUG',
    SERVICES: 'ledger, credit-limits',
    POOL_SIZE: ' 20 ',
    PUBLIC_URL: 'https://api.example.com/bank/',
  });
  assert.equal(config.port, 0);
  assert.equal(config.host, '::');
  assert.equal(config.data_dir, '/srv/books');
  assert.equal(config.database_url, 'postgres://app:secret@db.internal:5432/books');
  assert.equal(config.demo, false);
  assert.equal(config.log_level, 'debug');
  assert.deepEqual(config.services, ['ledger', 'credit-limits']);
  assert.equal(config.pool_size, 20);
  assert.equal(config.public_url, 'https://api.example.com/bank');
});

test('an empty value counts as absent', () => {
  assert.deepEqual(readConfig({ PORT: '', SERVICES: ' ', DATABASE_URL: '' }), readConfig({}));
});

test('the demo is off in production unless asked for', () => {
  assert.equal(readConfig({ NODE_ENV: 'production' }).demo, false);
  assert.equal(readConfig({ NODE_ENV: 'production', DEMO: 'true' }).demo, true);
});

test('--services wins over SERVICES', () => {
  assert.deepEqual(readConfig({ SERVICES: 'all' }, ['--services=ledger']).services, ['ledger']);
});

test('a bad value is refused, naming the setting, the value and what is accepted', () => {
  const bad: readonly [name: string, value: string][] = [
    ['PORT', 'eight'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['PORT', '1e3'],
    ['PORT', '0x50'],
    ['HOST', '127.0.0.1\nx'],
    ['DATA_DIR', 'a\u0000b'],
    ['DEMO', 'maybe'],
    ['LOG_LEVEL', 'loud'],
    ['SERVICES', 'ledger,,accounts'],
    ['SERVICES', 'Ledger'],
    ['SERVICES', 'ledger,all'],
    ['POOL_SIZE', '0'],
    ['QUEUE_LIMIT', '1000000000000000000000'],
    ['DRAIN_TIMEOUT_MS', '10s'],
    ['PUBLIC_URL', 'localhost:8000'],
    ['PUBLIC_URL', 'https://user:pw@example.com'],
    ['PUBLIC_URL', 'https://example.com/?a=1'],
  ];
  for (const [name, value] of bad) {
    assert.throws(
      () => readConfig({ [name]: value }),
      (error) =>
        error instanceof StartupError &&
        error.message.startsWith(`${name} is ${JSON.stringify(value)}; accepted: `) &&
        !error.message.includes('\n'),
      `${name}=${JSON.stringify(value)}`,
    );
  }
});

test('a bad DATABASE_URL is refused without repeating it, since it may hold a password', () => {
  assert.throws(
    () => readConfig({ DATABASE_URL: 'mysql://root:hunter2@db/books' }),
    (error) =>
      error instanceof StartupError &&
      error.message.startsWith('DATABASE_URL ') &&
      !error.message.includes('hunter2'),
  );
});

test('an argument that is not known is refused', () => {
  assert.throws(() => readConfig({}, ['--service=ledger']), {
    name: 'StartupError',
    message: 'unknown argument "--service=ledger"; accepted: --services=a,b',
  });
});
