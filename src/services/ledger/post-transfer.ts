import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, Id, newUuid, uuidOf } from '../../platform/ids.ts';
import { formatMoney, Money } from '../../platform/money.ts';
import type { FieldError } from '../../platform/problem.ts';
import { refuse as refuseRequest } from '../../platform/problem.ts';
import type { Books } from './books.ts';
import { Exchange, IsoDate, Metadata, Side, type Transfer } from './contract.ts';
import { refuse } from './errors.ts';
import { convert } from './exchange.ts';
import type { Command, Leg, Outcome, Poster } from './posting.ts';
import { getTransferAsPosted } from './read-transfers.ts';
import { commandOrRefusal, refusalOf } from './refusal.ts';
import { type PostOptions, submitterOf } from './submit.ts';
import { existingDate, positiveAmount } from './terms.ts';

const MAX_LEGS = 200;

/** The body of a transfer: either two accounts and an amount, or legs. */
export const TransferRequest = Type.Object(
  {
    debit_account_id: Type.Optional(Id('acc', 'The account that is debited: money of a customer leaves it')),
    credit_account_id: Type.Optional(
      Id('acc', 'The account that is credited: money of a customer arrives at it'),
    ),
    amount: Type.Optional(Money),
    exchange: Type.Optional(
      Type.Object(
        {
          ...Exchange.properties,
          credited: Type.Object(Money.properties, {
            additionalProperties: false,
            description: 'What the credit account receives: amount × rate, to within one minor unit',
          }),
        },
        { additionalProperties: false, description: 'For two accounts of different currencies' },
      ),
    ),
    legs: Type.Optional(
      Type.Array(
        Type.Object({ account_id: Id('acc'), side: Side, amount: Money }, { additionalProperties: false }),
        {
          minItems: 2,
          maxItems: MAX_LEGS,
          description: 'Any number of debits and credits, balanced in each currency',
        },
      ),
    ),
    effective_date: Type.Optional(
      Type.String({ ...IsoDate, description: 'Business date; absent means the day it is recorded, UTC' }),
    ),
    description: Type.Optional(Personal(Text({ max: 500 }))),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type TransferRequest = Static<typeof TransferRequest>;

function accountOf(id: string): Pick<Leg, 'account_id' | 'account'> {
  return { account_id: uuidOf('acc', id), account: id };
}

function formErrors(body: TransferRequest, at: string): FieldError[] {
  if (body.legs !== undefined) {
    return (['debit_account_id', 'credit_account_id', 'amount', 'exchange'] as const)
      .filter((name) => body[name] !== undefined)
      .map((name) => ({ pointer: `${at}/${name}`, detail: 'cannot stand beside legs' }));
  }
  return (['debit_account_id', 'credit_account_id', 'amount'] as const)
    .filter((name) => body[name] === undefined)
    .map((name) => ({ pointer: `${at}/${name}`, detail: 'is required, unless there are legs' }));
}

function legsOf(body: TransferRequest): Leg[] {
  const { debit_account_id, credit_account_id, amount, exchange, legs } = body;
  if (legs !== undefined) {
    const found = legs.map((leg) => ({
      ...accountOf(leg.account_id),
      side: leg.side,
      amount: positiveAmount(leg.amount),
      currency: leg.amount.currency,
    }));
    const sums = new Map<string, bigint>();
    for (const { side, amount, currency } of found) {
      sums.set(currency, (sums.get(currency) ?? 0n) + (side === 'debit' ? amount : -amount));
    }
    for (const [currency, difference] of sums) {
      if (difference !== 0n) {
        const money = formatMoney(difference, currency);
        throw refuse('unbalanced_transfer', `Debits less credits are ${money.amount} ${currency}.`, {
          difference: money,
        });
      }
    }
    return found;
  }
  if (debit_account_id === undefined || credit_account_id === undefined || amount === undefined) {
    throw new Error('the form of a transfer was not checked');
  }
  if (debit_account_id === credit_account_id) {
    throw refuse('same_account', `Both accounts are ${debit_account_id}.`);
  }
  const debited = positiveAmount(amount);
  const { currency } = amount;
  const debit: Leg = {
    ...accountOf(debit_account_id),
    side: 'debit',
    amount: debited,
    currency,
  };
  if (exchange === undefined) {
    return [debit, { ...accountOf(credit_account_id), side: 'credit', amount: debited, currency }];
  }
  const credited = positiveAmount(exchange.credited);
  const expected = convert(debited, currency, exchange.credited.currency, exchange.rate);
  if (credited - expected > 1n || expected - credited > 1n) {
    const { amount: shown } = formatMoney(expected, exchange.credited.currency);
    throw refuse(
      'exchange_mismatch',
      `${amount.amount} ${currency} at ${exchange.rate} are ${shown} ${exchange.credited.currency}, not ${exchange.credited.amount}.`,
    );
  }
  return [
    debit,
    {
      ...accountOf(exchange.credit_exchange_account_id),
      side: 'credit',
      amount: debited,
      currency,
    },
    {
      ...accountOf(exchange.debit_exchange_account_id),
      side: 'debit',
      amount: credited,
      currency: exchange.credited.currency,
    },
    {
      ...accountOf(credit_account_id),
      side: 'credit',
      amount: credited,
      currency: exchange.credited.currency,
    },
  ];
}

/** What a body says beside its legs. Of an exchange only the rate and its accounts: the amounts stand in the entries. */
export function termsOf(body: TransferRequest): TransferTerms {
  const { description, metadata } = body;
  if (body.exchange === undefined) return { description, metadata };
  const { credited: _, ...exchange } = body.exchange;
  return { description, metadata, exchange };
}

/** Members of a transfer that only some have, as they are answered and told in events. */
interface TransferTerms {
  description?: string | undefined;
  metadata?: Record<string, string> | undefined;
  exchange?: Exchange | undefined;
  reverses_id?: string | undefined;
  link_id?: string | undefined;
  effective_date?: string | undefined;
}

/** Data of the event that tells of a transfer. Position and time are the envelope's. */
export function transferEvent(
  public_id: string,
  legs: readonly Leg[],
  terms: TransferTerms & { hold_id?: string },
): string {
  return JSON.stringify({
    id: public_id,
    entries: legs.map((leg, index) => ({
      leg: index + 1,
      account_id: leg.account ?? formatId('acc', leg.account_id),
      side: leg.side,
      amount: formatMoney(leg.amount, leg.currency),
    })),
    ...terms,
  });
}

/**
 * Throws `malformed_request` if a body is neither of the two forms.
 *
 * @param at JSON Pointer of the body within the request
 */
export function assertForm(body: TransferRequest, at = ''): void {
  const errors = formErrors(body, at);
  const [first] = errors;
  if (first !== undefined) {
    throw refuseRequest('malformed_request', `${first.pointer} ${first.detail}.`, { errors });
  }
}

/** The command for a body of one of the two forms. */
export function transferCommand(
  body: TransferRequest,
  identity: Attempt & Pick<Command, 'item' | 'group' | 'link_id' | 'request'>,
): Command {
  return commandOrRefusal(identity, () => commandOf(body, identity));
}

function commandOf(
  body: TransferRequest,
  identity: Attempt & Pick<Command, 'item' | 'group' | 'link_id' | 'request'>,
): Command {
  const legs = legsOf(body);
  const id = newUuid();
  const public_id = formatId('trf', id);
  const effective_date = body.effective_date === undefined ? undefined : existingDate(body.effective_date);
  const terms = termsOf(body);
  const { description, metadata, exchange } = terms;
  return {
    id,
    public_id,
    kind: 'transfer',
    ...identity,
    effective_date,
    description,
    metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
    exchange: exchange === undefined ? undefined : JSON.stringify(exchange),
    event: transferEvent(public_id, legs, { ...terms, link_id: identity.link_id, effective_date }),
    legs,
  };
}

/** The transfer that a command was just posted as. */
function postedTransfer(command: Command, outcome: Outcome, terms: TransferTerms): Transfer {
  return {
    id: command.public_id ?? formatId('trf', command.id),
    position: Number(outcome.position),
    kind: command.kind === 'reversal' ? 'reversal' : 'transfer',
    created_at: outcome.created_at,
    effective_date: command.effective_date ?? outcome.created_at.slice(0, 10),
    ...(terms.description === undefined ? {} : { description: terms.description }),
    metadata: terms.metadata ?? {},
    entries: command.legs.map((leg, index) => ({
      leg: index + 1,
      account_id: leg.account ?? formatId('acc', leg.account_id),
      side: leg.side,
      amount: formatMoney(leg.amount, leg.currency),
      balance: formatMoney(outcome.balances[index] ?? 0n, leg.currency),
      ...(leg.reverses_leg === undefined ? {} : { reverses_leg: leg.reverses_leg }),
    })),
    ...(terms.exchange === undefined ? {} : { exchange: terms.exchange }),
    ...(terms.reverses_id === undefined ? {} : { reverses_id: terms.reverses_id }),
    reversed_by: [],
    ...(command.link_id === undefined ? {} : { link_id: command.link_id }),
  };
}

/** A transfer that was done, now or by an earlier attempt with the same key. Throws what was refused. */
export async function transferFor(
  books: Books,
  scope: Poster,
  command: Command,
  outcome: Outcome,
  terms: TransferTerms,
): Promise<Transfer> {
  if (outcome.code !== null) throw refusalOf(command, outcome);
  const { result_id } = outcome;
  if (!outcome.replayed || result_id === null) return postedTransfer(command, outcome, terms);
  return books.db.read(scope, (tx) => getTransferAsPosted(tx, scope, result_id));
}

export interface Posted {
  transfer: Transfer;
  replayed: boolean;
}

/**
 * Posts one transfer, once for each idempotency key.
 *
 * @param options.dry_run tells what would happen and keeps nothing, not even the key
 */
export async function postTransfer(
  books: Books,
  scope: Poster,
  body: TransferRequest,
  attempt: Attempt,
  options: PostOptions,
): Promise<Posted> {
  assertForm(body);
  const command = transferCommand(body, { ...attempt, item: 0, request: canonicalRequest(body) });
  const submit = submitterOf(books, options);
  const [outcome] = await submit(scope, [command]);
  if (outcome === undefined) throw new Error('a command without an outcome');
  const transfer = await transferFor(books, scope, command, outcome, termsOf(body));
  return { transfer, replayed: outcome.replayed };
}
