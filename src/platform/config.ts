/**
 * Settings: read once at the start from the environment, never again. Each is described in `settings`, from which
 * the documentation is generated; no other file under src reads `process.env`.
 */

import { isIP } from 'node:net';

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
  pool_size: number;
  queue_limit: number;
  batch_limit: number;
  statement_timeout_ms: number;
  lock_timeout_ms: number;
  drain_timeout_ms: number;
  /** Undefined: `http://localhost:` and the port that is really listened on, which `PORT=0` leaves to the system. */
  public_url: string | undefined;
  /** Keys for what is encrypted at rest, the current one first; empty: the one kept in `data_dir`. */
  identity_encryption_keys: readonly Buffer[];
  /** Networks of the proxies whose `Client-Cert` header is believed. */
  trusted_proxy: readonly string[];
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

const ENCRYPTION_KEY_BYTES = 32;

/** 32 bytes in base64; undefined for what is none. */
export function parseEncryptionKey(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === ENCRYPTION_KEY_BYTES ? key : undefined;
}

const logLevels: readonly LogLevel[] = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

const day_ms = 86_400_000;

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
  public_url: {
    name: 'PUBLIC_URL',
    meaning: 'Address under which clients reach the API, used in links.',
    default: 'http://localhost:PORT',
    accepted: 'an http or https URL without query, fragment or credentials',
    secret: false,
    fallback: () => undefined,
    parse: (value) => {
      const url = URL.parse(value);
      if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
      if (url.search + url.hash + url.username + url.password !== '') return undefined;
      return url.href.replace(/\/+$/, '');
    },
  } satisfies Setting<string | undefined>,
  identity_encryption_keys: {
    name: 'IDENTITY_ENCRYPTION_KEY',
    meaning:
      'Key for the secrets that are encrypted at rest. To rotate, put the new key before the old one. Processes on several machines need the same.',
    default: 'none: a key is made in DATA_DIR, in the file encryption-key',
    accepted: '32 random bytes in base64 (openssl rand -base64 32), or several of them separated by commas',
    secret: true,
    fallback: () => [],
    parse: (value) => {
      const keys = value.split(',').map((key) => parseEncryptionKey(key.trim()));
      return keys.every((key) => key !== undefined) ? keys : undefined;
    },
  } satisfies Setting<readonly Buffer[]>,
  trusted_proxy: {
    name: 'TRUSTED_PROXY',
    meaning:
      'Proxies that end TLS before this server: the client certificate that they name in Client-Cert (RFC 9440) is believed. They must remove that header from what comes in.',
    default: 'none: only certificates of the connection itself count',
    accepted: 'addresses or networks in CIDR notation, separated by commas',
    secret: false,
    fallback: () => [],
    parse: (value) => {
      const networks = value.split(',').map((network) => network.trim());
      const sound = networks.every((network) => {
        const [address = '', bits] = network.split('/');
        const family = isIP(address);
        return (
          family !== 0 &&
          (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32)))
        );
      });
      return sound ? networks : undefined;
    },
  } satisfies Setting<readonly string[]>,
};

/**
 * Reads every setting. An empty value counts as absent, since many tools can set a variable but not unset it.
 *
 * @param argv the arguments after the script's name
 * @throws StartupError naming the setting, its value and what is accepted
 */
export function readConfig(env: Environment, argv: readonly string[] = []): Config {
  const given = { ...env, ...servicesOption(argv) };
  const read = <T>(setting: Setting<T>): T => {
    const value = given[setting.name]?.trim() ?? '';
    if (value === '') return setting.fallback(env);
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
    pool_size: read(settings.pool_size),
    queue_limit: read(settings.queue_limit),
    batch_limit: read(settings.batch_limit),
    statement_timeout_ms: read(settings.statement_timeout_ms),
    lock_timeout_ms: read(settings.lock_timeout_ms),
    drain_timeout_ms: read(settings.drain_timeout_ms),
    public_url: read<string | undefined>(settings.public_url),
    identity_encryption_keys: read<readonly Buffer[]>(settings.identity_encryption_keys),
    trusted_proxy: read<readonly string[]>(settings.trusted_proxy),
  };
}

function servicesOption(argv: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const argument of argv) {
    const value = /^--services=(.+)$/.exec(argument)?.[1];
    if (value === undefined) {
      throw new StartupError(`unknown argument ${JSON.stringify(argument)}; accepted: --services=a,b`);
    }
    found[settings.services.name] = value;
  }
  return found;
}
