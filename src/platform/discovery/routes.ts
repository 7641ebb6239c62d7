/** Every endpoint of services and their instances: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../cursor.ts';
import type { Database } from '../db.ts';
import { ProblemBody } from '../http.ts';
import type { Service } from '../service.ts';
import { Instance, ListInstancesQuery, listInstances, listServices, ServiceBody } from './instances.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['services'];

export function serviceRoutes({
  db,
  services,
}: {
  db: Database;
  services: readonly Service[];
}): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/api/v2/services',
      {
        config: { permission: 'services:read' },
        schema: {
          summary: 'Services: which there are, what each asks of others, and where it runs',
          tags,
          response: { 200: Type.Object({ data: Type.Array(ServiceBody) }), ...refusals },
        },
      },
      async () => ({ data: await listServices(db, services) }),
    );

    app.get(
      '/api/v2/instances',
      {
        config: { permission: 'services:read' },
        schema: {
          summary:
            'Processes of the installation, newest first: what each runs, how it is, what it cannot reach',
          tags,
          querystring: ListInstancesQuery,
          response: { 200: Page(Instance), ...refusals },
        },
      },
      async ({ query }) => listInstances(db, query),
    );
  };
}
