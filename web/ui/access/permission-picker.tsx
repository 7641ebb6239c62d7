/** Chooses permissions, a resource a line; what one lacks oneself cannot be given. */
import { Checkbox, Group, ScrollArea, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useSelf } from '../self.tsx';
import { useAccessWords } from './access-words.ts';

/** Permissions by what they are about. */
export function byResource(permissions: readonly string[]): Map<string, string[]> {
  const resources = new Map<string, string[]>();
  for (const permission of permissions.toSorted()) {
    const resource = permission.slice(0, permission.indexOf(':'));
    const known = resources.get(resource);
    if (known === undefined) resources.set(resource, [permission]);
    else known.push(permission);
  }
  return resources;
}

export function PermissionPicker({
  label,
  value,
  onChange,
}: {
  label: string;
  value: readonly string[];
  onChange: (value: string[]) => void;
}) {
  const t = useAccessWords();
  const self = useSelf();
  const [wanted, setWanted] = useState('');
  // What is there already is shown although one lacks it, so that it can be taken away.
  const offered = [...new Set([...self.permissions, ...value])];
  const shown = byResource(offered.filter((permission) => permission.includes(wanted.trim().toLowerCase())));
  const toggle = (some: readonly string[], isOn: boolean) =>
    onChange(
      isOn
        ? [...new Set([...value, ...some])].toSorted()
        : value.filter((permission) => !some.includes(permission)),
    );
  return (
    <div role="group" aria-label={label}>
      <Group justify="space-between" mb={4}>
        <Text size="xs" fw={500}>
          {label}
        </Text>
        <Text size="xs" c="dimmed">
          {t('chosen', { count: value.length })}
        </Text>
      </Group>
      <TextInput
        aria-label={t('filter_permissions')}
        placeholder={t('filter_permissions')}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
        mb={6}
      />
      <ScrollArea.Autosize mah={300} type="auto" viewportProps={{ tabIndex: 0 }}>
        <Stack gap={10}>
          {[...shown].map(([resource, permissions]) => {
            const chosen = permissions.filter((permission) => value.includes(permission));
            return (
              <Group key={resource} gap="md" align="flex-start" wrap="nowrap">
                <Checkbox
                  size="xs"
                  w={160}
                  style={{ flexShrink: 0 }}
                  label={<b>{resource}</b>}
                  checked={chosen.length === permissions.length}
                  indeterminate={chosen.length > 0 && chosen.length < permissions.length}
                  onChange={(event) => toggle(permissions, event.currentTarget.checked)}
                />
                <Group gap="sm" style={{ rowGap: 10 }}>
                  {permissions.map((permission) => (
                    <Checkbox
                      key={permission}
                      size="xs"
                      label={permission.slice(resource.length + 1)}
                      aria-label={permission}
                      checked={value.includes(permission)}
                      onChange={(event) => toggle([permission], event.currentTarget.checked)}
                    />
                  ))}
                </Group>
              </Group>
            );
          })}
        </Stack>
      </ScrollArea.Autosize>
    </div>
  );
}
