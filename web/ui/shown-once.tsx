/** A secret that the server tells this once. */
import { Alert, Button, Code, CopyButton, Group, Modal, Stack, Text } from '@mantine/core';
import { Check, Copy, KeyRound } from 'lucide-react';
import { useUiWords } from './ui-words.ts';

export function ShownOnce({
  title,
  about,
  secret,
  onClose,
}: {
  title: string;
  about?: string;
  /** Nothing is shown without it. */
  secret: string | undefined;
  onClose: () => void;
}) {
  const t = useUiWords();
  return (
    <Modal
      opened={secret !== undefined}
      onClose={onClose}
      title={title}
      size="lg"
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Stack gap="sm">
        {about !== undefined && <Text size="sm">{about}</Text>}
        <Alert variant="light" color="orange" icon={<KeyRound size={18} />}>
          {t('shown_once')}
        </Alert>
        <Code block tabIndex={0} data-secret style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
          {secret}
        </Code>
        <Group justify="flex-end" gap="xs">
          <CopyButton value={secret ?? ''}>
            {({ copied, copy }) => (
              <Button
                variant="default"
                leftSection={copied ? <Check size={14} /> : <Copy size={14} />}
                onClick={copy}
              >
                {copied ? t('copied') : t('copy')}
              </Button>
            )}
          </CopyButton>
          <Button onClick={onClose}>{t('kept')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
