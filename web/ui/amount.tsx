/** An amount of money as it is typed: a decimal number with no more digits than its currency has. */
import { Text, TextInput } from '@mantine/core';
import { useUiWords } from './ui-words.ts';

/** How many digits a currency has after the point. */
function exponentOf(currency: string): number {
  return (
    new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  );
}

/** What the API takes for what was typed, with a point or a comma; undefined where it is no amount above zero. */
export function parseAmount(typed: string, currency: string): string | undefined {
  const text = typed.trim().replace(',', '.');
  if (!/^\d{1,18}(\.\d+)?$/.test(text) || /^0*(\.0*)?$/.test(text)) return undefined;
  const [whole = '', fraction = ''] = text.split('.');
  if (fraction.length > exponentOf(currency)) return undefined;
  return `${whole.replace(/^0+(?=\d)/, '')}${fraction === '' ? '' : `.${fraction}`}`;
}

export function AmountInput({
  label,
  typed,
  onType,
  currency,
  required = true,
}: {
  label: string;
  typed: string;
  onType: (typed: string) => void;
  /** Undefined as long as nobody knows it. */
  currency: string | undefined;
  required?: boolean;
}) {
  const t = useUiWords();
  const isWrong = typed !== '' && currency !== undefined && parseAmount(typed, currency) === undefined;
  return (
    <TextInput
      label={label}
      required={required}
      inputMode="decimal"
      autoComplete="off"
      value={typed}
      onChange={(event) => onType(event.currentTarget.value)}
      rightSection={
        <Text span size="xs" c="dimmed">
          {currency}
        </Text>
      }
      rightSectionWidth={48}
      error={isWrong ? t('amount_wrong', { digits: exponentOf(currency) }) : undefined}
    />
  );
}
