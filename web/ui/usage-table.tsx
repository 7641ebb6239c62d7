/** Usage by whatever it was grouped by: a line for each, those with most calls first. */
import { Button, Group, Table, Text, Tooltip } from '@mantine/core';
import { Download } from 'lucide-react';
import type { ReactNode } from 'react';
import { saveCsv } from './csv.ts';
import { Section } from './facts.tsx';
import { Empty } from './states.tsx';
import { useUiWords } from './ui-words.ts';
import { durationText, errorRateText, type UsageReport } from './usage-figures.tsx';
import { useUsageWords } from './usage-words.ts';
import { useLocale } from './words.ts';

type UsageGroup = UsageReport['groups'][number];

export function UsageTable({
  title,
  groups,
  left_out,
  nameOf,
  show,
  aside,
}: {
  /** What it is grouped by. */
  title: string;
  groups: readonly UsageGroup[];
  /** How many there are beside these. */
  left_out: number;
  /** What tells one group from the others, as text. */
  nameOf: (group: UsageGroup) => string;
  /** How that is seen; the text if absent. */
  show?: (group: UsageGroup) => ReactNode;
  /** Stands beside the title. */
  aside?: ReactNode;
}) {
  const t = useUsageWords();
  const ui = useUiWords();
  const locale = useLocale();
  const save = () =>
    saveCsv(
      'usage',
      [title, t('calls'), t('errors'), 'p50 ms', 'p90 ms', 'p99 ms'],
      groups.map((group) => [
        nameOf(group),
        group.calls,
        group.errors,
        group.p50_ms ?? '',
        group.p90_ms ?? '',
        group.p99_ms ?? '',
      ]),
    );
  return (
    <Section
      title={title}
      aside={
        <Group gap={6}>
          {aside}
          <Tooltip label={ui('export_hint')}>
            <Button
              variant="default"
              leftSection={<Download size={14} />}
              onClick={() => void save()}
              disabled={groups.length === 0}
            >
              CSV
            </Button>
          </Tooltip>
        </Group>
      }
    >
      {groups.length === 0 ? (
        <Empty>{t('no_calls')}</Empty>
      ) : (
        <Table.ScrollContainer minWidth={640}>
          <Table fz="sm" verticalSpacing={4} style={{ fontVariantNumeric: 'tabular-nums' }}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{title}</Table.Th>
                <Table.Th ta="right">{t('calls')}</Table.Th>
                <Table.Th ta="right">{t('errors')}</Table.Th>
                <Table.Th ta="right">{t('error_rate')}</Table.Th>
                <Table.Th ta="right">p50</Table.Th>
                <Table.Th ta="right">p90</Table.Th>
                <Table.Th ta="right">p99</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {groups.map((group) => (
                <Table.Tr key={nameOf(group)}>
                  <Table.Td miw={220} style={{ overflowWrap: 'anywhere' }}>
                    {show?.(group) ?? nameOf(group)}
                  </Table.Td>
                  <Table.Td ta="right">{group.calls.toLocaleString(locale)}</Table.Td>
                  <Table.Td ta="right">{group.errors.toLocaleString(locale)}</Table.Td>
                  <Table.Td ta="right">{errorRateText(group, locale)}</Table.Td>
                  <Table.Td ta="right">{durationText(group.p50_ms, locale)}</Table.Td>
                  <Table.Td ta="right">{durationText(group.p90_ms, locale)}</Table.Td>
                  <Table.Td ta="right">{durationText(group.p99_ms, locale)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {left_out > 0 && (
        <Text size="xs" c="dimmed">
          {t('left_out', { count: left_out })}
        </Text>
      )}
    </Section>
  );
}
