/** What the applications ask that the organisation was given at its institution, and how much their keys still may. */
import { Group, Select, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { get } from '../../api/client.ts';
import { UsageOfKey } from '../../ui/access/key.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section } from '../../ui/facts.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { UsageCharts } from '../../ui/usage-chart.tsx';
import { UsageTotals } from '../../ui/usage-figures.tsx';
import { usePortalSelf } from '../community/portal-self.ts';
import { useHeadroomWords } from './headroom-words.ts';

const USAGE = '/api/v2/portal/live-applications/{application_id}/usage';
const KEY_USAGE = '/api/v2/portal/live-applications/{application_id}/keys/{key_id}/usage';
const EVERY_MS = 15_000;

/** Nothing for whoever is of no organisation of a community. */
export function LiveUsage() {
  const { data } = usePortalSelf();
  return data === undefined || data === null ? null : <LiveApplicationUsage />;
}

function LiveApplicationUsage() {
  const t = useHeadroomWords();
  const [search, setSearch] = useSearchParams();
  const applications = useQuery({
    queryKey: ['live-applications'],
    queryFn: () => get('/api/v2/portal/live-applications'),
  });
  const all = applications.data?.data ?? [];
  const chosen = all.find(({ id }) => id === search.get('live')) ?? all[0];
  const keys = chosen?.keys.filter(({ status }) => status === 'active') ?? [];
  const key = keys.find(({ id }) => id === search.get('live_key')) ?? keys[0];
  const choose = (name: string, value: string | null) =>
    setSearch(
      (before) => {
        const next = new URLSearchParams(before);
        next.set(name, value ?? '');
        return next;
      },
      { replace: true },
    );
  return (
    <Section
      title={t('live')}
      aside={
        chosen !== undefined && (
          <Group gap={6}>
            <Select
              aria-label={t('live_application')}
              w={180}
              allowDeselect={false}
              data={all.map(({ id, name }) => ({ value: id, label: name }))}
              value={chosen.id}
              onChange={(value) => choose('live', value)}
            />
            <ApiCallButton calls={[{ method: 'GET', path: USAGE, ids: { application_id: chosen.id } }]} />
          </Group>
        )
      }
    >
      {applications.isError ? (
        <Refused error={applications.error} retry={() => void applications.refetch()} />
      ) : applications.data === undefined ? (
        <Loading />
      ) : chosen === undefined ? (
        <Empty>{t('no_live')}</Empty>
      ) : (
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            {t('live_about')}
          </Text>
          <Calls key={chosen.id} application_id={chosen.id} />
          {key === undefined ? (
            <Text size="sm" c="dimmed">
              {t('no_live_key')}
            </Text>
          ) : (
            <>
              <Select
                label={t('key')}
                w={200}
                allowDeselect={false}
                data={keys.map(({ id, label }) => ({ value: id, label }))}
                value={key.id}
                onChange={(value) => choose('live_key', value)}
              />
              <Limits key={key.id} application_id={chosen.id} key_id={key.id} />
            </>
          )}
        </Stack>
      )}
    </Section>
  );
}

function Calls({ application_id }: { application_id: string }) {
  const usage = useQuery({
    queryKey: ['live-usage', application_id],
    queryFn: () => get(USAGE, { ids: { application_id } }),
    refetchInterval: EVERY_MS,
  });
  if (usage.isError) return <Refused error={usage.error} retry={() => void usage.refetch()} />;
  if (usage.data === undefined) return <Loading />;
  return (
    <>
      <UsageTotals totals={usage.data.totals} />
      <UsageCharts series={usage.data.series} />
    </>
  );
}

function Limits({ application_id, key_id }: { application_id: string; key_id: string }) {
  const usage = useQuery({
    queryKey: ['live-key-usage', key_id],
    queryFn: () => get(KEY_USAGE, { ids: { application_id, key_id } }),
  });
  if (usage.isError) return <Refused error={usage.error} retry={() => void usage.refetch()} />;
  if (usage.data === undefined) return <Loading />;
  return <UsageOfKey usage={usage.data} />;
}
