/** The front page of a community: what it is for, how one begins, and what there is to build on. */
import { Button, Group, List, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { ApiProblem, get } from '../../api/client.ts';
import { Section } from '../../ui/facts.tsx';
import { useFoundSelf } from '../../ui/self.tsx';
import { NotFound } from '../../ui/shell/page-failed.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { nameOf } from '../community/portal-self.ts';
import { productsOf } from '../explore/catalogue.ts';
import { useApi } from '../explore/openapi.ts';
import { Inline, Prose } from '../explore/prose.tsx';
import { BrandMark } from './brand.tsx';
import { useFrontWords } from './front-words.ts';

const steps = ['step_1', 'step_2', 'step_3'] as const;
/** So many operations of a product are named. */
const NAMED = 3;

export function useCommunity(slug: string) {
  return useQuery({
    queryKey: ['community', slug],
    queryFn: () => get('/identity/communities/{slug}', { ids: { slug }, stays: true }),
  });
}

export function Page() {
  const t = useFrontWords();
  const { slug = '' } = useParams();
  const self = useFoundSelf();
  const found = useCommunity(slug);
  const api = useApi();
  if (found.isError) {
    const isMissing = found.error instanceof ApiProblem && found.error.problem.status === 404;
    return isMissing ? <NotFound /> : <Refused error={found.error} retry={() => void found.refetch()} />;
  }
  if (found.data === undefined) return <Loading />;
  const community = found.data;
  const { institution, sign_up, email_domains, apis, terms } = community;
  const products = productsOf(api.data?.products, apis.length === 0 ? undefined : apis) ?? [];
  return (
    <Stack gap="lg">
      <title>{`${nameOf(community)} · financialapi`}</title>
      <Group wrap="nowrap" align="flex-start">
        <BrandMark community={community} size={56} />
        <div>
          <Title order={1} size="h2">
            {nameOf(community)}
          </Title>
          <Text size="sm" c="dimmed">
            {t('of_institution', { institution })}
          </Text>
        </div>
      </Group>
      {community.description !== '' && (
        <Text maw={720} style={{ whiteSpace: 'pre-line' }}>
          {community.description}
        </Text>
      )}
      {self === undefined && (
        <div>
          <Group>
            {(sign_up === 'open' || sign_up === 'approval') && (
              <Button component={Link} to={`/${slug}/sign-up`} size="sm">
                {t('sign_up')}
              </Button>
            )}
            <Button component="a" href="/identity/sign-in?next=/portal" size="sm" variant="default">
              {t('sign_in')}
            </Button>
          </Group>
          {sign_up !== 'open' && (
            <Text size="sm" mt="xs">
              {t(sign_up, { institution })}
            </Text>
          )}
          {email_domains.length > 0 && sign_up !== 'invitation' && (
            <Text size="sm" c="dimmed" mt="xs">
              {t('domains', { domains: email_domains.join(', ') })}
            </Text>
          )}
        </div>
      )}
      <Stack gap="sm">
        <Title order={2} size="h4">
          {t('how_to_begin')}
        </Title>
        <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="sm">
          {steps.map((step, index) => (
            <Section key={step}>
              <Text fw={600}>
                {index + 1}. {t(step)}
              </Text>
              <Text size="sm">
                {step === 'step_1' && sign_up === 'invitation'
                  ? t('step_1_invited')
                  : t(`${step}_about`, { institution })}
              </Text>
            </Section>
          ))}
        </SimpleGrid>
      </Stack>
      <Stack gap="sm">
        <Title order={2} size="h4">
          {t('what_it_does')}
        </Title>
        {api.isError && <Refused error={api.error} retry={() => void api.refetch()} />}
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }} spacing="sm">
          {products.map(({ tag, slug: product, operations }) => (
            <Section key={tag}>
              <Text component={Link} to={`/explore/${product}`} fw={600} className="product top-link">
                {tag}
              </Text>
              <List size="sm" spacing={2}>
                {operations.slice(0, NAMED).map(({ operationId, summary, path }) => (
                  <List.Item key={operationId}>
                    <Inline text={summary ?? path} />
                  </List.Item>
                ))}
              </List>
            </Section>
          ))}
        </SimpleGrid>
      </Stack>
      <details>
        <summary>{t('terms_version', { version: terms.version })}</summary>
        <Stack gap="xs" mt="xs">
          <Prose text={terms.text} />
        </Stack>
      </details>
    </Stack>
  );
}
