import { Badge } from '@mantine/core';
import { useAccessWords } from '../../ui/access/access-words.ts';

const colors = { done: 'teal', refused: 'orange', failed: 'red', unknown: 'gray' } as const;

export function AuditOutcome({ outcome }: { outcome: keyof typeof colors }) {
  const t = useAccessWords();
  return (
    <Badge size="sm" variant="light" color={colors[outcome]}>
      {t(`was_${outcome}`)}
    </Badge>
  );
}
