import { Badge } from '@mantine/core';
import { useWebhookWords } from './webhook-words.ts';

const colors = {
  enabled: 'teal',
  disabled: 'red',
  waiting: 'blue',
  pending: 'orange',
  delivered: 'teal',
  failed: 'red',
  missed: 'gray',
} as const;

export function WebhookStatus({ status }: { status: keyof typeof colors }) {
  const t = useWebhookWords();
  return (
    <Badge size="sm" variant="light" color={colors[status]}>
      {t(`is_${status}`)}
    </Badge>
  );
}
