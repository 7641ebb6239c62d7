import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Attempt } from '../../../platform/idempotency.ts';
import { canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId } from '../../../platform/ids.ts';
import type { Books } from '../books.ts';
import { refuse } from '../errors.ts';
import { createOnce } from '../once.ts';
import { openWithin } from '../open-account.ts';
import { type V1Account, type V1AccountRequest, v1AccountOf, wantedOf } from './account.ts';
import { adjust, chart, ensureInChart } from './adjustment.ts';

const OpenedRow = Type.Object({
  number: Type.BigInt(),
  created_at: Type.String(),
  updated_at: Type.String(),
});

/** Opens an account with a balance: account and opening posting are one commit, once for each idempotency key. */
export async function createAccount(
  books: Books,
  caller: Caller,
  body: Static<typeof V1AccountRequest>,
  attempt: Attempt,
): Promise<{ account: V1Account; account_id: string; replayed: boolean }> {
  const { base_currency: currency } = caller;
  const { name, balance, request } = wantedOf(body, currency);
  const { id, replayed } = await createOnce(
    books.db,
    caller,
    { ...attempt, request: canonicalRequest(request) },
    async (tx) => {
      await ensureInChart(tx, caller, chart.deposits);
      const account_uuid = await openWithin(tx, caller, {
        name,
        currency,
        chart_code: chart.deposits.code,
      });
      const description = 'Opening balance';
      await adjust(books, tx, caller, {
        account_uuid,
        change: balance,
        description,
        operation: attempt.operation,
      });
      return account_uuid;
    },
  );
  // As it was opened, even if a repetition asks long after: its first entry, if it was opened with a balance, was then.
  const [opened] = await books.db.read(caller, (tx) =>
    tx.rows(
      OpenedRow,
      `select a.number, a.created_at, greatest(a.created_at, (
         select t.created_at from ledger.transfers t
         where $4 and t.tenant_id = $1 and t.environment = $2 and t.position = (
           select e.position from ledger.entries e
           where e.tenant_id = $1 and e.environment = $2 and e.account_id = a.id
           order by e.position limit 1)
       )) as updated_at
       from ledger.accounts a where a.tenant_id = $1 and a.environment = $2 and a.id = $3`,
      [caller.tenant_id, caller.environment, id, balance > 0n],
    ),
  );
  // The key is that of somebody who reaches more than whoever asks now.
  if (opened === undefined) throw refuse('account_not_found', `There is no account ${formatId('acc', id)}.`);
  const account = v1AccountOf({ ...opened, name, balance }, currency);
  return { account, account_id: formatId('acc', id), replayed };
}
