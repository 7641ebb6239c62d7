import { Alert, Button, Code, Group, Loader, Stack, Table, Text, Title } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { CircleCheck, TriangleAlert } from 'lucide-react';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { useReportsWords } from './reports-words.ts';

export function Page() {
  const t = useReportsWords();
  return (
    <Stack gap="sm">
      <title>{`${t('integrity')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('integrity')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('integrity_about')}
      </Text>
      <Permitted permission="integrity:read">
        <Checks />
      </Permitted>
    </Stack>
  );
}

function Checks() {
  const t = useReportsWords();
  const locale = useLocale();
  const check = useMutation({
    mutationFn: (deep: boolean) => get('/api/v2/integrity', { query: { deep } }),
  });
  const report = check.data;
  return (
    <Stack gap="sm">
      <Group gap="xs">
        <Button onClick={() => check.mutate(true)} disabled={check.isPending}>
          {t('check_all')}
        </Button>
        <Button variant="default" onClick={() => check.mutate(false)} disabled={check.isPending}>
          {t('check_recent')}
        </Button>
        <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/integrity' }]} />
      </Group>
      {check.isPending && (
        <Group gap="xs" role="status">
          <Loader size="xs" />
          <Text size="sm">{t('checking')}</Text>
        </Group>
      )}
      {check.isError && <Refused error={check.error} />}
      {report !== undefined && (
        <>
          <Alert
            color={report.ok ? 'teal' : 'red'}
            icon={report.ok ? <CircleCheck size={18} /> : <TriangleAlert size={18} />}
            title={t(report.ok ? 'whole' : 'damaged')}
            role="status"
          >
            <Facts
              facts={[
                [t('position'), report.position.toLocaleString(locale)],
                [t('sealed'), report.sealed_position.toLocaleString(locale)],
                [t('checked_at'), <Moment key="c" at={report.checked_at} />],
                [t('sealed_hash'), <Code key="h">{report.sealed_hash ?? '–'}</Code>],
              ]}
            />
          </Alert>
          <Section>
            <Table fz="sm" verticalSpacing={4}>
              <Table.Tbody>
                {report.checks.map((one) => (
                  <Table.Tr key={one.name}>
                    <Table.Td w={32}>
                      {one.ok ? (
                        <CircleCheck size={16} color="var(--mantine-color-teal-6)" aria-hidden />
                      ) : (
                        <TriangleAlert size={16} color="var(--mantine-color-error)" aria-hidden />
                      )}
                    </Table.Td>
                    <Table.Td>
                      {one.meaning}
                      {one.findings.map((finding) => (
                        <Text
                          key={`${finding.subject} ${finding.detail}`}
                          size="sm"
                          c="var(--mantine-color-error)"
                        >
                          {finding.subject}: {finding.detail}
                        </Text>
                      ))}
                      {one.more && <Text size="sm">{t('more')}</Text>}
                    </Table.Td>
                    <Table.Td ta="right" style={{ whiteSpace: 'nowrap' }}>
                      {t('checked', { count: one.checked.toLocaleString(locale) })}
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Section>
        </>
      )}
    </Stack>
  );
}
