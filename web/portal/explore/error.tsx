/** An error: when it happens, what to do, and how it is told. */
import { Anchor, Badge, Breadcrumbs, Code, Group, Stack, Text, Title } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { Section } from '../../ui/facts.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { useExploreWords } from './explore-words.ts';
import { Prose } from './prose.tsx';
import { useRefusals } from './refusals.ts';

export function Page() {
  const t = useExploreWords();
  const { code } = useParams();
  const refusals = useRefusals();
  if (refusals.isError) return <Refused error={refusals.error} retry={() => void refusals.refetch()} />;
  if (refusals.data === undefined) return <Loading />;
  const found = refusals.data.find((one) => one.code === code);
  if (found === undefined) return <Empty>{t('no_error')}</Empty>;
  const { type, title, status } = found;
  return (
    <Stack gap="sm">
      <title>{`${found.code} · financialapi`}</title>
      <Breadcrumbs>
        <Anchor component={Link} to="/errors" size="sm">
          {t('all_errors')}
        </Anchor>
      </Breadcrumbs>
      <div>
        <Title order={1} size="h3">
          {title}
        </Title>
        <Group gap="xs" mt={6}>
          <Badge size="sm" variant="light" color={status < 500 ? 'orange' : 'red'}>
            {status}
          </Badge>
          <Code>{found.code}</Code>
        </Group>
      </div>
      <Section title={t('meaning')}>
        <Prose text={found.meaning} />
      </Section>
      <Section title={t('answer')}>
        <Text size="xs" c="dimmed">
          application/problem+json
        </Text>
        <Code block tabIndex={0}>
          {JSON.stringify({ type, title, status, detail: '…', code: found.code, request_id: '…' }, null, 2)}
        </Code>
      </Section>
    </Stack>
  );
}
