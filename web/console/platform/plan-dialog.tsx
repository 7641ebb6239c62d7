/** Creates a plan, or edits one: how many requests in how long. */
import { Button, Group, NumberInput, Select, TextInput } from '@mantine/core';
import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { usePlatformWords } from './platform-words.ts';

type Plan = BodyOf<'/api/v2/plans/{name}'>;
type Window = Plan['windows'][number];

const lengths = ['second', 'minute', 'hour', 'day', 'month'] as const;
const seconds = { second: 1, minute: 60, hour: 3_600 } as const;
const pers = ['caller', 'application', 'plan'] as const;

interface Line {
  id: string;
  name: string;
  requests: number | string;
  /** A length that can be chosen, or the one that the window had. */
  length: string;
  per: (typeof pers)[number];
  tells?: boolean;
}

const freshLine = (): Line => ({
  id: crypto.randomUUID(),
  name: '',
  requests: '',
  length: 'minute',
  per: 'caller',
});

function lineOf({ name, requests, window_s, period, per, tells }: Window): Line {
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

function windowOf({ name, requests, length, per, tells }: Line): Window {
  return {
    name: name.trim(),
    requests: Number(requests),
    ...lengthOf(length),
    per,
    ...(tells === undefined ? {} : { tells }),
  };
}

function lengthOf(length: string): Pick<Window, 'window_s' | 'period'> {
  if (length === 'day' || length === 'month') return { period: length };
  const known = (['second', 'minute', 'hour'] as const).find((one) => one === length);
  return { window_s: known === undefined ? Number(length.split(' ')[0]) : seconds[known] };
}

export function PlanDialog({
  edited,
  onClose,
  onDone,
}: {
  /** Another one is created if absent. */
  edited?: { plan: Plan; etag: string };
  onClose: () => void;
  onDone?: (name: string) => void;
}) {
  const t = usePlatformWords();
  const [typedName, setName] = useState('');
  const [description, setDescription] = useState(edited?.plan.description ?? '');
  const [lines, setLines] = useState<Line[]>(() => edited?.plan.windows.map(lineOf) ?? [freshLine()]);
  const name = edited?.plan.name ?? typedName.trim();
  const edit = (id: string, change: Partial<Line>) =>
    setLines((all) => all.map((line) => (line.id === id ? { ...line, ...change } : line)));
  const body = { description: description.trim(), windows: lines.map(windowOf) };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="xl"
      title={edited === undefined ? t('create_plan') : `${t('edit')}: ${name}`}
      verb={t(edited === undefined ? 'create_plan' : 'save')}
      consequence={t(edited === undefined ? 'create_plan_consequence' : 'edit_plan_consequence')}
      isReady={
        name !== '' &&
        lines.length > 0 &&
        lines.every((line) => line.name.trim() !== '' && Number(line.requests) >= 1)
      }
      run={(key) =>
        edited === undefined
          ? act('post', '/api/v2/plans', { key, body: { name, ...body } })
          : act('patch', '/api/v2/plans/{name}', { ids: { name }, key, body, if_match: edited.etag })
      }
      call={
        edited === undefined
          ? { method: 'POST', path: '/api/v2/plans', body: { name, ...body }, idempotent: true }
          : { method: 'PATCH', path: '/api/v2/plans/{name}', ids: { name }, body }
      }
      onDone={() => onDone?.(name)}
    >
      {edited === undefined && (
        <TextInput
          label={t('name')}
          required
          value={typedName}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
      )}
      <TextInput
        label={t('description')}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
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
          <Select
            label={t('counted_per')}
            w={130}
            data={pers.map((value) => ({ value, label: t(`per_${value}`) }))}
            value={line.per}
            allowDeselect={false}
            onChange={(value) => edit(line.id, { per: pers.find((one) => one === value) ?? line.per })}
          />
          <Button
            variant="subtle"
            color="gray"
            px={6}
            aria-label={`${t('remove')} ${line.name}`}
            onClick={() => setLines((all) => all.filter((one) => one.id !== line.id))}
          >
            <X size={14} />
          </Button>
        </Group>
      ))}
      <Group>
        <Button
          variant="default"
          leftSection={<Plus size={14} />}
          onClick={() => setLines((all) => [...all, freshLine()])}
        >
          {t('another_limit')}
        </Button>
      </Group>
    </ActDialog>
  );
}
