import { Badge, Stack, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { channels, MessagesOf } from './messages.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';

const PATH = '/api/v2/notifications/recipients/{recipient_id}';

export function Page() {
  return (
    <Permitted permission="notifications:read">
      <RecipientPage />
    </Permitted>
  );
}

function RecipientPage() {
  const t = useNotificationWords();
  const { recipient_id = '' } = useParams();
  const ids = { recipient_id };
  const found = useQuery({ queryKey: ['recipient', recipient_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const recipient = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={recipient.name}
        id={recipient.id}
        badge={<NotificationState state={recipient.status} />}
        actions={
          <>
            <HistoryButton subject={recipient.id} />
            <ApiCallButton
              calls={[
                { method: 'GET', path: PATH, ids },
                { method: 'GET', path: `${PATH}/preferences`, ids },
              ]}
            />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('kind'), t(`kind_${recipient.kind}`)],
            [t('reference'), <IdLink key="f" id={recipient.reference} short />],
            [t('by_email'), recipient.email ?? '–'],
            [t('phone'), recipient.phone ?? '–'],
            [t('by_webhook'), recipient.webhook_url ?? '–'],
            [t('language'), recipient.language],
            [t('time_zone'), recipient.time_zone],
            [
              t('quiet_hours'),
              recipient.quiet_hours === undefined
                ? '–'
                : `${recipient.quiet_hours.from}–${recipient.quiet_hours.to}`,
            ],
            [t('digest_at'), recipient.digest_at],
            [
              t('subscriptions'),
              recipient.subscriptions.length === 0 ? '–' : recipient.subscriptions.join(', '),
            ],
            [t('created'), <Moment key="c" at={recipient.created_at} />],
            [t('created_by'), <IdLink key="b" id={recipient.created_by} short />],
          ]}
        />
      </Section>
      <Section title={t('how_reached')}>
        <Preferences ids={ids} />
      </Section>
      <Section title={t('messages')}>
        <MessagesOf recipient_id={recipient.id} />
      </Section>
    </Stack>
  );
}

const colors = { on: 'teal', off: 'gray', digest: 'blue' } as const;

function Preferences({ ids }: { ids: { recipient_id: string } }) {
  const t = useNotificationWords();
  const preferences = useQuery({
    queryKey: ['preferences', ids.recipient_id],
    queryFn: () => get(`${PATH}/preferences`, { ids }),
  });
  if (preferences.isError) {
    return <Refused error={preferences.error} retry={() => void preferences.refetch()} />;
  }
  if (preferences.data === undefined) return <Loading />;
  const rows = preferences.data.data;
  const topics = [...new Set(rows.map(({ topic }) => topic))];
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('topic')}</Table.Th>
            {channels.map((channel) => (
              <Table.Th key={channel}>{t(`by_${channel}`)}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {topics.map((topic) => (
            <Table.Tr key={topic}>
              <Table.Td>{topic}</Table.Td>
              {channels.map((channel) => {
                const found = rows.find((row) => row.topic === topic && row.channel === channel);
                return (
                  <Table.Td key={channel}>
                    {found === undefined ? (
                      '–'
                    ) : (
                      <Badge
                        size="sm"
                        variant="light"
                        color={colors[found.setting]}
                        title={t(`because_${found.because}`)}
                      >
                        {t(`setting_${found.setting}`)}
                      </Badge>
                    )}
                  </Table.Td>
                );
              })}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
