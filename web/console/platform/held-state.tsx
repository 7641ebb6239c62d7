import { Badge } from '@mantine/core';
import { usePlatformWords } from './platform-words.ts';

const colors = { retrying: 'orange', waiting: 'blue', parked: 'red' } as const;

export function HeldState({ state }: { state: keyof typeof colors }) {
  const t = usePlatformWords();
  return (
    <Badge size="sm" variant="light" color={colors[state]}>
      {t(`held_${state}`)}
    </Badge>
  );
}
