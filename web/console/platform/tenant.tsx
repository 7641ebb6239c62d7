import { Alert, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { CirclePause, CirclePlay, Pencil, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { Section, ThingHead } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { useLocale } from '../../ui/words.ts';
import { usePlatformWords } from './platform-words.ts';
import { Settings, SettingsDialog } from './settings-fields.tsx';
import { TenantStatus } from './tenant-status.tsx';
import { areComplete, type Line, lineOf, WindowFields, windowOf } from './window-fields.tsx';

const PATH = '/api/v2/tenants/{tenant_id}';
const QUOTA_PATH = '/api/v2/tenants/{tenant_id}/quotas/{environment}';

export function Page() {
  return (
    <Permitted permission="tenants:read">
      <TenantPage />
    </Permitted>
  );
}

function TenantPage() {
  const t = usePlatformWords();
  const may = useMay();
  const { tenant_id = '' } = useParams();
  const ids = { tenant_id };
  const found = useQuery({
    queryKey: ['tenant', tenant_id],
    queryFn: () => getTagged(PATH, { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: tenant, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={tenant.name}
        id={tenant.id}
        badge={<TenantStatus status={tenant.status} />}
        actions={
          <>
            {tenant.kind === 'institution' &&
              (tenant.status === 'active' ? (
                <FormButton
                  permission="tenants:suspend"
                  label={t('suspend')}
                  icon={<CirclePause size={14} />}
                >
                  {(close) => <SuspendDialog ids={ids} name={tenant.name} onClose={close} />}
                </FormButton>
              ) : (
                <ActButton
                  permission="tenants:suspend"
                  icon={<CirclePlay size={14} />}
                  title={`${t('resume')}: ${tenant.name}`}
                  verb={t('resume')}
                  consequence={t('resume_tenant_consequence')}
                  run={(key) => act('post', `${PATH}/resume`, { ids, key })}
                  call={{ method: 'POST', path: `${PATH}/resume`, ids }}
                />
              ))}
            <FormButton permission="tenants:edit" label={t('edit')} icon={<Pencil size={14} />}>
              {(close) => <SettingsDialog tenant={tenant} etag={etag} isOwn={false} onClose={close} />}
            </FormButton>
            <HistoryButton subject={tenant.id} />
            <ApiCallButton calls={[{ method: 'GET', path: PATH, ids }]} />
          </>
        }
      />
      {tenant.suspended_at !== undefined && (
        <Alert
          color="red"
          variant="light"
          icon={<TriangleAlert size={18} />}
          title={tenant.suspended_reason ?? t('tenant_suspended')}
        >
          <Moment at={tenant.suspended_at} />
        </Alert>
      )}
      <Section>
        <Settings tenant={tenant} />
      </Section>
      {may('quotas:read') && (
        <Section title={t('quotas')}>
          <Quota tenant_id={tenant.id} environment="live" />
          <Quota tenant_id={tenant.id} environment="sandbox" />
        </Section>
      )}
    </Stack>
  );
}

function SuspendDialog({
  ids,
  name,
  onClose,
}: {
  ids: { tenant_id: string };
  name: string;
  onClose: () => void;
}) {
  const t = usePlatformWords();
  const [reason, setReason] = useState('');
  const body = { reason: reason.trim() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('suspend')}: ${name}`}
      verb={t('suspend')}
      consequence={t('suspend_tenant_consequence')}
      danger="undoable"
      isReady={body.reason !== ''}
      run={(key) => act('post', `${PATH}/suspend`, { ids, key, body })}
      call={{ method: 'POST', path: `${PATH}/suspend`, ids, body }}
    >
      <TextInput
        label={t('reason')}
        required
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}

/** What all callers of a tenant may ask together. */
function Quota({ tenant_id, environment }: { tenant_id: string; environment: 'live' | 'sandbox' }) {
  const t = usePlatformWords();
  const quota = useQuery({
    queryKey: ['quota', tenant_id, environment],
    queryFn: () => getTagged(QUOTA_PATH, { ids: { tenant_id, environment } }),
  });
  if (quota.isError) return <Refused error={quota.error} retry={() => void quota.refetch()} />;
  if (quota.data === undefined) return <Loading />;
  return (
    <div>
      <Group justify="space-between">
        <Text size="sm" fw={600}>
          {t(environment)}
        </Text>
        <FormButton
          permission="quotas:edit"
          label={`${t('edit')}: ${t(environment)}`}
          icon={<Pencil size={14} />}
        >
          {(close) => <QuotaDialog quota={quota.data.body} etag={quota.data.etag} onClose={close} />}
        </FormButton>
      </Group>
      <WindowTable windows={quota.data.body.windows} />
    </div>
  );
}

function QuotaDialog({
  quota,
  etag,
  onClose,
}: {
  quota: BodyOf<typeof QUOTA_PATH>;
  etag: string;
  onClose: () => void;
}) {
  const t = usePlatformWords();
  const [lines, setLines] = useState<Line[]>(() => quota.windows.map(lineOf));
  const ids = { tenant_id: quota.tenant_id, environment: quota.environment };
  const body = { windows: lines.map(windowOf) };
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="xl"
      title={`${t('quotas')}: ${t(quota.environment)}`}
      verb={t('save')}
      consequence={t('quota_consequence')}
      isReady={areComplete(lines)}
      run={(key) => act('put', QUOTA_PATH, { ids, key, body, if_match: etag })}
      call={{ method: 'PUT', path: QUOTA_PATH, ids, body }}
    >
      <WindowFields lines={lines} onChange={setLines} />
    </ActDialog>
  );
}

interface Window {
  name: string;
  requests: number;
  window_s?: number;
  period?: 'day' | 'month';
  per?: 'caller' | 'application' | 'plan';
}

/** How many requests in how long. */
export function WindowTable({ windows }: { windows: readonly Window[] }) {
  const t = usePlatformWords();
  const locale = useLocale();
  const lengthOf = ({ window_s, period }: Window) =>
    period === undefined
      ? t('seconds', { count: window_s ?? 0 })
      : t(period === 'day' ? 'calendar_day' : 'calendar_month');
  return (
    <Table.ScrollContainer minWidth={360}>
      <Table fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('limit')}</Table.Th>
            <Table.Th ta="right">{t('requests')}</Table.Th>
            <Table.Th>{t('within')}</Table.Th>
            <Table.Th>{t('counted_per')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {windows.map((window) => (
            <Table.Tr key={window.name}>
              <Table.Td>{window.name}</Table.Td>
              <Table.Td ta="right">{window.requests.toLocaleString(locale)}</Table.Td>
              <Table.Td>{lengthOf(window)}</Table.Td>
              <Table.Td>{window.per === undefined ? t('per_tenant') : t(`per_${window.per}`)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
