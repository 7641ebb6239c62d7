import { Badge, Group } from '@mantine/core';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { List, ListPage } from '../list-page.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { WebhookStatus } from './status.tsx';
import { useWebhookWords } from './webhook-words.ts';

const states = ['waiting', 'pending', 'delivered', 'failed', 'missed'] as const;

export function Page() {
  const t = useWebhookWords();
  const list = useDeliveryList();
  return <ListPage title={t('deliveries')} about={t('deliveries_about')} {...list} />;
}

/** What was sent to an endpoint. */
export function DeliveryList({ endpoint_id }: { endpoint_id: string }) {
  const list = useDeliveryList();
  return (
    <List
      {...list}
      fixed={{ endpoint_id }}
      filters={(list.filters ?? []).filter(({ name }) => name !== 'endpoint_id')}
      columns={list.columns.filter(({ name }) => name !== 'endpoint')}
    />
  );
}

function useDeliveryList() {
  const t = useWebhookWords();
  const list: Parameters<typeof List<'/api/v2/webhooks/deliveries'>>[0] = {
    path: '/api/v2/webhooks/deliveries',
    permission: 'webhooks:read',
    keyOf: ({ id }) => id,
    to: ({ id }) => `/webhook-deliveries/${id}`,
    empty: t('no_deliveries'),
    filters: [
      {
        name: 'status',
        label: t('status'),
        choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
      },
      { name: 'event_type', label: t('event_type') },
      { name: 'event_id', label: t('event_id') },
      { name: 'endpoint_id', label: t('endpoint_id') },
    ],
    columns: [
      {
        name: 'event_type',
        title: t('event_type'),
        value: ({ event_type }) => event_type,
        show: ({ event_type, is_test }) => (
          <Group gap={6}>
            {event_type}
            {is_test && (
              <Badge size="xs" variant="default">
                {t('test')}
              </Badge>
            )}
          </Group>
        ),
      },
      {
        name: 'id',
        title: t('id'),
        value: ({ id }) => id,
        show: ({ id }) => <CopyId id={id} to={`/webhook-deliveries/${id}`} short />,
        wide: true,
      },
      {
        name: 'endpoint',
        title: t('endpoint'),
        value: ({ endpoint_id }) => endpoint_id,
        show: ({ endpoint_id }) => <IdLink id={endpoint_id} short />,
        wide: true,
      },
      {
        name: 'subject',
        title: t('subject'),
        value: ({ subject }) => subject,
        show: ({ subject }) => <IdLink id={subject} short />,
        wide: true,
      },
      {
        name: 'status',
        title: t('status'),
        value: ({ status }) => status,
        show: ({ status }) => <WebhookStatus status={status} />,
      },
      {
        name: 'attempts',
        title: t('attempts'),
        value: ({ attempts }) => attempts,
        align: 'right',
        order: 'number',
        wide: true,
      },
      {
        name: 'next_attempt_at',
        title: t('next_attempt'),
        value: ({ next_attempt_at }) => next_attempt_at,
        show: ({ next_attempt_at }) => <Moment at={next_attempt_at} />,
        wide: true,
      },
      {
        name: 'event_time',
        title: t('event_time'),
        value: ({ event_time }) => event_time,
        show: ({ event_time }) => <Moment at={event_time} />,
        wide: true,
      },
    ],
  };
  return list;
}
