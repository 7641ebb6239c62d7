/** What a screen asks of the API, as code that asks the same. */
import { Drawer, Stack, Text } from '@mantine/core';
import type { Call } from './call.ts';
import { addressOfCall, CallCode } from './call-code.tsx';
import { useUiWords } from './ui-words.ts';

export default function CallDrawer({ calls, onClose }: { calls: readonly Call[]; onClose: () => void }) {
  const t = useUiWords();
  return (
    <Drawer
      opened
      onClose={onClose}
      position="right"
      size="lg"
      title={t('api_call')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Stack>
        <Text size="sm" c="dimmed">
          {t('key_note')}
        </Text>
        {calls.map((call) => (
          <CallCode key={`${call.method} ${addressOfCall(call)}`} call={call} />
        ))}
      </Stack>
    </Drawer>
  );
}
