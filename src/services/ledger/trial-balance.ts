/** The trial balance: in each currency, all debit balances equal all credit balances, now and at any past moment. */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Currency, formatMoney } from '../../platform/money.ts';
import { AccountType, ChartCode } from './contract.ts';
import { AsOf, asOf, headPosition, minPositionQuery, momentQuery } from './position.ts';

export const TrialBalanceQuery = Type.Object(
  { ...momentQuery, ...minPositionQuery },
  { additionalProperties: false },
);

/** Sums over accounts may have more digits than any account. */
const Total = Type.Object({
  amount: Type.String({
    pattern: '^-?(0|[1-9][0-9]{0,37})(\\.[0-9]{1,4})?$',
    description: "Decimal number with the currency's own number of digits after the point",
    examples: ['1234.56'],
  }),
  currency: Currency,
});

const AccountCount = Type.Integer({ description: 'Accounts that anything was posted to' });

export const TrialBalance = Type.Object({
  as_of: AsOf,
  lines: Type.Array(
    Type.Object({
      chart_code: ChartCode,
      name: Type.String({ description: 'Name of the code, as it is today' }),
      type: AccountType,
      currency: Currency,
      accounts: AccountCount,
      debit_balance: Type.Object(Total.properties, {
        description: 'Debits less credits of the accounts under the code, if that is above zero',
      }),
      credit_balance: Type.Object(Total.properties, {
        description: 'Credits less debits of the accounts under the code, if that is above zero',
      }),
    }),
    { description: 'One for each code and currency that anything was posted to' },
  ),
  totals: Type.Array(
    Type.Object({
      currency: Currency,
      accounts: AccountCount,
      debits: Type.Object(Total.properties, { description: 'All debit balances' }),
      credits: Type.Object(Total.properties, { description: 'All credit balances' }),
      difference: Type.Object(Total.properties, {
        description: 'Debits less credits: zero, or the books are damaged (`GET /api/v2/integrity`)',
      }),
    }),
  ),
});
export type TrialBalance = Static<typeof TrialBalance>;

const LineRow = Type.Object({
  chart_code: Type.String(),
  name: Type.String(),
  type: AccountType,
  currency: Type.String(),
  accounts: Type.BigInt(),
  // A text: the sum may be larger than any bigint.
  net: Type.String(),
});
type LineRow = Static<typeof LineRow>;

/** The chart's codes over `moved`: rows of chart_code, currency and net, the account's debits less credits. */
const linesOver = (moved: string) => `
  select c.code as chart_code, c.name, c.type, m.currency, m.accounts, m.net
  from (select chart_code, currency, count(*) as accounts, sum(net)::text as net
        from (${moved}) moved group by chart_code, currency) m
  join ledger.chart_of_accounts c on c.tenant_id = $1 and c.environment = $2 and c.code = m.chart_code
  order by c.code collate "C", m.currency`;

const now = linesOver(`
  select a.chart_code, a.currency, a.debits_posted - a.credits_posted as net
  from ledger.accounts a
  where a.tenant_id = $1 and a.environment = $2 and (a.debits_posted > 0 or a.credits_posted > 0)`);

/** Each account as its last entry up to a position left it. */
const atPosition = linesOver(`
  select a.chart_code, a.currency, case a.normal_side when 'debit' then e.balance else -e.balance end as net
  from ledger.accounts a
  cross join lateral (
    select e.balance from ledger.entries e
    where e.tenant_id = $1 and e.environment = $2 and e.account_id = a.id and e.position <= $3
    order by e.position desc, e.leg desc limit 1) e
  where a.tenant_id = $1 and a.environment = $2`);

const effectiveOn = linesOver(`
  select a.chart_code, a.currency, e.net
  from (select e.account_id, sum(case e.side when 'debit' then e.amount else -e.amount end) as net
        from ledger.entries e
        where e.tenant_id = $1 and e.environment = $2 and e.position <= $3 and e.effective_date <= $4::date
        group by e.account_id) e
  join ledger.accounts a on a.tenant_id = $1 and a.environment = $2 and a.id = e.account_id`);

function readLines(tx: Transaction, scope: Scope, head: number, as_of: AsOf): Promise<LineRow[]> {
  const { position, effective_on } = as_of;
  const tenant = [scope.tenant_id, scope.environment];
  if (effective_on !== undefined) return tx.rows(LineRow, effectiveOn, [...tenant, position, effective_on]);
  return position === head
    ? tx.rows(LineRow, now, tenant)
    : tx.rows(LineRow, atPosition, [...tenant, position]);
}

interface Total {
  accounts: number;
  debits: bigint;
  credits: bigint;
}

/** The trial balance of the moment asked for, and the last position of the snapshot. */
export async function readTrialBalance(
  tx: Transaction,
  scope: Scope,
  query: Static<typeof TrialBalanceQuery>,
): Promise<{ head: number; trialBalance: TrialBalance }> {
  const { min_position, ...moment } = query;
  const head = await headPosition(tx, scope, min_position);
  const as_of = await asOf(tx, scope, head, moment);
  const totals = new Map<string, Total>();
  const lines = (await readLines(tx, scope, head, as_of)).map(({ net, accounts: count, ...row }) => {
    const { currency } = row;
    const minor = BigInt(net);
    const debit = minor > 0n ? minor : 0n;
    const credit = minor < 0n ? -minor : 0n;
    const accounts = Number(count);
    const total = totals.get(currency) ?? { accounts: 0, debits: 0n, credits: 0n };
    totals.set(currency, {
      accounts: total.accounts + accounts,
      debits: total.debits + debit,
      credits: total.credits + credit,
    });
    return {
      ...row,
      accounts,
      debit_balance: formatMoney(debit, currency),
      credit_balance: formatMoney(credit, currency),
    };
  });
  return {
    head,
    trialBalance: {
      as_of,
      lines,
      totals: [...totals]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([currency, total]) => ({
          currency,
          accounts: total.accounts,
          debits: formatMoney(total.debits, currency),
          credits: formatMoney(total.credits, currency),
          difference: formatMoney(total.debits - total.credits, currency),
        })),
    },
  };
}
