/** A request as a span, and as what all that is done for it knows its place in a trace by. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { formatId } from '../ids.ts';
import { currentPlace, doAt, readTraceparent } from './context.ts';
import type { Span, Traces } from './span.ts';

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
  const { method, headers, routeOptions } = request;
  // One that is carried out in this process, as an approved one is, belongs to what carries it out.
  const caller = readTraceparent(headers.traceparent) ?? currentPlace();
  if (!probes.has(routeOptions.url)) {
    const route = routeOptions.url;
    request.span = traces.begin(route === undefined ? method : `${method} ${route}`, {
      parent: caller,
      kind: 'server',
      attributes: { 'http.request.method': method, ...(route === undefined ? {} : { 'http.route': route }) },
    });
  }
  request.place = request.span?.place ?? caller;
  doAt(request.place, goOn);
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
