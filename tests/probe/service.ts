/** A service that notes what it hears, for the tests of the bus: each event a row, in the commit of its receipt. */
import { fileURLToPath } from 'node:url';
import type { Event } from '../../src/platform/bus/event.ts';
import type { Outgoing } from '../../src/platform/outgoing.ts';
import { defineService, type Service } from '../../src/platform/service.ts';

/**
 * @param refuses whether the effect of an event fails, after it was written
 * @param options.from whether it hears what was told before it was first started
 * @param options.hear what it does beside that about each event
 */
export function probeService(
  refuses: (event: Event) => boolean,
  options: {
    from?: 'start' | 'now';
    hear?: (event: Event, outgoing: Outgoing) => Promise<void>;
  } = {},
): Service {
  const { from = 'start', hear } = options;
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
          from,
          retry: { attempts: 3, first_wait_ms: 20 },
          handle: async (tx, event) => {
            await tx.run(
              `insert into probe.effects (tenant_id, environment, event_id, sequence, type, aggregateid)
               values ($1, $2, $3, $4, $5, $6)`,
              [event.tenant_id, event.environment, event.id, event.sequence, event.type, event.aggregateid],
            );
            if (refuses(event)) throw new Error('the probe refuses this event');
            await hear?.(event, outgoing);
          },
        },
      ],
      stop: () => Promise.resolve(),
    }),
  });
}
