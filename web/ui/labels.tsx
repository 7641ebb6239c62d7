/** Labels: names and values that a thing carries. */
import { Badge, Group, Textarea } from '@mantine/core';
import { useUiWords } from './ui-words.ts';

export function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  return (
    <Group gap={4}>
      {Object.entries(labels).map(([name, value]) => (
        <Badge key={name} variant="default" tt="none">
          {name}: {value}
        </Badge>
      ))}
    </Group>
  );
}

/** The labels that were typed; nothing where a line is none. */
export function labelsOf(typed: string): Record<string, string> | undefined {
  const lines = typed
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const pairs = lines.map((line) => /^([^=]+)=(.*)$/.exec(line));
  if (pairs.includes(null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1]?.trim() ?? '', pair?.[2]?.trim() ?? '']));
}

export function LabelsField({
  label,
  about,
  typed,
  onChange,
}: {
  label: string;
  about?: string;
  typed: string;
  onChange: (typed: string) => void;
}) {
  const t = useUiWords();
  return (
    <Textarea
      label={label}
      description={`${about === undefined ? '' : `${about} `}${t('labels_hint')}`}
      autosize
      minRows={2}
      value={typed}
      onChange={(event) => onChange(event.currentTarget.value)}
      error={labelsOf(typed) === undefined ? t('labels_wrong') : undefined}
    />
  );
}
