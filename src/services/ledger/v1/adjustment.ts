/**
 * The prototype set balances; a ledger moves money. So whatever the v1 API sets is posted against one account of the
 * bank's own, in equity, which says at any time what was brought in and taken out in this way.
 */
import { Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Transaction } from '../../../platform/db.ts';
import { canonicalRequest } from '../../../platform/idempotency.ts';
import { formatId, newUuid } from '../../../platform/ids.ts';
import { formatMoney } from '../../../platform/money.ts';
import type { Books } from '../books.ts';
import { AccountType } from '../contract.ts';
import { refuse } from '../errors.ts';
import { openWithin } from '../open-account.ts';
import { transferCommand } from '../post-transfer.ts';
import { beyondReach } from '../reach.ts';
import { refusalOf } from '../refusal.ts';

/** Headings of the chart of accounts that the v1 API makes on its first use. */
export const chart = {
  deposits: { code: 'v1-deposits', name: 'Accounts of the v1 API', type: 'liability' },
  adjustments: {
    code: 'v1-adjustments',
    name: 'Opening balances and adjustments of the v1 API',
    type: 'equity',
  },
} as const;

const ChartRow = Type.Object({ type: AccountType });

/** Adds a code to the chart unless it is there. The transaction holds the head, so that nobody adds it meanwhile. */
export async function ensureInChart(
  tx: Transaction,
  caller: Caller,
  { code, name, type }: (typeof chart)[keyof typeof chart],
): Promise<void> {
  const [known] = await tx.rows(
    ChartRow,
    'select type from ledger.chart_of_accounts where tenant_id = $1 and environment = $2 and code = $3',
    [caller.tenant_id, caller.environment, code],
  );
  if (known === undefined) {
    await tx.run(
      `insert into ledger.chart_of_accounts (tenant_id, environment, code, name, type) values ($1, $2, $3, $4, $5)`,
      [caller.tenant_id, caller.environment, code, name, type],
    );
  } else if (known.type !== type) {
    throw refuse(
      'chart_type_mismatch',
      `The chart of accounts has ${code} as ${known.type}; /api/v1 needs it as ${type}.`,
    );
  }
}

const AccountRow = Type.Object({ id: Type.String(), usable: Type.Boolean() });

/** The account of adjustments, opened on first use. The transaction holds the head: there is never a second one. */
async function adjustmentsAccount(tx: Transaction, caller: Caller): Promise<string> {
  const { adjustments } = chart;
  const { base_currency: currency } = caller;
  await ensureInChart(tx, caller, adjustments);
  const rows = await tx.rows(
    AccountRow,
    `select id, currency = $4 and status <> 'closed' and credit_limit is null as usable from ledger.accounts
     where chart_code = $3 and tenant_id = $1 and environment = $2 order by id`,
    [caller.tenant_id, caller.environment, adjustments.code, currency],
  );
  const found = rows.find(({ usable }) => usable);
  if (found !== undefined) return found.id;
  return openWithin(
    tx,
    caller,
    { name: adjustments.name, currency, chart_code: adjustments.code, credit_limit: null },
    // Numbers from 1 on are the customers', so that their first two are 1 and 2. This one is 0, or, where others stand
    // under the code already, the next below: none leaves it, so their count is never the same twice.
    { number: BigInt(-rows.length) },
  );
}

/**
 * Posts what an account's balance is to change by, in minor units, in the transaction that decided so under the head.
 * Throws what the ledger refuses.
 */
export async function adjust(
  books: Books,
  tx: Transaction,
  caller: Caller,
  adjustment: { account_uuid: string; change: bigint; description: string; operation: string },
): Promise<void> {
  const { account_uuid, change, description, operation } = adjustment;
  if (change === 0n) return;
  const account = formatId('acc', account_uuid);
  // The bank's own account carries no labels. What is taken from it is still measured by what the caller reaches.
  const counterpart = formatId(
    'acc',
    await beyondReach(tx, caller, (whole) => adjustmentsAccount(tx, whole)),
  );
  const transfer = {
    debit_account_id: change > 0n ? counterpart : account,
    credit_account_id: change > 0n ? account : counterpart,
    amount: formatMoney(change > 0n ? change : -change, caller.base_currency),
    description,
  };
  const command = transferCommand(
    transfer,
    // What makes it happen once is the key of the request, kept by `createOnce` in the same commit.
    { key: `v1-adjustment:${newUuid()}`, operation, item: 0, request: canonicalRequest(transfer) },
  );
  const [outcome] = await books.posting.postWithin(tx, caller, [command]);
  if (outcome === undefined) throw new Error('a command without an outcome');
  if (outcome.code !== null) throw refusalOf(command, outcome);
}
