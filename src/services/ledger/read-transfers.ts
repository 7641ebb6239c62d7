import { type Static, Type } from 'typebox';
import { Check } from 'typebox/value';
import { currenciesWith } from '../../platform/currencies.ts';
import { type CursorContent, pageOf, pageQuery, readPage } from '../../platform/cursor.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { formatId, Id, parseId } from '../../platform/ids.ts';
import { formatMoney } from '../../platform/money.ts';
import { Exchange, IsoDate, Position, Side, Timestamp, type Transfer } from './contract.ts';
import { dayOf } from './day.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';
import { positionAt, positionBefore } from './position.ts';

const TransferRow = Type.Object({
  position: Type.BigInt(),
  id: Type.String(),
  kind: Type.Union([Type.Literal('transfer'), Type.Literal('reversal'), Type.Literal('capture')]),
  created_at: Type.String(),
  effective_date: Type.String(),
  description: Type.Union([Type.String(), Type.Null()]),
  metadata: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  reverses_id: Type.Union([Type.String(), Type.Null()]),
  hold_id: Type.Union([Type.String(), Type.Null()]),
  link_id: Type.Union([Type.String(), Type.Null()]),
  exchange: Type.Union([Exchange, Type.Null()]),
  reversed_by: Type.Array(Type.String()),
  entries: Type.Array(
    Type.Object({
      leg: Type.Integer(),
      account_id: Type.String(),
      side: Side,
      // Texts: JSON numbers would lose digits beyond 2^53.
      amount: Type.String(),
      currency: Type.String(),
      balance: Type.String(),
      reverses_leg: Type.Union([Type.Integer(), Type.Null()]),
    }),
  ),
});

/** Columns of `TransferRow` for a transfer `t`; `$1` and `$2` are tenant and environment. */
const columns = `
  t.position, t.id, t.kind, t.created_at, t.effective_date, t.description, t.metadata, t.reverses_id, t.hold_id,
  t.link_id, t.exchange,
  array(select r.id::text from ledger.transfers r
        where r.tenant_id = $1 and r.environment = $2 and r.reverses_id = t.id order by r.position) as reversed_by,
  (select json_agg(json_build_object('leg', e.leg, 'account_id', e.account_id, 'side', e.side, 'amount', e.amount::text,
                                     'currency', e.currency, 'balance', e.balance::text, 'reverses_leg', e.reverses_leg)
                   order by e.leg)
   from ledger.entries e where e.tenant_id = $1 and e.environment = $2 and e.position = t.position) as entries`;

function transferOf(row: Static<typeof TransferRow>): Transfer {
  return {
    id: formatId('trf', row.id),
    position: Number(row.position),
    kind: row.kind,
    created_at: row.created_at,
    effective_date: row.effective_date,
    ...(row.description === null ? {} : { description: row.description }),
    metadata: row.metadata ?? {},
    entries: row.entries.map((entry) => ({
      leg: entry.leg,
      account_id: formatId('acc', entry.account_id),
      side: entry.side,
      amount: formatMoney(BigInt(entry.amount), entry.currency),
      balance: formatMoney(BigInt(entry.balance), entry.currency),
      ...(entry.reverses_leg === null ? {} : { reverses_leg: entry.reverses_leg }),
    })),
    ...(row.exchange === null ? {} : { exchange: row.exchange }),
    ...(row.reverses_id === null ? {} : { reverses_id: formatId('trf', row.reverses_id) }),
    reversed_by: row.reversed_by.map((id) => formatId('trf', id)),
    ...(row.hold_id === null ? {} : { hold_id: formatId('hld', row.hold_id) }),
    ...(row.link_id === null ? {} : { link_id: row.link_id }),
  };
}

/** A transfer as it is now. Throws `transfer_not_found`. */
export async function getTransfer(tx: Transaction, scope: Scope, uuid: string): Promise<Transfer> {
  const [row] = await tx.rows(
    TransferRow,
    `select ${columns} from ledger.transfers t where t.tenant_id = $1 and t.environment = $2 and t.id = $3`,
    [scope.tenant_id, scope.environment, uuid],
  );
  if (row === undefined) throw refuse('transfer_not_found', `There is no transfer ${formatId('trf', uuid)}.`);
  return transferOf(row);
}

/** A transfer as it was answered when it was posted: before anything reversed it. */
export async function getTransferAsPosted(tx: Transaction, scope: Scope, uuid: string): Promise<Transfer> {
  return { ...(await getTransfer(tx, scope, uuid)), reversed_by: [] };
}

const Filters = Type.Object(
  {
    account_id: Type.Optional(Id('acc', 'Transfers with an entry of this account')),
    kind: Type.Optional(
      Type.Union([Type.Literal('transfer'), Type.Literal('reversal'), Type.Literal('capture')]),
    ),
    link_id: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
        description: 'Transfers posted together, all or none',
        examples: ['01998e2c-9d5c-7a7e-8f70-2f6f3c1d0a4b'],
      }),
    ),
    hold_id: Type.Optional(Id('hld', 'Captures of this hold')),
    created_from: Type.Optional(Timestamp),
    created_to: Type.Optional(Timestamp),
    effective_from: Type.Optional(IsoDate),
    effective_to: Type.Optional(IsoDate),
    amount: Type.Optional(
      Type.String({
        pattern: '^(0|[1-9][0-9]{0,17})(\\.[0-9]{1,4})?$',
        description:
          'Transfers with an entry of exactly this amount, in any currency. Amounts have no index, which would cost every posting: `created_from` must be given, and be no more than 31 days before `created_to` or now',
        examples: ['1234.56'],
      }),
    ),
  },
  { additionalProperties: false },
);
const Content = Type.Object({ filters: Filters, after: Position }, { additionalProperties: false });
const isContent = (content: unknown): content is CursorContent<Static<typeof Filters>, number> =>
  Check(Content, content);

export const ListTransfersQuery = Type.Object(
  { ...Filters.properties, ...pageQuery },
  { additionalProperties: false },
);

const AMOUNT_DAYS = 31;
const DAY_MS = 86_400_000;

const NowRow = Type.Object({ now: Type.String() });

/** Positions of which the amounts are looked at. Throws `period_invalid` where they would be too many. */
async function positionsToLookAt(tx: Transaction, scope: Scope, filters: Static<typeof Filters>) {
  const { created_from, created_to } = filters;
  if (created_from === undefined) {
    throw refuse('period_invalid', 'An amount is looked for in a time: give created_from.');
  }
  const from = instantOf(created_from, '?created_from');
  const to = created_to === undefined ? await nowOf(tx, scope) : instantOf(created_to, '?created_to');
  if (Date.parse(to) - Date.parse(from) > AMOUNT_DAYS * DAY_MS) {
    throw refuse(
      'period_invalid',
      `An amount is looked for in ${AMOUNT_DAYS} days at most, not from ${from} to ${to}.`,
    );
  }
  return { first: (await positionBefore(tx, scope, from)) + 1, last: await positionAt(tx, scope, to) };
}

async function nowOf(tx: Transaction, scope: Scope): Promise<string> {
  const [row] = await tx.rows(NowRow, 'select platform.now_of($1, $2) as now', [
    scope.tenant_id,
    scope.environment,
  ]);
  if (row === undefined) throw new Error('a time without a row');
  return row.now;
}

/** An amount in minor units of currencies with so many digits; null where it has more than those. */
function minorWith(amount: string, exponent: number): string | null {
  const [whole = '', fraction = ''] = amount.split('.');
  const digits = fraction.replace(/0+$/, '');
  return digits.length > exponent ? null : BigInt(`${whole}${digits.padEnd(exponent, '0')}`).toString();
}

/** Transfers, newest first. */
export async function listTransfers(tx: Transaction, scope: Scope, query: Static<typeof ListTransfersQuery>) {
  const { limit, cursor, ...given } = query;
  const page = readPage(isContent, given, {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  const { filters } = page;
  const { amount } = filters;
  const looked = amount === undefined ? undefined : await positionsToLookAt(tx, scope, filters);
  const rows = await tx.rows(
    TransferRow,
    `select ${columns} from ledger.transfers t
       where t.tenant_id = $1 and t.environment = $2 and ($3::bigint is null or t.position < $3)
         and ($4::text is null or t.kind = $4)
         and ($5::uuid is null or t.link_id = $5)
         and ($6::uuid is null or t.hold_id = $6)
         and ($7::timestamptz is null or t.created_at >= $7)
         and ($8::timestamptz is null or t.created_at <= $8)
         and ($9::date is null or t.effective_date >= $9)
         and ($10::date is null or t.effective_date <= $10)
         and ($11::uuid is null or t.position in (
           select e.position from ledger.entries e
           where e.tenant_id = $1 and e.environment = $2 and e.account_id = $11
             and ($3::bigint is null or e.position < $3)
           order by e.position desc))
         and ($13::bigint is null or (t.position between $13 and $14 and exists (
           select from ledger.entries e
           where e.tenant_id = $1 and e.environment = $2 and e.position = t.position
             and e.amount = case when e.currency = any ($18::text[]) then $15::bigint
                                 when e.currency = any ($19::text[]) then $17::bigint else $16::bigint end)))
       order by t.position desc limit $12`,
    [
      scope.tenant_id,
      scope.environment,
      page.after ?? null,
      filters.kind ?? null,
      filters.link_id ?? null,
      filters.hold_id === undefined ? null : parseId('hld', filters.hold_id),
      filters.created_from === undefined ? null : instantOf(filters.created_from, '?created_from'),
      filters.created_to === undefined ? null : instantOf(filters.created_to, '?created_to'),
      filters.effective_from === undefined ? null : dayOf(filters.effective_from, '?effective_from'),
      filters.effective_to === undefined ? null : dayOf(filters.effective_to, '?effective_to'),
      filters.account_id === undefined ? null : parseId('acc', filters.account_id),
      page.limit + 1,
      looked?.first ?? null,
      looked?.last ?? null,
      ...[0, 2, 3].map((exponent) => (amount === undefined ? null : minorWith(amount, exponent))),
      currenciesWith(0),
      currenciesWith(3),
    ],
  );
  return pageOf(rows, page, transferOf, (row) => Number(row.position));
}
