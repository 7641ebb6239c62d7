/** What the audit trail has about a thing: who changed it, when, and what came of it. */
import { Badge, Code, Drawer, Group, Stack, Text, Timeline } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { get } from '../api/client.ts';
import { Moment } from './figures.tsx';
import { Empty, Loading, Refused } from './states.tsx';
import { useUiWords } from './ui-words.ts';

export default function HistoryDrawer({ subject, onClose }: { subject: string; onClose: () => void }) {
  const t = useUiWords();
  return (
    <Drawer
      opened
      onClose={onClose}
      position="right"
      size="lg"
      title={t('history')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <HistoryOf subject={subject} />
    </Drawer>
  );
}

function HistoryOf({ subject }: { subject: string }) {
  const t = useUiWords();
  const records = useQuery({
    queryKey: ['history', subject],
    queryFn: () => get('/api/v2/audit', { query: { subject, limit: 100 } }),
  });
  if (records.isError) return <Refused error={records.error} retry={() => void records.refetch()} />;
  if (records.data === undefined) return <Loading />;
  if (records.data.data.length === 0) return <Empty>{t('history_empty')}</Empty>;
  return (
    <Timeline bulletSize={14} lineWidth={2} active={-1}>
      {records.data.data.map((record) => (
        <Timeline.Item key={record.id} title={`${record.method} ${record.route ?? record.path}`}>
          <Stack gap={2}>
            <Group gap="xs">
              <Text size="sm">{record.principal.name}</Text>
              <Badge size="sm" variant="light" color={record.outcome === 'done' ? 'tide' : 'red'}>
                {record.outcome}
              </Badge>
            </Group>
            <Text size="xs" c="dimmed">
              <Moment at={record.occurred_at} />
            </Text>
            {record.after !== undefined && (
              <Code block tabIndex={0}>
                {JSON.stringify(record.after, null, 2)}
              </Code>
            )}
          </Stack>
        </Timeline.Item>
      ))}
    </Timeline>
  );
}
