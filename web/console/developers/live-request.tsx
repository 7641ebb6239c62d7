/** A request for live access: who asks, for what, and what was decided. */
import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { LiveRequestActs } from './live-request-acts.tsx';

const PATH = '/api/v2/live-requests/{live_request_id}';

export function Page() {
  return (
    <Permitted permission="live_access:read">
      <LiveRequestPage />
    </Permitted>
  );
}

function LiveRequestPage() {
  const t = useDevelopersWords();
  const { live_request_id = '' } = useParams();
  const ids = { live_request_id };
  const found = useQuery({ queryKey: ['live-request', live_request_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const asked = found.data;
  const title = `${asked.organisation_name}: ${asked.name}`;
  return (
    <Stack gap="sm">
      <ThingHead
        title={title}
        id={asked.id}
        badge={<Standing status={asked.status} />}
        actions={
          <>
            {asked.status === 'pending' && (
              <LiveRequestActs id={asked.id} title={title} scopes={asked.scopes} />
            )}
            <HistoryButton subject={asked.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Text size="sm" maw={760} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {asked.purpose}
        </Text>
        <Facts
          facts={[
            [t('organisation'), <IdLink key="o" id={asked.organisation_id} short />],
            [t('asks_for'), asked.scopes.join(', ')],
            [t('contact'), asked.contact_email],
            [t('webhooks'), t(`webhooks_${asked.webhooks}`)],
            [t('asked_by'), <CopyId key="b" id={asked.requested_by} short />],
            [t('asked'), <Moment key="a" at={asked.created_at} />],
            [t('decided_by'), <IdLink key="d" id={asked.decided_by} short />],
            [t('decided'), <Moment key="w" at={asked.decided_at} />],
            [t('reason'), asked.reason ?? '–'],
            [t('application'), <IdLink key="p" id={asked.application_id} short />],
          ]}
        />
      </Section>
    </Stack>
  );
}
