/** How much was posted in a time, hour by hour or day by day: what a chart of the day is drawn from. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Currency, formatMoney } from '../../platform/money.ts';
import { Timestamp } from './contract.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';
import { headPosition, minPositionQuery, positionBefore } from './position.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Every entry of the time is read: a screen does not ask for more than it shows. */
const LONGEST = { hour: 31 * DAY_MS, day: 366 * DAY_MS };

export const VolumesQuery = Type.Object(
  {
    from: Type.String({ ...Timestamp, description: 'The first interval begins here' }),
    to: Type.String({ ...Timestamp, description: 'What was recorded before this time is counted' }),
    by: Type.Union([Type.Literal('hour'), Type.Literal('day')], {
      description:
        'Length of the intervals, each counted from `from` on: up to 31 days of hours, or 366 days',
    }),
    ...minPositionQuery,
  },
  { additionalProperties: false },
);

export const Volumes = Type.Object({
  position: Type.Integer({ description: 'The last position that was there to be counted' }),
  data: Type.Array(
    Type.Object({
      from: Timestamp,
      currency: Currency,
      transfers: Type.Integer({ description: 'Postings that moved money in this currency' }),
      amount: Type.Object(
        {
          amount: Type.String({
            pattern: '^(0|[1-9][0-9]{0,37})(\\.[0-9]{1,4})?$',
            description: "Decimal number with the currency's own number of digits after the point",
            examples: ['1234.56'],
          }),
          currency: Currency,
        },
        { description: 'All debits, which are all credits' },
      ),
    }),
    { description: 'Oldest first; an interval without postings is left out' },
  ),
});

const VolumeRow = Type.Object({
  from: Type.String(),
  currency: Type.String(),
  transfers: Type.BigInt(),
  // A text: the sum may be larger than any bigint.
  amount: Type.String(),
});

/** Throws `period_invalid` for one that ends before it begins, or is longer than is counted at once. */
export async function readVolumes(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof VolumesQuery>,
): Promise<Static<typeof Volumes>> {
  const { by, min_position } = query;
  const from = instantOf(query.from, '?from');
  const to = instantOf(query.to, '?to');
  const length_ms = Date.parse(to) - Date.parse(from);
  if (length_ms <= 0) throw refuse('period_invalid', `The time begins at ${from} and ends at ${to}.`);
  if (length_ms > LONGEST[by]) {
    throw refuse(
      'period_invalid',
      `From ${from} to ${to} are more than ${LONGEST[by] / DAY_MS} days, the most that are counted by ${by}.`,
    );
  }
  const position = await headPosition(tx, scope, min_position);
  const after = await positionBefore(tx, scope, from);
  const last = await positionBefore(tx, scope, to);
  const rows = await tx.rows(
    VolumeRow,
    `select date_bin($5::interval, t.created_at, $6::timestamptz) as from, e.currency,
       count(distinct e.position) as transfers, sum(e.amount)::text as amount
     from ledger.entries e
     join ledger.transfers t
       on t.tenant_id = e.tenant_id and t.environment = e.environment and t.position = e.position
     where e.tenant_id = $1 and e.environment = $2 and e.position > $3 and e.position <= $4 and e.side = 'debit'
     group by 1, 2
     order by 1, 2`,
    [scope.tenant_id, scope.environment, after, last, `1 ${by}`, from],
  );
  return {
    position,
    data: rows.map((row) => ({
      from: row.from,
      currency: row.currency,
      transfers: Number(row.transfers),
      amount: formatMoney(BigInt(row.amount), row.currency),
    })),
  };
}
