/** Structured logs, a JSON line each. Keys, cookies and bodies never reach them. */

import cluster from 'node:cluster';
import type { FastifyBaseLogger } from 'fastify';
import { type DestinationStream, pino } from 'pino';
import type { LogLevel } from './config.ts';
import { currentPlace } from './trace/context.ts';

/** Members of PostgreSQL's errors that tell where, and never of what data. Its `detail` repeats rows. */
const loggedMembers = ['code', 'severity', 'schema', 'table', 'column', 'constraint', 'routine'] as const;

/**
 * Fields that never reach a log, wherever they stand: credentials, and every field that a schema marks as personal or
 * secret (tests/redaction.test.ts holds the list against the schemas).
 */
export const unloggedNames: readonly string[] = [
  'authorization',
  'cookie',
  'key',
  'password',
  'secret',
  'token',
  'name',
  'email',
  'description',
  'metadata',
  'labels',
  'before',
  'after',
  'body',
  'request',
  'q',
  'phone',
  'push_token',
  'contact_name',
  'contact_email',
  'invitation_token',
  'address',
  'content',
  'data',
];

/** An error as it is logged: what is named here and nothing else, for libraries hang whole requests onto their errors. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  const members = new Map<string, unknown>(Object.entries(error));
  const where = members.get('where');
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...Object.fromEntries(
      loggedMembers.flatMap((name) => (members.has(name) ? [[name, members.get(name)]] : [])),
    ),
    // Lines of the function that failed; the others show data.
    ...(typeof where === 'string'
      ? { where: where.split('\n').filter((line) => line.startsWith('PL/pgSQL function')) }
      : {}),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
}

/** @param stream where lines go; standard output if absent */
export function openLog(level: LogLevel, stream?: DestinationStream): FastifyBaseLogger {
  const options = {
    level,
    base: cluster.isWorker ? { worker: cluster.worker?.id } : null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: serializeError },
    mixin: () => {
      const place = currentPlace();
      return place === undefined ? {} : { trace_id: place.traceId };
    },
    redact: {
      paths: [
        'req.headers',
        ...unloggedNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]),
      ],
      remove: true,
    },
  };
  return stream === undefined ? pino(options) : pino(options, stream);
}
