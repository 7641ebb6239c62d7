/** A receiver of webhooks, for tests: an HTTP server on loopback that keeps what it was sent. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { TestTenant } from '../../testing.ts';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** The event in the body. */
  // oxlint-disable-next-line typescript/no-explicit-any -- a test looks into whatever came
  event: any;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What was sent to a path. */
  at: (path: string) => Received[];
  close: () => void;
}

/** @param answer answers a request, sooner or later or never; with 204 if absent */
export async function openReceiver(
  answer: (received: Received, response: ServerResponse) => void = (_received, response) =>
    response.writeHead(204).end(),
): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const one = { path: request.url ?? '', headers: request.headers, body, event: JSON.parse(body) };
      received.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address !== 'object') throw new Error('the receiver does not listen');
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    at: (path) => received.filter((one) => one.path === path),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Settings under which the receiver may be asked. */
export const settings = { OUTGOING_ALLOW: '127.0.0.0/8' };

/** A machine that is busy with other tests is slow. */
const LONGEST_MS = 120_000;

/** Asks until there is an answer. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + LONGEST_MS;
  for (;;) {
    const found = await ask();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`it did not happen in two minutes that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** Waits until a receiver was sent so many requests, or so many to a path. */
export function arrived({ received }: Receiver, count: number, path?: string): Promise<Received[]> {
  return eventually(`${count} webhooks arrive at ${path ?? 'any path'}`, () => {
    const found = received.filter((one) => path === undefined || one.path === path);
    return found.length >= count ? found : undefined;
  });
}

/** Opens an account at a bank, which is an event. Returns its id. */
export async function openAccount(bank: TestTenant, name = 'Ana Souza'): Promise<string> {
  await bank.ask('POST', '/api/v2/chart-of-accounts', { code: '2', name: 'Deposits', type: 'liability' });
  return (await bank.post('/api/v2/accounts', { name, currency: 'BRL', chart_code: '2' })).id;
}

/** Waits until a delivery stands so, and returns it in full. */
export async function settled(bank: TestTenant, query: string, status: string) {
  const { id } = await eventually(
    `a delivery is ${status}`,
    async () => (await bank.get(`/api/v2/webhooks/deliveries?status=${status}&${query}`)).data[0],
  );
  return bank.get(`/api/v2/webhooks/deliveries/${id}`);
}
