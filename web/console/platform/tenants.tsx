/** The institutions of the installation, for who operates it. */
import { Select, TextInput } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { act } from '../../api/act.ts';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { ShownOnce } from '../../ui/shown-once.tsx';
import { usePlatformWords } from './platform-words.ts';
import { TenantStatus } from './tenant-status.tsx';

const states = ['active', 'suspended'] as const;

export function Page() {
  const t = usePlatformWords();
  return (
    <ListPage
      title={t('tenants')}
      about={t('tenants_about')}
      path="/api/v2/tenants"
      permission="tenants:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/tenants/${id}`}
      actions={<CreateButton />}
      filters={[
        { name: 'q', label: t('search_name') },
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`tenant_${value}`) })),
        },
      ]}
      columns={[
        { name: 'name', title: t('name'), value: ({ name }) => name },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/tenants/${id}`} short />,
          wide: true,
        },
        {
          name: 'kind',
          title: t('kind'),
          value: ({ kind }) => kind,
          show: ({ kind }) => t(`kind_${kind}`),
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <TenantStatus status={status} />,
        },
        {
          name: 'base_currency',
          title: t('base_currency'),
          value: ({ base_currency }) => base_currency,
          wide: true,
        },
        {
          name: 'created_at',
          title: t('created'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
      ]}
    />
  );
}

function CreateButton() {
  const t = usePlatformWords();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; key?: string }>();
  return (
    <>
      <FormButton permission="tenants:create" label={t('create_tenant')} icon={<Plus size={14} />} isPrimary>
        {(close) => <CreateDialog onClose={close} onMade={setMade} />}
      </FormButton>
      <ShownOnce
        title={t('tenant_key')}
        about={t('tenant_key_about')}
        secret={made?.key}
        onClose={() => {
          setMade(undefined);
          if (made !== undefined) void navigate(`/tenants/${made.id}`);
        }}
      />
    </>
  );
}

function CreateDialog({
  onClose,
  onMade,
}: {
  onClose: () => void;
  onMade: (made: { id: string; key?: string }) => void;
}) {
  const t = usePlatformWords();
  const [name, setName] = useState('');
  const [currency, setCurrency] = useState('');
  const [zone, setZone] = useState<string | null>('UTC');
  const body = {
    name: name.trim(),
    base_currency: currency.trim(),
    ...(zone === null ? {} : { time_zone: zone }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('create_tenant')}
      verb={t('create_tenant')}
      consequence={t('create_tenant_consequence')}
      isReady={name.trim() !== '' && currency.trim().length === 3}
      run={(key) => act('post', '/api/v2/tenants', { key, body })}
      call={{ method: 'POST', path: '/api/v2/tenants', body, idempotent: true }}
      onDone={onMade}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('base_currency')}
        required
        maxLength={3}
        placeholder="BRL"
        value={currency}
        onChange={(event) => setCurrency(event.currentTarget.value.toUpperCase())}
      />
      <Select
        label={t('time_zone')}
        searchable
        data={['UTC', ...Intl.supportedValuesOf('timeZone').filter((name) => name !== 'UTC')]}
        value={zone}
        onChange={setZone}
      />
    </ActDialog>
  );
}
