import { Badge, Code, Stack, Text } from '@mantine/core';
import { useParams } from 'react-router';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { List } from '../../ui/list-page.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { JobActs } from './job-acts.tsx';
import { useJobs } from './jobs.tsx';
import { usePlatformWords } from './platform-words.ts';
import { RunOutcome } from './run-outcome.tsx';

export function Page() {
  return <Job of="tenant" />;
}

export function Job({ of }: { of: 'tenant' | 'system' }) {
  return (
    <Permitted permission={of === 'system' ? 'system_jobs:read' : 'jobs:read'}>
      <JobPage of={of} />
    </Permitted>
  );
}

function JobPage({ of }: { of: 'tenant' | 'system' }) {
  const t = usePlatformWords();
  const { job: name = '' } = useParams();
  const jobs = useJobs(of);
  if (jobs.isError) return <Refused error={jobs.error} retry={() => void jobs.refetch()} />;
  if (jobs.data === undefined) return <Loading />;
  const job = jobs.data.data.find((one) => one.name === name);
  if (job === undefined) return <Empty>{t('no_such_job', { name })}</Empty>;
  return (
    <Stack gap="sm">
      <ThingHead
        title={job.name}
        id={job.name}
        badge={
          job.paused && (
            <Badge size="sm" variant="light" color="orange">
              {t('paused')}
            </Badge>
          )
        }
        actions={
          <>
            <JobActs job={job} of={of} />
            <HistoryButton subject={job.name} />
            <ApiCallButton
              calls={[
                {
                  method: 'GET',
                  path: of === 'system' ? '/api/v2/system-jobs/{job}/runs' : '/api/v2/jobs/{job}/runs',
                  ids: { job: name },
                },
              ]}
            />
          </>
        }
      />
      <Section>
        <Text size="sm">{job.meaning}</Text>
        <Facts
          facts={[
            [t('schedule'), job.schedule],
            [t('time_zone'), job.time_zone ?? '–'],
            [t('next_run'), <Moment key="n" at={job.next_at} />],
            ...(job.paused
              ? [
                  [t('paused_at'), <Moment key="p" at={job.paused_at} />] as const,
                  [t('paused_by'), <IdLink key="b" id={job.paused_by} short />] as const,
                ]
              : []),
          ]}
        />
      </Section>
      <Section title={t('runs')}>
        <Runs of={of} job={name} />
      </Section>
    </Stack>
  );
}

const outcomes = ['waiting', 'running', 'retrying', 'succeeded', 'failed'] as const;

function Runs({ of, job }: { of: 'tenant' | 'system'; job: string }) {
  const t = usePlatformWords();
  const locale = useLocale();
  const list: Parameters<typeof List<'/api/v2/jobs/{job}/runs'>>[0] = {
    path: '/api/v2/jobs/{job}/runs',
    ids: { job },
    permission: 'jobs:read',
    keyOf: ({ id }) => id,
    empty: t('no_runs'),
    filters: [
      {
        name: 'outcome',
        label: t('outcome'),
        choices: outcomes.map((value) => ({ value, label: t(`run_${value}`) })),
      },
    ],
    columns: [
      {
        name: 'due_at',
        title: t('due'),
        value: ({ due_at }) => due_at,
        show: ({ due_at }) => <Moment at={due_at} />,
      },
      {
        name: 'outcome',
        title: t('outcome'),
        value: ({ outcome }) => outcome,
        show: ({ outcome }) => <RunOutcome outcome={outcome} />,
      },
      {
        name: 'reason',
        title: t('why'),
        value: ({ reason }) => reason,
        show: ({ reason }) => t(`because_${reason}`),
        wide: true,
      },
      {
        name: 'requested_by',
        title: t('asked_by'),
        value: ({ requested_by }) => requested_by,
        show: ({ requested_by }) => <IdLink id={requested_by} short />,
        wide: true,
      },
      {
        name: 'started_at',
        title: t('started'),
        value: ({ started_at }) => started_at,
        show: ({ started_at }) => <Moment at={started_at} />,
        wide: true,
      },
      {
        name: 'ended_at',
        title: t('ended'),
        value: ({ ended_at }) => ended_at,
        show: ({ ended_at }) => <Moment at={ended_at} />,
        wide: true,
      },
      {
        name: 'attempt',
        title: t('attempts'),
        value: ({ attempt }) => attempt,
        align: 'right',
        order: 'number',
        wide: true,
      },
      {
        name: 'did',
        title: t('did'),
        value: ({ did, error }) => error?.message ?? JSON.stringify(did ?? {}),
        show: ({ did, error }) =>
          error === undefined ? (
            Object.entries(did ?? {})
              .map(([what, count]) => `${what.replaceAll('_', ' ')}: ${count.toLocaleString(locale)}`)
              .join(', ')
          ) : (
            <Code>{error.message}</Code>
          ),
        wide: true,
      },
    ],
  };
  return of === 'tenant' ? (
    <List {...list} />
  ) : (
    <List {...list} path="/api/v2/system-jobs/{job}/runs" permission="system_jobs:read" />
  );
}
