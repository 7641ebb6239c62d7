/** Windows of limits as they are typed: so many requests in so long, in a plan or for a tenant. */
import { Button, Group, NumberInput, Select, TextInput } from '@mantine/core';
import { Plus, X } from 'lucide-react';
import { usePlatformWords } from './platform-words.ts';

interface Window {
  name: string;
  requests: number;
  window_s?: number;
  period?: 'day' | 'month';
  per?: (typeof pers)[number];
  tells?: boolean;
}

const lengths = ['second', 'minute', 'hour', 'day', 'month'] as const;
const seconds = { second: 1, minute: 60, hour: 3_600 } as const;
const pers = ['caller', 'application', 'plan'] as const;

export interface Line {
  id: string;
  name: string;
  requests: number | string;
  /** A length that can be chosen, or the one that the window had. */
  length: string;
  per: (typeof pers)[number];
  tells?: boolean;
}

export const freshLine = (): Line => ({
  id: crypto.randomUUID(),
  name: '',
  requests: '',
  length: 'minute',
  per: 'caller',
});

export function lineOf({ name, requests, window_s, period, per = 'caller', tells }: Window): Line {
  const known = (['second', 'minute', 'hour'] as const).find((length) => seconds[length] === window_s);
  return {
    id: name,
    name,
    requests,
    length: period ?? known ?? `${window_s ?? 0} s`,
    per,
    ...(tells === undefined ? {} : { tells }),
  };
}

/** Without whose requests it counts, which a plan alone says. */
export function windowOf({ name, requests, length, tells }: Line) {
  return {
    name: name.trim(),
    requests: Number(requests),
    ...lengthOf(length),
    ...(tells === undefined ? {} : { tells }),
  };
}

export const areComplete = (lines: readonly Line[]) =>
  lines.every(({ name, requests }) => name.trim() !== '' && requests !== '' && Number(requests) >= 0);

function lengthOf(length: string): { window_s?: number; period?: 'day' | 'month' } {
  if (length === 'day' || length === 'month') return { period: length };
  const known = (['second', 'minute', 'hour'] as const).find((one) => one === length);
  return { window_s: known === undefined ? Number(length.split(' ')[0]) : seconds[known] };
}

/** @param props.isPlan whether each says whose requests it counts */
export function WindowFields({
  lines,
  onChange,
  isPlan = false,
}: {
  lines: readonly Line[];
  onChange: (lines: Line[]) => void;
  isPlan?: boolean;
}) {
  const t = usePlatformWords();
  const edit = (id: string, change: Partial<Line>) =>
    onChange(lines.map((line) => (line.id === id ? { ...line, ...change } : line)));
  return (
    <>
      {lines.map((line) => (
        <Group key={line.id} gap="xs" align="flex-end">
          <TextInput
            label={t('limit')}
            w={130}
            value={line.name}
            onChange={(event) => edit(line.id, { name: event.currentTarget.value })}
          />
          <NumberInput
            label={t('requests')}
            w={130}
            min={1}
            allowDecimal={false}
            value={line.requests}
            onChange={(requests) => edit(line.id, { requests })}
          />
          <Select
            label={t('within')}
            w={140}
            data={[
              ...lengths.map((value) => ({ value, label: t(`length_${value}`) })),
              ...(lengths.some((known) => known === line.length)
                ? []
                : [{ value: line.length, label: line.length }]),
            ]}
            value={line.length}
            allowDeselect={false}
            onChange={(length) => edit(line.id, { length: length ?? line.length })}
          />
          {isPlan && (
            <Select
              label={t('counted_per')}
              w={130}
              data={pers.map((value) => ({ value, label: t(`per_${value}`) }))}
              value={line.per}
              allowDeselect={false}
              onChange={(value) => edit(line.id, { per: pers.find((one) => one === value) ?? line.per })}
            />
          )}
          <Button
            variant="subtle"
            color="gray"
            px={6}
            aria-label={`${t('remove')} ${line.name}`}
            onClick={() => onChange(lines.filter((one) => one.id !== line.id))}
          >
            <X size={14} />
          </Button>
        </Group>
      ))}
      <Group>
        <Button
          variant="default"
          leftSection={<Plus size={14} />}
          onClick={() => onChange([...lines, freshLine()])}
        >
          {t('another_limit')}
        </Button>
      </Group>
    </>
  );
}
