/** A device: what it may do, and how it signs. */
import { Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router';
import { get } from '../../api/client.ts';
import { useAccessWords } from '../../ui/access/access-words.ts';
import { Permissions } from '../../ui/access/permissions.tsx';
import { AccessStatus } from '../../ui/access/status.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Facts, Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted } from '../../ui/self.tsx';
import { IdLink } from '../../ui/shell/id-link.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { DeviceActs } from './device-acts.tsx';

const PATH = '/api/v2/devices/{device_id}';

export function Page() {
  return (
    <Permitted permission="devices:read">
      <DevicePage />
    </Permitted>
  );
}

function DevicePage() {
  const t = useAccessWords();
  const { device_id = '' } = useParams();
  const ids = { device_id };
  const found = useQuery({ queryKey: ['device', device_id], queryFn: () => get(PATH, { ids }) });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const device = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={device.label}
        id={device.id}
        badge={<AccessStatus status={device.status} />}
        actions={
          <>
            <DeviceActs device={device} />
            <HistoryButton subject={device.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('algorithm'), device.alg],
            [t('thumbprint'), <CopyId key="f" id={device.thumbprint} />],
            [t('plan'), device.plan],
            [t('created'), <Moment key="c" at={device.created_at} />],
            [t('created_by'), <IdLink key="b" id={device.created_by} short />],
            [
              t('expires'),
              device.expires_at === undefined ? t('never') : <Moment key="e" at={device.expires_at} />,
            ],
          ]}
        />
      </Section>
      <Section title={t('may_do')}>
        <Permissions permissions={device.permissions} />
      </Section>
    </Stack>
  );
}
