/** Every error that there is. */
import { Anchor, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { Link } from 'react-router';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useExploreWords } from './explore-words.ts';
import { useFind } from './find.tsx';
import { useRefusals } from './refusals.ts';

export function Page() {
  const t = useExploreWords();
  const { q, field } = useFind();
  const refusals = useRefusals();
  const found = (refusals.data ?? []).filter(({ code, title, status }) =>
    `${status} ${code} ${title}`.toLowerCase().includes(q),
  );
  return (
    <Stack gap="sm">
      <title>{`${t('errors')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('errors')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('errors_about')}
      </Text>
      {field}
      {refusals.isError ? (
        <Refused error={refusals.error} retry={() => void refusals.refetch()} />
      ) : refusals.data === undefined ? (
        <Loading />
      ) : found.length === 0 ? (
        <Empty>{t('none_found')}</Empty>
      ) : (
        <Paper withBorder>
          <Table fz="sm" layout="fixed">
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={70}>{t('status')}</Table.Th>
                <Table.Th>{t('code')}</Table.Th>
                <Table.Th>{t('title')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {found.map(({ code, status, title }) => (
                <Table.Tr key={code}>
                  <Table.Td>{status}</Table.Td>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>
                    <Anchor component={Link} to={`/errors/${code}`} size="sm" ff="monospace">
                      {code}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>{title}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Paper>
      )}
    </Stack>
  );
}
