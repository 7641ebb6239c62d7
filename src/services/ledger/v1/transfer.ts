import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId } from '../../../platform/ids.ts';
import { formatMoney } from '../../../platform/money.ts';
import type { Books } from '../books.ts';
import { refuse } from '../errors.ts';
import { transferCommand } from '../post-transfer.ts';
import type { Command, Outcome } from '../posting.ts';
import { beyondReach } from '../reach.ts';
import { refusalOf } from '../refusal.ts';
import { submitterOf } from '../submit.ts';
import { getAccountOrClosed, noAccount, numberOf } from './account.ts';
import { minorOfHundredths } from './amount.ts';
import { type NumberLiteral, numberLiteral } from './json.ts';

export const V1Transfer = Type.Object({
  transfer_id: Type.String({
    description: 'Its id in /api/v2/transfers',
    examples: ['trf_01h455vb4pex5vsknk084sn02q'],
  }),
  from: Type.Integer({ description: 'Number of the account that the money left' }),
  to: Type.Integer({ description: 'Number of the account that it arrived at' }),
  amount: Type.Unsafe<NumberLiteral>({
    type: 'integer',
    description: 'Hundredths of a major unit, as in the path',
    examples: [1050],
  }),
});

function refusedTransfer(command: Command, outcome: Outcome, numbers: Map<unknown, bigint>) {
  const problem = refusalOf(command, outcome);
  const number = numbers.get(outcome.detail?.['account_id']);
  const answer =
    outcome.code === 'insufficient_funds'
      ? refuse('v1_insufficient_funds', 'Not enough funds on source account')
      : outcome.code === 'account_closed' && number !== undefined
        ? noAccount(number)
        : problem;
  answer.replayed = problem.replayed;
  return answer;
}

/**
 * Moves money between two accounts, once for each idempotency key.
 *
 * @param path as the client wrote it; the amount in hundredths of a major unit
 */
export async function transfer(
  books: Books,
  caller: Caller,
  path: { from: string; to: string; amount: string },
  attempt: Attempt,
): Promise<{ transfer: Static<typeof V1Transfer>; position: bigint; replayed: boolean }> {
  // Closed ones are found here and refused by the ledger, which knows by then whether this was done before they closed.
  const [from, to] = await books.db.read(caller, async (tx) => [
    await getAccountOrClosed(tx, caller, numberOf(path.from)),
    // Who reaches certain labels only pays to whomever they name, as in v2, and learns no more of them.
    await beyondReach(tx, caller, () => getAccountOrClosed(tx, caller, numberOf(path.to))),
  ]);
  if (from === undefined || to === undefined) throw new Error('an account that was got is not there');
  const minor = minorOfHundredths(path.amount, caller.base_currency);
  if (from.uuid === to.uuid) {
    if (from.status === 'closed') throw noAccount(from.number);
    throw refuse('same_account', `Both accounts are ${from.number}.`);
  }
  const hundredths = BigInt(path.amount).toString();
  const command = transferCommand(
    {
      debit_account_id: formatId('acc', from.uuid),
      credit_account_id: formatId('acc', to.uuid),
      amount: formatMoney(minor, caller.base_currency),
    },
    {
      ...attempt,
      item: 0,
      request: canonicalRequest({ from: String(from.number), to: String(to.number), amount: hundredths }),
    },
  );
  const [outcome] = await submitterOf(books, { dry_run: false })(caller, [command]);
  if (outcome === undefined) throw new Error('a command without an outcome');
  if (outcome.code !== null) {
    throw refusedTransfer(
      command,
      outcome,
      new Map([
        [from.uuid, from.number],
        [to.uuid, to.number],
      ]),
    );
  }
  return {
    transfer: {
      transfer_id: formatId('trf', outcome.result_id ?? command.id),
      from: Number(from.number),
      to: Number(to.number),
      amount: numberLiteral(hundredths),
    },
    position: outcome.position ?? 0n,
    replayed: outcome.replayed,
  };
}
