/** Usage in numbers: how often, with what errors, how fast. */
import { Paper, SimpleGrid, Text } from '@mantine/core';
import type { BodyOf } from '../api/client.ts';
import { useUsageWords } from './usage-words.ts';
import { useLocale } from './words.ts';

export type UsageReport = BodyOf<'/api/v2/usage'>;
export type UsageFigures = UsageReport['totals'];

/** Milliseconds, with as many digits as say something. */
export function durationText(ms: number | null, locale: string): string {
  if (ms === null) return '–';
  const [value, unit] = ms < 1_000 ? ([ms, 'millisecond'] as const) : ([ms / 1_000, 'second'] as const);
  return value.toLocaleString(locale, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
    maximumSignificantDigits: value < 1 ? 1 : 2,
  });
}

export function errorRateText({ calls, errors }: UsageFigures, locale: string): string {
  if (calls === 0) return '–';
  return (errors / calls).toLocaleString(locale, { style: 'percent', maximumFractionDigits: 1 });
}

export function UsageTotals({ totals }: { totals: UsageFigures }) {
  const t = useUsageWords();
  const locale = useLocale();
  return (
    <SimpleGrid component="dl" cols={{ base: 2, xs: 3, md: 6 }} spacing="xs" my={0}>
      {(
        [
          [t('calls'), totals.calls.toLocaleString(locale)],
          [t('errors'), totals.errors.toLocaleString(locale)],
          [t('error_rate'), errorRateText(totals, locale)],
          ['p50', durationText(totals.p50_ms, locale)],
          ['p90', durationText(totals.p90_ms, locale)],
          ['p99', durationText(totals.p99_ms, locale)],
        ] as const
      ).map(([name, value]) => (
        <Paper key={name} withBorder p="xs">
          <Text component="dt" size="xs" c="dimmed">
            {name}
          </Text>
          <Text component="dd" m={0} fw={600} style={{ fontVariantNumeric: 'tabular-nums' }}>
            {value}
          </Text>
        </Paper>
      ))}
    </SimpleGrid>
  );
}
