/** The certificate that a client showed, over the connection itself or as a trusted proxy tells it (RFC 9440). */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { TLSSocket } from 'node:tls';
import { blockListOf } from '../../../platform/access/access.ts';

/** Byte sequence of RFC 8941, as `Client-Cert` carries it. */
const byteSequence = /^:([A-Za-z0-9+/]+={0,2}):$/;

export type FindCertificate = (request: IncomingMessage) => X509Certificate | undefined;

/** @param trustedProxies networks from which `Client-Cert` is believed */
export function certificateFinder(trustedProxies: readonly string[]): FindCertificate {
  const trusted = blockListOf(trustedProxies);
  return ({ socket, headers }) => {
    if (socket instanceof TLSSocket) {
      const { raw } = socket.getPeerCertificate();
      return Buffer.isBuffer(raw) ? new X509Certificate(raw) : undefined;
    }
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
    if (address === '' || !trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return undefined;
    const header = headers['client-cert'];
    const [, base64] = typeof header === 'string' ? (byteSequence.exec(header) ?? []) : [];
    if (base64 === undefined) return undefined;
    try {
      return new X509Certificate(Buffer.from(base64, 'base64'));
    } catch {
      return undefined;
    }
  };
}
