/**
 * The one door to PostgreSQL. Every transaction that touches tenant data goes through `read` or `write`, which
 * name the tenant and environment to the database; row-level security does the rest.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Static, TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { type Problem, refuse } from './problem.ts';

export type Environment = 'live' | 'sandbox';

/** Whose data a transaction sees. */
export interface Scope {
  tenant_id: string;
  environment: Environment;
  /** Labels of which something must carry one set to be seen; undefined where anything of the tenant is. */
  reach?: readonly Readonly<Record<string, string>>[];
}

/** A statement that is parsed and planned once a connection, under its name. */
interface Prepared {
  name: string;
  text: string;
}

/** A running transaction. */
export interface Transaction {
  /** Rows of a statement with bound parameters, each checked against `row`. */
  rows<Row extends TSchema>(
    row: Row,
    sql: string | Prepared,
    parameters?: readonly unknown[],
  ): Promise<Static<Row>[]>;
  /** Number of rows a statement changed. */
  run(sql: string | Prepared, parameters?: readonly unknown[]): Promise<number>;
}

/**
 * Statements outside of transactions over one connection, which is kept between them: the next statement leaves in the
 * turn of the event loop that it is made in, where the pool would wait for the turn's other work. A connection is taken
 * for the first statement and, after an error, anew for the next.
 */
export interface Session extends Transaction {
  release(): void;
}

/** How the pool stands: connections open and idle, and who waits for one. */
interface Connections {
  open: number;
  idle: number;
  waiting: number;
}

/** A database as one service sees it: signed in with the role of that service. */
export interface Database extends Transaction {
  /** A consistent snapshot of one tenant's data, read only. Throws `unavailable` for what may pass, as all three do. */
  read<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * A transaction on one tenant's data, committed when `work` returns and rolled back when it throws. After a deadlock,
   * a serialization failure or a lock timeout it is tried again, three times in all.
   */
  write<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** As `write`, but always rolled back: what `work` returns is what would have happened. */
  rehearse<T>(scope: Scope, work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * A transaction that names no tenant: for functions of the database that look past tenants, and hold what they found
   * locked until `work` returns, a minute at most.
   */
  across<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  session(): Session;
  connections(): Connections;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  url: string;
  /** Role every connection takes; one per service. */
  role: string;
  pool_size: number;
  statement_timeout_ms: number;
  lock_timeout_ms: number;
  /** How long a connection may take to be made, asked at each; absent: as long as a request waits for one. */
  connect_timeout_ms?: () => number;
  /** Told of connections that are lost or cannot be made. */
  onError: (error: Error) => void;
}

const validators = new WeakMap<TSchema, Validator>();

function validatorOf(schema: TSchema): Validator {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    validators.set(schema, validator);
  }
  return validator;
}

/** `2026-01-31 12:00:00.123456+00` as PostgreSQL writes it (sessions run in UTC), to RFC 3339. */
function timestampToRfc3339(text: string): string {
  return `${text.slice(0, 10)}T${text.slice(11).replace(/\+00(:00)?$/, 'Z')}`;
}

/** OID of `bigint[]`, which pg does not name. */
const INT8_ARRAY = 1016;

const parsers = new Map<number, (text: string) => unknown>([
  [
    INT8_ARRAY,
    (text) =>
      text === '{}'
        ? []
        : text
            .slice(1, -1)
            .split(',')
            .map((item) => (item === 'NULL' ? null : BigInt(item))),
  ],
  [pg.types.builtins.INT8, BigInt],
  [pg.types.builtins.TIMESTAMPTZ, timestampToRfc3339],
  [pg.types.builtins.DATE, String],
]);

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    parsers.get(oid) ?? pg.types.getTypeParser(oid, format ?? 'text'),
};

/** What was thrown where a connection was to be made: whatever the server says then, it cannot be reached. */
const failedToConnect = new WeakSet<Error>();

/** SQLSTATE classes and codes after which the same statement may succeed: connection lost, server stopping, no room. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return (
    failedToConnect.has(error) ||
    /^(08|57P|53|25P0[34])/.test(code) ||
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EAGAIN'].includes(code) ||
    /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|connection is closed/i.test(
      error.message,
    )
  );
}

/** Deadlock, serialization failure or lock timeout: the transaction was rolled back whole and may be tried again. */
export function isRetryable(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && ['40001', '40P01', '55P03'].includes(String(error.code))
  );
}

/** `statement_timeout`, or an operator who cancelled the statement. */
function isCancelled(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014';
}

const RETRY_AFTER_S = 1;
const REPORT_EVERY_MS = 1_000;

/** The refusal for a failure of the database that may pass; undefined for any other error. */
export function unavailableFor(error: unknown): Problem | undefined {
  const unavailable = (detail: string) => refuse('unavailable', detail, { retry_after_s: RETRY_AFTER_S });
  if (error instanceof Error && failedToConnect.has(error)) {
    return unavailable('The database cannot be reached; nothing was done.');
  }
  if (isConnectionFailure(error)) {
    return unavailable('The connection to the database was lost; the outcome of a write is unknown.');
  }
  if (isRetryable(error)) {
    return unavailable('Others kept what the request needs locked for too long; nothing was done.');
  }
  if (isCancelled(error)) {
    return unavailable('The database took longer than a statement may take; nothing was done.');
  }
  return undefined;
}

/** How long a request waits for a connection. */
export const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS = 3;
const RETRY_PAUSE_MS = 5;
/** How long a transaction across tenants may wait for what is done meanwhile elsewhere. */
const ACROSS_IDLE_MS = 60_000;
/** How much later than the server's statement timeout a server that says nothing at all is given up. */
const SILENCE_MS = 5_000;

export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.pool_size,
    types,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: options.statement_timeout_ms + SILENCE_MS,
    keepAlive: true,
    idleTimeoutMillis: 60_000,
    // The role is part of the session's defaults, so that RESET ROLE cannot widen it.
    options: [
      `-c role=${options.role}`,
      '-c timezone=UTC',
      `-c statement_timeout=${options.statement_timeout_ms}`,
      `-c lock_timeout=${options.lock_timeout_ms}`,
      '-c idle_in_transaction_session_timeout=10000',
    ].join(' '),
    application_name: `financialapi ${options.role}`,
  });
  pool.on('error', options.onError);
  // The pool listens to idle connections only. One that is lost between two statements of a transaction would end the
  // process, as any error event without a listener does; the next statement fails, and tells (tests/faults.test.ts).
  pool.on('connect', (client) => client.on('error', () => {}));

  let reportedAt = Number.NEGATIVE_INFINITY;

  async function connect(): Promise<pg.PoolClient> {
    pool.options.connectionTimeoutMillis = options.connect_timeout_ms?.() ?? CONNECT_TIMEOUT_MS;
    try {
      return await pool.connect();
    } catch (error) {
      if (error instanceof Error) {
        failedToConnect.add(error);
        // While the database is down every request comes here.
        if (performance.now() - reportedAt > REPORT_EVERY_MS) {
          reportedAt = performance.now();
          options.onError(error);
        }
      }
      throw error;
    }
  }

  function over(client: pg.ClientBase): Transaction {
    return {
      async rows(row, sql, parameters = []) {
        const statement = typeof sql === 'string' ? { text: sql } : sql;
        const result = await client.query({ ...statement, values: [...parameters] });
        const validator = validatorOf(row);
        for (const found of result.rows) {
          if (!validator.Check(found)) {
            const [first] = validator.Errors(found);
            throw new Error(
              `a row is not as its schema says, ${JSON.stringify(first)}, of: ${statement.text}`,
            );
          }
        }
        return result.rows;
      },
      async run(sql, parameters = []) {
        const statement = typeof sql === 'string' ? { text: sql } : sql;
        return (await client.query({ ...statement, values: [...parameters] })).rowCount ?? 0;
      },
    };
  }

  function session(): Session {
    let kept: pg.PoolClient | undefined;
    async function using<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
      const client = kept ?? (await connect());
      kept = client;
      try {
        return await work(over(client));
      } catch (error) {
        kept = undefined;
        client.release(true);
        throw error;
      }
    }
    return {
      rows: (row, sql, parameters) => using((tx) => tx.rows(row, sql, parameters)),
      run: (sql, parameters) => using((tx) => tx.run(sql, parameters)),
      release() {
        kept?.release();
        kept = undefined;
      },
    };
  }

  /** Runs one statement outside of transactions. */
  async function alone<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const one = session();
    try {
      return await work(one);
    } finally {
      one.release();
    }
  }

  async function transaction<T>(
    begin: string,
    end: 'commit' | 'rollback',
    scope: Scope,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const client = await connect();
    let broken: Error | undefined;
    try {
      await client.query(begin);
      await client.query(
        "select set_config('app.tenant_id', $1, true), set_config('app.environment', $2, true), set_config('app.reach', $3, true)",
        [scope.tenant_id, scope.environment, scope.reach === undefined ? '' : JSON.stringify(scope.reach)],
      );
      const result = await work(over(client));
      await client.query(end);
      return result;
    } catch (error) {
      try {
        await client.query('rollback');
      } catch (failure) {
        broken = failure instanceof Error ? failure : new Error(String(failure));
      }
      if (isConnectionFailure(error)) broken = broken ?? new Error('connection lost');
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async function retrying<T>(attempts: number, attempt: () => Promise<T>): Promise<T> {
    for (let count = 1; ; count += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!isRetryable(error) || count === attempts) throw unavailableFor(error) ?? error;
        // Whoever was waited for has to be woken first: tried again at once, it could be met again.
        await sleep(count * randomInt(RETRY_PAUSE_MS, 2 * RETRY_PAUSE_MS));
      }
    }
  }

  return {
    rows: (row, sql, parameters) => alone((tx) => tx.rows(row, sql, parameters)),
    run: (sql, parameters) => alone((tx) => tx.run(sql, parameters)),
    session,
    across: async (work) => {
      const client = await connect();
      let broken: Error | undefined;
      try {
        await client.query(`begin; set local idle_in_transaction_session_timeout = ${ACROSS_IDLE_MS}`);
        const result = await work(over(client));
        await client.query('commit');
        return result;
      } catch (error) {
        await client.query('rollback').catch((failure: Error) => {
          broken = failure;
        });
        throw error;
      } finally {
        client.release(broken);
      }
    },
    read: (scope, work) =>
      retrying(1, () =>
        transaction('begin isolation level repeatable read read only', 'commit', scope, work),
      ),
    write: (scope, work) => retrying(MAX_ATTEMPTS, () => transaction('begin', 'commit', scope, work)),
    rehearse: (scope, work) => retrying(MAX_ATTEMPTS, () => transaction('begin', 'rollback', scope, work)),
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}
