/** What became of a request, by its idempotency key. */
import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import type { Transaction } from '../../platform/db.ts';
import { ProblemBody, problemBody } from '../../platform/http.ts';
import { formatId, parseId } from '../../platform/ids.ts';
import { type Asker, isToldTo } from './asker.ts';
import { Position, Timestamp } from './contract.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';
import type { Command, Outcome } from './posting.ts';
import { refusalOf } from './refusal.ts';

const outcome = {
  outcome: Type.Union([Type.Literal('done'), Type.Literal('refused')]),
  position: Type.Optional(
    Type.Integer({ ...Position, description: 'Position of the transfer or hold step that was posted' }),
  ),
  result: Type.Optional(
    Type.Object(
      {
        id: Type.Optional(
          Type.String({ description: 'What was created or moved; a code of the chart has none' }),
        ),
        href: Type.String(),
      },
      { description: 'Where it is' },
    ),
  ),
  problem: Type.Optional(
    Type.Object(
      { ...ProblemBody.properties, request_id: Type.Optional(Type.String()) },
      { additionalProperties: true, description: 'Problem details of what was refused' },
    ),
  ),
  request: Personal(Type.Unknown({ description: 'The body that was sent' })),
};

export const KeptAttempt = Type.Object({
  key: Type.String(),
  operation: Type.String({ examples: ['POST /api/v2/transfers'] }),
  created_at: Timestamp,
  outcome: Type.Optional(outcome.outcome),
  position: outcome.position,
  result: outcome.result,
  problem: outcome.problem,
  request: Type.Optional(outcome.request),
  items: Type.Optional(
    Type.Array(
      Type.Object({
        item: Type.Integer({ description: 'Place in the batch, from 1 on' }),
        ...outcome,
      }),
      {
        description: 'Of a batch, instead of one outcome',
      },
    ),
  ),
});
export type KeptAttempt = Static<typeof KeptAttempt>;

const Row = Type.Object({
  item: Type.Integer(),
  created_at: Type.String(),
  operation: Type.String(),
  position: Type.Union([Type.BigInt(), Type.Null()]),
  result_id: Type.Union([Type.String(), Type.Null()]),
  refusal: Type.Union([
    Type.Object({
      code: Type.String(),
      detail: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
    }),
    Type.Null(),
  ]),
  is_account: Type.Boolean(),
  is_transfer: Type.Boolean(),
  hold_id: Type.Union([Type.String(), Type.Null()]),
});
type Row = Static<typeof Row>;

const RequestRow = Type.Object({ request: Type.String() });

/** What each item of a batch asked for. */
function transfersOf(request: unknown): unknown[] {
  return typeof request === 'object' &&
    request !== null &&
    'transfers' in request &&
    Array.isArray(request.transfers)
    ? request.transfers
    : [];
}

function resultOf(row: Row): { id?: string; href: string } {
  const at = (collection: string, id: string) => ({ id, href: `/api/v2/${collection}/${id}` });
  if (row.is_transfer) return at('transfers', formatId('trf', row.result_id ?? ''));
  if (row.hold_id !== null) return at('holds', formatId('hld', row.hold_id));
  if (row.is_account) return at('accounts', formatId('acc', row.result_id ?? ''));
  return { href: row.operation.replace(/^\S+ /, '') };
}

/** What an operation acts on, by the id in its path. */
function refOf(operation: string): string | undefined {
  const [id] = /(?<=\/)(trf|hld)_[0-9a-z]{26}(?=\/)/.exec(operation) ?? [];
  return id === undefined ? undefined : parseId(id.startsWith('trf') ? 'trf' : 'hld', id);
}

function expiryOf(request: unknown): string | undefined {
  return typeof request === 'object' &&
    request !== null &&
    'expires_at' in request &&
    typeof request.expires_at === 'string'
    ? instantOf(request.expires_at, '/expires_at')
    : undefined;
}

function problemOf(key: string, row: Row, request: unknown, publicUrl: string) {
  const { item, operation, refusal } = row;
  if (refusal === null) throw new Error(`attempt ${key} has neither a result nor a refusal`);
  const ref = refOf(operation);
  // Of the command only what its refusal speaks of.
  const command: Command = {
    id: '',
    kind: 'transfer',
    key,
    item,
    operation,
    request: '',
    event: '{}',
    legs: [],
    expires_at: expiryOf(request),
    ...(ref === undefined ? {} : { ref }),
  };
  const kept: Outcome = {
    code: refusal.code,
    detail: refusal.detail,
    replayed: true,
    position: null,
    created_at: row.created_at,
    result_id: null,
    first_request: null,
    balances: [],
  };
  return problemBody(refusalOf(command, kept), publicUrl);
}

function outcomeOf(key: string, row: Row, request: unknown, publicUrl: string) {
  if (row.result_id === null) {
    return { outcome: 'refused' as const, problem: problemOf(key, row, request, publicUrl), request };
  }
  return {
    outcome: 'done' as const,
    ...(row.position === null ? {} : { position: Number(row.position) }),
    result: resultOf(row),
    request,
  };
}

/**
 * What became of the request with this key, refusals included. Throws `attempt_not_found`, also where whoever reaches
 * accounts with certain labels only did not ask it.
 */
export async function getAttempt(
  tx: Transaction,
  scope: Asker,
  key: string,
  publicUrl: string,
): Promise<KeptAttempt> {
  const rows = await tx.rows(
    Row,
    `select a.item, a.created_at, a.operation, a.position, a.result_id, a.refusal,
       a.position is null and exists (
         select from ledger.accounts x
         where x.tenant_id = $1 and x.environment = $2 and x.id = a.result_id) as is_account,
       exists (
         select from ledger.transfers t
         where t.tenant_id = $1 and t.environment = $2 and t.position = a.position) as is_transfer,
       (select s.hold_id from ledger.hold_steps s
        where s.tenant_id = $1 and s.environment = $2 and s.position = a.position) as hold_id
     from ledger.attempt_outcomes a where a.tenant_id = $1 and a.environment = $2 and a.key = $3 order by a.item`,
    [scope.tenant_id, scope.environment, key],
  );
  const [first] = rows;
  const [sent] = await tx.rows(
    RequestRow,
    'select request from ledger.attempts where tenant_id = $1 and environment = $2 and key = $3',
    [scope.tenant_id, scope.environment, key],
  );
  const kept = sent?.request ?? 'null';
  if (
    first === undefined ||
    !(await isToldTo(tx, scope, { key, operation: first.operation, request: kept }))
  ) {
    throw refuse('attempt_not_found', `Nothing is kept under the key ${key}.`);
  }
  const request: unknown = JSON.parse(kept);
  const { operation, created_at } = first;
  if (first.item === 0) return { key, operation, created_at, ...outcomeOf(key, first, request, publicUrl) };
  const transfers = transfersOf(request);
  const items = rows.map((row) => ({
    item: row.item,
    ...outcomeOf(key, row, transfers[row.item - 1], publicUrl),
  }));
  return { key, operation, created_at, items };
}
