/**
 * What the ledger is measured against: PostgreSQL's own benchmark, pgbench, in its TPC-B-like default with prepared
 * statements. Where pgbench is not installed, the same transaction from Node.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

export interface Reference {
  name: string;
  measure: (clients: number, seconds: number) => Promise<{ tps: number; p99_ms: number }>;
  close: () => Promise<void>;
}

/** pgbench's own factor: rows of the smallest table. Not below the number of clients, or they queue for its rows. */
const SCALE = 64;
const DATABASE = 'pgbench';

/** Creates the reference's database on the server that the ledger uses. */
export async function openReference(ledgerUrl: string): Promise<Reference> {
  const url = new URL(ledgerUrl);
  const admin = new pg.Client({ connectionString: ledgerUrl });
  await admin.connect();
  await admin.query(`create database ${DATABASE}`);
  await admin.end();
  url.pathname = `/${DATABASE}`;
  const host = url.searchParams.get('host') ?? url.hostname;
  const env = {
    ...process.env,
    PGHOST: host,
    PGPORT: url.port || '5432',
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: DATABASE,
  };
  const installed = await run('pgbench', ['--version']).then(
    () => true,
    () => false,
  );
  return installed ? pgbench(env) : fromNode(url.href);
}

async function pgbench(env: NodeJS.ProcessEnv): Promise<Reference> {
  await run('pgbench', ['-i', '-q', '-s', String(SCALE)], { env });
  return {
    name: 'pgbench (TPC-B-like, prepared)',
    async measure(clients, seconds) {
      const dir = mkdtempSync(join(tmpdir(), 'pgbench-'));
      try {
        const { stdout } = await run(
          'pgbench',
          [
            '-M',
            'prepared',
            '-n',
            '-c',
            String(clients),
            '-j',
            '2',
            '-T',
            String(seconds),
            '-l',
            '--log-prefix',
            join(dir, 'log'),
          ],
          { env },
        );
        // Third column of a line: the transaction's microseconds.
        const latencies = readdirSync(dir)
          .flatMap((file) => readFileSync(join(dir, file), 'utf8').trimEnd().split('\n'))
          .map((line) => Number(line.split(' ')[2]))
          .toSorted((a, b) => a - b);
        const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
        return { tps, p99_ms: (latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN) / 1_000 };
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    },
    close: () => Promise.resolve(),
  };
}

const schema = `
  create table pgbench_branches (bid int primary key, bbalance int not null default 0);
  create table pgbench_tellers (tid int primary key, bid int, tbalance int not null default 0);
  create table pgbench_accounts (aid int primary key, bid int, abalance int not null default 0, filler char(84) default '');
  create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp);
  insert into pgbench_branches (bid) select generate_series(1, ${SCALE});
  insert into pgbench_tellers (tid, bid) select n, 1 + (n - 1) / 10 from generate_series(1, ${SCALE * 10}) n;
  insert into pgbench_accounts (aid, bid) select n, 1 + (n - 1) / 100000 from generate_series(1, ${SCALE * 100_000}) n;`;

const statements = [
  { name: 'a', text: 'update pgbench_accounts set abalance = abalance + $1 where aid = $2' },
  { name: 'b', text: 'select abalance from pgbench_accounts where aid = $1' },
  { name: 'c', text: 'update pgbench_tellers set tbalance = tbalance + $1 where tid = $2' },
  { name: 'd', text: 'update pgbench_branches set bbalance = bbalance + $1 where bid = $2' },
  {
    name: 'e',
    text: 'insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)',
  },
] as const;

async function fromNode(url: string): Promise<Reference> {
  const pool = new pg.Pool({ connectionString: url, max: 64 });
  await pool.query(schema);
  await pool.query('vacuum analyze');
  const random = (limit: number) => 1 + Math.floor(Math.random() * limit);
  const [a, b, c, d, e] = statements;
  return {
    name: "pgbench's transaction from Node (pgbench is not installed)",
    async measure(clients, seconds) {
      const latency = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 });
      const until = performance.now() + seconds * 1_000;
      let count = 0;
      await Promise.all(
        Array.from({ length: clients }, async () => {
          const client = await pool.connect();
          while (performance.now() < until) {
            const began = performance.now();
            const [aid, tid, bid, delta] = [
              random(SCALE * 100_000),
              random(SCALE * 10),
              random(SCALE),
              random(10_000) - 5_000,
            ];
            await client.query('begin');
            await client.query(a, [delta, aid]);
            await client.query(b, [aid]);
            await client.query(c, [delta, tid]);
            await client.query(d, [delta, bid]);
            await client.query(e, [tid, bid, aid, delta]);
            await client.query('end');
            latency.record(Math.max(1, Math.round((performance.now() - began) * 1_000)));
            count += 1;
          }
          client.release();
        }),
      );
      return { tps: count / seconds, p99_ms: latency.percentile(99) / 1_000 };
    },
    close: () => pool.end(),
  };
}
