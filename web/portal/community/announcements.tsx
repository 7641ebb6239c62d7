/** What the institution tells its developers, newest first. */
import { Anchor, Badge, Group, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { ApiProblem } from '../../api/client.ts';
import { listRows } from '../../api/lists.ts';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { Permitted } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useCommunityWords } from './community-words.ts';

export function Page() {
  const t = useCommunityWords();
  return (
    <Stack gap="sm">
      <title>{`${t('announcements')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('announcements')}
      </Title>
      <Text size="sm" c="dimmed" maw={720}>
        {t('announcements_about')}
      </Text>
      <Permitted permission="portal:read">
        <Announcements />
      </Permitted>
    </Stack>
  );
}

function Announcements() {
  const t = useCommunityWords();
  const [search] = useSearchParams();
  const cursor = search.get('cursor') ?? '';
  const found = useQuery({
    queryKey: ['announcements', cursor],
    queryFn: () => listRows('/api/v2/portal/announcements', { cursor }),
  });
  if (found.error instanceof ApiProblem && found.error.problem.code === 'no_community') {
    return <Empty>{t('no_announcements')}</Empty>;
  }
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { data, next_cursor } = found.data;
  if (data.length === 0) return <Empty>{t('no_announcements')}</Empty>;
  return (
    <>
      {data.map(({ id, title, text, created_at, withdrawn_at }) => (
        <Section
          key={id}
          title={title}
          aside={
            <Group gap="xs">
              {withdrawn_at !== undefined && (
                <Badge size="sm" variant="light" color="gray">
                  {t('withdrawn')}
                </Badge>
              )}
              <Text size="xs" c="dimmed">
                <Moment at={created_at} />
              </Text>
            </Group>
          }
        >
          <Text size="sm" maw={760} style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {text}
          </Text>
        </Section>
      ))}
      {typeof next_cursor === 'string' && (
        <Anchor component={Link} to={`?cursor=${encodeURIComponent(next_cursor)}`} size="sm">
          {t('older')}
        </Anchor>
      )}
    </>
  );
}
