import { Anchor, Code, Stack, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { HeldState } from './held-state.tsx';
import { usePlatformWords } from './platform-words.ts';

export function Page() {
  return (
    <Permitted permission="events:read">
      <EventPage />
    </Permitted>
  );
}

function EventPage() {
  const t = usePlatformWords();
  const may = useMay();
  const { event_id = '' } = useParams();
  const ids = { event_id };
  const found = useQuery({
    queryKey: ['event', event_id],
    queryFn: () => get('/api/v2/events/{event_id}', { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const event = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={event.type}
        id={event.id}
        actions={<ApiCallButton calls={[{ method: 'GET', path: '/api/v2/events/{event_id}', ids }]} />}
      />
      <Section>
        <Facts
          facts={[
            [t('subject'), <IdLink key="s" id={event.subject} />],
            [t('when'), <Moment key="w" at={event.time} />],
            [t('source'), event.source],
            [t('sequence'), event.sequence],
            ...(event.ledgerposition === undefined ? [] : [[t('position'), event.ledgerposition] as const]),
            [t('partition'), <CopyId key="p" id={event.partitionkey} />],
            ...(event.traceparent === undefined
              ? []
              : [['traceparent', <CopyId key="t" id={event.traceparent} />] as const]),
          ]}
        />
        <Anchor
          component={Link}
          to={`/events?${new URLSearchParams({ subject: event.subject }).toString()}`}
          size="sm"
        >
          {t('all_of_subject')}
        </Anchor>
      </Section>
      {may('held_events:read') && <Holders event_id={event.id} />}
      {may('webhooks:read') && (
        <Section title={t('sent_to')}>
          <Sent event_id={event.id} />
        </Section>
      )}
      <Section title={t('as_json')}>
        <Code block tabIndex={0}>
          {JSON.stringify(event, null, 2)}
        </Code>
      </Section>
    </Stack>
  );
}

/** Consumers that could not take the event yet. The list is of those held now, which are few. */
function Holders({ event_id }: { event_id: string }) {
  const t = usePlatformWords();
  const held = useQuery({
    queryKey: ['held-of', event_id],
    queryFn: () => get('/api/v2/held-events', { query: { limit: 100 } }),
  });
  const holders = (held.data?.data ?? []).filter((one) => one.event_id === event_id);
  return (
    <Section title={t('held_by')}>
      {held.isError ? (
        <Refused error={held.error} retry={() => void held.refetch()} />
      ) : held.data === undefined ? (
        <Loading />
      ) : holders.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t(held.data.next_cursor === null ? 'held_by_nobody' : 'held_by_nobody_here')}
        </Text>
      ) : (
        <Table fz="sm">
          <Table.Tbody>
            {holders.map((one) => (
              <Table.Tr key={one.consumer}>
                <Table.Td>
                  <Anchor component={Link} to={`/held-events/${one.consumer}/${event_id}`} size="sm">
                    {one.consumer}
                  </Anchor>
                </Table.Td>
                <Table.Td>
                  <HeldState state={one.state} />
                </Table.Td>
                <Table.Td>{one.reason}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Section>
  );
}

/** The webhooks that carried the event. */
function Sent({ event_id }: { event_id: string }) {
  const t = usePlatformWords();
  const sent = useQuery({
    queryKey: ['deliveries-of', event_id],
    queryFn: () => get('/api/v2/webhooks/deliveries', { query: { event_id, limit: 100 } }),
  });
  if (sent.isError) return <Refused error={sent.error} retry={() => void sent.refetch()} />;
  if (sent.data === undefined) return <Loading />;
  if (sent.data.data.length === 0) return <Empty>{t('sent_nowhere')}</Empty>;
  return (
    <Table fz="sm">
      <Table.Tbody>
        {sent.data.data.map((delivery) => (
          <Table.Tr key={delivery.id}>
            <Table.Td>
              <IdLink id={delivery.id} short />
            </Table.Td>
            <Table.Td>
              <IdLink id={delivery.endpoint_id} short />
            </Table.Td>
            <Table.Td>{t(`delivery_${delivery.status}`)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
