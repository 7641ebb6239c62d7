/** Moving money between currencies at a rate. */
import { findExponent } from '../../platform/currencies.ts';

const RATE_DIGITS = 12;

/**
 * The credited amount for a debited one, in minor units of their currencies, rounded half to even.
 *
 * @param rate decimal: units of the credited currency for one unit of the debited currency
 */
export function convert(debited: bigint, from: string, to: string, rate: string): bigint {
  const fromExponent = findExponent(from);
  const toExponent = findExponent(to);
  if (fromExponent === undefined || toExponent === undefined)
    throw new Error(`no exponent for ${from} or ${to}`);
  const [whole = '', fraction = ''] = rate.split('.');
  const scaledRate = BigInt(whole + fraction.padEnd(RATE_DIGITS, '0'));
  const numerator = debited * scaledRate * 10n ** BigInt(toExponent);
  const denominator = 10n ** BigInt(RATE_DIGITS + fromExponent);
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}
