/**
 * Requests that leave the installation: webhooks, and whatever else is sent to an address that somebody else chose. A
 * name is resolved once, every address it has must be a public one, and the connection is made to one of those that
 * were checked, so that a name which changes its mind in between (DNS rebinding) gains nothing.
 *
 * Source: OWASP Server-Side Request Forgery Prevention Cheat Sheet; the special-purpose registries of IANA (RFC 6890).
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, fetch, type RequestInit } from 'undici';
import { blockListOf } from './access/access.ts';
import { currentPlace, readTraceparent, traceparentOf } from './trace/context.ts';
import { errorTypeOf, type Traces, untraced } from './trace/span.ts';

/** Why nothing was sent, or why an answer was not read. The message may be shown to whoever chose the address. */
export class OutgoingRefused extends Error {
  override readonly name = 'OutgoingRefused';
}

interface OutgoingAnswer {
  status: number;
  headers: Headers;
  body: Buffer;
}

type OutgoingInit = Pick<RequestInit, 'method' | 'headers' | 'signal'> & { body?: string | Buffer };

export interface Outgoing {
  /**
   * Sends a request and reads the whole answer. A redirect is an answer like any other and is not followed. It carries the
   * `traceparent` of what it is sent for: the one among its headers, as of an event that is told, or that of now.
   *
   * @throws OutgoingRefused for an address that may not be asked, and for an answer that is too large
   */
  guardedFetch(url: string, init?: OutgoingInit): Promise<OutgoingAnswer>;
  stop(): Promise<void>;
}

export interface OutgoingOptions {
  /** Networks that may be asked though they are not public, over plain HTTP and at any port, too. */
  allow: readonly string[];
  /** Every address of a name; the system's resolver if absent. */
  resolve?: (name: string) => Promise<readonly string[]>;
  timeout_ms?: number;
  body_limit_bytes?: number;
  /** Absent: no spans are recorded. */
  traces?: Traces;
}

const PORTS = new Set(['', '443', '8443']);
const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 30_000;
const BODY_LIMIT_BYTES = 1_048_576;
/** Azure's, which answers with secrets like 169.254.169.254 of others, though its address looks like any other. */
const METADATA_ADDRESSES = new Set(['168.63.129.16']);
/** The only addresses of IPv6 that are given to the public (RFC 4291); what is embedded IPv4 lies outside or has a name. */
const globalIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Whether an address belongs to the public Internet. What is no address does not. */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast' || METADATA_ADDRESSES.has(address.toString())) return false;
  return address instanceof ipaddr.IPv4 || address.match(globalIpv6);
}

async function resolveBySystem(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

/** A resolver that knows the addresses that were checked and asks nobody. */
function knowing(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_name, options, callback) => {
    const [first] = found;
    if (options.all === true) callback(null, found);
    else if (first !== undefined) callback(null, first.address, first.family);
    else callback(new Error('no address was checked'), '', 0);
  };
}

function assertSendable(url: URL): void {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new OutgoingRefused(`${url.protocol} is no protocol that requests are sent by; use https:.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new OutgoingRefused('An address with a user name or password in it is not asked.');
  }
}

export function openOutgoing(options: OutgoingOptions): Outgoing {
  const {
    resolve = resolveBySystem,
    timeout_ms = TIMEOUT_MS,
    body_limit_bytes = BODY_LIMIT_BYTES,
    traces = untraced,
  } = options;
  const allowed = blockListOf(options.allow);
  const isAllowed = (address: string) => {
    const family = isIP(address);
    return family !== 0 && allowed.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };

  /** The addresses that a connection may be made to: all that the host has, or none. */
  async function check({ hostname, protocol, port }: buildConnector.Options): Promise<readonly string[]> {
    const host = hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(host) === 0 ? await resolve(host) : [host];
    if (addresses.length === 0) throw new OutgoingRefused(`${host} has no address.`);
    if (addresses.every(isAllowed)) return addresses;
    if (protocol !== 'https:') throw new OutgoingRefused(`${host} is asked over https only.`);
    if (!PORTS.has(port)) throw new OutgoingRefused(`Port ${port} is not asked; 443 and 8443 are.`);
    // One bad address spoils the name: which one is taken is chance.
    if (!addresses.every((address) => isAllowed(address) || isPublicAddress(address))) {
      // Which address it was is told to nobody: it would be a map of our network.
      throw new OutgoingRefused(`${host} does not lie in the public Internet.`);
    }
    return addresses;
  }

  const agent = new Agent({
    connect: (target, callback) => {
      check(target).then(
        (addresses) => {
          const connector = buildConnector({ timeout: CONNECT_TIMEOUT_MS, lookup: knowing(addresses) });
          connector(target, callback);
        },
        (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
      );
    },
    headersTimeout: timeout_ms,
    bodyTimeout: timeout_ms,
    maxHeaderSize: 16_384,
    maxResponseSize: body_limit_bytes,
    // A connection is kept for a burst only, since its address is not checked again.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
  });

  return {
    async guardedFetch(text, init = {}) {
      const url = URL.parse(text);
      if (url === null) throw new OutgoingRefused('This is no absolute URL.');
      assertSendable(url);
      const deadline = AbortSignal.timeout(timeout_ms);
      const signal =
        init.signal === undefined || init.signal === null
          ? deadline
          : AbortSignal.any([deadline, init.signal]);
      const headers = new Headers(init.headers);
      const parent = readTraceparent(headers.get('traceparent')) ?? currentPlace();
      const method = init.method ?? 'GET';
      const span =
        parent &&
        traces.begin(method, {
          parent,
          kind: 'client',
          attributes: { 'http.request.method': method, 'server.address': url.hostname },
        });
      if (parent !== undefined) headers.set('traceparent', traceparentOf(span?.place ?? parent));
      try {
        const answer = await fetch(url, {
          ...init,
          headers: [...headers],
          signal,
          redirect: 'manual',
          credentials: 'omit',
          dispatcher: agent,
        });
        const whole = {
          status: answer.status,
          headers: new Headers([...answer.headers]),
          body: Buffer.from(await answer.arrayBuffer()),
        };
        span?.add({ 'http.response.status_code': answer.status });
        span?.end();
        return whole;
      } catch (error) {
        span?.end(errorTypeOf(error));
        const cause: unknown = error instanceof Error ? error.cause : undefined;
        if (cause instanceof OutgoingRefused) throw cause;
        // The ports of other protocols, which fetch itself does not ask.
        if (cause instanceof Error && cause.message === 'bad port') {
          throw new OutgoingRefused(`Port ${url.port} is not asked.`, { cause });
        }
        if (cause instanceof Error && 'code' in cause && cause.code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') {
          throw new OutgoingRefused(`The answer has more than ${body_limit_bytes} bytes.`, { cause });
        }
        throw error;
      }
    },
    stop: () => agent.destroy(),
  };
}

/** Statuses whose answers have no body (Fetch Standard, "null body status"). */
const BODILESS = new Set([101, 103, 204, 205, 304]);

/**
 * The guard in the form of `fetch`, for libraries that take one. A redirect is an answer here, too; what else a library
 * asks of `fetch`, such as a dispatcher of its own, is not its to choose.
 */
export function fetchThrough(outgoing: Outgoing): (
  url: string | URL | globalThis.Request,
  init?: Pick<globalThis.RequestInit, 'method' | 'headers' | 'signal'> & {
    body?: ConstructorParameters<typeof globalThis.Response>[0] | undefined;
  },
) => Promise<Response> {
  return async (url, init = {}) => {
    const sent =
      init.body === undefined || init.body === null
        ? undefined
        : Buffer.from(await new Response(init.body).arrayBuffer());
    const { status, headers, body } = await outgoing.guardedFetch(
      url instanceof globalThis.Request ? url.url : String(url),
      {
        headers: Object.fromEntries(new Headers(init.headers)),
        ...(init.method === undefined ? {} : { method: init.method }),
        ...(init.signal === undefined || init.signal === null ? {} : { signal: init.signal }),
        ...(sent === undefined ? {} : { body: sent }),
      },
    );
    // The body was decoded when it was read.
    for (const name of ['content-encoding', 'content-length']) headers.delete(name);
    return new Response(BODILESS.has(status) ? null : new Uint8Array(body), { status, headers });
  };
}
