/** Background work of the institution, or of the system as a whole for who operates it. */
import { Anchor, Badge, Group, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
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
  const title = t(isSystem ? 'system_jobs' : 'jobs');
  return (
    <Stack gap="sm">
      <title>{`${title} · financialapi`}</title>
      <Group justify="space-between">
        <Title order={1} size="h3">
          {title}
        </Title>
        <ApiCallButton calls={[{ method: 'GET', path: isSystem ? '/api/v2/system-jobs' : '/api/v2/jobs' }]} />
      </Group>
      <Text size="sm" c="dimmed" maw={720}>
        {t(isSystem ? 'system_jobs_about' : 'jobs_about')}
      </Text>
      <Permitted permission={isSystem ? 'system_jobs:read' : 'jobs:read'}>
        <JobTable of={of} />
      </Permitted>
    </Stack>
  );
}

export function useJobs(of: 'tenant' | 'system') {
  return useQuery({
    queryKey: ['jobs', of],
    queryFn: () => (of === 'system' ? get('/api/v2/system-jobs') : get('/api/v2/jobs')),
    refetchInterval: LOOK_AGAIN_MS,
  });
}

function JobTable({ of }: { of: 'tenant' | 'system' }) {
  const t = usePlatformWords();
  const jobs = useJobs(of);
  if (jobs.isError) return <Refused error={jobs.error} retry={() => void jobs.refetch()} />;
  if (jobs.data === undefined) return <Loading />;
  if (jobs.data.data.length === 0) return <Empty>{t('no_jobs')}</Empty>;
  return (
    <Section>
      <Table.ScrollContainer minWidth={760}>
        <Table fz="sm" highlightOnHover>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('job')}</Table.Th>
              <Table.Th>{t('schedule')}</Table.Th>
              <Table.Th>{t('next_run')}</Table.Th>
              <Table.Th>{t('last_run')}</Table.Th>
              <Table.Th>{t('acts')}</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {jobs.data.data.map((job) => (
              <Table.Tr key={job.name}>
                <Table.Td maw={340}>
                  <Group gap={6}>
                    <Anchor
                      component={Link}
                      to={`/${of === 'system' ? 'system-jobs' : 'jobs'}/${job.name}`}
                      size="sm"
                    >
                      {job.name}
                    </Anchor>
                    {job.paused && (
                      <Badge size="xs" variant="light" color="orange">
                        {t('paused')}
                      </Badge>
                    )}
                  </Group>
                  <Text size="xs" c="dimmed">
                    {job.meaning}
                  </Text>
                </Table.Td>
                <Table.Td>
                  {job.schedule}
                  {job.time_zone !== undefined && (
                    <Text size="xs" c="dimmed">
                      {job.time_zone}
                    </Text>
                  )}
                </Table.Td>
                <Table.Td>
                  <Moment at={job.next_at} />
                </Table.Td>
                <Table.Td>
                  {job.last_run === undefined ? (
                    '–'
                  ) : (
                    <Stack gap={2} align="flex-start">
                      <RunOutcome outcome={job.last_run.outcome} />
                      <Text size="xs" c="dimmed">
                        <Moment at={job.last_run.ended_at ?? job.last_run.created_at} />
                      </Text>
                    </Stack>
                  )}
                </Table.Td>
                <Table.Td>
                  <JobActs job={job} of={of} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Section>
  );
}
