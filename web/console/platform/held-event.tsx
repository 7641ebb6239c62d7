import { Code, Stack } from '@mantine/core';
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
import { DiscardButton, RedriveButton } from './held-acts.tsx';
import { HeldState } from './held-state.tsx';
import { usePlatformWords } from './platform-words.ts';

const PATH = '/api/v2/consumers/{consumer}/held-events/{event_id}';

export function Page() {
  return (
    <Permitted permission="held_events:read">
      <HeldEventPage />
    </Permitted>
  );
}

function HeldEventPage() {
  const t = usePlatformWords();
  const { consumer = '', event_id = '' } = useParams();
  const ids = { consumer, event_id };
  const found = useQuery({
    queryKey: ['held-event', consumer, event_id],
    queryFn: () => get(PATH, { ids }),
    // Once it was taken it is held no more.
    retry: false,
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const held = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={t('held_by_consumer', { consumer: held.consumer })}
        id={held.event_id}
        badge={<HeldState state={held.state} />}
        actions={
          <>
            <RedriveButton consumer={held.consumer} event_id={held.event_id} />
            {held.state !== 'waiting' && <DiscardButton consumer={held.consumer} event_id={held.event_id} />}
            <HistoryButton subject={held.event_id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('event_type'), held.type],
            [t('event'), <IdLink key="e" id={held.event_id} short />],
            [t('subject'), <IdLink key="s" id={held.subject} short />],
            [t('sequence'), String(held.sequence)],
            [t('attempts'), String(held.attempts)],
            [t('next_attempt'), <Moment key="n" at={held.next_attempt_at} />],
            [t('held_since'), <Moment key="h" at={held.held_at} />],
          ]}
        />
      </Section>
      {held.reason !== null && (
        <Section title={t('reason')}>
          <Code block tabIndex={0}>
            {held.reason}
          </Code>
        </Section>
      )}
    </Stack>
  );
}
