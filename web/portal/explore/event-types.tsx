/** Every event that there is. */
import { Anchor, Button, Group, Paper, Stack, Table, Text, Title } from '@mantine/core';
import { FileJson } from 'lucide-react';
import { Link } from 'react-router';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useEventTypes } from './asyncapi.ts';
import { useExploreWords } from './explore-words.ts';
import { useFind } from './find.tsx';

export function Page() {
  const t = useExploreWords();
  const { q, field } = useFind();
  const types = useEventTypes();
  const found = (types.data ?? []).filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(q));
  return (
    <Stack gap="sm">
      <title>{`${t('event_types')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('event_types')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('event_types_about')}
      </Text>
      <Group gap="xs">
        {field}
        <Button component="a" href="/asyncapi.json" variant="default" leftSection={<FileJson size={14} />}>
          {t('asyncapi')}
        </Button>
      </Group>
      {types.isError ? (
        <Refused error={types.error} retry={() => void types.refetch()} />
      ) : types.data === undefined ? (
        <Loading />
      ) : found.length === 0 ? (
        <Empty>{t('none_found')}</Empty>
      ) : (
        <Paper withBorder>
          <Table fz="sm" layout="fixed">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('type')}</Table.Th>
                <Table.Th>{t('happens')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {found.map(({ name, title }) => (
                <Table.Tr key={name}>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>
                    <Anchor component={Link} to={`/event-types/${name}`} size="sm" ff="monospace">
                      {name}
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
