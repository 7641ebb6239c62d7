/** Makes a role of one's own, or edits one. */
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../act-dialog.tsx';
import { useAccessWords } from './access-words.ts';
import { PermissionPicker } from './permission-picker.tsx';

type Role = BodyOf<'/api/v2/roles/{role}'>;

export function RoleDialog({
  edited,
  onClose,
  onDone,
}: {
  /** Another one is made if absent. */
  edited?: { role: Role; etag: string };
  onClose: () => void;
  onDone?: (name: string) => void;
}) {
  const t = useAccessWords();
  const [name, setName] = useState('');
  const [description, setDescription] = useState(edited?.role.description ?? '');
  const [permissions, setPermissions] = useState<string[]>(edited?.role.permissions ?? []);
  const role = edited?.role.name ?? name.trim();
  const body = { description: description.trim(), permissions };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={edited === undefined ? t('make_role') : `${t('edit')}: ${role}`}
      verb={t(edited === undefined ? 'make_role' : 'save')}
      consequence={t(edited === undefined ? 'make_role_consequence' : 'edit_role_consequence')}
      isReady={role !== '' && description.trim() !== '' && permissions.length > 0}
      run={(key) =>
        edited === undefined
          ? act('post', '/api/v2/roles', { key, body: { name: role, ...body } })
          : act('patch', '/api/v2/roles/{role}', { ids: { role }, key, body, if_match: edited.etag })
      }
      call={
        edited === undefined
          ? { method: 'POST', path: '/api/v2/roles', body: { name: role, ...body }, idempotent: true }
          : { method: 'PATCH', path: '/api/v2/roles/{role}', ids: { role }, body }
      }
      onDone={() => onDone?.(role)}
    >
      {edited === undefined && (
        <TextInput
          label={t('name')}
          description={t('role_name_about')}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          data-autofocus
        />
      )}
      <TextInput
        label={t('description')}
        required
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
      <PermissionPicker label={t('permissions')} value={permissions} onChange={setPermissions} />
    </ActDialog>
  );
}
