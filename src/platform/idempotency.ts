/** Idempotency keys: read from a request, and what a repetition must equal. */
import canonicalize from 'canonicalize';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { type Problem, refuse } from './problem.ts';
import { VISIBLE_ASCII } from './validation.ts';

/** Schema of the headers of a route that creates or moves. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: VISIBLE_ASCII,
      description: 'Names this intention: the same for each retry, fresh for each new one. Required.',
    }),
  ),
});

/** The key of a request that must have one. */
export function idempotencyKey(request: FastifyRequest): string {
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string') {
    throw refuse(
      'idempotency_key_required',
      'Send an Idempotency-Key header: a fresh UUID for each new intention.',
    );
  }
  return key;
}

/** An attempt as the client named it: with `operation` and its body, a repetition is told from another request. */
export interface Attempt {
  /** The `Idempotency-Key`. */
  key: string;
  /** Method and path. */
  operation: string;
}

/** The attempt that a request is, under the idempotency key that it must carry. */
export function attemptOf(request: FastifyRequest, path: string): Attempt {
  return { key: idempotencyKey(request), operation: `${request.method} ${path}` };
}

/** Headers of the answer to something created or moved. */
export function answerCreated(reply: FastifyReply, location: string, replayed: boolean): void {
  reply.code(201).header('location', location);
  if (replayed) reply.header('idempotent-replayed', 'true');
}

/** A request as it is kept and compared: JSON in canonical form (RFC 8785), so that order and space do not count. */
export function canonicalRequest(body: unknown): string {
  const text = canonicalize(body ?? null);
  if (text === undefined) throw new Error('a request body that is not JSON');
  return text;
}

/** JSON Pointers at which two JSON values are not the same. */
export function differences(first: unknown, second: unknown, pointer = ''): string[] {
  if (first === second) return [];
  const bothObjects =
    typeof first === 'object' && typeof second === 'object' && first !== null && second !== null;
  if (!bothObjects || Array.isArray(first) !== Array.isArray(second)) return [pointer === '' ? '/' : pointer];
  const left = new Map<string, unknown>(Object.entries(first));
  const right = new Map<string, unknown>(Object.entries(second));
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((name) =>
    differences(
      left.get(name),
      right.get(name),
      `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    ),
  );
}

/** The refusal for a key that was used for something else. */
export function keyReused(
  key: string,
  first: { operation: string | null; request: string },
  now: { operation: string; request: string },
): Problem {
  const differs =
    first.operation !== null && first.operation !== now.operation
      ? [`operation: ${first.operation}`]
      : differences(JSON.parse(first.request), JSON.parse(now.request)).slice(0, 20);
  // Alike as far as they are known: one of the two is a batch, or they are batches of another size.
  if (differs.length === 0) differs.push('operation or number of transfers');
  return refuse('idempotency_key_reused', `The Idempotency-Key ${key} was first used for another request.`, {
    differs,
  });
}
