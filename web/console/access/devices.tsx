import { useQueryClient } from '@tanstack/react-query';
import { Plus, Power } from 'lucide-react';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { AccessStatus } from '../../ui/access/status.tsx';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Moment } from '../../ui/figures.tsx';
import { ListPage } from '../../ui/list-page.tsx';
import { DeviceDialog } from './device-dialog.tsx';
import { useDeviceWords } from './device-words.ts';

const states = ['active', 'disabled'] as const;

const PATH = '/api/v2/devices/{device_id}';

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
          show: ({ id }) => <CopyId id={id} short />,
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
          show: (device) => <PowerButton device={device} />,
        },
      ]}
    />
  );
}

function PowerButton({
  device,
}: {
  device: { id: string; label: string; status: 'active' | 'disabled'; updated_at: string };
}) {
  const t = useAccessWords();
  const queries = useQueryClient();
  const ids = { device_id: device.id };
  const isActive = device.status === 'active';
  const body = { status: isActive ? ('disabled' as const) : ('active' as const) };
  return (
    <ActButton
      permission="devices:edit"
      icon={<Power size={14} />}
      title={`${t(isActive ? 'disable' : 'enable')}: ${device.label}`}
      verb={t(isActive ? 'disable' : 'enable')}
      consequence={t(isActive ? 'disable_device_consequence' : 'enable_device_consequence')}
      {...(isActive ? { danger: 'undoable' } : {})}
      run={async (key) => {
        // Only the state is changed, whatever else of it changed since the list was read.
        const { etag } = await queries.fetchQuery({
          queryKey: ['device', device.id, key],
          queryFn: () => getTagged(PATH, { ids }),
        });
        return act('patch', PATH, { ids, key, body, if_match: etag });
      }}
      call={{ method: 'PATCH', path: PATH, ids, body }}
    />
  );
}
