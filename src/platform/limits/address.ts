/** Counting by address, where no caller is known. */
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AddressLimit } from './plan.ts';

/**
 * The address that counts: of IPv6 its network of 64 bits, all of which one client has; an IPv4 address that is mapped
 * into IPv6 is the IPv4 address.
 */
export function countedAddress(address: string): string {
  if (isIPv4(address)) return address;
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/64`).toString()}/64`;
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);
const paths: readonly [AddressLimit, RegExp][] = [
  ['sign_in', /^\/(login|identity\/sign-in)/],
  ['sign_up', /^\/identity\/invitations/],
  ['token', /^\/oauth\//],
];

/** The limit that counts a request by its address before anything is known of its sender. */
export function addressLimitOf(method: string, url: string): AddressLimit | undefined {
  if (safeMethods.has(method)) return undefined;
  const [path = ''] = url.split('?');
  // As the router reads it: `/%6cogin` is `/login`.
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return undefined; // Refused before it has a route.
  }
  return paths.find(([, pattern]) => pattern.test(decoded))?.[0];
}
