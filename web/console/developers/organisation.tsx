/** An organisation of developers: who it is, what it accepted, and what it asks to do live. */
import { Stack, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { Standing } from './decision.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { LiveRequestsOf } from './live-requests.tsx';
import { OrganisationActs } from './organisation-acts.tsx';

const PATH = '/api/v2/organisations/{organisation_id}';

export function Page() {
  return (
    <Permitted permission="organisations:read">
      <OrganisationPage />
    </Permitted>
  );
}

function OrganisationPage() {
  const t = useDevelopersWords();
  const may = useMay();
  const { organisation_id = '' } = useParams();
  const ids = { organisation_id };
  const found = useQuery({ queryKey: ['organisation', organisation_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { id, name, status, ...organisation } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={name}
        id={id}
        badge={<Standing status={status} />}
        actions={
          <>
            <OrganisationActs id={id} name={name} status={status} />
            <HistoryButton subject={id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('community'), <IdLink key="c" id={organisation.community_id} short />],
            [t('contact'), `${organisation.contact_name}, ${organisation.contact_email}`],
            [t('terms_version'), organisation.terms_version],
            [t('terms_accepted'), <Moment key="t" at={organisation.terms_accepted_at} />],
            [t('joined'), <Moment key="j" at={organisation.created_at} />],
            [t('decided_by'), <IdLink key="b" id={organisation.decided_by} short />],
            [t('decided'), <Moment key="d" at={organisation.decided_at} />],
            [t('reason'), organisation.reason ?? '–'],
          ]}
        />
      </Section>
      {may('live_access:read') && (
        <>
          <Title order={2} size="h5">
            {t('live_requests')}
          </Title>
          <LiveRequestsOf organisation_id={id} />
        </>
      )}
    </Stack>
  );
}
