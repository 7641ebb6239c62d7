/**
 * Events from the outbox through the relay and the bus to a consumer with an inbox, beside a loop that only inserts rows
 * and consumes them on the same database: what order, the effect of once and parking cost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { services } from '../src/services.ts';
import { probeService } from '../tests/probe/service.ts';

export interface EventFigures {
  events_per_s: number;
  bare_rows_per_s: number;
  p50_ms: number;
  p99_ms: number;
}

/** Events of one commit of whoever writes, in the loop as on the bus. */
const COMMIT = 200;
/** Aggregates that the events are about. */
const AGGREGATES = 100;
const PACED = 400;

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
      await reader.query('begin');
      const { rowCount } = await reader.query(
        `with next as (select q.* from bench_loop.queue q, bench_loop.place p where q.id > p.id order by q.id limit ${COMMIT}),
         done as (insert into bench_loop.effects select id, aggregate from next returning id)
         update bench_loop.place set id = greatest((select max(id) from done), id) returning (select count(*) from done)`,
      );
      const { rows } = await reader.query<{ n: string }>('select count(*) as n from bench_loop.effects');
      await reader.query('commit');
      seen = rowCount === 0 ? seen : Number(rows[0]?.n ?? 0);
    }
    await writing;
    return total / ((performance.now() - began) / 1_000);
  } finally {
    await writer.query('drop schema if exists bench_loop cascade');
    await Promise.all([writer.end(), reader.end()]);
  }
}

/** Writes events in commits of so many, as a service would in the transactions of what they tell of. */
async function writeEvents(client: pg.Client, tenant_id: string, count: number): Promise<void> {
  await client.query(
    `with head as (
       insert into platform.outbox_heads as h (tenant_id, environment, sequence) values ($1, 'sandbox', $2)
       on conflict (tenant_id, environment) do update set sequence = h.sequence + $2 returning sequence)
     insert into platform.outbox (tenant_id, environment, sequence, id, time, type, source, aggregatetype, aggregateid, payload)
     select $1, 'sandbox', sequence - $2 + g, gen_random_uuid(), clock_timestamp(), 'ledger.bench.event', '/bench', 'bench',
       'a' || (g % ${AGGREGATES}), '{"amount":"1.00","currency":"BRL"}'
     from head, generate_series(1, $2::bigint) g`,
    [tenant_id, count],
  );
}

/**
 * @param url of a database on which a server has run
 * @param total events of a throughput run
 */
export async function measureEvents(url: string, tenant_id: string, total: number): Promise<EventFigures> {
  const bare_rows_per_s = await measureBare(url, total);
  const running = await boot(
    readConfig({ DATABASE_URL: url, PORT: '0', DEMO: 'false', LOG_LEVEL: 'error' }),
    [...services, probeService(() => false, { from: 'now' })],
  );
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const heard = async (): Promise<number> => {
    const { rows } = await client.query<{ n: string }>(
      "select count(*) as n from probe.effects where type = 'ledger.bench.event'",
    );
    return Number(rows[0]?.n ?? 0);
  };
  const hear = async (count: number): Promise<void> => {
    for (const deadline = performance.now() + 120_000; (await heard()) < count; await sleep(10)) {
      if (performance.now() > deadline) throw new Error(`${await heard()} of ${count} events were heard`);
    }
  };
  try {
    // A first commit starts what works only when there is work.
    await writeEvents(client, tenant_id, COMMIT);
    await hear(COMMIT);
    const began = performance.now();
    for (let n = 0; n < total; n += COMMIT) await writeEvents(client, tenant_id, COMMIT);
    await hear(COMMIT + total);
    const events_per_s = total / ((performance.now() - began) / 1_000);
    const { rows: before } = await client.query<{ n: string }>('select max(number) as n from probe.effects');
    for (let n = 0; n < PACED; n += 1) {
      await writeEvents(client, tenant_id, 1);
      // Whoever writes through a service wakes the relay; here nobody does.
      running.wakeRelay();
      await sleep(5);
    }
    await hear(COMMIT + total + PACED);
    const { rows } = await client.query<{ p50: number; p99: number }>(
      `select percentile_cont(0.5) within group (order by ms) as p50, percentile_cont(0.99) within group (order by ms) as p99
       from (select extract(epoch from f.noted_at - e.time)::float8 * 1000 as ms
         from probe.effects f join platform.events e on e.id = f.event_id and e.tenant_id = f.tenant_id
         where f.number > $1) m`,
      [before[0]?.n ?? 0],
    );
    return {
      events_per_s,
      bare_rows_per_s,
      p50_ms: rows[0]?.p50 ?? Number.NaN,
      p99_ms: rows[0]?.p99 ?? Number.NaN,
    };
  } finally {
    await client.end();
    await running.stop();
  }
}
