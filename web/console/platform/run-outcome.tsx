import { Badge } from '@mantine/core';
import { usePlatformWords } from './platform-words.ts';

const colors = {
  waiting: 'gray',
  running: 'blue',
  retrying: 'orange',
  succeeded: 'teal',
  failed: 'red',
} as const;

export function RunOutcome({ outcome }: { outcome: keyof typeof colors }) {
  const t = usePlatformWords();
  return (
    <Badge size="sm" variant="light" color={colors[outcome]}>
      {t(`run_${outcome}`)}
    </Badge>
  );
}
