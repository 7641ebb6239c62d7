/** What the routes of the v1 API say about themselves to whoever asks a second person. None can wait as a proposal. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Approval } from '../../../platform/approvals/route.ts';
import type { Scope } from '../../../platform/db.ts';
import { formatMoney, type Money, parseMoney } from '../../../platform/money.ts';
import { refuse as refuseRequest } from '../../../platform/problem.ts';
import type { Books } from '../books.ts';
import { wasAttempted } from '../reserve.ts';
import { V1AccountRequest, wantedOf } from './account.ts';
import { minorOfHundredths } from './amount.ts';

const AccountParams = Type.Object({ number: Type.String() });
const AmountParams = Type.Object({ amount: Type.String() });
const BalanceRow = Type.Object({ balance: Type.BigInt() });

/** An amount that moves, in a list; of nothing an empty one. */
function moved(change: bigint, currency: string): Money[] {
  return change === 0n ? [] : [formatMoney(change < 0n ? -change : change, currency)];
}

/**
 * Refuses a change of a balance that is another than the policies were asked about, since the balance moved meanwhile.
 *
 * @param measured amounts of the request as they were when no policy covered them; undefined: there is no policy
 */
export function assertMeasured(measured: readonly Money[] | undefined, change: bigint): void {
  if (measured === undefined) return;
  const [money] = measured;
  const minor = money === undefined ? 0n : parseMoney(money);
  if (minor === change || minor === -change) return;
  throw refuseRequest(
    'unavailable',
    'The balance moved while the approval policies were asked; nothing was done.',
    { retry_after_s: 1 },
  );
}

export function approvalsOfV1(books: Books) {
  const common = {
    refused: true,
    wasAttempted: (scope: Scope, key: string) => wasAttempted(books, scope, key),
  } satisfies Approval;

  /** Minor units by which a request changes a balance, by the balance now; none where there is no such account. */
  async function changeOf({ caller, params, body }: FastifyRequest): Promise<bigint> {
    const wanted = Check(V1AccountRequest, body) ? wantedOf(body, caller.base_currency).balance : 0n;
    if (!Check(AccountParams, params)) return wanted;
    if (!/^[0-9]{1,18}$/.test(params.number)) return 0n;
    const [row] = await books.db.read(caller, (tx) =>
      tx.rows(
        BalanceRow,
        `select a.credits_posted - a.debits_posted as balance from ledger.accounts a
         where a.number = $4 and a.tenant_id = $1 and a.environment = $2 and a.type = 'liability' and a.currency = $3
           and a.status <> 'closed'`,
        [caller.tenant_id, caller.environment, caller.base_currency, BigInt(params.number)],
      ),
    );
    return row === undefined ? 0n : wanted - row.balance;
  }

  return {
    /** Setting a balance moves what it differs by. */
    adjusting: {
      ...common,
      also: ['transfers:post'],
      amounts: async (request) => moved(await changeOf(request), request.caller.base_currency),
    },
    transferring: {
      ...common,
      amounts: ({ caller: { base_currency }, params }) =>
        Check(AmountParams, params)
          ? [formatMoney(minorOfHundredths(params.amount, base_currency), base_currency)]
          : undefined,
    },
  } satisfies Record<string, Approval>;
}
