import type { Caller } from '../../../platform/access/caller.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId } from '../../../platform/ids.ts';
import { formatMoney, type Money } from '../../../platform/money.ts';
import type { Books } from '../books.ts';
import { type AccountChange, changeWithin } from '../edit-account.ts';
import { refuse } from '../errors.ts';
import { createOnce } from '../once.ts';
import { getAccount as getAccountOfV2 } from '../read-accounts.ts';
import { assertReached, getAccount } from './account.ts';
import { adjust } from './adjustment.ts';
import { assertMeasured } from './approval.ts';

/**
 * Sweeps an account's balance away and closes it, in one commit. Account and entries stay in the books.
 *
 * @param measured amounts that the approval policies were asked about, where there are any
 */
export async function deleteAccount(
  books: Books,
  caller: Caller,
  number: bigint,
  attempt: Attempt,
  measured: readonly Money[] | undefined,
): Promise<{ account_id: string; replayed: boolean; change?: AccountChange }> {
  await assertReached(books, caller, number);
  const made: { change?: AccountChange } = {};
  const { id, replayed } = await createOnce(
    books.db,
    caller,
    { ...attempt, request: canonicalRequest(null) },
    async (tx) => {
      const account = await getAccount(tx, caller, number);
      const held = account.debits_pending + account.credits_pending;
      if (held > 0n) {
        const { amount, currency } = formatMoney(held, caller.base_currency);
        throw refuse(
          'account_not_empty',
          `${amount} ${currency} are held from or for account ${number}: capture or release the holds first.`,
        );
      }
      // Before the posting that changes the balance, as the caller knew it.
      const { account: before } = await getAccountOfV2(tx, caller, account.uuid);
      assertMeasured(measured, -account.balance);
      await adjust(books, tx, caller, {
        account_uuid: account.uuid,
        change: -account.balance,
        description: 'Balance swept on closing',
        operation: attempt.operation,
      });
      const closed = await changeWithin(tx, caller, account.uuid, 'ledger.account.closed', () => ({
        status: 'closed',
      }));
      made.change = { before, after: closed.account };
      return account.uuid;
    },
  );
  return { account_id: formatId('acc', id), replayed, ...made };
}
