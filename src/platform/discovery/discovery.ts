/**
 * Finding the processes that run services which are asked from here: those that a list, the environment or the registry
 * names, of which each is looked at again and again, and asked while it says that it is ready.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { type Config, StartupError } from '../config.ts';
import type { Database } from '../db.ts';
import type { Metrics } from '../metrics.ts';
import { openProbe } from './ready.ts';
import { listAddresses } from './registry.ts';

/** A process that is about to stop has to answer for longer than this (DRAIN_DELAY_MS). */
const LOOKS_EVERY_MS = 500;

export interface Discovery {
  /** Addresses of the instances of a service that are ready. */
  instancesOf(service: string): readonly string[];
  /** Services that are asked from here, and of which no instance is ready. */
  outOfReach(): readonly string[];
  /**
   * Resolves when each of these services has an instance that is ready.
   *
   * @throws StartupError where DISCOVERY_TIMEOUT_MS is over
   */
  found(awaited: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** Where the instances of a service are said to be. */
type Locate = (service: string) => Promise<readonly string[]>;

function locatorOf({ discovery, services_at, service_addresses }: Config, db: Database): Locate {
  if (discovery === 'static') return async (service) => services_at[service] ?? [];
  if (discovery === 'environment') return async (service) => service_addresses[service] ?? [];
  return (service) => listAddresses(db, service);
}

/** Where an operator can say where a service is. */
const advice: Record<Config['discovery'], (service: string) => string> = {
  static: (service) => `name its addresses in SERVICES_AT (${service}=http://…)`,
  environment: (service) =>
    `set ${service.toUpperCase().replaceAll('-', '_')}_SERVICE_HOST and …_SERVICE_PORT`,
  registry: () => 'it announces itself in the registry of the same database when it is ready',
};

/** Looks for services from now on. For none it does nothing. */
export function openDiscovery(options: {
  config: Config;
  db: Database;
  services: readonly string[];
  log: FastifyBaseLogger;
  metrics: Metrics;
}): Discovery {
  const { config, db, services, log, metrics } = options;
  const locate = locatorOf(config, db);
  const probe = openProbe();
  const ready = new Map<string, readonly string[]>();
  const stopping = new AbortController();
  let complained = false;

  async function look(): Promise<void> {
    for (const service of services) {
      const located = await locate(service);
      const states = await Promise.all(located.map((instance) => probe.isReady(instance)));
      const found = located.filter((_, index) => states[index] === true);
      if (found.length === 0 && (ready.get(service) ?? []).length > 0) {
        log.warn({ located }, `no instance of ${service} is ready any more`);
      }
      ready.set(service, found);
    }
  }

  async function keepLooking(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await look();
        complained = false;
      } catch (error) {
        // Those that were ready when the registry could be read are asked meanwhile.
        if (!complained && !stopping.signal.aborted)
          log.warn({ err: error }, 'other services cannot be looked for');
        complained = true;
      }
      await sleep(LOOKS_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  metrics.gauges(
    'port_instances_ready',
    'Instances that are ready, of services asked from here',
    'service',
    () => Object.fromEntries(services.map((service) => [service, (ready.get(service) ?? []).length])),
  );
  const looking = services.length === 0 ? Promise.resolve() : keepLooking();
  const isFound = (service: string) => (ready.get(service) ?? []).length > 0;

  return {
    instancesOf: (service) => ready.get(service) ?? [],
    outOfReach: () => services.filter((service) => !isFound(service)),
    async found(awaited) {
      const deadline = performance.now() + config.discovery_timeout_ms;
      for (;;) {
        const missing = awaited.find((service) => !isFound(service));
        if (missing === undefined) return;
        if (performance.now() >= deadline) {
          throw new StartupError(
            `the service ${missing} is asked from here, does not run in this process, and no instance of it was ready within ${config.discovery_timeout_ms} ms (DISCOVERY=${config.discovery}); start it: ${advice[config.discovery](missing)}`,
          );
        }
        await sleep(50);
      }
    },
    async stop() {
      stopping.abort();
      await looking;
      await probe.stop();
    },
  };
}
