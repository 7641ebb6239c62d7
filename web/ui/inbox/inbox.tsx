/** What one was told in the application. */
import { Badge, Button, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Check } from 'lucide-react';
import { act } from '../../api/act.ts';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { List } from '../list-page.tsx';
import { useInboxWords } from './inbox-words.ts';

export function Page() {
  const t = useInboxWords();
  return (
    <Stack gap="sm">
      <title>{`${t('inbox')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('inbox')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('about')}
      </Text>
      <List
        path="/api/v2/self/inbox"
        permission="self:read"
        keyOf={({ id }) => id}
        empty={t('nothing')}
        filters={[{ name: 'unread', label: t('show'), choices: [{ value: 'true', label: t('unread') }] }]}
        columns={[
          {
            name: 'message',
            title: t('message'),
            value: ({ subject = '', text = '' }) => `${subject} ${text}`.trim(),
            show: ({ subject, text, read_at, urgent }) => (
              <div style={{ maxWidth: 680 }}>
                <Text size="sm" fw={read_at === undefined ? 700 : 400}>
                  {subject ?? t('message')}{' '}
                  {urgent && (
                    <Badge size="xs" color="red" variant="light">
                      {t('urgent')}
                    </Badge>
                  )}
                </Text>
                <Text size="sm" c="dimmed" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
                  {text ?? t('forgotten')}
                </Text>
              </div>
            ),
          },
          { name: 'topic', title: t('topic'), value: ({ topic }) => topic, wide: true },
          {
            name: 'sent_at',
            title: t('sent'),
            value: ({ sent_at }) => sent_at,
            show: ({ sent_at }) => <Moment at={sent_at} />,
            wide: true,
          },
          {
            name: 'id',
            title: t('id'),
            value: ({ id }) => id,
            show: ({ id }) => <CopyId id={id} short />,
            wide: true,
          },
          {
            name: 'acts',
            title: t('acts'),
            value: ({ read_at }) => read_at,
            show: ({ id, read_at }) =>
              read_at === undefined ? <ReadButton id={id} /> : <Moment at={read_at} />,
          },
        ]}
      />
    </Stack>
  );
}

function ReadButton({ id }: { id: string }) {
  const t = useInboxWords();
  const queries = useQueryClient();
  const reading = useMutation({
    mutationFn: () => act('post', '/api/v2/self/inbox/{message_id}/read', { ids: { message_id: id } }),
    onSuccess: () => queries.invalidateQueries(),
  });
  return (
    <Button
      variant="default"
      leftSection={<Check size={14} />}
      loading={reading.isPending}
      onClick={() => reading.mutate()}
    >
      {t('mark_read')}
    </Button>
  );
}
