/**
 * Which service answers which addresses, from the routes that they register: what whoever stands before processes that run
 * different services sends where.
 */
import type { Service } from '../src/platform/service.ts';

/** Addresses of the form that the router has: parameters begin with a colon, an asterisk stands for all that follows. */
export interface RoutedPath {
  path: string;
  /** Whether what lies below it belongs to the same service. */
  below: boolean;
  service: string;
}

/** What services say only when they are started. */
export interface Seen {
  /** The service of each path. */
  routes: Map<string, string>;
  /** The types of events that each consumer hears. */
  consumers: { service: string; name: string; types: readonly string[] }[];
}

/** The services, noting what they register when they are started. */
export function noting(services: readonly Service[], seen: Seen): Service[] {
  return services.map((service) => ({
    ...service,
    async start(context) {
      const running = await service.start(context);
      for (const { name, types } of running.consumers ?? [])
        seen.consumers.push({ service: service.name, name, types });
      return {
        ...running,
        routes: async (app) => {
          app.addHook('onRoute', ({ url }) => void seen.routes.set(url, service.name));
          await app.register(running.routes);
        },
      };
    },
  }));
}

interface Node {
  service: string | undefined;
  children: Map<string, Node>;
}

const servicesWithin = (node: Node): Set<string> =>
  new Set([
    ...(node.service === undefined ? [] : [node.service]),
    ...[...node.children.values()].flatMap((child) => [...servicesWithin(child)]),
  ]);

/**
 * As few paths as tell the services apart, those that are longer first. What no path takes is the platform's own, which
 * every process answers.
 */
export function routeTable({ routes }: Pick<Seen, 'routes'>): RoutedPath[] {
  const root: Node = { service: undefined, children: new Map() };
  const add = (path: string, service: string) => {
    let node = root;
    for (const step of path.split('/').filter((part) => part !== '')) {
      const name = step.startsWith(':') ? ':id' : step;
      const child: Node = node.children.get(name) ?? { service: undefined, children: new Map() };
      node.children.set(name, child);
      node = child;
    }
    node.service = service;
  };
  for (const [path, service] of routes) add(path, service);

  const found: RoutedPath[] = [];
  const visit = (node: Node, path: string): void => {
    const [only = '', ...others] = servicesWithin(node);
    if (path !== '' && others.length === 0) {
      found.push({ path, below: node.children.size > 0, service: only });
      return;
    }
    if (node.service !== undefined)
      found.push({ path: path === '' ? '/' : path, below: false, service: node.service });
    for (const [step, child] of node.children) visit(child, `${path}/${step}`);
  };
  visit(root, '');
  const steps = ({ path }: RoutedPath) => path.split('/').length;
  return found.toSorted((one, other) => steps(other) - steps(one) || (one.path < other.path ? -1 : 1));
}

/** A path as a regular expression of the form that NGINX and JavaScript share. */
export function patternOf({ path, below }: RoutedPath): string {
  const steps = path
    .replaceAll(/[.+()]/g, '\\$&')
    .replaceAll(':id', '[^/]+')
    .replace(/\/\*$/, '(/.*)?');
  return `^${steps}${below ? '(/|$)' : '/?$'}`;
}
