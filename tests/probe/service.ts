/** A service that notes what it hears, for the tests of the bus: each event a row, in the commit of its receipt. */
import { fileURLToPath } from 'node:url';
import type { Event } from '../../src/platform/bus/event.ts';
import type { Outgoing } from '../../src/platform/outgoing.ts';
import { defineService, type Service } from '../../src/platform/service.ts';

const columns = '(tenant_id, environment, event_id, sequence, type, aggregateid)';
const noteOne = {
  name: 'probe-note-one',
  text: `insert into probe.effects ${columns} values ($1, $2, $3, $4, $5, $6)`,
};
const noteMany = {
  name: 'probe-note-many',
  text: `insert into probe.effects ${columns}
    select $1::uuid, $2::platform.environment, id, sequence, type, aggregateid
    from unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[]) with ordinality u (id, sequence, type, aggregateid, n)
    order by n`,
};

/**
 * @param refuses whether the effect of an event fails, after it was written
 * @param options.oneByOne whether each event is a call and a statement, as most consumers have it
 * @param options.hear what it does beside that about each event, one by one
 */
export function probeService(
  refuses: (event: Event) => boolean,
  options: { oneByOne?: boolean; hear?: (event: Event, outgoing: Outgoing) => Promise<void> } = {},
): Service {
  const { hear, oneByOne = hear !== undefined } = options;
  return defineService({
    name: 'probe',
    migrations: fileURLToPath(new URL('migrations', import.meta.url)),
    problems: {},
    permissions: {},
    start: ({ outgoing }) => ({
      routes: async () => {},
      consumers: [
        {
          name: 'probe',
          types: ['ledger.*'],
          from: 'start',
          retry: { attempts: 3, first_wait_ms: 20 },
          handle: async (tx, event) => {
            await tx.run(noteOne, [
              event.tenant_id,
              event.environment,
              event.id,
              event.sequence,
              event.type,
              event.aggregateid,
            ]);
            if (refuses(event)) throw new Error('the probe refuses this event');
            await hear?.(event, outgoing);
          },
          ...(oneByOne
            ? {}
            : {
                handleMany: async (tx, events) => {
                  await tx.run(noteMany, [
                    events[0]?.tenant_id,
                    events[0]?.environment,
                    events.map(({ id }) => id),
                    events.map(({ sequence }) => sequence),
                    events.map(({ type }) => type),
                    events.map(({ aggregateid }) => aggregateid),
                  ]);
                  if (events.some(refuses)) throw new Error('the probe refuses one of these events');
                },
              }),
        },
      ],
      stop: () => Promise.resolve(),
    }),
  });
}
