/**
 * `npm run bench`: transfers a second over HTTP, durably, beside what PostgreSQL's own pgbench does on the same server
 * in the same run. The machine is shared and noisy, so that only the ratios mean something: reference and measurement
 * take turns, and medians are compared.
 *
 *   npm run bench -- [--seconds 5] [--rounds 3] [--quick] [--only relay,events]
 *
 * Parts that can be chosen: postings, access, relay, events, kafka, webhooks, workers, usage.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs, promisify } from 'node:util';
import pg from 'pg';
import { type Cluster, startKafka, whyNoKafka } from '../scripts/kafka/cluster.ts';
import { formatId, newUuid } from '../src/platform/ids.ts';
import { type EventFigures, measureEvents } from './events.ts';
import { measureProducer, PARTITIONS } from './kafka.ts';
import type { Load, LoadResult } from './load.ts';
import { openReference, type Reference } from './reference.ts';
import { measureUsage } from './usage.ts';
import { measureWebhooks, type WebhookFigures } from './webhooks.ts';
import { measureWorkers, type WorkersFigures } from './workers.ts';

const run = promisify(execFile);
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const seconds = values.quick ? 2 : Number(values.seconds);
const rounds = values.quick ? 1 : Number(values.rounds);

const parts = ['postings', 'access', 'relay', 'events', 'kafka', 'webhooks', 'workers', 'usage'] as const;
type Part = (typeof parts)[number];
const wanted = new Set(values.only?.split(',') ?? parts);
for (const name of wanted) {
  if (!parts.some((part) => part === name)) {
    throw new Error(`--only: there is no ${JSON.stringify(name)}, but ${parts.join(', ')}`);
  }
}
const isWanted = (part: Part) => wanted.has(part);

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

interface Server {
  port: number;
  key: string;
  tenantId: string;
  databaseUrl: string;
  stop: () => Promise<void>;
}

/**
 * The real server, a process of its own with its own embedded PostgreSQL, fsync and synchronous_commit on.
 *
 * @param bareOn connection string of a database to use instead, without all that requests pass beside the check of a key
 */
async function startServer(dir: string, bareOn?: string): Promise<Server> {
  const data_dir = join(dir, 'data');
  const program = [join(import.meta.dirname, 'server.ts'), ...(bareOn === undefined ? [] : ['--bare'])];
  const child = spawn(process.execPath, [...process.execArgv, ...program], {
    env: {
      ...process.env,
      DATA_DIR: data_dir,
      PORT: '0',
      LOG_LEVEL: 'error',
      DEMO: 'false',
      ...(bareOn === undefined ? {} : { DATABASE_URL: bareOn }),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    // The log goes there, too.
    if (!line.startsWith('{"port"')) continue;
    const { port, key, tenant_id, database_url } = JSON.parse(line);
    return {
      port,
      key,
      tenantId: tenant_id,
      databaseUrl: database_url,
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
    };
  }
  throw new Error('the server did not start');
}

async function measure(load: Load): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [
    join(import.meta.dirname, 'load.ts'),
    JSON.stringify(load),
  ]);
  const result: LoadResult = JSON.parse(stdout);
  if (Object.keys(result.failures).length > 0) {
    throw new Error(`the server refused some of the load: ${JSON.stringify(result.failures)}`);
  }
  return result;
}

/** Accounts by SQL: through the API a hundred thousand would take minutes, and they are not what is measured. */
async function openAccounts(server: Server, count: number): Promise<string[]> {
  const client = new pg.Client({ connectionString: server.databaseUrl });
  await client.connect();
  try {
    const uuids = Array.from({ length: count }, newUuid);
    await client.query(
      `insert into ledger.accounts (tenant_id, environment, id, number, credit_limit, type, currency, chart_code, name)
       select c.tenant_id, c.environment, u.id, u.number + (
         select coalesce(max(a.number), 0) from ledger.accounts a where a.tenant_id = $2
       ), null, c.type, 'BRL', c.code, 'bench'
       from ledger.chart_of_accounts c, unnest($1::uuid[]) with ordinality u (id, number)
       where c.tenant_id = $2`,
      [uuids, server.tenantId],
    );
    return uuids.map((uuid) => formatId('acc', uuid));
  } finally {
    await client.end();
  }
}

/**
 * A server that has run for a while uses its WAL files again. In a new one every commit that needs the next file waits
 * for 16 MB to be written, which is more than what it commits: both sides would be measured on that.
 */
async function warmUp(url: string, megabytes: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (let written = 0; written < megabytes; written += 1) {
      await client.query("select pg_logical_emit_message(false, 'bench', repeat('x', 1048576))");
    }
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}

/** Has the audit trail catch up, so that nobody is measured while it does the work that another left. */
async function drain(url: string): Promise<{ records: number; took_ms: number }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const began = performance.now();
  let records = 0;
  try {
    for (;;) {
      const { rows } = await client.query(
        `select coalesce(sum(moved), 0)::int as moved, sum(moved + sealed) as done from (
           select ledger.move_attributions(tenant_id, environment, 5000) as moved,
             platform.seal_audit(tenant_id, environment, 5000) + ledger.seal(tenant_id, environment, 5000) as sealed
           from platform.list_scopes()) s`,
      );
      records += rows[0].moved;
      if (Number(rows[0].done) === 0) return { records, took_ms: performance.now() - began };
    }
  } finally {
    await client.end();
  }
}

/** The lock of `platform.carry_events`: while somebody else holds it, nothing is carried. */
const RELAY_LOCK = 7_261_003;

/** Keeps every relay from carrying while it measures. */
async function withoutRelay<T>(url: string, work: () => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [RELAY_LOCK]);
    return await work();
  } finally {
    await client.end();
  }
}

/** Has the relay catch up. */
async function carryAll(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (;;) {
      await client.query('select platform.carry_events(5000)');
      const { rows } = await client.query('select events from platform.relay_lag()');
      if (Number(rows[0].events) === 0) return;
    }
  } finally {
    await client.end();
  }
}

/** What a bus does, beside the loop that only inserts and reads. */
function eventLines(bus: string, events: readonly EventFigures[]): string[] {
  const of = (figure: (figures: EventFigures) => number) => median(events.map(figure));
  const rate = (name: string, figure: (figures: EventFigures) => number) =>
    `events, outbox to relay to bus (${bus}) to consumer with inbox, ${name}: ${of(figure).toFixed(0)} a second, ` +
    `${of((one) => figure(one) / one.bare_rows_per_s).toFixed(2)} × a bare loop of inserts and reads`;
  const latency = (name: string, figure: (figures: EventFigures) => EventFigures['idle']) =>
    `  from the event to its effect, ${name}: p50 ${of((one) => figure(one).p50_ms).toFixed(1)} ms, p99 ${of((one) => figure(one).p99_ms).toFixed(1)} ms`;
  return [
    rate('many at once', ({ many_per_s }) => many_per_s),
    rate('one by one', ({ one_by_one_per_s }) => one_by_one_per_s),
    latency('events some 5 ms apart', ({ steady }) => steady),
    latency('events 100 ms apart', ({ idle }) => idle),
  ];
}

interface Line {
  name: string;
  load: Omit<Load, 'port' | 'key' | 'seconds' | 'accounts_file'>;
  accounts: number;
}

const many = values.quick ? 5_000 : 100_000;
const lines: Line[] = [
  ...[1, 16, 64, 256].map(
    (connections): Line => ({
      name: `single, ${connections} connections, 1,000 accounts`,
      load: { connections, pattern: 'uniform', batch: 1 },
      accounts: 1_000,
    }),
  ),
  {
    name: 'single, 64 connections, one hot account',
    load: { connections: 64, pattern: 'hot', batch: 1 },
    accounts: 1_000,
  },
  {
    name: `single, 64 connections, ${many.toLocaleString('en')} accounts`,
    load: { connections: 64, pattern: 'uniform', batch: 1 },
    accounts: many,
  },
  {
    name: 'batches of 100, 8 connections',
    load: { connections: 8, pattern: 'uniform', batch: 100 },
    accounts: 1_000,
  },
  {
    name: 'batches of 1,000, 4 connections',
    load: { connections: 4, pattern: 'uniform', batch: 1_000 },
    accounts: 1_000,
  },
  {
    name: `batches of 1,000, ${many.toLocaleString('en')} accounts`,
    load: { connections: 4, pattern: 'uniform', batch: 1_000 },
    accounts: many,
  },
];

async function durability(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const shown = [];
    for (const name of ['fsync', 'synchronous_commit', 'full_page_writes', 'server_version']) {
      const { rows } = await client.query(`show ${name}`);
      shown.push(`${name} ${rows[0][name]}`);
    }
    return shown.join(', ');
  } finally {
    await client.end();
  }
}

const dir = mkdtempSync(join(tmpdir(), 'financialapi-bench-'));
let server: Server | undefined;
let bare: Server | undefined;
let reference: Reference | undefined;
let kafka: Cluster | undefined;
const noKafka = values.quick ? '--quick' : isWanted('kafka') ? whyNoKafka() : '--only';
try {
  server = await startServer(dir);
  console.log(
    `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}; PostgreSQL: ${await durability(server.databaseUrl)}`,
  );
  process.stderr.write(`opening ${many} accounts …\n`);
  const ids = await openAccounts(server, many);
  const files = new Map<number, string>();
  for (const count of new Set(lines.map(({ accounts }) => accounts))) {
    const file = join(dir, `accounts-${count}.json`);
    writeFileSync(file, JSON.stringify(ids.slice(0, count)));
    files.set(count, file);
  }

  reference = await openReference(server.databaseUrl);
  process.stderr.write('warming up …\n');
  await warmUp(server.databaseUrl, values.quick ? 0 : 3_000);
  let best = { clients: 0, tps: 0 };
  if (isWanted('postings')) {
    process.stderr.write(`finding the best number of clients of ${reference.name} …\n`);
    for (const clients of [8, 16, 32, 64]) {
      const { tps } = await reference.measure(clients, seconds);
      if (tps > best.tps) best = { clients, tps };
    }
    console.log(`${reference.name}: best with ${best.clients} clients\n`);
  }

  const referenceTps: number[] = [];
  const referenceP99: number[] = [];
  const wholeRates: number[] = [];
  const bareRates: number[] = [];
  const carriedRates: number[] = [];
  const uncarriedRates: number[] = [];
  const events: EventFigures[] = [];
  const kafkaEvents: (EventFigures & { producer_per_s: number })[] = [];
  const webhooks: WebhookFigures[] = [];
  const workers: WorkersFigures[] = [];
  /** What is left to do for each posting when its answer has come: records moved into the trail, seals. */
  const laterCosts_us: number[] = [];
  const measured = new Map<string, LoadResult[]>();
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, line] of (isWanted('postings') ? lines : []).entries()) {
      process.stderr.write(`\rround ${round} of ${rounds}: ${line.name}`.padEnd(78));
      // The reference takes its turn between the lines, so that slow minutes of the machine are slow for both.
      if (index % 3 === 0) referenceTps.push((await reference.measure(best.clients, seconds)).tps);
      if (index === 1) referenceP99.push((await reference.measure(16, seconds)).p99_ms);
      const file = files.get(line.accounts) ?? '';
      const result = await measure({
        ...line.load,
        port: server.port,
        key: server.key,
        seconds,
        accounts_file: file,
      });
      measured.set(line.name, [...(measured.get(line.name) ?? []), result]);
    }
    // The whole path and the bare one take turns, and each begins as often as the other.
    for (let turn = 0; isWanted('access') && turn < 4; turn += 1) {
      process.stderr.write(`\rround ${round} of ${rounds}: the access path, ${turn + 1} of 4`.padEnd(78));
      await drain(server.databaseUrl);
      const isBare = turn === 1 || turn === 2;
      if (turn === 1) bare = await startServer(dir, server.databaseUrl);
      const measuredServer = (isBare ? bare : server) ?? server;
      const file = join(dir, 'accounts-access.json');
      writeFileSync(file, JSON.stringify(await openAccounts(measuredServer, 1_000)));
      const load: Load = {
        connections: 64,
        pattern: 'uniform',
        batch: 1,
        port: measuredServer.port,
        key: measuredServer.key,
        seconds,
        accounts_file: file,
      };
      // A process that was just started is not compiled for its work yet.
      if (turn === 1) {
        await measure({ ...load, seconds: 5 });
        await drain(server.databaseUrl);
      }
      const { transfers_per_s } = await measure(load);
      (isBare ? bareRates : wholeRates).push(transfers_per_s);
      if (turn === 0) {
        const { records, took_ms } = await drain(server.databaseUrl);
        if (records > 0) laterCosts_us.push((took_ms * 1_000) / records);
      }
      if (turn === 2) await bare?.stop();
    }
    // With the relay and without it in turns, as above.
    const file = files.get(1_000) ?? '';
    const { port, key, databaseUrl } = server;
    const single: Load = {
      connections: 64,
      pattern: 'uniform',
      batch: 1,
      port,
      key,
      seconds,
      accounts_file: file,
    };
    for (let turn = 0; isWanted('relay') && turn < 4; turn += 1) {
      process.stderr.write(`\rround ${round} of ${rounds}: the relay, ${turn + 1} of 4`.padEnd(78));
      await drain(databaseUrl);
      await carryAll(databaseUrl);
      const isCarried = turn === 0 || turn === 3;
      const { transfers_per_s } = isCarried
        ? await measure(single)
        : await withoutRelay(databaseUrl, () => measure(single));
      (isCarried ? carriedRates : uncarriedRates).push(transfers_per_s);
    }
    await drain(databaseUrl);
    await carryAll(databaseUrl);
    const total = values.quick ? 10_000 : 50_000;
    if (isWanted('events')) {
      process.stderr.write(`\rround ${round} of ${rounds}: events`.padEnd(78));
      events.push(await measureEvents(databaseUrl, total));
    }
    if (noKafka === undefined) {
      process.stderr.write(`\rround ${round} of ${rounds}: events on Kafka`.padEnd(78));
      kafka ??= await startKafka({ data_dir: join(dir, 'kafka'), brokers: 1 });
      const { addresses } = kafka;
      const figures = await measureEvents(databaseUrl, total, {
        KAFKA_BROKERS: addresses,
        KAFKA_TOPIC_REPLICATION: '1',
        KAFKA_TOPIC_PARTITIONS: String(PARTITIONS),
        KAFKA_TOPIC_PREFIX: `bench-${round}.`,
      });
      kafkaEvents.push({ ...figures, producer_per_s: await measureProducer(addresses, 2 * total) });
      // So that its processor time is nobody else's.
      await kafka.stop();
      kafka = undefined;
    }
    if (isWanted('webhooks')) {
      process.stderr.write(`\rround ${round} of ${rounds}: webhooks`.padEnd(78));
      webhooks.push(await measureWebhooks(databaseUrl, values.quick ? 2_000 : 20_000));
    }
    if (values.quick || !isWanted('workers')) continue;
    process.stderr.write(`\rround ${round} of ${rounds}: one process beside two`.padEnd(78));
    workers.push(
      ...(await measureWorkers({
        databaseUrl,
        data_dir: join(dir, 'data'),
        key,
        accounts_file: file,
        seconds,
        measure,
        rest: async () => {
          await drain(databaseUrl);
          await carryAll(databaseUrl);
        },
      })),
    );
  }
  if (isWanted('usage')) process.stderr.write('\rrecording usage'.padEnd(79));
  const usage = isWanted('usage') ? await measureUsage(server.databaseUrl) : undefined;
  process.stderr.write('\r'.padEnd(79) + '\r');

  const tps = median(referenceTps);
  const figure = (name: string, of: (result: LoadResult) => number) =>
    median((measured.get(name) ?? []).map(of));
  if (isWanted('postings')) {
    console.log(`${reference.name}, ${best.clients} clients: ${tps.toFixed(0)} transactions/s (1.00 ×)`);
    console.log(`${reference.name}, 16 clients: p99 ${median(referenceP99).toFixed(1)} ms\n`);
    console.log(
      `${'transfers over HTTP with a key'.padEnd(46)}${'per s'.padStart(8)}${'ratio'.padStart(9)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}`,
    );
    for (const { name } of lines) {
      const rate = figure(name, (result) => result.transfers_per_s);
      console.log(
        `${name.padEnd(46)}${rate.toFixed(0).padStart(8)}${`${(rate / tps).toFixed(2)} ×`.padStart(9)}` +
          `${figure(name, (result) => result.p50_ms)
            .toFixed(1)
            .padStart(9)}${figure(name, (result) => result.p99_ms)
            .toFixed(1)
            .padStart(9)}`,
      );
    }
  }
  const rateOf = (part: string) => {
    const line = lines.find(({ name }) => name.startsWith(part));
    return figure(line?.name ?? '', (result) => result.transfers_per_s);
  };
  const uniform = rateOf('single, 64 connections, 1,000');
  const targets = [
    ['one transfer a request, 64 connections ÷ reference', uniform / tps, '≥', 1.5],
    ['batches of 1,000 ÷ reference', rateOf('batches of 1,000, 4') / tps, '≥', 4],
    ['hot account ÷ uniform', rateOf('single, 64 connections, one hot') / uniform, '≥', 0.9],
    [
      'p99 at 16 connections ÷ p99 of the reference at 16 clients',
      figure('single, 16 connections, 1,000 accounts', (result) => result.p99_ms) / median(referenceP99),
      '≤',
      2,
    ],
    [
      'one transfer a request with the whole access path ÷ with a bare key check',
      median(wholeRates) / median(bareRates),
      '≥',
      0.9,
    ],
    [
      'one transfer a request with the relay running ÷ without it',
      median(carriedRates) / median(uncarriedRates),
      '≥',
      0.9,
    ],
    [
      'processor time of a request that does nothing, with its usage recorded ÷ without',
      usage === undefined ? Number.NaN : median(usage.recorded_us) / median(usage.unrecorded_us),
      '≤',
      1.05,
    ],
  ] as const;
  console.log('');
  for (const [name, ratio, sign, target] of targets) {
    // Of a part that was not chosen.
    if (Number.isNaN(ratio)) continue;
    const met = sign === '≥' ? ratio >= target : ratio <= target;
    console.log(`${met ? 'met   ' : 'MISSED'}  ${name}: ${ratio.toFixed(2)} (${sign} ${target})`);
  }
  if (laterCosts_us.length > 0) {
    console.log(
      `        beside that, each posting leaves ${median(laterCosts_us).toFixed(0)} µs of work for after its answer: its record is moved and sealed`,
    );
  }
  if (usage !== undefined) {
    console.log(
      `        recording usage by itself: ${usage.count_us.toFixed(2)} µs a request, of ${median(usage.unrecorded_us).toFixed(0)} µs that one takes which does nothing`,
    );
  }
  console.log('');
  if (events.length > 0) for (const line of eventLines('PostgreSQL', events)) console.log(line);
  if (kafkaEvents.length > 0) {
    for (const line of eventLines('Kafka', kafkaEvents)) console.log(line);
    const producer = median(kafkaEvents.map(({ producer_per_s }) => producer_per_s));
    const toProducer = median(
      kafkaEvents.map(({ many_per_s, producer_per_s }) => many_per_s / producer_per_s),
    );
    console.log(
      `  kafka-producer-perf-test on the same broker: ${producer.toFixed(0)} messages a second; ours ${toProducer.toFixed(2)} × that`,
    );
  } else if (noKafka !== '--only') console.log(`events on Kafka: skipped: ${noKafka}`);
  if (webhooks.length > 0) {
    console.log(
      `webhooks: ${median(webhooks.map(({ deliveries_per_s }) => deliveries_per_s)).toFixed(0)} deliveries a second, ` +
        `${median(webhooks.map((one) => one.deliveries_per_s / one.bare_posts_per_s)).toFixed(2)} × posting as much to the same receiver with nothing kept`,
    );
  }
  console.log('');
  if (values.quick) console.log('one process beside two workers: skipped: --quick');
  for (const connections of workers.length > 0 ? [64, 256] : []) {
    for (const pattern of ['uniform', 'hot']) {
      const found = workers.filter((one) => one.connections === connections && one.pattern === pattern);
      const rate = (of: 'one' | 'two') =>
        median(found.flatMap((figures) => figures[of]).map(({ transfers_per_s }) => transfers_per_s));
      console.log(
        `${connections} connections, ${pattern}: one process ${rate('one').toFixed(0)} transfers/s, two workers ${rate('two').toFixed(0)}, ${(rate('two') / rate('one')).toFixed(2)} ×`,
      );
    }
  }
  console.log(
    `\nload of the machine at the end: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} processors`,
  );
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  writeFileSync(
    join(results, `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.json`),
    JSON.stringify(
      {
        reference: reference.name,
        best,
        referenceTps,
        referenceP99,
        wholeRates,
        bareRates,
        carriedRates,
        uncarriedRates,
        events,
        kafkaEvents,
        webhooks,
        usage,
        workers,
        measured: Object.fromEntries(measured),
      },
      null,
      2,
    ),
  );
} finally {
  await kafka?.stop();
  await reference?.close();
  await bare?.stop();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
}
