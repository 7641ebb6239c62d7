/** The registry of processes in PostgreSQL (`platform.instances`): each announces itself there and finds the others. */
import { readFileSync } from 'node:fs';
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
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

const Row = Type.Object({ url: Type.String(), services: Type.Array(Type.String()) });
type Instance = Static<typeof Row>;

/** The processes that are there and not about to stop. */
export function listInstances(db: Database): Promise<Instance[]> {
  return db.rows(
    Row,
    `select url, services from platform.instances
     where not draining and heartbeat_at > now() - make_interval(secs => $1) order by id`,
    [MISSED_AFTER_S],
  );
}

export interface Registration {
  /** Says that the process is about to stop. */
  drain(): Promise<void>;
  /** Takes the process out of the registry. */
  leave(): Promise<void>;
}

/** Announces this process, and says that it is there until it leaves. */
export async function announce(options: {
  db: Database;
  url: string;
  services: readonly string[];
  log: FastifyBaseLogger;
}): Promise<Registration> {
  const { db, url, services, log } = options;
  const id = newUuid();
  let draining = false;
  let saying: Promise<void> = Promise.resolve();

  async function say(): Promise<void> {
    await db.run(
      `insert into platform.instances (id, url, services, version, draining) values ($1, $2, $3, $4, $5)
       on conflict (id) do update set heartbeat_at = now(), draining = excluded.draining`,
      [id, url, services, version, draining],
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
