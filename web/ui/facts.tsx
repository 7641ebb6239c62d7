/** What is known of a thing, as names and values. */
import { Group, Paper, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { CopyId } from './copy-id.tsx';

export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <SimpleGrid component="dl" cols={{ base: 1, xs: 2, md: 3 }} spacing="sm" verticalSpacing="xs" my={0}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text component="dt" size="xs" c="dimmed">
            {name}
          </Text>
          <Text component="dd" size="sm" m={0} style={{ overflowWrap: 'anywhere' }}>
            {value}
          </Text>
        </div>
      ))}
    </SimpleGrid>
  );
}

export function Section({
  title,
  aside,
  children,
}: {
  title?: string;
  aside?: ReactNode;
  children: ReactNode;
}) {
  return (
    <Paper withBorder p="sm">
      <Stack gap="sm">
        {title !== undefined && (
          <Group justify="space-between">
            <Title order={2} size="h5">
              {title}
            </Title>
            {aside}
          </Group>
        )}
        {children}
      </Stack>
    </Paper>
  );
}

/** The head of the page of a thing: what it is, its id, and what can be done with it. */
export function ThingHead({
  title,
  id,
  badge,
  actions,
}: {
  title: string;
  id: string;
  badge?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <Group justify="space-between" align="flex-start" gap="sm">
      <title>{`${title} · financialapi`}</title>
      <div style={{ minWidth: 0 }}>
        <Group gap="xs">
          <Title order={1} size="h3" style={{ overflowWrap: 'anywhere' }}>
            {title}
          </Title>
          {badge}
        </Group>
        <CopyId id={id} />
      </div>
      <Group gap={6}>{actions}</Group>
    </Group>
  );
}
