/** Creates an API key of permissions that one has oneself. */
import { TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { ActDialog } from '../act-dialog.tsx';
import { useAccessWords } from './access-words.ts';
import { PermissionPicker } from './permission-picker.tsx';

/** The end of a day where the reader is, as the API takes it. */
export function endOfDay(day: string): string {
  return new Date(`${day}T23:59:59`).toISOString();
}

export function KeyDialog({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (made: { id: string; key?: string }) => void;
}) {
  const t = useAccessWords();
  const [label, setLabel] = useState('');
  const [scopes, setScopes] = useState<string[]>([]);
  const [day, setDay] = useState('');
  const [addresses, setAddresses] = useState<string[]>([]);
  const body = {
    label: label.trim(),
    scopes,
    ...(day === '' ? {} : { expires_at: endOfDay(day) }),
    ...(addresses.length === 0 ? {} : { allowed_addresses: addresses }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('create_key')}
      verb={t('create_key')}
      consequence={t('create_key_consequence')}
      isReady={label.trim() !== '' && scopes.length > 0}
      run={(key) => act('post', '/api/v2/api-keys', { key, body })}
      call={{ method: 'POST', path: '/api/v2/api-keys', body, idempotent: true }}
      onDone={onMade}
    >
      <TextInput
        label={t('label')}
        description={t('label_about')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
      <PermissionPicker label={t('permissions')} value={scopes} onChange={setScopes} />
      <TextInput
        label={t('expires')}
        description={t('expires_about')}
        type="date"
        value={day}
        onChange={(event) => setDay(event.currentTarget.value)}
      />
      <AddressesField value={addresses} onChange={setAddresses} />
    </ActDialog>
  );
}

export function AddressesField({
  value,
  onChange,
}: {
  value: string[];
  onChange: (value: string[]) => void;
}) {
  const t = useAccessWords();
  return (
    <TagsInput
      size="xs"
      label={t('allowed_addresses')}
      description={t('allowed_addresses_about')}
      placeholder="192.0.2.0/24"
      value={value}
      onChange={onChange}
    />
  );
}
