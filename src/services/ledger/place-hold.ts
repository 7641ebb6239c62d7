import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../platform/ids.ts';
import { formatMoney, Money } from '../../platform/money.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import type { Books } from './books.ts';
import { type Hold, Metadata, Timestamp } from './contract.ts';
import { refuse } from './errors.ts';
import { type HoldTerms, holdEvent, holdLegs, RESERVED_LABEL } from './hold-terms.ts';
import { instantOf } from './instant.ts';
import type { Command, Outcome, Poster } from './posting.ts';
import { getHold } from './read-holds.ts';
import { commandOrRefusal, refusalOf } from './refusal.ts';
import { type PostOptions, submitterOf } from './submit.ts';
import { positiveAmount } from './terms.ts';

export const HoldRequest = Type.Object(
  {
    debit_account_id: Id('acc', 'The account whose money is held, and debited by captures'),
    credit_account_id: Id('acc', 'The account that captures credit'),
    amount: Type.Object(Money.properties, {
      additionalProperties: false,
      description: 'How much to hold; captures together take at most this',
    }),
    expires_at: Type.Optional(
      Type.String({
        ...Timestamp,
        description: 'When what still remains is released by itself; absent: never',
      }),
    ),
    description: Type.Optional(Personal(Text({ max: 500 }))),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type HoldRequest = Static<typeof HoldRequest>;

/** The hold that a command just placed. */
function placedHold(terms: HoldTerms, body: HoldRequest, command: Command, outcome: Outcome): Hold {
  const money = formatMoney(command.amount ?? 0n, terms.currency);
  const nothing = formatMoney(0n, terms.currency);
  const expiry = command.expires_at === undefined ? {} : { expires_at: command.expires_at };
  return {
    id: formatId('hld', terms.id),
    debit_account_id: body.debit_account_id,
    credit_account_id: body.credit_account_id,
    status: 'active',
    amount: money,
    captured: nothing,
    released: nothing,
    remaining: money,
    ...expiry,
    ...(body.description === undefined ? {} : { description: body.description }),
    metadata: body.metadata ?? {},
    created_at: outcome.created_at,
    updated_at: outcome.created_at,
    steps: [
      {
        id: formatId('hst', command.id),
        step: 1,
        position: Number(outcome.position),
        kind: 'place',
        pending_change: money,
        created_at: outcome.created_at,
        ...expiry,
      },
    ],
  };
}

/** The command that places a hold, and what never changes of that. */
export function placementCommand(
  body: HoldRequest,
  attempt: Attempt,
): { terms: HoldTerms; command: Command } {
  const { description, metadata } = body;
  if (metadata !== undefined && RESERVED_LABEL in metadata) {
    throw refuseRequest('malformed_request', `The label ${RESERVED_LABEL} is the system's own.`, {
      errors: [{ pointer: `/metadata/${RESERVED_LABEL}`, detail: 'is a label of the system' }],
    });
  }
  const terms: HoldTerms = {
    id: newUuid(),
    debit_account_id: uuidOf('acc', body.debit_account_id),
    credit_account_id: uuidOf('acc', body.credit_account_id),
    currency: body.amount.currency,
  };
  const expires_at = body.expires_at === undefined ? undefined : instantOf(body.expires_at, '/expires_at');
  const identity = { ...attempt, item: 0, request: canonicalRequest(body) };
  const command = commandOrRefusal(identity, (): Command => {
    if (body.debit_account_id === body.credit_account_id) {
      throw refuse('same_account', `Both accounts are ${body.debit_account_id}.`);
    }
    const amount = positiveAmount(body.amount);
    return {
      id: terms.id,
      kind: 'place',
      ...identity,
      amount,
      expires_at,
      description,
      metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
      event: holdEvent(terms, { id: terms.id, kind: 'place' }, { description, metadata }),
      legs: holdLegs(terms, amount, terms.currency),
    };
  });
  return { terms, command };
}

/**
 * Holds money of the debit account for the credit account, once for each idempotency key.
 *
 * @param options.dry_run tells what would happen and keeps nothing, not even the key
 */
export async function placeHold(
  books: Books,
  scope: Poster,
  body: HoldRequest,
  attempt: Attempt,
  options: PostOptions,
): Promise<{ hold: Hold; position: number; replayed: boolean }> {
  const { terms, command } = placementCommand(body, attempt);
  const submit = submitterOf(books, options);
  const [outcome] = await submit(scope, [command]);
  if (outcome === undefined) throw new Error('a command without an outcome');
  if (outcome.code !== null) throw refusalOf(command, outcome);
  const { replayed, result_id, position } = outcome;
  if (position === null) throw new Error('a hold was placed without a position');
  const hold =
    replayed && result_id !== null
      ? await books.db.read(scope, (tx) => getHold(tx, scope, result_id, position))
      : placedHold(terms, body, command, outcome);
  return { hold, position: Number(position), replayed };
}
