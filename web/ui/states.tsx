/** What a page shows while it has nothing to show: loading, nothing there, refused, not permitted. */
import { Alert, Button, Center, Group, Loader, Stack, Text } from '@mantine/core';
import { CircleAlert, Inbox, Lock } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiProblem } from '../api/client.ts';
import { CopyId } from './copy-id.tsx';
import { useUiWords } from './ui-words.ts';

export function Loading() {
  const t = useUiWords();
  return (
    <Center mih={160} aria-busy="true">
      <Loader size="sm" role="status" aria-label={t('loading')} />
    </Center>
  );
}

export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <Center mih={160}>
      <Stack align="center" gap="xs">
        <Inbox size={28} strokeWidth={1.4} aria-hidden color="var(--mantine-color-dimmed)" />
        <Text c="dimmed" size="sm">
          {children}
        </Text>
        {action}
      </Stack>
    </Center>
  );
}

/** Why something could not be loaded or done, in the words of the server. */
export function Refused({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useUiWords();
  const problem = error instanceof ApiProblem ? error.problem : undefined;
  return (
    <Alert
      color="red"
      variant="light"
      icon={<CircleAlert size={18} />}
      title={problem?.title ?? t('failed')}
      role="alert"
      data-refused
    >
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{problem?.detail ?? (error instanceof Error ? error.message : String(error))}</Text>
        {problem?.errors?.map(({ pointer, detail }) => (
          <Text size="sm" key={pointer}>
            <b>{pointer}</b> {detail}
          </Text>
        ))}
        <Group gap="xs">
          {retry !== undefined && (
            <Button variant="default" onClick={retry}>
              {t('retry')}
            </Button>
          )}
          {problem?.code === 'session_not_fresh' && (
            <Button
              component="a"
              variant="default"
              href={`/identity/sign-in?next=${encodeURIComponent(`${location.pathname}${location.search}`)}`}
            >
              {t('sign_in_again')}
            </Button>
          )}
          {problem !== undefined && problem.request_id !== '' && <CopyId id={problem.request_id} />}
        </Group>
      </Stack>
    </Alert>
  );
}

export function NotPermitted({ permission }: { permission: string }) {
  const t = useUiWords();
  return (
    <Center mih={240} data-refused>
      <Stack align="center" gap="xs" maw={460} ta="center">
        <Lock size={28} strokeWidth={1.4} aria-hidden />
        <Text fw={600}>{t('no_permission')}</Text>
        <Text c="dimmed" size="sm">
          {t('no_permission_more', { permission })}
        </Text>
      </Stack>
    </Center>
  );
}
