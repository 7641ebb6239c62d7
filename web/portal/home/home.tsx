/** Where developers begin: what is left to do until their first webhook, and what happened lately. */
import { Alert, Anchor, Badge, Button, Group, Skeleton, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Circle, CircleCheck, Rocket } from 'lucide-react';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { listRows } from '../../api/lists.ts';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { useMay, useSelf } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { nameOf, usePortalSelf } from '../community/portal-self.ts';
import { BrandMark } from '../front/brand.tsx';
import { useHomeWords } from './home-words.ts';

const EVERY_MS = 10_000;
/** What fills a sandbox is posted at once: a transfer that comes later is one's own. */
const FILLED_WITHIN_MS = 30_000;

const steps = ['data', 'key', 'call', 'usage', 'transfer', 'webhook'] as const;
type Step = (typeof steps)[number];

const placeOf: Readonly<Record<Step, string>> = {
  data: '/sandbox',
  key: '/applications?new',
  call: '/explore/accounts/getAccounts',
  usage: '/usage',
  transfer: '/explore/transfers/postTransfers',
  webhook: '/webhooks',
};

export function Page() {
  const t = useHomeWords();
  const may = useMay();
  const { principal } = useSelf();
  const progress = useProgress();
  return (
    <Stack gap="sm">
      <title>{`${t('home')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('hello', { name: principal.name })}
      </Title>
      <Standing />
      <GetStarted progress={progress} />
      {/* Below what is there already, so that it does not move. */}
      {!progress.isPending && may('events:read') && <Lately />}
    </Stack>
  );
}

/** Of which community one is, and whether its terms are others by now. */
function Standing() {
  const t = useHomeWords();
  const { data, isPending } = usePortalSelf();
  if (isPending) return <Skeleton h={24} maw={280} />;
  if (data === undefined || data === null) return null;
  const { community, organisation, terms_current } = data;
  return (
    <>
      <Group gap="xs" wrap="nowrap">
        <BrandMark community={community} size={24} />
        <Text size="sm">
          {organisation.name} ·{' '}
          <Anchor component={Link} to={`/${community.slug}`} size="sm" underline="always">
            {nameOf(community)}
          </Anchor>
        </Text>
      </Group>
      {!terms_current && (
        <Alert color="orange" variant="light">
          {t('terms_changed')}{' '}
          <Anchor component={Link} to="/live" size="sm" underline="always">
            {t('see_terms')}
          </Anchor>
        </Alert>
      )}
    </>
  );
}

function useProgress() {
  const may = useMay();
  return useQuery({
    queryKey: ['get-started'],
    refetchInterval: EVERY_MS,
    queryFn: async (): Promise<Record<Step, boolean>> => {
      const [accounts, transfers, keys, deliveries] = await Promise.all([
        may('accounts:read') ? listRows('/api/v2/accounts', { limit: '100' }) : { data: [] },
        may('transfers:read') ? listRows('/api/v2/transfers', { limit: '1' }) : { data: [] },
        may('api_keys:read') ? listRows('/api/v2/api-keys', { limit: '100' }) : { data: [] },
        may('webhooks:read')
          ? listRows('/api/v2/webhooks/deliveries', { status: 'delivered', limit: '1' })
          : { data: [] },
      ]);
      const filledAt = Math.max(
        0,
        ...accounts.data
          .filter(({ metadata }) => metadata['demo'] === 'yes')
          .map(({ created_at }) => Date.parse(created_at)),
      );
      const movedAt = Date.parse(transfers.data[0]?.created_at ?? '');
      const hasCalled = keys.data.some(({ last_used_at }) => last_used_at !== undefined);
      return {
        data: accounts.data.length > 0,
        key: keys.data.some(({ status }) => status === 'active'),
        call: hasCalled,
        usage: hasCalled,
        transfer: movedAt > filledAt + FILLED_WITHIN_MS,
        webhook: deliveries.data.length > 0,
      };
    },
  });
}

function GetStarted({ progress }: { progress: ReturnType<typeof useProgress> }) {
  const t = useHomeWords();
  if (progress.isError) return <Refused error={progress.error} retry={() => void progress.refetch()} />;
  if (progress.data === undefined) return <Loading />;
  const { data } = progress;
  const done = steps.filter((step) => data[step]);
  const next = steps.find((step) => !data[step]);
  return (
    <Section
      title={t('get_started')}
      aside={
        <Badge variant="light" color={next === undefined ? 'teal' : 'tide'} tt="none">
          {t('done_of', { done: done.length, all: steps.length })}
        </Badge>
      }
    >
      <Text size="sm" c="dimmed">
        {t('get_started_about')}
      </Text>
      {next === undefined && (
        <Alert color="teal" variant="light" icon={<Rocket size={18} />}>
          {t('all_done')}
        </Alert>
      )}
      <Stack component="ol" gap="sm" m={0} p={0} style={{ listStyle: 'none' }}>
        {steps.map((step) => (
          <Group key={step} component="li" wrap="nowrap" align="flex-start" gap="sm" data-step={step}>
            {data[step] ? (
              <CircleCheck
                size={20}
                color="var(--mantine-color-teal-6)"
                aria-label={t('is_done')}
                style={{ flexShrink: 0 }}
              />
            ) : (
              <Circle
                size={20}
                color="var(--mantine-color-dimmed)"
                aria-label={t('not_done')}
                style={{ flexShrink: 0 }}
              />
            )}
            <Group justify="space-between" gap="xs" style={{ flex: 1 }}>
              <div>
                <Text size="sm" fw={600}>
                  {t(`step_${step}`)}
                </Text>
                <Text size="sm" c="dimmed">
                  {t(`step_${step}_about`)}
                </Text>
              </div>
              <Button
                component={Link}
                to={placeOf[step]}
                variant={step === next ? 'filled' : 'default'}
                aria-label={`${t(`step_${step}_go`)}: ${t(`step_${step}`)}`}
              >
                {t(`step_${step}_go`)}
              </Button>
            </Group>
          </Group>
        ))}
      </Stack>
    </Section>
  );
}

function Lately() {
  const t = useHomeWords();
  const events = useQuery({
    queryKey: ['lately'],
    refetchInterval: EVERY_MS,
    queryFn: () => get('/api/v2/events', { query: { limit: 6 } }),
  });
  return (
    <Section
      title={t('lately')}
      aside={
        <Anchor component={Link} to="/events" size="sm">
          {t('all_events')}
        </Anchor>
      }
    >
      {events.isError ? (
        <Refused error={events.error} retry={() => void events.refetch()} />
      ) : events.data === undefined ? (
        <Loading />
      ) : events.data.data.length === 0 ? (
        <Empty>{t('nothing_lately')}</Empty>
      ) : (
        <Table fz="sm" layout="fixed">
          <Table.Tbody>
            {events.data.data.map(({ id, type, time }) => (
              <Table.Tr key={id}>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>
                  <Anchor component={Link} to={`/events/${id}`} size="sm" ff="monospace">
                    {type}
                  </Anchor>
                </Table.Td>
                <Table.Td ta="right">
                  <Moment at={time} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Section>
  );
}
