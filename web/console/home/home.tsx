/** What needs attention now, and what the day has been so far. */
import { Anchor, Badge, Button, Group, Paper, Select, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { CircleCheck, TriangleAlert } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { listRows } from '../../api/lists.ts';
import { Section } from '../../ui/facts.tsx';
import { roundMoneyText } from '../../ui/figures.tsx';
import { Chart } from '../../ui/lazy-chart.tsx';
import { useMay } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { useHomeWords } from './home-words.ts';

const EVERY_MS = 30_000;
const HOUR_MS = 3_600_000;
/** As many as a list answers at once: beyond that there are `or more`. */
const MANY = 100;

export function Page() {
  const t = useHomeWords();
  const may = useMay();
  return (
    <Stack gap="sm">
      <title>{`${t('home')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('home')}
      </Title>
      <Attention />
      {may('transfers:read') && <Volumes />}
      {may('integrity:read') && <Books />}
    </Stack>
  );
}

interface Concern {
  label: string;
  count: number;
  to: string;
}

function Attention() {
  const t = useHomeWords();
  const may = useMay();
  const counted = async (permission: string, count: () => Promise<number>) =>
    may(permission) ? await count() : 0;
  const concerns = useQuery({
    queryKey: ['attention'],
    refetchInterval: EVERY_MS,
    queryFn: async (): Promise<Concern[]> => {
      const limit = String(MANY);
      const found = await Promise.all([
        counted('proposals:read', async () => {
          const { data } = await listRows('/api/v2/proposals', { awaiting_me: 'true', limit });
          return data.length;
        }),
        counted('held_events:read', async () => {
          const { data } = await listRows('/api/v2/held-events', { state: 'parked', limit });
          return data.length;
        }),
        counted('webhooks:read', async () => {
          const { data } = await listRows('/api/v2/webhooks/endpoints', { limit });
          return data.filter(
            ({ status, disabled_reason, failing_since }) =>
              failing_since !== undefined || (status === 'disabled' && disabled_reason !== 'by_hand'),
          ).length;
        }),
        counted('jobs:read', async () => {
          const { data } = await get('/api/v2/jobs');
          return data.filter(({ last_run }) => last_run?.outcome === 'failed').length;
        }),
        counted('limits:read', async () => {
          const { limits } = await get('/api/v2/limits');
          return limits.filter(({ allowed, left }) => left * 5 < allowed).length;
        }),
        counted('usage:read', async () => {
          const from = new Date(Date.now() - HOUR_MS).toISOString();
          const query = { from, granularity: 'minute', group_by: 'principal', status: 429 } as const;
          return (await get('/api/v2/usage', { query })).groups.length;
        }),
        counted('events:read', async () => {
          const { data } = await listRows('/api/v2/events', { type: 'platform.limit.near', limit });
          const recent = data.filter(({ time }) => Date.parse(time) > Date.now() - HOUR_MS);
          return new Set(recent.map(({ subject }) => subject)).size;
        }),
        counted('organisations:read', async () => {
          const { data } = await listRows('/api/v2/organisations', { status: 'pending', limit });
          return data.length;
        }),
        counted('live_access:read', async () => {
          const { data } = await listRows('/api/v2/live-requests', { status: 'pending', limit });
          return data.length;
        }),
        counted('services:read', async () => {
          const { data } = await get('/api/v2/services');
          return data.filter(({ state }) => state === 'away').length;
        }),
        counted('services:read', async () => {
          const { data } = await listRows('/api/v2/instances', { limit });
          return data.filter(
            ({ state, out_of_reach, left_alone }) =>
              state === 'silent' || out_of_reach.length + left_alone.length > 0,
          ).length;
        }),
        counted('system_jobs:read', async () => {
          const { data } = await get('/api/v2/system-jobs');
          return data.filter(({ last_run }) => last_run?.outcome === 'failed').length;
        }),
      ]);
      const [approvals, parked, webhooks, jobs, limits, refused, neared, organisations, live, ...system] =
        found;
      const [away, cutOff, systemJobs] = system;
      return [
        { label: t('approvals'), count: approvals, to: '/approvals?awaiting_me=true' },
        { label: t('parked'), count: parked, to: '/held-events?state=parked' },
        { label: t('failing_webhooks'), count: webhooks, to: '/webhooks' },
        { label: t('failed_jobs'), count: jobs, to: '/jobs' },
        { label: t('limits_near'), count: limits, to: '/me' },
        {
          label: t('limits_refused'),
          count: refused,
          to: '/usage?period=1h&group_by=principal&status=429',
        },
        { label: t('limits_neared'), count: neared, to: '/events?type=platform.limit.near' },
        { label: t('organisations'), count: organisations, to: '/organisations?status=pending' },
        { label: t('live_requests'), count: live, to: '/live-requests?status=pending' },
        { label: t('services_away'), count: away, to: '/services' },
        { label: t('instances_cut_off'), count: cutOff, to: '/services?tab=instances' },
        { label: t('failed_system_jobs'), count: systemJobs, to: '/system-jobs' },
      ].filter(({ count }) => count > 0);
    },
  });
  return (
    <Section title={t('attention')}>
      {concerns.isError ? (
        <Refused error={concerns.error} retry={() => void concerns.refetch()} />
      ) : concerns.data === undefined ? (
        <Loading />
      ) : concerns.data.length === 0 ? (
        <Group gap="xs">
          <CircleCheck size={18} color="var(--mantine-color-teal-6)" aria-hidden />
          <Text size="sm">{t('all_well')}</Text>
        </Group>
      ) : (
        <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }} spacing="xs">
          {concerns.data.map(({ label, count, to }) => (
            <Paper key={to} withBorder p="xs">
              <Group gap="sm" wrap="nowrap">
                <Badge size="lg" color="orange" variant="light">
                  {count === MANY ? t('more', { count }) : count}
                </Badge>
                <Anchor component={Link} to={to} size="sm">
                  {label}
                </Anchor>
              </Group>
            </Paper>
          ))}
        </SimpleGrid>
      )}
    </Section>
  );
}

/** Midnight where the reader is. */
function startOfDay(): Date {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  return start;
}

function Volumes() {
  const t = useHomeWords();
  const locale = useLocale();
  const [chosen, choose] = useState<string | null>(null);
  const volumes = useQuery({
    queryKey: ['volumes'],
    refetchInterval: EVERY_MS,
    queryFn: () => {
      const from = startOfDay();
      const to = new Date(from.getTime() + 24 * HOUR_MS);
      return get('/api/v2/volumes', {
        query: { from: from.toISOString(), to: to.toISOString(), by: 'hour' },
      });
    },
  });
  const currencies = [...new Set((volumes.data?.data ?? []).map(({ currency }) => currency))].toSorted();
  const currency = chosen !== null && currencies.includes(chosen) ? chosen : (currencies[0] ?? '');
  const { moved, posted } = useMemo(() => {
    const hourOf = (time: number) =>
      new Date(time).toLocaleTimeString(locale, { hour: 'numeric', minute: '2-digit' });
    const first = startOfDay().getTime();
    const rows = volumes.data?.data ?? [];
    const hours = Array.from({ length: 24 }, (_, hour) => first + hour * HOUR_MS);
    const within = (time: number) => rows.filter(({ from }) => Date.parse(from) === time);
    return {
      moved: [
        {
          name: currency,
          kind: 'bar' as const,
          points: hours.map(
            (time) =>
              [
                hourOf(time),
                Number(within(time).find((row) => row.currency === currency)?.amount.amount ?? 0),
              ] as const,
          ),
        },
      ],
      posted: [
        {
          name: t('postings_series'),
          kind: 'bar' as const,
          points: hours.map(
            (time) =>
              [hourOf(time), within(time).reduce((sum, { transfers }) => sum + transfers, 0)] as const,
          ),
        },
      ],
    };
  }, [volumes.data, currency, locale, t]);
  const format = useMemo(
    () => (value: number) => (currency === '' ? String(value) : roundMoneyText(value, currency, locale)),
    [currency, locale],
  );
  if (volumes.isError) return <Refused error={volumes.error} retry={() => void volumes.refetch()} />;
  if (volumes.data === undefined) return <Loading />;
  if (currencies.length === 0) {
    return (
      <Section title={t('volumes')}>
        <Empty>{t('none_today')}</Empty>
      </Section>
    );
  }
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
      <Section
        title={t('volumes')}
        aside={
          <Select
            aria-label={t('currency')}
            data={currencies}
            value={currency}
            onChange={choose}
            allowDeselect={false}
            w={100}
          />
        }
      >
        <Chart label={t('volumes')} axis="category" series={moved} format={format} />
      </Section>
      <Section title={t('postings')}>
        <Chart label={t('postings')} axis="category" series={posted} />
      </Section>
    </SimpleGrid>
  );
}

function Books() {
  const t = useHomeWords();
  const check = useMutation({
    mutationFn: () => get('/api/v2/integrity', { query: { deep: false } }),
  });
  return (
    <Section
      title={t('books')}
      aside={
        <Button variant="default" loading={check.isPending} onClick={() => check.mutate()}>
          {t('check')}
        </Button>
      }
    >
      {check.isError && <Refused error={check.error} />}
      {check.data === undefined ? (
        <Text size="sm" c="dimmed">
          {check.isPending ? t('checking') : t('books_about')}
        </Text>
      ) : (
        <Group gap="xs" wrap="nowrap">
          {check.data.ok ? (
            <CircleCheck size={18} color="var(--mantine-color-teal-6)" aria-hidden />
          ) : (
            <TriangleAlert size={18} color="var(--mantine-color-error)" aria-hidden />
          )}
          <Text size="sm" role="status">
            {check.data.ok
              ? t('books_whole', { position: check.data.position, sealed: check.data.sealed_position })
              : t('books_damaged', {
                  checks: check.data.checks
                    .filter(({ ok }) => !ok)
                    .map(({ name }) => name)
                    .join(', '),
                })}
          </Text>
        </Group>
      )}
    </Section>
  );
}
