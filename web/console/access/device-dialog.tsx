/** Registers a device: the public half of a key pair that never leaves it, and what it may do. */
import { Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { type ActBody, act } from '../../api/act.ts';
import { endOfDay } from '../../ui/access/key-dialog.tsx';
import { PermissionPicker } from '../../ui/access/permission-picker.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { useDeviceWords } from './device-words.ts';

const PATH = '/api/v2/devices';
type PublicKey = ActBody<typeof PATH, 'post'>['public_key'];

/** The public key that a JWK has in it; undefined for what is none. What is private is never sent, and refused here. */
function publicKeyOf(text: string): PublicKey | 'private' | undefined {
  let jwk: Partial<Record<'kty' | 'crv' | 'x' | 'y' | 'd', unknown>> | null;
  try {
    jwk = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, crv, x, y, d } = jwk;
  if (d !== undefined) return 'private';
  if (typeof x !== 'string') return undefined;
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x };
  return kty === 'EC' && crv === 'P-256' && typeof y === 'string' ? { kty, crv, x, y } : undefined;
}

export function DeviceDialog({ onClose }: { onClose: () => void }) {
  const t = useDeviceWords();
  const [label, setLabel] = useState('');
  const [typed, setTyped] = useState('');
  const [permissions, setPermissions] = useState<string[]>([]);
  const [day, setDay] = useState('');
  const public_key = typed.trim() === '' ? undefined : publicKeyOf(typed);
  const known = public_key === 'private' ? undefined : public_key;
  const body = {
    label: label.trim(),
    public_key: known ?? { kty: 'EC' as const, crv: 'P-256' as const, x: '' },
    permissions,
    ...(day === '' ? {} : { expires_at: endOfDay(day) }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('register')}
      verb={t('register')}
      consequence={t('register_consequence')}
      isReady={body.label !== '' && permissions.length > 0 && known !== undefined}
      run={(key) => act('post', PATH, { key, body })}
      call={{ method: 'POST', path: PATH, body, idempotent: true }}
    >
      <TextInput
        label={t('label')}
        description={t('label_about')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
      <Textarea
        label={t('public_key')}
        description={t('public_key_about')}
        placeholder='{ "kty": "EC", "crv": "P-256", "x": "…", "y": "…" }'
        required
        autosize
        minRows={3}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        error={
          typed.trim() === '' || known !== undefined
            ? undefined
            : t(public_key === 'private' ? 'key_is_private' : 'key_is_none')
        }
      />
      <PermissionPicker label={t('permissions')} value={permissions} onChange={setPermissions} />
      <TextInput
        label={t('expires')}
        description={t('expires_about')}
        type="date"
        value={day}
        onChange={(event) => setDay(event.currentTarget.value)}
      />
    </ActDialog>
  );
}
