/** Amounts and dates of requests, or the refusal they deserve. */
import { type Money, parseMoney } from '../../platform/money.ts';
import { refuse } from './errors.ts';

function minorOf(money: Money): bigint {
  const minor = parseMoney(money);
  if (typeof minor === 'bigint') return minor;
  throw refuse(minor.problem, minor.detail);
}

/** An amount that moves: above zero. */
export function positiveAmount(money: Money): bigint {
  const minor = minorOf(money);
  if (minor <= 0n)
    throw refuse('amount_not_positive', `${money.amount} ${money.currency} is not above zero.`);
  return minor;
}

/** An amount that may be zero, as a credit limit may. */
export function nonNegativeAmount(money: Money): bigint {
  const minor = minorOf(money);
  if (minor < 0n) throw refuse('amount_negative', `${money.amount} ${money.currency} is negative.`);
  return minor;
}

const EARLIEST = '1900-01-01';

/** A `YYYY-MM-DD` that exists in the calendar. */
export function existingDate(text: string): string {
  const date = new Date(`${text}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text || text < EARLIEST) {
    throw refuse('effective_date_invalid', `${text} is not a date from ${EARLIEST} on.`);
  }
  return text;
}
