import type { Static } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId } from '../../../platform/ids.ts';
import type { Money } from '../../../platform/money.ts';
import type { Books } from '../books.ts';
import { type AccountChange, changeWithin } from '../edit-account.ts';
import { createOnce } from '../once.ts';
import { getAccount as getAccountOfV2 } from '../read-accounts.ts';
import { assertReached, getAccount, type V1AccountRequest, wantedOf } from './account.ts';
import { adjust } from './adjustment.ts';
import { assertMeasured } from './approval.ts';

/**
 * Sets name and balance. The balance comes about by a posting of what it differs by, decided and posted under the head
 * of the books, so that no posting beside it is overwritten unseen.
 *
 * @param measured amounts that the approval policies were asked about, where there are any
 */
export async function replaceAccount(
  books: Books,
  caller: Caller,
  number: bigint,
  body: Static<typeof V1AccountRequest>,
  attempt: Attempt,
  measured: readonly Money[] | undefined,
): Promise<{ account_id: string; replayed: boolean; change?: AccountChange }> {
  const { name, balance, request } = wantedOf(body, caller.base_currency);
  await assertReached(books, caller, number);
  const made: { change?: AccountChange } = {};
  const { id, replayed } = await createOnce(
    books.db,
    caller,
    { ...attempt, request: canonicalRequest(request) },
    async (tx) => {
      const account = await getAccount(tx, caller, number);
      // Before the posting that changes the balance, as the caller knew it.
      const { account: before } = await getAccountOfV2(tx, caller, account.uuid);
      const difference = balance - account.balance;
      assertMeasured(measured, difference);
      await adjust(books, tx, caller, {
        account_uuid: account.uuid,
        change: difference,
        description: 'Adjustment',
        operation: attempt.operation,
      });
      const edited = await changeWithin(tx, caller, account.uuid, 'ledger.account.edited', () =>
        account.name === name ? {} : { name },
      );
      made.change = { before, after: edited.account };
      return account.uuid;
    },
  );
  return { account_id: formatId('acc', id), replayed, ...made };
}
