/** What the portal is, and which communities there are. */
import { Button, Group, Stack, Text, Title } from '@mantine/core';
import { Link } from 'react-router';
import { useFrontWords } from './front-words.ts';

export default function Front() {
  const t = useFrontWords();
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
    </Stack>
  );
}
