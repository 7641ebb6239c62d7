/**
 * The fault test. The real server, on a PostgreSQL of its own with full durability, is loaded with requests that
 * move money; at a random moment its process, PostgreSQL, or both are ended by `kill -9`; what got no answer is asked
 * again under the same key. Then every answer that was ever given must still stand, and the books must be exactly the
 * sum of the answers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as SqlClient } from 'pg';
import { parseId } from '../../src/platform/ids.ts';
import { audit } from '../audit.ts';
import { type Client, openClient } from '../client.ts';
import { backendsOf, findPostmaster, isAlive, type ServerProcess, startServer, until } from '../server.ts';
import {
  differenceOf,
  type Intent,
  type Outcome,
  openLoad,
  outcomeOf,
  randomFrom,
  recordsOf,
} from './load.ts';

/** What is ended: the server's process, PostgreSQL's first process, one that serves a connection, or all at once. */
const faults = ['server', 'postmaster', 'backend', 'both'] as const;
export type Fault = (typeof faults)[number];

export interface FaultOptions {
  seed: number;
  /** A fault for each round. */
  rounds: readonly Fault[];
  /** Requests under way at once. */
  clients: number;
  /** The fault comes at a random moment up to this long after the load began. */
  load_ms: number;
  /** Told what happened, a line a round. */
  onProgress: (line: string) => void;
}

export interface FaultReport {
  /** What must never happen and did. */
  violations: string[];
  kills: number;
  /** Requests that came to an outcome, and those of them that first got no answer. */
  asked: number;
  unanswered: number;
  /** Of the unanswered, those that had been carried out all the same. */
  carried_out: number;
}

/** Answers asked for again after each round, beside those of the round itself. */
const SAMPLE = 200;
const MAX_VIOLATIONS = 20;

export async function runFaults(options: FaultOptions): Promise<FaultReport> {
  const random = randomFrom(options.seed);
  const data_dir = mkdtempSync(join(tmpdir(), 'financialapi-faults-'));
  const port = await freePort();
  const socketDirs = new Set<string>();
  const report: FaultReport = { violations: [], kills: 0, asked: 0, unanswered: 0, carried_out: 0 };
  const violation = (what: string) => {
    if (report.violations.length < MAX_VIOLATIONS) report.violations.push(what);
  };

  let server: ServerProcess | undefined;
  let key = '';
  const start = async () => {
    server = await startServer({ DATA_DIR: data_dir, PORT: String(port), DRAIN_TIMEOUT_MS: '20000' });
    key = server.key ?? key;
    const postmaster = findPostmaster(data_dir);
    if (postmaster !== undefined) socketDirs.add(postmaster.socket_dir);
  };
  const client = openClient(() => ({ url: `http://127.0.0.1:${port}`, key }));

  try {
    await start();
    const books = await openAccounts(client);
    const base = await withSql(data_dir, (sql) => readRecords(sql));
    const opening = await readCounters(client);
    const load = openLoad(random, books.customers, books.fees, `s${options.seed}`);
    const journal: Outcome[] = [];

    /**
     * Asks under the intent's key until there is an outcome, and keeps it; undefined if the server is down.
     *
     * @param sent whether it was sent before, and may have been carried out then
     */
    const settle = async (
      intent: Intent,
      sent: boolean,
      isDown: () => boolean,
    ): Promise<Outcome | undefined> => {
      for (let again = sent; ; again = true) {
        const answer = await client.ask('POST', intent.path, intent.body, intent.key);
        if (answer === undefined || answer.status === 503) {
          if (answer !== undefined && answer.headers.get('retry-after') === null) {
            violation(`${intent.path} was answered 503 without Retry-After`);
          }
          if (isDown()) return undefined;
          await sleep(50);
        } else if (answer.status >= 500) {
          const log = server?.lines.filter((line) => line.includes('a request failed')).at(-1);
          violation(`${intent.path} was answered ${answer.status} ${JSON.stringify(answer.body)}: ${log}`);
          return undefined;
        } else {
          const outcome = outcomeOf(intent, answer);
          journal.push(outcome);
          load.learn(outcome);
          report.asked += 1;
          if (again) report.unanswered += 1;
          if (outcome.replayed && again) report.carried_out += 1;
          return outcome;
        }
      }
    };

    for (const [index, fault] of options.rounds.entries()) {
      const round = journal.length;
      /** `down`: the server is gone, and comes back only after the load has ended. */
      const state = { over: false, down: false };
      const open: Intent[] = [];
      const workers = Array.from({ length: options.clients }, async () => {
        while (!state.over) {
          const intent = load.next();
          if ((await settle(intent, false, () => state.down)) === undefined) open.push(intent);
        }
      });

      const moment_ms = Math.round(100 + random() * options.load_ms);
      await sleep(moment_ms);
      const before = journal.length;
      const postmaster = findPostmaster(data_dir);
      if (postmaster === undefined) throw new Error('no PostgreSQL runs on the data directory');
      const down = fault === 'server' || fault === 'both';
      Object.assign(state, { over: down, down });
      const backends = fault === 'backend' ? backendsOf(postmaster.pid) : [];
      const victim = backends[Math.floor(random() * backends.length)];
      // Exactly these processes: the server that was started above and the PostgreSQL that it started.
      if (fault === 'backend' && victim !== undefined) process.kill(victim, 'SIGKILL');
      const serverFirst = random() < 0.5;
      if (down && serverFirst) server?.kill('SIGKILL');
      if (fault === 'postmaster' || fault === 'both') process.kill(postmaster.pid, 'SIGKILL');
      if (down && !serverFirst) server?.kill('SIGKILL');
      report.kills += fault === 'both' ? 2 : 1;

      if (down) {
        await server?.exit;
        await Promise.all(workers);
        await start();
      } else {
        if (fault === 'postmaster') {
          await until('PostgreSQL is back', 60_000, () => {
            const now = findPostmaster(data_dir);
            return now !== undefined && now.pid !== postmaster.pid;
          });
          const now = findPostmaster(data_dir);
          if (now !== undefined) socketDirs.add(now.socket_dir);
        }
        const resumed = journal.length + options.clients;
        await until('requests are answered again', 60_000, () => journal.length > resumed);
        state.over = true;
        await Promise.all(workers);
      }

      for (const intent of open) await settle(intent, true, () => false);

      const sample = journal
        .slice(0, round)
        .toSorted(() => random() - 0.5)
        .slice(0, SAMPLE);
      await askAgain(client, [...sample, ...journal.slice(round)], violation);
      await checkBooks({ data_dir, client, base, opening, journal, violation });
      options.onProgress(
        `round ${index + 1} of ${options.rounds.length}: ${fault} killed after ${moment_ms} ms; ` +
          `${before - round} answered before, ${journal.length - before} after, ${open.length} without an answer; ` +
          `${journal.length} outcomes stand, position ${await positionOf(client)}`,
      );
      if (report.violations.length > 0) return report;
    }

    await askAgain(client, journal, violation);
    server?.kill('SIGTERM');
    const exit = await server?.exit;
    if (exit?.code !== 0) violation(`SIGTERM ended the server with ${exit?.signal ?? exit?.code}`);
    if (findPostmaster(data_dir) !== undefined) violation('PostgreSQL still runs after the server has ended');
    return report;
  } catch (error) {
    throw new Error(
      `the fault test broke off; the server said last:\n${server?.lines.slice(-15).join('\n')}`,
      {
        cause: error,
      },
    );
  } finally {
    await cleanUp(data_dir, socketDirs, server);
  }
}

/** A port that is free now. The server keeps it over its restarts, so that its answers stay the same to the letter. */
function freePort(): Promise<number> {
  return new Promise((settle, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => settle(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function expectCreated(client: Client, path: string, body: object, key: string): Promise<string> {
  const answer = await client.ask('POST', path, body, key);
  if (answer?.status !== 201)
    throw new Error(`${path} was answered ${answer?.status} ${JSON.stringify(answer?.body)}`);
  return answer.body.id;
}

const CUSTOMERS = 8;

/** Accounts of our own beside those of the demo institution: some with money, and one that takes fees. */
async function openAccounts(client: Client): Promise<{ customers: string[]; fees: string }> {
  const open = (name: string, chart_code: string, more: object = {}) =>
    expectCreated(
      client,
      '/api/v2/accounts',
      { name, currency: 'BRL', chart_code, ...more },
      `open ${name}`.replaceAll(' ', '-'),
    );
  const cash = await open('faults cash', '1100', { credit_limit: null });
  const fees = await open('faults fees', '4000');
  const customers: string[] = [];
  for (let number = 1; number <= CUSTOMERS; number += 1) {
    const id = await open(`faults customer ${number}`, '2100');
    customers.push(id);
    const amount = { amount: '5000.00', currency: 'BRL' };
    const body = { debit_account_id: cash, credit_account_id: id, amount };
    await expectCreated(client, '/api/v2/transfers', body, `fund-${number}`);
  }
  return { customers, fees };
}

async function withSql<T>(data_dir: string, work: (sql: SqlClient) => Promise<T>): Promise<T> {
  const postmaster = findPostmaster(data_dir);
  if (postmaster === undefined) throw new Error('no PostgreSQL runs on the data directory');
  const sql = new SqlClient({
    host: postmaster.socket_dir,
    port: 5432,
    user: 'postgres',
    database: 'financialapi',
    ssl: false,
  });
  await sql.connect();
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Positions of everything that is recorded, by the UUID of a transfer or a hold step. */
async function readRecords(sql: SqlClient): Promise<Map<string, number>> {
  const { rows } = await sql.query<{ id: string; position: string }>(
    `select id, position from ledger.transfers
     union select id, position from ledger.hold_steps where kind <> 'expire'`,
  );
  const records = new Map(rows.map(({ id, position }) => [id, Number(position)]));
  if (records.size !== rows.length) throw new Error('an id stands at two positions');
  return records;
}

type Counters = Map<string, { debits: bigint; credits: bigint }>;

function minorOf({ amount }: { amount: string }): bigint {
  return BigInt(amount.replace('.', ''));
}

/** What is posted to each account, as the API shows it. */
async function readCounters(client: Client): Promise<Counters> {
  const counters: Counters = new Map();
  for (let cursor = ''; ; ) {
    const page = await client.ask('GET', `/api/v2/accounts?limit=100${cursor}`);
    if (page?.status !== 200) throw new Error(`the accounts were answered ${page?.status}`);
    for (const { id, debits_posted, credits_posted } of page.body.data) {
      counters.set(id, { debits: minorOf(debits_posted), credits: minorOf(credits_posted) });
    }
    if (page.body.next_cursor === null || page.body.next_cursor === undefined) return counters;
    cursor = `&cursor=${encodeURIComponent(page.body.next_cursor)}`;
  }
}

async function positionOf(client: Client): Promise<string> {
  return (await client.ask('GET', '/api/v2/transfers?limit=1'))?.headers.get('ledger-position') ?? 'unknown';
}

/** Asks for outcomes again, under their keys, some at a time: each must be told as it was. */
async function askAgain(
  client: Client,
  outcomes: readonly Outcome[],
  violation: (what: string) => void,
): Promise<void> {
  const queue = outcomes.values();
  const worker = async () => {
    for (const first of queue) {
      const { key, path, body } = first.intent;
      const answer = await client.ask('POST', path, body, key);
      const difference =
        answer === undefined ? 'is not answered' : differenceOf(first, outcomeOf(first.intent, answer));
      if (difference !== undefined) violation(`the answer to ${path} ${key} ${difference}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

interface BooksCheck {
  data_dir: string;
  client: Client;
  /** What was recorded and posted before the load. */
  base: Map<string, number>;
  opening: Counters;
  journal: readonly Outcome[];
  violation: (what: string) => void;
}

/** The books are what they were before, and exactly what the journal says beside that. */
async function checkBooks({
  data_dir,
  client,
  base,
  opening,
  journal,
  violation,
}: BooksCheck): Promise<void> {
  const expected = new Map(base);
  const counters = structuredClone(opening);
  for (const outcome of journal) {
    const { transfers, steps } = recordsOf(outcome);
    // A capture is a step and a transfer, of one UUID and one position.
    for (const [prefix, records] of [
      ['trf', transfers],
      ['hst', steps],
    ] as const) {
      for (const { id, position } of records) expected.set(parseId(prefix, id) ?? id, position);
    }
    for (const { entries } of transfers) {
      for (const { account_id, side, amount } of entries) {
        const counter = counters.get(account_id);
        if (counter !== undefined) counter[side === 'debit' ? 'debits' : 'credits'] += minorOf(amount);
      }
    }
  }

  await withSql(data_dir, async (sql) => {
    const records = await readRecords(sql);
    for (const [id, position] of expected) {
      if (records.get(id) !== position) {
        violation(`${id} was answered with position ${position} and is recorded at ${records.get(id)}`);
      }
    }
    for (const [id, position] of records) {
      if (!expected.has(id))
        violation(`${id} at position ${position} is recorded, and nobody was told of it`);
    }
    const { rows } = await sql.query<{ tenant_id: string }>('select tenant_id from platform.tenants');
    // Without statistics the planner would go about the larger questions row by row.
    await sql.query('analyze');
    for (const { tenant_id } of rows) {
      for (const wrong of await audit(sql, { tenant_id, environment: 'sandbox' })) violation(wrong);
    }
    for (const wrong of await checkCarried(sql)) violation(wrong);
  });

  for (const [id, { debits, credits }] of await readCounters(client)) {
    const counter = counters.get(id);
    if (counter?.debits !== debits || counter.credits !== credits) {
      violation(
        `account ${id} was debited ${debits} and credited ${credits}, not ${counter?.debits} and ${counter?.credits}`,
      );
    }
  }

  const integrity = await client.ask('GET', '/api/v2/integrity');
  if (integrity?.status !== 200 || integrity.body.ok !== true) {
    violation(`the integrity check says ${integrity?.status} ${JSON.stringify(integrity?.body)}`);
  }
}

/** What is wrong with the log of events, once everything is carried: something lost, carried twice or out of order. */
async function checkCarried(sql: SqlClient): Promise<string[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { rows } = await sql.query<{ events: string }>('select events from platform.relay_lag()');
    if (rows[0]?.events === '0') break;
    if (performance.now() > deadline) return [`${rows[0]?.events} events are not carried`];
    await sleep(50);
  }
  const { rows } = await sql.query<{ wrong: string }>(
    `select format('event %s of the outbox is %s times in the log', o.id, count(e.id)) as wrong
     from (select tenant_id, environment, id from ledger.outbox union all
       select tenant_id, environment, id from platform.outbox) o
     left join platform.events e on (e.tenant_id, e.environment, e.id) = (o.tenant_id, o.environment, o.id)
     group by o.id having count(e.id) <> 1
     union all
     select format('event %s of the log has position %s after %s', id, position, before) from (
       select id, position, lag(position) over (partition by tenant_id, environment order by sequence) as before
       from platform.events where position is not null) p where position <> before + 1
     union all
     select format('event %s of the log has sequence %s after %s', id, sequence, before) from (
       select id, sequence, lag(sequence, 1, 0::bigint) over (partition by tenant_id, environment order by sequence) as before
       from platform.events) s where sequence <> before + 1`,
  );
  return rows.map(({ wrong }) => wrong);
}

/** Ends what this run started and removes what it made. */
async function cleanUp(
  data_dir: string,
  socketDirs: ReadonlySet<string>,
  server: ServerProcess | undefined,
): Promise<void> {
  if (server !== undefined && isAlive(server.pid)) {
    server.kill('SIGKILL');
    await server.exit;
  }
  const postmaster = findPostmaster(data_dir);
  if (postmaster !== undefined) {
    process.kill(postmaster.pid, 'SIGQUIT');
    await until('PostgreSQL is gone', 30_000, () => !isAlive(postmaster.pid));
  }
  for (const path of [data_dir, ...socketDirs]) rmSync(path, { recursive: true, force: true });
}
