import { Anchor, Code, Stack, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link, useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../api-call.tsx';
import { CopyId } from '../copy-id.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { Permitted, useMay } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Empty, Loading, Refused } from '../states.tsx';
import { useEventWords } from './event-words.ts';

export function Page() {
  return <EventPage />;
}

/** @param props.more what else there is to be known of an event, shown after what it is */
export function EventPage({ more }: { more?: (event_id: string) => ReactNode }) {
  return (
    <Permitted permission="events:read">
      <Found more={more} />
    </Permitted>
  );
}

function Found({ more }: { more: ((event_id: string) => ReactNode) | undefined }) {
  const t = useEventWords();
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
      {more?.(event.id)}
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

/** The webhooks that carried the event. */
function Sent({ event_id }: { event_id: string }) {
  const t = useEventWords();
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
