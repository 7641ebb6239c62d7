import { Badge, Group, Progress, Stack, Table, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Ban, Pencil, RefreshCcw } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { type BodyOf, get, getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Chart } from '../lazy-chart.tsx';
import { Permitted } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { Loading, Refused } from '../states.tsx';
import { useLocale } from '../words.ts';
import { useAccessWords } from './access-words.ts';
import { AddressesField, endOfDay } from './key-dialog.tsx';
import { KeyLimits } from './key-limits.tsx';
import { Permissions } from './permissions.tsx';
import { AccessStatus } from './status.tsx';

type Key = BodyOf<'/api/v2/api-keys/{key_id}'>;
type Usage = BodyOf<'/api/v2/api-keys/{key_id}/usage'>;

export function Page() {
  return (
    <Permitted permission="api_keys:read">
      <KeyPage />
    </Permitted>
  );
}

function KeyPage() {
  const t = useAccessWords();
  const { key_id = '' } = useParams();
  const ids = { key_id };
  const found = useQuery({
    queryKey: ['key', key_id],
    queryFn: () => getTagged('/api/v2/api-keys/{key_id}', { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: key, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={key.label}
        id={key.id}
        badge={<AccessStatus status={key.status} />}
        actions={
          <>
            {key.status !== 'revoked' && <KeyActs shown={key} etag={etag} />}
            <HistoryButton subject={key.id} />
            <ApiCallButton
              calls={[
                { method: 'GET', path: '/api/v2/api-keys/{key_id}', ids },
                { method: 'GET', path: '/api/v2/api-keys/{key_id}/usage', ids },
              ]}
            />
          </>
        }
      />
      <Section>
        <Facts
          facts={[
            [t('begins_with'), key.hint],
            [t('environment'), key.environment],
            [t('plan'), key.plan],
            [t('last_used'), <Moment key="l" at={key.last_used_at} />],
            [
              t('expires'),
              key.expires_at === undefined ? t('never') : <Moment key="e" at={key.expires_at} />,
            ],
            [t('allowed_addresses'), key.allowed_addresses?.join(', ') ?? t('any_address')],
            [t('created'), <Moment key="c" at={key.created_at} />],
            [t('created_by'), <IdLink key="b" id={key.created_by} short />],
            ...(key.application_id === undefined
              ? []
              : [[t('application'), <IdLink key="a" id={key.application_id} short />] as const]),
            ...(key.replaced_by === undefined
              ? []
              : [[t('replaced_by'), <IdLink key="r" id={key.replaced_by} short />] as const]),
            ...(key.revoked_at === undefined
              ? []
              : [[t('revoked_at'), <Moment key="v" at={key.revoked_at} />] as const]),
          ]}
        />
      </Section>
      <Section title={t('may_do')}>
        <Permissions permissions={key.scopes} />
      </Section>
      <Section title={t('usage')}>
        <KeyUsage id={key.id} />
      </Section>
      <KeyLimits id={key.id} hasLimits={key.has_limits} />
    </Stack>
  );
}

function KeyActs({ shown, etag }: { shown: Key; etag: string }) {
  const t = useAccessWords();
  const navigate = useNavigate();
  const [made, setMade] = useState<{ id: string; key?: string }>();
  const ids = { key_id: shown.id };
  return (
    <>
      <FormButton permission="api_keys:edit" label={t('edit')} icon={<Pencil size={14} />}>
        {(close) => <EditDialog shown={shown} etag={etag} onClose={close} />}
      </FormButton>
      <ActButton
        permission="api_keys:create"
        icon={<RefreshCcw size={14} />}
        title={`${t('rotate')}: ${shown.label}`}
        verb={t('rotate')}
        consequence={t('rotate_key_consequence')}
        run={async (key) => {
          const outcome = await act('post', '/api/v2/api-keys/{key_id}/rotations', { ids, key, body: {} });
          if (outcome.kind === 'done') setMade(outcome.answer);
          return outcome;
        }}
        call={{
          method: 'POST',
          path: '/api/v2/api-keys/{key_id}/rotations',
          ids,
          body: {},
          idempotent: true,
        }}
      />
      <ActButton
        permission="api_keys:revoke"
        icon={<Ban size={14} />}
        title={`${t('revoke')}: ${shown.label}`}
        verb={t('revoke')}
        consequence={t('revoke_key_consequence')}
        danger={{ final: 'api_keys:revoke' }}
        run={(key) => act('post', '/api/v2/api-keys/{key_id}/revoke', { ids, key })}
        call={{ method: 'POST', path: '/api/v2/api-keys/{key_id}/revoke', ids }}
      />
      <ShownOnce
        title={t('the_key')}
        secret={made?.key}
        onClose={() => {
          setMade(undefined);
          if (made !== undefined) void navigate(`/api-keys/${made.id}`);
        }}
      />
    </>
  );
}

function EditDialog({ shown, etag, onClose }: { shown: Key; etag: string; onClose: () => void }) {
  const t = useAccessWords();
  const [label, setLabel] = useState(shown.label);
  const [day, setDay] = useState('');
  const [addresses, setAddresses] = useState(shown.allowed_addresses ?? []);
  const ids = { key_id: shown.id };
  const before = shown.allowed_addresses ?? [];
  const body = {
    ...(label.trim() === shown.label ? {} : { label: label.trim() }),
    ...(day === '' ? {} : { expires_at: endOfDay(day) }),
    ...(addresses.join(' ') === before.join(' ')
      ? {}
      : { allowed_addresses: addresses.length === 0 ? null : addresses }),
  };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={`${t('edit')}: ${shown.label}`}
      verb={t('save')}
      consequence={t('edit_key_consequence')}
      isReady={Object.keys(body).length > 0 && label.trim() !== ''}
      run={(key) => act('patch', '/api/v2/api-keys/{key_id}', { ids, key, body, if_match: etag })}
      call={{ method: 'PATCH', path: '/api/v2/api-keys/{key_id}', ids, body }}
    >
      <TextInput
        label={t('label')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        label={t('expires')}
        type="date"
        value={day}
        onChange={(event) => setDay(event.currentTarget.value)}
      />
      <AddressesField value={addresses} onChange={setAddresses} />
    </ActDialog>
  );
}

/** How much an API key may still ask, and what it has asked. */
export function KeyUsage({ id }: { id: string }) {
  const usage = useQuery({
    queryKey: ['key-usage', id],
    queryFn: () => get('/api/v2/api-keys/{key_id}/usage', { ids: { key_id: id } }),
  });
  if (usage.isError) return <Refused error={usage.error} retry={() => void usage.refetch()} />;
  if (usage.data === undefined) return <Loading />;
  return <UsageOfKey usage={usage.data} />;
}

/** What a key has asked, and what it may still ask. */
export function UsageOfKey({ usage }: { usage: Usage }) {
  const t = useAccessWords();
  return (
    <Stack gap="sm">
      <LimitsTable limits={usage.limits} />
      <UsageHistory history={usage.history} label={t('usage')} />
    </Stack>
  );
}

/** How much may be asked, and how much of it was. */
export function LimitsTable({ limits }: { limits: Usage['limits'] }) {
  const t = useAccessWords();
  const locale = useLocale();
  const number = (count: number) => count.toLocaleString(locale);
  return (
    <Table.ScrollContainer minWidth={480}>
      <Table fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('limit')}</Table.Th>
            <Table.Th>{t('counted_per')}</Table.Th>
            <Table.Th ta="right">{t('used')}</Table.Th>
            <Table.Th ta="right">{t('allowed')}</Table.Th>
            <Table.Th w={140}>
              <span aria-hidden />
            </Table.Th>
            <Table.Th>{t('begins_anew')}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {limits.map((limit) => (
            <Table.Tr key={`${limit.per} ${limit.limit}`}>
              <Table.Td>{limit.limit}</Table.Td>
              <Table.Td>{t(`per_${limit.per}`)}</Table.Td>
              <Table.Td ta="right">{number(limit.used)}</Table.Td>
              <Table.Td ta="right">{number(limit.allowed)}</Table.Td>
              <Table.Td>
                <Progress
                  aria-label={`${limit.limit}: ${number(limit.used)} / ${number(limit.allowed)}`}
                  value={limit.allowed === 0 ? 100 : Math.round((limit.used / limit.allowed) * 100)}
                  color={limit.used >= limit.allowed ? 'red' : 'tide'}
                />
              </Table.Td>
              <Table.Td>
                <Moment at={limit.resets_at} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function UsageHistory({ history, label }: { history: Usage['history']; label: string }) {
  const t = useAccessWords();
  const locale = useLocale();
  // Windows of different lengths do not belong into one chart: the one that was counted most often is shown.
  const names = [...new Set(history.map(({ limit }) => limit))];
  const name = names.toSorted(
    (a, b) =>
      history.filter(({ limit }) => limit === b).length - history.filter(({ limit }) => limit === a).length,
  )[0];
  const series = useMemo(
    () => [
      {
        name: name ?? '',
        kind: 'bar' as const,
        points: history
          .filter(({ limit }) => limit === name)
          .map(({ starts_at, requests }) => [Date.parse(starts_at), requests] as const)
          .toSorted(([a], [b]) => a - b),
      },
    ],
    [history, name],
  );
  const format = useMemo(() => (value: number) => value.toLocaleString(locale), [locale]);
  if (name === undefined) {
    return (
      <Text size="sm" c="dimmed">
        {t('no_usage')}
      </Text>
    );
  }
  return (
    <>
      <Group gap={6}>
        <Text size="sm">{t('usage_history')}</Text>
        <Badge size="sm" variant="default" tt="none">
          {name}
        </Badge>
      </Group>
      <Chart label={`${label}: ${name}`} axis="time" series={series} format={format} height={180} />
    </>
  );
}
