/** Every endpoint of the ledger: method, path, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { approvalsOf, reservedFor } from './approval.ts';
import { noteWritten, posterOf } from './attribution.ts';
import type { Books } from './books.ts';
import { addToChart, ChartRequest, listChart } from './chart.ts';
import { Account, ChartEntry, Transfer } from './contract.ts';
import { EditAccountRequest, editAccount, setStatus } from './edit-account.ts';
import { OpenAccountRequest, openAccount } from './open-account.ts';
import { headPosition, minPositionQuery } from './position.ts';
import { BatchRequest, BatchResult, postBatch } from './post-batch.ts';
import { postTransfer, TransferRequest } from './post-transfer.ts';
import { getAccount, ListAccountsQuery, listAccounts } from './read-accounts.ts';
import { getTransfer, ListTransfersQuery, listTransfers } from './read-transfers.ts';
import { ReversalRequest, reverseTransfer } from './reverse-transfer.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

export const DryRunQuery = Type.Object(
  {
    dry_run: Type.Optional(
      Type.Boolean({ default: false, description: 'Tell what would happen; keep nothing, not even the key' }),
    ),
  },
  { additionalProperties: false },
);

/** Query of a single resource: how far the ledger must have come. */
const ReadQuery = Type.Object(minPositionQuery, { additionalProperties: false });

const AccountParams = Type.Object({ account_id: Id('acc') });
const TransferParams = Type.Object({ transfer_id: Id('trf') });

export function routes(books: Books, publicUrl: () => string): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = books;
    const approvals = approvalsOf(books);

    app.get(
      '/api/v2/chart-of-accounts',
      {
        // Headings belong to no account: every grant reads all of them.
        config: { permission: 'chart_of_accounts:read', heeds_labels: true },
        schema: {
          summary: 'The chart of accounts',
          tags: ['chart of accounts'],
          response: { 200: Type.Object({ data: Type.Array(ChartEntry) }), ...refusals },
        },
      },
      async ({ caller }) => ({ data: await db.read(caller, (tx) => listChart(tx, caller)) }),
    );

    app.post(
      '/api/v2/chart-of-accounts',
      {
        config: { permission: 'chart_of_accounts:edit' },
        schema: {
          summary: 'Add a code to the chart of accounts',
          tags: ['chart of accounts'],
          headers: IdempotencyHeaders,
          body: ChartRequest,
          response: { 201: ChartEntry, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/chart-of-accounts');
        const { entry, replayed } = await addToChart(books, request.caller, request.body, attempt);
        request.audit({ subject: entry.code, ...(replayed ? {} : { after: entry }) });
        answerCreated(reply, '/api/v2/chart-of-accounts', replayed);
        return entry;
      },
    );

    app.get(
      '/api/v2/accounts',
      {
        config: { permission: 'accounts:read', heeds_labels: true },
        schema: {
          summary: 'List accounts, newest first',
          tags: ['accounts'],
          querystring: Type.Object(
            { ...ListAccountsQuery.properties, ...minPositionQuery },
            { additionalProperties: false },
          ),
          response: { 200: Page(Account), ...refusals },
        },
      },
      async ({ caller, query }, reply) =>
        db.read(caller, async (tx) => {
          const { min_position, ...page } = query;
          reply.header('ledger-position', await headPosition(tx, caller, min_position));
          return listAccounts(tx, caller, page);
        }),
    );

    app.post(
      '/api/v2/accounts',
      {
        config: { permission: 'accounts:open', heeds_labels: true },
        schema: {
          summary: 'Open an account',
          tags: ['accounts'],
          headers: IdempotencyHeaders,
          body: OpenAccountRequest,
          response: { 201: Account, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/accounts');
        const { account, version, replayed } = await openAccount(
          books,
          request.caller,
          request.body,
          attempt,
        );
        if (!replayed) request.audit({ after: account });
        answerCreated(reply, `/api/v2/accounts/${account.id}`, replayed);
        reply.header('etag', etagOf(version));
        return account;
      },
    );

    app.get(
      '/api/v2/accounts/:account_id',
      {
        config: { permission: 'accounts:read', heeds_labels: true },
        schema: {
          summary: 'An account with its balances now',
          tags: ['accounts'],
          params: AccountParams,
          querystring: ReadQuery,
          response: { 200: Account, ...refusals },
        },
      },
      async ({ caller, params, query }, reply) =>
        db.read(caller, async (tx) => {
          reply.header('ledger-position', await headPosition(tx, caller, query.min_position));
          const { account, version } = await getAccount(tx, caller, uuidOf('acc', params.account_id));
          reply.header('etag', etagOf(version));
          return account;
        }),
    );

    app.patch(
      '/api/v2/accounts/:account_id',
      {
        config: { permission: 'accounts:edit', heeds_labels: true },
        schema: {
          summary: 'Edit name, labels and balance rules',
          tags: ['accounts'],
          params: AccountParams,
          headers: IfMatchHeaders,
          body: EditAccountRequest,
          response: { 200: Account, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('acc', params.account_id);
        const { account, version, before } = await editAccount(
          books,
          caller,
          uuid,
          body,
          headers['if-match'],
        );
        request.audit({ before, after: account });
        reply.header('etag', etagOf(version));
        return account;
      },
    );

    for (const [verb, status, permission, summary] of [
      ['freeze', 'frozen', 'accounts:freeze', 'Freeze an account: nothing moves on it'],
      ['unfreeze', 'open', 'accounts:freeze', 'Let money move on a frozen account again'],
      ['close', 'closed', 'accounts:close', 'Close an empty account for good'],
    ] as const) {
      app.post(
        `/api/v2/accounts/:account_id/${verb}`,
        {
          config: { permission, heeds_labels: true },
          schema: {
            summary,
            tags: ['accounts'],
            params: AccountParams,
            response: { 200: Account, ...refusals },
          },
        },
        async (request, reply) => {
          const { caller, params } = request;
          const { account, version, before } = await setStatus(
            books,
            caller,
            uuidOf('acc', params.account_id),
            status,
          );
          request.audit({ before, after: account });
          reply.header('etag', etagOf(version));
          return account;
        },
      );
    }

    app.get(
      '/api/v2/transfers',
      {
        config: { permission: 'transfers:read', heeds_labels: true },
        schema: {
          summary: 'List transfers, newest first',
          tags: ['transfers'],
          querystring: Type.Object(
            { ...ListTransfersQuery.properties, ...minPositionQuery },
            { additionalProperties: false },
          ),
          response: { 200: Page(Transfer), ...refusals },
        },
      },
      async ({ caller, query }, reply) =>
        db.read(caller, async (tx) => {
          const { min_position, ...page } = query;
          reply.header('ledger-position', await headPosition(tx, caller, min_position));
          return listTransfers(tx, caller, page);
        }),
    );

    app.post(
      '/api/v2/transfers',
      {
        config: {
          permission: 'transfers:post',
          approval: approvals.transfer,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          summary: 'Post a transfer: two accounts and an amount, or balanced legs',
          tags: ['transfers'],
          headers: IdempotencyHeaders,
          querystring: DryRunQuery,
          body: TransferRequest,
          response: { 201: Transfer, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/transfers');
        const options = {
          dry_run: request.query.dry_run ?? false,
          reserved: reservedFor(request.approved),
        };
        const { transfer, replayed } = await postTransfer(
          books,
          posterOf(request, 201),
          request.body,
          attempt,
          options,
        );
        noteWritten(request, replayed, options.dry_run);
        answerCreated(reply, `/api/v2/transfers/${transfer.id}`, replayed);
        reply.header('ledger-position', transfer.position);
        return transfer;
      },
    );

    app.post(
      '/api/v2/transfers/batch',
      {
        config: {
          permission: 'transfers:post',
          approval: approvals.batch,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          summary: 'Post up to 1,000 transfers in one commit, all or each for itself',
          tags: ['transfers'],
          headers: IdempotencyHeaders,
          querystring: DryRunQuery,
          body: BatchRequest,
          response: { 200: BatchResult, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/transfers/batch');
        const options = {
          dry_run: request.query.dry_run ?? false,
          reserved: reservedFor(request.approved),
          publicUrl: publicUrl(),
        };
        const { result, replayed } = await postBatch(
          books,
          posterOf(request, 200),
          request.body,
          attempt,
          options,
        );
        if (result.posted > 0) noteWritten(request, replayed, options.dry_run);
        if (replayed) reply.header('idempotent-replayed', 'true');
        const position = Math.max(...result.outcomes.map(({ transfer }) => transfer?.position ?? 0));
        if (position > 0) reply.header('ledger-position', position);
        return result;
      },
    );

    app.get(
      '/api/v2/transfers/:transfer_id',
      {
        config: { permission: 'transfers:read', heeds_labels: true },
        schema: {
          summary: 'A transfer with its entries',
          tags: ['transfers'],
          params: TransferParams,
          querystring: ReadQuery,
          response: { 200: Transfer, ...refusals },
        },
      },
      async ({ caller, params, query }, reply) =>
        db.read(caller, async (tx) => {
          reply.header('ledger-position', await headPosition(tx, caller, query.min_position));
          return getTransfer(tx, caller, uuidOf('trf', params.transfer_id));
        }),
    );

    app.post(
      '/api/v2/transfers/:transfer_id/reversals',
      {
        config: {
          permission: 'transfers:reverse',
          approval: approvals.reversal,
          heeds_labels: true,
          records_in_commit: true,
        },
        schema: {
          summary: 'Reverse a transfer, in part or whole',
          tags: ['transfers'],
          params: TransferParams,
          headers: IdempotencyHeaders,
          querystring: DryRunQuery,
          body: ReversalRequest,
          response: { 201: Transfer, ...refusals },
        },
      },
      async (request, reply) => {
        const { transfer_id } = request.params;
        const attempt = attemptOf(request, `/api/v2/transfers/${transfer_id}/reversals`);
        const options = {
          dry_run: request.query.dry_run ?? false,
          reserved: reservedFor(request.approved),
        };
        const uuid = uuidOf('trf', transfer_id);
        const { transfer, replayed } = await reverseTransfer(
          books,
          posterOf(request, 201),
          uuid,
          request.body,
          attempt,
          options,
        );
        noteWritten(request, replayed, options.dry_run);
        answerCreated(reply, `/api/v2/transfers/${transfer.id}`, replayed);
        reply.header('ledger-position', transfer.position);
        return transfer;
      },
    );
  };
}
