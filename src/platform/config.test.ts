import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { kafkaSettingsOf } from './bus/kafka-client.ts';
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
    redis_url: undefined,
    limits_when_redis_is_away: 'open',
    address_limit_factor: 1,
    trust_proxy: undefined,
    client_cert_proxies: [],
    oauth_key_lifetime_s: 2_592_000,
    otel_exporter_otlp_endpoint: undefined,
    otel_exporter_otlp_headers: {},
    otel_service_name: 'financialapi',
    otel_traces_sampler: 'parentbased_traceidratio',
    otel_traces_sampler_arg: 0.01,
    smtp_url: undefined,
    smtp_from: undefined,
    sms_provider_url: undefined,
    sms_provider_token: undefined,
    push_provider_url: undefined,
    push_provider_token: undefined,
    notifications_kept_days: 90,
    service_token_keys: [],
    events_kept_days: 90,
    usage_minutes_kept_days: 3,
    usage_hours_kept_days: 400,
    workers: 1,
    max_connections: 10_000,
    max_connections_per_address: 1_000,
    outgoing_allow: ['127.0.0.0/8', '::1'],
    identity_encryption_keys: [],
    session_idle_s: 1_800,
    session_lifetime_s: 43_200,
    kafka_brokers: [],
    kafka_tls: false,
    kafka_tls_ca_file: undefined,
    kafka_sasl_mechanism: undefined,
    kafka_sasl_user: undefined,
    kafka_sasl_password: undefined,
    kafka_topic_prefix: 'financialapi.',
    kafka_topic_partitions: 12,
    kafka_topic_replication: 3,
    kafka_content_mode: 'binary',
    drain_delay_ms: 1_000,
    discovery: 'registry',
    services_at: {},
    service_addresses: {},
    instance_url: undefined,
    discovery_timeout_ms: 60_000,
  });
});

test('addresses of services are read from a list, and from variables in the way of Kubernetes', () => {
  const SERVICES_AT = 'ledger=http://10.0.0.5:8000, https://ledger.example ;credit-limits=http://[::1]:1';
  assert.deepEqual(readConfig({ SERVICES_AT }).services_at, {
    ledger: ['http://10.0.0.5:8000', 'https://ledger.example'],
    'credit-limits': ['http://[::1]:1'],
  });
  for (const wrong of [
    'ledger',
    'ledger=',
    'ledger=10.0.0.5',
    'ledger=http://a/b',
    'a=http://b;a=http://c',
  ]) {
    assert.throws(() => readConfig({ SERVICES_AT: wrong }), /SERVICES_AT is .*name=URL,URL/, wrong);
  }
  const variables = {
    LEDGER_SERVICE_HOST: '10.0.0.5',
    LEDGER_SERVICE_PORT: '8000',
    CREDIT_LIMITS_SERVICE_HOST: '::1',
    CREDIT_LIMITS_SERVICE_PORT: '1',
    HALF_SERVICE_HOST: 'half',
  };
  assert.deepEqual(readConfig(variables).service_addresses, {
    ledger: ['http://10.0.0.5:8000'],
    'credit-limits': ['http://[::1]:1'],
  });
  assert.throws(
    () => readConfig({ LEDGER_SERVICE_HOST: 'a b', LEDGER_SERVICE_PORT: '1' }),
    /LEDGER_SERVICE_HOST and LEDGER_SERVICE_PORT are "a b" and "1"/,
  );
});

test('brokers of Kafka are host and port; what is none, or half of a way to sign in, is refused', () => {
  const brokers = 'kafka-1.example:9093, [::1]:9092,10.0.0.1:9092';
  assert.deepEqual(readConfig({ KAFKA_BROKERS: brokers }).kafka_brokers, brokers.split(/, ?/));
  for (const wrong of ['kafka', 'kafka:0', 'kafka:70000', 'kafka:9092,', 'https://kafka:9092', 'a b:1']) {
    assert.throws(() => readConfig({ KAFKA_BROKERS: wrong }), /KAFKA_BROKERS is .*host:port/, wrong);
  }
  assert.throws(() => readConfig({ KAFKA_SASL_MECHANISM: 'GSSAPI' }), /SCRAM-SHA-512/);
  assert.throws(
    () => kafkaSettingsOf(readConfig({ KAFKA_BROKERS: 'kafka:1', KAFKA_SASL_MECHANISM: 'PLAIN' })),
    /needs KAFKA_SASL_USER and KAFKA_SASL_PASSWORD/,
  );
  assert.throws(
    () => kafkaSettingsOf(readConfig({ KAFKA_BROKERS: 'kafka:1', KAFKA_TLS_CA_FILE: '/none.pem' })),
    /KAFKA_TLS_CA_FILE is "\/none.pem", which cannot be read: ENOENT/,
  );
});

test('headers for a collector are read as OpenTelemetry writes them, and a share is one', () => {
  const { otel_exporter_otlp_headers, otel_exporter_otlp_endpoint, otel_traces_sampler_arg } = readConfig({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example:4318/',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Basic%20YTpi, x-team = bank',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  });
  assert.deepEqual(otel_exporter_otlp_headers, { authorization: 'Basic YTpi', 'x-team': 'bank' });
  assert.equal(otel_exporter_otlp_endpoint, 'https://collector.example:4318');
  assert.equal(otel_traces_sampler_arg, 0.25);
  for (const share of ['1.5', '-0.1', 'half']) {
    assert.throws(() => readConfig({ OTEL_TRACES_SAMPLER_ARG: share }), /OTEL_TRACES_SAMPLER_ARG is/);
  }
  // A secret: what is wrong with it is not repeated.
  assert.throws(
    () => readConfig({ OTEL_EXPORTER_OTLP_HEADERS: 's3cret' }),
    ({ message }: Error) =>
      /OTEL_EXPORTER_OTLP_HEADERS has a value/.test(message) && !message.includes('s3cret'),
  );
});

test('the documentation of a setting with a plain default names the value that is used', () => {
  const config = new Map<string, unknown>(Object.entries(readConfig({})));
  const plain = Object.entries(settings).filter(
    ([key]) =>
      ![
        'database_url',
        'demo',
        'public_url',
        'redis_url',
        'trust_proxy',
        'client_cert_proxies',
        'outgoing_allow',
        'service_token_keys',
        'identity_encryption_keys',
        'kafka_brokers',
        'kafka_tls_ca_file',
        'kafka_sasl_mechanism',
        'kafka_sasl_user',
        'kafka_sasl_password',
        'services_at',
        'instance_url',
        'otel_exporter_otlp_endpoint',
        'otel_exporter_otlp_headers',
        'smtp_url',
        'smtp_from',
        'sms_provider_url',
        'sms_provider_token',
        'push_provider_url',
        'push_provider_token',
      ].includes(key),
  );
  assert.equal(plain.length, 34);
  for (const [key, setting] of plain) assert.equal(setting.default, String(config.get(key)), setting.name);
});

test('providers of notifications are checked, and a bad SMTP_URL is refused without repeating it', () => {
  for (const from of ['no-reply@bank.example', 'Banco Exemplo <no-reply@bank.example>']) {
    assert.equal(readConfig({ SMTP_FROM: from }).smtp_from, from);
  }
  for (const from of ['bank', 'a@b, c@d', 'x <a@b> y', 'a@b>', 'A "b" <a@b>']) {
    assert.throws(() => readConfig({ SMTP_FROM: from }), /^StartupError: SMTP_FROM is /);
  }
  assert.equal(readConfig({ SMTP_URL: 'smtps://u:p@mail.example' }).smtp_url, 'smtps://u:p@mail.example');
  assert.throws(
    () => readConfig({ SMTP_URL: 'http://u:hunter2@mail.example' }),
    (error: Error) => error.message.startsWith('SMTP_URL has a value') && !error.message.includes('hunter2'),
  );
  assert.throws(() => readConfig({ SMS_PROVIDER_URL: 'ftp://sms.example' }), /SMS_PROVIDER_URL is /);
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

test('proxies that are trusted are a number of them, or networks', () => {
  for (const [value, expected] of [
    ['2', 2],
    ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
    ['203.0.113.7', ['203.0.113.7']],
  ] as const) {
    assert.deepEqual(readConfig({ TRUST_PROXY: value }).trust_proxy, expected, value);
  }
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
    ['LIMITS_WHEN_REDIS_IS_AWAY', 'maybe'],
    ['ADDRESS_LIMIT_FACTOR', '0'],
    ['TRUST_PROXY', '0'],
    ['TRUST_PROXY', '11'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '10.0.0.0/33'],
    ['TRUST_PROXY', '10.0.0.1,,'],
    ['TRUST_PROXY', 'proxy.internal'],
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

test('a bad REDIS_URL is refused without repeating it', () => {
  assert.throws(
    () => readConfig({ REDIS_URL: 'http://user:hunter2@redis' }),
    (error) => error instanceof StartupError && !error.message.includes('hunter2'),
  );
});

test('an argument that is not known is refused', () => {
  assert.throws(() => readConfig({}, ['--service=ledger']), {
    name: 'StartupError',
    message: 'unknown argument "--service=ledger"; accepted: --services=a,b and --workers=2',
  });
});

test('a secret may stand in a file, which is named where it cannot be used', () => {
  const folder = mkdtempSync(join(tmpdir(), 'financialapi-config-'));
  try {
    const file = join(folder, 'url');
    const url = 'postgres://app:hush@db.internal:5432/books';
    writeFileSync(file, `${url}\n`);
    assert.equal(readConfig({ DATABASE_URL_FILE: file }).database_url, url);
    assert.equal(readConfig({ DATABASE_URL: ' ', DATABASE_URL_FILE: file }).database_url, url);
    assert.throws(
      () => readConfig({ DATABASE_URL: url, DATABASE_URL_FILE: file }),
      (error: Error) => /both set/.test(error.message) && !error.message.includes('hush'),
    );
    assert.throws(() => readConfig({ DATABASE_URL_FILE: join(folder, 'absent') }), /absent.*ENOENT/);
    assert.throws(() => readConfig({ DATABASE_URL_FILE: folder }), /EISDIR/);
    writeFileSync(file, 'hush, no URL');
    assert.throws(
      () => readConfig({ DATABASE_URL_FILE: file }),
      (error: Error) => /DATABASE_URL has a value/.test(error.message) && !error.message.includes('hush'),
    );
    writeFileSync(file, '\n');
    assert.throws(() => readConfig({ DATABASE_URL_FILE: file }), /which is empty/);
    // What is no secret is not looked for in files.
    assert.equal(readConfig({ PORT_FILE: file }).port, 8000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('networks that outgoing requests may reach are checked', () => {
  assert.deepEqual(readConfig({ OUTGOING_ALLOW: '127.0.0.1, 10.0.0.0/8,::1' }).outgoing_allow, [
    '127.0.0.1',
    '10.0.0.0/8',
    '::1',
  ]);
  for (const bad of ['localhost', '10.0.0.0/33', '127.1', '10.0.0.0/8,']) {
    assert.throws(() => readConfig({ OUTGOING_ALLOW: bad }), StartupError, bad);
  }
  // A first look reaches what runs beside it; whatever others may reach does not.
  assert.deepEqual(readConfig({}).outgoing_allow, ['127.0.0.0/8', '::1']);
  for (const served of [
    { DATABASE_URL: 'postgres://somewhere/ledger' },
    { HOST: '0.0.0.0' },
    { PUBLIC_URL: 'https://bank.example' },
    { TRUST_PROXY: '1' },
    { DEMO: 'false' },
    { NODE_ENV: 'production' },
  ]) {
    assert.deepEqual(readConfig(served).outgoing_allow, [], JSON.stringify(served));
  }
});
