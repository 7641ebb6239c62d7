/** An application of developers: its keys, how it gets tokens, and where events of it are sent. */
import { Anchor, Code, Table, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { KeyRound, Plus } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { act } from '../../api/act.ts';
import { get } from '../../api/client.ts';
import { type Application, ApplicationPage } from '../../ui/access/application.tsx';
import { AccessStatus } from '../../ui/access/status.tsx';
import { FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Section } from '../../ui/facts.tsx';
import { Moment } from '../../ui/figures.tsx';
import { useMay, useSelf } from '../../ui/self.tsx';
import { ShownOnce } from '../../ui/shown-once.tsx';
import { Empty, Loading, Refused } from '../../ui/states.tsx';
import { EndpointDialog } from '../../ui/webhooks/endpoint-dialog.tsx';
import { WebhookStatus } from '../../ui/webhooks/status.tsx';
import { useApplicationWords } from './application-words.ts';

export function Page() {
  const may = useMay();
  return (
    <ApplicationPage
      more={(application) => (
        <>
          {may('api_keys:read') && <Keys application={application} />}
          {application.grant_types.includes('client_credentials') &&
            application.auth_method === 'client_secret_basic' && <Tokens application={application} />}
          {may('webhooks:read') && <Webhooks application_id={application.id} />}
        </>
      )}
    />
  );
}

function Keys({ application }: { application: Application }) {
  const t = useApplicationWords();
  const [key, setKey] = useState<string>();
  const keys = useQuery({
    queryKey: ['keys-of', application.id],
    // The API lists keys of the whole organisation, which are few.
    queryFn: async () => {
      const { data } = await get('/api/v2/api-keys', { query: { limit: 100 } });
      return data.filter(({ application_id }) => application_id === application.id);
    },
  });
  return (
    <Section
      title={t('keys')}
      aside={
        application.status === 'active' && (
          <FormButton permission="api_keys:create" label={t('create_key')} icon={<KeyRound size={14} />}>
            {(close) => <KeyDialog application={application} onClose={close} onMade={setKey} />}
          </FormButton>
        )
      }
    >
      {keys.isError ? (
        <Refused error={keys.error} retry={() => void keys.refetch()} />
      ) : keys.data === undefined ? (
        <Loading />
      ) : keys.data.length === 0 ? (
        <Empty>{t('no_keys')}</Empty>
      ) : (
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('label')}</Table.Th>
                <Table.Th>{t('key')}</Table.Th>
                <Table.Th>{t('status')}</Table.Th>
                <Table.Th>{t('last_used')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {keys.data.map(({ id, label, hint, status, last_used_at }) => (
                <Table.Tr key={id}>
                  <Table.Td>
                    <Anchor component={Link} to={`/api-keys/${id}`} size="sm">
                      {label}
                    </Anchor>
                  </Table.Td>
                  <Table.Td>
                    <Code>{hint}</Code>
                  </Table.Td>
                  <Table.Td>
                    <AccessStatus status={status} />
                  </Table.Td>
                  <Table.Td>
                    {last_used_at === undefined ? t('never') : <Moment at={last_used_at} />}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <ShownOnce title={t('the_key')} secret={key} onClose={() => setKey(undefined)} />
    </Section>
  );
}

function KeyDialog({
  application,
  onClose,
  onMade,
}: {
  application: Application;
  onClose: () => void;
  onMade: (key: string | undefined) => void;
}) {
  const t = useApplicationWords();
  const [label, setLabel] = useState(application.name);
  const body = { label: label.trim(), application_id: application.id, scopes: application.scopes };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('create_key')}
      verb={t('create_key')}
      consequence={t('create_key_about')}
      isReady={body.label !== ''}
      run={(key) => act('post', '/api/v2/api-keys', { key, body })}
      call={{ method: 'POST', path: '/api/v2/api-keys', body, idempotent: true }}
      onDone={({ key }) => onMade(key)}
    >
      <TextInput
        label={t('label')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
    </ActDialog>
  );
}

function Tokens({ application }: { application: Application }) {
  const t = useApplicationWords();
  const { tenant } = useSelf();
  return (
    <Section title={t('oauth')}>
      <Text size="sm" c="dimmed">
        {t('oauth_about')}
      </Text>
      <Code block tabIndex={0} style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
        {`curl -s '${location.origin}/oauth/${tenant.id}/${application.environment}/token' \\\n  -u "${application.id}:$CLIENT_SECRET" \\\n  -d grant_type=client_credentials \\\n  -d 'scope=${application.scopes
          .filter((scope) => scope.endsWith(':read'))
          .slice(0, 3)
          .join(' ')}'`}
      </Code>
    </Section>
  );
}

function Webhooks({ application_id }: { application_id: string }) {
  const t = useApplicationWords();
  const [secret, setSecret] = useState<string>();
  const endpoints = useQuery({
    queryKey: ['endpoints-of', application_id],
    queryFn: () => get('/api/v2/webhooks/endpoints', { query: { application_id, limit: 100 } }),
  });
  return (
    <Section
      title={t('webhooks')}
      aside={
        <FormButton permission="webhooks:write" label={t('make_endpoint')} icon={<Plus size={14} />}>
          {(close) => (
            <EndpointDialog
              application_id={application_id}
              onClose={close}
              onMade={(made) => setSecret(made.secret)}
            />
          )}
        </FormButton>
      }
    >
      {endpoints.isError ? (
        <Refused error={endpoints.error} retry={() => void endpoints.refetch()} />
      ) : endpoints.data === undefined ? (
        <Loading />
      ) : endpoints.data.data.length === 0 ? (
        <Empty>{t('no_endpoints')}</Empty>
      ) : (
        <Table fz="sm" layout="fixed">
          <Table.Tbody>
            {endpoints.data.data.map(({ id, url, status, event_types }) => (
              <Table.Tr key={id}>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>
                  <Anchor component={Link} to={`/webhooks/${id}`} size="sm">
                    {url}
                  </Anchor>
                </Table.Td>
                <Table.Td style={{ overflowWrap: 'anywhere' }}>{event_types.join(', ')}</Table.Td>
                <Table.Td w={110}>
                  <WebhookStatus status={status} />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <ShownOnce title={t('the_secret')} secret={secret} onClose={() => setSecret(undefined)} />
    </Section>
  );
}
