import { Button, Center, Stack, Text, Title } from '@mantine/core';
import { Link, useRouteError } from 'react-router';
import { Refused } from '../states.tsx';
import { useShellWords } from './shell-words.ts';

/** A page that could not be loaded or shown: the rest goes on. */
export function PageFailed() {
  const t = useShellWords();
  const error = useRouteError();
  return (
    <Stack maw={640}>
      <Title order={1} size="h3">
        {t('page_failed')}
      </Title>
      <Refused error={error} retry={() => location.reload()} />
    </Stack>
  );
}

export function NotFound() {
  const t = useShellWords();
  return (
    <Center mih={240}>
      <Stack align="center">
        <Text fw={600}>{t('not_found')}</Text>
        <Button component={Link} to="/" variant="default">
          {t('go_home')}
        </Button>
      </Stack>
    </Center>
  );
}
