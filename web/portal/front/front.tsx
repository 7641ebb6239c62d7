/** What the portal is, and which communities there are. */
import { Anchor, Button, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { get } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { type Community, nameOf } from '../community/portal-self.ts';
import { BrandMark } from './brand.tsx';
import { useFrontWords } from './front-words.ts';

export default function Front() {
  const t = useFrontWords();
  const communities = useQuery({
    queryKey: ['communities'],
    queryFn: () => get('/identity/communities', { stays: true }),
  });
  return (
    <Stack gap="lg">
      <title>{`${t('developers')} · financialapi`}</title>
      <div>
        <Title order={1} size="h2">
          {t('developers')}
        </Title>
        <Text maw={640} mt="xs">
          {t('lead')}
        </Text>
        <Group mt="md">
          <Button component={Link} to="/explore" size="sm">
            {t('look_around')}
          </Button>
        </Group>
      </div>
      <Stack gap="sm">
        <Title order={2} size="h4">
          {t('communities')}
        </Title>
        <Text size="sm" c="dimmed" maw={640}>
          {t('communities_about')}
        </Text>
        {communities.isError ? (
          <Refused error={communities.error} retry={() => void communities.refetch()} />
        ) : communities.data === undefined ? (
          <Loading />
        ) : communities.data.data.length === 0 ? (
          <Text size="sm">{t('no_communities')}</Text>
        ) : (
          <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
            {communities.data.data.map((community) => (
              <Card key={community.slug} community={community} />
            ))}
          </SimpleGrid>
        )}
      </Stack>
    </Stack>
  );
}

function Card({ community }: { community: Community }) {
  const t = useFrontWords();
  return (
    <Section>
      <Group wrap="nowrap" align="flex-start">
        <BrandMark community={community} />
        <div>
          <Anchor component={Link} to={`/${community.slug}`} fw={600}>
            {nameOf(community)}
          </Anchor>
          <Text size="xs" c="dimmed">
            {t('of_institution', { institution: community.institution })}
            {community.sign_up === 'invitation' && ` · ${t('by_invitation')}`}
          </Text>
          {community.description !== '' && (
            <Text size="sm" mt={4} lineClamp={4}>
              {community.description}
            </Text>
          )}
        </div>
      </Group>
    </Section>
  );
}
