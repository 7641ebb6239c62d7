/**
 * Asking a service that runs in other processes: by HTTP, of an instance that is ready. One that fails is left alone for a
 * while (a circuit breaker for each); what may be asked twice is asked again elsewhere, while there is time.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleAll,
  isBrokenCircuitError,
} from 'cockatiel';
import { Check } from 'typebox/value';
import { Agent, request } from 'undici';
import type { Caller } from '../access/caller.ts';
import { ProblemBody } from '../http.ts';
import { Problem, type ProblemType } from '../problem.ts';
import { pathOf, unavailableService } from './answer.ts';
import type { Call, Operation } from './port.ts';

/** Failures in a row after which an instance is left alone. */
const FAILURES = 5;
const LEFT_ALONE_MS = { initialDelay: 500, maxDelay: 10_000 };
const MAX_ATTEMPTS = 3;
/** Before what failed is asked again, so that an instance that has just begun to stop is no longer among those to ask. */
const PAUSE_MS = 50;
/** Statuses that say nothing about what was asked: of whoever is overloaded or stopping, and of proxies between us. */
const PASSING = new Set([502, 503, 504]);
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** What `connect` fails with: nothing was sent, so that it may be sent elsewhere whatever it is. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

interface RemoteOperation {
  service: string;
  name: string;
  operation: Operation;
}

export interface Remote {
  /** Asks an operation and returns the answer as JSON. Throws the other's refusal, or `service_unavailable`. */
  ask(
    from: string,
    asked: RemoteOperation,
    call: Call & { until_ms: number },
    input: string,
  ): Promise<string>;
  /** Addresses of instances that say that they are ready, and are not asked for now, because they kept failing. */
  leftAlone(): readonly string[];
  stop(): Promise<void>;
}

export interface RemoteOptions {
  /** Addresses of the instances of a service that are ready. */
  instancesOf: (service: string) => readonly string[];
  /** A token with which to ask the service on behalf of a caller. */
  tokenFor: (from: string, caller: Caller, service: string) => Promise<string>;
  /** Every refusal there is, by code. */
  problems: Readonly<Record<string, ProblemType>>;
}

/** An attempt that came to nothing. */
class Failed extends Error {
  /** Whether the other certainly knows nothing of it. */
  readonly unsent: boolean;
  readonly problem: Problem | undefined;
  constructor(message: string, options: { unsent: boolean; problem?: Problem; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.unsent = options.unsent;
    this.problem = options.problem;
  }
}

export function openRemote({ instancesOf, tokenFor, problems }: RemoteOptions): Remote {
  const agent = new Agent({
    connect: { timeout: 2_000 },
    connections: 64,
    keepAliveTimeout: 30_000,
    maxResponseSize: MAX_ANSWER_BYTES,
  });
  const breakers = new Map<string, CircuitBreakerPolicy>();
  /** How often each service was asked: its instances take turns. */
  const turns = new Map<string, number>();

  function breakerOf(instance: string): CircuitBreakerPolicy {
    let breaker = breakers.get(instance);
    if (breaker === undefined) {
      breaker = circuitBreaker(handleAll, {
        breaker: new ConsecutiveBreaker(FAILURES),
        halfOpenAfter: new ExponentialBackoff(LEFT_ALONE_MS),
      });
      breakers.set(instance, breaker);
    }
    return breaker;
  }

  /** The refusal that an answer is, of the same code as where it was given. */
  function refusalOf(status: number, body: string): Problem | undefined {
    let told: unknown;
    try {
      told = JSON.parse(body);
    } catch {
      return undefined;
    }
    if (!Check(ProblemBody, told) || told.status !== status) return undefined;
    const { type: _, title, status: __, detail, code, request_id: ___, ...extra } = told;
    // One that only a newer version of the other service knows tells itself.
    const type = problems[code] ?? { status, title, meaning: title };
    return new Problem(code, type, detail, extra);
  }

  async function attempt(
    instance: string,
    path: string,
    token: string,
    call: Call,
    input: string,
    left_ms: number,
  ) {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(left_ms)));
    let status: number;
    let text: string;
    try {
      const answer = await request(`${instance}${path}`, {
        method: 'POST',
        dispatcher: agent,
        signal,
        headers: {
          authorization: `Service ${token}`,
          'content-type': 'application/json',
          'request-id': call.request_id,
          'deadline-ms': String(Math.max(1, Math.floor(left_ms))),
          'asked-from': call.address,
          ...(call.traceparent === undefined ? {} : { traceparent: call.traceparent }),
        },
        body: input,
      });
      status = answer.statusCode;
      text = await answer.body.text();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      throw new Failed(signal.aborted ? 'did not answer in time' : 'could not be reached', {
        unsent: UNSENT.has(code),
        cause: error,
      });
    }
    if (status === 200) return text;
    const problem = refusalOf(status, text);
    if (PASSING.has(status)) {
      throw new Failed(`answered ${status}`, {
        unsent: false,
        ...(problem === undefined ? {} : { problem }),
      });
    }
    if (problem === undefined || status === 401) {
      // Ours to put right, not the client's: another SERVICE_TOKEN_KEY, or a server that is none of ours.
      throw new Error(
        `${instance}${path} answered ${status}${problem === undefined ? '' : ` ${problem.code}: ${problem.message}`}`,
      );
    }
    return problem;
  }

  return {
    async ask(from, { service, name, operation }, call, input) {
      const token = await tokenFor(from, call.caller, service);
      const path = pathOf(service, name);
      const lastFailure: { of: Failed | undefined } = { of: undefined };
      const tried = new Set<string>();
      // What is asked again takes nobody's turn, or of two instances a failing one would be asked first each time.
      const turn = turns.get(service) ?? 0;
      turns.set(service, turn + 1);
      let attempts = 0;
      while (attempts < MAX_ATTEMPTS) {
        const ready = instancesOf(service);
        // Another one, where there is one that was not asked yet.
        const fresh = ready.filter((one) => !tried.has(one));
        const choice = fresh.length > 0 ? fresh : ready;
        const instance = choice[turn % choice.length];
        const left_ms = call.until_ms - performance.now();
        if (left_ms <= 0) break;
        attempts += 1;
        if (instance !== undefined) {
          tried.add(instance);
          // Of what may be asked again no attempt takes all the time there is.
          const share_ms = operation.idempotent && attempts < MAX_ATTEMPTS ? left_ms / 2 : left_ms;
          try {
            const told = await breakerOf(instance).execute(() =>
              attempt(instance, path, token, call, input, share_ms),
            );
            if (told instanceof Problem) throw told;
            return told;
          } catch (error) {
            if (isBrokenCircuitError(error)) {
              lastFailure.of ??= new Failed('failed too often of late and is left alone', { unsent: true });
            } else if (error instanceof Failed) {
              lastFailure.of = error;
              if (!operation.idempotent && !error.unsent) break;
            } else throw error;
          }
        }
        await sleep(Math.min(PAUSE_MS, Math.max(0, call.until_ms - performance.now())));
      }
      const failure = lastFailure.of;
      throw (
        failure?.problem ??
        unavailableService(
          service,
          failure === undefined
            ? 'has no instance that is ready; nothing was done.'
            : `${failure.message}${failure.unsent ? '; nothing was done.' : '; what came of it is not known.'}`,
        )
      );
    },
    leftAlone() {
      const ready = new Set([...turns.keys()].flatMap((service) => instancesOf(service)));
      return [...ready].filter((instance) => breakers.get(instance)?.state === CircuitState.Open);
    },
    stop: () => agent.destroy(),
  };
}
