/** Creates a plan, or edits one: how many requests in how long. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { usePlatformWords } from './platform-words.ts';
import { areComplete, freshLine, type Line, lineOf, WindowFields, windowOf } from './window-fields.tsx';

type Plan = BodyOf<'/api/v2/plans/{name}'>;

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
  const body = {
    description: description.trim(),
    windows: lines.map((line) => ({ ...windowOf(line), per: line.per })),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="xl"
      title={edited === undefined ? t('create_plan') : `${t('edit')}: ${name}`}
      verb={t(edited === undefined ? 'create_plan' : 'save')}
      consequence={t(edited === undefined ? 'create_plan_consequence' : 'edit_plan_consequence')}
      isReady={name !== '' && lines.length > 0 && areComplete(lines)}
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
      <WindowFields lines={lines} onChange={setLines} isPlan />
    </ActDialog>
  );
}
