/** Amounts as the prototype wrote them: major units in JSON, hundredths in the path of a transfer. */
import { findExponent } from '../../../platform/currencies.ts';
import { formatMoney, MAX_MINOR } from '../../../platform/money.ts';
import { type Problem, refuse } from '../../../platform/problem.ts';
import { type NumberLiteral, numberLiteral } from './json.ts';

function exponentOf(currency: string): number {
  const exponent = findExponent(currency);
  if (exponent === undefined) throw new Error(`${currency} is not an ISO 4217 currency`);
  return exponent;
}

function malformed(pointer: string, detail: string): Problem {
  return refuse('malformed_request', `${pointer} ${detail}.`, { errors: [{ pointer, detail }] });
}

/** Grammar of a JSON number (RFC 8259, section 6): sign, whole part, fraction, exponent. */
const jsonNumber = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;
const MAX_DIGITS = MAX_MINOR.toString().length;
/** No honest number is longer, and the ones that are shall not be worked on. */
const MAX_CHARACTERS = 100;

/**
 * A balance that was asked for, in minor units: `minorOfBalance('1.05e1', 'BRL')` is `1050n`. What it says is taken
 * exactly or refused with 400: not a number, negative, more decimals than the currency has, too large.
 */
export function minorOfBalance(text: string, currency: string): bigint {
  const exponent = exponentOf(currency);
  const refused = (detail: string) => malformed('/balance', detail);
  const [matched, sign, whole = '', fraction = '', power = '0'] =
    text.length > MAX_CHARACTERS ? [] : (jsonNumber.exec(text) ?? []);
  if (matched === undefined) throw refused('must be a decimal number');
  const written = (whole + fraction).replace(/^0+/, '');
  const digits = written.replace(/0+$/, '');
  if (digits === '') return 0n;
  if (sign === '-') throw refused('must not be negative');
  const zeros = written.length - digits.length - fraction.length + Number(power) + exponent;
  if (zeros < 0) {
    throw refused(`has more than the ${exponent} digits after the point that ${currency} has`);
  }
  if (digits.length + zeros > MAX_DIGITS) {
    throw refused(`must be at most ${formatMoney(MAX_MINOR, currency).amount}`);
  }
  return BigInt(digits + '0'.repeat(zeros));
}

/**
 * The amount in the path of a transfer, in minor units: hundredths of the major unit, whatever the currency's own
 * minor unit is. 150 hundredths of JPY are refused, 150 of KWD are 1500 minor units.
 */
export function minorOfHundredths(text: string, currency: string): bigint {
  const refused = (detail: string) => malformed('path amount', detail);
  if (!/^[0-9]+$/.test(text) || /^0+$/.test(text)) {
    throw refused('must be an integer number of hundredths above zero');
  }
  const scaled = BigInt(text) * 10n ** BigInt(exponentOf(currency));
  if (scaled % 100n !== 0n) throw refused(`is no whole number of the smallest unit of ${currency}`);
  const minor = scaled / 100n;
  if (minor > MAX_MINOR) throw refused('is too large');
  return minor;
}

/** A balance as it is answered: `12.30` for `1230n` of BRL. */
export function literalOf(minor: bigint, currency: string): NumberLiteral {
  return numberLiteral(formatMoney(minor, currency).amount);
}
