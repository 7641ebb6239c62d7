import { Plus } from 'lucide-react';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { AccessStatus } from '../../ui/access/status.tsx';
import { FormButton } from '../../ui/act-button.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { DeviceActs } from './device-acts.tsx';
import { DeviceDialog } from './device-dialog.tsx';
import { useDeviceWords } from './device-words.ts';

const states = ['active', 'disabled'] as const;

export function Page() {
  const t = useAccessWords();
  const d = useDeviceWords();
  return (
    <ListPage
      title={t('devices')}
      about={t('devices_about')}
      path="/api/v2/devices"
      permission="devices:read"
      keyOf={({ id }) => id}
      to={({ id }) => `/devices/${id}`}
      empty={t('no_devices')}
      actions={
        <FormButton permission="devices:edit" label={d('register')} icon={<Plus size={14} />} isPrimary>
          {(close) => <DeviceDialog onClose={close} />}
        </FormButton>
      }
      filters={[
        {
          name: 'status',
          label: t('status'),
          choices: states.map((value) => ({ value, label: t(`is_${value}`) })),
        },
      ]}
      columns={[
        { name: 'label', title: t('label'), value: ({ label }) => label },
        {
          name: 'id',
          title: t('id'),
          value: ({ id }) => id,
          show: ({ id }) => <CopyId id={id} to={`/devices/${id}`} short />,
          wide: true,
        },
        {
          name: 'status',
          title: t('status'),
          value: ({ status }) => status,
          show: ({ status }) => <AccessStatus status={status} />,
        },
        {
          name: 'permissions',
          title: t('permissions'),
          value: ({ permissions }) => permissions.join(' '),
          show: ({ permissions }) => permissions.join(', '),
          wide: true,
        },
        { name: 'alg', title: t('algorithm'), value: ({ alg }) => alg, wide: true },
        {
          name: 'expires_at',
          title: t('expires'),
          value: ({ expires_at }) => expires_at,
          show: ({ expires_at }) => (expires_at === undefined ? t('never') : <Moment at={expires_at} />),
          wide: true,
        },
        {
          name: 'created_at',
          title: t('created'),
          value: ({ created_at }) => created_at,
          show: ({ created_at }) => <Moment at={created_at} />,
          wide: true,
        },
        {
          name: 'acts',
          title: t('acts'),
          value: () => undefined,
          show: (device) => <DeviceActs device={device} />,
        },
      ]}
    />
  );
}
