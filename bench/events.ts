/**
 * Events from the outbox through the relay and the bus to a consumer with an inbox, beside a loop that only inserts rows
 * and consumes them on the same database: what order, the effect of once and parking cost.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createTenant } from '../src/platform/access/tenant.ts';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { services } from '../src/services.ts';
import { probeService } from '../tests/probe/service.ts';

/** From the event to its effect. */
interface Latency {
  p50_ms: number;
  p99_ms: number;
}

export interface EventFigures {
  bare_rows_per_s: number;
  /** With a consumer that takes many events at once. */
  many_per_s: number;
  /** With a consumer that makes a statement for each. */
  one_by_one_per_s: number;
  /** One event after the other, some 5 ms apart. */
  steady: Latency;
  /** With nothing else to do, 100 ms apart. */
  idle: Latency;
}

/** Events of one commit of whoever writes, in the loop as on the bus. */
const COMMIT = 200;
/** Aggregates that the events are about. */
const AGGREGATES = 100;

/** One client inserts, another reads on from where it was, writes what it read and how far it is: no more than that. */
async function measureBare(url: string, total: number): Promise<number> {
  const [writer, reader] = [
    new pg.Client({ connectionString: url }),
    new pg.Client({ connectionString: url }),
  ];
  await Promise.all([writer.connect(), reader.connect()]);
  try {
    await writer.query(`drop schema if exists bench_loop cascade; create schema bench_loop;
      create table bench_loop.queue (id bigint generated always as identity primary key, aggregate text, payload text);
      create table bench_loop.effects (id bigint primary key, aggregate text);
      create table bench_loop.place (id bigint); insert into bench_loop.place values (0)`);
    const began = performance.now();
    const writing = (async () => {
      for (let n = 0; n < total; n += COMMIT) {
        await writer.query(
          `insert into bench_loop.queue (aggregate, payload)
           select 'a' || (g % ${AGGREGATES}), '{"amount":"1.00","currency":"BRL"}' from generate_series(1, ${COMMIT}) g`,
        );
      }
    })();
    for (let seen = 0; seen < total; ) {
      const { rows } = await reader.query<{ n: string }>(
        `with next as (select q.* from bench_loop.queue q, bench_loop.place p where q.id > p.id order by q.id limit ${COMMIT}),
         done as (insert into bench_loop.effects select id, aggregate from next returning id)
         update bench_loop.place set id = greatest((select max(id) from done), id) returning (select count(*) from done) as n`,
      );
      seen += Number(rows[0]?.n ?? 0);
    }
    await writing;
    return total / ((performance.now() - began) / 1_000);
  } finally {
    await writer.query('drop schema if exists bench_loop cascade');
    await Promise.all([writer.end(), reader.end()]);
  }
}

/** Writes events in commits of so many, as a service would in the transactions of what they tell of. */
export async function writeEvents(
  client: pg.Client,
  tenant_id: string,
  count: number,
  type = 'ledger.bench.event',
  payload = '{"amount":"1.00","currency":"BRL"}',
): Promise<void> {
  await client.query(
    `with head as (
       insert into platform.outbox_heads as h (tenant_id, environment, sequence) values ($1, 'sandbox', $2)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + $2 returning sequence)
     insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
     select $1, 'sandbox', sequence - $2 + g, gen_random_uuid(), clock_timestamp(), $3, '/bench', 'bench',
       'a' || (g % ${AGGREGATES}), $4
     from head, generate_series(1, $2::bigint) g`,
    [tenant_id, count, type, payload],
  );
}

/** How many effects there may be: asking the sequence costs nothing, counting them took more than what is measured. */
async function hear(client: pg.Client, count: number): Promise<void> {
  const deadline = performance.now() + 120_000;
  const ask = async (sql: string): Promise<number> => {
    const { rows } = await client.query<{ n: string }>(sql);
    return Number(rows[0]?.n ?? 0);
  };
  for (;;) {
    // Numbers of what was rolled back are gone: there may be fewer effects than this says.
    if (
      (await ask("select coalesce(last_value, 0) as n from pg_sequences where schemaname = 'probe'")) >= count
    ) {
      const heard = await ask('select count(*) as n from probe.effects');
      if (heard >= count) return;
    }
    if (performance.now() > deadline) throw new Error(`fewer than ${count} events were heard in two minutes`);
    await sleep(5);
  }
}

/** A database of its own on the server, so that nobody is measured on what others left. */
export async function withDatabase<T>(server: string, work: (url: string) => Promise<T>): Promise<T> {
  const name = `bench_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
    const url = new URL(server);
    url.pathname = `/${name}`;
    return await work(url.href);
  } finally {
    await client.query(`drop database if exists ${name} with (force)`);
    await client.end();
  }
}

/** One process with a relay, a bus and a consumer, which a client writes events for. */
async function withBus<T>(
  url: string,
  settings: Record<string, string>,
  oneByOne: boolean,
  work: (bus: { client: pg.Client; tenant_id: string; wakeRelay: () => void }) => Promise<T>,
): Promise<T> {
  const running = await boot(
    readConfig({ DATABASE_URL: url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error', ...settings }),
    [...services, probeService(() => false, { oneByOne })],
  );
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const tenant_id = await createTenant(running.platform, { name: 'Bench', base_currency: 'BRL' });
    return await work({ client, tenant_id, wakeRelay: running.wakeRelay });
  } finally {
    await client.end();
    await running.stop();
  }
}

/** Events a second, from the first that is written to the last effect. */
async function measureThroughput(
  url: string,
  settings: Record<string, string>,
  oneByOne: boolean,
  total: number,
): Promise<number> {
  return withBus(url, settings, oneByOne, async ({ client, tenant_id, wakeRelay }) => {
    const { rows } = await client.query<{ n: string }>('select count(*) as n from probe.effects');
    const earlier = Number(rows[0]?.n ?? 0);
    // Connections, plans and groups are made before.
    await writeEvents(client, tenant_id, COMMIT);
    await hear(client, earlier + COMMIT);
    const began = performance.now();
    for (let n = 0; n < total; n += COMMIT) {
      await writeEvents(client, tenant_id, COMMIT);
      // Whoever writes through a service wakes the relay; here nobody does.
      wakeRelay();
    }
    await hear(client, earlier + COMMIT + total);
    return total / ((performance.now() - began) / 1_000);
  });
}

/** From the event to its effect, of events that are written one by one. */
async function measureLatency(
  url: string,
  settings: Record<string, string>,
  { count, pause_ms }: { count: number; pause_ms: number },
): Promise<Latency> {
  return withBus(url, settings, true, async ({ client, tenant_id, wakeRelay }) => {
    const { rows: before } = await client.query<{ n: string }>('select count(*) as n from probe.effects');
    const earlier = Number(before[0]?.n ?? 0);
    await writeEvents(client, tenant_id, COMMIT);
    await hear(client, earlier + COMMIT);
    const { rows: last } = await client.query<{ n: string }>('select max(number) as n from probe.effects');
    for (let n = 0; n < count; n += 1) {
      await writeEvents(client, tenant_id, 1);
      wakeRelay();
      await sleep(pause_ms);
    }
    await hear(client, earlier + COMMIT + count);
    const { rows } = await client.query<Latency>(
      `select percentile_cont(0.5) within group (order by ms) as p50_ms, percentile_cont(0.99) within group (order by ms) as p99_ms
       from (select extract(epoch from f.noted_at - e.time)::float8 * 1000 as ms
         from probe.effects f join platform.events e on e.id = f.event_id and e.tenant_id = f.tenant_id
         where f.number > $1) m`,
      [last[0]?.n ?? 0],
    );
    const [latency] = rows;
    if (latency === undefined) throw new Error('a percentile has a row');
    return latency;
  });
}

/**
 * @param server connection string of the server, as superuser
 * @param total events of a throughput run
 * @param settings those of the bus that is measured; none: PostgreSQL
 */
export async function measureEvents(
  server: string,
  total: number,
  settings: Record<string, string> = {},
): Promise<EventFigures> {
  return withDatabase(server, async (url) => {
    // The loop before and after: the machine may be slower by then.
    const before = await measureBare(url, total);
    const many_per_s = await measureThroughput(url, settings, false, total);
    const one_by_one_per_s = await measureThroughput(url, settings, true, total);
    const after = await measureBare(url, total);
    return {
      bare_rows_per_s: (before + after) / 2,
      many_per_s,
      one_by_one_per_s,
      steady: await measureLatency(url, settings, { count: 400, pause_ms: 5 }),
      idle: await measureLatency(url, settings, { count: 50, pause_ms: 100 }),
    };
  });
}
