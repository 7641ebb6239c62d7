import { Badge } from '@mantine/core';
import { usePlatformWords } from './platform-words.ts';

export function TenantStatus({ status }: { status: 'active' | 'suspended' }) {
  const t = usePlatformWords();
  return (
    <Badge size="sm" variant="light" color={status === 'active' ? 'teal' : 'red'}>
      {t(`tenant_${status}`)}
    </Badge>
  );
}
