/** What callers ask of the API, of the whole institution or of one application or key. */
import { Anchor, Button, Group, Select, Stack, Text, TextInput, Title } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { get } from '../../api/client.ts';
import { listRows } from '../../api/lists.ts';
import { ApiCallButton } from '../api-call.tsx';
import { Permitted, useMay } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { Loading, Refused } from '../states.tsx';
import { useUiWords } from '../ui-words.ts';
import { UsageCharts } from '../usage-chart.tsx';
import { type UsageReport, UsageTotals } from '../usage-figures.tsx';
import { UsageTable } from '../usage-table.tsx';
import { useUsagePageWords } from './usage-page-words.ts';

const HOUR_MS = 3_600_000;
const EVERY_MS = 15_000;
const TYPING_MS = 350;

const periods = {
  '1h': { length_ms: HOUR_MS, granularity: 'minute' },
  '24h': { length_ms: 24 * HOUR_MS, granularity: 'hour' },
  '7d': { length_ms: 7 * 24 * HOUR_MS, granularity: 'hour' },
  '31d': { length_ms: 31 * 24 * HOUR_MS, granularity: 'day' },
  '366d': { length_ms: 366 * 24 * HOUR_MS, granularity: 'day' },
} as const;
type PeriodName = keyof typeof periods;
const periodNames: readonly PeriodName[] = ['1h', '24h', '7d', '31d', '366d'];

const groupings = ['route', 'principal', 'application', 'status'] as const;
const outcomes = ['errors', '2xx', '3xx', '4xx', '429', '5xx'] as const;
/** A status by itself, beside the classes. */
const OVER_LIMIT = '429';

type Group = UsageReport['groups'][number];
type Change = (changes: Record<string, string>) => void;

export function Page() {
  return <UsagePage />;
}

/** @param props.more what else there is to be known of it, shown after it */
export function UsagePage({ more }: { more?: ReactNode }) {
  const t = useUsagePageWords();
  return (
    <Stack gap="sm">
      <title>{`${t('usage')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('usage')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('usage_about')}
      </Text>
      <Permitted permission="usage:read">
        <Usage />
        {more}
      </Permitted>
    </Stack>
  );
}

/** What the address says, where it says something that there is. */
function chosen<Value extends string>(
  search: URLSearchParams,
  name: string,
  values: readonly Value[],
): Value | undefined {
  return values.find((value) => value === search.get(name));
}

function Usage() {
  const t = useUsagePageWords();
  const ui = useUiWords();
  const [search, setSearch] = useSearchParams();
  const period = chosen(search, 'period', periodNames) ?? '24h';
  const group_by = chosen(search, 'group_by', groupings) ?? 'route';
  const outcome = search.get('status') === OVER_LIMIT ? OVER_LIMIT : chosen(search, 'status_class', outcomes);
  const [application_id, principal_id, route] = [
    search.get('application_id') ?? '',
    search.get('principal_id') ?? '',
    search.get('route') ?? '',
  ];
  const { granularity, length_ms } = periods[period];
  const filters = {
    ...(application_id === '' ? {} : { application_id }),
    ...(principal_id === '' ? {} : { principal_id }),
    ...(route === '' ? {} : { route }),
    ...(outcome === undefined
      ? {}
      : outcome === OVER_LIMIT
        ? { status: outcome }
        : { status_class: outcome }),
  };
  const found = useQuery({
    queryKey: ['usage', period, group_by, filters],
    queryFn: () => {
      const from = new Date(Date.now() - length_ms).toISOString();
      const { status, ...others } = { status: undefined, ...filters };
      const query = { from, granularity, group_by, ...others };
      return get('/api/v2/usage', {
        query: status === undefined ? query : { ...query, status: Number(status) },
      });
    },
    refetchInterval: EVERY_MS,
    placeholderData: keepPreviousData,
  });
  const change: Change = (changes) =>
    setSearch(
      (before) => {
        const next = new URLSearchParams(before);
        for (const [name, value] of Object.entries(changes)) {
          if (value === '') next.delete(name);
          else next.set(name, value);
        }
        return next;
      },
      { replace: true },
    );
  const nameOf = (group: Group): string => {
    if (group.route !== undefined) {
      if (group.route === 'none') return `${group.method ?? ''} ${t('no_route')}`;
      return group.route === 'other' ? t('other') : `${group.method ?? ''} ${group.route}`;
    }
    if (group.principal !== undefined) return group.principal.id;
    return group.application_id === null ? t('no_application') : String(group.application_id ?? group.status);
  };
  return (
    <Stack gap="sm">
      <Group gap="xs" align="flex-end">
        <Select
          label={t('period')}
          w={150}
          allowDeselect={false}
          data={periodNames.map((value) => ({ value, label: t(`last_${value}`) }))}
          value={period}
          onChange={(value) => change({ period: value ?? '' })}
        />
        <ApplicationField value={application_id} onChange={(value) => change({ application_id: value })} />
        <TextField
          label={t('caller')}
          value={principal_id}
          onChange={(value) => change({ principal_id: value })}
        />
        <Select
          label={t('outcome')}
          placeholder={ui('any')}
          w={140}
          clearable
          data={outcomes.map((value) => ({ value, label: t(`outcome_${value}`) }))}
          value={outcome ?? null}
          onChange={(value) =>
            change(
              value === OVER_LIMIT
                ? { status: value, status_class: '' }
                : { status: '', status_class: value ?? '' },
            )
          }
        />
        <TextField label={t('by_route')} value={route} onChange={(value) => change({ route: value })} />
        {Object.keys(filters).length > 0 && <ClearButton change={change} />}
        <Group ml="auto" gap={6}>
          <Button component={Link} variant="default" to={`/usage/requests?${new URLSearchParams(filters)}`}>
            {t('requests')}
          </Button>
          <ApiCallButton
            calls={[{ method: 'GET', path: '/api/v2/usage', query: { granularity, group_by, ...filters } }]}
          />
        </Group>
      </Group>
      {principal_id.startsWith('key_') && (
        <Group gap="xs">
          <Text size="sm">{t('headroom')}</Text>
          <IdLink id={principal_id} short />
        </Group>
      )}
      {found.isError ? (
        <Refused error={found.error} retry={() => void found.refetch()} />
      ) : found.data === undefined ? (
        <Loading />
      ) : (
        <>
          <UsageTotals totals={found.data.totals} />
          <UsageCharts series={found.data.series} />
          <UsageTable
            title={t(`by_${group_by}`)}
            groups={found.data.groups}
            left_out={found.data.groups_left_out}
            nameOf={nameOf}
            show={(group) => <Named group={group} name={nameOf(group)} change={change} />}
            aside={
              <Select
                aria-label={t('by')}
                w={140}
                allowDeselect={false}
                data={groupings.map((value) => ({ value, label: t(`by_${value}`) }))}
                value={group_by}
                onChange={(value) => change({ group_by: value ?? '' })}
              />
            }
          />
        </>
      )}
    </Stack>
  );
}

function ClearButton({ change }: { change: Change }) {
  const t = useUiWords();
  return (
    <Button
      variant="subtle"
      onClick={() =>
        change({ application_id: '', principal_id: '', route: '', status: '', status_class: '' })
      }
    >
      {t('clear_filters')}
    </Button>
  );
}

/** A group by its name, which leads to the thing or to its endpoint alone. */
function Named({ group, name, change }: { group: Group; name: string; change: Change }) {
  const { route, principal, application_id } = group;
  if (principal !== undefined) {
    return (
      <Group gap="xs">
        {principal.name !== undefined && <Text size="sm">{principal.name}</Text>}
        <IdLink id={principal.id} short />
      </Group>
    );
  }
  if (typeof application_id === 'string') return <IdLink id={application_id} short />;
  if (route === undefined || route === 'other') return name;
  return (
    <Anchor component="button" type="button" size="sm" ta="left" onClick={() => change({ route })}>
      {name}
    </Anchor>
  );
}

/** The application whose calls are looked at, by its name where those can be seen. */
function ApplicationField({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const t = useUsagePageWords();
  const ui = useUiWords();
  const may = useMay();
  const canList = may('applications:read');
  const found = useQuery({
    queryKey: ['applications-of-usage'],
    queryFn: () => listRows('/api/v2/applications', { limit: '100' }),
    enabled: canList,
  });
  const known = found.data?.data ?? [];
  if (!canList || (value !== '' && found.data !== undefined && !known.some(({ id }) => id === value))) {
    return <TextField label={t('application')} value={value} onChange={onChange} />;
  }
  return (
    <Select
      label={t('application')}
      placeholder={ui('any')}
      w={180}
      clearable
      searchable
      data={known.map(({ id, name }) => ({ value: id, label: name }))}
      value={value === '' ? null : value}
      onChange={(found_id) => onChange(found_id ?? '')}
    />
  );
}

function TextField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  const [typed, setTyped] = useState(value);
  // The address changed by other means: back, or a link.
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = setTimeout(() => onChange(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed, value, onChange]);
  return (
    <TextInput
      label={label}
      w={200}
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
    />
  );
}
