/** Background work of the institution, or of the system as a whole for who operates it. */
import { Anchor, Badge, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { Moment } from '../../ui/figures.tsx';
import { type List, ListPage } from '../../ui/list-page.tsx';
import { JobActs } from './job-acts.tsx';
import { usePlatformWords } from './platform-words.ts';
import { RunOutcome } from './run-outcome.tsx';

/** How often what runs is looked for again. */
const LOOK_AGAIN_MS = 10_000;

export function Page() {
  return <Jobs of="tenant" />;
}

/** @param of whose jobs: each has addresses and permissions of its own */
export function Jobs({ of }: { of: 'tenant' | 'system' }) {
  const t = usePlatformWords();
  const isSystem = of === 'system';
  const pageOf = (name: string) => `/${isSystem ? 'system-jobs' : 'jobs'}/${name}`;
  const list: Parameters<typeof List<'/api/v2/jobs'>>[0] = {
    path: '/api/v2/jobs',
    permission: 'jobs:read',
    keyOf: ({ name }) => name,
    to: ({ name }) => pageOf(name),
    empty: t('no_jobs'),
    refreshEveryMs: LOOK_AGAIN_MS,
    filters: [{ name: 'job', label: t('job'), isHere: true }],
    columns: [
      {
        name: 'job',
        title: t('job'),
        value: ({ name, meaning }) => `${name} ${meaning}`,
        show: ({ name, paused, meaning }) => (
          <div style={{ maxWidth: 340 }}>
            <Group gap={6}>
              <Anchor component={Link} to={pageOf(name)} size="sm">
                {name}
              </Anchor>
              {paused && (
                <Badge size="xs" variant="light" color="orange">
                  {t('paused')}
                </Badge>
              )}
            </Group>
            <Text size="xs" c="dimmed">
              {meaning}
            </Text>
          </div>
        ),
      },
      {
        name: 'schedule',
        title: t('schedule'),
        value: ({ schedule }) => schedule,
        show: ({ schedule, time_zone }) => (
          <>
            {schedule}
            {time_zone !== undefined && (
              <Text size="xs" c="dimmed">
                {time_zone}
              </Text>
            )}
          </>
        ),
        wide: true,
      },
      {
        name: 'next_at',
        title: t('next_run'),
        value: ({ next_at }) => next_at,
        show: ({ next_at }) => <Moment at={next_at} />,
        wide: true,
      },
      {
        name: 'last_run',
        title: t('last_run'),
        value: ({ last_run }) => last_run?.ended_at ?? last_run?.created_at,
        show: ({ last_run }) =>
          last_run === undefined ? (
            '–'
          ) : (
            <Stack gap={2} align="flex-start">
              <RunOutcome outcome={last_run.outcome} />
              <Text size="xs" c="dimmed">
                <Moment at={last_run.ended_at ?? last_run.created_at} />
              </Text>
            </Stack>
          ),
        wide: true,
      },
      {
        name: 'acts',
        title: t('acts'),
        value: () => undefined,
        show: (job) => <JobActs job={job} of={of} />,
      },
    ],
  };
  const title = t(isSystem ? 'system_jobs' : 'jobs');
  const about = t(isSystem ? 'system_jobs_about' : 'jobs_about');
  return isSystem ? (
    <ListPage
      {...list}
      path="/api/v2/system-jobs"
      permission="system_jobs:read"
      title={title}
      about={about}
    />
  ) : (
    <ListPage {...list} title={title} about={about} />
  );
}

export function useJobs(of: 'tenant' | 'system') {
  return useQuery({
    queryKey: ['jobs', of],
    queryFn: () => (of === 'system' ? get('/api/v2/system-jobs') : get('/api/v2/jobs')),
    refetchInterval: LOOK_AGAIN_MS,
  });
}
