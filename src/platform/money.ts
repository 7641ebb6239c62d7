/**
 * Money at the edge is `{"amount": "1234.56", "currency": "BRL"}`; inside and in SQL it is a `bigint` of minor
 * units. This file is the only place where the one becomes the other.
 */
import { type Static, Type } from 'typebox';
import { findExponent } from './currencies.ts';

/**
 * The largest amount, in minor units: 18 nines. Sums of two always fit a PostgreSQL `bigint`, so that the ledger
 * can compare before it adds.
 */
export const MAX_MINOR = 999_999_999_999_999_999n;

/** ISO 4217 code of the currency. Unknown codes get a 422 of their own rather than a list of 150 codes. */
export const Currency = Type.String({
  pattern: '^[A-Z]{3}$',
  description: 'ISO 4217 code',
  examples: ['BRL', 'USD', 'JPY', 'KWD'],
});

/**
 * Schema of an amount of money that may be negative, as balances are. 20 digits hold what two counters of 64 bits and a
 * credit limit come to; an amount that is asked for has at most 18, which `parseMoney` sees to.
 */
export const Money = Type.Object(
  {
    amount: Type.String({
      pattern: '^-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,4})?$',
      description: "Decimal number with at most the currency's own number of digits after the point",
      examples: ['1234.56'],
    }),
    currency: Currency,
  },
  { additionalProperties: false, description: 'An amount of money, as a decimal string' },
);

export type Money = Static<typeof Money>;

/** Why an amount cannot be taken. `problem` is a stable code of the error catalogue. */
export interface MoneyRefusal {
  problem: 'unknown_currency' | 'too_many_decimals' | 'amount_too_large';
  detail: string;
}

/**
 * Minor units of an amount: `parseMoney({amount: '12.3', currency: 'BRL'})` is `1230n`. More digits than the
 * currency has are refused, never rounded.
 */
export function parseMoney(money: Money): bigint | MoneyRefusal {
  const exponent = findExponent(money.currency);
  if (exponent === undefined) {
    return { problem: 'unknown_currency', detail: `${money.currency} is not an active ISO 4217 currency.` };
  }
  const [whole = '', fraction = ''] = money.amount.split('.');
  if (fraction.length > exponent) {
    return {
      problem: 'too_many_decimals',
      detail: `${money.amount} has ${fraction.length} digits after the point; ${money.currency} has ${exponent}.`,
    };
  }
  const minor = BigInt(whole + fraction.padEnd(exponent, '0'));
  if (minor > MAX_MINOR || minor < -MAX_MINOR) {
    return {
      problem: 'amount_too_large',
      detail: `${money.amount} ${money.currency} is more than the largest amount, ${formatMoney(MAX_MINOR, money.currency).amount}.`,
    };
  }
  return minor;
}

/** Money at the edge from minor units, always with all digits of the currency: `formatMoney(5n, 'BRL')` is `"0.05"`. */
export function formatMoney(minor: bigint, currency: string): Money {
  const exponent = findExponent(currency);
  if (exponent === undefined) throw new Error(`${currency} is not an ISO 4217 currency`);
  const negative = minor < 0n;
  const digits = (negative ? -minor : minor).toString().padStart(exponent + 1, '0');
  const whole = exponent === 0 ? digits : digits.slice(0, -exponent);
  const fraction = exponent === 0 ? '' : `.${digits.slice(-exponent)}`;
  return { amount: `${negative ? '-' : ''}${whole}${fraction}`, currency };
}
