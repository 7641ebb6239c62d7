/** A device is disabled, and enabled again. */
import { useQueryClient } from '@tanstack/react-query';
import { Power } from 'lucide-react';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { ActButton } from '../../ui/act-button.tsx';

const PATH = '/api/v2/devices/{device_id}';

export function DeviceActs({
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
