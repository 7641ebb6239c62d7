/** Registers an application: an OAuth client of a partner or of the institution itself. */
import { Checkbox, Group, Select, Switch, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import { ActDialog } from '../act-dialog.tsx';
import { useAccessWords } from './access-words.ts';
import { PermissionPicker } from './permission-picker.tsx';

const methods = [
  'private_key_jwt',
  'self_signed_tls_client_auth',
  'client_secret_basic',
  'client_secret_post',
  'none',
] as const;
const grantTypes = ['client_credentials', 'authorization_code', 'refresh_token'] as const;
const bindings = ['none', 'dpop', 'mtls'] as const;

export function ApplicationDialog({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (made: { id: string; client_secret?: string }) => void;
}) {
  const t = useAccessWords();
  const [name, setName] = useState('');
  const [method, setMethod] = useState<(typeof methods)[number]>('client_secret_basic');
  const [types, setTypes] = useState<(typeof grantTypes)[number][]>(['client_credentials']);
  const [scopes, setScopes] = useState<string[]>([]);
  const [redirects, setRedirects] = useState<string[]>([]);
  const [jwksUri, setJwksUri] = useState('');
  const [binding, setBinding] = useState<(typeof bindings)[number]>('none');
  const [fapi, setFapi] = useState(false);
  const needsKeys = method === 'private_key_jwt' || method === 'self_signed_tls_client_auth';
  const redirectsBack = types.includes('authorization_code');
  const body = {
    name: name.trim(),
    auth_method: method,
    grant_types: types,
    scopes,
    ...(redirectsBack ? { redirect_uris: redirects } : {}),
    ...(needsKeys && jwksUri.trim() !== '' ? { jwks_uri: jwksUri.trim() } : {}),
    token_binding: binding,
    fapi,
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('register_application')}
      verb={t('register')}
      consequence={t('register_consequence')}
      isReady={
        name.trim() !== '' &&
        types.length > 0 &&
        scopes.length > 0 &&
        (!redirectsBack || redirects.length > 0) &&
        (!needsKeys || jwksUri.trim() !== '')
      }
      run={(key) => act('post', '/api/v2/applications', { key, body })}
      call={{ method: 'POST', path: '/api/v2/applications', body, idempotent: true }}
      onDone={onMade}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <Select
        label={t('auth_method')}
        description={t(`auth_${method}`)}
        data={[...methods]}
        value={method}
        allowDeselect={false}
        onChange={(value) => setMethod(methods.find((one) => one === value) ?? method)}
      />
      {needsKeys && (
        <TextInput
          label={t('jwks_uri')}
          description={t('jwks_uri_about')}
          type="url"
          required
          placeholder="https://"
          value={jwksUri}
          onChange={(event) => setJwksUri(event.currentTarget.value)}
        />
      )}
      <Checkbox.Group
        label={t('grant_types')}
        size="xs"
        value={types}
        onChange={(chosen) => setTypes(grantTypes.filter((type) => chosen.includes(type)))}
      >
        <Group gap="sm" mt={6} style={{ rowGap: 10 }}>
          {grantTypes.map((type) => (
            <Checkbox key={type} size="xs" value={type} label={type} />
          ))}
        </Group>
      </Checkbox.Group>
      {redirectsBack && (
        <TagsInput
          size="xs"
          label={t('redirect_uris')}
          description={t('redirect_uris_about')}
          placeholder="https://"
          value={redirects}
          onChange={setRedirects}
        />
      )}
      <PermissionPicker label={t('permissions')} value={scopes} onChange={setScopes} />
      <Select
        label={t('token_binding')}
        description={t('token_binding_about')}
        data={[...bindings]}
        value={binding}
        allowDeselect={false}
        onChange={(value) => setBinding(bindings.find((one) => one === value) ?? binding)}
      />
      <Switch
        size="xs"
        label={t('fapi')}
        description={t('fapi_about')}
        checked={fapi}
        onChange={(event) => setFapi(event.currentTarget.checked)}
      />
    </ActDialog>
  );
}
