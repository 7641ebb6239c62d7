/** Every endpoint that reports on the books: method, path, schema, call. */
import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Database, Scope } from '../../platform/db.ts';
import { ProblemBody, Text } from '../../platform/http.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import type { Books } from './books.ts';
import { checkIntegrity, IntegrityReport } from './integrity.ts';
import { headPosition, minPositionQuery } from './position.ts';

import { getAttempt, KeptAttempt } from './read-attempt.ts';
import { Balance, BalanceQuery, readBalance } from './read-balance.ts';
import { AccountEntry, ListEntriesQuery, listEntries } from './read-entries.ts';
import { csvStatement, readStatement, Statement, StatementQuery } from './statement.ts';
import { pdfStatement } from './statement-pdf.ts';
import { readTrialBalance, TrialBalance, TrialBalanceQuery } from './trial-balance.ts';
import { readVolumes, Volumes, VolumesQuery } from './volumes.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const AccountParams = Type.Object({ account_id: Id('acc') });

const formats = { 'application/json': 'json', 'text/csv': 'csv', 'application/pdf': 'pdf' } as const;

function formatOf(request: FastifyRequest, format: 'json' | 'csv' | 'pdf' | undefined) {
  if (format !== undefined) return format;
  const accepted = request.accepts().type(Object.keys(formats));
  const [, chosen = 'json' as const] = Object.entries(formats).find(([type]) => type === accepted) ?? [];
  return chosen;
}

/** A check reads all of a tenant's books: whoever asks while one runs waits for its report instead of starting another. */
function sharedIntegrityCheck(db: Database): (scope: Scope, deep: boolean) => Promise<IntegrityReport> {
  const running = new Map<string, Promise<IntegrityReport>>();
  return (scope, deep) => {
    const name = `${scope.tenant_id} ${scope.environment} ${deep}`;
    const found = running.get(name);
    if (found !== undefined) return found;
    const check = checkIntegrity(db, scope, { deep }).finally(() => running.delete(name));
    running.set(name, check);
    return check;
  };
}

export function reportRoutes(books: Books, publicUrl: () => string): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = books;

    const integrityOf = sharedIntegrityCheck(db);

    app.get(
      '/api/v2/integrity',
      {
        config: { permission: 'integrity:read' },
        schema: {
          summary: 'Prove that the books are whole: everything recomputed, and what is wrong named',
          description:
            'Recomputes every balance from entries, the zero sums, holds, positions and the hash chain. Takes seconds for each million entries; who asks while a check of the same books runs gets its report.',
          tags: ['integrity'],
          querystring: Type.Object(
            {
              deep: Type.Optional(
                Type.Boolean({
                  default: true,
                  description:
                    'Recompute the hash chain from its beginning, not only its last 10,000 positions',
                }),
              ),
            },
            { additionalProperties: false },
          ),
          response: { 200: IntegrityReport, ...refusals },
        },
      },
      async ({ caller, query }, reply) => {
        const report = await integrityOf(caller, query.deep ?? true);
        reply.header('ledger-position', report.position);
        return report;
      },
    );

    app.get(
      '/api/v2/accounts/:account_id/balance',
      {
        config: { permission: 'accounts:read', heeds_labels: true },
        schema: {
          summary: 'Balances of an account, now or at a past moment',
          tags: ['accounts'],
          params: AccountParams,
          querystring: BalanceQuery,
          response: { 200: Balance, ...refusals },
        },
      },
      async ({ caller, params, query }, reply) =>
        db.read(caller, async (tx) => {
          const { head, balance } = await readBalance(tx, caller, uuidOf('acc', params.account_id), query);
          reply.header('ledger-position', head);
          return balance;
        }),
    );

    app.get(
      '/api/v2/accounts/:account_id/entries',
      {
        config: { permission: 'accounts:read', heeds_labels: true, sensitive: true },
        schema: {
          summary: 'Entries of an account with its running balance, newest first',
          tags: ['accounts'],
          params: AccountParams,
          querystring: ListEntriesQuery,
          response: { 200: Page(AccountEntry), ...refusals },
        },
      },
      async ({ caller, params, query }, reply) =>
        db.read(caller, async (tx) => {
          const { min_position, ...list } = query;
          reply.header('ledger-position', await headPosition(tx, caller, min_position));
          return listEntries(tx, caller, uuidOf('acc', params.account_id), list);
        }),
    );

    app.get(
      '/api/v2/accounts/:account_id/statement',
      {
        config: { permission: 'accounts:read', heeds_labels: true, sensitive: true },
        schema: {
          summary: 'Statement of an account for a period, as JSON in pages, as CSV or as PDF',
          description:
            'A PDF is in English or Portuguese, by `Accept-Language`, and the same to the byte as long as the statement is the same.',
          tags: ['accounts'],
          params: AccountParams,
          querystring: StatementQuery,
          response: {
            200: {
              description: 'The statement',
              content: {
                'application/json': { schema: Statement },
                // A text to the client; handed to Fastify as a stream.
                'text/csv': { schema: Type.Unsafe<Readable>({ type: 'string' }) },
                'application/pdf': { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) },
              },
            },
            ...refusals,
          },
        },
      },
      async (request, reply) => {
        const { caller, params, query } = request;
        const uuid = uuidOf('acc', params.account_id);
        const format = formatOf(request, query.format);
        if (format === 'pdf') {
          const language = request.accepts().language(['en', 'pt']) === 'pt' ? 'pt' : 'en';
          const { head, filename, pdf } = await pdfStatement(db, caller, uuid, query, language);
          return reply
            .header('ledger-position', head)
            .header('content-disposition', `attachment; filename="${filename}"`)
            .header('content-language', language)
            .type('application/pdf')
            .send(pdf);
        }
        if (format === 'csv') {
          const { head, filename, pieces } = await csvStatement(db, caller, uuid, query);
          return reply
            .header('ledger-position', head)
            .header('content-disposition', `attachment; filename="${filename}"`)
            .type('text/csv; charset=utf-8; header=present')
            .send(Readable.from(pieces));
        }
        return db.read(caller, async (tx) => {
          const { head, statement } = await readStatement(tx, caller, uuid, query);
          reply.header('ledger-position', head);
          return statement;
        });
      },
    );

    app.get(
      '/api/v2/trial-balance',
      {
        config: { permission: 'trial_balance:read' },
        schema: {
          summary: 'The trial balance, now or at a past moment',
          tags: ['reports'],
          querystring: TrialBalanceQuery,
          response: { 200: TrialBalance, ...refusals },
        },
      },
      async ({ caller, query }, reply) =>
        db.read(caller, async (tx) => {
          const { head, trialBalance } = await readTrialBalance(tx, caller, query);
          reply.header('ledger-position', head);
          return trialBalance;
        }),
    );

    app.get(
      '/api/v2/volumes',
      {
        config: { permission: 'transfers:read' },
        schema: {
          summary: 'How much was posted in a time, by hour or day and currency',
          description:
            'Reads every entry of the time. Reversals and captures count as what they are: postings that moved money.',
          tags: ['reports'],
          querystring: VolumesQuery,
          response: { 200: Volumes, ...refusals },
        },
      },
      async ({ caller, query }, reply) =>
        db.read(caller, async (tx) => {
          const volumes = await readVolumes(tx, caller, query);
          reply.header('ledger-position', volumes.position);
          return volumes;
        }),
    );

    app.get(
      '/api/v2/attempts/:key',
      {
        config: { permission: 'attempts:read', sensitive: true, heeds_labels: true },
        schema: {
          summary: 'What became of a request, by its Idempotency-Key',
          tags: ['attempts'],
          params: Type.Object({
            key: Text({ min: 1, max: 255, description: 'The Idempotency-Key, URL-encoded' }),
          }),
          querystring: Type.Object(minPositionQuery, { additionalProperties: false }),
          response: { 200: KeptAttempt, ...refusals },
        },
      },
      async ({ caller, params, query }, reply) =>
        db.read(caller, async (tx) => {
          reply.header('ledger-position', await headPosition(tx, caller, query.min_position));
          return getAttempt(tx, caller, params.key, publicUrl());
        }),
    );
  };
}
