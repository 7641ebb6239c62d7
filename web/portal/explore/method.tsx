import { Badge } from '@mantine/core';
import type { Method } from './openapi.ts';

const colors = { GET: 'blue', POST: 'teal', PATCH: 'orange', PUT: 'orange', DELETE: 'red' } as const;

export function MethodBadge({ method }: { method: Method }) {
  return (
    <Badge size="sm" radius="sm" variant="light" color={colors[method]} w={62} style={{ flexShrink: 0 }}>
      {method}
    </Badge>
  );
}
