import { Alert, Stack, Table, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { History, Pencil, Power, RefreshCcw, Send, Trash2, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { act } from '../../api/act.ts';
import { getTagged } from '../../api/client.ts';
import { ActButton, ActMenu, FormButton } from '../act-button.tsx';
import { ActDialog } from '../act-dialog.tsx';
import { ApiCallButton } from '../api-call.tsx';
import { CopyId } from '../copy-id.tsx';
import { Facts, Section, ThingHead } from '../facts.tsx';
import { Moment } from '../figures.tsx';
import { HistoryButton } from '../history.tsx';
import { Permitted } from '../self.tsx';
import { IdLink } from '../shell/id-link.tsx';
import { ShownOnce } from '../shown-once.tsx';
import { Loading, Refused } from '../states.tsx';
import { DeliveryList } from './deliveries.tsx';
import { type Endpoint, EndpointDialog } from './endpoint-dialog.tsx';
import { WebhookStatus } from './status.tsx';
import { useWebhookWords } from './webhook-words.ts';

const PATH = '/api/v2/webhooks/endpoints/{endpoint_id}';

export function Page() {
  return (
    <Permitted permission="webhooks:read">
      <EndpointPage />
    </Permitted>
  );
}

function EndpointPage() {
  const t = useWebhookWords();
  const { endpoint_id = '' } = useParams();
  const ids = { endpoint_id };
  const found = useQuery({
    queryKey: ['endpoint', endpoint_id],
    queryFn: () => getTagged(PATH, { ids }),
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  const { body: endpoint, etag } = found.data;
  return (
    <Stack gap="sm">
      <ThingHead
        title={endpoint.description === '' ? new URL(endpoint.url).host : endpoint.description}
        id={endpoint.id}
        badge={<WebhookStatus status={endpoint.status} />}
        actions={
          <>
            <Acts endpoint={endpoint} etag={etag} />
            <HistoryButton subject={endpoint.id} />
            <ApiCallButton
              calls={[
                { method: 'GET', path: PATH, ids },
                { method: 'GET', path: '/api/v2/webhooks/deliveries', query: { endpoint_id } },
              ]}
            />
          </>
        }
      />
      {endpoint.disabled_reason !== undefined && (
        <Alert
          color="red"
          variant="light"
          icon={<TriangleAlert size={18} />}
          title={t(`disabled_${endpoint.disabled_reason}`)}
        >
          <Moment at={endpoint.disabled_at} />
        </Alert>
      )}
      {endpoint.status === 'enabled' && endpoint.failing_since !== undefined && (
        <Alert color="orange" variant="light" icon={<TriangleAlert size={18} />} title={t('failing')}>
          <Moment at={endpoint.failing_since} />
        </Alert>
      )}
      <Section>
        <Facts
          facts={[
            [t('url'), endpoint.url],
            [t('event_types'), endpoint.event_types.join(', ')],
            [t('environment'), endpoint.environment],
            [t('ordered'), t(endpoint.ordered ? 'yes' : 'no')],
            [t('personal_data'), t(endpoint.personal_data ? 'yes' : 'no')],
            ...(endpoint.application_id === undefined
              ? []
              : [[t('application_id'), <IdLink key="a" id={endpoint.application_id} short />] as const]),
            [t('created'), <Moment key="c" at={endpoint.created_at} />],
            [t('created_by'), <IdLink key="b" id={endpoint.created_by} short />],
            [t('updated'), <Moment key="u" at={endpoint.updated_at} />],
          ]}
        />
      </Section>
      <Section title={t('signing_keys')}>
        <Table.ScrollContainer minWidth={420}>
          <Table fz="sm">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>{t('signature')}</Table.Th>
                <Table.Th>{t('public_key')}</Table.Th>
                <Table.Th>{t('created')}</Table.Th>
                <Table.Th>{t('signs_until')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {endpoint.signing_keys.map((key) => (
                <Table.Tr key={key.created_at}>
                  <Table.Td>{key.scheme}</Table.Td>
                  <Table.Td>
                    {key.public_key === undefined ? t('kept_secret') : <CopyId id={key.public_key} />}
                  </Table.Td>
                  <Table.Td>
                    <Moment at={key.created_at} />
                  </Table.Td>
                  <Table.Td>
                    {key.expires_at === undefined ? t('no_end') : <Moment at={key.expires_at} />}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      </Section>
      <Section title={t('deliveries')}>
        <DeliveryList endpoint_id={endpoint.id} />
      </Section>
    </Stack>
  );
}

function Acts({ endpoint, etag }: { endpoint: Endpoint; etag: string }) {
  const t = useWebhookWords();
  const navigate = useNavigate();
  const [secret, setSecret] = useState<string>();
  const ids = { endpoint_id: endpoint.id };
  const isEnabled = endpoint.status === 'enabled';
  const power = isEnabled ? (`${PATH}/disable` as const) : (`${PATH}/enable` as const);
  return (
    <>
      {isEnabled && (
        <ActButton
          permission="webhooks:write"
          icon={<Send size={14} />}
          title={t('send_test')}
          verb={t('send_test')}
          consequence={t('send_test_consequence')}
          run={(key) => act('post', `${PATH}/test`, { ids, key })}
          call={{ method: 'POST', path: `${PATH}/test`, ids, idempotent: true }}
        />
      )}
      <FormButton permission="webhooks:write" label={t('edit')} icon={<Pencil size={14} />}>
        {(close) => <EndpointDialog edited={{ endpoint, etag }} onClose={close} />}
      </FormButton>
      {isEnabled && (
        <FormButton permission="webhooks:write" label={t('resend_from')} icon={<History size={14} />}>
          {(close) => <ResendDialog ids={ids} onClose={close} />}
        </FormButton>
      )}
      <ActMenu
        acts={[
          {
            permission: 'webhooks:write',
            icon: <Power size={14} />,
            title: t(isEnabled ? 'disable' : 'enable'),
            verb: t(isEnabled ? 'disable' : 'enable'),
            consequence: t(isEnabled ? 'disable_consequence' : 'enable_consequence'),
            ...(isEnabled ? { danger: 'undoable' } : {}),
            run: (key) => act('post', power, { ids, key }),
            call: { method: 'POST', path: power, ids },
          },
          {
            permission: 'webhooks:write',
            icon: <RefreshCcw size={14} />,
            title: t('rotate'),
            verb: t('rotate'),
            consequence: t('rotate_consequence'),
            run: async (key) => {
              const outcome = await act('post', `${PATH}/rotations`, { ids, key, body: {} });
              if (outcome.kind === 'done') setSecret(outcome.answer.secret);
              return outcome;
            },
            call: { method: 'POST', path: `${PATH}/rotations`, ids, body: {}, idempotent: true },
          },
          {
            permission: 'webhooks:write',
            icon: <Trash2 size={14} />,
            title: t('delete'),
            verb: t('delete'),
            consequence: t('delete_consequence'),
            danger: { final: 'webhooks:write' },
            run: (key) => act('delete', PATH, { ids, key }),
            call: { method: 'DELETE', path: PATH, ids },
            onDone: () => void navigate('/webhooks'),
          },
        ]}
      />
      <ShownOnce
        title={t('the_secret')}
        about={t('the_secret_about')}
        secret={secret}
        onClose={() => setSecret(undefined)}
      />
    </>
  );
}

/** Sends again what failed or was missed, from a moment on, and says how much that was. */
function ResendDialog({ ids, onClose }: { ids: { endpoint_id: string }; onClose: () => void }) {
  const t = useWebhookWords();
  const [from, setFrom] = useState('');
  const body = { from: from === '' ? '' : new Date(from).toISOString() };
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={t('resend_from')}
      verb={t('resend')}
      consequence={t('resend_from_consequence')}
      isReady={from !== ''}
      run={(key) => act('post', `${PATH}/resends`, { ids, key, body })}
      call={{ method: 'POST', path: `${PATH}/resends`, ids, body, idempotent: true }}
      onDone={({ resent, continue_from }) =>
        notifications.show({
          message: [
            t('resent', { count: resent }),
            ...(continue_from === undefined ? [] : [t('resent_more')]),
          ].join(' '),
          color: continue_from === undefined ? 'teal' : 'orange',
          closeButtonProps: { 'aria-label': t('close') },
        })
      }
    >
      <TextInput
        label={t('from_moment')}
        type="datetime-local"
        required
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value)}
      />
    </ActDialog>
  );
}
