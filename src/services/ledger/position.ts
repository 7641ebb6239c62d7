/** Positions of the ledger: the last one, and which one a reader asked for. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import { IsoDate, Position, Timestamp } from './contract.ts';
import { dayOf } from './day.ts';
import { refuse } from './errors.ts';
import { instantOf } from './instant.ts';

const PositionRow = Type.Object({ position: Type.BigInt() });

/** Query parameter of reads that must not be older than what the caller has seen. */
export const minPositionQuery = {
  min_position: Type.Optional(
    Type.Integer({
      ...Position,
      description:
        'Read your own writes: the `Ledger-Position` of an earlier answer. A read that has not come so far is answered 503 `position_not_reached`',
    }),
  ),
};

/**
 * Position of the last transfer or hold step; 0 before the first. Throws `position_not_reached` if that is before
 * `min_position`.
 */
export async function headPosition(tx: Transaction, scope: Scope, min_position = 0): Promise<number> {
  const [head] = await tx.rows(
    PositionRow,
    'select position from ledger.heads where tenant_id = $1 and environment = $2',
    [scope.tenant_id, scope.environment],
  );
  const position = Number(head?.position ?? 0n);
  if (position < min_position) {
    throw refuse(
      'position_not_reached',
      `The ledger was read at position ${position}, not ${min_position}.`,
      {
        position,
        retry_after_s: 1,
      },
    );
  }
  return position;
}

/** Position of the last transfer or hold step that was recorded at or before a time; 0 if there was none. */
export async function positionAt(tx: Transaction, scope: Scope, time: string): Promise<number> {
  const [row] = await tx.rows(PositionRow, 'select ledger.position_at($1, $2, $3) as position', [
    scope.tenant_id,
    scope.environment,
    time,
  ]);
  return Number(row?.position ?? 0n);
}

/** As `positionAt`, of the last one that was recorded before a time. Times are kept to the microsecond. */
export async function positionBefore(tx: Transaction, scope: Scope, time: string): Promise<number> {
  const [row] = await tx.rows(
    PositionRow,
    "select ledger.position_at($1, $2, $3::timestamptz - interval '1 microsecond') as position",
    [scope.tenant_id, scope.environment, time],
  );
  return Number(row?.position ?? 0n);
}

/** Query parameters of reads in time, of which one at most may be given. */
export const momentQuery = {
  at_position: Type.Optional(
    Type.Integer({ ...Position, description: 'As it was when the ledger had come to this position' }),
  ),
  at: Type.Optional(
    Type.String({
      ...Timestamp,
      description: 'As it was recorded at this time; a time to come is as good as now',
    }),
  ),
  effective_on: Type.Optional(
    Type.String({
      ...IsoDate,
      description: 'With what was effective on or before this date, whenever it was recorded',
    }),
  ),
};

/** What was read, in the answer. */
export const AsOf = Type.Object({
  position: Type.Integer({
    ...Position,
    description: 'The last position that was counted: asking `at_position` with it gives the same again',
  }),
  at: Type.Optional(Timestamp),
  effective_on: Type.Optional(IsoDate),
});
export type AsOf = Static<typeof AsOf>;

/**
 * The moment a reader asked for, in a snapshot whose last position is `head`; that if none was asked for. Throws
 * `position_in_the_future`, or `malformed_request` for more than one.
 */
export async function asOf(
  tx: Transaction,
  scope: Scope,
  head: number,
  query: { at_position?: number; at?: string; effective_on?: string },
): Promise<AsOf> {
  const given = (['at_position', 'at', 'effective_on'] as const).filter((name) => query[name] !== undefined);
  if (given.length > 1) {
    throw refuseRequest('malformed_request', `Only one of ${given.join(', ')} can be asked for.`, {
      errors: given
        .slice(1)
        .map((name) => ({ pointer: `?${name}`, detail: `cannot stand beside ${given[0]}` })),
    });
  }
  const { at_position, at, effective_on } = query;
  if (at_position !== undefined) {
    if (at_position > head) {
      throw refuse(
        'position_in_the_future',
        `The ledger has come to position ${head}, not to ${at_position}.`,
        {
          position: head,
        },
      );
    }
    return { position: at_position };
  }
  if (at !== undefined) {
    const instant = instantOf(at, '?at');
    return { position: await positionAt(tx, scope, instant), at: instant };
  }
  if (effective_on !== undefined)
    return { position: head, effective_on: dayOf(effective_on, '?effective_on') };
  return { position: head };
}
