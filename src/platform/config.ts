/**
 * Settings: read once at the start from the environment, never again. Each is described in `settings`, from which
 * the documentation is generated; no other file under src reads `process.env`.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';

/** Something the operator must put right before the process can start. The message is one line for a human. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';

export type Config = {
  port: number;
  host: string;
  data_dir: string;
  /** Undefined: the embedded PostgreSQL under `data_dir` is used. */
  database_url: string | undefined;
  demo: boolean;
  log_level: LogLevel;
  services: 'all' | readonly string[];
  /** Processes that answer requests; 1: this one alone. */
  workers: number;
  pool_size: number;
  queue_limit: number;
  batch_limit: number;
  statement_timeout_ms: number;
  lock_timeout_ms: number;
  drain_timeout_ms: number;
  drain_delay_ms: number;
  /** Undefined: `http://localhost:` and the port that is really listened on, which `PORT=0` leaves to the system. */
  public_url: string | undefined;
  /** Undefined: each process counts requests for itself. */
  redis_url: string | undefined;
  limits_when_redis_is_away: 'open' | 'closed';
  address_limit_factor: number;
  /** Proxies between us and clients: how many, or which; undefined: none. */
  trust_proxy: number | readonly string[] | undefined;
  /** Keys that sign calls between processes, the current one first; empty: one of this process alone. */
  service_token_keys: readonly Buffer[];
  events_kept_days: number;
  usage_minutes_kept_days: number;
  usage_hours_kept_days: number;
  max_connections: number;
  max_connections_per_address: number;
  /** Networks that outgoing requests may reach though they are not public. */
  outgoing_allow: readonly string[];
  /** Keys for what is encrypted at rest, the current one first; empty: the one kept in `data_dir`. */
  identity_encryption_keys: readonly Buffer[];
  session_idle_s: number;
  session_lifetime_s: number;
  /** Networks of the proxies whose `Client-Cert` header is believed. */
  client_cert_proxies: readonly string[];
  /** `host:port` of Kafka; empty: PostgreSQL is the bus. */
  kafka_brokers: readonly string[];
  kafka_tls: boolean;
  kafka_tls_ca_file: string | undefined;
  kafka_sasl_mechanism: (typeof saslMechanisms)[number] | undefined;
  kafka_sasl_user: string | undefined;
  kafka_sasl_password: string | undefined;
  kafka_topic_prefix: string;
  kafka_topic_partitions: number;
  kafka_topic_replication: number;
  kafka_content_mode: 'binary' | 'structured';
  oauth_key_lifetime_s: number;
  /** Undefined: mail is put into the local outbox. */
  smtp_url: string | undefined;
  smtp_from: string | undefined;
  /** Undefined: SMS are put into the local outbox. */
  sms_provider_url: string | undefined;
  sms_provider_token: string | undefined;
  /** Undefined: push messages are put into the local outbox. */
  push_provider_url: string | undefined;
  push_provider_token: string | undefined;
  notifications_kept_days: number;
  /** How services that run in other processes are found. */
  discovery: (typeof waysToDiscover)[number];
  /** Addresses of services, by name. */
  services_at: Readonly<Record<string, readonly string[]>>;
  /** Addresses that the environment names in the way of Kubernetes, by the name of the service. */
  service_addresses: Readonly<Record<string, readonly string[]>>;
  /** Where other processes reach this one. Undefined: `http://`, HOST and the port that is really listened on. */
  instance_url: string | undefined;
  discovery_timeout_ms: number;
  /** Where spans are sent, without a slash at the end; undefined: none are recorded. */
  otel_exporter_otlp_endpoint: string | undefined;
  otel_exporter_otlp_headers: Readonly<Record<string, string>>;
  otel_service_name: string;
  otel_traces_sampler: (typeof traceSamplers)[number];
  /** Share of the traces that are recorded, from 0 to 1, where the sampler takes a share. */
  otel_traces_sampler_arg: number;
};

export type Setting<T> = {
  name: string;
  meaning: string;
  /** What is used when the setting is absent or empty, as the documentation says it. */
  default: string;
  accepted: string;
  /** The value must not be repeated in messages: it may hold a password. */
  secret: boolean;
  fallback: (env: Environment) => T;
  /** Undefined: the text is not acceptable. */
  parse: (text: string) => T | undefined;
};

type Environment = Readonly<Record<string, string | undefined>>;

function text(name: string, fallback: string, meaning: string): Setting<string> {
  return {
    name,
    meaning,
    default: fallback,
    accepted: 'text without line breaks or NUL',
    secret: false,
    fallback: () => fallback,
    // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
    parse: (value) => (/[\u0000-\u001f]/.test(value) ? undefined : value),
  };
}

function integer(
  name: string,
  limits: { fallback: number; min: number; max: number },
  meaning: string,
): Setting<number> {
  return {
    name,
    meaning,
    default: String(limits.fallback),
    accepted: `a whole number from ${limits.min} to ${limits.max}`,
    secret: false,
    fallback: () => limits.fallback,
    parse: (value) => {
      const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      return number >= limits.min && number <= limits.max ? number : undefined;
    },
  };
}

/** An http or https URL of nothing but where something is, without a slash at the end. */
function addressOf(value: string): string | undefined {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  if (url.search + url.hash + url.username + url.password !== '') return undefined;
  return url.href.replace(/\/+$/, '');
}

/** Samplers by the names that OpenTelemetry has for them. */
const traceSamplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** `name=value,name=value`, values percent-encoded, as OpenTelemetry writes headers into a variable. */
function headersOf(value: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const pair of value.split(',')) {
    const [, name, encoded] = /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*([\x21-\x7e ]*?)\s*$/.exec(pair) ?? [];
    if (name === undefined || encoded === undefined) return undefined;
    try {
      headers[name.toLowerCase()] = decodeURIComponent(encoded);
    } catch {
      return undefined;
    }
  }
  return headers;
}

const ENCRYPTION_KEY_BYTES = 32;

/** 32 bytes in base64; undefined for what is none. */
export function parseEncryptionKey(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === ENCRYPTION_KEY_BYTES ? key : undefined;
}

/** Networks, of which there are none by default. */
function networkList(name: string, fallback: string, meaning: string): Setting<readonly string[]> {
  return {
    name,
    meaning,
    default: fallback,
    accepted: 'addresses or networks in CIDR notation, separated by commas',
    secret: false,
    fallback: () => [],
    parse: (value) => {
      const networks = value.split(',').map((network) => network.trim());
      return networks.every(isNetwork) ? networks : undefined;
    },
  };
}

/** Keys of 256 bits, the current one first. */
function keyList(name: string, fallback: string, meaning: string): Setting<readonly Buffer[]> {
  return {
    name,
    meaning,
    default: fallback,
    accepted: '32 random bytes in base64 (openssl rand -base64 32), or several of them separated by commas',
    secret: true,
    fallback: () => [],
    parse: (value) => {
      const keys = value.split(',').map((key) => parseEncryptionKey(key.trim()));
      return keys.every((key) => key !== undefined) ? keys : undefined;
    },
  };
}

const logLevels: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

const day_ms = 86_400_000;

/**
 * Whether this is a first look on somebody's own machine: the demo, on the embedded PostgreSQL, which nobody else reaches.
 * Who can ask it for anything is on this machine already.
 */
function isOwnMachine(given: Environment): boolean {
  const isSet = (name: string) => (given[name]?.trim() ?? '') !== '';
  if (['DATABASE_URL', 'DATABASE_URL_FILE', 'PUBLIC_URL', 'TRUST_PROXY'].some(isSet)) return false;
  if (isSet('HOST') && given['HOST']?.trim() !== '127.0.0.1') return false;
  const demo = given['DEMO']?.trim() ?? '';
  return demo === '' ? settings.demo.fallback(given) : settings.demo.parse(demo) === true;
}

const waysToDiscover = ['registry', 'static', 'environment'] as const;

/** The origin of an http or https URL that has nothing else. */
function originOf(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password !== '') return undefined;
  return url.pathname + url.search + url.hash === '/' ? url.origin : undefined;
}

/** `ledger=http://10.0.0.5:8000,http://10.0.0.6:8000;identity=…` */
function parseServicesAt(text: string): Record<string, readonly string[]> | undefined {
  const found: Record<string, readonly string[]> = {};
  for (const part of text.split(';')) {
    const [name = '', list = '', ...rest] = part.trim().split('=');
    const origins = list.split(',').map((url) => originOf(url.trim()));
    const known = origins.filter((origin) => origin !== undefined);
    if (!/^[a-z][a-z0-9-]*$/.test(name) || name in found || rest.length > 0) return undefined;
    if (known.length < origins.length) return undefined;
    found[name] = known;
  }
  return found;
}

const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** A text that there may be none of. */
function optionalText(name: string, fallback: string, meaning: string): Setting<string | undefined> {
  return { ...text(name, fallback, meaning), fallback: () => undefined };
}

/** The address of a provider that takes messages as JSON. */
function providerUrl(name: string, meaning: string): Setting<string | undefined> {
  return {
    name,
    meaning,
    default: 'none: the local outbox, from which nothing leaves the installation',
    accepted: 'an https URL; an http one within OUTGOING_ALLOW',
    secret: false,
    fallback: () => undefined,
    parse: (value) => (/^https?:\/\/\S+$/.test(value) && URL.canParse(value) ? value : undefined),
  };
}

/** `host:port`, with brackets around an IPv6 address. */
function isBroker(text: string): boolean {
  const port = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

/** Every setting, in the order in which the documentation shows them. */
export const settings = {
  port: integer(
    'PORT',
    { fallback: 8000, min: 0, max: 65_535 },
    'TCP port that the API listens on; 0 takes any free one.',
  ),
  host: text(
    'HOST',
    '127.0.0.1',
    'Address that the API listens on; 0.0.0.0 or :: to be reached from other machines.',
  ),
  data_dir: text(
    'DATA_DIR',
    '.data',
    'Directory of the embedded PostgreSQL and of whatever else must survive a restart.',
  ),
  database_url: {
    name: 'DATABASE_URL',
    meaning: 'PostgreSQL (15 or newer) to use instead of the embedded one, which is then not started.',
    default: 'none: the embedded PostgreSQL under DATA_DIR',
    accepted: 'postgres://user:password@host:port/database',
    secret: true,
    fallback: () => undefined,
    parse: (value) => (/^postgres(ql)?:\/\/\S+$/.test(value) ? value : undefined),
  } satisfies Setting<string | undefined>,
  demo: {
    name: 'DEMO',
    meaning:
      'Whether a first run creates the demo institution and its key, and pages offer one-click log-in.',
    default: 'true; false when NODE_ENV is production',
    accepted: 'true, false, 1 or 0',
    secret: false,
    fallback: (env) => env['NODE_ENV'] !== 'production',
    parse: (value) => {
      if (/^(true|1)$/i.test(value)) return true;
      return /^(false|0)$/i.test(value) ? false : undefined;
    },
  } satisfies Setting<boolean>,
  log_level: {
    name: 'LOG_LEVEL',
    meaning: 'Least severe log line that is written.',
    default: 'info',
    accepted: `one of ${logLevels.join(', ')}`,
    secret: false,
    fallback: () => 'info',
    parse: (value) => logLevels.find((level) => level === value.toLowerCase()),
  } satisfies Setting<LogLevel>,
  services: {
    name: 'SERVICES',
    meaning: 'Services that run in this process, also given as --services=a,b, which wins.',
    default: 'all',
    accepted: 'all, or names of services separated by commas',
    secret: false,
    fallback: () => 'all',
    parse: (value) => {
      const names = value.split(',').map((name) => name.trim());
      if (names.length === 1 && names[0] === 'all') return 'all';
      const sound = names.every((name) => name !== 'all' && /^[a-z][a-z0-9-]*$/.test(name));
      return sound ? [...new Set(names)] : undefined;
    },
  } satisfies Setting<'all' | readonly string[]>,
  workers: {
    name: 'WORKERS',
    meaning:
      'Processes that share the port and answer requests, also given as --workers=2, which wins; 1: this process alone; auto: one for each processor.',
    default: '1',
    accepted: 'auto, or a whole number from 1 to 64',
    secret: false,
    fallback: () => 1,
    parse: (value) => {
      if (value.toLowerCase() === 'auto') return Math.min(availableParallelism(), 64);
      return /^([1-9]|[1-5]\d|6[0-4])$/.test(value) ? Number(value) : undefined;
    },
  } satisfies Setting<number>,
  pool_size: integer(
    'POOL_SIZE',
    { fallback: 10, min: 1, max: 1_000 },
    'Most connections to PostgreSQL that this process holds in its pool.',
  ),
  queue_limit: integer(
    'QUEUE_LIMIT',
    { fallback: 10_000, min: 1, max: 1_000_000 },
    'Most postings that may wait for a commit; beyond it requests are answered 503 with Retry-After.',
  ),
  batch_limit: integer(
    'BATCH_LIMIT',
    { fallback: 1_000, min: 1, max: 10_000 },
    'Most postings that share one commit.',
  ),
  statement_timeout_ms: integer(
    'STATEMENT_TIMEOUT_MS',
    { fallback: 10_000, min: 100, max: day_ms },
    'Longest that one SQL statement of a request may take, in milliseconds.',
  ),
  lock_timeout_ms: integer(
    'LOCK_TIMEOUT_MS',
    { fallback: 5_000, min: 10, max: day_ms },
    'Longest that a statement may wait for a lock, in milliseconds.',
  ),
  drain_timeout_ms: integer(
    'DRAIN_TIMEOUT_MS',
    { fallback: 10_000, min: 0, max: day_ms },
    'Longest that requests under way may take to finish after SIGTERM, in milliseconds.',
  ),
  drain_delay_ms: integer(
    'DRAIN_DELAY_MS',
    { fallback: 1_000, min: 0, max: day_ms },
    'How long after SIGTERM everything is still answered, while /readyz says that the process is about to stop: longer than whoever sends requests takes to notice. Other processes of the installation look twice a second.',
  ),
  public_url: {
    name: 'PUBLIC_URL',
    meaning: 'Address under which clients reach the API, used in links.',
    default: 'http://localhost:PORT',
    accepted: 'an http or https URL without query, fragment or credentials',
    secret: false,
    fallback: () => undefined,
    parse: addressOf,
  } satisfies Setting<string | undefined>,
  redis_url: {
    name: 'REDIS_URL',
    meaning: 'Redis or Valkey in which all processes count requests together.',
    default: 'none: each process counts for itself',
    accepted: 'redis:// or rediss://user:password@host:port/database',
    secret: true,
    fallback: () => undefined,
    parse: (value) => (/^rediss?:\/\/\S+$/.test(value) && URL.canParse(value) ? value : undefined),
  } satisfies Setting<string | undefined>,
  limits_when_redis_is_away: {
    name: 'LIMITS_WHEN_REDIS_IS_AWAY',
    meaning:
      'What happens while Redis does not answer: open, each process counts for itself; closed, requests are answered 503.',
    default: 'open',
    accepted: 'open or closed',
    secret: false,
    fallback: () => 'open',
    parse: (value) => (value === 'open' || value === 'closed' ? value : undefined),
  } satisfies Setting<'open' | 'closed'>,
  address_limit_factor: integer(
    'ADDRESS_LIMIT_FACTOR',
    { fallback: 1, min: 1, max: 100_000 },
    'By how much the limits for each address are multiplied, where many people share an address.',
  ),
  trust_proxy: {
    name: 'TRUST_PROXY',
    meaning:
      'Proxies whose X-Forwarded-For is believed, as the address of a client: how many there are in a row, or their addresses.',
    default: 'none: the address is that of the connection',
    accepted: 'a number from 1 to 10, or addresses and networks in CIDR notation separated by commas',
    secret: false,
    fallback: () => undefined,
    parse: (value) => {
      if (/^([1-9]|10)$/.test(value)) return Number(value);
      const networks = value.split(',').map((network) => network.trim());
      return networks.every(isNetwork) ? networks : undefined;
    },
  } satisfies Setting<number | readonly string[] | undefined>,
  service_token_keys: keyList(
    'SERVICE_TOKEN_KEY',
    'none: a key of this process alone, made at its start',
    'Key that signs calls between our own processes, the same in all of them. To rotate, append the new key everywhere, then put it first, then remove the old one.',
  ),
  events_kept_days: integer(
    'EVENTS_KEPT_DAYS',
    { fallback: 90, min: 1, max: 36_500 },
    'Days that events stay in the feed after they were carried.',
  ),
  usage_minutes_kept_days: integer(
    'USAGE_MINUTES_KEPT_DAYS',
    { fallback: 3, min: 1, max: 366 },
    'Days that usage is kept by the minute, and the last requests of a sandbox.',
  ),
  usage_hours_kept_days: integer(
    'USAGE_HOURS_KEPT_DAYS',
    { fallback: 400, min: 1, max: 36_500 },
    'Days that usage is kept by the hour.',
  ),
  max_connections: integer(
    'MAX_CONNECTIONS',
    { fallback: 10_000, min: 10, max: 1_000_000 },
    'Most connections of clients at a time; further ones are closed at once.',
  ),
  max_connections_per_address: integer(
    'MAX_CONNECTIONS_PER_ADDRESS',
    { fallback: 1_000, min: 1, max: 1_000_000 },
    'Most connections from one address at a time. Behind a proxy, all come from its address: raise it to MAX_CONNECTIONS there.',
  ),
  outgoing_allow: {
    ...networkList(
      'OUTGOING_ALLOW',
      'none: https to public addresses only; this machine, where the demo runs on its embedded PostgreSQL and is reached from this machine only (no DATABASE_URL, HOST, PUBLIC_URL or TRUST_PROXY)',
      'Private networks that outgoing requests, as those of webhooks, may reach, over plain HTTP and at any port too. For development and tests.',
    ),
    fallback: (given) => (isOwnMachine(given) ? ['127.0.0.0/8', '::1'] : []),
  } satisfies Setting<readonly string[]>,
  identity_encryption_keys: keyList(
    'IDENTITY_ENCRYPTION_KEY',
    'none: a key is made in DATA_DIR, in the file encryption-key',
    'Key for the secrets that are encrypted at rest. To rotate, append the new key everywhere, then put it first, then run npm run secrets, then remove the old one.',
  ),
  session_idle_s: integer(
    'SESSION_IDLE_S',
    { fallback: 1_800, min: 60, max: 86_400 },
    "Longest that a person's session may go unused, in seconds.",
  ),
  session_lifetime_s: integer(
    'SESSION_LIFETIME_S',
    { fallback: 43_200, min: 60, max: 30 * 86_400 },
    "Longest that a person's session may last, in seconds.",
  ),
  client_cert_proxies: networkList(
    'CLIENT_CERT_PROXIES',
    'none: only certificates of the connection itself count',
    'Proxies that end TLS before this server: the client certificate that they name in Client-Cert (RFC 9440) is believed. They must remove that header from what comes in.',
  ),
  kafka_brokers: {
    name: 'KAFKA_BROKERS',
    meaning:
      'Brokers of Kafka, which then carries events to those who consume them; some of them are enough.',
    default: 'none: PostgreSQL carries them',
    accepted: 'host:port, or several of them separated by commas',
    secret: false,
    fallback: () => [],
    parse: (value) => {
      const brokers = value.split(',').map((broker) => broker.trim());
      return brokers.every(isBroker) ? brokers : undefined;
    },
  } satisfies Setting<readonly string[]>,
  kafka_tls: {
    name: 'KAFKA_TLS',
    meaning: 'Whether Kafka is reached by TLS; KAFKA_TLS_CA_FILE implies it.',
    default: 'false',
    accepted: 'true, false, 1 or 0',
    secret: false,
    fallback: () => false,
    parse: (value) => {
      if (/^(true|1)$/i.test(value)) return true;
      return /^(false|0)$/i.test(value) ? false : undefined;
    },
  } satisfies Setting<boolean>,
  kafka_tls_ca_file: optionalText(
    'KAFKA_TLS_CA_FILE',
    'none: the authorities that Node.js trusts',
    'PEM file of the authorities that may have signed the certificates of the brokers.',
  ),
  kafka_sasl_mechanism: {
    name: 'KAFKA_SASL_MECHANISM',
    meaning: 'How the server proves to Kafka who it is. PLAIN sends the password: use it with TLS only.',
    default: 'none',
    accepted: `one of ${saslMechanisms.join(', ')}`,
    secret: false,
    fallback: () => undefined,
    parse: (value) => saslMechanisms.find((mechanism) => mechanism === value.toUpperCase()),
  } satisfies Setting<(typeof saslMechanisms)[number] | undefined>,
  kafka_sasl_user: optionalText('KAFKA_SASL_USER', 'none', 'User of KAFKA_SASL_MECHANISM.'),
  kafka_sasl_password: {
    ...optionalText('KAFKA_SASL_PASSWORD', 'none', 'Password of KAFKA_SASL_USER.'),
    secret: true,
  },
  kafka_topic_prefix: {
    name: 'KAFKA_TOPIC_PREFIX',
    meaning: 'What the names of the topic and of the consumer groups begin with, one for each installation.',
    default: 'financialapi.',
    accepted: 'letters, digits, dots, dashes and underscores, 100 at most',
    secret: false,
    fallback: () => 'financialapi.',
    parse: (value) => (/^[A-Za-z0-9._-]{1,100}$/.test(value) ? value : undefined),
  } satisfies Setting<string>,
  kafka_topic_partitions: integer(
    'KAFKA_TOPIC_PARTITIONS',
    { fallback: 12, min: 1, max: 10_000 },
    'Partitions of the topic if the server makes it: most processes that can consume side by side. Never change it afterwards: order would be lost.',
  ),
  kafka_topic_replication: integer(
    'KAFKA_TOPIC_REPLICATION',
    { fallback: 3, min: 1, max: 7 },
    'Brokers that keep each event if the server makes the topic; all but one must have it before it counts as carried.',
  ),
  kafka_content_mode: {
    name: 'KAFKA_CONTENT_MODE',
    meaning:
      'How an event is laid into a message (CloudEvents Kafka protocol binding): binary, attributes in headers; structured, all of it in the value.',
    default: 'binary',
    accepted: 'binary or structured',
    secret: false,
    fallback: () => 'binary',
    parse: (value) => (value === 'binary' || value === 'structured' ? value : undefined),
  } satisfies Setting<'binary' | 'structured'>,
  oauth_key_lifetime_s: integer(
    'OAUTH_KEY_LIFETIME_S',
    { fallback: 30 * 86_400, min: 14_400, max: 400 * 86_400 },
    'How long a key signs the tokens of an issuer before the next one does, in seconds. The old one is published until what it signed has expired.',
  ),
  smtp_url: {
    name: 'SMTP_URL',
    meaning: 'Mail server that notifications are sent by.',
    default: 'none: the local outbox, from which nothing leaves the installation',
    accepted:
      'smtp://user:password@host:port, or smtps:// for TLS from the start; with ?requireTLS=true nothing is sent without TLS',
    secret: true,
    fallback: () => undefined,
    parse: (value) => (/^smtps?:\/\/\S+$/.test(value) && URL.canParse(value) ? value : undefined),
  } satisfies Setting<string | undefined>,
  smtp_from: {
    name: 'SMTP_FROM',
    meaning: 'Address that mail is sent from. Needed with SMTP_URL.',
    default: 'none',
    accepted: 'an address, or a name and an address: Banco Exemplo <no-reply@bank.example>',
    secret: false,
    fallback: () => undefined,
    parse: (value) =>
      /^([^<>\r\n"@]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/.test(value) ? value : undefined,
  } satisfies Setting<string | undefined>,
  sms_provider_url: providerUrl('SMS_PROVIDER_URL', 'Where SMS are posted to be sent.'),
  sms_provider_token: {
    ...optionalText('SMS_PROVIDER_TOKEN', 'none', 'Bearer token for SMS_PROVIDER_URL.'),
    secret: true,
  },
  push_provider_url: providerUrl('PUSH_PROVIDER_URL', 'Where push messages are posted to be sent.'),
  push_provider_token: {
    ...optionalText('PUSH_PROVIDER_TOKEN', 'none', 'Bearer token for PUSH_PROVIDER_URL.'),
    secret: true,
  },
  notifications_kept_days: integer(
    'NOTIFICATIONS_KEPT_DAYS',
    { fallback: 90, min: 1, max: 36_500 },
    'Days that what a notification said, and where it was sent, is kept after it was.',
  ),
  discovery: {
    name: 'DISCOVERY',
    meaning:
      'How services that run in other processes are found: registry, a table of the database in which each process announces itself; static, by SERVICES_AT; environment, by variables such as LEDGER_SERVICE_HOST and LEDGER_SERVICE_PORT, as Kubernetes sets them.',
    default: 'registry',
    accepted: `one of ${waysToDiscover.join(', ')}`,
    secret: false,
    fallback: () => 'registry',
    parse: (value) => waysToDiscover.find((way) => way === value),
  } satisfies Setting<(typeof waysToDiscover)[number]>,
  services_at: {
    name: 'SERVICES_AT',
    meaning: 'Where services are that run in other processes, with DISCOVERY=static.',
    default: 'none',
    accepted: 'name=URL,URL for each service, separated by semicolons; http or https URLs without a path',
    secret: false,
    fallback: () => ({}),
    parse: parseServicesAt,
  } satisfies Setting<Readonly<Record<string, readonly string[]>>>,
  instance_url: {
    name: 'INSTANCE_URL',
    meaning: 'Address at which the other processes of the installation reach this one, for the registry.',
    default: 'http://, HOST and the port; the name of the machine where HOST is 0.0.0.0 or ::',
    accepted: 'an http or https URL without a path',
    secret: false,
    fallback: () => undefined,
    parse: originOf,
  } satisfies Setting<string | undefined>,
  discovery_timeout_ms: integer(
    'DISCOVERY_TIMEOUT_MS',
    { fallback: 60_000, min: 0, max: day_ms },
    'Longest that the start waits for the services that are asked from here to be found, so that it does not matter which process is started first.',
  ),
  otel_exporter_otlp_endpoint: {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    meaning:
      'Collector of OpenTelemetry that spans are sent to, by OTLP over HTTP as JSON; /v1/traces is put behind it.',
    default: 'none: no spans are recorded',
    accepted: 'an http or https URL without query, fragment or credentials',
    secret: false,
    fallback: () => undefined,
    parse: addressOf,
  } satisfies Setting<string | undefined>,
  otel_exporter_otlp_headers: {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    meaning: 'Headers with which spans are sent, as a collector may want a key.',
    default: 'none',
    accepted: 'name=value, or several of them separated by commas; values percent-encoded',
    secret: true,
    fallback: () => ({}),
    parse: headersOf,
  } satisfies Setting<Readonly<Record<string, string>>>,
  otel_service_name: text('OTEL_SERVICE_NAME', 'financialapi', 'Name under which traces show this server.'),
  otel_traces_sampler: {
    name: 'OTEL_TRACES_SAMPLER',
    meaning:
      'Which traces are recorded. Those that begin with parentbased_ follow a caller who says whether it records its own; without that prefix no caller decides.',
    default: 'parentbased_traceidratio',
    accepted: `one of ${traceSamplers.join(', ')}`,
    secret: false,
    fallback: () => 'parentbased_traceidratio',
    parse: (value) => traceSamplers.find((sampler) => sampler === value.toLowerCase()),
  } satisfies Setting<(typeof traceSamplers)[number]>,
  otel_traces_sampler_arg: {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    meaning: 'Share of the traces that a sampler by traceidratio records.',
    default: '0.01',
    accepted: 'a number from 0 to 1',
    secret: false,
    fallback: () => 0.01,
    parse: (value) => {
      const share = /^\d(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
      return share >= 0 && share <= 1 ? share : undefined;
    },
  } satisfies Setting<number>,
};

/** An address, or a network in CIDR notation. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

/**
 * Reads every setting. An empty value counts as absent, since many tools can set a variable but not unset it.
 *
 * @param argv the arguments after the script's name
 * @throws StartupError naming the setting, its value and what is accepted
 */
export function readConfig(env: Environment, argv: readonly string[] = []): Config {
  const given = { ...env, ...optionsOf(argv) };
  const read = <T>(setting: Setting<T>): T => {
    const value = (setting.secret ? secretOf(setting.name, given) : given[setting.name])?.trim() ?? '';
    if (value === '') return setting.fallback(given);
    const parsed = setting.parse(value);
    if (parsed !== undefined) return parsed;
    const shown = setting.secret ? 'has a value that is not accepted' : `is ${JSON.stringify(value)}`;
    throw new StartupError(`${setting.name} ${shown}; accepted: ${setting.accepted}`);
  };
  return {
    port: read(settings.port),
    host: read(settings.host),
    data_dir: read(settings.data_dir),
    database_url: read<string | undefined>(settings.database_url),
    demo: read(settings.demo),
    log_level: read<LogLevel>(settings.log_level),
    services: read<'all' | readonly string[]>(settings.services),
    workers: read<number>(settings.workers),
    pool_size: read(settings.pool_size),
    queue_limit: read(settings.queue_limit),
    batch_limit: read(settings.batch_limit),
    statement_timeout_ms: read(settings.statement_timeout_ms),
    lock_timeout_ms: read(settings.lock_timeout_ms),
    drain_timeout_ms: read(settings.drain_timeout_ms),
    public_url: read<string | undefined>(settings.public_url),
    redis_url: read<string | undefined>(settings.redis_url),
    limits_when_redis_is_away: read<'open' | 'closed'>(settings.limits_when_redis_is_away),
    address_limit_factor: read(settings.address_limit_factor),
    trust_proxy: read<number | readonly string[] | undefined>(settings.trust_proxy),
    service_token_keys: read<readonly Buffer[]>(settings.service_token_keys),
    events_kept_days: read(settings.events_kept_days),
    usage_minutes_kept_days: read(settings.usage_minutes_kept_days),
    usage_hours_kept_days: read(settings.usage_hours_kept_days),
    max_connections: read(settings.max_connections),
    max_connections_per_address: read(settings.max_connections_per_address),
    outgoing_allow: read<readonly string[]>(settings.outgoing_allow),
    identity_encryption_keys: read<readonly Buffer[]>(settings.identity_encryption_keys),
    session_idle_s: read(settings.session_idle_s),
    session_lifetime_s: read(settings.session_lifetime_s),
    client_cert_proxies: read<readonly string[]>(settings.client_cert_proxies),
    kafka_brokers: read<readonly string[]>(settings.kafka_brokers),
    kafka_tls: read<boolean>(settings.kafka_tls),
    kafka_tls_ca_file: read(settings.kafka_tls_ca_file),
    kafka_sasl_mechanism: read<(typeof saslMechanisms)[number] | undefined>(settings.kafka_sasl_mechanism),
    kafka_sasl_user: read(settings.kafka_sasl_user),
    kafka_sasl_password: read(settings.kafka_sasl_password),
    kafka_topic_prefix: read<string>(settings.kafka_topic_prefix),
    kafka_topic_partitions: read(settings.kafka_topic_partitions),
    kafka_topic_replication: read(settings.kafka_topic_replication),
    kafka_content_mode: read<'binary' | 'structured'>(settings.kafka_content_mode),
    oauth_key_lifetime_s: read(settings.oauth_key_lifetime_s),
    smtp_url: read<string | undefined>(settings.smtp_url),
    smtp_from: read<string | undefined>(settings.smtp_from),
    sms_provider_url: read(settings.sms_provider_url),
    sms_provider_token: read(settings.sms_provider_token),
    push_provider_url: read(settings.push_provider_url),
    push_provider_token: read(settings.push_provider_token),
    notifications_kept_days: read(settings.notifications_kept_days),
    drain_delay_ms: read(settings.drain_delay_ms),
    discovery: read<(typeof waysToDiscover)[number]>(settings.discovery),
    services_at: read<Readonly<Record<string, readonly string[]>>>(settings.services_at),
    service_addresses: serviceAddresses(env),
    instance_url: read<string | undefined>(settings.instance_url),
    discovery_timeout_ms: read(settings.discovery_timeout_ms),
    otel_exporter_otlp_endpoint: read<string | undefined>(settings.otel_exporter_otlp_endpoint),
    otel_exporter_otlp_headers: read<Readonly<Record<string, string>>>(settings.otel_exporter_otlp_headers),
    otel_service_name: read(settings.otel_service_name),
    otel_traces_sampler: read<(typeof traceSamplers)[number]>(settings.otel_traces_sampler),
    otel_traces_sampler_arg: read(settings.otel_traces_sampler_arg),
  };
}

/** What Kubernetes says of its services: `CREDIT_LIMITS_SERVICE_HOST` and `CREDIT_LIMITS_SERVICE_PORT`, by our names. */
function serviceAddresses(env: Environment): Record<string, readonly string[]> {
  const found: Record<string, readonly string[]> = {};
  for (const [variable, host = ''] of Object.entries(env)) {
    const [, name] = /^([A-Z][A-Z0-9_]*)_SERVICE_HOST$/.exec(variable) ?? [];
    const port = env[`${name}_SERVICE_PORT`]?.trim() ?? '';
    if (name === undefined || host.trim() === '' || port === '') continue;
    const address = originOf(`http://${isIP(host.trim()) === 6 ? `[${host.trim()}]` : host.trim()}:${port}`);
    if (address === undefined) {
      throw new StartupError(
        `${variable} and ${name}_SERVICE_PORT are ${JSON.stringify(host)} and ${JSON.stringify(port)}; accepted: a host and a port`,
      );
    }
    found[name.toLowerCase().replaceAll('_', '-')] = [address];
  }
  return found;
}

/** A secret's value, from the variable or from the file that `NAME_FILE` names, as containers are given secrets. */
function secretOf(name: string, given: Environment): string | undefined {
  const value = given[name];
  const path = given[`${name}_FILE`]?.trim() ?? '';
  if (path === '') return value;
  if ((value?.trim() ?? '') !== '') {
    throw new StartupError(`${name} and ${name}_FILE are both set; set one of them`);
  }
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new StartupError(`${name}_FILE is ${JSON.stringify(path)}, which cannot be read: ${reason}`);
  }
  if (content.trim() === '')
    throw new StartupError(`${name}_FILE is ${JSON.stringify(path)}, which is empty`);
  return content;
}

function optionsOf(argv: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const argument of argv) {
    const [, option, value] = /^--(services|workers)=(.+)$/.exec(argument) ?? [];
    if (value === undefined) {
      throw new StartupError(
        `unknown argument ${JSON.stringify(argument)}; accepted: --services=a,b and --workers=2`,
      );
    }
    found[settings[option === 'workers' ? 'workers' : 'services'].name] = value;
  }
  return found;
}
