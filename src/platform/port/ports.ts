/**
 * The ports of a process: what its services answer, here and to others, and what they ask, here or elsewhere. Who asks
 * does not know which of the two it is: locally, too, what is asked is JSON and whoever asks is a service.
 */
import type { FastifyBaseLogger, FastifyPluginAsync } from 'fastify';
import type { ServiceTokens } from '../access/service-token.ts';
import type { Metrics } from '../metrics.ts';
import { refuse } from '../problem.ts';
import { currentTraceparent } from '../trace/context.ts';
import { type Answering, answer, pathOf, unavailableService, wrongWith } from './answer.ts';
import type { Ask, Call, Operations, Port, ProvidedPort } from './port.ts';
import type { Remote } from './remote.ts';

/** Longest deadline that is believed of whoever asks. */
const LONGEST_MS = 300_000;

export interface Ports {
  /** What answers the calls to a service of this process. */
  provide(provided: ProvidedPort): void;
  /** How a service asks a port that it requires. */
  askFor<Own extends Operations>(service: string, port: Port<Own>): Ask<Own>;
  /** Where other processes ask the services of this one. */
  routes: FastifyPluginAsync;
}

export interface PortsOptions extends Answering {
  log: FastifyBaseLogger;
  metrics: Metrics;
  tokens: Pick<ServiceTokens, 'actingFor'>;
  /** The services of this process. */
  local: readonly string[];
  remote: Pick<Remote, 'ask'>;
}

export function openPorts(options: PortsOptions): Ports {
  const { tokens, local, remote, metrics } = options;
  const provided = new Map<string, ProvidedPort>();
  const calls = metrics.counter('port_calls_total', 'Calls of other services, by what they came to', [
    'from',
    'service',
    'operation',
    'outcome',
  ]);

  function answerHere(service: string, name: string, call: Call, input: unknown): Promise<string> {
    const own = provided.get(service);
    // It is about to start, or has stopped.
    if (own === undefined) throw unavailableService(service, 'does not run here; nothing was done.');
    return answer(options, own, name, call, input);
  }

  return {
    provide(own) {
      provided.set(own.port.service, own);
    },
    askFor: (from, port) => async (name, call, input) => {
      const { service } = port;
      const operation = port.operations[name];
      if (operation === undefined) throw new Error(`the port of ${service} has no operation ${name}`);
      const until_ms = Math.min(
        call.until_ms ?? Number.POSITIVE_INFINITY,
        performance.now() + operation.timeout_ms,
      );
      const text = JSON.stringify(input);
      let outcome = 'failed';
      try {
        const told = local.includes(service)
          ? await answerHere(
              service,
              name,
              { ...call, until_ms, caller: tokens.actingFor(from, call.caller) },
              JSON.parse(text),
            )
          : await remote.ask(from, { service, name, operation }, { ...call, until_ms }, text);
        const given = JSON.parse(told);
        const wrong = wrongWith(operation.output, given);
        if (wrong !== undefined) {
          throw new Error(`${service} answered ${name} with what its port does not promise: ${wrong}`);
        }
        outcome = 'answered';
        return given;
      } catch (error) {
        if (error instanceof Error && 'code' in error) outcome = String(error.code);
        throw error;
      } finally {
        calls.inc({ from, service, operation: name, outcome });
      }
    },
    routes: async (app) => {
      app.post<{ Params: { service: string; operation: string } }>(
        pathOf(':service', ':operation'),
        { config: { internal: true }, schema: { hide: true } },
        async (request, reply) => {
          const { caller, params, headers, body } = request;
          if (caller.principal.kind !== 'service') {
            throw refuse('forbidden', 'This is for services of the installation.');
          }
          const left_ms = Number(headers['deadline-ms']);
          const asked_from = headers['asked-from'];
          const traceparent = currentTraceparent();
          const told = await answerHere(
            params.service,
            params.operation,
            {
              caller,
              request_id: request.id,
              address: typeof asked_from === 'string' ? asked_from : request.ip,
              ...(traceparent === undefined ? {} : { traceparent }),
              until_ms: performance.now() + (left_ms > 0 && left_ms <= LONGEST_MS ? left_ms : LONGEST_MS),
            },
            body,
          );
          reply.type('application/json; charset=utf-8');
          return told;
        },
      );
    },
  };
}
