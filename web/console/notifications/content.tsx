/** What a message says, as a recipient reads it. HTML is shown as its source: it came from elsewhere, and is not run here. */
import { Code, Stack, Tabs, Text } from '@mantine/core';
import { useNotificationWords } from './notification-words.ts';

export function Content({ content }: { content: { subject?: string; text: string; html?: string } }) {
  const t = useNotificationWords();
  return (
    <Stack gap="xs">
      {content.subject !== undefined && <Text fw={600}>{content.subject}</Text>}
      {content.html === undefined ? (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {content.text}
        </Text>
      ) : (
        <Tabs defaultValue="text">
          <Tabs.List>
            <Tabs.Tab value="text">{t('as_text')}</Tabs.Tab>
            <Tabs.Tab value="html">HTML</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="text" pt="xs">
            <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
              {content.text}
            </Text>
          </Tabs.Panel>
          <Tabs.Panel value="html" pt="xs">
            <Code block tabIndex={0}>
              {content.html}
            </Code>
          </Tabs.Panel>
        </Tabs>
      )}
    </Stack>
  );
}
