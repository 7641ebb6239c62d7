/** A request as a span, and as what all that is done for it knows its place in a trace by. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { formatId } from '../ids.ts';
import { currentPlace, doAt, readTraceparent } from './context.ts';
import { type Span, type Traces, untraced } from './span.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Where in a trace it is; undefined where neither its caller nor we trace it. */
    place: Span['place'] | undefined;
    span: Span | undefined;
  }
}

/** Asked every few seconds by machines; a trace of them tells nothing. */
const probes: ReadonlySet<string | undefined> = new Set(['/livez', '/readyz', '/metrics']);

/** Begins a request, and goes on at its place. */
export function beginRequest(request: FastifyRequest, traces: Traces, goOn: () => void): void {
  // One that is carried out in this process, as an approved one is, belongs to what carries it out.
  const caller = readTraceparent(request.headers.traceparent) ?? currentPlace();
  if (traces !== untraced) request.span = spanOf(request, traces, caller);
  const place = request.span?.place ?? caller;
  if (place === undefined) {
    goOn();
    return;
  }
  request.place = place;
  doAt(place, goOn);
}

function spanOf(
  { method, routeOptions: { url: route } }: FastifyRequest,
  traces: Traces,
  parent: Span['place'] | undefined,
): Span | undefined {
  if (probes.has(route)) return undefined;
  return traces.begin(route === undefined ? method : `${method} ${route}`, {
    parent,
    kind: 'server',
    attributes: { 'http.request.method': method, ...(route === undefined ? {} : { 'http.route': route }) },
  });
}

/**
 * Ends the span of a request.
 *
 * @param problem the code of the problem that answered it, if one did
 */
export function endRequest(request: FastifyRequest, reply: FastifyReply, problem: string | undefined): void {
  const { span } = request;
  if (span === undefined) return;
  // Of a request that nobody was found for there is no caller, whatever the type says.
  const caller: Partial<FastifyRequest['caller']> | undefined = request.caller;
  span.add({
    'http.response.status_code': reply.statusCode,
    ...(problem === undefined ? {} : { 'error.type': problem }),
    ...(caller?.tenant_id === undefined
      ? {}
      : { 'financialapi.tenant_id': formatId('ten', caller.tenant_id) }),
    ...(caller?.environment === undefined ? {} : { 'financialapi.environment': caller.environment }),
  });
  span.end(reply.statusCode >= 500 ? (problem ?? 'unknown') : undefined);
}
