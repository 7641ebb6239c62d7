/** The registry of processes in PostgreSQL (`platform.instances`): each announces itself there and finds the others. */
import { readFileSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Database } from '../db.ts';
import { newUuid } from '../ids.ts';

const HEARTBEAT_EVERY_MS = 2_000;
/** A process that has said nothing for so long is not asked any more. */
const MISSED_AFTER_S = 10;
/** After so long its row goes. */
const DROPPED_AFTER_S = 60;

const { version } = Value.Parse(
  Type.Object({ version: Type.String() }),
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')),
);

/** How a row stands: what is silent may be anything. */
export const STATE = `case when heartbeat_at <= now() - make_interval(secs => ${MISSED_AFTER_S}) then 'silent'
  when draining then 'draining' else 'ready' end`;

/** Addresses of the processes that run a service, are there and not about to stop. */
export async function listAddresses(db: Database, service: string): Promise<string[]> {
  const rows = await db.rows(
    Type.Object({ url: Type.String() }),
    `select url from platform.instances where $1 = any (services) and ${STATE} = 'ready' order by id`,
    [service],
  );
  return rows.map(({ url }) => url);
}

/** What a process cannot reach of the others. */
export interface Unreached {
  /** Services that it asks, and of which no instance is ready. */
  out_of_reach: readonly string[];
  /** Addresses of instances that it does not ask for now, because they kept failing. */
  left_alone: readonly string[];
}

export interface Registration {
  /** Says that the process is about to stop. */
  drain(): Promise<void>;
  /** Takes the process out of the registry. */
  leave(): Promise<void>;
}

/** Announces this process, and says that it is there, and what it cannot reach, until it leaves. */
export async function announce(options: {
  db: Database;
  url: string;
  services: readonly string[];
  unreached: () => Unreached;
  log: FastifyBaseLogger;
}): Promise<Registration> {
  const { db, url, services, unreached, log } = options;
  const id = newUuid();
  let draining = false;
  let saying: Promise<void> = Promise.resolve();

  async function say(): Promise<void> {
    const { out_of_reach, left_alone } = unreached();
    await db.run(
      `insert into platform.instances (id, url, services, version, draining, out_of_reach, left_alone)
       values ($1, $2, $3, $4, $5, $6, $7)
       on conflict (id) do update set heartbeat_at = now(), draining = excluded.draining,
         out_of_reach = excluded.out_of_reach, left_alone = excluded.left_alone`,
      [id, url, services, version, draining, out_of_reach, left_alone],
    );
    await db.run('delete from platform.instances where heartbeat_at < now() - make_interval(secs => $1)', [
      DROPPED_AFTER_S,
    ]);
  }

  await say();
  const beating = setInterval(() => {
    saying = say().catch((error: unknown) =>
      log.warn({ err: error }, 'this process could not say in the registry that it is there'),
    );
  }, HEARTBEAT_EVERY_MS);
  beating.unref();

  return {
    async drain() {
      draining = true;
      await say();
    },
    async leave() {
      clearInterval(beating);
      await saying;
      await db.run('delete from platform.instances where id = $1', [id]);
    },
  };
}
