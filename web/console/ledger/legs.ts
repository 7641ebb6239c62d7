import type { RowOf } from '../../api/lists.ts';
import type { MoneyValue } from '../../ui/figures.tsx';

type Legs = Pick<RowOf<'/api/v2/transfers'>, 'entries'>;

/** Whose money it was and whose it is. */
export function sidesOf({ entries }: Legs): { debited: string[]; credited: string[] } {
  const of = (side: 'debit' | 'credit') => [
    ...new Set(entries.filter((entry) => entry.side === side).map(({ account_id }) => account_id)),
  ];
  return { debited: of('debit'), credited: of('credit') };
}

/**
 * What moved: the sum of the debits in the currency of the first of them. Summed in minor units, since amounts have more
 * digits than a number keeps.
 */
export function amountOf({ entries }: Legs): MoneyValue {
  const debits = entries.filter(({ side }) => side === 'debit');
  const currency = debits[0]?.amount.currency ?? '';
  const amounts = debits
    .filter(({ amount }) => amount.currency === currency)
    .map(({ amount }) => amount.amount);
  const exponent = Math.max(0, ...amounts.map((amount) => amount.split('.')[1]?.length ?? 0));
  const minor = amounts.reduce((sum, amount) => sum + minorOf(amount, exponent), 0n);
  const digits = minor.toString().padStart(exponent + 1, '0');
  const amount = exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
  return { amount, currency };
}

function minorOf(amount: string, exponent: number): bigint {
  const [whole = '0', fraction = ''] = amount.split('.');
  return BigInt(`${whole}${fraction.padEnd(exponent, '0')}`);
}
