/** Every endpoint of the audit trail: method, path, permission, schema, call. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../cursor.ts';
import type { Database, Scope } from '../db.ts';
import { ProblemBody } from '../http.ts';
import { Id, uuidOf } from '../ids.ts';
import { AuditEntry, ExportAuditQuery, exportAudit, getAudit, ListAuditQuery, listAudit } from './read.ts';
import { AuditReport, verifyAudit } from './verify.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const tags = ['audit trail'];

/** A verification reads a whole trail: whoever asks while one runs waits for its report instead of starting another. */
function sharedVerification(db: Database): (scope: Scope) => Promise<AuditReport> {
  const running = new Map<string, Promise<AuditReport>>();
  return (scope) => {
    const name = `${scope.tenant_id} ${scope.environment}`;
    const found = running.get(name);
    if (found !== undefined) return found;
    const verification = verifyAudit(db, scope).finally(() => running.delete(name));
    running.set(name, verification);
    return verification;
  };
}

export function auditRoutes({ db }: { db: Database }): FastifyPluginAsyncTypebox {
  return async (app) => {
    const verify = sharedVerification(db);

    app.get(
      '/api/v2/audit',
      {
        config: { permission: 'audit:read', sensitive: true },
        schema: {
          summary: 'Search the audit trail, newest first',
          description:
            'A record for each attempt that changes something or reads what is confidential, refused ones too: who, on whose behalf, from where, what, before and after.',
          tags,
          querystring: ListAuditQuery,
          response: { 200: Page(AuditEntry), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listAudit(tx, caller, query)),
    );

    app.get(
      '/api/v2/audit/export',
      {
        config: { permission: 'audit:export', sensitive: true },
        schema: {
          summary: 'The audit trail of a period, oldest first, as CSV or JSON lines',
          tags,
          querystring: ExportAuditQuery,
          response: {
            200: {
              description: 'The records',
              content: {
                // Texts to the client; handed to Fastify as a stream.
                'text/csv': { schema: Type.Unsafe<Readable>({ type: 'string' }) },
                'application/x-ndjson': { schema: Type.Unsafe<Readable>({ type: 'string' }) },
              },
            },
            ...refusals,
          },
        },
      },
      async ({ caller, query }, reply) => {
        const { filename, type, pieces } = exportAudit(db, caller, query);
        return reply
          .header('content-disposition', `attachment; filename="${filename}"`)
          .type(type)
          .send(Readable.from(pieces));
      },
    );

    app.get(
      '/api/v2/audit/verify',
      {
        config: { permission: 'audit:read', sensitive: true },
        schema: {
          summary: 'Prove that the audit trail is whole: every seal recomputed, and what is wrong named',
          description:
            'Finds records that were changed, removed or put in past the chain, and seals that were changed or removed. Reads the whole trail; who asks while it is being verified gets that report.',
          tags,
          response: { 200: AuditReport, ...refusals },
        },
      },
      async ({ caller }) => verify(caller),
    );

    app.get(
      '/api/v2/audit/:record_id',
      {
        config: { permission: 'audit:read', sensitive: true },
        schema: {
          summary: 'A record of the audit trail',
          tags,
          params: Type.Object({ record_id: Id('aud') }),
          response: { 200: AuditEntry, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getAudit(tx, caller, uuidOf('aud', params.record_id))),
    );
  };
}
