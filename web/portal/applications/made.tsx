/** What a new application begins with: its key and its secret, shown once, and a command that uses the key. */
import { Alert, Button, Code, CopyButton, Group, Modal, Stack, Text } from '@mantine/core';
import { Check, Copy, KeyRound } from 'lucide-react';
import { useNavigate } from 'react-router';
import { useUiWords } from '../../ui/ui-words.ts';
import { useApplicationWords } from './application-words.ts';

export interface Made {
  id: string;
  name: string;
  key?: string | undefined;
  secret?: string | undefined;
}

export function MadeDialog({ made, onClose }: { made: Made | undefined; onClose: () => void }) {
  const t = useApplicationWords();
  const words = useUiWords();
  const navigate = useNavigate();
  if (made === undefined) return null;
  const { id, name, key, secret } = made;
  const command = `curl -s '${location.origin}/api/v2/accounts?limit=3' \\\n  -H 'Authorization: Bearer ${key ?? ''}'`;
  return (
    <Modal
      opened
      onClose={onClose}
      title={t('made', { name })}
      size="lg"
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': words('close') }}
    >
      <Stack gap="sm">
        <Alert variant="light" color="orange" icon={<KeyRound size={18} />}>
          {words('shown_once')}
        </Alert>
        {key !== undefined && <Secret title={t('the_key')} text={key} name="key" />}
        {secret !== undefined && <Secret title={t('the_secret')} text={secret} name="secret" />}
        {key !== undefined && <Secret title={t('try_now')} text={command} name="command" />}
        <Group justify="flex-end">
          <Button onClick={() => void navigate(`/applications/${id}`)}>{words('kept')}</Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Secret({ title, text, name }: { title: string; text: string; name: string }) {
  const words = useUiWords();
  return (
    <div>
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          {title}
        </Text>
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button
              variant="subtle"
              leftSection={copied ? <Check size={14} /> : <Copy size={14} />}
              aria-label={`${words('copy')}: ${title}`}
              onClick={copy}
            >
              {copied ? words('copied') : words('copy')}
            </Button>
          )}
        </CopyButton>
      </Group>
      <Code block tabIndex={0} data-shown={name} style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
        {text}
      </Code>
    </div>
  );
}
