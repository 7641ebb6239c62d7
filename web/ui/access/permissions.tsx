import { Badge, Group, Stack, Text } from '@mantine/core';
import { useAccessWords } from './access-words.ts';
import { byResource } from './permission-picker.tsx';

/** Permissions, a resource a line; what a pattern allows in words. */
export function Permissions({ permissions }: { permissions: readonly string[] }) {
  const t = useAccessWords();
  return (
    <Stack gap={4}>
      {[...byResource(permissions)].map(([resource, some]) => (
        <Group key={resource} gap="xs" align="flex-start" wrap="nowrap">
          <Text
            size="sm"
            fw={600}
            w={{ base: 120, sm: 180 }}
            style={{ flexShrink: 0, overflowWrap: 'anywhere' }}
          >
            {resource === '*' ? t('every_resource') : resource}
          </Text>
          <Group gap={4}>
            {some.map((permission) => (
              <Badge key={permission} size="sm" variant="default" tt="none" fw={400}>
                {permission.endsWith(':*') ? t('every_action') : permission.slice(resource.length + 1)}
              </Badge>
            ))}
          </Group>
        </Group>
      ))}
    </Stack>
  );
}
