/** Every endpoint of usage: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Caller } from '../access/caller.ts';
import { SELF } from '../access/permission.ts';
import type { Database } from '../db.ts';
import { ProblemBody } from '../http.ts';
import { applicationOf } from './counts.ts';
import { OwnUsageQuery, readUsage, UsageQuery, UsageReport } from './read.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['usage'];

/** Whose calls a caller may always see: its own, and with them those of the application that it is of. */
function ownOf(caller: Caller): { application_id: string } | { principal_id: string } {
  const application_id = applicationOf(caller);
  return application_id === undefined ? { principal_id: caller.principal.id } : { application_id };
}

export function usageRoutes({ db }: { db: Database }): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/api/v2/usage',
      {
        config: { permission: 'usage:read' },
        schema: {
          summary: 'Calls, errors and latency of a period, by caller, route or status, and over time',
          description:
            'Counted when a request was answered, and here about a second later. Percentiles are told from buckets that grow by √2: the true one lies in the same bucket, whose bounds are 41 % apart. Usage by the minute is kept for some days only.',
          tags,
          querystring: UsageQuery,
          response: { 200: UsageReport, ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => readUsage(tx, caller, query)),
    );

    app.get(
      '/api/v2/self/usage',
      {
        config: { permission: SELF },
        schema: {
          summary: 'The same of whoever asks: of its application, where it is of one',
          tags,
          querystring: OwnUsageQuery,
          response: { 200: UsageReport, ...refusals },
        },
      },
      async ({ caller, query }) =>
        db.read(caller, (tx) => readUsage(tx, caller, { ...query, ...ownOf(caller) })),
    );
  };
}
