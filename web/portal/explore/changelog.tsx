/** What has changed in the API, as docs/changelog.md tells it. */
import { Stack, Title } from '@mantine/core';
import changelog from '../../../docs/changelog.md?raw';
import { Section } from '../../ui/facts.tsx';
import { useExploreWords } from './explore-words.ts';
import { Prose } from './prose.tsx';

export function Page() {
  const t = useExploreWords();
  return (
    <Stack gap="sm">
      <title>{`${t('changelog')} · financialapi`}</title>
      <Title order={1} size="h3">
        {t('changelog')}
      </Title>
      <Section>
        {/* The words of the file, which has its own heading, are in the language of the API: English. */}
        <div lang="en">
          <Stack gap="xs">
            <Prose text={changelog.replace(/^# .*\n/, '')} />
          </Stack>
        </div>
      </Section>
    </Stack>
  );
}
