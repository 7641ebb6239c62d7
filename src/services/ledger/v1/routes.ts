/**
 * The prototype's API, over the same ledger as /api/v2: its paths, bodies and status codes as they were. What v1 calls
 * an account is a liability in the tenant's base currency, whichever API opened it; the bank's own accounts and closed
 * ones do not exist for it. Every path is answered with and without a slash at the end.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { sees } from '../../../platform/access/redaction.ts';
import { ProblemBody } from '../../../platform/http.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { Problem } from '../../../platform/problem.ts';
import { noteWritten, posterOf } from '../attribution.ts';
import type { Books } from '../books.ts';
import { refuse } from '../errors.ts';
import { getAccount, listAccounts, numberOf, V1Account, V1AccountRequest, v1AccountOf } from './account.ts';
import { approvalsOfV1 } from './approval.ts';
import { createAccount } from './create-account.ts';
import { deleteAccount } from './delete-account.ts';
import { parseBody } from './json.ts';
import { replaceAccount } from './replace-account.ts';
import { transfer, V1Transfer } from './transfer.ts';

/** The day that /api/v2 came, as RFC 9745 writes it. */
const DEPRECATED_AT = `@${Date.UTC(2026, 10, 24) / 1_000}`;

const Headers = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      ...IdempotencyHeaders.properties['idempotency-key'],
      description: 'Makes it safe to repeat the request: the same key for each retry. Optional.',
    }),
  ),
});
const AccountParams = Type.Object({ number: Type.String({ description: 'Number of the account' }) });
const TransferParams = Type.Object({
  from: Type.String({ description: 'Number of the account that the money leaves' }),
  to: Type.String({ description: 'Number of the account that it arrives at' }),
  amount: Type.String({ description: 'Hundredths of a major unit: 1050 is 10.50' }),
});

const documented = { tags: ['v1'], deprecated: true };
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

/** Unlike v2, v1 takes a request without an idempotency key: it then stands for itself. */
function attemptOf(request: FastifyRequest, path: string): Attempt {
  const key = request.headers['idempotency-key'];
  return {
    key: typeof key === 'string' ? key : `v1:${newUuid()}`,
    operation: `${request.method} /api/v1${path}`,
  };
}

/** Where v2 has what an answer is about. */
function linkTo(reply: FastifyReply, successor: string): void {
  reply.header('link', [
    `<${successor}>; rel="successor-version"`,
    '</docs>; rel="deprecation"; type="text/html"',
  ]);
}

function answered(reply: FastifyReply, replayed: boolean): void {
  if (replayed) reply.header('idempotent-replayed', 'true');
}

/** Refusals of the ledger that v2 answers with 422 are 400 here. */
function inV1Words(error: unknown): unknown {
  if (!(error instanceof Problem) || error.type.status !== 422 || !Object.hasOwn(refuse.types, error.code)) {
    return error;
  }
  const problem = refuse('v1_refused', error.message, { ...error.extra, reason: error.code });
  problem.replayed = error.replayed;
  return problem;
}

export function v1Routes(books: Books): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { adjusting, transferring } = approvalsOfV1(books);
    app.addContentTypeParser<string>(
      'application/json',
      { parseAs: 'string' },
      async ({ caller }: FastifyRequest, text: string) =>
        parseBody(text, { mayQuote: sees(caller, 'personal') }),
    );
    // The compiled serializers would write a balance by way of a JS number.
    app.setSerializerCompiler(() => JSON.stringify);
    app.setErrorHandler((error) => {
      throw inV1Words(error);
    });
    app.addHook('onSend', async (request, reply) => {
      reply.header('deprecation', DEPRECATED_AT);
      if (reply.hasHeader('link')) return;
      const isTransfer = request.routeOptions.url?.startsWith('/api/v1/transfer/') === true;
      linkTo(reply, isTransfer ? '/api/v2/transfers' : '/api/v2/accounts');
    });

    for (const slash of ['/', '']) {
      // The reference shows the prototype's form of each path.
      const collection = { ...documented, hide: slash === '' };
      const item = { ...documented, hide: slash === '/' };

      app.get(
        `/api/v1/accounts${slash}`,
        {
          config: { permission: 'accounts:read', heeds_labels: true },
          schema: {
            ...collection,
            summary: 'All accounts',
            response: { 200: Type.Array(V1Account), ...refusals },
          },
        },
        async ({ caller }) => books.db.read(caller, (tx) => listAccounts(tx, caller)),
      );

      app.post(
        `/api/v1/accounts${slash}`,
        {
          config: { permission: 'accounts:adjust', approval: adjusting, heeds_labels: true },
          schema: {
            ...collection,
            summary: 'Open an account with a balance',
            headers: Headers,
            body: V1AccountRequest,
            response: { 201: V1Account, ...refusals },
          },
        },
        async (request, reply) => {
          const attempt = attemptOf(request, '/accounts');
          const { account, account_id, replayed } = await createAccount(
            books,
            request.caller,
            request.body,
            attempt,
          );
          request.audit({ subject: account_id, ...(replayed ? {} : { after: account }) });
          answered(reply, replayed);
          linkTo(reply, `/api/v2/accounts/${account_id}`);
          reply.code(201).header('location', `/api/v1/accounts/${account.id}`);
          return account;
        },
      );

      app.get(
        `/api/v1/accounts/:number${slash}`,
        {
          config: { permission: 'accounts:read', heeds_labels: true },
          schema: {
            ...item,
            summary: 'An account',
            params: AccountParams,
            response: { 200: V1Account, ...refusals },
          },
        },
        async ({ caller, params }, reply) => {
          const number = numberOf(params.number);
          const row = await books.db.read(caller, (tx) => getAccount(tx, caller, number));
          linkTo(reply, `/api/v2/accounts/${formatId('acc', row.uuid)}`);
          return v1AccountOf(row, caller.base_currency);
        },
      );

      app.put(
        `/api/v1/accounts/:number${slash}`,
        {
          config: { permission: 'accounts:adjust', approval: adjusting, heeds_labels: true },
          schema: {
            ...item,
            summary: 'Set name and balance; the balance by an adjusting posting',
            params: AccountParams,
            headers: Headers,
            body: V1AccountRequest,
            response: { 204: Type.Null(), ...refusals },
          },
        },
        async (request, reply) => {
          const number = numberOf(request.params.number);
          const attempt = attemptOf(request, `/accounts/${number}`);
          const { account_id, replayed, change } = await replaceAccount(
            books,
            request.caller,
            number,
            request.body,
            attempt,
            request.measured,
          );
          request.audit({ subject: account_id, ...change });
          answered(reply, replayed);
          linkTo(reply, `/api/v2/accounts/${account_id}`);
          return reply.code(204).send(null);
        },
      );

      app.delete(
        `/api/v1/accounts/:number${slash}`,
        {
          config: { permission: 'accounts:adjust', approval: adjusting, heeds_labels: true },
          schema: {
            ...item,
            summary: 'Sweep the balance away and close the account',
            params: AccountParams,
            headers: Headers,
            response: { 204: Type.Null(), ...refusals },
          },
        },
        async (request, reply) => {
          const number = numberOf(request.params.number);
          const attempt = attemptOf(request, `/accounts/${number}`);
          const { account_id, replayed, change } = await deleteAccount(
            books,
            request.caller,
            number,
            attempt,
            request.measured,
          );
          request.audit({ subject: account_id, ...change });
          answered(reply, replayed);
          linkTo(reply, `/api/v2/accounts/${account_id}`);
          return reply.code(204).send(null);
        },
      );

      for (const method of ['GET', 'POST'] as const) {
        app.route({
          method,
          url: `/api/v1/transfer/:from/:to/:amount${slash}`,
          // A HEAD made of this GET would move money, too.
          exposeHeadRoute: false,
          config: {
            permission: 'transfers:post',
            changes_state: true,
            approval: transferring,
            records_in_commit: true,
            heeds_labels: true,
          },
          schema: {
            ...item,
            summary:
              method === 'GET'
                ? 'Move money; yes, by a GET, as the prototype did: prefer POST'
                : 'Move money',
            params: TransferParams,
            headers: Headers,
            response: { 201: V1Transfer, ...refusals },
          },
          handler: async (request, reply) => {
            const attempt = attemptOf(request, '/transfer');
            const done = await transfer(books, posterOf(request, 201), request.params, attempt);
            noteWritten(request, done.replayed, false);
            answered(reply, done.replayed);
            linkTo(reply, `/api/v2/transfers/${done.transfer.transfer_id}`);
            reply.code(201).header('ledger-position', String(done.position));
            return done.transfer;
          },
        });
      }
    }
  };
}
