/** Which service asks which, checked at every boot: each port is somebody's, and nobody waits for themselves. */
import type { Service } from '../service.ts';

/**
 * The services in an order in which each comes after those that it asks, and otherwise as they are listed.
 *
 * @throws Error naming the services that ask each other in a circle, or the port that nobody provides
 */
export function inOrderOfPorts(services: readonly Service[]): Service[] {
  const ordered: Service[] = [];
  const visit = (service: Service, path: readonly string[]): void => {
    if (ordered.includes(service)) return;
    if (path.includes(service.name)) {
      const circle = [...path.slice(path.indexOf(service.name)), service.name];
      throw new Error(
        `services ask each other in a circle: ${circle.join(' → ')}; tell one of them by an event instead`,
      );
    }
    for (const port of service.requires ?? []) {
      const provider = services.find(({ provides }) => provides?.service === port.service);
      if (provider === undefined) {
        throw new Error(`${service.name} asks the port of ${port.service}, which no service provides`);
      }
      visit(provider, [...path, service.name]);
    }
    for (const port of service.may_ask ?? []) {
      const provider = services.find(({ provides }) => provides?.service === port.service);
      if (provider !== undefined) visit(provider, [...path, service.name]);
    }
    ordered.push(service);
  };
  for (const service of services) {
    if (service.provides !== undefined && service.provides.service !== service.name) {
      throw new Error(`${service.name} provides a port under the name of ${service.provides.service}`);
    }
  }
  for (const service of services) visit(service, []);
  return ordered;
}
