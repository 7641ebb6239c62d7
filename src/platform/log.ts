/** Structured logs, a JSON line each. Keys, cookies and bodies never reach them. */

import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';

export function openLog(level: LogLevel): FastifyBaseLogger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        '*.authorization',
        '*.cookie',
        'req.headers',
        'headers.authorization',
        'headers.cookie',
        'err.config',
      ],
      remove: true,
    },
  });
}
