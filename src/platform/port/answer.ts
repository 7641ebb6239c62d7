/** Answering what another service asks, in the same way whether it runs in this process or not. */
import type { FastifyBaseLogger } from 'fastify';
import { Compile } from 'typebox/compile';
import { assertMay } from '../access/caller.ts';
import type { AuditedChange, AuditTrail } from '../audit/write.ts';
import { unavailableFor } from '../db.ts';
import { Problem, refuse } from '../problem.ts';
import type { Call, Operation, ProvidedPort } from './port.ts';

type Validator = ReturnType<typeof Compile>;
const validators = new WeakMap<object, Validator>();

/** What is wrong with a value of an operation, in a few words; undefined where nothing is. */
export function wrongWith(schema: Operation['input'], value: unknown): string | undefined {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    validators.set(schema, validator);
  }
  if (validator.Check(value)) return undefined;
  const [first] = validator.Errors(value);
  // Never the value itself, which may be somebody's.
  return `${first?.instancePath ?? ''} ${first?.message ?? 'is not as its schema says'}`.trim();
}

/** Where a call is addressed to, in addresses and in the audit trail. */
export function pathOf(service: string, operation: string): string {
  return `/internal/ports/${service}/${operation}`;
}

/** The refusal of a call that nobody answers in time or can be reached for. */
export function unavailableService(service: string, detail: string): Problem {
  return refuse('service_unavailable', `The service ${service} ${detail}`, { retry_after_s: 1 });
}

export interface Answering {
  audit: Pick<AuditTrail, 'record' | 'intend'>;
  log: FastifyBaseLogger;
}

/** Runs `work` until it is done or nobody waits any more. */
async function within<T>(
  until_ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => Problem,
): Promise<T> {
  const left_ms = until_ms - performance.now();
  if (left_ms <= 0) throw late();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work(stopping.signal),
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(late()), left_ms);
      }),
    ]);
  } finally {
    clearTimeout(timer);
    stopping.abort();
  }
}

/**
 * Answers a call and returns the answer as JSON. What changes something is on record in the audit trail, as are requests.
 *
 * @param call.caller the service that asks, on behalf of whoever began it
 * @throws Problem whatever goes wrong: a bug is logged, and is `internal_error` to whoever asks
 */
export async function answer(
  { audit, log }: Answering,
  { port, answers }: ProvidedPort,
  name: string,
  call: Call,
  input: unknown,
): Promise<string> {
  const operation = port.operations[name];
  const give = answers[name];
  if (operation === undefined || give === undefined) {
    throw refuse('not_found', `The port of ${port.service} has no operation ${name}.`);
  }
  const { caller } = call;
  const path = pathOf(port.service, name);
  const record = {
    tenant_id: caller.tenant_id,
    environment: caller.environment,
    principal: caller.principal,
    ...(caller.on_behalf_of === undefined ? {} : { on_behalf_of: caller.on_behalf_of }),
    address: call.address,
    method: 'POST',
    route: path,
    path,
    permission: operation.permission,
    request_id: call.request_id,
  };
  let intent: string | undefined;
  let change: AuditedChange = {};

  const perform = async (until_ms: number, signal: AbortSignal): Promise<string> => {
    assertMay(caller, operation.permission, false);
    const wrong = wrongWith(operation.input, input);
    if (wrong !== undefined) {
      throw refuse(
        'malformed_request',
        `${port.service} was asked ${name} with what its port does not take.`,
        {
          errors: [{ pointer: '', detail: wrong }],
        },
      );
    }
    if (operation.writes) intent = await audit.intend(record);
    const given = await give(
      {
        ...call,
        until_ms,
        signal,
        audit: (more) => {
          change = { ...change, ...more };
        },
      },
      input,
    );
    const text = JSON.stringify(given);
    const wrongAnswer = wrongWith(operation.output, JSON.parse(text));
    if (wrongAnswer !== undefined) {
      throw new Error(`${port.service} answered ${name} with what its port does not promise: ${wrongAnswer}`);
    }
    return text;
  };

  const note = async (problem?: Problem): Promise<void> => {
    if (!operation.writes) return;
    const status = problem?.type.status ?? 200;
    await audit.record({
      ...record,
      ...(intent === undefined ? {} : { intent }),
      outcome: status < 400 ? 'done' : status < 500 ? 'refused' : 'failed',
      status,
      ...(problem === undefined ? {} : { code: problem.code }),
      ...change,
    });
  };

  const until_ms = Math.min(
    call.until_ms ?? Number.POSITIVE_INFINITY,
    performance.now() + operation.timeout_ms,
  );
  try {
    const text = await within(
      until_ms,
      (signal) => perform(until_ms, signal),
      () => unavailableService(port.service, 'did not answer in time; what came of it is not known.'),
    );
    await note();
    return text;
  } catch (error) {
    const problem = error instanceof Problem ? error : unavailableFor(error);
    if (problem === undefined) {
      log.error({ err: error, request_id: call.request_id, route: path }, 'a call of another service failed');
    }
    const refused =
      problem ?? refuse('internal_error', 'The request failed for a reason of ours; it was logged.');
    await note(refused);
    throw refused;
  }
}
