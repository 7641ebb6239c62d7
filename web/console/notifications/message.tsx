import { Code, Group, Stack, Text, Timeline } from '@mantine/core';
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
import { Content } from './content.tsx';
import { useNotificationWords } from './notification-words.ts';
import { NotificationState } from './states.tsx';

const PATH = '/api/v2/notifications/messages/{message_id}';

export function Page() {
  return (
    <Permitted permission="notifications:read">
      <MessagePage />
    </Permitted>
  );
}

function MessagePage() {
  const t = useNotificationWords();
  const { message_id = '' } = useParams();
  const ids = { message_id };
  const found = useQuery({ queryKey: ['message', message_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const message = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={`${message.topic} · ${t(`by_${message.channel}`)}`}
        id={message.id}
        badge={<NotificationState state={message.state} />}
        actions={
          <>
            <HistoryButton subject={message.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('recipient'), <IdLink key="r" id={message.recipient_id} short />],
            [t('cause'), <IdLink key="c" id={message.cause} short />],
            [
              t('address'),
              // In the application a recipient is their own address.
              message.address === message.recipient_id ? (
                <IdLink key="a" id={message.address} short />
              ) : (
                (message.address ?? '–')
              ),
            ],
            [t('template'), <IdLink key="t" id={message.template.id} short />],
            [t('language'), message.template.language],
            [t('urgent'), t(message.urgent ? 'yes' : 'no')],
            [t('due'), <Moment key="d" at={message.due_at} />],
            [t('sent'), <Moment key="s" at={message.sent_at} />],
            [t('read'), <Moment key="e" at={message.read_at} />],
            [t('attempts'), String(message.attempts)],
            [t('delivered_by'), message.delivered_by ?? '–'],
          ]}
        />
      </Section>
      <Section title={t('why_so')}>
        <Timeline bulletSize={14} lineWidth={2} active={-1}>
          {message.steps.map((step) => (
            <Timeline.Item
              key={`${step.at} ${step.reason}`}
              title={
                <Group gap="xs">
                  <NotificationState state={step.state} />
                  <Code>{step.reason}</Code>
                </Group>
              }
            >
              <Text size="sm">{step.detail}</Text>
              <Text size="xs" c="dimmed">
                <Moment at={step.at} />
              </Text>
            </Timeline.Item>
          ))}
        </Timeline>
      </Section>
      {message.content !== undefined && (
        <Section title={t('what_it_says')}>
          <Content content={message.content} />
        </Section>
      )}
      {message.data !== undefined && (
        <Section title={t('data')}>
          <Code block tabIndex={0}>
            {JSON.stringify(message.data, null, 2)}
          </Code>
        </Section>
      )}
    </Stack>
  );
}
