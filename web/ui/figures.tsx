/** Money, numbers and times, as they are written where the reader is. */
import { Text, Tooltip } from '@mantine/core';
import { useLocale } from './words.ts';

export interface MoneyValue {
  amount: string;
  currency: string;
}

/** Money as text, exact: the amount stays a decimal string. */
export function moneyText({ amount, currency }: MoneyValue, locale: string): string {
  const exponent = amount.split('.')[1]?.length ?? 0;
  const format = new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return isDecimal(amount) ? format.format(amount) : `${amount} ${currency}`;
}

/** Money beside a chart, where a number near the amount will do. */
export function roundMoneyText(value: number, currency: string, locale: string): string {
  return new Intl.NumberFormat(locale, {
    style: 'currency',
    currency,
    notation: Math.abs(value) >= 100_000 ? 'compact' : 'standard',
  }).format(value);
}

/** Numbers that the formatter takes as text, so that none of their digits is lost. */
function isDecimal(text: string): text is `${number}` {
  return /^-?\d+(\.\d+)?$/.test(text);
}

export function Money({ value, fw }: { value: MoneyValue | null | undefined; fw?: number }) {
  const locale = useLocale();
  if (value === null || value === undefined) return <Text span>–</Text>;
  const isNegative = value.amount.startsWith('-');
  return (
    <Text
      span
      inherit
      {...(fw === undefined ? {} : { fw })}
      style={{ fontVariantNumeric: 'tabular-nums', whiteSpace: 'nowrap' }}
      {...(isNegative ? { c: 'var(--mantine-color-error)' } : {})}
    >
      {moneyText(value, locale)}
    </Text>
  );
}

/** A day as the reader's language writes it, with all digits of the year: of 02/03/04 each reader makes another day. */
const day = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;

/** A moment, in the reader's time zone; what was recorded, to the letter, when pointed at. */
export function Moment({ at }: { at: string | null | undefined }) {
  const locale = useLocale();
  if (at === null || at === undefined) return <Text span>–</Text>;
  const text = new Date(at).toLocaleString(locale, {
    ...day,
    hour: 'numeric',
    minute: '2-digit',
    second: '2-digit',
  });
  return (
    <Tooltip label={at}>
      <Text span inherit style={{ whiteSpace: 'nowrap', fontVariantNumeric: 'tabular-nums' }}>
        <time dateTime={at}>{text}</time>
      </Text>
    </Tooltip>
  );
}

/** A business date, which has no time zone. */
export function DayText({ date }: { date: string | null | undefined }) {
  const locale = useLocale();
  if (date === null || date === undefined) return <Text span>–</Text>;
  const text = new Date(`${date}T00:00:00Z`).toLocaleDateString(locale, {
    ...day,
    timeZone: 'UTC',
  });
  return (
    <time dateTime={date} style={{ whiteSpace: 'nowrap' }}>
      {text}
    </time>
  );
}
