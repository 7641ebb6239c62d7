import { Badge } from '@mantine/core';
import { useNotificationWords } from './notification-words.ts';

const colors = {
  waiting: 'blue',
  sending: 'orange',
  sent: 'teal',
  failed: 'red',
  suppressed: 'gray',
  draft: 'orange',
  published: 'teal',
  active: 'teal',
  disabled: 'gray',
} as const;

export function NotificationState({ state }: { state: keyof typeof colors }) {
  const t = useNotificationWords();
  return (
    <Badge size="sm" variant="light" color={colors[state]}>
      {t(`is_${state}`)}
    </Badge>
  );
}
