import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import type { Scope } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { Money } from '../../platform/money.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import type { Books } from './books.ts';
import { IsoDate, Metadata } from './contract.ts';
import { refuse } from './errors.ts';
import { type Posted, transferEvent, transferFor } from './post-transfer.ts';
import type { Command, Leg, Poster, Side } from './posting.ts';
import { commandOrRefusal } from './refusal.ts';
import { type PostOptions, submitterOf } from './submit.ts';
import { existingDate, positiveAmount } from './terms.ts';

export const ReversalRequest = Type.Object(
  {
    amount: Type.Optional(
      Type.Object(Money.properties, {
        additionalProperties: false,
        description:
          'How much to take back of a transfer of one debit and one credit; absent: all that is left',
      }),
    ),
    legs: Type.Optional(
      Type.Array(
        Type.Object(
          { leg: Type.Integer({ minimum: 1, maximum: 200 }), amount: Money },
          { additionalProperties: false },
        ),
        { minItems: 2, maxItems: 200, description: 'How much to take back of which legs' },
      ),
    ),
    effective_date: Type.Optional(IsoDate),
    description: Type.Optional(Personal(Text({ max: 500 }))),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type ReversalRequest = Static<typeof ReversalRequest>;

const OriginalLeg = Type.Object({
  leg: Type.Integer(),
  account_id: Type.String(),
  side: Type.Union([Type.Literal('debit'), Type.Literal('credit')]),
  currency: Type.String(),
  amount: Type.BigInt(),
  reversed: Type.BigInt(),
});

/** Legs of a transfer with what was taken back of each so far; empty if there is no such transfer. */
function readOriginal(books: Books, scope: Scope, uuid: string): Promise<Static<typeof OriginalLeg>[]> {
  return books.db.read(scope, (tx) =>
    tx.rows(
      OriginalLeg,
      `select e.leg, e.account_id, e.side, e.currency, e.amount, coalesce((
         select sum(x.amount) from ledger.transfers r
         join ledger.entries x on x.tenant_id = $1 and x.environment = $2 and x.position = r.position
           and x.reverses_leg = e.leg
         where r.tenant_id = $1 and r.environment = $2 and r.reverses_id = t.id), 0)::bigint as reversed
       from ledger.transfers t
       join ledger.entries e on e.tenant_id = $1 and e.environment = $2 and e.position = t.position
       where t.tenant_id = $1 and t.environment = $2 and t.id = $3
       order by e.leg`,
      [scope.tenant_id, scope.environment, uuid],
    ),
  );
}

const other: Record<Side, Side> = { debit: 'credit', credit: 'debit' };

function legsOf(body: ReversalRequest, original: readonly Static<typeof OriginalLeg>[]): Leg[] {
  // There is no such transfer. The database is asked all the same, so that this outcome is kept as well.
  if (original.length === 0) return [];
  const take = (leg: Static<typeof OriginalLeg>, amount: bigint, currency = leg.currency): Leg => ({
    account_id: leg.account_id,
    side: other[leg.side],
    amount,
    currency,
    reverses_leg: leg.leg,
  });
  if (body.legs !== undefined) {
    const legs = body.legs.map(({ leg: number, amount }, index) => {
      const leg = original.find((candidate) => candidate.leg === number);
      if (leg === undefined) {
        throw refuseRequest('malformed_request', `The transfer has no leg ${number}.`, {
          errors: [{ pointer: `/legs/${index}/leg`, detail: 'is not a leg of the transfer' }],
        });
      }
      return take(leg, positiveAmount(amount), amount.currency);
    });
    if (new Set(legs.map((leg) => leg.reverses_leg)).size < legs.length) {
      throw refuseRequest('malformed_request', 'A leg stands twice in legs.', {
        errors: [{ pointer: '/legs', detail: 'must name each leg once' }],
      });
    }
    const sums = new Map<string, bigint>();
    for (const { side, amount, currency } of legs) {
      sums.set(currency, (sums.get(currency) ?? 0n) + (side === 'debit' ? amount : -amount));
    }
    for (const [currency, difference] of sums) {
      if (difference !== 0n) throw refuse('unbalanced_transfer', `The legs are not balanced in ${currency}.`);
    }
    return legs;
  }
  if (body.amount !== undefined) {
    const [first, second, ...more] = original;
    if (more.length > 0 || first === undefined || second === undefined) {
      throw refuse('partial_reversal_ambiguous', `The transfer has ${original.length} legs.`);
    }
    const amount = positiveAmount(body.amount);
    return [first, second].map((leg) => take(leg, amount, body.amount?.currency));
  }
  const left = original.filter(({ amount, reversed }) => amount > reversed);
  // With nothing left the database is asked for all of it and refuses, so that this outcome is kept as well.
  if (left.length === 0) return original.map((leg) => take(leg, leg.amount));
  return left.map((leg) => take(leg, leg.amount - leg.reversed));
}

/** The command that takes a transfer back as far as a body says. */
export async function reversalCommand(
  books: Books,
  scope: Poster,
  uuid: string,
  body: ReversalRequest,
  attempt: Attempt,
): Promise<Command> {
  if (body.legs !== undefined && body.amount !== undefined) {
    throw refuseRequest('malformed_request', 'amount cannot stand beside legs.', {
      errors: [{ pointer: '/amount', detail: 'cannot stand beside legs' }],
    });
  }
  const { description, metadata } = body;
  const reverses_id = formatId('trf', uuid);
  const original = await readOriginal(books, scope, uuid);
  const identity = { ...attempt, item: 0, request: canonicalRequest(body) };
  return commandOrRefusal(identity, (): Command => {
    const effective_date = body.effective_date === undefined ? undefined : existingDate(body.effective_date);
    const id = newUuid();
    const legs = legsOf(body, original);
    return {
      id,
      kind: 'reversal',
      ...identity,
      ref: uuid,
      effective_date,
      description,
      metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
      event: transferEvent(formatId('trf', id), legs, { description, metadata, reverses_id, effective_date }),
      legs,
    };
  });
}

/**
 * Takes a transfer back, in part or whole: the same legs on the other side, linked to the original. What the
 * reversals of a transfer take back together never exceeds it; the database holds that.
 */
export async function reverseTransfer(
  books: Books,
  scope: Scope,
  uuid: string,
  body: ReversalRequest,
  attempt: Attempt,
  options: PostOptions,
): Promise<Posted> {
  const { description, metadata } = body;
  const command = await reversalCommand(books, scope, uuid, body, attempt);
  const submit = submitterOf(books, options);
  const [outcome] = await submit(scope, [command]);
  if (outcome === undefined) throw new Error('a command without an outcome');
  return {
    transfer: await transferFor(books, scope, command, outcome, {
      description,
      metadata,
      reverses_id: formatId('trf', uuid),
    }),
    replayed: outcome.replayed,
  };
}
