/** An event, with the consumers that could not take it yet. */
import { Anchor, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { EventPage } from '../../ui/events/event.tsx';
import { Section } from '../../ui/facts.tsx';
import { useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { HeldState } from './held-state.tsx';
import { usePlatformWords } from './platform-words.ts';

export function Page() {
  const may = useMay();
  return <EventPage more={(event_id) => may('held_events:read') && <Holders event_id={event_id} />} />;
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
