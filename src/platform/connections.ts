/** How many connections clients may hold, so that none can keep the others out. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isIPv6 } from 'node:net';

/** Bytes of an IPv6 address that name a network: whoever has one of its addresses has all of them. */
const NETWORK_GROUPS = 4;

/** What is counted as one client: an IPv4 address, or the /64 of an IPv6 address. */
export function clientOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
    .slice(0, NETWORK_GROUPS)
    .join(':');
}

/** Closes at once what connects beyond the limits. */
export function limitConnections(
  server: Server,
  limits: { max_connections: number; max_connections_per_address: number },
): void {
  server.maxConnections = limits.max_connections;
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket.remoteAddress ?? '');
    const others = open.get(client) ?? 0;
    if (others >= limits.max_connections_per_address) {
      socket.destroy();
      return;
    }
    open.set(client, others + 1);
    socket.once('close', () => {
      const left = (open.get(client) ?? 1) - 1;
      if (left === 0) open.delete(client);
      else open.set(client, left);
    });
  });
}
