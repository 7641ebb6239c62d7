/** An event: when it is told, what is in it, and what it looks like. */
import { Anchor, Breadcrumbs, Button, Code, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { Webhook } from 'lucide-react';
import { Link, useParams } from 'react-router';
import { Section } from '../../ui/facts.tsx';
import { useFoundSelf } from '../../ui/self.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { exampleOf, useEventTypes } from './asyncapi.ts';
import { useExploreWords } from './explore-words.ts';
import { SchemaView } from './schema-view.tsx';

export function Page() {
  const t = useExploreWords();
  const self = useFoundSelf();
  const { type = '' } = useParams();
  const types = useEventTypes();
  if (types.isError) return <Refused error={types.error} retry={() => void types.refetch()} />;
  if (types.data === undefined) return <Loading />;
  const found = types.data.find(({ name }) => name === type);
  if (found === undefined) return <Empty>{t('no_event_type')}</Empty>;
  const data = found.payload.properties?.['data'];
  return (
    <Stack gap="sm">
      <title>{`${found.name} · financialapi`}</title>
      <Breadcrumbs>
        <Anchor component={Link} to="/event-types" size="sm">
          {t('event_types')}
        </Anchor>
      </Breadcrumbs>
      <Group justify="space-between" align="flex-start">
        <div>
          <Title order={1} size="h3">
            {found.title}
          </Title>
          <Code>{found.name}</Code>
        </div>
        {self !== undefined && (
          <Button component={Link} to="/webhooks" variant="default" leftSection={<Webhook size={14} />}>
            {t('subscribe')}
          </Button>
        )}
      </Group>
      <Text size="sm">{found.summary}</Text>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="sm">
        <Section title={t('data')}>
          {data === undefined ? '–' : <SchemaView schema={data} resolve={(schema) => schema} />}
        </Section>
        <Section title={t('example_event')}>
          <Code block tabIndex={0}>
            {JSON.stringify(exampleOf(found.payload), null, 2)}
          </Code>
        </Section>
      </SimpleGrid>
    </Stack>
  );
}
