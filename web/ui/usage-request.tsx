/** What is kept of one request: what was sent, and why it was refused. */
import { Button, Code, Drawer, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { BodyOf } from '../api/client.ts';
import { CopyId } from './copy-id.tsx';
import { useUiWords } from './ui-words.ts';
import { useUsageWords } from './usage-words.ts';

export type UsageRequest = BodyOf<'/api/v2/usage/requests'>['data'][number];

export function UsageRequestButton({ request }: { request: UsageRequest }) {
  const t = useUsageWords();
  const ui = useUiWords();
  const [opened, { open, close }] = useDisclosure(false);
  const parts = [
    [t('sent'), request.body],
    [t('answer'), request.answer],
  ] as const;
  if (parts.every(([, part]) => part === undefined)) return '–';
  return (
    <>
      <Button variant="subtle" size="compact-sm" onClick={open}>
        {t('contents')}
      </Button>
      <Drawer
        opened={opened}
        onClose={close}
        position="right"
        size="lg"
        title={`${request.method} ${request.path}`}
        closeButtonProps={{ 'aria-label': ui('close') }}
      >
        <Stack gap="xs">
          <CopyId id={request.request_id} />
          {parts.map(
            ([name, part]) =>
              part !== undefined && (
                <div key={name}>
                  <Text size="xs" c="dimmed">
                    {name}
                  </Text>
                  <Code block tabIndex={0}>
                    {JSON.stringify(part, null, 2)}
                  </Code>
                </div>
              ),
          )}
          <Text size="xs" c="dimmed">
            {t('left_out_of_contents')}
          </Text>
        </Stack>
      </Drawer>
    </>
  );
}
