/** The services of the installation and the processes that run them, for who operates it. */
import { Badge, Code, Group, Stack, Tabs, Text, Title } from '@mantine/core';
import { useSearchParams } from 'react-router';
import type { RowOf } from '../../api/lists.ts';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted } from '../../ui/self.tsx';
import { usePlatformWords } from './platform-words.ts';

/** How often what runs is looked for again. */
const LOOK_AGAIN_MS = 5_000;
const tabs = ['services', 'instances'] as const;
const states = ['ready', 'draining', 'silent'] as const;
type State = RowOf<'/api/v2/instances'>['state'];
const colors = { ready: 'teal', draining: 'blue', silent: 'red', away: 'red' } as const;

export function Page() {
  const t = usePlatformWords();
  const [search, setSearch] = useSearchParams();
  const tab = tabs.find((name) => name === search.get('tab')) ?? 'services';
  const title = t('services_and_instances');
  return (
    <Stack gap="sm">
      <title>{`${title} · financialapi`}</title>
      <Title order={1} size="h3">
        {title}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('services_about')}
      </Text>
      <Permitted permission="services:read">
        <Tabs
          value={tab}
          // What one list is filtered by is nothing to the next.
          onChange={(chosen) => setSearch(chosen === 'instances' ? { tab: chosen } : {})}
          keepMounted={false}
        >
          <Tabs.List>
            {tabs.map((name) => (
              <Tabs.Tab key={name} value={name}>
                {t(name)}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="services" pt="sm">
            <Services />
          </Tabs.Panel>
          <Tabs.Panel value="instances" pt="sm">
            <Instances />
          </Tabs.Panel>
        </Tabs>
      </Permitted>
    </Stack>
  );
}

function StateBadge({ state }: { state: keyof typeof colors }) {
  const t = usePlatformWords();
  return (
    <Badge size="sm" variant="light" color={colors[state]}>
      {t(`state_${state}`)}
    </Badge>
  );
}

/** An address without what is the same of all. */
function Address({ url, state }: { url: string; state?: State }) {
  return (
    <Group gap={6} wrap="nowrap">
      <Code style={{ minWidth: '20ch', overflowWrap: 'anywhere' }}>{url.replace(/^https?:\/\//, '')}</Code>
      {state !== undefined && state !== 'ready' && <StateBadge state={state} />}
    </Group>
  );
}

function Services() {
  const t = usePlatformWords();
  return (
    <List
      path="/api/v2/services"
      permission="services:read"
      keyOf={({ name }) => name}
      to={({ name }) => `/services?tab=instances&service=${name}`}
      refreshEveryMs={LOOK_AGAIN_MS}
      filters={[{ name: 'name', label: t('service'), isHere: true }]}
      columns={[
        { name: 'name', title: t('service'), value: ({ name }) => name },
        {
          name: 'state',
          title: t('status'),
          value: ({ state }) => state,
          show: ({ state }) => <StateBadge state={state} />,
        },
        {
          name: 'instances',
          title: t('runs_at'),
          value: ({ instances }) => instances.map(({ url, state }) => `${url} ${state}`).join(', '),
          show: ({ instances }) =>
            instances.length === 0 ? (
              <Text size="sm" c="dimmed">
                {t('runs_nowhere')}
              </Text>
            ) : (
              <Stack gap={4}>
                {instances.map(({ id, url, state }) => (
                  <Address key={id} url={url} state={state} />
                ))}
              </Stack>
            ),
        },
        {
          name: 'versions',
          title: t('version'),
          value: ({ instances }) => [...new Set(instances.map(({ version }) => version))].join(', '),
          wide: true,
        },
        {
          name: 'asks',
          title: t('asks'),
          value: ({ requires, may_ask }) => [...requires, ...may_ask].join(', '),
          show: ({ requires, may_ask }) => (
            <Group gap={4}>
              {requires.map((name) => (
                <Badge key={name} size="sm" variant="default" tt="none">
                  {name}
                </Badge>
              ))}
              {may_ask.map((name) => (
                <Badge key={name} size="sm" variant="default" tt="none" style={{ borderStyle: 'dashed' }}>
                  {t('asks_if_there', { name })}
                </Badge>
              ))}
              {requires.length + may_ask.length === 0 && '–'}
            </Group>
          ),
          wide: true,
        },
      ]}
    />
  );
}

function Instances() {
  const t = usePlatformWords();
  return (
    <List
      path="/api/v2/instances"
      permission="services:read"
      keyOf={({ id }) => id}
      refreshEveryMs={LOOK_AGAIN_MS}
      filters={[
        { name: 'service', label: t('service') },
        {
          name: 'state',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`state_${value}`) })),
        },
      ]}
      columns={[
        {
          name: 'url',
          title: t('address'),
          value: ({ url }) => url,
          show: ({ url }) => <Address url={url} />,
        },
        {
          name: 'state',
          title: t('status'),
          value: ({ state }) => state,
          show: ({ state }) => <StateBadge state={state} />,
        },
        { name: 'services', title: t('services'), value: ({ services }) => services.join(', ') },
        {
          name: 'unreached',
          title: t('cannot_reach'),
          value: ({ out_of_reach, left_alone }) => [...out_of_reach, ...left_alone].join(', '),
          show: ({ out_of_reach, left_alone }) => (
            <Stack gap={2}>
              {out_of_reach.map((name) => (
                <Text key={name} size="sm" c="red">
                  {t('finds_none_of', { name })}
                </Text>
              ))}
              {left_alone.map((url) => (
                <Text key={url} size="sm" c="red">
                  {t('leaves_alone', { url: url.replace(/^https?:\/\//, '') })}
                </Text>
              ))}
              {out_of_reach.length + left_alone.length === 0 && '–'}
            </Stack>
          ),
          wide: true,
        },
        { name: 'version', title: t('version'), value: ({ version }) => version, wide: true },
        {
          name: 'started_at',
          title: t('started'),
          value: ({ started_at }) => started_at,
          show: ({ started_at }) => <Moment at={started_at} />,
          wide: true,
        },
        {
          name: 'heartbeat_at',
          title: t('last_heard'),
          value: ({ heartbeat_at }) => heartbeat_at,
          show: ({ heartbeat_at }) => <Moment at={heartbeat_at} />,
          wide: true,
        },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} short />,
          wide: true,
        },
      ]}
    />
  );
}
