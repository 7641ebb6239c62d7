/**
 * What stands before processes that run different services: sends each request to a process that runs the service of its
 * path and says that it is ready, in turn. It never sends one twice, so that no failure of a process stays unseen.
 */
import { Agent, createServer, request as send } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { patternOf, type RoutedPath } from '../scripts/route-table.ts';

const LOOKS_EVERY_MS = 100;

interface Upstream {
  url: string;
  services: readonly string[];
  ready: boolean;
}

export interface Gateway {
  url: string;
  /** Sends requests to a process from when it is ready, which is when this resolves. */
  add(url: string, services: readonly string[]): Promise<void>;
  remove(url: string): void;
  /** Requests that it could not pass on, or whose answer did not come. */
  failures: string[];
  close(): Promise<void>;
}

export async function openGateway(table: readonly RoutedPath[]): Promise<Gateway> {
  const routes = table.map((routed) => ({ ...routed, pattern: new RegExp(patternOf(routed)) }));
  const upstreams: Upstream[] = [];
  const failures: string[] = [];
  const agent = new Agent({ keepAlive: true });
  let turn = 0;

  function choose(path: string): Upstream | undefined {
    const service = routes.find(({ pattern }) => pattern.test(path))?.service;
    const able = upstreams.filter(
      ({ ready, services }) => ready && (service === undefined || services.includes(service)),
    );
    turn += 1;
    return able[turn % able.length];
  }

  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/' } = incoming;
    const fail = (why: string) => {
      failures.push(`${method} ${url}: ${why}`);
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(502).end();
    };
    const upstream = choose(url.split('?')[0] ?? '');
    if (upstream === undefined) {
      incoming.resume();
      fail('no process is ready');
      return;
    }
    const passed = send(
      `${upstream.url}${url}`,
      { method, headers: { ...incoming.headers, connection: 'keep-alive' }, agent },
      (answer) => {
        const { connection: _, 'keep-alive': __, ...headers } = answer.headers;
        outgoing.writeHead(answer.statusCode ?? 502, headers);
        answer.on('error', (error) => fail(error.message));
        answer.pipe(outgoing);
      },
    );
    passed.on('error', (error) => fail(`${upstream.url} ${error.message}`));
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the gateway has no address');

  const closing = new AbortController();
  async function look(upstream: Upstream): Promise<void> {
    while (!closing.signal.aborted && upstreams.includes(upstream)) {
      upstream.ready = await fetch(`${upstream.url}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
        async (answer) => {
          await answer.arrayBuffer();
          return answer.status === 200;
        },
        () => false,
      );
      await sleep(LOOKS_EVERY_MS);
    }
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    failures,
    async add(url, services) {
      const upstream: Upstream = { url, services, ready: false };
      upstreams.push(upstream);
      void look(upstream);
      while (!upstream.ready) await sleep(10);
    },
    remove(url) {
      const index = upstreams.findIndex((upstream) => upstream.url === url);
      if (index >= 0) upstreams.splice(index, 1);
    },
    async close() {
      closing.abort();
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
