/**
 * The embedded PostgreSQL: a real server on a data directory of ours, reached over a unix socket that only its user
 * may enter. It outlives this process if it must: after a `kill -9` of ours it keeps running, and the next start
 * adopts it.
 *
 * PostgreSQL itself says who owns a data directory: the owner holds a session advisory lock on a connection that it
 * keeps open. The lock goes with the process, however that ends, so that none is ever stale.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import {
  type Cluster,
  clusterExists,
  codeOf,
  createCluster,
  findPostmaster,
  type Launch,
  launch,
  messageOf,
  outputOf,
  PORT,
  prepareCluster,
  SUPERUSER,
  socketDirOf,
  terminate,
} from './cluster.ts';
import { StartupError } from './config.ts';

export interface EmbeddedPostgresOptions {
  /** Holds the cluster (`postgres/`) and the server's log (`postgres.log`); made if absent. */
  data_dir: string;
  /** Server settings that win over postgresql.conf, for tests and benchmarks. An adopted server keeps its own. */
  settings?: Readonly<Record<string, string>>;
  /** Told what becomes of the server, a line at a time. */
  onLog?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** Connection string of the database `financialapi`, as superuser. It stays valid when the server is restarted. */
  url: string;
  socket_dir: string;
  /** Ends the server: clients are disconnected, what was committed is kept. Resolves once it is gone. */
  stop(): Promise<void>;
}

const database = 'financialapi';
/** "financia" in ASCII. The database `postgres` is ours alone, so that nobody else uses it. */
const owner_lock = '7379550829166160225';
/** Recovery after a crash replays up to max_wal_size: minutes on a slow disk. */
const start_timeout_ms = 600_000;
/** Remnants of a killed server hold their lock file or shared memory until they notice, at most this long. */
const remnant_timeout_ms = 60_000;
/** A server that is ready and yet has no socket will not get one by waiting. */
const no_socket_timeout_ms = 10_000;

/** A connection, and a promise of its end. */
interface Connection {
  client: Client;
  closed: Promise<void>;
}

/**
 * Starts PostgreSQL on a data directory, or adopts the server that a killed process of ours left running there, and
 * keeps it running until `stop`. After a crash of the server its clients must connect again.
 *
 * @throws StartupError when the directory is in use, of another version or not usable, or PostgreSQL cannot run here
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.onLog ?? (() => {});
  const settings = options.settings ?? {};
  const cluster = await prepareCluster(options.data_dir);
  if (!clusterExists(cluster)) {
    log(`creating a PostgreSQL cluster in ${cluster.dir}`);
    await createCluster(cluster, settings['fsync'] !== 'off');
  }
  const stopping = new AbortController();
  let socketDir = socketDirOf(cluster);
  let launched: Launch | undefined;

  /** Gets a running server and the lock on it. Throws when stopped meanwhile. */
  async function acquire(): Promise<Connection> {
    const began = performance.now();
    let reachableAt = began;
    let reportAt = began + 5_000;
    for (;;) {
      stopping.signal.throwIfAborted();
      const running = findPostmaster(cluster);
      if (running === undefined && launched?.end !== undefined) {
        const refusal = `PostgreSQL does not start on ${cluster.dir}: ${outputOf(launched, cluster) || launched.end}`;
        launched = undefined;
        const passing = /lock file .* already exists|shared memory block/.test(refusal);
        if (!passing || performance.now() - began > remnant_timeout_ms) {
          throw new StartupError(`${refusal} (see ${cluster.log_file})`);
        }
        await sleep(100);
        continue;
      }
      if (running === undefined && launched === undefined) launched = launch(cluster, socketDir, settings);

      const address = running?.socket_dir ?? socketDir;
      const attempt = await connect(address);
      if ('client' in attempt) {
        if (await claim(attempt, cluster)) {
          socketDir = address;
          return attempt;
        }
        continue;
      }

      const now = performance.now();
      if (running?.ready !== true || !attempt.no_socket) reachableAt = now;
      if (now - reachableAt > no_socket_timeout_ms) {
        throw new StartupError(
          `PostgreSQL (pid ${running?.pid}) runs on ${cluster.dir} but its socket in ${address} is gone: stop it with kill -INT ${running?.pid}`,
        );
      }
      if (now - began > start_timeout_ms) {
        throw new StartupError(
          `PostgreSQL on ${cluster.dir} does not become ready: ${attempt.reason} (see ${cluster.log_file})`,
        );
      }
      if (now > reportAt) {
        log(`still waiting for PostgreSQL: ${attempt.reason}`);
        reportAt = now + 5_000;
      }
      // Each refused attempt leaves a line in the server's log.
      await sleep(attempt.no_socket ? 20 : 100);
    }
  }

  /** Gets the server back whenever the lock's connection ends, until stopped. */
  async function supervise(connection: Connection): Promise<void> {
    await connection.closed;
    owner = undefined;
    for (let pause_ms = 100; owner === undefined && !stopping.signal.aborted; pause_ms *= 2) {
      log('PostgreSQL is lost; getting it back');
      // It ran: how it ended says nothing about whether it starts again.
      if (launched?.pid !== findPostmaster(cluster)?.pid) launched = undefined;
      try {
        owner = await acquire();
        log(`PostgreSQL is back (pid ${findPostmaster(cluster)?.pid})`);
      } catch (error) {
        if (stopping.signal.aborted) return;
        log(messageOf(error));
        await sleep(Math.min(pause_ms, 5_000), undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
    if (owner !== undefined) await supervise(owner);
  }

  async function shutDown(): Promise<void> {
    stopping.abort();
    // Without the lock the running server is somebody else's, unless we were about to launch it.
    if (owner === undefined) await supervision;
    const spawned = launched?.end === undefined ? launched?.pid : undefined;
    const pid = owner === undefined ? spawned : (findPostmaster(cluster)?.pid ?? spawned);
    if (pid !== undefined) await terminate(pid, cluster);
    await supervision;
    log('PostgreSQL is stopped');
  }

  let owner: Connection | undefined = await acquire();
  const pid = findPostmaster(cluster)?.pid;
  log(
    launched?.pid === pid
      ? `PostgreSQL is running (pid ${pid})`
      : `adopted the running PostgreSQL (pid ${pid})`,
  );
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= shutDown());
  let supervision = Promise.resolve();
  try {
    await createDatabase(owner.client);
  } catch (error) {
    await stop();
    throw new StartupError(
      `the database ${database} cannot be created in ${cluster.dir}: ${messageOf(error)}`,
    );
  }
  supervision = supervise(owner);
  return { url: urlOf(socketDir), socket_dir: socketDir, stop };
}

/** In this form both `pg` and PostgreSQL's own programs understand it, and `URL` can take it apart. */
function urlOf(socketDir: string): string {
  const query = new URLSearchParams({ host: socketDir, port: String(PORT), sslmode: 'disable' });
  return `postgresql://${SUPERUSER}@localhost/${database}?${query.toString()}`;
}

async function connect(socketDir: string): Promise<Connection | { reason: string; no_socket: boolean }> {
  const client = new Client({
    host: socketDir,
    port: PORT,
    ssl: false,
    user: SUPERUSER,
    database: 'postgres',
    application_name: applicationName(process.pid),
    connectionTimeoutMillis: 5_000,
  });
  // The end of the connection is what counts, and it is reported by `closed`.
  client.on('error', () => {});
  const closed = new Promise<void>((settle) => client.once('end', settle));
  try {
    await client.connect();
    return { client, closed };
  } catch (error) {
    const code = codeOf(error) ?? '';
    // 28: not let in (somebody edited pg_hba.conf), 3D: no such database. No waiting helps.
    if (/^(28|3D)/.test(code)) {
      throw new StartupError(`PostgreSQL in ${socketDir} refuses us: ${messageOf(error)}`);
    }
    return { reason: messageOf(error), no_socket: code === 'ENOENT' || code === 'ECONNREFUSED' };
  }
}

/**
 * Takes the lock that makes us the owner; false when the connection was lost meanwhile.
 *
 * @throws StartupError when another living process has it
 */
async function claim({ client }: Connection, cluster: Cluster): Promise<boolean> {
  // The connection of a killed process may outlive it by a moment.
  const deadline = performance.now() + 500;
  try {
    for (;;) {
      const { rows } = await client.query<{ owned: boolean }>('select pg_try_advisory_lock($1) as owned', [
        owner_lock,
      ]);
      if (rows[0]?.owned === true) return true;
      const { rows: holders } = await client.query<{ application_name: string }>(
        `select application_name from pg_locks join pg_stat_activity using (pid)
          where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())`,
      );
      const holder = holders[0]?.application_name.replace(applicationName(''), '');
      if (holder !== undefined && performance.now() > deadline) {
        throw new StartupError(
          `the data directory ${cluster.dir} is in use by another financialapi process (pid ${holder}): stop it, or choose another DATA_DIR`,
        );
      }
      await sleep(50);
    }
  } catch (error) {
    await client.end();
    if (error instanceof StartupError) throw error;
    return false;
  }
}

function applicationName(pid: number | ''): string {
  return `financialapi/${pid}`;
}

async function createDatabase(client: Client): Promise<void> {
  const { rows } = await client.query('select from pg_database where datname = $1', [database]);
  if (rows.length > 0) return;
  await client.query(`create database ${database}`);
  // Full pages make up most of the WAL after a checkpoint. lz4 is not in every build; the alternative, pglz, was
  // measured slower than none where the disk is fast.
  const { rows: lz4 } = await client.query(
    `select from pg_settings where name = 'wal_compression' and 'lz4' = any (enumvals)`,
  );
  if (lz4.length === 0) return;
  await client.query('alter system set wal_compression = lz4');
  await client.query('select pg_reload_conf()');
}
