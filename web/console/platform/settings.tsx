/** The settings of one's own institution, and the keys that its tokens are signed with. */
import { Badge, Group, Stack, Table, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Pencil, RefreshCcw } from 'lucide-react';
import { act } from '../../api/act.ts';
import { get, getTagged } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ApiCallButton } from '../../ui/api-call.tsx';
import { CopyId } from '../../ui/copy-id.tsx';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { HistoryButton } from '../../ui/history.tsx';
import { Permitted, useMay } from '../../ui/self.tsx';
import { Loading, Refused } from '../../ui/states.tsx';
import { usePlatformWords } from './platform-words.ts';
import { Settings, SettingsDialog } from './settings-fields.tsx';

export function Page() {
  return (
    <Permitted permission="tenant:read">
      <SettingsPage />
    </Permitted>
  );
}

function SettingsPage() {
  const t = usePlatformWords();
  const may = useMay();
  const found = useQuery({ queryKey: ['own-tenant'], queryFn: () => getTagged('/api/v2/tenant') });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: tenant, etag } = found.data;
  return (
    <Stack gap="sm">
      <title>{`${t('settings')} · financialapi`}</title>
      <Group justify="space-between">
        <div>
          <Title order={1} size="h3">
            {t('settings')}
          </Title>
          <CopyId id={tenant.id} />
        </div>
        <Group gap={6}>
          <FormButton permission="tenant:edit" label={t('edit_settings')} icon={<Pencil size={14} />}>
            {(close) => <SettingsDialog tenant={tenant} etag={etag} isOwn onClose={close} />}
          </FormButton>
          <HistoryButton subject={tenant.id} />
          <ApiCallButton calls={[{ method: 'GET', path: '/api/v2/tenant' }]} />
        </Group>
      </Group>
      <Section>
        <Settings tenant={tenant} />
      </Section>
      {may('signing_keys:read') && <SigningKeys />}
    </Stack>
  );
}

const colors = { next: 'blue', active: 'teal', retiring: 'gray' } as const;

function SigningKeys() {
  const t = usePlatformWords();
  const keys = useQuery({ queryKey: ['signing-keys'], queryFn: () => get('/api/v2/signing-keys') });
  return (
    <Section
      title={t('signing_keys')}
      aside={
        <ActButton
          permission="signing_keys:rotate"
          icon={<RefreshCcw size={14} />}
          title={t('rotate_keys')}
          verb={t('rotate_keys')}
          consequence={t('rotate_keys_consequence')}
          run={(key) => act('post', '/api/v2/signing-keys/rotate', { key })}
          call={{ method: 'POST', path: '/api/v2/signing-keys/rotate' }}
        />
      }
    >
      {keys.isError ? (
        <Refused error={keys.error} retry={() => void keys.refetch()} />
      ) : keys.data === undefined ? (
        <Loading />
      ) : keys.data.data.length === 0 ? (
        <Text size="sm" c="dimmed">
          {t('no_signing_keys')}
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={480}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>kid</Table.Th>
                <Table.Th>{t('algorithm')}</Table.Th>
                <Table.Th>{t('status')}</Table.Th>
                <Table.Th>{t('created')}</Table.Th>
                <Table.Th>{t('retires')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {keys.data.data.map((key) => (
                <Table.Tr key={key.kid}>
                  <Table.Td>
                    <CopyId id={key.kid} />
                  </Table.Td>
                  <Table.Td>{key.alg}</Table.Td>
                  <Table.Td>
                    <Badge size="sm" variant="light" color={colors[key.status]}>
                      {t(`key_${key.status}`)}
                    </Badge>
                  </Table.Td>
                  <Table.Td>
                    <Moment at={key.created_at} />
                  </Table.Td>
                  <Table.Td>
                    <Moment at={key.retires_at} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Section>
  );
}
