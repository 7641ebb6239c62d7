import { Badge } from '@mantine/core';
import { useAccessWords } from './access-words.ts';

const colors = {
  active: 'teal',
  suspended: 'orange',
  removed: 'gray',
  open: 'blue',
  accepted: 'teal',
  expired: 'gray',
  revoked: 'red',
  disabled: 'orange',
} as const;

export function AccessStatus({ status }: { status: keyof typeof colors }) {
  const t = useAccessWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]} miw="max-content">
      {t(`is_${status}`)}
    </Badge>
  );
}
