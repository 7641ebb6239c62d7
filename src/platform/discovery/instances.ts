/** Services and the processes that run them, as whoever operates the installation sees them. */
import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { type CursorContent, pageOf, pageQuery, readPage } from '../cursor.ts';
import type { Database } from '../db.ts';
import { formatId, Id } from '../ids.ts';
import type { Service } from '../service.ts';
import { STATE } from './registry.ts';

const State = Type.Enum(['ready', 'draining', 'silent'], {
  description:
    '`ready`: it answers; `draining`: it is about to stop, and nothing new is asked of it; `silent`: it has not said for ten seconds that it is there, and after a minute it is listed no more',
});
const ServiceName = Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$', examples: ['ledger'] });

export const Instance = Type.Object({
  id: Id('ins'),
  url: Type.String({ description: 'Where the other processes reach it' }),
  services: Type.Array(Type.String(), { description: 'What it runs' }),
  version: Type.String(),
  state: State,
  started_at: Type.String(),
  heartbeat_at: Type.String({ description: 'When it last said that it is there' }),
  out_of_reach: Type.Array(Type.String(), {
    description: 'Services that it asks, and of which it finds no instance that is ready',
  }),
  left_alone: Type.Array(Type.String(), {
    description: 'Addresses of instances that it does not ask for now, because they kept failing',
  }),
});

export const ServiceBody = Type.Object({
  name: Type.String(),
  state: Type.Enum(['ready', 'away'], { description: '`away`: no instance of it is ready' }),
  requires: Type.Array(Type.String(), { description: 'Services without which it does not start' }),
  may_ask: Type.Array(Type.String(), {
    description: 'Services that it asks, too; while one is away, what needs it is refused as unavailable',
  }),
  instances: Type.Array(
    Type.Object({ id: Id('ins'), url: Type.String(), version: Type.String(), state: State }),
    { description: 'Processes that run it, oldest first' },
  ),
});

const Row = Type.Object({
  id: Type.String(),
  url: Type.String(),
  services: Type.Array(Type.String()),
  version: Type.String(),
  state: State,
  started_at: Type.String(),
  heartbeat_at: Type.String(),
  out_of_reach: Type.Array(Type.String()),
  left_alone: Type.Array(Type.String()),
});
const columns = 'id, url, services, version, state, started_at, heartbeat_at, out_of_reach, left_alone';
const instances = `(select *, ${STATE} as state from platform.instances) i`;

/** Every service of this build, and those that only a newer process runs. */
export async function listServices(
  db: Database,
  services: readonly Service[],
): Promise<Static<typeof ServiceBody>[]> {
  const rows = await db.rows(Row, `select ${columns} from ${instances} order by id`);
  const names = new Set([...services.map(({ name }) => name), ...rows.flatMap((row) => row.services)]);
  return [...names].map((name) => {
    const { requires = [], may_ask = [] } = services.find((service) => service.name === name) ?? {};
    const running = rows.filter((row) => row.services.includes(name));
    return {
      name,
      state: running.some(({ state }) => state === 'ready') ? 'ready' : 'away',
      requires: requires.map(({ service }) => service),
      may_ask: may_ask.map(({ service }) => service),
      instances: running.map(({ id, url, version, state }) => ({
        id: formatId('ins', id),
        url,
        version,
        state,
      })),
    };
  });
}

const Filters = Type.Object(
  { service: Type.Optional(ServiceName), state: Type.Optional(State) },
  { additionalProperties: false },
);
const Content = Type.Object(
  { filters: Filters, after: Type.String({ format: 'uuid' }) },
  { additionalProperties: false },
);
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, string> =>
  Check(Content, content);
export const ListInstancesQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

/** The processes of the installation, newest first. */
export async function listInstances(
  db: Database,
  { limit, cursor, ...given }: Static<typeof ListInstancesQuery>,
) {
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { service, state } = page.filters;
  const rows = await db.rows(
    Row,
    `select ${columns} from ${instances}
     where ($1::text is null or $1 = any (services)) and ($2::text is null or state = $2)
       and ($3::uuid is null or id < $3)
     order by id desc limit $4`,
    [service ?? null, state ?? null, page.after ?? null, page.limit + 1],
  );
  return pageOf(
    rows,
    page,
    (row) => ({ ...row, id: formatId('ins', row.id) }),
    ({ id }) => id,
  );
}
