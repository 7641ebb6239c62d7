/** Calls and errors over time, and how long answers took. */
import { SimpleGrid } from '@mantine/core';
import { useMemo } from 'react';
import { Section } from './facts.tsx';
import { Chart } from './lazy-chart.tsx';
import { Empty } from './states.tsx';
import { durationText, type UsageReport } from './usage-figures.tsx';
import { useUsageWords } from './usage-words.ts';
import { useLocale } from './words.ts';

type Series = UsageReport['series'];

export function UsageCharts({ series }: { series: Series }) {
  const t = useUsageWords();
  const locale = useLocale();
  const [answered, refused, failed] = [t('answered'), t('client_errors'), t('server_errors')];
  const [half, most] = [t('half'), t('most')];
  const calls = useMemo(() => {
    const bars = (name: string, count: (point: Series[number]) => number) => ({
      name,
      kind: 'bar' as const,
      stack: 'calls',
      points: series.map((point) => [Date.parse(point.starts_at), count(point)] as const),
    });
    return [
      bars(answered, (point) => point.calls - point.errors),
      bars(refused, (point) => point.errors - point.server_errors),
      bars(failed, (point) => point.server_errors),
    ];
  }, [series, answered, refused, failed]);
  const latency = useMemo(() => {
    const line = (name: string, of: (point: Series[number]) => number | null) => ({
      name,
      kind: 'line' as const,
      points: series.flatMap((point) => {
        const ms = of(point);
        return ms === null ? [] : [[Date.parse(point.starts_at), ms] as const];
      }),
    });
    return [line(most, ({ p99_ms }) => p99_ms), line(half, ({ p50_ms }) => p50_ms)];
  }, [series, half, most]);
  const span = useMemo((): readonly [number, number] | undefined => {
    const [first, last] = [series[0], series.at(-1)];
    return first === undefined || last === undefined
      ? undefined
      : [Date.parse(first.starts_at), Date.parse(last.starts_at)];
  }, [series]);
  const count = useMemo(() => (value: number) => value.toLocaleString(locale), [locale]);
  const duration = useMemo(() => (value: number) => durationText(value, locale), [locale]);
  if (series.every((point) => point.calls === 0)) {
    return (
      <Section title={t('calls')}>
        <Empty>{t('no_calls')}</Empty>
      </Section>
    );
  }
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
      <Section title={t('calls')}>
        <Chart label={t('calls')} axis="time" series={calls} format={count} />
      </Section>
      <Section title={t('latency')}>
        <Chart
          label={t('latency')}
          axis="time"
          {...(span === undefined ? {} : { span })}
          series={latency}
          format={duration}
        />
      </Section>
    </SimpleGrid>
  );
}
